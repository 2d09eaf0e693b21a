// cos - 1 and sin of an angle, a scalar or a vector of SIMD lanes, to about one unit in the last place. cos - 1 rather
// than cos: a turn by a small angle applied as z + z (cos - 1 + i sin) keeps |z| far better, step after step, than a
// rounded cos near 1 can. Reduction by pi/2 in three parts (33 bits each, so that the products are exact for quotients
// up to 2^20), then minimax polynomials on [-pi/4, pi/4] (own Remez fits; relative errors 3.4e-18 / 4.7e-20 in
// double, 3.6e-9 / 9.5e-11 in float).
#pragma once

#include <limits>
#include <type_traits>

#include "support/numbers.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// first + u (next + u (..)), as vectors from scalars.
template <class Vec, class T>
FOURFOLD_INLINE Vec polynomial(Vec u, T last) {
    return u * T(0) + last;
}
template <class Vec, class T, class... Rest>
FOURFOLD_INLINE Vec polynomial(Vec u, T first, Rest... rest) {
    if constexpr (sizeof...(Rest) == 1 && std::is_same_v<Vec, T>) {
        return u * (rest + ...) + first;
    } else {
        return polynomial(u, rest...) * u + first;
    }
}

template <class T>
struct SinCosConstants;

template <>
struct SinCosConstants<double> {
    static constexpr double two_over_pi = 0.63661977236758134308;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double part1 = 1.57079632673412561417e+00;
    static constexpr double part2 = 6.07710050630396597660e-11;
    static constexpr double part3 = 2.02226624879595063154e-21;
    static constexpr double limit = 1.6e6;
    static constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    static constexpr int quadrant_shift = 62;
    template <class Vec>
    static FOURFOLD_INLINE Vec sine(Vec u) {
        return polynomial(u, -0.16666666666666632026, 0.0083333333333224135206, -0.00019841269829807738333,
                          2.7557313691900131451e-6, -2.5050758113115236084e-8, 1.5896795552810855267e-10);
    }
    template <class Vec>
    static FOURFOLD_INLINE Vec cosine(Vec u) {
        return polynomial(u, 0.041666666666666599476, -0.001388888888887412402, 0.000024801587289482243058,
                          -2.7557314352349158333e-7, 2.0875723275319914568e-9, -1.1359647902961220607e-11);
    }
};

template <>
struct SinCosConstants<float> {
    static constexpr float two_over_pi = 0.63661977236758134308f;
    static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23
    // pi/2 in parts of 12, 12 and 24 bits: exact products for quotients up to 2^12
    static constexpr float part1 = 1.5703125f;
    static constexpr float part2 = 4.837512969970703125e-4f;
    static constexpr float part3 = 7.549789954891882e-8f;
    static constexpr float limit = 6.0e3f;
    static constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    static constexpr int quadrant_shift = 30;
    template <class Vec>
    static FOURFOLD_INLINE Vec sine(Vec u) {
        return polynomial(u, -0.16666654936656829093f, 0.0083321776840043063953f, -0.00019517234372989690869f);
    }
    template <class Vec>
    static FOURFOLD_INLINE Vec cosine(Vec u) {
        return polynomial(u, 0.041666646854759694904f, -0.0013887366917199196887f, 0.000024438380220312748171f);
    }
};

// Angles beyond the limit (no step that means anything has one) give NaN, never a wrong value. With HasLow, `low` is
// added to the reduced angle: the rounding error of an angle that is itself a product.
template <class T, class Int, bool HasLow = false, class Vec>
FOURFOLD_INLINE void sincos_of(Vec angle, Vec low, Vec& cosine_minus_1, Vec& sine) {
    using K = SinCosConstants<T>;
    const Vec shifted = angle * K::two_over_pi + K::round_magic;
    const Vec quotient = shifted - K::round_magic;
    const Int quadrant = same_bits<Int>(shifted);
    Vec r = angle - quotient * K::part1;
    r = r - quotient * K::part2;
    r = r - quotient * K::part3;
    if constexpr (HasLow) r = r + low;
    const Vec u = r * r;
    const Vec s = r + r * (u * K::sine(u));
    const Vec c1 = (u * u) * K::cosine(u) - u * T(0.5);
    const Vec c = T(1) + c1;
    const auto odd = (quadrant & 1) != 0;
    const auto first = (quadrant & 3) == 0;
    const auto inside = (angle <= K::limit) & (angle >= -K::limit);
    const Int sign = Int{} + (typename IntegerOf<T>::type(1) << (sizeof(T) * 8 - 1));
    const Vec plain_cosine = odd ? s : c;
    const Vec plain_sine = odd ? c : s;
    const Int flip_cosine = ((quadrant + 1) << K::quadrant_shift) & sign;
    const Int flip_sine = (quadrant << K::quadrant_shift) & sign;
    const Vec nan = Vec{} + K::nan;
    const Vec cosine = same_bits<Vec>(same_bits<Int>(plain_cosine) ^ flip_cosine);
    cosine_minus_1 = inside ? (first ? c1 : cosine - T(1)) : nan;
    sine = inside ? same_bits<Vec>(same_bits<Int>(plain_sine) ^ flip_sine) : nan;
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
