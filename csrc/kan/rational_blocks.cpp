#include "kan/rational_blocks.hpp"

#include <algorithm>

namespace fourfold::kan {

namespace {

// Blocks for each multiprocessor: several waves of what is resident at a time (four or so), so that the last wave is a
// small part of the whole.
constexpr std::uint64_t kBlocksPerMultiprocessor = 16;
// How many columns a thread may walk down at most: its sums, in float32, have so many terms.
constexpr std::uint64_t kLongestWalk = 1024;
// Where the rows are fewer than this, runs of at least kLongRun columns become segments: partial sums of columns that
// are as many as the elements of a row would be as many as a part of x.
constexpr std::uint64_t kFewRows = 1024;
constexpr std::uint64_t kLongRun = 8 * kLanes * kWarps;

std::uint64_t divided_up(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

}  // namespace

std::uint32_t elements_of_column(const RationalShape& shape) {
    const std::uint32_t size = shape.storage == Storage::float64 ? 8 : shape.storage == Storage::float32 ? 4 : 2;
    const std::uint32_t most = 16 / size;
    return shape.groups == 1 || shape.run % most == 0 ? most : 1;
}

RationalBlocks rational_blocks(const RationalShape& shape, std::uint32_t elements, int multiprocessors) {
    RationalBlocks blocks{};
    blocks.groups = static_cast<std::uint32_t>(shape.groups);
    blocks.elements = elements;
    blocks.run = shape.groups == 1 ? shape.rows * shape.run : shape.run;
    blocks.folded_rows = 1;
    blocks.by_segment = shape.groups == 1 || (shape.rows < kFewRows && shape.run >= kLongRun * elements);
    if (blocks.by_segment) {
        blocks.segments = shape.groups == 1 ? 1 : shape.rows * shape.groups;
        blocks.segment_length = blocks.run;
        blocks.columns = kLanes;
        blocks.row_length = std::uint64_t{kLanes} * elements;
        blocks.rows = divided_up(blocks.run, blocks.row_length);
    } else {
        const std::uint64_t of_row = shape.groups * shape.run / elements;
        // So many rows together that nine lanes of ten have a column.
        while (blocks.folded_rows < kLanes) {
            const std::uint64_t columns = of_row * blocks.folded_rows;
            if (10 * columns >= 9 * kLanes * divided_up(columns, kLanes)) break;
            ++blocks.folded_rows;
        }
        blocks.segments = 1;
        blocks.segment_length = shape.rows * shape.groups * shape.run;
        blocks.columns = of_row * blocks.folded_rows;
        blocks.row_length = blocks.columns * elements;
        blocks.rows = divided_up(shape.rows, blocks.folded_rows);
    }
    blocks.tiles = divided_up(blocks.columns, kLanes);
    const std::uint64_t wanted = kBlocksPerMultiprocessor * static_cast<std::uint64_t>(multiprocessors);
    const std::uint64_t few = divided_up(wanted, blocks.segments * blocks.tiles);
    const std::uint64_t chunks = std::clamp(few, divided_up(blocks.rows, kWarps * kLongestWalk),
                                            std::max<std::uint64_t>(divided_up(blocks.rows, kWarps), 1));
    // Whole steps of all warps.
    blocks.rows_per_chunk = divided_up(divided_up(blocks.rows, chunks), kWarps) * kWarps;
    blocks.chunks = divided_up(blocks.rows, blocks.rows_per_chunk);
    return blocks;
}

}  // namespace fourfold::kan
