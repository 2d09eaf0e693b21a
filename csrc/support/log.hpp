// log(1 + u) of a vector of numbers u >= 0, to some three units in the last place. Included by kernel sources only.
#pragma once

#include "support/simd.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// s = 1 + u = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = 2 artanh(f / (2 + f)) by its series, to
// 2e-17. What 1 + u loses in rounding is added to first order. u is finite.
template <int V>
FOURFOLD_INLINE Lanes<double, V> log_of_1_plus(Lanes<double, V> u) {
    using Vec = Lanes<double, V>;
    using Int = Lanes<std::int64_t, V>;
    constexpr std::int64_t root_half = 0x3fe6a09e667f3bcd;
    constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    const Vec s = u + 1.0;
    const Vec lost = u < 1.0 ? u - (s - 1.0) : 1.0 - (s - u);
    const Int exponent = (same_bits<Int>(s) - root_half) >> 52;
    const Vec f = same_bits<Vec>(same_bits<Int>(s) - (exponent << 52)) - 1.0;
    const Vec e = same_bits<Vec>(exponent + same_bits<std::int64_t>(magic)) - magic;
    const Vec t = f / (f + 2.0), t2 = t * t;
    Vec sum = t2 * (1.0 / 21) + 1.0 / 19;
    FOURFOLD_UNROLL(16)
    for (int i = 17; i >= 3; i -= 2) sum = sum * t2 + 1.0 / i;
    const Vec small = e * ln2_low + lost / s;
    return e * ln2_high + (2.0 * t + (2.0 * t * (t2 * sum) + small));
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
