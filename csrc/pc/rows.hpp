// Elementwise work on rows x[image][state], whose width is a multiple of kPad. Included by kernel sources only.
//
// All values are non-negative and finite, and denormals count as zero (the callers set the mode). So floats compare as
// the integers that have the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pc/matmul.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

constexpr std::int32_t kExponentBias = 127;
constexpr std::int32_t kMantissaBits = 23;
constexpr std::int32_t kMantissaMask = (1 << kMantissaBits) - 1;

FOURFOLD_INLINE float power_of_two(std::int32_t exponent) {
    return same_bits<float>((exponent + kExponentBias) << kMantissaBits);
}

template <int S, int... L>
FOURFOLD_INLINE IntVec swapped(IntVec x, std::integer_sequence<int, L...>) {
    return __builtin_shufflevector(x, x, (L ^ S)...);
}

template <int S>
FOURFOLD_INLINE IntVec spread_largest(IntVec x) {
    if constexpr (S < kLanes) {
        const IntVec other = swapped<S>(x, std::make_integer_sequence<int, kLanes>{});
        return spread_largest<2 * S>(x > other ? x : other);
    } else {
        return x;
    }
}

// out[b] = table[code[b]], or out[b] *= table[code[b]].
template <bool Multiply>
void take_rows(const float* table, const std::int32_t* code, std::size_t width, std::size_t count, float* out) {
    for (std::size_t b = 0; b < count; ++b) {
        const float* row = table + static_cast<std::size_t>(code[b]) * width;
        float* to = out + b * width;
        for (std::size_t m = 0; m < width; m += kLanes) {
            Vec x = load<Vec>(row + m);
            if constexpr (Multiply) x *= load<Vec>(to + m);
            store(to + m, x);
        }
    }
}

// table[code[b]] += x[b], in ascending order of b.
void add_rows(const float* x, const std::int32_t* code, std::size_t width, std::size_t count, float* table) {
    for (std::size_t b = 0; b < count; ++b) {
        float* row = table + static_cast<std::size_t>(code[b]) * width;
        const float* from = x + b * width;
        for (std::size_t m = 0; m < width; m += kLanes) store(row + m, load<Vec>(row + m) + load<Vec>(from + m));
    }
}

void copy_to(const float* x, std::size_t size, float* out) {
    for (std::size_t k = 0; k < size; k += kLanes) store(out + k, load<Vec>(x + k));
}

void multiply_into(const float* x, std::size_t size, float* out) {
    for (std::size_t k = 0; k < size; k += kLanes) store(out + k, load<Vec>(out + k) * load<Vec>(x + k));
}

void fill_ones(std::size_t states, std::size_t width, std::size_t count, float* out) {
    for (std::size_t b = 0; b < count; ++b) {
        for (std::size_t m = 0; m < width; ++m) out[b * width + m] = m < states ? 1.0f : 0.0f;
    }
}

// message <- x / message where the message is at least `smallest`, else 0.
void divide_by(const float* x, float* message, std::size_t size, float smallest) {
    for (std::size_t k = 0; k < size; k += kLanes) {
        const Vec divisor = load<Vec>(message + k);
        const IntVec possible = divisor >= smallest;
        const Vec safe = possible ? divisor : Vec{} + 1.0f;
        const Vec quotient = load<Vec>(x + k) / safe;
        store(message + k, possible ? quotient : Vec{});
    }
}

// Each row is divided by the power of two that brings its largest entry into [1, 2); exponent[b] += its exponent. A row
// of zeros stays.
void take_common_exponent(float* x, std::size_t width, std::size_t count, std::int32_t* exponent) {
    for (std::size_t b = 0; b < count; ++b) {
        float* row = x + b * width;
        IntVec largest = {};
        for (std::size_t m = 0; m < width; m += kLanes) {
            const IntVec bits = load<IntVec>(row + m);
            largest = bits > largest ? bits : largest;
        }
        const std::int32_t bits = spread_largest<1>(largest)[0];
        const std::int32_t e = bits == 0 ? 0 : (bits >> kMantissaBits) - kExponentBias;
        const float scale = power_of_two(-e);
        for (std::size_t m = 0; m < width; m += kLanes) store(row + m, load<Vec>(row + m) * scale);
        exponent[b] += e;
    }
}

void zero_exponents(std::int32_t* exponents, std::size_t size) {
    for (std::size_t k = 0; k < size; ++k) exponents[k] = 0;
}

// Brings every entry of x that is not 0 into [1, 2) and adds its exponent to exponents[].
void take_exponents(float* x, std::int32_t* exponents, std::size_t size) {
    for (std::size_t k = 0; k < size; k += kLanes) {
        const IntVec bits = load<IntVec>(x + k);
        const IntVec positive = (bits >> kMantissaBits) > 0;
        const IntVec mantissa = (bits & kMantissaMask) | (kExponentBias << kMantissaBits);
        const IntVec e = (bits >> kMantissaBits) - kExponentBias;
        store(x + k, positive & mantissa);
        store(exponents + k, load<IntVec>(exponents + k) + (positive & e));
    }
}

// The inverse of take_exponents, up to one power of two a row, which goes to exponent[b]: entries less than 2^-126 of
// the row's largest become 0.
void apply_exponents(float* x, const std::int32_t* exponents, std::size_t width, std::size_t count,
                     std::int32_t* exponent) {
    for (std::size_t b = 0; b < count; ++b) {
        float* row = x + b * width;
        const std::int32_t* own = exponents + b * width;
        bool possible = false;
        std::int32_t largest = 0;
        for (std::size_t m = 0; m < width; ++m) {
            if (row[m] > 0.0f && (!possible || own[m] > largest)) {
                possible = true;
                largest = own[m];
            }
        }
        for (std::size_t m = 0; m < width; ++m) {
            const std::int32_t e = own[m] - largest;
            row[m] = row[m] > 0.0f && e >= 1 - kExponentBias ? row[m] * power_of_two(e) : 0.0f;
        }
        exponent[b] += largest;
    }
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
