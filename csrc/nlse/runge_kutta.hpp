// Drives one realisation through one interval with a Runge-Kutta method, in fixed or adaptive steps.
#pragma once

#include "nlse/dop853.hpp"
#include "nlse/etdrk4.hpp"
#include "nlse/rk4ip.hpp"
#include "nlse/step_control.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// A step in which the error of an embedded method of that order would be about a hundredth of the tolerance (Hairer,
// Norsett & Wanner, section II.4), from the sizes of the slope and of its change over a trial step of Euler's method,
// both in the interaction picture.
template <class T, class Stepper>
double first_step(const SpectralEquation<T>& equation, const Stepper& method, const Interval& interval, double norm) {
    const std::size_t n = equation.n;
    const double length = std::fabs(interval.t1 - interval.t0);
    const double longest = length < interval.max_step ? length : interval.max_step;
    const Field<T> c = method.state(), slope = method.slope(), trial = method.spare(0), phase = method.spare(1);
    const double slope_norm = std::sqrt(sum_of_squares(slope, n));
    if (!(norm > 0 && slope_norm > 0)) return longest;
    double tiny = 0.01 * norm / slope_norm;
    if (tiny > longest) tiny = longest;
    const double signed_step = std::copysign(tiny, interval.t1 - interval.t0);
    const T h = static_cast<T>(signed_step);
    phase_table<T>(equation.omega, signed_step, nullptr, phase.re, phase.im, n);
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        const T re = c.re[i] + h * slope.re[i], im = c.im[i] + h * slope.im[i];
        trial.re[i] = phase.re[i] * re - phase.im[i] * im;
        trial.im[i] = phase.re[i] * im + phase.im[i] * re;
    }
    equation.nonlinear(interval.origin + interval.t0 + signed_step, trial);
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        const T re = phase.re[i], im = phase.im[i];
        phase.re[i] = re * slope.re[i] - im * slope.im[i];
        phase.im[i] = re * slope.im[i] + im * slope.re[i];
    }
    const double bend = std::sqrt(sum_of_squared_differences(trial, phase, n)) / tiny;
    const double steepest = bend > slope_norm ? bend : slope_norm;
    const double tolerance = interval.atol + interval.rtol * norm;
    const double by_error = std::pow(0.01 * tolerance / steepest, 1.0 / Stepper::estimate_order);
    const double step = by_error < 100 * tiny ? by_error : 100 * tiny;
    return step < interval.max_step ? step : interval.max_step;
}

inline constexpr std::int64_t kFiniteCheckEvery = 64;

template <class T, class Stepper>
Status run_fixed(const SpectralEquation<T>& equation, Stepper& method, const Interval& interval, Progress& progress,
                 CancelFlag cancel) {
    const double step = (interval.t1 - interval.t0) / static_cast<double>(interval.steps);
    progress.step = std::fabs(step);
    method.start(interval.origin + interval.t0);
    for (std::int64_t done = 0; done < interval.steps;) {
        if (is_cancelled(cancel)) return Status::cancelled;
        method.attempt(interval.origin + interval.t0 + static_cast<double>(done) * step, step);
        ++done;
        method.accept(done < interval.steps);
        ++progress.steps;
        progress.time = done == interval.steps ? interval.t1 : interval.t0 + static_cast<double>(done) * step;
        if ((done % kFiniteCheckEvery == 0 || done == interval.steps) &&
            !is_finite(sum_of_squares(method.state(), equation.n))) {
            return Status::not_finite;
        }
    }
    return Status::ok;
}

template <class T, class Stepper>
Status run_adaptive(const SpectralEquation<T>& equation, Stepper& method, const Interval& interval, Progress& progress,
                    CancelFlag cancel) {
    double norm = std::sqrt(sum_of_squares(method.state(), equation.n));
    if (!is_finite(norm)) return Status::not_finite;
    method.start(interval.origin + interval.t0);
    if (!(progress.step > 0)) progress.step = first_step(equation, method, interval, norm);
    StepPlan plan(interval, Stepper::estimate_order, progress.step);
    bool finite = true;
    while (!plan.done()) {
        if (is_cancelled(cancel)) return Status::cancelled;
        if (plan.at_floor()) return finite ? Status::step_floor : Status::not_finite;
        const double step = plan.step();
        method.attempt(interval.origin + plan.time(), step);
        double error, trial_norm;
        method.estimate(step, error, trial_norm);
        const double larger = trial_norm > norm ? trial_norm : norm;
        const double ratio = error / (interval.atol + interval.rtol * larger);
        finite = is_finite(error) && is_finite(trial_norm);
        if (finite && ratio <= 1) {
            plan.accepted(ratio);
            method.accept(!plan.done());
            norm = trial_norm;
            ++progress.steps;
            progress.time = plan.time();
        } else {
            plan.rejected(finite ? ratio : HUGE_VAL);
            ++progress.rejected;
        }
        progress.step = plan.proposal();
    }
    return Status::ok;
}

template <class T, template <class> class StepperOf>
Status run_method(const SpectralEquation<T>& equation, const Interval& interval, Progress& progress, Field<T> state,
                  RungeKuttaWorkspace<T>& workspace, CancelFlag cancel) {
    using Stepper = StepperOf<T>;
    Stepper method(equation, state, workspace);
    Status status;
    if constexpr (Stepper::estimate_order > 0) {
        status = interval.steps > 0 ? run_fixed(equation, method, interval, progress, cancel)
                                    : run_adaptive(equation, method, interval, progress, cancel);
    } else {
        status = run_fixed(equation, method, interval, progress, cancel);
    }
    if (method.state().re != state.re) copy(method.state(), state, equation.n);
    return status;
}

// Advances the coefficients (re, im) from interval.t0 to interval.t1, or as far as progress.time where the status says
// that something stopped it; they are then those of progress.time. etdrk4 takes fixed steps only (interval.steps > 0).
// With interval.steps == 0, progress.step is the first step to try (0: chosen here) and becomes the one to go on with.
template <class T>
Status run_runge_kutta(Method method, const FftPlan<T>& plan, const FieldOps<T>& ops, MediumInTime<T>& medium,
                       const double* omega, const T* filter, const Interval& interval, Progress& progress, T* re, T* im,
                       RungeKuttaWorkspace<T>& workspace, CancelFlag cancel) {
    const SpectralEquation<T> equation{plan, ops, medium, omega, filter, plan.n, progress.transforms};
    const Field<T> state{re, im};
    progress.time = interval.t0;
    switch (method) {
        case Method::rk4ip: return run_method<T, Rk4Ip>(equation, interval, progress, state, workspace, cancel);
        case Method::etdrk4: return run_method<T, EtdRk4>(equation, interval, progress, state, workspace, cancel);
        default: return run_method<T, Dop853>(equation, interval, progress, state, workspace, cancel);
    }
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
