// A column: V neighbouring elements of type S that a thread reads and writes at once. Internal linkage: included by
// GPU sources, and by tests that run them on the host.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kan/element.hpp"
#include "kan/pack.hpp"
#include "support/bits.hpp"
#include "support/host_device.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

FOURFOLD_INLINE double widened(double value) { return value; }
FOURFOLD_INLINE float widened(float value) { return value; }
FOURFOLD_INLINE float widened(BFloat16 value) { return same_bits<float>(static_cast<std::uint32_t>(value.bits) << 16); }
FOURFOLD_INLINE float widened(Float16 value) {
#if defined(__CUDA_ARCH__)
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
    return result;
#else
    const std::uint32_t magnitude = value.bits & 0x7fffu, sign = (value.bits & 0x8000u) << 16;
    // The exponent is moved by a product, which makes subnormals normal; infinity and NaN have one of their own.
    const float finite = same_bits<float>(magnitude << 13) * 0x1p112f;
    const std::uint32_t bits =
        magnitude >= 0x7c00u ? (magnitude << 13) | 0x7f800000u : same_bits<std::uint32_t>(finite);
    return same_bits<float>(bits | sign);
#endif
}

template <class S>
FOURFOLD_INLINE S narrowed(typename ComputeOf<S>::type value) {
    return value;
}
template <>
FOURFOLD_INLINE BFloat16 narrowed<BFloat16>(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    BFloat16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    return result;
#else
    const auto bits = same_bits<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return {static_cast<std::uint16_t>(value == value ? rounded : 0x7fffu)};
#endif
}
template <>
FOURFOLD_INLINE Float16 narrowed<Float16>(float value) {
#if defined(__CUDA_ARCH__)
    Float16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    return result;
#else
    const auto bits = same_bits<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7fffffffu, sign = (bits >> 16) & 0x8000u;
    std::uint32_t result = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    // Subnormal: adding 0.5 leaves the rounded count of 2^-24 in the last bits.
    if (magnitude < 0x38800000u) result = same_bits<std::uint32_t>(same_bits<float>(magnitude) + 0.5f) - 0x3f000000u;
    if (magnitude >= 0x477ff000u) result = 0x7c00u;
    if (magnitude > 0x7f800000u) result = 0x7e00u;
    return {static_cast<std::uint16_t>(result | sign)};
#endif
}

// Two, the first in the lower half.
template <class S>
FOURFOLD_INLINE std::uint32_t narrowed_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    std::uint32_t word;
    if constexpr (std::is_same_v<S, BFloat16>) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    } else {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    }
    return word;
#else
    const std::uint32_t above = narrowed<S>(high).bits;
    return narrowed<S>(low).bits | above << 16;
#endif
}

// The element types in 32-bit words of 16 bytes, as one access loads them.
template <class S, int V>
struct alignas(sizeof(S) * V) Column {
    static_assert(sizeof(S) * V == 16);
    static constexpr int words = 4;
    std::uint32_t word[words];
};
template <class S>
struct Column<S, 1> {
    S element;
};

template <class S, int V>
FOURFOLD_INLINE S element_of(const Column<S, V>& column, int k) {
    if constexpr (V == 1) {
        return column.element;
    } else if constexpr (sizeof(S) == 8) {
        return same_bits<S>(static_cast<std::uint64_t>(column.word[2 * k + 1]) << 32 | column.word[2 * k]);
    } else if constexpr (sizeof(S) == 4) {
        return same_bits<S>(column.word[k]);
    } else {
        return {static_cast<std::uint16_t>(k % 2 == 0 ? column.word[k / 2] : column.word[k / 2] >> 16)};
    }
}

// Two numbers side by side, or for a column of one element that one.
template <class S, int V>
FOURFOLD_INLINE auto numbers_of(const Column<S, V>& column, int k) {
    constexpr int K = V == 1 ? 1 : 2;
    return each<K>([&](int i) { return widened(element_of(column, k + i)); });
}

template <class S, int V, class T, int K>
FOURFOLD_INLINE void set_numbers(Column<S, V>& column, int k, Pack<T, K> values) {
    if constexpr (V == 1) {
        column.element = narrowed<S>(values.v[0]);
    } else if constexpr (sizeof(S) == 8) {
        for (int i = 0; i < 2; ++i) {
            const auto bits = same_bits<std::uint64_t>(values.v[i]);
            column.word[2 * (k + i)] = static_cast<std::uint32_t>(bits);
            column.word[2 * (k + i) + 1] = static_cast<std::uint32_t>(bits >> 32);
        }
    } else if constexpr (sizeof(S) == 4) {
        for (int i = 0; i < 2; ++i) column.word[k + i] = same_bits<std::uint32_t>(values.v[i]);
    } else {
        column.word[k / 2] = narrowed_pair<S>(values.v[0], values.v[1]);
    }
}

template <class S, int V>
FOURFOLD_INLINE void clear(Column<S, V>& column, int k) {
    if constexpr (V == 1) {
        column.element = S{};
    } else if constexpr (sizeof(S) == 8) {
        column.word[2 * k] = column.word[2 * k + 1] = 0;
    } else if constexpr (sizeof(S) == 4) {
        column.word[k] = 0;
    } else {
        column.word[k / 2] &= k % 2 == 0 ? 0xffff0000u : 0x0000ffffu;
    }
}

// Calls work(number of the first) for each pair of a column's elements, or for the one that it has. Rolled: once for
// the first pair of columns that are turned from turn to turn (a register must be named when this is compiled), which
// makes less code of long work.
template <class S, int V>
FOURFOLD_INLINE void turn(Column<S, V>& column) {
    if constexpr (V > 2) {
        constexpr int step = sizeof(S) == 4 ? 2 : 1;
        const Column<S, V> before = column;
        FOURFOLD_UNROLL(4)
        for (int k = 0; k < 4; ++k) column.word[k] = before.word[(k + step) % 4];
    }
}
template <bool rolled, int V, class Work, class... Columns>
FOURFOLD_INLINE void for_pairs(Work work, Columns&... columns) {
    if constexpr (rolled && V > 2) {
        FOURFOLD_ROLLED
        for (int k = 0; k < V; k += 2) {
            work(0);
            (turn(columns), ...);
        }
    } else {
        FOURFOLD_UNROLL(8)
        for (int k = 0; k < V; k += 2) work(k);
    }
}

// `available` elements may be read; what is missing of a column is zero.
template <class S, int V>
FOURFOLD_INLINE Column<S, V> load_column(const S* from, std::uint64_t available) {
    Column<S, V> column;
    if constexpr (V == 1) {
        column.element = *from;
    } else if (available >= V) {
        column = *reinterpret_cast<const Column<S, V>*>(from);
    } else {
        S elements[V];
        FOURFOLD_UNROLL(8)
        for (int k = 0; k < V; ++k) elements[k] = static_cast<std::uint64_t>(k) < available ? from[k] : S{};
        std::memcpy(&column, elements, sizeof column);
    }
    return column;
}

template <class S, int V>
FOURFOLD_INLINE void store_column(S* to, std::uint64_t available, const Column<S, V>& column) {
    if constexpr (V == 1) {
        *to = column.element;
    } else if (available >= V) {
        *reinterpret_cast<Column<S, V>*>(to) = column;
    } else {
        FOURFOLD_UNROLL(8)
        for (int k = 0; k < V; ++k) {
            if (static_cast<std::uint64_t>(k) < available) to[k] = element_of(column, k);
        }
    }
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
