// The published solver's own scheme: DOP853 by the method of lines on the Fourier coefficients, with the step control,
// the first step and the dense output of scipy.integrate.solve_ivp, so that it takes the very steps that the published
// runs took. With y = n c the tolerance per coefficient is atol/n + rtol |c|. The filter s acts on the linear term as
// well:
//   dc/dt = -i omega s c + s F[i (g |psi|^2 - V + i gamma) psi],  psi of s c.
#pragma once

#include "nlse/dop853_coefficients.hpp"
#include "nlse/runge_kutta_workspace.hpp"
#include "nlse/spectral_equation.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
class Published {
public:
    Published(const SpectralEquation<T>& equation, PublishedState<T>& state, T* scratch)
        : equation_(equation), state_(state) {
        const std::size_t stride = array_stride<T>(equation.n);
        Carver<T> kept{state.fields, stride}, lent{scratch, stride};
        for (Field<T>& solution : solutions_) solution = kept.field();
        // What the interpolant needs is kept: the slopes at both ends, and its highest terms, which replace
        // slopes 1..4.
        for (int j = 0; j < 16; ++j) slopes_[j] = j < 5 || j == 12 ? kept.field() : lent.field();
    }

    // Slope and first step at the beginning (Hairer, Norsett & Wanner, section II.4). The solution is already in place.
    void start() {
        right_hand_side(state_.time, current(), slopes_[12]);
        const std::size_t n = equation_.n;
        const double length = std::fabs(state_.time_end - state_.time);
        const Field<T> c = current(), slope = slopes_[12], probe = slopes_[2], bent = slopes_[1];
        double size = 0, steepness = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double scale = scale_of(squared(c, i));
            size += squared(c, i) / (scale * scale);
            steepness += squared(slope, i) / (scale * scale);
        }
        size = std::sqrt(size / static_cast<double>(n));
        steepness = std::sqrt(steepness / static_cast<double>(n));
        double tiny = size < 1e-5 || steepness < 1e-5 ? 1e-6 : 0.01 * size / steepness;
        tiny = tiny < length ? tiny : length;
        const T h = static_cast<T>(tiny);
        for (std::size_t i = 0; i < n; ++i) {
            probe.re[i] = c.re[i] + h * slope.re[i];
            probe.im[i] = c.im[i] + h * slope.im[i];
        }
        right_hand_side(state_.time + tiny, probe, bent);
        double bend = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double scale = scale_of(squared(c, i));
            const double re = bent.re[i] - slope.re[i], im = bent.im[i] - slope.im[i];
            bend += (re * re + im * im) / (scale * scale);
        }
        bend = std::sqrt(bend / static_cast<double>(n)) / tiny;
        const double steepest = bend > steepness ? bend : steepness;
        double step =
            steepness <= 1e-15 && bend <= 1e-15 ? std::fmax(1e-6, tiny * 1e-3) : std::pow(0.01 / steepest, 1.0 / 8);
        step = std::fmin(step, 100 * tiny);
        step = std::fmin(step, length);
        state_.step = std::fmin(step, state_.max_step);
    }

    // One accepted step, with as many attempts as it takes.
    Status advance(Progress& progress) {
        const double time = state_.time;
        const double smallest = 10 * std::fabs(std::nextafter(time, HUGE_VAL) - time);
        double size = std::fmax(std::fmin(state_.step, state_.max_step), smallest);
        copy(slopes_[12], slopes_[0], equation_.n);
        for (bool rejected = false;; rejected = true) {
            double time_new = time + size;
            if (time_new > state_.time_end) time_new = state_.time_end;
            const double step = size = time_new - time;
            const double error = attempt(step);
            const double factor = 0.9 * std::pow(error, -1.0 / 8);
            if (error < 1) {
                state_.step = size * std::fmin(rejected ? 1.0 : 10.0, error == 0 ? 10.0 : factor);
                state_.time_old = time;
                state_.time = time_new;
                state_.newest = 1 - state_.newest;
                state_.dense = false;
                right_hand_side(state_.time, current(), slopes_[12]);
                ++progress.steps;
                progress.step = size;
                return Status::ok;
            }
            ++progress.rejected;
            size *= factor > 0.2 ? factor : 0.2;  // NaN: 0.2
            if (size < smallest) return is_finite(error) ? Status::step_floor : Status::not_finite;
        }
    }

    // The solution at a time inside the last step, from the interpolant of order 7.
    void interpolate(double time, Field<T> out) {
        const std::size_t n = equation_.n;
        const Field<T> c = current(), old = solutions_[1 - state_.newest];
        const double step = state_.time - state_.time_old;
        if (step == 0) {  // nothing but the beginning yet
            copy(c, out, n);
            return;
        }
        if (!state_.dense) make_interpolant(step);
        const T x = static_cast<T>((time - state_.time_old) / step), y = 1 - x, h = static_cast<T>(step);
        const Field<T> first = slopes_[0], last = slopes_[12];
        const Field<T> f3 = slopes_[1], f4 = slopes_[2], f5 = slopes_[3], f6 = slopes_[4];
        const auto value = [=](T c_new, T c_old, T k_first, T k_last, T a3, T a4, T a5,
                               T a6) __attribute__((always_inline)) {
            const T change = c_new - c_old;
            const T a1 = h * k_first - change, a2 = 2 * change - h * (k_last + k_first);
            return c_old + x * (change + y * (a1 + x * (a2 + y * (a3 + x * (a4 + y * (a5 + x * a6))))));
        };
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            out.re[i] = value(c.re[i], old.re[i], first.re[i], last.re[i], f3.re[i], f4.re[i], f5.re[i], f6.re[i]);
            out.im[i] = value(c.im[i], old.im[i], first.im[i], last.im[i], f3.im[i], f4.im[i], f5.im[i], f6.im[i]);
        }
    }

    Field<T> current() const { return solutions_[state_.newest]; }

