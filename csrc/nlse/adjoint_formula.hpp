// The arithmetic of the discrete adjoint (see adjoint.hpp for the formulas), of scalars or vectors, for the CPU and for
// the GPU.
#pragma once

#include <cmath>

#include "support/numbers.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

// z exp(-i angle), given cos(angle) - 1 and sin(angle).
template <class Vec>
FOURFOLD_INLINE Complex<Vec> turned_back(Complex<Vec> z, Vec cosine_minus_1, Vec sine) {
    return {z.re + (z.re * cosine_minus_1 + z.im * sine), z.im + (z.im * cosine_minus_1 - z.re * sine)};
}

// s = Im(conj(psi) mu)
template <class Vec>
FOURFOLD_INLINE Vec phase_pull(Complex<Vec> psi, Complex<Vec> mu) {
    return mu.im * psi.re - mu.re * psi.im;
}

// r = Re(conj(psi) mu)
template <class Vec>
FOURFOLD_INLINE Vec amplitude_pull(Complex<Vec> psi, Complex<Vec> mu) {
    return mu.re * psi.re + mu.im * psi.im;
}

// mu + 2 g l s psi, the cotangent before a potential flow; `reach` is l.
template <class Vec, class T>
FOURFOLD_INLINE Complex<Vec> pulled(Complex<Vec> mu, Complex<Vec> psi, Vec reach, Vec s, T nonlinearity) {
    const Vec pull = reach * s * (2 * nonlinearity);
    return {mu.re + pull * psi.re, mu.im + pull * psi.im};
}

// dl/d gamma = 2 tau^2 f'(u), f(u) = (1 - exp(-u))/u at u = 2 gamma tau. The power series of f' is
// sum_j (-1)^(j+1) (j+1) u^j / (j+2)!.
FOURFOLD_INLINE double effective_time_slope(double gamma, double tau) {
    const double u = 2 * gamma * tau;
    double slope;
    if (std::fabs(u) < 1) {
        constexpr int terms = 19;
        double power[terms];  // u^j / (j+2)!
        power[0] = 0.5;
        FOURFOLD_UNROLL(19)
        for (int j = 1; j < terms; ++j) power[j] = power[j - 1] * u / (j + 2);
        slope = 0;
        FOURFOLD_UNROLL(19)
        for (int j = terms - 1; j >= 0; --j) slope += (j % 2 == 0 ? -1.0 : 1.0) * (j + 1) * power[j];
    } else {
        slope = (u * std::exp(-u) + std::expm1(-u)) / (u * u);
    }
    return 2 * tau * tau * slope;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
