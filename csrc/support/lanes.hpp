// Lanes of this ISA level, loads and stores of less than a vector, and the exponential. Included by kernel sources
// only.
#pragma once

#include "support/simd.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

template <class T>
inline constexpr int kWidest =
#if defined(__AVX512F__)
    64 / sizeof(T);
#elif defined(__AVX__)
    32 / sizeof(T);
#else
    16 / sizeof(T);
#endif

template <class T>
FOURFOLD_INLINE Lanes<T, kWidest<T>> load_some(const T* from, std::size_t count) {
    using Vec = Lanes<T, kWidest<T>>;
    if (count >= static_cast<std::size_t>(kWidest<T>)) return load<Vec>(from);
    T padded[kWidest<T>] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = from[i];
    return load<Vec>(padded);
}

template <class T>
FOURFOLD_INLINE void store_some(T* to, Lanes<T, kWidest<T>> v, std::size_t count) {
    if (count >= static_cast<std::size_t>(kWidest<T>)) {
        store(to, v);
        return;
    }
    T padded[kWidest<T>];
    store(padded, v);
    for (std::size_t i = 0; i < count; ++i) to[i] = padded[i];
}

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<double> {
    static constexpr double lowest = -750.0, magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr int terms = 13, bits = 52, bias = 1023;
};
template <>
struct ExpConstants<float> {
    static constexpr float lowest = -110.0f, magic = 12582912.0f;  // 1.5 * 2^23
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int terms = 7, bits = 23, bias = 127;
};

// x = power ln 2 + r with |r| <= ln 2 / 2, for x not far above 0 or below K::lowest.
template <class T, int V>
FOURFOLD_INLINE void reduce_by_ln2(Lanes<T, V> x, Lanes<T, V>& r, Lanes<typename IntegerOf<T>::type, V>& power) {
    using K = ExpConstants<T>;
    using Vec = Lanes<T, V>;
    using Integer = typename IntegerOf<T>::type;
    const Vec shifted = x * T(1.4426950408889634074) + K::magic;
    const Vec n = shifted - K::magic;
    r = (x - n * K::ln2_high) - n * K::ln2_low;
    power = same_bits<Lanes<Integer, V>>(shifted) - same_bits<Integer>(K::magic);
}

// exp(x) for x <= 0, to about one unit in the last place; below the smallest number it is 0. Taylor's series on
// [-ln 2 / 2, ln 2 / 2]; the power of two is applied in two factors, so that denormal results are rounded once.
template <class T, int V>
FOURFOLD_INLINE Lanes<T, V> exp_of_negative(Lanes<T, V> x) {
    using K = ExpConstants<T>;
    using Vec = Lanes<T, V>;
    using Int = Lanes<typename IntegerOf<T>::type, V>;
    x = x < K::lowest ? Vec{} + K::lowest : x;
    Vec r;
    Int power;
    reduce_by_ln2<T, V>(x, r, power);
    Vec sum = Vec{} + T(1);
    FOURFOLD_UNROLL(16)
    for (int i = K::terms; i >= 1; --i) sum = sum * r * T(1.0 / i) + T(1);
    const Int half = power >> 1;
    const Vec first = same_bits<Vec>((half + K::bias) << K::bits);
    const Vec second = same_bits<Vec>((power - half + K::bias) << K::bits);
    return sum * first * second;
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
