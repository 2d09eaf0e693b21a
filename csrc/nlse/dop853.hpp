// DOP853 in the interaction picture whose origin is the beginning of the step: with c(t + tau) = exp(-i omega tau)
// v(tau), v' = exp(i omega tau) N(exp(-i omega tau) v), and the method is applied to v. The slopes are kept turned back
// to the origin, so that every stage is one sum and one phase.
#pragma once

#include "nlse/dop853_coefficients.hpp"
#include "nlse/spectral_equation.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
class Dop853 {
public:
    static constexpr int estimate_order = 8;  // the estimate falls as h^8

    Dop853(const SpectralEquation<T>& equation, Field<T> state, RungeKuttaWorkspace<T>& workspace)
        : equation_(equation), state_(state), table_step_(workspace.table_step) {
        Carver<T> carve{workspace.scratch, array_stride<T>(equation.n)};
        for (Field<T>& phase : phases_) phase = carve.field();
        for (Field<T>& slope : slopes_) slope = carve.field();
        trial_ = carve.field();
    }

    Field<T> state() const { return state_; }
    Field<T> slope() const { return slopes_[0]; }
    Field<T> spare(int which) const { return slopes_[1 + which]; }

    void start(double time) {
        copy(state_, slopes_[0], equation_.n);
        equation_.nonlinear(time, slopes_[0]);
    }

    void attempt(double time, double step) {
        if (step != table_step_) make_tables(step);
        end_ = time + step;
        attempt_stages(time, step, std::make_integer_sequence<int, 11>{});
        finish(static_cast<T>(step));
    }

    // The combination of the estimates of order 5 and 3 that behaves as h^8 (Hairer's): e5^2 / sqrt(e5^2 + e3^2/100).
    void estimate(double step, double& error, double& norm) const {
        const double whole = error5_ + 0.01 * error3_;
        error = whole == 0 ? 0.0 : std::fabs(step) * error5_ / std::sqrt(whole);
        norm = std::sqrt(norm_);
    }

    void accept(bool more) {
        swap(state_, trial_);
        if (more) start(end_);
    }

private:
    void make_tables(double step) {
        for (int s = 0; s < 11; ++s) {
            phase_table<T>(equation_.omega, dop853::nodes[s + 1] * step, nullptr, phases_[s].re, phases_[s].im,
                           equation_.n);
        }
        table_step_ = step;
    }

    template <int... S>
    void attempt_stages(double time, double step, std::integer_sequence<int, S...>) {
        (attempt_stage<S + 1>(time + dop853::nodes[S + 1] * step, static_cast<T>(step)), ...);
    }

    template <int S>
    void attempt_stage(double time, T step) {
        const std::size_t n = equation_.n;
        const Field<T> c = state_, e = phases_[S - 1], out = slopes_[S];
        const T *k_re[12], *k_im[12];
        list_slopes(k_re, k_im);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T re = c.re[i] + step * dop853::weighted_sum<dop853::StageRow<S>>(k_re, i);
            const T im = c.im[i] + step * dop853::weighted_sum<dop853::StageRow<S>>(k_im, i);
            out.re[i] = e.re[i] * re - e.im[i] * im;
            out.im[i] = e.re[i] * im + e.im[i] * re;
        }
        equation_.nonlinear(time, out);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T re = out.re[i], im = out.im[i];
            out.re[i] = e.re[i] * re + e.im[i] * im;
            out.im[i] = e.re[i] * im - e.im[i] * re;
        }
    }

    // The solution at the end of the step, and all the norms in the same sweep.
    void finish(T step) {
        const std::size_t n = equation_.n;
        const Field<T> c = state_, e = phases_[10], out = trial_;
        const T *k_re[12], *k_im[12];
        list_slopes(k_re, k_im);
        error5_ = error3_ = norm_ = 0;
        for (std::size_t at = 0; at < n; at += kSumBlock) {
            const std::size_t end = at + kSumBlock < n ? at + kSumBlock : n;
            T part5 = 0, part3 = 0, part = 0;
#pragma omp simd reduction(+ : part5, part3, part)
            for (std::size_t i = at; i < end; ++i) {
                const T re = c.re[i] + step * dop853::weighted_sum<dop853::StageRow<12>>(k_re, i);
                const T im = c.im[i] + step * dop853::weighted_sum<dop853::StageRow<12>>(k_im, i);
                const T re5 = dop853::weighted_sum<dop853::Error5Row>(k_re, i);
                const T im5 = dop853::weighted_sum<dop853::Error5Row>(k_im, i);
                const T re3 = dop853::weighted_sum<dop853::Error3Row>(k_re, i);
                const T im3 = dop853::weighted_sum<dop853::Error3Row>(k_im, i);
                out.re[i] = e.re[i] * re - e.im[i] * im;
                out.im[i] = e.re[i] * im + e.im[i] * re;
                part5 += re5 * re5 + im5 * im5;
                part3 += re3 * re3 + im3 * im3;
                part += re * re + im * im;
            }
            error5_ += static_cast<double>(part5);
            error3_ += static_cast<double>(part3);
            norm_ += static_cast<double>(part);
        }
    }

    void list_slopes(const T** re, const T** im) const {
        for (int j = 0; j < 12; ++j) {
            re[j] = slopes_[j].re;
            im[j] = slopes_[j].im;
        }
    }

    const SpectralEquation<T>& equation_;
    Field<T> state_, trial_;
    Field<T> phases_[11];  // exp(-i omega c_s h) for s = 1..11
    Field<T> slopes_[12];
    double& table_step_;
    double end_ = 0;                             // of the last attempt
    double error5_ = 0, error3_ = 0, norm_ = 0;  // sums of squares over the last attempt
};

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
