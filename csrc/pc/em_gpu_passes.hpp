// The passes up and down the tree for EM, a level a launch: a block of GPU threads has a node and kTile images. What
// the passes of the CPU keep at the nodes (BatchView) stays in memory here too. Internal linkage.
//
// All kTile images of a tile are computed: those behind the last are copies of it, which nothing counts.
#pragma once

#include <cmath>
#include <cstdint>

#include "pc/cells.hpp"
#include "pc/em_gpu_plan.hpp"
#include "pc/em_gpu_product.hpp"
#include "pc/factors.hpp"
#include "pc/likelihood_gpu.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

static_assert(kProductThreads / kThreadsOfWarp * kImages == kTile);

// Buffers; `stride` images each, a multiple of kTile. Rows are padded as on the CPU.
struct EmBuffers {
    float* tables;      // as Tables has them
    float* flow;        // counts, laid out like the tables
    float* average;     // the same, or null
    double* totals;     // the same, or null
    float* likelihood;  // [nodes][stride][width]
    float* message;     // [nodes][stride][width of the parent]; after the way down: posterior of the parent / message
    float* posterior;   // [nodes][stride][width]; on the way up: exponents of states
    float* expected;    // [nodes][width]
    std::int32_t* exponent;  // [nodes][stride] of the powers of two taken out in the subtree
    double* log_prob;        // [stride]
    std::int64_t stride;
};

struct EmCall {
    EmPlan plan;
    EmBuffers buffers;
    Cells codes;                // [variables][images], K where a value is missing
    Cells sorted;               // the same with each variable's images sorted by value, the order of equals kept
    const std::int64_t* order;  // which images they are
    std::int64_t images;
};

// Of one level, of whose nodes each has `blocks` blocks.
struct LevelCall {
    EmCall em;
    std::int32_t begin, blocks;
    bool posteriors;  // up: the root's as well
    bool expected;    // down: one block more, for the states' expectation
    float count;      // of images, for that
};

FOURFOLD_INLINE std::int64_t tiles_of(std::int64_t images) { return (images + kTile - 1) / kTile; }

// Sides of products that are rows of images, from image `first` on.
FOURFOLD_INLINE Side rows_of_images(const float* from, std::int64_t first, int width) {
    return {from + first * width, width, kTile, width};
}

template <class T>
FOURFOLD_INLINE void values_of_images(const T* from, std::int64_t first, std::int64_t images, std::int32_t* code) {
    FOURFOLD_UNROLL(8)
    for (int i = 0; i < kImages; ++i) code[i] = from[first + i < images ? first + i : images - 1];
}

// Codes of a variable, of the kImages images from `first` on.
FOURFOLD_INLINE void codes_of_images(const EmCall& call, std::int64_t variable, std::int64_t first,
                                     std::int32_t* code) {
    const std::int64_t begin = variable * call.images;
    switch (call.codes.size) {
        case 1:
            return values_of_images(static_cast<const std::uint8_t*>(call.codes.data) + begin, first, call.images,
                                    code);
        case 2:
            return values_of_images(static_cast<const std::uint16_t*>(call.codes.data) + begin, first, call.images,
                                    code);
        default:
            return values_of_images(static_cast<const std::int32_t*>(call.codes.data) + begin, first, call.images,
                                    code);
    }
}

// A thread's states of the kImages images from `first` on: the product of their factors, and the largest of each.
FOURFOLD_INLINE void gather_states(const EmCall& call, const EmNode& node, std::int64_t first, int place,
                                   float* likelihood, std::int32_t* exponents, Images& images) {
    const EmPlan& plan = call.plan;
    FOURFOLD_ROLLED
    for (int m = place; m < node.width; m += static_cast<int>(kThreadsOfWarp)) {
        float entry[kImages];
        std::int32_t exponent[kImages];
        FOURFOLD_UNROLL(8)
        for (int i = 0; i < kImages; ++i) {
            entry[i] = m < node.states ? 1.0f : 0.0f;
            exponent[i] = 0;
        }
        // The rows of all images are on their way before the first is waited for. A 1 before the first factor changes
        // nothing. (Chosen between pointers, an exponent would need an address.)
        float row[kImages];
        const auto multiply = [&] {
            FOURFOLD_UNROLL(8)
            for (int i = 0; i < kImages; ++i) {
                if (exponents == nullptr) {
                    entry[i] = multiplied_into(entry[i], row[i], false, nullptr);
                } else {
                    entry[i] = multiplied_into(entry[i], row[i], false, &exponent[i]);
                }
            }
        };
        FOURFOLD_ROLLED
        for (std::int32_t at = node.leaf_begin; at < node.leaf_end; ++at) {
            const std::int64_t variable = plan.leaf[at];
            const float* table = call.buffers.tables + plan.tables[plan.shape.nodes + variable].start;
            std::int32_t code[kImages];
            codes_of_images(call, variable, first, code);
            FOURFOLD_UNROLL(8)
            for (int i = 0; i < kImages; ++i) row[i] = table[static_cast<std::int64_t>(code[i]) * node.width + m];
            multiply();
        }
        FOURFOLD_ROLLED
        for (std::int32_t at = node.child_begin; at < node.child_end; ++at) {
            const float* message = call.buffers.message + plan.nodes[plan.child[at]].message_row * call.buffers.stride +
                                   first * node.width;
            FOURFOLD_UNROLL(8)
            for (int i = 0; i < kImages; ++i) row[i] = message[i * node.width + m];
            multiply();
        }
        FOURFOLD_UNROLL(8)
        for (int i = 0; i < kImages; ++i) {
            likelihood[i * node.width + m] = entry[i];
            if (exponents != nullptr) exponents[i * node.width + m] = exponent[i];
        }
    }
    OwnStates(likelihood, exponents, node.width, place).find_peaks(images);
}

