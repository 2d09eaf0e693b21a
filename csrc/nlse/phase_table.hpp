// exp(-i omega tau), the flow of the dispersion, as a table over the spectrum. Rebuilt whenever an adaptive step
// changes, so it is vectorised; computed in double for both precisions, the product omega tau with its rounding error.
#pragma once

#include "nlse/flow_formula.hpp"
#include "support/sincos.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

#if FOURFOLD_LEVEL_INDEX == 2
inline constexpr int kDoubleLanes = 8;
#elif FOURFOLD_LEVEL_INDEX == 1
inline constexpr int kDoubleLanes = 4;
#else
inline constexpr int kDoubleLanes = 2;
#endif

// table[i] = phase_factor<shift>(scale[i], exp(-i omega[i] tau)); scale may be null (ones).
template <class T, int shift>
void phase_table(const double* omega, double tau, const T* scale, double high, double low, T* re, T* im,
                 std::size_t n) {
    constexpr std::size_t block = 64;
    using Vec = Lanes<double, kDoubleLanes>;
    alignas(64) double angle[block], rest[block], cosine[block], sine[block];
    for (std::size_t at = 0; at < n; at += block) {
        const std::size_t count = n - at < block ? n - at : block;
        for (std::size_t i = count; i < block; ++i) angle[i] = rest[i] = 0;
#pragma omp simd
        for (std::size_t i = 0; i < count; ++i) {
            angle[i] = -(omega[at + i] * tau);
#ifdef __FMA__
            rest[i] = -__builtin_fma(omega[at + i], tau, angle[i]);
#else
            rest[i] = 0;
#endif
        }
        for (std::size_t i = 0; i < block; i += kDoubleLanes) {
            Vec c, s;
            sincos<double, kDoubleLanes, true>(load<Vec>(angle + i), load<Vec>(rest + i), c, s);
            store(cosine + i, c);
            store(sine + i, s);
        }
#pragma omp simd
        for (std::size_t i = 0; i < count; ++i) {
            const double here = scale == nullptr ? 1.0 : static_cast<double>(scale[at + i]);
            const Complex<double> factor = phase_factor<shift>(here, cosine[i], sine[i], high, low);
            re[at + i] = static_cast<T>(factor.re);
            im[at + i] = static_cast<T>(factor.im);
        }
    }
}

template <class T>
void phase_table(const double* omega, double tau, const T* scale, T* re, T* im, std::size_t n) {
    phase_table<T, 0>(omega, tau, scale, 1.0, 0.0, re, im, n);
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
