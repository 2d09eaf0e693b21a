// cos and sin of angles beyond the range of support/sincos.hpp, up to the largest double, in registers: CUDA's own keep
// the long product in memory. Internal linkage: included by GPU sources, and by tests that run them on the host.
#pragma once

#include <cstdint>

#include "support/bits.hpp"
#include "support/sincos.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// 64 bits of 2/pi from the bit `first` behind the point on; bits before the point are 0.
FOURFOLD_INLINE std::uint64_t bits_of_two_over_pi(int first) {
    static constexpr std::uint64_t words[] = {
        0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u, 0xfe5163abdebbc561u, 0xb7246e3a424dd2e0u,
        0x06492eea09d1921cu, 0xfe1deb1cb129a73eu, 0xe88235f52ebb4484u, 0xe99c7026b45f7e41u, 0x3991d639835339f4u,
        0x9c845f8bbdf9283bu, 0x1ff897ffde05980fu, 0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du,
        0x7527bac7ebe5f17bu, 0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu, 0xf0cfbc209af4361du};
    const int place = first >> 6, shift = first & 63;
    const std::uint64_t high = place < 0 ? 0 : words[place], low = words[place + 1];
    return shift == 0 ? high : high << shift | low >> (64 - shift);
}

// |x| = (quadrant + share) pi/2 with |share| <= 1/2, as Payne and Hanek do it: of |x| = m 2^e times 2/pi, all that is
// no multiple of 4 and no smaller than 2^-137. Finite x with |x| >= 1.
FOURFOLD_INLINE double quarter_turns(double x, unsigned& quadrant) {
    __extension__ typedef unsigned __int128 Wide;
    const auto bits = same_bits<std::uint64_t>(x);
    const int exponent = static_cast<int>((bits >> 52) & 0x7ff) - 1075;
    const std::uint64_t m = (bits & 0xfffffffffffffu) | 0x10000000000000u;
    const Wide third = Wide(m) * bits_of_two_over_pi(exponent + 126);
    const Wide second = Wide(m) * bits_of_two_over_pi(exponent + 62) + static_cast<std::uint64_t>(third >> 64);
    const std::uint64_t first = m * bits_of_two_over_pi(exponent - 2) + static_cast<std::uint64_t>(second >> 64);
    // In units of 2^-126: two bits of whole quarter turns before.
    Wide share = Wide(first) << 64 | static_cast<std::uint64_t>(second);
    quadrant = static_cast<unsigned>(first >> 62);
    share = share << 2 | static_cast<std::uint64_t>(third) >> 62;
    const bool beyond_half = (share >> 127) != 0;
    if (beyond_half) {
        share = -share;
        ++quadrant;
    }
    const double size = static_cast<double>(static_cast<std::uint64_t>(share >> 64)) * 0x1p-64 +
                        static_cast<double>(static_cast<std::uint64_t>(share)) * 0x1p-128;
    return beyond_half ? -size : size;
}

template <class T>
FOURFOLD_INLINE void sincos_of_far(T x, T& cosine, T& sine) {
    if (x - x != 0) {  // infinity or NaN
        cosine = sine = x - x;
        return;
    }
    unsigned quadrant;
    const double share = quarter_turns(static_cast<double>(x), quadrant);
    double c1, s;
    sincos<double, 1>(share * 1.5707963267948966192, 0.0, c1, s);
    const double c = 1.0 + c1;
    const double turned_cosine = (quadrant & 1) != 0 ? s : c, turned_sine = (quadrant & 1) != 0 ? c : s;
    const bool minus_cosine = ((quadrant + 1) & 2) != 0, minus_sine = ((quadrant & 2) != 0) != (x < 0);
    cosine = static_cast<T>(minus_cosine ? -turned_cosine : turned_cosine);
    sine = static_cast<T>(minus_sine ? -turned_sine : turned_sine);
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
