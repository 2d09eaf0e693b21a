// Discrete Fourier transforms of 2, 3, 4, 5, 8 and 16 points held in registers: y[p] = sum_q x[q] exp(-2 pi i p q / R).
//
// The rounding error of a constant is the same at every step of a simulation, so it does not average out: with a plain
// sqrt(1/2) the mass of a field grows by 1e-16 a transform pair. The irrational constants therefore come in two parts;
// with FMA the second costs one instruction and makes the product as good as exact.
#pragma once

#include "support/numbers.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

template <class T, class Vec>
FOURFOLD_INLINE void dft2(Complex<Vec>& a, Complex<Vec>& b) {
    const Complex<Vec> t = a;
    a = t + b;
    b = t - b;
}

template <class T, class Vec>
FOURFOLD_INLINE void dft4(Complex<Vec>& a, Complex<Vec>& b, Complex<Vec>& c, Complex<Vec>& d) {
    const Complex<Vec> t0 = a + c, t1 = a - c, t2 = b + d, t3 = times_minus_i(b - d);
    a = t0 + t2;
    b = t1 + t3;
    c = t0 - t2;
    d = t1 - t3;
}

template <class T, class Vec>
FOURFOLD_INLINE Complex<Vec> scaled(Complex<Vec> z, T factor) {
    return {z.re * factor, z.im * factor};
}

// Of `nearest`, the double nearest to a number, and `rest`, what is missing to it.
template <class T>
struct TwoParts {
    T high, low;
    FOURFOLD_HOST_DEVICE constexpr TwoParts(double nearest, double rest)
        : high(static_cast<T>(nearest)), low(static_cast<T>((nearest - static_cast<double>(high)) + rest)) {}
};

// The product with the high part is written first: the compiler fuses the first product of a sum into it, and it must
// be the large one that is not rounded.
template <class T, class Vec>
FOURFOLD_INLINE Vec times(Vec a, TwoParts<T> b) {
    return a * b.high + a * b.low;
}

template <class T, class Vec>
FOURFOLD_INLINE Complex<Vec> scaled(Complex<Vec> z, TwoParts<T> factor) {
    return {times(z.re, factor), times(z.im, factor)};
}

template <class T, class Vec>
FOURFOLD_INLINE Complex<Vec> times(Complex<Vec> a, TwoParts<T> re, TwoParts<T> im) {
    return {a.re * re.high + (a.re * re.low - (a.im * im.high + a.im * im.low)),
            a.re * im.high + (a.re * im.low + (a.im * re.high + a.im * re.low))};
}

// times exp(-i pi/4) and exp(-3 i pi/4)
template <class T, class Vec>
FOURFOLD_INLINE Complex<Vec> eighth_turn(Complex<Vec> z) {
    constexpr TwoParts<T> root_half(0x1.6a09e667f3bcdp-1, -0x1.bep-55);  // sqrt(1/2)
    return {times(z.re + z.im, root_half), times(z.im - z.re, root_half)};
}
template <class T, class Vec>
FOURFOLD_INLINE Complex<Vec> three_eighths_turn(Complex<Vec> z) {
    constexpr TwoParts<T> root_half(0x1.6a09e667f3bcdp-1, -0x1.bep-55);  // sqrt(1/2)
    return {times(z.im - z.re, root_half), -times(z.re + z.im, root_half)};
}

