// Rows of cells to and from the lanes of the kernels, and their checksum.
#pragma once

#include <cstring>
#include <vector>

#include "pc/codec.hpp"
#include "pc/crc32.hpp"
#include "pc/rans.hpp"

namespace fourfold::pc {

// The checksum of rows: of their values as bytes if no variable has more than 256, else as little-endian 16-bit
// words; a value that is missing counts as 0.
class RowChecksum {
public:
    explicit RowChecksum(const Plan& plan)
        : wide_(plan.most_values > 256), bytes_(static_cast<std::size_t>(plan.variables) * (wide_ ? 2 : 1)) {}

    void add(const Cells& cells, std::int64_t row, int variables) {
        const std::int64_t begin = row * variables;
        if (!wide_ && cells.size == 1) {
            crc_.add(static_cast<const std::uint8_t*>(cells.data) + begin, bytes_.size());
            return;
        }
        for (int i = 0; i < variables; ++i) {
            const std::int32_t value = cell(cells, begin + i);
            const std::uint32_t x = value < 0 ? 0 : static_cast<std::uint32_t>(value);
            if (wide_) {
                bytes_[2 * i] = static_cast<std::uint8_t>(x);
                bytes_[2 * i + 1] = static_cast<std::uint8_t>(x >> 8);
            } else {
                bytes_[i] = static_cast<std::uint8_t>(x);
            }
        }
        crc_.add(bytes_.data(), bytes_.size());
    }
    std::uint32_t value() const { return crc_.value(); }
    void restart() { crc_ = Crc32(); }

private:
    bool wide_;
    std::vector<std::uint8_t> bytes_;
    Crc32 crc_;
};

inline bool in_range(const Plan& plan, const Cells& cells, std::int64_t row) {
    const std::int64_t begin = row * plan.variables;
    const std::int32_t missing = cells.size == 4 ? -1 : 0;
    bool good = true;
    for (int i = 0; i < plan.variables; ++i) {
        const std::int32_t value = cell(cells, begin + i);
        good &= value >= missing && value < plan.cardinality[i];
    }
    return good;
}

}  // namespace fourfold::pc
