// Denormal numbers count as zero while one of these is alive.
#pragma once

#if FOURFOLD_X86_LEVELS
#include <xmmintrin.h>
#endif

namespace fourfold::pc {

// States that are 2^-126 less likely than others do not matter to a sum, but arithmetic on denormals is a hundred times
// slower. The caller's mode comes back at the end.
class DenormalsAreZero {
public:
#if FOURFOLD_X86_LEVELS
    DenormalsAreZero() : before_(_mm_getcsr()) {
        _mm_setcsr((before_ & ~kRounding) | kFlushToZero | kDenormalsAreZero);
    }
    ~DenormalsAreZero() { _mm_setcsr(before_); }

private:
    static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040, kRounding = 0x6000;
    unsigned before_;
#else
    DenormalsAreZero() {}
    ~DenormalsAreZero() {}
#endif
public:
    DenormalsAreZero(const DenormalsAreZero&) = delete;
    DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
};

}  // namespace fourfold::pc
