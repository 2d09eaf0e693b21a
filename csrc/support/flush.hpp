// Denormal numbers count as zero while one of these is alive.
#pragma once

#if FOURFOLD_X86_LEVELS
#include <xmmintrin.h>
#endif

namespace fourfold {

// Numbers below the smallest normal one of float, 2^-126, do not matter to what they are added to, but arithmetic on
// them is a hundred times slower. The caller's mode comes back at the end. Nothing happens where it is not wanted.
class DenormalsAreZero {
public:
#if FOURFOLD_X86_LEVELS
    explicit DenormalsAreZero(bool wanted = true) : before_(_mm_getcsr()) {
        if (wanted) _mm_setcsr((before_ & ~kRounding) | kFlushToZero | kDenormalsAreZero);
    }
    ~DenormalsAreZero() { _mm_setcsr(before_); }

private:
    static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040, kRounding = 0x6000;
    unsigned before_;
#else
    explicit DenormalsAreZero(bool = true) {}
    ~DenormalsAreZero() {}
#endif
public:
    DenormalsAreZero(const DenormalsAreZero&) = delete;
    DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
};

}  // namespace fourfold
