// Expected counts of a batch, and what they change: a block of GPU threads for each job of the plan. Internal linkage.
#pragma once

#include <cstdint>

#include "pc/cells.hpp"
#include "pc/em_gpu_passes.hpp"
#include "pc/em_gpu_plan.hpp"
#include "pc/em_gpu_product.hpp"
#include "pc/update_formulas.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

inline constexpr unsigned kCountThreads = 256;
inline constexpr int kCountWarps = static_cast<int>(kCountThreads / kThreadsOfWarp);
static_assert(kSlice == static_cast<int>(kThreadsOfWarp));

struct CountCall {
    EmCall em;
    bool into_totals;  // else into flow
};

FOURFOLD_INLINE void put_count(const CountCall& call, std::int64_t at, float count) {
    if (call.into_totals) {
        call.em.buffers.totals[at] += static_cast<double>(count);
    } else {
        call.em.buffers.flow[at] = count;
    }
}

// Counts of edge v = T_v o (sum over images of likelihood' ratio).
template <class Block>
FOURFOLD_INLINE void em_edge_counts_block(Block& block, const CountCall& call, ProductMemory& shared) {
    const EmBuffers& buffers = call.em.buffers;
    const EmJob job = call.em.plan.edges[block.index()];
    const EmNode node = call.em.plan.nodes[job.table];
    const Side likelihood{buffers.likelihood + node.row * buffers.stride + job.row, node.width, node.width - job.row,
                          call.em.images};
    const Side ratio{buffers.message + node.message_row * buffers.stride + job.column, node.above_width,
                     node.above_width - job.column, call.em.images};
    product<false, false>(block, shared, likelihood, ratio, node.states - job.row, node.above_width - job.column,
                          call.em.images, [&](int m, int p, const float (&sum)[kOwn][kOwn]) {
                              FOURFOLD_UNROLL(4)
                              for (int k = 0; k < kOwn; ++k) {
                                  if (job.row + m + k >= node.states) continue;
                                  const std::int64_t at =
                                      node.table + static_cast<std::int64_t>(job.row + m + k) * node.above_width +
                                      job.column + p;
                                  FOURFOLD_UNROLL(4)
                                  for (int j = 0; j < kOwn; ++j) {
                                      put_count(call, at + j, sum[k][j] * buffers.tables[at + j]);
                                  }
                              }
                          });
}

// Counts of a leaf = sum of the posteriors of the images with this value; a warp has the stretches of equal values that
// begin in its share of the sorted images.
template <class Block>
FOURFOLD_INLINE void em_leaf_counts_block(Block& block, const CountCall& call) {
    const EmCall& em = call.em;
    const EmBuffers& buffers = em.buffers;
    const EmJob job = em.plan.leaves[block.index()];
    if (job.table == 0) {
        const EmNode root = em.plan.nodes[0];
        block.each([&](unsigned thread) {
            for (int m = static_cast<int>(thread); m < root.states; m += static_cast<int>(kCountThreads)) {
                float sum = 0.0f;
                FOURFOLD_UNROLL(8)
                for (std::int64_t b = 0; b < em.images; ++b) sum += buffers.posterior[b * root.width + m];
                put_count(call, root.table + m, sum);
            }
        });
        return;
    }
    const EmTable table = em.plan.tables[job.table];
    const EmNode node = em.plan.nodes[table.node];
    const std::int64_t list = (job.table - em.plan.shape.nodes) * em.images;
    const float* posterior = buffers.posterior + node.row * buffers.stride;
    const auto column_of = [&](unsigned thread) { return job.column + static_cast<int>(thread % kThreadsOfWarp); };
    const auto warp_of = [](unsigned thread) { return static_cast<int>(thread / kThreadsOfWarp); };
    if (!call.into_totals) {
        block.each([&](unsigned thread) {
            const int m = column_of(thread);
            if (m >= table.columns) return;
            for (std::int64_t k = warp_of(thread); k < table.values; k += kCountWarps) {
                buffers.flow[table.start + k * table.width + m] = 0.0f;
            }
        });
    }
    block.each([&](unsigned thread) {
        const int m = column_of(thread);
        if (m >= table.columns) return;
        const std::int64_t share = (em.images + kCountWarps - 1) / kCountWarps;
        const std::int64_t begin = warp_of(thread) * share;
        const std::int64_t end = begin + share < em.images ? begin + share : em.images;
        std::int64_t at = begin;
        while (at < end) {
            const std::int32_t value = cell(em.sorted, list + at);
            const bool earlier = at == begin && at > 0 && cell(em.sorted, list + at - 1) == value;
            std::int64_t behind = at + 1;
            while (behind < em.images && cell(em.sorted, list + behind) == value) ++behind;
            if (!earlier && value < table.values) {
                float sum = 0.0f;
                FOURFOLD_UNROLL(8)
                for (std::int64_t k = at; k < behind; ++k) sum += posterior[em.order[list + k] * node.width + m];
                put_count(call, table.start + static_cast<std::int64_t>(value) * table.width + m, sum);
            }
            at = behind;
        }
    });
}

