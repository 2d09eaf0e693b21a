// Which values of a block are missing: an adaptive binary arithmetic coder with one context a column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fourfold::pc {

// missing[rows][columns], 0 or 1, row by row.
std::vector<std::uint8_t> encode_missing(const std::uint8_t* missing, std::int64_t rows, std::int64_t columns);

// Reads as many bits as there are values; bytes that are not there count as zero, what is left over is ignored. Any
// input gives an answer.
void decode_missing(const std::uint8_t* in, std::int64_t length, std::uint8_t* missing, std::int64_t rows,
                    std::int64_t columns);

}  // namespace fourfold::pc
