// The walk of codec_walk.hpp by blocks of GPU threads: a warp codes a row, its threads share the states. The same
// operations in the same order as there, see docs/format.md; what is free is which thread computes which number, and
// which values a decoder probes. Internal linkage: included by GPU sources, and by tests that run them on the host.
//
// A lane is what a warp works on; its memory has the state vectors of CodecProgram. A phase that ends with
// each_by_warps() lets warps run apart, so that only decoders, whose streams take words from one sequence, wait for one
// another.
#pragma once

#include <cstdint>

#include "pc/codec_gpu_program.hpp"
#include "pc/exact.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

FOURFOLD_INLINE unsigned lane_of(unsigned thread) { return thread / kThreadsOfWarp; }
FOURFOLD_INLINE int place_of(unsigned thread) { return static_cast<int>(thread % kThreadsOfWarp); }
inline constexpr int kPlaces = static_cast<int>(kThreadsOfWarp);

// Asks for a cache line.
FOURFOLD_INLINE void prefetch([[maybe_unused]] const void* address) {
#if defined(__CUDA_ARCH__)
    asm volatile("prefetch.global.L1 [%0];" ::"l"(address));
#endif
}

// dot(a, b) of the format; both are padded with zeros to `stride`.
FOURFOLD_INLINE float dot(const float* a, const float* b, int stride) {
    float p[kPartials];
    FOURFOLD_UNROLL(4)
    for (int j = 0; j < kPartials; j += 4) {
        const Four x = four_at(a + j), y = four_at(b + j);
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < 4; ++i) p[j + i] = product_of(x.v[i], y.v[i]);
    }
    FOURFOLD_ROLLED
    for (int m = kPartials; m < stride; m += kPartials) {
        FOURFOLD_UNROLL(4)
        for (int j = 0; j < kPartials; j += 4) {
            const Four x = four_at(a + m + j), y = four_at(b + m + j);
            FOURFOLD_UNROLL(4)
            for (int i = 0; i < 4; ++i) p[j + i] = sum_of(p[j + i], product_of(x.v[i], y.v[i]));
        }
    }
    FOURFOLD_UNROLL(8)
    for (int j = 0; j < 8; ++j) p[j] = sum_of(p[j], p[j + 8]);
    FOURFOLD_UNROLL(4)
    for (int j = 0; j < 4; ++j) p[j] = sum_of(p[j], p[j + 4]);
    return sum_of(sum_of(p[0], p[2]), sum_of(p[1], p[3]));
}

// min(trunc(F / S (2^24 - K)), 2^24 - K) + x
FOURFOLD_INLINE std::int32_t left_end(float f, float s, int cardinality, std::int32_t x) {
    const std::int32_t room = (1 << kPrecision) - cardinality;
    const auto q = static_cast<std::int32_t>(product_of(quotient_of(f, s), static_cast<float>(room)));
    return (q < room ? q : room) + x;
}

// Entry `column` of the product with a vector of `rows` entries: sum_r vector[r] table[r][column], in ascending order.
// Rows up to a multiple of kBlock, and the vector's entries there, are zeros, which change no sum.
FOURFOLD_INLINE float entry_of_product(const float* table, int rows, int stride, const float* vector, int column) {
    float sum = 0.0f;
    const float* t = table + column;
    FOURFOLD_ROLLED
    for (int r = 0; r < rows; r += kBlock) {
        FOURFOLD_UNROLL(2)
        for (int j = 0; j < kBlock; j += 4) {
            const Four x = four_at(vector + r + j);
            FOURFOLD_UNROLL(4)
            for (int i = 0; i < 4; ++i) {
                sum = sum_of(sum, product_of(x.v[i], t[static_cast<std::int64_t>(r + j + i) * stride]));
            }
        }
    }
    return sum;
}

// absorb(target, factor) of the format, for the entries of one thread: first the largest product, then, given the
// largest of all of them, the scaling. `first`: the target is all ones. Padding stays zero.
struct Target {
    float* vector;
    int states;
    bool first;

    template <class Factor>
    FOURFOLD_INLINE float product(const Factor& factor, int m) const {
        return first ? factor(m) : product_of(vector[m], factor(m));
    }
    template <class Factor>
    FOURFOLD_INLINE std::uint32_t peak(const Factor& factor, int place) const {
        std::uint32_t most = 0;
        for (int m = place; m < states; m += kPlaces) {
            const std::uint32_t bits = bits_of(product(factor, m));
            if (bits > most) most = bits;
        }
        return most;
    }
    template <class Factor>
    FOURFOLD_INLINE void absorb(const Factor& factor, std::uint32_t peak, int place) const {
        // 2^(126 - e), e the biased exponent; for a subnormal number 2^126.
        const float scale = float_of((253u - (peak >> 23)) << 23);
        for (int m = place; m < padded(states); m += kPlaces) {
            if (m >= states) {
                vector[m] = 0.0f;
            } else if (peak > 0) {
                vector[m] = product_of(product(factor, m), scale);
            } else if (first) {
                vector[m] = 1.0f;
            }
        }
    }
};

