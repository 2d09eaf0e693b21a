// The flows of the discrete adjoint at the points of x and of the spectrum, and what they add to the derivatives.
#pragma once

#include <algorithm>

#include "nlse/adjoint.hpp"
#include "nlse/adjoint_formula.hpp"
#include "nlse/medium_in_time.hpp"
#include "nlse/spectral_equation.hpp"
#include "nlse/splitting.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
inline constexpr int kLanes = static_cast<int>(kDoubleLanes * sizeof(double) / sizeof(T));

// One potential flow, with the sums over flows that are wanted (null: not).
template <class T>
struct AdjointFlow {
    T nonlinearity, tau;
    const T* potential;                              // [n] or null
    const T* amplitude;                              // [n] exp(-gamma tau), or null: no loss
    const T* effective_time;                         // [n] l, with amplitude
    const T* time_slope;                             // [n] dl/d gamma, where sum_loss is wanted
    T *sum_potential, *sum_nonlinearity, *sum_loss;  // [n]; the second is summed over x at the end
};

// `Recorded`: psi is the field before the flow and stays; otherwise the field after it, and goes back.
template <class T, int V, bool Recorded>
FOURFOLD_INLINE void adjoint_at(const AdjointFlow<T>& flow, Field<T> psi, Field<T> lambda, std::size_t i) {
    using Vec = Lanes<T, V>;
    Complex<Vec> z = load_complex<Vec>(psi.re, psi.im, i), mu = load_complex<Vec>(lambda.re, lambda.im, i);
    const Vec intensity = z.re * z.re + z.im * z.im;
    Vec reach = Vec{} + flow.tau;
    if (flow.amplitude != nullptr) reach = load<Vec>(flow.effective_time + i);
    Vec angle = intensity * (reach * flow.nonlinearity);
    if (flow.potential != nullptr) angle = angle - load<Vec>(flow.potential + i) * flow.tau;
    Vec c1, sine;
    sincos<T, V>(angle, angle, c1, sine);
    mu = turned_back(mu, c1, sine);
    if constexpr (!Recorded) {
        z = turned_back(z, c1, sine);
        store_complex(psi.re, psi.im, i, z);
    }
    if (flow.amplitude != nullptr) {
        const Vec amplitude = load<Vec>(flow.amplitude + i);
        mu = {mu.re * amplitude, mu.im * amplitude};
    }
    const Vec s = phase_pull(z, mu);
    if (flow.sum_potential != nullptr) {
        store(flow.sum_potential + i, load<Vec>(flow.sum_potential + i) - s * flow.tau);
    }
    if (flow.sum_nonlinearity != nullptr) {
        store(flow.sum_nonlinearity + i, load<Vec>(flow.sum_nonlinearity + i) + intensity * reach * s);
    }
    if (flow.sum_loss != nullptr) {
        const Vec r = amplitude_pull(z, mu);
        const Vec turn = intensity * (load<Vec>(flow.time_slope + i) * flow.nonlinearity);
        store(flow.sum_loss + i, load<Vec>(flow.sum_loss + i) + (turn * s - r * flow.tau));
    }
    store_complex(lambda.re, lambda.im, i, pulled(mu, z, reach, s, flow.nonlinearity));
}

template <class T, bool Recorded>
void adjoint_flow(const AdjointFlow<T>& flow, Field<T> psi, Field<T> lambda, std::size_t n) {
    constexpr int V = kLanes<T>;
    std::size_t i = 0;
    for (; i + V <= n; i += V) adjoint_at<T, V, Recorded>(flow, psi, lambda, i);
    for (; i < n; ++i) adjoint_at<T, 1, Recorded>(flow, psi, lambda, i);
}

template <class T>
void potential_flow(const PotentialFlow<T>& flow, Field<T> psi, std::size_t n) {
    constexpr int V = kLanes<T>;
    const PotentialFlowOperation<T, V, false> wide(flow);
    const PotentialFlowOperation<T, 1, false> narrow(flow);
    std::size_t i = 0;
    for (; i + V <= n; i += V) {
        auto z = load_complex<Lanes<T, V>>(psi.re, psi.im, i);
        wide(z, i);
        store_complex(psi.re, psi.im, i, z);
    }
    for (; i < n; ++i) {
        auto z = load_complex<T>(psi.re, psi.im, i);
        narrow(z, i);
        store_complex(psi.re, psi.im, i, z);
    }
}

// sum[i] += weight Im(conj(lambda_i) psi_i)
template <class T>
void add_dispersion(T weight, Field<T> psi, Field<T> lambda, T* sum, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        sum[i] += weight * (lambda.re[i] * psi.im[i] - lambda.im[i] * psi.re[i]);
    }
}

// z -> z/n + z table, the flow whose table is (exp - 1)/n
template <class T>
void turn_spectrum(const T* table, Field<T> z, std::size_t n) {
    const T base = T(1) / static_cast<T>(n);
    const T *w_re = table, *w_im = table + n;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        const T re = z.re[i], im = z.im[i];
        z.re[i] = re * base + (re * w_re[i] - im * w_im[i]);
        z.im[i] = im * base + (re * w_im[i] + im * w_re[i]);
    }
}

template <class T>
void slope_table(const T* loss, double tau, T* slope, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        slope[i] = static_cast<T>(effective_time_slope(static_cast<double>(loss[i]), tau));
    }
}

// sums[i] += part[i]; part[i] = 0
template <class T>
void move_sums(T* part, double* sums, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        sums[i] += static_cast<double>(part[i]);
        part[i] = 0;
    }
}

template <class T>
double total(const T* values, std::size_t n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]);
    return sum;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
