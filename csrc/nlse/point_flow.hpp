// The flow in x space of one point, see PotentialFlow in field.hpp, and the factor of a kinetic flow, for the GPU.
// Internal linkage.
#pragma once

#include <cmath>

#include "nlse/flow_formula.hpp"
#include "support/sincos_formula.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
FOURFOLD_INLINE Complex<T> turned_by(Complex<T> z, T angle) {
    T cosine_minus_1, sine;
    sincos_of<T, typename IntegerOf<T>::type>(angle, angle, cosine_minus_1, sine);
    return turned(z, cosine_minus_1, sine);
}

// Neither potential nor loss. `strength`: g tau.
template <class T>
FOURFOLD_INLINE Complex<T> flow_of_point(Complex<T> z, T strength) {
    return turned_by(z, (z.re * z.re + z.im * z.im) * strength);
}

// `potential()` and `decay()`, amplitude and effective time, are asked if there are any, where they are needed: read
// ahead for all points of a thread they would take its registers.
template <class T, class Potential, class Losses>
FOURFOLD_INLINE Complex<T> flow_of_point(Complex<T> z, T g, T tau, bool has_potential, Potential potential, bool lossy,
                                         Losses decay) {
    const T intensity = z.re * z.re + z.im * z.im;
    T angle = intensity * (g * tau), amplitude = 1;
    if (lossy) {
        const Complex<T> here = decay();
        amplitude = here.re;
        angle = intensity * (here.im * g);
    }
    if (has_potential) angle = angle - potential() * tau;
    z = turned_by(z, angle);
    return {z.re * amplitude, z.im * amplitude};
}

// Rounded before anything is added to it: the compiler may not fuse it into the sum.
FOURFOLD_INLINE double rounded_product(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

// filter exp(-i omega tau)/n as phase_factor<1> of `high`, 1/n rounded to T; see build_kinetic_table in splitting.hpp.
template <class T>
FOURFOLD_INLINE Complex<T> kinetic_factor(double omega, double tau, double filter, double high, double low) {
    const double angle = -rounded_product(omega, tau), rest = -std::fma(omega, tau, angle);
    double cosine_minus_1, sine;
    sincos_of<double, std::int64_t, true>(angle, rest, cosine_minus_1, sine);
    const Complex<double> factor = phase_factor<1>(filter, cosine_minus_1, sine, high, low);
    return {static_cast<T>(factor.re), static_cast<T>(factor.im)};
}

// z times what such a factor stands for.
template <class T>
FOURFOLD_INLINE Complex<T> times_kinetic(Complex<T> z, Complex<T> factor, T high) {
    return Complex<T>{z.re * high, z.im * high} + times(z, factor.re, factor.im);
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
