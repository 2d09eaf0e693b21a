// Rows of values as Python has them.
#pragma once

#include <cstdint>

#include "support/host_device.hpp"

namespace fourfold::pc {

// Cells of a row: `size` bytes each, 1 and 2 unsigned, 4 signed. In cells of 4 bytes -1 is a value that is missing:
// nothing is coded for it.
struct Cells {
    void* data;
    int size;
};

FOURFOLD_INLINE std::int32_t cell(const Cells& cells, std::int64_t at) {
    switch (cells.size) {
        case 1: return static_cast<const std::uint8_t*>(cells.data)[at];
        case 2: return static_cast<const std::uint16_t*>(cells.data)[at];
        default: return static_cast<const std::int32_t*>(cells.data)[at];
    }
}

FOURFOLD_INLINE void set_cell(const Cells& cells, std::int64_t at, std::int32_t value) {
    switch (cells.size) {
        case 1: static_cast<std::uint8_t*>(cells.data)[at] = static_cast<std::uint8_t>(value); break;
        case 2: static_cast<std::uint16_t*>(cells.data)[at] = static_cast<std::uint16_t>(value); break;
        default: static_cast<std::int32_t*>(cells.data)[at] = value;
    }
}

}  // namespace fourfold::pc
