// How blocks of GPU threads divide x[rows][features] and the functions of it. A thread's lane is its feature, so that
// neighbours read and write neighbouring numbers; the rows come in chunks, of which each block has one. Either
//
//   - a warp has one function: its centre and scale (or whatever two numbers the function has) and the sums of their
//     gradients stay in registers while the rows go by, a turn of them at a time; or
//   - a thread has all functions of its feature, and the warps take the rows of the chunk in turn.
#pragma once

#include <algorithm>
#include <cstdint>

#include "support/host_device.hpp"

namespace fourfold::kan {

inline constexpr std::uint32_t kFeaturesOfBlock = 32, kMostWarps = 8, kRowsOfTurn = 4;

struct BasesBlocks {
    std::uint64_t rows, features, rows_per_chunk, chunks;
    std::uint64_t tiles;  // of kFeaturesOfBlock features
    std::uint32_t functions, slabs, warps;

    // With the functions of a slab side by side, as many blocks as slabs.
    FOURFOLD_HOST_DEVICE std::uint64_t count(bool all_slabs_in_one) const {
        return chunks * tiles * (all_slabs_in_one ? 1 : slabs);
    }
    unsigned threads() const { return warps * kFeaturesOfBlock; }
};

// Where a thread of such a block is.
struct BasesPlace {
    std::uint64_t feature, begin, end, chunk;  // rows begin .. end
    std::uint32_t slab, warp, lane;

    FOURFOLD_HOST_DEVICE BasesPlace(const BasesBlocks& blocks, bool all_slabs_in_one, std::uint64_t block,
                                    unsigned thread) {
        const std::uint64_t rest = block / blocks.tiles;
        lane = thread % kFeaturesOfBlock;
        warp = thread / kFeaturesOfBlock;
        feature = block % blocks.tiles * kFeaturesOfBlock + lane;
        slab = all_slabs_in_one ? 0 : static_cast<std::uint32_t>(rest % blocks.slabs);
        chunk = all_slabs_in_one ? rest : rest / blocks.slabs;
        begin = chunk * blocks.rows_per_chunk;
        end = begin + blocks.rows_per_chunk < blocks.rows ? begin + blocks.rows_per_chunk : blocks.rows;
    }
};

// Where a thread has all functions: calls work(feature, index of x, of the first function's value) for its rows.
template <class Block, class Work>
FOURFOLD_INLINE void for_rows_of(const Block& block, const BasesBlocks& blocks, unsigned thread, Work work) {
    const BasesPlace place(blocks, false, block.index(), thread);
    if (place.feature >= blocks.features) return;
    for (std::uint64_t row = place.begin + place.warp; row < place.end; row += blocks.warps) {
        work(place.feature, row * blocks.features + place.feature,
             row * blocks.functions * blocks.features + place.feature);
    }
}

// One function a warp: slabs of at most kMostWarps functions, as equal as can be. Otherwise kMostWarps rows side by
// side. A function of these numbers alone, so that sums over chunks are the same in every run.
inline BasesBlocks bases_blocks(std::uint64_t rows, std::uint64_t features, std::uint32_t functions,
                                bool function_a_warp, int multiprocessors) {
    // Several waves of what is resident at a time, so that the last one is a small part of the whole; at most so many
    // terms in a sum of float32.
    constexpr std::uint64_t blocks_per_multiprocessor = 16, longest_chunk = 1024;
    const auto divided_up = [](std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; };
    BasesBlocks blocks{};
    blocks.rows = rows;
    blocks.features = features;
    blocks.functions = functions;
    blocks.tiles = divided_up(features, kFeaturesOfBlock);
    blocks.slabs = function_a_warp ? static_cast<std::uint32_t>(divided_up(functions, kMostWarps)) : 1;
    blocks.warps = function_a_warp ? static_cast<std::uint32_t>(divided_up(functions, blocks.slabs)) : kMostWarps;
    const std::uint64_t wanted = blocks_per_multiprocessor * static_cast<std::uint64_t>(multiprocessors);
    const std::uint64_t step = function_a_warp ? kRowsOfTurn : kMostWarps;
    const std::uint64_t chunks = std::max<std::uint64_t>(divided_up(wanted, blocks.tiles * blocks.slabs), 1);
    const std::uint64_t even = divided_up(divided_up(rows, chunks), step) * step;
    blocks.rows_per_chunk = std::min<std::uint64_t>(even, longest_chunk);
    blocks.chunks = divided_up(rows, blocks.rows_per_chunk);
    return blocks;
}

}  // namespace fourfold::kan
