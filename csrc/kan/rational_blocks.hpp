// How blocks of GPU threads divide x, seen as [rows][groups][run]. A block has kWarps warps of kLanes threads; a thread
// owns a column, V neighbouring elements (16 bytes, or one element), and walks down the rows, so that its group, its
// coefficients and its sums stay in registers.
//
// By rows: a row, or `folded_rows` of them together where one leaves too many lanes idle, is cut into tiles of kLanes
// columns, and the rows into chunks. By segments, where runs are long: each run is a segment, folded into rows of
// kLanes columns. Either way block = (segment chunks + chunk) tiles + tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kan/rational.hpp"
#include "support/host_device.hpp"

namespace fourfold::kan {

inline constexpr std::uint32_t kLanes = 32, kWarps = 8;

struct RationalBlocks {
    std::uint64_t segment_length, row_length, run;  // in elements; a row is one of a segment
    std::uint64_t rows, rows_per_chunk;             // of a segment
    std::uint64_t segments, chunks, tiles;
    std::uint64_t columns;      // of a row
    std::uint32_t folded_rows;  // by rows: how many rows of x are one
    std::uint32_t groups, elements;
    bool by_segment;

    FOURFOLD_HOST_DEVICE std::uint64_t count() const { return segments * chunks * tiles; }
    // Columns of a row of x.
    FOURFOLD_HOST_DEVICE std::uint64_t columns_of_x() const { return columns / folded_rows; }
};

// What a thread owns: its columns start at first, first + step, .. while that is less than end. Only the last may reach
// beyond limit.
struct RationalColumns {
    std::uint64_t first, step, end, limit;
    std::uint32_t group;
};

FOURFOLD_HOST_DEVICE inline RationalColumns columns_of(const RationalBlocks& blocks, std::uint64_t block,
                                                       std::uint32_t warp, std::uint32_t lane) {
    const std::uint64_t tile = block % blocks.tiles, rest = block / blocks.tiles;
    const std::uint64_t chunk = rest % blocks.chunks, segment = rest / blocks.chunks;
    const std::uint64_t column = tile * kLanes + lane, row = chunk * blocks.rows_per_chunk;
    const std::uint64_t left = blocks.rows - row;
    const std::uint64_t rows = left < blocks.rows_per_chunk ? left : blocks.rows_per_chunk;
    const std::uint64_t base = segment * blocks.segment_length, limit = base + blocks.segment_length;
    RationalColumns own;
    own.first = base + (row + warp) * blocks.row_length + column * blocks.elements;
    own.step = kWarps * blocks.row_length;
    own.end = base + (row + rows) * blocks.row_length;
    if (own.end > limit) own.end = limit;
    if (column >= blocks.columns) own.end = 0;
    own.limit = limit;
    own.group = static_cast<std::uint32_t>(
        blocks.by_segment ? segment % blocks.groups : column % blocks.columns_of_x() * blocks.elements / blocks.run);
    if (own.group >= blocks.groups) own.group = 0;  // idle lanes of the last tile
    return own;
}

// Where in the partial sums, [block][term][kLanes], those of one group lie: place 0 .. places - 1 of them.
struct SumPlace {
    std::uint64_t block;
    std::uint32_t lane;
};

FOURFOLD_HOST_DEVICE inline std::uint64_t sum_places(const RationalBlocks& blocks) {
    if (blocks.by_segment) return blocks.segments / blocks.groups * blocks.chunks * kLanes;
    return blocks.chunks * blocks.folded_rows * (blocks.run / blocks.elements);
}

FOURFOLD_HOST_DEVICE inline SumPlace sum_place(const RationalBlocks& blocks, std::uint32_t group, std::uint64_t place) {
    if (blocks.by_segment) {
        const std::uint64_t chunk = place / kLanes % blocks.chunks, row = place / kLanes / blocks.chunks;
        return {(row * blocks.groups + group) * blocks.chunks + chunk, static_cast<std::uint32_t>(place % kLanes)};
    }
    const std::uint64_t of_run = blocks.run / blocks.elements, of_row = of_run * blocks.folded_rows;
    const std::uint64_t chunk = place / of_row, folded = place % of_row / of_run;
    const std::uint64_t column = folded * blocks.columns_of_x() + group * of_run + place % of_run;
    return {chunk * blocks.tiles + column / kLanes, static_cast<std::uint32_t>(column % kLanes)};
}

// `elements` a column; `multiprocessors` of the GPU. A function of these and the shape alone.
RationalBlocks rational_blocks(const RationalShape& shape, std::uint32_t elements, int multiprocessors);

// How many elements a column may have where x, and all that is laid out like it, starts at a multiple of 16 bytes: as
// many as fill 16 bytes if no column reaches into another run, else 1.
std::uint32_t elements_of_column(const RationalShape& shape);

}  // namespace fourfold::kan