// The root: log p of an image and, if wanted, the posterior.
FOURFOLD_INLINE void finish_image(const LevelCall& call, const EmNode& root, std::int64_t image) {
    const EmBuffers& buffers = call.em.buffers;
    const float* table = buffers.tables + root.table;
    const float* row = buffers.likelihood + image * root.width;
    double sum = 0.0;
    for (int m = 0; m < root.states; ++m) sum += static_cast<double>(table[m]) * static_cast<double>(row[m]);
    constexpr double ln2 = 0.693147180559945309417232121458176568;
    buffers.log_prob[image] = std::log(sum) + ln2 * buffers.exponent[image];
    if (!call.posteriors) return;
    // Evidence of probability 0 has no posterior; its rows are 0 and so add nothing to any count.
    const double scale = sum > 0.0 ? 1.0 / sum : 0.0;
    float* out = buffers.posterior + image * root.width;
    for (int m = 0; m < root.width; ++m) {
        out[m] = m < root.states
                     ? static_cast<float>(static_cast<double>(table[m]) * static_cast<double>(row[m]) * scale)
                     : 0.0f;
    }
}

template <class Block>
FOURFOLD_INLINE void em_up_block(Block& block, const LevelCall& call, ProductMemory& shared) {
    const EmBuffers& buffers = call.em.buffers;
    const EmPlan& plan = call.em.plan;
    const std::int64_t index = block.index();
    const std::int32_t v = plan.level_nodes[call.begin + index / call.blocks];
    const EmNode node = plan.nodes[v];
    const std::int64_t first = index % call.blocks * kTile;
    float* likelihood = buffers.likelihood + node.row * buffers.stride;
    const auto factors = static_cast<std::size_t>(node.leaf_end - node.leaf_begin + node.child_end - node.child_begin);
    const bool spread = factors > kPlainFactors;
    const auto first_of = [&](unsigned thread) { return first + thread / kThreadsOfWarp * kImages; };
    const auto place_in = [](unsigned thread) { return static_cast<int>(thread % kThreadsOfWarp); };
    const auto exponents_of = [&](unsigned thread) {
        float* at = buffers.posterior + node.row * buffers.stride + first_of(thread) * node.width;
        return spread ? reinterpret_cast<std::int32_t*>(at) : nullptr;
    };
    typename Block::template PerThread<Images> known(block);
    block.each_by_warps([&](unsigned thread) {
        gather_states(call.em, node, first_of(thread), place_in(thread), likelihood + first_of(thread) * node.width,
                      exponents_of(thread), known[thread]);
    });
    FOURFOLD_UNROLL(8)
    for (int i = 0; i < kImages; ++i) {
        block.largest_in_warp(known, [i](Images& images) -> std::uint32_t& { return images.peak[i]; });
    }
    block.each([&](unsigned thread) {
        OwnStates(likelihood + first_of(thread) * node.width, exponents_of(thread), node.width, place_in(thread))
            .scale(known[thread]);
        FOURFOLD_UNROLL(8)
        for (int i = 0; i < kImages; ++i) {
            if (place_in(thread) != i) continue;
            const std::int64_t image = first_of(thread) + i;
            std::int32_t exponent = known[thread].exponent[i];
            for (std::int32_t at = node.child_begin; at < node.child_end; ++at) {
                exponent += buffers.exponent[plan.child[at] * buffers.stride + image];
            }
            buffers.exponent[v * buffers.stride + image] = exponent;
        }
    });
    if (v == 0) {
        block.each([&](unsigned thread) {
            if (thread < static_cast<unsigned>(kTile)) finish_image(call, node, first + thread);
        });
        return;
    }
    const Side rows = rows_of_images(likelihood, first, node.width);
    float* message = buffers.message + node.message_row * buffers.stride + first * node.above_width;
    FOURFOLD_ROLLED
    for (int column = 0; column < node.above_width; column += kTile) {
        const Side table{buffers.tables + node.table + column, node.above_width, node.above_width - column,
                         node.states};
        product<true, false>(block, shared, rows, table, kTile, node.above_width - column, node.states,
                             [&](int i, int p, const float (&sum)[kOwn][kOwn]) {
                                 FOURFOLD_UNROLL(4)
                                 for (int k = 0; k < kOwn; ++k) {
                                     float* to =
                                         message + (i + k) * static_cast<std::int64_t>(node.above_width) + column + p;
                                     *reinterpret_cast<Four*>(to) = {{sum[k][0], sum[k][1], sum[k][2], sum[k][3]}};
                                 }
                             });
    }
}

