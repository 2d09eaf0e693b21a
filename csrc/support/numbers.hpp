// What the formulas need of a number, be it a scalar, which runs on a GPU too, or a vector of SIMD lanes (simd.hpp):
// its bits, and complex numbers of it. Internal linkage: each ISA level must keep its own copy.
#pragma once

#include <cstdint>

#include "support/bits.hpp"
#include "support/host_device.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

template <class T>
struct IntegerOf;
template <>
struct IntegerOf<double> {
    typedef std::int64_t type;
};
template <>
struct IntegerOf<float> {
    typedef std::int32_t type;
};

template <class Vec>
struct Complex {
    Vec re, im;
};

template <class Vec>
FOURFOLD_INLINE Complex<Vec> operator+(Complex<Vec> a, Complex<Vec> b) {
    return {a.re + b.re, a.im + b.im};
}
template <class Vec>
FOURFOLD_INLINE Complex<Vec> operator-(Complex<Vec> a, Complex<Vec> b) {
    return {a.re - b.re, a.im - b.im};
}
template <class Vec, class W>
FOURFOLD_INLINE Complex<Vec> times(Complex<Vec> a, W re, W im) {
    return {a.re * re - a.im * im, a.re * im + a.im * re};
}
template <class Vec, class W>
FOURFOLD_INLINE Complex<Vec> times_conjugate(Complex<Vec> a, W re, W im) {
    return {a.re * re + a.im * im, a.im * re - a.re * im};
}
template <class Vec>
FOURFOLD_INLINE Complex<Vec> times_minus_i(Complex<Vec> a) {
    return {a.im, -a.re};
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
