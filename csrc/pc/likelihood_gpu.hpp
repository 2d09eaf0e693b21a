// The pass up the tree by blocks of GPU threads, a warp with kImages images: thread t has the states t, t + 32, ... of
// all of them, so that nearly everything is a thread's own; the warp meets for the largest entry of a vector and for
// the product with an edge's table. Internal linkage.
#pragma once

#include <cmath>
#include <cstdint>

#include "pc/cells.hpp"
#include "pc/exact.hpp"
#include "pc/likelihood_gpu_program.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

struct LikelihoodCall {
    UpProgram program;
    Cells cells;  // [images][variables], K where a value is missing
    std::int64_t images;
    double* out;  // [images]
};

inline constexpr std::int32_t kBias = 127, kMantissaBits = 23;
// Exponents of states are compared as unsigned numbers, 0 being that of an entry 0.
inline constexpr std::int32_t kExponentOrigin = 1 << 30;

// What a thread knows of the images of its warp.
struct Images {
    std::uint32_t peak[kImages];
    std::int32_t exponent[kImages];  // of the powers of two taken out so far
};

// x as an entry of a vector that begins, or goes on, with it; its exponent goes to *exponent unless that is null.
FOURFOLD_INLINE float multiplied_into(float entry, float x, bool first, std::int32_t* exponent) {
    const float product = first ? x : entry * x;
    if (exponent == nullptr) return product;
    if (first) *exponent = 0;
    const std::uint32_t bits = bits_of(product), biased = bits >> kMantissaBits;
    if (biased == 0) return 0.0f;
    *exponent += static_cast<std::int32_t>(biased) - kBias;
    return float_of((bits & ((1u << kMantissaBits) - 1)) | static_cast<std::uint32_t>(kBias) << kMantissaBits);
}

// p(x) of one image is sum 2^exponent.
struct Total {
    double sum;
    std::int32_t exponent;
};

// A thread's part of a warp's memory, for one operation.
struct OwnStates {
    float* vector;
    std::int32_t* exponents;  // null: none
    int width, place;

    FOURFOLD_INLINE OwnStates(float* entries, std::int32_t* their_exponents, int padded_states, int of)
        : vector(entries), exponents(their_exponents), width(padded_states), place(of) {}
    FOURFOLD_INLINE OwnStates(float* memory, std::int32_t at, std::int32_t exponents_at, bool spread, int states,
                              int of)
        : OwnStates(memory + at, spread ? reinterpret_cast<std::int32_t*>(memory + exponents_at) : nullptr,
                    padded(states), of) {}

    FOURFOLD_INLINE void multiply(int image, int m, float x, bool first) const {
        const int k = image * width + m;
        vector[k] = multiplied_into(vector[k], x, first, exponents == nullptr ? nullptr : exponents + k);
    }

    // The largest of this thread's entries, or of their exponents.
    FOURFOLD_INLINE void find_peaks(Images& images) const {
        FOURFOLD_UNROLL(8)
        for (int i = 0; i < kImages; ++i) {
            std::uint32_t most = 0;
            for (int m = place; m < width; m += static_cast<int>(kThreadsOfWarp)) {
                const int k = i * width + m;
                std::uint32_t bits = bits_of(vector[k]);
                if (exponents != nullptr && bits > 0) {
                    bits = static_cast<std::uint32_t>(exponents[k] + kExponentOrigin);
                }
                if (bits > most) most = bits;
            }
            images.peak[i] = most;
        }
    }

    // Given the peaks of the whole vectors: brings their largest entry into [1, 2).
    FOURFOLD_INLINE void scale(Images& images) const {
        FOURFOLD_UNROLL(8)
        for (int i = 0; i < kImages; ++i) {
            const std::uint32_t peak = images.peak[i];
            if (peak == 0) continue;
            const std::int32_t largest = exponents != nullptr
                                             ? static_cast<std::int32_t>(peak) - kExponentOrigin
                                             : static_cast<std::int32_t>(peak >> kMantissaBits) - kBias;
            for (int m = place; m < width; m += static_cast<int>(kThreadsOfWarp)) {
                const int k = i * width + m;
                const std::int32_t e = (exponents != nullptr ? exponents[k] : 0) - largest;
                const bool kept = vector[k] > 0.0f && e > -kBias;
                vector[k] = kept ? vector[k] * float_of(static_cast<std::uint32_t>(e + kBias) << kMantissaBits) : 0.0f;
            }
            images.exponent[i] += largest;
        }
    }
};