// Images expected in each state, as Trainer::expect_states.
FOURFOLD_INLINE void expect_states(const LevelCall& call, const EmNode& node, int m) {
    const float* tables = call.em.buffers.tables + node.table;
    float* expected = call.em.buffers.expected;
    float sum = 0.0f;
    if (node.parent < 0) {
        sum = call.count * tables[m];
    } else if (m < node.states) {
        const float* above = expected + call.em.plan.nodes[node.parent].row;
        const float* row = tables + static_cast<std::int64_t>(m) * node.above_width;
        for (int p = 0; p < node.above_states; ++p) sum += above[p] * row[p];
    }
    expected[node.row + m] = sum;
}

template <class Block>
FOURFOLD_INLINE void em_down_block(Block& block, const LevelCall& call, ProductMemory& shared) {
    const EmBuffers& buffers = call.em.buffers;
    const std::int64_t index = block.index();
    const EmNode node = call.em.plan.nodes[call.em.plan.level_nodes[call.begin + index / call.blocks]];
    const std::int64_t tile = index % call.blocks;
    if (call.expected && tile == call.blocks - 1) {
        block.each([&](unsigned thread) {
            for (int m = static_cast<int>(thread); m < node.width; m += static_cast<int>(kProductThreads)) {
                expect_states(call, node, m);
            }
        });
        return;
    }
    const std::int64_t first = tile * kTile;
    const std::int64_t above = call.em.plan.nodes[node.parent].row * buffers.stride + first * node.above_width;
    const std::int64_t own = node.row * buffers.stride + first * node.width;
    float* ratio = buffers.message + node.message_row * buffers.stride + first * node.above_width;
    block.each([&](unsigned thread) {
        FOURFOLD_ROLLED
        for (int k = 4 * static_cast<int>(thread); k < kTile * node.above_width;
             k += 4 * static_cast<int>(kProductThreads)) {
            const Four message = four_at(ratio + k), posterior = four_at(buffers.posterior + above + k);
            Four quotient;
            FOURFOLD_UNROLL(4)
            for (int j = 0; j < 4; ++j) {
                quotient.v[j] = message.v[j] >= kSmallestMessage ? posterior.v[j] / message.v[j] : 0.0f;
            }
            *reinterpret_cast<Four*>(ratio + k) = quotient;
        }
    });
    const Side rows{ratio, node.above_width, kTile, node.above_states};
    FOURFOLD_ROLLED
    for (int column = 0; column < node.width; column += kTile) {
        const Side table{buffers.tables + node.table + static_cast<std::int64_t>(column) * node.above_width,
                         node.above_width, node.states - column, node.above_states};
        product<true, true>(block, shared, rows, table, kTile, node.width - column, node.above_states,
                            [&](int i, int m, const float (&sum)[kOwn][kOwn]) {
                                FOURFOLD_UNROLL(4)
                                for (int k = 0; k < kOwn; ++k) {
                                    const std::int64_t at =
                                        own + (i + k) * static_cast<std::int64_t>(node.width) + column + m;
                                    Four x = four_at(buffers.likelihood + at);
                                    FOURFOLD_UNROLL(4)
                                    for (int j = 0; j < kOwn; ++j) x.v[j] *= sum[k][j];
                                    *reinterpret_cast<Four*>(buffers.posterior + at) = x;
                                }
                            });
    }
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
