// The classical Runge-Kutta method in the interaction picture whose origin is the middle of the step (RK4IP; Hult
// 2007), with the embedded third-order solution of Balac & Mahe (2013) for the error: the slope N at the end of the
// step, which the next step needs anyway, is its fifth stage, so that the estimate costs nothing on accepted steps.
#pragma once

#include "nlse/spectral_equation.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
class Rk4Ip {
public:
    static constexpr int estimate_order = 4;  // the estimate falls as h^4

    Rk4Ip(const SpectralEquation<T>& equation, Field<T> state, RungeKuttaWorkspace<T>& workspace)
        : equation_(equation), state_(state), table_step_(workspace.table_step) {
        Carver<T> carve{workspace.scratch, array_stride<T>(equation.n)};
        for (Field<T>* field : {&half_phase_, &slope_, &slope_end_, &middle_, &sum_, &stage_, &trial_}) {
            *field = carve.field();
        }
    }

    Field<T> state() const { return state_; }
    Field<T> slope() const { return slope_; }
    Field<T> spare(int which) const { return which == 0 ? middle_ : sum_; }

    void start(double time) {
        copy(state_, slope_, equation_.n);
        equation_.nonlinear(time, slope_);
    }

    void attempt(double time, double step) {
        end_ = time + step;
        if (step != table_step_) {
            phase_table<T>(equation_.omega, step / 2, nullptr, half_phase_.re, half_phase_.im, equation_.n);
            table_step_ = step;
        }
        const std::size_t n = equation_.n;
        const T h = static_cast<T>(step), h2 = static_cast<T>(step / 2), h3 = static_cast<T>(step / 3),
                h6 = static_cast<T>(step / 6);
        const Field<T> e = half_phase_, c = state_, f = slope_, m = middle_, y = sum_, k = stage_, out = trial_;
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T m_re = e.re[i] * c.re[i] - e.im[i] * c.im[i], m_im = e.re[i] * c.im[i] + e.im[i] * c.re[i];
            const T k_re = e.re[i] * f.re[i] - e.im[i] * f.im[i], k_im = e.re[i] * f.im[i] + e.im[i] * f.re[i];
            m.re[i] = m_re;
            m.im[i] = m_im;
            y.re[i] = m_re + h6 * k_re;
            y.im[i] = m_im + h6 * k_im;
            k.re[i] = m_re + h2 * k_re;
            k.im[i] = m_im + h2 * k_im;
        }
        equation_.nonlinear(time + step / 2, k);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            y.re[i] += h3 * k.re[i];
            y.im[i] += h3 * k.im[i];
            k.re[i] = m.re[i] + h2 * k.re[i];
            k.im[i] = m.im[i] + h2 * k.im[i];
        }
        equation_.nonlinear(time + step / 2, k);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T re = m.re[i] + h * k.re[i], im = m.im[i] + h * k.im[i];
            y.re[i] += h3 * k.re[i];
            y.im[i] += h3 * k.im[i];
            k.re[i] = e.re[i] * re - e.im[i] * im;
            k.im[i] = e.re[i] * im + e.im[i] * re;
        }
        equation_.nonlinear(end_, k);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            out.re[i] = e.re[i] * y.re[i] - e.im[i] * y.im[i] + h6 * k.re[i];
            out.im[i] = e.re[i] * y.im[i] + e.im[i] * y.re[i] + h6 * k.im[i];
        }
        slope_end_known_ = false;
    }

    // Fourth minus third order is (h/10)(k4 - k5), with k4 the slope of the last stage and k5 = N(trial).
    void estimate(double step, double& error, double& norm) {
        find_end_slope();
        error = std::fabs(step) / 10 * std::sqrt(sum_of_squared_differences(stage_, slope_end_, equation_.n));
        norm = std::sqrt(sum_of_squares(trial_, equation_.n));
    }

    void accept(bool more) {
        if (more && !slope_end_known_) find_end_slope();
        swap(state_, trial_);
        swap(slope_, slope_end_);
    }

private:
    void find_end_slope() {
        copy(trial_, slope_end_, equation_.n);
        equation_.nonlinear(end_, slope_end_);
        slope_end_known_ = true;
    }

    const SpectralEquation<T>& equation_;
    Field<T> state_, slope_, slope_end_, middle_, sum_, stage_, trial_;
    Field<T> half_phase_;  // exp(-i omega h/2)
    double& table_step_;
    double end_ = 0;  // of the last attempt
    bool slope_end_known_ = false;
};

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