private:
    double scale_of(double squared_size) const {
        return state_.atol / static_cast<double>(equation_.n) + state_.rtol * std::sqrt(squared_size);
    }

    static double squared(Field<T> a, std::size_t i) {
        const double re = a.re[i], im = a.im[i];
        return re * re + im * im;
    }

    void right_hand_side(double time, Field<T> c, Field<T> out) {
        copy(c, out, equation_.n);
        equation_.nonlinear(time, out);
        const double* omega = equation_.omega;
        const T* filter = equation_.filter;
#pragma omp simd
        for (std::size_t i = 0; i < equation_.n; ++i) {
            const T rate = static_cast<T>(omega[i]) * (filter == nullptr ? T(1) : filter[i]);
            out.re[i] += rate * c.im[i];
            out.im[i] -= rate * c.re[i];
        }
    }

    struct Slopes {
        const T *re[16], *im[16];
    };
    Slopes list_slopes() const {
        Slopes list;
        for (int j = 0; j < 16; ++j) {
            list.re[j] = slopes_[j].re;
            list.im[j] = slopes_[j].im;
        }
        return list;
    }

    // out = origin + step * (row S of the coefficients) . slopes
    template <int S>
    void combine(Field<T> origin, T step, Field<T> out) {
        const Slopes k = list_slopes();
#pragma omp simd
        for (std::size_t i = 0; i < equation_.n; ++i) {
            out.re[i] = origin.re[i] + step * dop853::weighted_sum<dop853::StageRow<S>>(k.re, i);
            out.im[i] = origin.im[i] + step * dop853::weighted_sum<dop853::StageRow<S>>(k.im, i);
        }
    }

    template <int S>
    void stage(Field<T> origin, double time, double step, Field<T> argument) {
        combine<S>(origin, static_cast<T>(step), argument);
        right_hand_side(time + dop853::nodes[S] * step, argument, slopes_[S]);
    }

    template <int... S>
    void stages(Field<T> origin, double step, Field<T> argument, std::integer_sequence<int, S...>) {
        (stage<S + 1>(origin, state_.time, step, argument), ...);
    }

    // The solution at the end of a step, left in the older solution field, and its error in units of the tolerance.
    double attempt(double step) {
        const T h = static_cast<T>(step);
        const Field<T> c = current(), out = solutions_[1 - state_.newest];
        stages(c, step, out, std::make_integer_sequence<int, 11>{});
        combine<12>(c, h, out);
        const Slopes k = list_slopes();
        double sum5 = 0, sum3 = 0;
#pragma omp simd reduction(+ : sum5, sum3)
        for (std::size_t i = 0; i < equation_.n; ++i) {
            const double old_size = squared(c, i), new_size = squared(out, i);
            const double scale = scale_of(new_size > old_size ? new_size : old_size);
            const double re5 = dop853::weighted_sum<dop853::Error5Row>(k.re, i) / scale;
            const double im5 = dop853::weighted_sum<dop853::Error5Row>(k.im, i) / scale;
            const double re3 = dop853::weighted_sum<dop853::Error3Row>(k.re, i) / scale;
            const double im3 = dop853::weighted_sum<dop853::Error3Row>(k.im, i) / scale;
            sum5 += re5 * re5 + im5 * im5;
            sum3 += re3 * re3 + im3 * im3;
        }
        if (sum5 == 0 && sum3 == 0) return 0;
        return step * sum5 / std::sqrt((sum5 + 0.01 * sum3) * static_cast<double>(equation_.n));
    }

    void make_interpolant(double size) {
        const T step = static_cast<T>(size);
        const Field<T> old = solutions_[1 - state_.newest];
        stage<13>(old, state_.time_old, size, slopes_[1]);
        stage<14>(old, state_.time_old, size, slopes_[1]);
        stage<15>(old, state_.time_old, size, slopes_[1]);
        const Slopes k = list_slopes();
        const Field<T> f3 = slopes_[1], f4 = slopes_[2], f5 = slopes_[3], f6 = slopes_[4];
#pragma omp simd
        for (std::size_t i = 0; i < equation_.n; ++i) {
            f3.re[i] = step * dop853::weighted_sum<dop853::DenseRow<0>>(k.re, i);
            f3.im[i] = step * dop853::weighted_sum<dop853::DenseRow<0>>(k.im, i);
            f4.re[i] = step * dop853::weighted_sum<dop853::DenseRow<1>>(k.re, i);
            f4.im[i] = step * dop853::weighted_sum<dop853::DenseRow<1>>(k.im, i);
            f5.re[i] = step * dop853::weighted_sum<dop853::DenseRow<2>>(k.re, i);
            f5.im[i] = step * dop853::weighted_sum<dop853::DenseRow<2>>(k.im, i);
            f6.re[i] = step * dop853::weighted_sum<dop853::DenseRow<3>>(k.re, i);
            f6.im[i] = step * dop853::weighted_sum<dop853::DenseRow<3>>(k.im, i);
        }
        state_.dense = true;
    }

    const SpectralEquation<T>& equation_;
    PublishedState<T>& state_;
    Field<T> solutions_[2];
    Field<T> slopes_[16];
};

