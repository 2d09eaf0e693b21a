// A product of matrices in global memory by a block of kProductThreads GPU threads: a tile of kTile x kTile entries,
// each one sum over the depth in ascending order. Internal linkage.
#pragma once

#include <cstdint>

#include "pc/em_gpu_plan.hpp"
#include "pc/exact.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

inline constexpr unsigned kProductThreads = 256;
inline constexpr int kDepth = 32, kOwn = 4;  // of shared memory at a time; rows and columns of a thread
inline constexpr int kTileStride = kTile + 4;

struct ProductMemory {
    alignas(16) float a[kDepth * kTileStride], b[kDepth * kTileStride];
};

// One side of a product, from the tile's first row (of A) or column (of B) on. Its numbers lie at from[i step + k] if
// Along, i being the row or column and k the depth, else at from[k step + i]; rows of memory are whole in groups of
// four. Where i is not below its limit, or k not below the depth, is 0; if Along, the rest of a group of four that the
// depth divides is in memory, and is 0 on one of a product's sides.
struct Side {
    const float* from;
    std::int64_t step;
    std::int64_t limit, depth;
};

template <bool Along>
FOURFOLD_INLINE void load_side(const Side& side, std::int64_t begin, unsigned thread, float* shared) {
    constexpr int kGroups = kDepth * kTile / 4 / static_cast<int>(kProductThreads);
    FOURFOLD_UNROLL(2)
    for (int r = 0; r < kGroups; ++r) {
        const int t = static_cast<int>(thread);
        if constexpr (Along) {
            // Eight rows and four groups of four a warp: whole sectors of memory, two threads a bank.
            const int i = t / 32 * 8 + t % 8, k = 4 * (4 * r + t / 8 % 4);
            const bool there = i < side.limit && begin + k < side.depth;
            const Four x = there ? four_at(side.from + i * side.step + begin + k) : Four{};
            FOURFOLD_UNROLL(4)
            for (int j = 0; j < 4; ++j) shared[(k + j) * kTileStride + i] = x.v[j];
        } else {
            const int group = r * static_cast<int>(kProductThreads) + t;
            const int k = group / (kTile / 4), i = 4 * (group % (kTile / 4));
            const bool there = i < side.limit && begin + k < side.depth;
            *reinterpret_cast<Four*>(shared + k * kTileStride + i) =
                there ? four_at(side.from + (begin + k) * side.step + i) : Four{};
        }
    }
}

struct OwnTile {
    float sum[kOwn][kOwn];
};

// Then end(row, column, sums) for every 4 x 4 entries of the tile's first `rows` and `columns`, in the thread that has
// them.
template <bool AlongA, bool AlongB, class Block, class End>
FOURFOLD_INLINE void product(Block& block, ProductMemory& shared, const Side& a, const Side& b, int rows, int columns,
                             std::int64_t depth, End end) {
    typename Block::template PerThread<OwnTile> own(block);
    const auto row_of = [](unsigned thread) { return kOwn * static_cast<int>(thread / (kTile / kOwn)); };
    const auto column_of = [](unsigned thread) { return kOwn * static_cast<int>(thread % (kTile / kOwn)); };
    FOURFOLD_ROLLED
    for (std::int64_t k = 0; k < depth; k += kDepth) {
        block.each([&](unsigned thread) {
            load_side<AlongA>(a, k, thread, shared.a);
            load_side<AlongB>(b, k, thread, shared.b);
        });
        block.each([&](unsigned thread) {
            const int row = row_of(thread), column = column_of(thread);
            if (row >= rows || column >= columns) return;
            OwnTile& tile = own[thread];
            FOURFOLD_UNROLL(32)
            for (int d = 0; d < kDepth; ++d) {
                const Four left = four_at(shared.a + d * kTileStride + row);
                const Four right = four_at(shared.b + d * kTileStride + column);
                FOURFOLD_UNROLL(4)
                for (int i = 0; i < kOwn; ++i) {
                    FOURFOLD_UNROLL(4)
                    for (int j = 0; j < kOwn; ++j) tile.sum[i][j] += left.v[i] * right.v[j];
                }
            }
        });
    }
    block.each([&](unsigned thread) {
        const int row = row_of(thread), column = column_of(thread);
        if (row < rows && column < columns) end(row, column, own[thread].sum);
    });
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
