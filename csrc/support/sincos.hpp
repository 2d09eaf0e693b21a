// cos - 1 and sin of a vector of angles, to about one unit in the last place. cos - 1 rather than cos: a turn by a
// small angle applied as z + z (cos - 1 + i sin) keeps |z| far better, step after step, than a rounded cos near 1 can.
// Reduction by pi/2 in three parts (33 bits each, so that the products are exact for quotients up to 2^20), then
// minimax polynomials on [-pi/4, pi/4] (own Remez fits; relative errors 3.4e-18 / 4.7e-20 in double, 3.6e-9 / 9.5e-11
// in float).
#pragma once

#include <limits>

#include "support/simd.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

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
    static constexpr int quadrant_shift = 62;
    static constexpr int terms = 6;
    static constexpr double sine[6] = {-0.16666666666666632026,  0.0083333333333224135206,  -0.00019841269829807738333,
                                       2.7557313691900131451e-6, -2.5050758113115236084e-8, 1.5896795552810855267e-10};
    static constexpr double cosine[6] = {0.041666666666666599476,    -0.001388888888887412402,
                                         0.000024801587289482243058, -2.7557314352349158333e-7,
                                         2.0875723275319914568e-9,   -1.1359647902961220607e-11};
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
    static constexpr int quadrant_shift = 30;
    static constexpr int terms = 3;
    static constexpr float sine[3] = {-0.16666654936656829093f, 0.0083321776840043063953f, -0.00019517234372989690869f};
    static constexpr float cosine[3] = {0.041666646854759694904f, -0.0013887366917199196887f,
                                        0.000024438380220312748171f};
};

template <class T, class Vec>
FOURFOLD_INLINE Vec polynomial(const T* coefficients, int terms, Vec u) {
    Vec sum = u * T(0) + coefficients[terms - 1];
#pragma GCC unroll 8
    for (int i = terms - 2; i >= 0; --i) sum = sum * u + coefficients[i];
    return sum;
}

// Angles beyond the limit (no step that means anything has one) give NaN, never a wrong value. With HasLow, `low` is
// added to the reduced angle: the rounding error of an angle that is itself a product.
template <class T, int V, bool HasLow = false>
FOURFOLD_INLINE void sincos(Lanes<T, V> angle, Lanes<T, V> low, Lanes<T, V>& cosine_minus_1, Lanes<T, V>& sine) {
    using K = SinCosConstants<T>;
    using Vec = Lanes<T, V>;
    using Int = Lanes<typename IntegerOf<T>::type, V>;
    const Vec shifted = angle * K::two_over_pi + K::round_magic;
    const Vec quotient = shifted - K::round_magic;
    const Int quadrant = same_bits<Int>(shifted);
    Vec r = angle - quotient * K::part1;
    r = r - quotient * K::part2;
    r = r - quotient * K::part3;
    if constexpr (HasLow) r = r + low;
    const Vec u = r * r;
    const Vec s = r + r * (u * polynomial<T>(K::sine, K::terms, u));
    const Vec c1 = (u * u) * polynomial<T>(K::cosine, K::terms, u) - u * T(0.5);
    const Vec c = T(1) + c1;
    const auto odd = (quadrant & 1) != 0;
    const auto first = (quadrant & 3) == 0;
    const auto inside = (angle <= K::limit) & (angle >= -K::limit);
    const Int sign = Int{} + (typename IntegerOf<T>::type(1) << (sizeof(T) * 8 - 1));
    const Vec plain_cosine = odd ? s : c;
    const Vec plain_sine = odd ? c : s;
    const Int flip_cosine = ((quadrant + 1) << K::quadrant_shift) & sign;
    const Int flip_sine = (quadrant << K::quadrant_shift) & sign;
    const Vec nan = Vec{} + std::numeric_limits<T>::quiet_NaN();
    const Vec cosine = same_bits<Vec>(same_bits<Int>(plain_cosine) ^ flip_cosine);
    cosine_minus_1 = inside ? (first ? c1 : cosine - T(1)) : nan;
    sine = inside ? same_bits<Vec>(same_bits<Int>(plain_sine) ^ flip_sine) : nan;
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
