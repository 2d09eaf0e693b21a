// Single precision as the coding path needs it: every operation rounded once, to nearest, subnormal numbers kept. On a
// GPU these are the instructions that no compiler contracts into a fused multiply-add; on the host they are the plain
// operations, and the source that includes this is compiled with -ffp-contract=off. Internal linkage.
#pragma once

#include <cstdint>
#include <cstring>

#include "support/host_device.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

#if defined(__CUDA_ARCH__)
FOURFOLD_INLINE float sum_of(float a, float b) { return __fadd_rn(a, b); }
FOURFOLD_INLINE float difference_of(float a, float b) { return __fsub_rn(a, b); }
FOURFOLD_INLINE float product_of(float a, float b) { return __fmul_rn(a, b); }
FOURFOLD_INLINE float quotient_of(float a, float b) { return __fdiv_rn(a, b); }
#else
FOURFOLD_INLINE float sum_of(float a, float b) { return a + b; }
FOURFOLD_INLINE float difference_of(float a, float b) { return a - b; }
FOURFOLD_INLINE float product_of(float a, float b) { return a * b; }
FOURFOLD_INLINE float quotient_of(float a, float b) { return a / b; }
#endif

FOURFOLD_INLINE std::uint32_t bits_of(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
FOURFOLD_INLINE float float_of(std::uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Four neighbours, which one access loads. At a multiple of 16 bytes.
struct alignas(16) Four {
    float v[4];
};
FOURFOLD_INLINE Four four_at(const float* from) { return *reinterpret_cast<const Four*>(from); }

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
