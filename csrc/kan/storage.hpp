// Loads and stores of the element types as vectors of the type that is computed in. Internal linkage: included by
// kernel sources only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kan/element.hpp"
#include "support/simd.hpp"

#if FOURFOLD_LEVEL_INDEX >= 1
#include <immintrin.h>
#endif

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

#if FOURFOLD_LEVEL_INDEX == 2
inline constexpr int kVectorBytes = 64;
#elif FOURFOLD_LEVEL_INDEX == 1
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

// Signed integers as wide as what is stored.
template <class S>
struct BitsOf : IntegerOf<S> {};
template <>
struct BitsOf<BFloat16> {
    using type = std::int16_t;
};
template <>
struct BitsOf<Float16> {
    using type = std::int16_t;
};

template <class S>
struct Vector {
    using T = typename ComputeOf<S>::type;
    static constexpr int lanes = kVectorBytes / static_cast<int>(sizeof(T));
    using type = Lanes<T, lanes>;
    using Integers = Lanes<typename IntegerOf<T>::type, lanes>;
};

using Words = Lanes<std::uint32_t, kVectorBytes / 4>;
using HalfWords = Lanes<std::uint16_t, kVectorBytes / 4>;
using Floats = Lanes<float, kVectorBytes / 4>;
using Doubles = Lanes<double, kVectorBytes / 8>;

FOURFOLD_INLINE Words widened(const void* from) {
    return __builtin_convertvector(load<HalfWords>(static_cast<const std::uint16_t*>(from)), Words);
}
FOURFOLD_INLINE void store_narrowed(void* to, Words words) {
    store(static_cast<std::uint16_t*>(to), __builtin_convertvector(words, HalfWords));
}

FOURFOLD_INLINE Floats load_as(const float* from) { return load<Floats>(from); }
FOURFOLD_INLINE typename Vector<double>::type load_as(const double* from) {
    return load<typename Vector<double>::type>(from);
}
FOURFOLD_INLINE Floats load_as(const BFloat16* from) { return same_bits<Floats>(widened(from) << 16); }

FOURFOLD_INLINE void store_as(float* to, Floats v) { store(to, v); }
FOURFOLD_INLINE void store_as(double* to, typename Vector<double>::type v) { store(to, v); }
// The upper half is the nearest bfloat16, ties to even. NaN stays NaN as long as the lower half of its bits is zero, as
// it is in every NaN that comes from a bfloat16 or from arithmetic: coefficients have theirs replaced.
FOURFOLD_INLINE Words rounded_to_bfloat16(Floats v) {
    const Words bits = same_bits<Words>(v);
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}
FOURFOLD_INLINE void store_as(BFloat16* to, Floats v) { store_narrowed(to, rounded_to_bfloat16(v) >> 16); }

#if FOURFOLD_LEVEL_INDEX == 2
// With an explicit mask: GCC 12 warns that the vector which the plain intrinsics leave undefined is not initialised.
FOURFOLD_INLINE Floats load_as(const Float16* from) {
    return same_bits<Floats>(_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
}
FOURFOLD_INLINE void store_as(Float16* to, Floats v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_maskz_cvtps_ph(0xffff, same_bits<__m512>(v), _MM_FROUND_TO_NEAREST_INT));
}
#elif FOURFOLD_LEVEL_INDEX == 1
FOURFOLD_INLINE Floats load_as(const Float16* from) {
    return same_bits<Floats>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
FOURFOLD_INLINE void store_as(Float16* to, Floats v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(same_bits<__m256>(v), _MM_FROUND_TO_NEAREST_INT));
}
#else
// Exponents are moved by a multiplication, which also makes subnormals of one type normal in the other.
FOURFOLD_INLINE Floats load_as(const Float16* from) {
    const Words half = widened(from);
    const Words sign = (half & 0x8000u) << 16;
    const Floats magnitude = same_bits<Floats>((half & 0x7fffu) << 13) * 0x1p112f;
    const Words finite = same_bits<Words>(magnitude);
    const Words beyond = ((half & 0x3ffu) << 13) | 0x7f800000u;  // infinity, NaN
    return same_bits<Floats>((((half & 0x7c00u) == 0x7c00u) ? beyond : finite) | sign);
}
FOURFOLD_INLINE void store_as(Float16* to, Floats v) {
    const Words bits = same_bits<Words>(v);
    const Words sign = (bits >> 16) & 0x8000u;
    const Words magnitude = bits & 0x7fffffffu;
    // Subnormal in float16: adding 0.5 leaves the rounded count of 2^-24 in the last bits.
    const Words small = same_bits<Words>(same_bits<Floats>(magnitude) + 0.5f) - 0x3f000000u;
    const Words normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    const Words infinity = Words{} + 0x7c00u;
    Words result = (magnitude < 0x38800000u) ? small : normal;
    result = (magnitude >= 0x477ff000u) ? infinity : result;
    result = (magnitude > 0x7f800000u) ? ((magnitude >> 13) & 0x3ffu) | 0x7e00u : result;
    store_narrowed(to, result | sign);
}
#endif

// One number.
FOURFOLD_INLINE double load_one(const double* from) { return *from; }
FOURFOLD_INLINE float load_one(const float* from) { return *from; }
FOURFOLD_INLINE void store_one(double* to, double value) { *to = value; }
FOURFOLD_INLINE void store_one(float* to, float value) { *to = value; }
template <class S>
float load_one(const S* from) {
    S several[Vector<S>::lanes] = {};
    several[0] = *from;
    return load_as(several)[0];
}
template <class S>
void store_one(S* to, float value) {
    S several[Vector<S>::lanes];
    Floats v{};
    v[0] = value;
    store_as(several, v);
    *to = several[0];
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