struct UpdateCall {
    EmPlan plan;
    EmBuffers buffers;
    UpdateRule rule;
    float count;       // of images
    bool from_totals;  // which then are 0 again
};

// Values of which a warp loads all before it waits for one.
inline constexpr int kUpdatedTogether = 4;

struct UpdateMemory {
    float total[kCountWarps][kSlice];
};

template <class Block>
FOURFOLD_INLINE void em_update_block(Block& block, const UpdateCall& call, UpdateMemory& shared) {
    const EmBuffers& buffers = call.buffers;
    const EmJob job = call.plan.updates[block.index()];
    const EmTable table = call.plan.tables[job.table];
    const Moves moves = moves_of(call.rule, static_cast<std::size_t>(table.values));
    const bool averaged = buffers.average != nullptr && call.rule.momentum > 0.0f;
    const auto column_of = [&](unsigned thread) { return job.column + static_cast<int>(thread % kThreadsOfWarp); };
    const auto warp_of = [](unsigned thread) { return static_cast<int>(thread / kThreadsOfWarp); };
    // Of the j-th of a warp's next values; -1 behind the last.
    const auto place_of = [&](std::int64_t begin, int j, int m) {
        const std::int64_t k = begin + j * kCountWarps;
        return k < table.values ? table.start + k * table.width + m : -1;
    };
    block.each([&](unsigned thread) {
        const int m = column_of(thread), warp = warp_of(thread);
        float total = 0.0f;
        if (m < table.columns) {
            const float weight = table.node < 0 ? call.count : buffers.expected[call.plan.nodes[table.node].row + m];
            const float keep = call.rule.rescaled ? kept_of(call.rule, weight) : 0.0f;
            FOURFOLD_ROLLED
            for (std::int64_t begin = warp; begin < table.values; begin += kUpdatedTogether * kCountWarps) {
                float counts[kUpdatedTogether], old[kUpdatedTogether];
                FOURFOLD_UNROLL(4)
                for (int j = 0; j < kUpdatedTogether; ++j) {
                    const std::int64_t at = place_of(begin, j, m);
                    if (at < 0) continue;
                    counts[j] = call.from_totals ? static_cast<float>(buffers.totals[at]) : buffers.flow[at];
                    old[j] = buffers.tables[at];
                }
                FOURFOLD_UNROLL(4)
                for (int j = 0; j < kUpdatedTogether; ++j) {
                    const std::int64_t at = place_of(begin, j, m);
                    if (at < 0) continue;
                    if (call.from_totals) buffers.totals[at] = 0.0;
                    float count = counts[j];
                    if (averaged) {
                        const float average = moved_average(call.rule, buffers.average[at], count);
                        buffers.average[at] = average;
                        count = corrected(call.rule, average);
                    }
                    count = posterior_count(keep, old[j], moves, count);
                    buffers.flow[at] = count;
                    total += count;
                }
            }
        }
        shared.total[warp][thread % kThreadsOfWarp] = total;
    });
    block.each([&](unsigned thread) {
        const int m = column_of(thread);
        if (m >= table.columns) return;
        float total = 0.0f;
        for (int warp = 0; warp < kCountWarps; ++warp) total += shared.total[warp][thread % kThreadsOfWarp];
        const Share share = share_of(moves, total);
        FOURFOLD_ROLLED
        for (std::int64_t begin = warp_of(thread); begin < table.values; begin += kUpdatedTogether * kCountWarps) {
            float counts[kUpdatedTogether], old[kUpdatedTogether];
            FOURFOLD_UNROLL(4)
            for (int j = 0; j < kUpdatedTogether; ++j) {
                const std::int64_t at = place_of(begin, j, m);
                if (at < 0) continue;
                counts[j] = buffers.flow[at];
                old[j] = buffers.tables[at];
            }
            FOURFOLD_UNROLL(4)
            for (int j = 0; j < kUpdatedTogether; ++j) {
                const std::int64_t at = place_of(begin, j, m);
                if (at >= 0) buffers.tables[at] = new_probability(share.keep, share.scale, old[j], counts[j]);
            }
        }
    });
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