template <int R, class T, class Vec>
FOURFOLD_INLINE void dft(Complex<Vec>* x) {
    if constexpr (R == 2) {
        dft2<T>(x[0], x[1]);
    } else if constexpr (R == 3) {
        constexpr TwoParts<T> half_root3(0x1.bb67ae8584caap-1, 0x1.cfp-55);  // sqrt(3)/2
        const Complex<Vec> sum = x[1] + x[2];
        const Complex<Vec> turned = times_minus_i(scaled(x[1] - x[2], half_root3));
        const Complex<Vec> mid = x[0] - scaled(sum, T(0.5));
        x[0] = x[0] + sum;
        x[1] = mid + turned;
        x[2] = mid - turned;
    } else if constexpr (R == 4) {
        dft4<T>(x[0], x[1], x[2], x[3]);
    } else if constexpr (R == 5) {
        // of 2 pi/5 and 4 pi/5
        constexpr TwoParts<T> cos1(0x1.3c6ef372fe95p-2, -0x1.f5p-56), cos2(-0x1.9e3779b97f4a8p-1, 0x1.f5p-56);
        constexpr TwoParts<T> sin1(0x1.e6f0e134454ffp-1, 0x1.798p-55), sin2(0x1.2cf2304755a5ep-1, -0x1.24p-57);
        const Complex<Vec> sum1 = x[1] + x[4], sum2 = x[2] + x[3];
        const Complex<Vec> dif1 = x[1] - x[4], dif2 = x[2] - x[3];
        const Complex<Vec> even1 = x[0] + scaled(sum1, cos1) + scaled(sum2, cos2);
        const Complex<Vec> even2 = x[0] + scaled(sum1, cos2) + scaled(sum2, cos1);
        const Complex<Vec> odd1 = times_minus_i(scaled(dif1, sin1) + scaled(dif2, sin2));
        const Complex<Vec> odd2 = times_minus_i(scaled(dif1, sin2) - scaled(dif2, sin1));
        x[0] = x[0] + sum1 + sum2;
        x[1] = even1 + odd1;
        x[2] = even2 + odd2;
        x[3] = even2 - odd2;
        x[4] = even1 - odd1;
    } else if constexpr (R == 8) {
        dft4<T>(x[0], x[2], x[4], x[6]);
        dft4<T>(x[1], x[3], x[5], x[7]);
        const Complex<Vec> o0 = x[1], o1 = x[3], o2 = x[5], o3 = x[7];
        const Complex<Vec> w1 = eighth_turn<T>(o1), w2 = times_minus_i(o2), w3 = three_eighths_turn<T>(o3);
        const Complex<Vec> e0 = x[0], e1 = x[2], e2 = x[4], e3 = x[6];
        x[0] = e0 + o0;
        x[1] = e1 + w1;
        x[2] = e2 + w2;
        x[3] = e3 + w3;
        x[4] = e0 - o0;
        x[5] = e1 - w1;
        x[6] = e2 - w2;
        x[7] = e3 - w3;
    } else if constexpr (R == 16) {
        // of pi/8
        constexpr TwoParts<T> cosine(0x1.d906bcf328d46p-1, 0x1.46p-56), sine(0x1.87de2a6aea963p-2, -0x1.73p-57);
        constexpr TwoParts<T> minus_cosine(-0x1.d906bcf328d46p-1, -0x1.46p-56);
        constexpr TwoParts<T> minus_sine(-0x1.87de2a6aea963p-2, 0x1.73p-57);
        FOURFOLD_UNROLL(4)
        for (int b = 0; b < 4; ++b) dft4<T>(x[b], x[b + 4], x[b + 8], x[b + 12]);
        // x[4 p + b] now holds output p of group b
        // twiddles exp(-2 pi i p b / 16)
        x[5] = times(x[5], cosine, minus_sine);
        x[6] = eighth_turn<T>(x[6]);
        x[7] = times(x[7], sine, minus_cosine);
        x[9] = eighth_turn<T>(x[9]);
        x[10] = times_minus_i(x[10]);
        x[11] = three_eighths_turn<T>(x[11]);
        x[13] = times(x[13], sine, minus_cosine);
        x[14] = three_eighths_turn<T>(x[14]);
        x[15] = times(x[15], minus_cosine, sine);
        Complex<Vec> y[16];
        FOURFOLD_UNROLL(4)
        for (int p = 0; p < 4; ++p) {
            dft4<T>(x[4 * p], x[4 * p + 1], x[4 * p + 2], x[4 * p + 3]);
            FOURFOLD_UNROLL(4)
            for (int b = 0; b < 4; ++b) y[p + 4 * b] = x[4 * p + b];
        }
        FOURFOLD_UNROLL(16)
        for (int p = 0; p < 16; ++p) x[p] = y[p];
    } else {
        static_assert(R == 1);
    }
}

// The inverse is the forward transform with real and imaginary parts in each other's place.
template <int R, class T, class Vec>
FOURFOLD_INLINE void inverse_dft(Complex<Vec>* x) {
    FOURFOLD_UNROLL(16)
    for (int q = 0; q < R; ++q) x[q] = {x[q].im, x[q].re};
    dft<R, T>(x);
    FOURFOLD_UNROLL(16)
    for (int q = 0; q < R; ++q) x[q] = {x[q].im, x[q].re};
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