// Begins a run from time_start to time_end with the coefficients (re, im); `state.fields` must be set.
template <class T>
void published_start(const FftPlan<T>& plan, const FieldOps<T>& ops, MediumInTime<T>& medium, const double* omega,
                     const T* filter, double time_start, double time_end, double rtol, double atol, double max_step,
                     const T* re, const T* im, PublishedState<T>& state, T* scratch, Progress& progress) {
    state.time_old = state.time = time_start;
    state.time_end = time_end;
    state.rtol = rtol;
    state.atol = atol;
    state.max_step = max_step;
    state.newest = 0;
    state.dense = false;
    const SpectralEquation<T> equation{plan, ops, medium, omega, filter, plan.n, progress.transforms};
    Published<T> method(equation, state, scratch);
    const Field<T> solution = method.current();
#pragma omp simd
    for (std::size_t i = 0; i < plan.n; ++i) {
        solution.re[i] = re[i];
        solution.im[i] = im[i];
    }
    method.start();
    progress.time = time_start;
}

// Writes the coefficients at `time`, which must not lie before the time of the call before. When something stopped the
// run, they are those at progress.time.
template <class T>
Status published_advance(const FftPlan<T>& plan, const FieldOps<T>& ops, MediumInTime<T>& medium, const double* omega,
                         const T* filter, double time, PublishedState<T>& state, T* scratch, T* re, T* im,
                         Progress& progress, CancelFlag cancel) {
    const SpectralEquation<T> equation{plan, ops, medium, omega, filter, plan.n, progress.transforms};
    Published<T> method(equation, state, scratch);
    const Field<T> out{re, im};
    while (state.time < time && state.time < state.time_end) {
        const Status status = is_cancelled(cancel) ? Status::cancelled : method.advance(progress);
        if (status != Status::ok) {
            copy(method.current(), out, plan.n);
            progress.time = state.time;
            return status;
        }
    }
    method.interpolate(time, out);
    progress.time = time;
    return Status::ok;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
