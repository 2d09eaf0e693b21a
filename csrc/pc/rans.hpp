// The entropy coder, as CPU and GPU share it: rANS with 64-bit states in [2^31, 2^63) and 32-bit words.
#pragma once

#include <cstdint>

#include "pc/codec_plan.hpp"
#include "support/host_device.hpp"

namespace fourfold::pc {

inline constexpr std::uint64_t kLowestState = std::uint64_t{1} << 31;

// A state begins as 2^32 plus the checksum of its rows, so that the bits which a first state costs are put to use.
FOURFOLD_INLINE std::uint64_t first_state(std::uint32_t checksum) { return std::uint64_t{1} << 32 | checksum; }
FOURFOLD_INLINE bool is_state(std::uint64_t state) { return state >= kLowestState && state < kLowestState << 32; }

// Encoding an interval of that size: whether the state's lower word has to leave first.
FOURFOLD_INLINE bool gives_word(std::uint64_t state, std::uint32_t size) {
    return state >= std::uint64_t{size} << (63 - kPrecision);
}
FOURFOLD_INLINE std::uint64_t pushed(std::uint64_t state, std::uint32_t start, std::uint32_t size) {
    return (state / size << kPrecision) + state % size + start;
}

// Decoding: where in [0, 2^24) the state's symbol is, and the state without it, which then takes a word if it is below
// kLowestState.
FOURFOLD_INLINE std::int32_t slot_of(std::uint64_t state) {
    return static_cast<std::int32_t>(state & ((std::uint64_t{1} << kPrecision) - 1));
}
FOURFOLD_INLINE std::uint64_t popped(std::uint64_t state, std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(right - left) * (state >> kPrecision) +
           static_cast<std::uint64_t>(slot_of(state) - left);
}

// The rows of stream s of a block of n begin here.
FOURFOLD_INLINE std::int64_t first_row(std::int64_t n, int streams, int s) { return n * s / streams; }

}  // namespace fourfold::pc