// What warps tell their threads, in shared memory.
struct Range {
    std::int32_t low, high, from, to;  // the value is in [low, high), the slot in [from, to)
};
struct Lane {
    std::uint64_t state;
    std::int64_t row;        // -1: none
    std::int64_t cursor;     // words that the block has taken
    float mixture[3];        // S; an encoder: F(x), F(x + 1)
    std::int32_t symbol;     // just coded; -1: none
    std::int32_t wants[2];   // a word; two, so that one barrier an operation is enough
    std::int32_t coded;      // whether a value is coded for the row's variable
    std::int32_t status;     // BlockStatus
    std::int32_t exhausted;  // a word was needed that is not there
    std::int32_t probe[kPlaces];
    Range range[2];
};

// Walks the tree; coder(block, op, table, memory) leaves each lane's value in its `symbol`. memory: that of all lanes.
template <class Block, class Coder>
FOURFOLD_INLINE void walk(Block& block, const CodecProgram& program, Lane* lanes, float* memory, Coder& coder) {
    typename Block::template PerThread<std::uint32_t> belief_peak(block), evidence_peak(block);
    const auto whole = [](std::uint32_t& peak) -> std::uint32_t& { return peak; };
    const auto own = [&](unsigned thread) {
        return memory + static_cast<std::int64_t>(lane_of(thread)) * program.lane_floats;
    };
    FOURFOLD_ROLLED
    for (std::int64_t k = 0; k < program.count; ++k) {
        const LaneOperation op = program.operations[k];
        if (k + 2 < program.count) prefetch(program.operations + k + 2);
        const float* table = program.tables + op.table;
        const int states = op.states, above = op.parent_states;
        switch (op.kind) {
            case Operation::Kind::start:
                block.each_by_warps([&](unsigned thread) {
                    float* belief = own(thread) + op.belief;
                    for (int m = place_of(thread); m < padded(states); m += kPlaces) belief[m] = table[m];
                });
                break;
            case Operation::Kind::down:
                block.each_by_warps([&](unsigned thread) {
                    const float* parent = own(thread) + op.parent_belief;
                    float* belief = own(thread) + op.belief;
                    for (int c = place_of(thread); c < padded(states); c += kPlaces) {
                        belief[c] = c < states ? entry_of_product(table, above, blocked(states), parent, c) : 0.0f;
                    }
                });
                break;
            case Operation::Kind::code: {
                coder(block, op, table, memory);
                if (!op.update_belief && !op.update_evidence) break;
                const auto column = [&](unsigned thread) {
                    const std::int32_t x = lanes[lane_of(thread)].symbol;
                    const float* before = table + static_cast<std::int64_t>(x < 0 ? 0 : x) * padded(states);
                    const float* after = x < 0 ? program.tables + op.ones : before + padded(states);
                    return [before, after](int m) { return difference_of(after[m], before[m]); };
                };
                block.each_by_warps([&](unsigned thread) {
                    const auto factor = column(thread);
                    const int place = place_of(thread);
                    if (op.update_belief) {
                        belief_peak[thread] = Target{own(thread) + op.belief, states, false}.peak(factor, place);
                    }
                    if (op.update_evidence) {
                        evidence_peak[thread] =
                            Target{own(thread) + op.evidence, states, op.first_evidence}.peak(factor, place);
                    }
                });
                if (op.update_belief) block.largest_in_warp(belief_peak, whole);
                if (op.update_evidence) block.largest_in_warp(evidence_peak, whole);
                block.each_by_warps([&](unsigned thread) {
                    const auto factor = column(thread);
                    const int place = place_of(thread);
                    if (op.update_belief) {
                        Target{own(thread) + op.belief, states, false}.absorb(factor, belief_peak[thread], place);
                    }
                    if (op.update_evidence) {
                        Target{own(thread) + op.evidence, states, op.first_evidence}.absorb(
                            factor, evidence_peak[thread], place);
                    }
                });
                break;
            }
            case Operation::Kind::finish:
                block.each_by_warps([&](unsigned thread) {
                    float* mine = own(thread);
                    float* vector = mine + program.factor;
                    const int place = place_of(thread);
                    for (int r = place; r < above; r += kPlaces) {
                        vector[r] = entry_of_product(table, states, blocked(above), mine + op.evidence, r);
                    }
                    // A thread's own entries alone.
                    const auto factor = [vector](int m) { return vector[m]; };
                    if (op.update_belief) {
                        belief_peak[thread] = Target{mine + op.parent_belief, above, false}.peak(factor, place);
                    }
                    if (op.update_evidence) {
                        evidence_peak[thread] =
                            Target{mine + op.parent_evidence, above, op.first_evidence}.peak(factor, place);
                    }
                });
                if (op.update_belief) block.largest_in_warp(belief_peak, whole);
                if (op.update_evidence) block.largest_in_warp(evidence_peak, whole);
                block.each_by_warps([&](unsigned thread) {
                    float* mine = own(thread);
                    const float* vector = mine + program.factor;
                    const int place = place_of(thread);
                    const auto factor = [vector](int m) { return vector[m]; };
                    if (op.update_belief) {
                        Target{mine + op.parent_belief, above, false}.absorb(factor, belief_peak[thread], place);
                    }
                    if (op.update_evidence) {
                        Target{mine + op.parent_evidence, above, op.first_evidence}.absorb(
                            factor, evidence_peak[thread], place);
                    }
                });
                break;
        }
    }
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
