// The floating-point environment of the coding path: round to nearest, subnormal numbers kept.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace fourfold::pc {
namespace {

// Pins the environment while it lives. A caller may have changed it (torch.set_flush_denormal, -ffast-math in some
// other library), and a decoder that flushes what the encoder did not would read another symbol.
class StandardFloats {
public:
#if defined(__x86_64__)
    __attribute__((always_inline)) StandardFloats() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
    __attribute__((always_inline)) ~StandardFloats() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
    __attribute__((always_inline)) StandardFloats() {
        __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
        __asm__ volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
    }
    __attribute__((always_inline)) ~StandardFloats() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }
#else
#error "pin the rounding mode and subnormal numbers of this architecture"
#endif
    StandardFloats(const StandardFloats&) = delete;
    StandardFloats& operator=(const StandardFloats&) = delete;

private:
#if defined(__x86_64__)
    unsigned before_;
#else
    std::uint64_t before_;
#endif
};

}  // namespace
}  // namespace fourfold::pc
