// The arithmetic of a rational function in scalars, as a GPU has it; see rational_formula.hpp. Internal linkage:
// included by GPU sources, and by tests that run them on the host.
//
// Variant A divides as the CPU's AVX-512 level does (reciprocal.hpp): an estimate of 1/q, here to 2^-23 (double:
// 2^-20), and Newton's steps; q is between 1 and 13 x 2^66 (double: 2^520), so nothing comes near the ends of the
// range. The others divide as IEEE 754 says, because Q of variant N may be 0 or denormal.
#pragma once

#include <cmath>

#include "kan/gpu_column.hpp"
#include "support/host_device.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

#if defined(__CUDA_ARCH__)
FOURFOLD_INLINE float estimate(float q) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(q));
    return r;
}
FOURFOLD_INLINE double estimate(double q) {
    double r;
    asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(q));
    return r;
}
#else
// As wrong as the GPU's may be.
FOURFOLD_INLINE float estimate(float q) { return 1 / q * (1 + 0x1p-23f); }
FOURFOLD_INLINE double estimate(double q) { return 1 / q * (1 + 0x1p-20); }
#endif

template <class T>
FOURFOLD_INLINE T improved(T r, T q) {
    return std::fma(r, std::fma(-q, r, T(1)), r);
}
FOURFOLD_INLINE float reciprocal(float q) { return improved(estimate(q), q); }
FOURFOLD_INLINE double reciprocal(double q) { return improved(improved(estimate(q), q), q); }
FOURFOLD_INLINE float first_reciprocal(float q) { return estimate(q); }
FOURFOLD_INLINE double first_reciprocal(double q) { return improved(estimate(q), q); }
template <class T>
FOURFOLD_INLINE T quotient(T p, T q) {
    const T r = first_reciprocal(q), f = p * r;
    return std::fma(r, std::fma(-q, f, p), f);
}

template <class T, bool Absolute>
struct Formula {
    static constexpr bool absolute = Absolute;
    using Vec = T;

    T constant;
    bool folded;

    FOURFOLD_INLINE static T variable(T x) { return Absolute ? std::fabs(x) : x; }
    FOURFOLD_INLINE static T signed_as(T v, T x) { return x < 0 ? -v : v; }
    FOURFOLD_INLINE static T with_sign(T v, bool negative) { return negative ? -v : v; }
    FOURFOLD_INLINE bool fold(T w) const { return folded && w < 0; }
    FOURFOLD_INLINE T denominator(T w) const { return constant + with_sign(w, fold(w)); }
    FOURFOLD_INLINE T divided(T p, T w) const {
        if constexpr (Absolute) return quotient(p, w);
        return p / denominator(w);
    }
    FOURFOLD_INLINE T inverse_of_denominator(T w) const {
        if constexpr (Absolute) return reciprocal(w);
        return 1 / denominator(w);
    }
};

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
