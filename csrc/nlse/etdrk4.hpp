// Exponential time differencing with a fourth-order Runge-Kutta method (ETDRK4; Cox & Matthews 2002). Its weights are
// functions of z = -i omega h that suffer from cancellation near z = 0 (Kassam & Trefethen 2005 take contour
// integrals); here z is purely imaginary, and Taylor series take over below |z| = 3.
#pragma once

#include "nlse/spectral_equation.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

struct EtdWeight {
    double re, im;
};

// The weights of one step, over h, and of half a step, over h.
struct EtdWeights {
    EtdWeight half;   // phi_1(z/2) / 2
    EtdWeight first;  // phi_1 - 3 phi_2 + 4 phi_3
    EtdWeight inner;  // 2 phi_2 - 4 phi_3
    EtdWeight last;   // -phi_2 + 4 phi_3
};

// z = i angle. The series are sum_j z^j w_j / (j+3)! with w_j = (j+1)^2, 2 (j+1) and 1 - j.
inline EtdWeights etd_weights(double angle) {
    EtdWeights w;
    const double quarter = angle / 4;
    const double sinc = quarter == 0 ? 1.0 : std::sin(quarter) / quarter;
    w.half = {0.5 * sinc * std::cos(quarter), 0.5 * sinc * std::sin(quarter)};
    if (std::fabs(angle) < 3) {
        constexpr int terms = 28;  // 3^28 / 31! < 1e-20
        double power[terms];       // angle^j / (j+3)!
        power[0] = 1.0 / 6;
        for (int j = 1; j < terms; ++j) power[j] = power[j - 1] * angle / (j + 3);
        w.first = w.inner = w.last = {0, 0};
        for (int j = terms - 2; j >= 0; j -= 2) {  // smallest terms first; i^j alternates in each part
            const double even = j % 4 == 0 ? power[j] : -power[j];
            const double odd = j % 4 == 0 ? power[j + 1] : -power[j + 1];
            w.first.re += even * (j + 1) * (j + 1);
            w.first.im += odd * (j + 2) * (j + 2);
            w.inner.re += even * 2 * (j + 1);
            w.inner.im += odd * 2 * (j + 2);
            w.last.re += even * (1 - j);
            w.last.im += odd * -j;
        }
        return w;
    }
    // numerators over z^3 = -i angle^3; e^z = c + i s
    const double c = std::cos(angle), s = std::sin(angle), a = angle, cube = a * a * a;
    const auto over_cube = [cube](double re, double im) { return EtdWeight{-im / cube, re / cube}; };
    w.first = over_cube(-4 + c * (4 - a * a) + 3 * a * s, -a + s * (4 - a * a) - 3 * a * c);
    w.inner = over_cube(2 * (2 - 2 * c - a * s), 2 * (a - 2 * s + a * c));
    w.last = over_cube(-4 + a * a + 4 * c + a * s, -3 * a + 4 * s - a * c);
    return w;
}

template <class T>
class EtdRk4 {
public:
    static constexpr int estimate_order = 0;  // no estimate: fixed steps only

    EtdRk4(const SpectralEquation<T>& equation, Field<T> state, RungeKuttaWorkspace<T>& workspace)
        : equation_(equation), state_(state), table_step_(workspace.table_step) {
        Carver<T> carve{workspace.scratch, array_stride<T>(equation.n)};
        for (Field<T>* field : {&phase_, &half_phase_, &half_, &first_, &inner_, &last_, &slope_, &middle_, &slope_a_,
                                &slope_b_, &stage_}) {
            *field = carve.field();
        }
    }

    Field<T> state() const { return state_; }

    void start(double) {}

    void attempt(double time, double step) {
        if (step != table_step_) make_tables(step);
        const std::size_t n = equation_.n;
        const Field<T> e = phase_, e2 = half_phase_, q = half_, w1 = first_, w2 = inner_, w3 = last_;
        const Field<T> u = state_, fu = slope_, a = middle_, fa = slope_a_, fb = slope_b_, k = stage_;
        copy(u, fu, n);
        equation_.nonlinear(time, fu);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T re = e2.re[i] * u.re[i] - e2.im[i] * u.im[i] + q.re[i] * fu.re[i] - q.im[i] * fu.im[i];
            const T im = e2.re[i] * u.im[i] + e2.im[i] * u.re[i] + q.re[i] * fu.im[i] + q.im[i] * fu.re[i];
            a.re[i] = fa.re[i] = re;
            a.im[i] = fa.im[i] = im;
        }
        equation_.nonlinear(time + step / 2, fa);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T re = e2.re[i] * u.re[i] - e2.im[i] * u.im[i] + q.re[i] * fa.re[i] - q.im[i] * fa.im[i];
            const T im = e2.re[i] * u.im[i] + e2.im[i] * u.re[i] + q.re[i] * fa.im[i] + q.im[i] * fa.re[i];
            fb.re[i] = re;
            fb.im[i] = im;
        }
        equation_.nonlinear(time + step / 2, fb);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T d_re = 2 * fb.re[i] - fu.re[i], d_im = 2 * fb.im[i] - fu.im[i];
            k.re[i] = e2.re[i] * a.re[i] - e2.im[i] * a.im[i] + q.re[i] * d_re - q.im[i] * d_im;
            k.im[i] = e2.re[i] * a.im[i] + e2.im[i] * a.re[i] + q.re[i] * d_im + q.im[i] * d_re;
        }
        equation_.nonlinear(time + step, k);
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            const T in_re = fa.re[i] + fb.re[i], in_im = fa.im[i] + fb.im[i];
            const T re = e.re[i] * u.re[i] - e.im[i] * u.im[i] + (w1.re[i] * fu.re[i] - w1.im[i] * fu.im[i]) +
                         (w2.re[i] * in_re - w2.im[i] * in_im) + (w3.re[i] * k.re[i] - w3.im[i] * k.im[i]);
            const T im = e.re[i] * u.im[i] + e.im[i] * u.re[i] + (w1.re[i] * fu.im[i] + w1.im[i] * fu.re[i]) +
                         (w2.re[i] * in_im + w2.im[i] * in_re) + (w3.re[i] * k.im[i] + w3.im[i] * k.re[i]);
            u.re[i] = re;
            u.im[i] = im;
        }
    }

    void accept(bool) {}

private:
    void make_tables(double step) {
        const double* omega = equation_.omega;
        const std::size_t n = equation_.n;
        phase_table<T>(omega, step, nullptr, phase_.re, phase_.im, n);
        phase_table<T>(omega, step / 2, nullptr, half_phase_.re, half_phase_.im, n);
        for (std::size_t i = 0; i < n; ++i) {
            const EtdWeights w = etd_weights(-omega[i] * step);
            set(half_, i, w.half, step);
            set(first_, i, w.first, step);
            set(inner_, i, w.inner, step);
            set(last_, i, w.last, step);
        }
        table_step_ = step;
    }

    static void set(Field<T> table, std::size_t i, EtdWeight weight, double step) {
        table.re[i] = static_cast<T>(weight.re * step);
        table.im[i] = static_cast<T>(weight.im * step);
    }

    const SpectralEquation<T>& equation_;
    Field<T> state_;
    Field<T> phase_, half_phase_, half_, first_, inner_, last_;  // tables of the step
    Field<T> slope_, middle_, slope_a_, slope_b_, stage_;
    double& table_step_;
};

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
