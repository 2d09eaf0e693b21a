// Up to which |x| a rational function with these coefficients is computed in Horner's form. For the CPU and the GPU.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "support/bits.hpp"
#include "support/host_device.hpp"

namespace fourfold::kan {

// The exponent of a number's highest bit; that of a denormal number counts as one below the normal ones, that of
// infinity and NaN as one above.
template <class T>
FOURFOLD_HOST_DEVICE int exponent_of(T value) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr int mantissa = std::numeric_limits<T>::digits - 1, bias = std::numeric_limits<T>::max_exponent - 1;
    const auto bits = same_bits<Bits>(value);
    return static_cast<int>((bits << 1) >> (mantissa + 1)) - bias;
}

// 2^exponent, a normal number.
template <class T>
FOURFOLD_HOST_DEVICE T power_of_two(int exponent) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr int mantissa = std::numeric_limits<T>::digits - 1, bias = std::numeric_limits<T>::max_exponent - 1;
    return same_bits<T>(static_cast<Bits>(exponent + bias) << mantissa);
}

// What the exponents of the powers of two in `safe_limit` may be.
template <class T>
struct LimitExponents {
    static constexpr bool is_float = std::is_same_v<T, float>;
    static constexpr int limit = is_float ? 16 : 128;        // of L
    static constexpr int powers = is_float ? 96 : 960;       // of L^degree
    static constexpr int numerator = is_float ? 92 : 900;    // of a_i L^i
    static constexpr int denominator = is_float ? 66 : 516;  // of c_j L^j
    // F Q' for |x| < 1: at most 13 coefficients a, and 78 = 1 + 2 + .. + 12 times the largest c.
    static constexpr int both = is_float ? 114 : 1000;

    static FOURFOLD_HOST_DEVICE int of_limit(int m, int n) {
        const int degree = m > n ? m : n;
        const int exponent = powers / (degree > 1 ? degree : 1);
        return exponent < limit ? exponent : limit;
    }
};

// The largest power of two L, at most 2^16 (float) or 2^128 (double), for which all intermediates of Horner's form and
// of the powers up to L^degree stay far from overflow, and 1/Q from underflow. -1 if there is none. a(i) and c(j) are
// the coefficients of P and W.
template <class T, class A, class C>
FOURFOLD_HOST_DEVICE T safe_limit(A a, int m, C c, int n) {
    using E = LimitExponents<T>;
    int exponent = E::of_limit(m, n);
    // Returns the largest exponent of the coefficients.
    const auto restrict_to = [&](auto coefficient, int up_to, int bound) {
        int highest = -bound;
        FOURFOLD_ROLLED
        for (int k = 0; k <= up_to; ++k) {
            const T value = coefficient(k);
            if (value == 0) continue;
            const int size = exponent_of(value);
            if (size > highest) highest = size;
            if (size > bound) exponent = -1;
            if (k > 0 && (bound - size) / k < exponent) exponent = (bound - size) / k;
        }
        return highest;
    };
    const int of_both = restrict_to(a, m, E::numerator) + restrict_to(c, n, E::denominator);
    if (exponent < 0 || of_both > E::both) return T(-1);
    return power_of_two<T>(exponent);
}

}  // namespace fourfold::kan