// memory: that of all warps of the block.
template <class Block>
FOURFOLD_INLINE void likelihood_of_block(Block& block, const LikelihoodCall& call, float* memory) {
    constexpr int kPlaces = static_cast<int>(kThreadsOfWarp);
    const UpProgram& program = call.program;
    const std::int64_t warps = block.threads() / kThreadsOfWarp;
    typename Block::template PerThread<Images> known(block);
    typename Block::template PerThread<Total> total(block);
    const auto mine = [&](unsigned thread) {
        return memory + static_cast<std::int64_t>(thread / kThreadsOfWarp) * program.warp_floats;
    };
    const auto place_in = [](unsigned thread) { return static_cast<int>(thread % kThreadsOfWarp); };
    const auto image_of = [&](unsigned thread) { return (block.index() * warps + thread / kThreadsOfWarp) * kImages; };
    FOURFOLD_ROLLED
    for (std::int64_t k = 0; k < program.count; ++k) {
        const UpOperation op = program.operations[k];
        const float* table = program.tables + op.table;
        if (op.kind == UpOperation::Kind::ones) {
            block.each_by_warps([&](unsigned thread) {
                const OwnStates own(mine(thread), op.vector, op.exponents, op.spread, op.states, place_in(thread));
                for (int m = own.place; m < own.width; m += kPlaces) {
                    for (int i = 0; i < kImages; ++i) own.multiply(i, m, m < op.states ? 1.0f : 0.0f, true);
                }
            });
            continue;
        }
        if (op.kind == UpOperation::Kind::leaf) {
            block.each_by_warps([&](unsigned thread) {
                const OwnStates own(mine(thread), op.vector, op.exponents, op.spread, op.states, place_in(thread));
                FOURFOLD_UNROLL(8)
                for (int i = 0; i < kImages; ++i) {
                    // Behind the last image its answer is computed again, and not kept.
                    std::int64_t image = image_of(thread) + i;
                    if (image >= call.images) image = call.images - 1;
                    const std::int64_t code = cell(call.cells, image * program.variables + op.variable);
                    for (int m = own.place; m < own.width; m += kPlaces) {
                        own.multiply(i, m, table[code * own.width + m], op.first);
                    }
                }
            });
            continue;
        }
        block.each_by_warps([&](unsigned thread) {
            OwnStates(mine(thread), op.vector, op.exponents, op.spread, op.states, place_in(thread))
                .find_peaks(known[thread]);
        });
        FOURFOLD_UNROLL(8)
        for (int i = 0; i < kImages; ++i) {
            block.largest_in_warp(known, [i](Images& images) -> std::uint32_t& { return images.peak[i]; });
        }
        block.each_by_warps([&](unsigned thread) {
            OwnStates(mine(thread), op.vector, op.exponents, op.spread, op.states, place_in(thread))
                .scale(known[thread]);
        });
        const int width = padded(op.states), above = padded(op.above_states);
        if (op.kind == UpOperation::Kind::finish) {
            // All warps of a block, so that they read a table at about the same time.
            block.each([&](unsigned thread) {
                const float* vector = mine(thread) + op.vector;
                const OwnStates parent(mine(thread), op.above_vector, op.above_exponents, op.above_spread,
                                       op.above_states, place_in(thread));
                for (int p = parent.place; p < above; p += kPlaces) {
                    float message[kImages] = {};
                    FOURFOLD_ROLLED
                    for (int z = 0; z < width; z += 4) {
                        float entries[4];
                        FOURFOLD_UNROLL(4)
                        for (int j = 0; j < 4; ++j) entries[j] = table[static_cast<std::int64_t>(z + j) * above + p];
                        FOURFOLD_UNROLL(8)
                        for (int i = 0; i < kImages; ++i) {
                            const Four x = four_at(vector + i * width + z);
                            FOURFOLD_UNROLL(4)
                            for (int j = 0; j < 4; ++j) message[i] += x.v[j] * entries[j];
                        }
                    }
                    FOURFOLD_UNROLL(8)
                    for (int i = 0; i < kImages; ++i) parent.multiply(i, p, message[i], op.above_first);
                }
            });
            continue;
        }
        block.each_by_warps([&](unsigned thread) {
            const float* vector = mine(thread) + op.vector;
            FOURFOLD_UNROLL(8)
            for (int i = 0; i < kImages; ++i) {
                if (place_in(thread) != i) continue;
                double sum = 0.0;
                for (int m = 0; m < op.states; ++m) {
                    sum += static_cast<double>(table[m]) * static_cast<double>(vector[i * width + m]);
                }
                total[thread] = {sum, known[thread].exponent[i]};
            }
        });
    }
    block.each_by_warps([&](unsigned thread) {
        const std::int64_t image = image_of(thread) + place_in(thread);
        if (place_in(thread) >= kImages || image >= call.images) return;
        constexpr double ln2 = 0.693147180559945309417232121458176568;
        call.out[image] = std::log(total[thread].sum) + ln2 * total[thread].exponent;
    });
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
