// The arithmetic of the coding path, kLanes images side by side. Every rounding here is part of the format: single
// precision, + - * / and powers of two, no fused multiply-add (-ffp-contract=off), and these orders of summation:
//   matrix times vector   one sum an entry, in ascending order of the index that is summed over
//   dot product           kPartials = 16 partial sums, p_j = the terms j, j + 16, j + 32, ... in that order, then
//                         p_j + p_{j+8}, + p_{j+4}, + p_{j+2}, + p_{j+1}
// A lane's values depend on that lane alone, so neither the vector's width nor the company an image keeps matters.
#pragma once

#include "pc/codec.hpp"
#include "support/simd.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

#if FOURFOLD_X86_LEVELS && FOURFOLD_LEVEL_INDEX == 2
inline constexpr int V = 16;
#elif FOURFOLD_X86_LEVELS && FOURFOLD_LEVEL_INDEX == 1
inline constexpr int V = 8;
#else
inline constexpr int V = 4;
#endif
inline constexpr int W = kLanes / V;         // vectors a row of lanes
inline constexpr int Z = W > 2 ? 2 : 8 / W;  // entries of a product whose sums are in registers together

using Vec = Lanes<float, V>;
using Int = Lanes<std::int32_t, V>;

// Not Vec{} + x: 0 + x is an addition, because it turns -0 into 0.
FOURFOLD_INLINE Vec broadcast(float x) { return x - Vec{}; }
FOURFOLD_INLINE Int broadcast_int(std::int32_t x) { return x - Int{}; }
FOURFOLD_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// A worker's scratch behind the states of Plan: vectors [most_states][kLanes] or [kLanes][most_states].
struct Scratch {
    float* product;  // [m][lane]
    float* factor;   // [m][lane]
    float* turned;   // [lane][m]
};

// out[c] = sum_r table[r][c] in[r] for c < columns; zeros up to padded(columns).
static void times_transposed(const float* table, int rows, int columns, const float* in, float* out) {
    const int stride = blocked(columns);
    for (int c = 0; c < stride; c += Z) {
        Vec sum[Z][W] = {};
        const float* t = table + c;
        for (int r = 0; r < rows; ++r, t += stride) {
            for (int w = 0; w < W; ++w) {
                const Vec b = load<Vec>(in + r * kLanes + w * V);
#pragma GCC unroll 8
                for (int z = 0; z < Z; ++z) sum[z][w] += b * t[z];
            }
        }
        for (int z = 0; z < Z; ++z) {
            for (int w = 0; w < W; ++w) store(out + (c + z) * kLanes + w * V, sum[z][w]);
        }
    }
    for (int i = stride * kLanes; i < padded(columns) * kLanes; i += V) store(out + i, Vec{});
}

// out[r] = sum_c table[r][c] in[c] for r < rows; zeros up to padded(rows).
static void times(const float* table, int rows, int columns, const float* in, float* out) {
    const int stride = blocked(columns);
    for (int r = 0; r < blocked(rows); r += Z) {
        Vec sum[Z][W] = {};
        const float* t = table + static_cast<std::size_t>(r) * stride;
        for (int c = 0; c < columns; ++c) {
            for (int w = 0; w < W; ++w) {
                const Vec b = load<Vec>(in + c * kLanes + w * V);
#pragma GCC unroll 8
                for (int z = 0; z < Z; ++z) sum[z][w] += b * t[z * stride + c];
            }
        }
        for (int z = 0; z < Z; ++z) {
            for (int w = 0; w < W; ++w) store(out + (r + z) * kLanes + w * V, sum[z][w]);
        }
    }
    for (int i = blocked(rows) * kLanes; i < padded(rows) * kLanes; i += V) store(out + i, Vec{});
}

// target *= factor, then times the power of two that brings the largest entry of each lane into [1/2, 1). A lane whose
// product is zero throughout keeps its target: evidence that the circuit calls impossible is left out. `first`: the
// target is all ones.
static void absorb(float* target, const float* factor, int states, bool first, float* product) {
    for (int w = 0; w < W; ++w) {
        Vec peak{};
        for (int m = 0; m < states; ++m) {
            const int at = m * kLanes + w * V;
            const Vec f = load<Vec>(factor + at);
            const Vec p = first ? f : load<Vec>(target + at) * f;
            store(product + at, p);
            peak = larger(p, peak);
        }
        // 2^(126 - e), e the biased exponent; for a subnormal number 2^126.
        const Int exponent = same_bits<Int>(peak) >> 23;
        const Vec scale = same_bits<Vec>((broadcast_int(253) - exponent) << 23);
        const Int possible = peak > Vec{};
        for (int m = 0; m < states; ++m) {
            const int at = m * kLanes + w * V;
            const Vec kept = first ? broadcast(1.0f) : load<Vec>(target + at);
            store(target + at, possible ? load<Vec>(product + at) * scale : kept);
        }
    }
    if (first) {
        for (int i = states * kLanes; i < padded(states) * kLanes; i += V) store(target + i, Vec{});
    }
}

// [m][lane] -> [lane][m], m < padded
static void to_lane_major(const float* in, int states, float* out) {
    const int stride = padded(states);
    for (int m = 0; m < stride; m += V) {
        for (int w = 0; w < W; ++w) {
            Vec x[V];
#pragma GCC unroll 16
            for (int i = 0; i < V; ++i) x[i] = load<Vec>(in + (m + i) * kLanes + w * V);
            transpose_from<1, V>(x);
#pragma GCC unroll 16
            for (int i = 0; i < V; ++i) store(out + static_cast<std::size_t>(w * V + i) * stride + m, x[i]);
        }
    }
}

// Lane l of the result: the sum of the V entries of x[l], halves first.
template <int S>
FOURFOLD_INLINE void fold(Vec* x) {
    if constexpr (S >= 1) {
#pragma GCC unroll 8
        for (int i = 0; i < S; ++i) {
            exchange<S>(x[i], x[i + S], std::make_integer_sequence<int, V>{});
            x[i] += x[i + S];
        }
        fold<S / 2>(x);
    }
}

// The partial sums of one lane, those that are V or more apart already added.
FOURFOLD_INLINE Vec partial_sums(const float* a, const float* b, int stride) {
    constexpr int N = kPartials / V;
    Vec p[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) p[n] = load<Vec>(a + n * V) * load<Vec>(b + n * V);
    for (int m = kPartials; m < stride; m += kPartials) {
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) p[n] += load<Vec>(a + m + n * V) * load<Vec>(b + m + n * V);
    }
    if constexpr (N == 4)
        return (p[0] + p[2]) + (p[1] + p[3]);
    else if constexpr (N == 2)
        return p[0] + p[1];
    else
        return p[0];
}

// out[lane] = belief[lane] . column[lane]
FOURFOLD_INLINE Vec dot_columns(const float* turned, int stride, const float* const* column, int w) {
    Vec x[V];
#pragma GCC unroll 16
    for (int i = 0; i < V; ++i)
        x[i] = partial_sums(turned + static_cast<std::size_t>(w * V + i) * stride, column[w * V + i], stride);
    fold<V / 2>(x);
    return x[0];
}

// The same with one column for all lanes, from [m][lane].
FOURFOLD_INLINE Vec dot_column(const float* belief, int stride, const float* column, int w) {
    Vec p[kPartials];
#pragma GCC unroll 16
    for (int j = 0; j < kPartials; ++j) p[j] = load<Vec>(belief + j * kLanes + w * V) * column[j];
    for (int m = kPartials; m < stride; m += kPartials) {
#pragma GCC unroll 16
        for (int j = 0; j < kPartials; ++j) {
            p[j] += load<Vec>(belief + (m + j) * kLanes + w * V) * column[m + j];
        }
    }
#pragma GCC unroll 4
    for (int s = kPartials / 2; s >= 1; s /= 2) {
#pragma GCC unroll 8
        for (int j = 0; j < s; ++j) p[j] += p[j + s];
    }
    return p[0];
}

// The left end of value x's interval, from F = its mixture of cumulative sums and S = that of all values:
// min(floor(F / S (2^24 - K)), 2^24 - K) + x. Strictly increasing in x, because F does not decrease.
FOURFOLD_INLINE Int left_end(Vec f, Vec s, int cardinality, Int x) {
    const std::int32_t room = (1 << kPrecision) - cardinality;
    const Int q = __builtin_convertvector(f / s * static_cast<float>(room), Int);
    return (q < room ? q : broadcast_int(room)) + x;
}

// factor[m][lane] = column after[lane] minus column before[lane]
static void differences(const float* const* before, const float* const* after, int states, float* factor) {
    const int stride = padded(states);
    for (int m = 0; m < stride; m += V) {
        for (int w = 0; w < W; ++w) {
            Vec x[V];
#pragma GCC unroll 16
            for (int i = 0; i < V; ++i) x[i] = load<Vec>(after[w * V + i] + m) - load<Vec>(before[w * V + i] + m);
            transpose_from<1, V>(x);
#pragma GCC unroll 16
            for (int i = 0; i < V; ++i) store(factor + (m + i) * kLanes + w * V, x[i]);
        }
    }
}

// What a leaf's codings share: the belief turned, and S.
struct Mixture {
    const float* table;  // cumulative
    std::size_t stride;
    int cardinality;
    float* turned;
    Vec total[W];

    // Left ends of the intervals of the values x (0 <= x < K), one a lane.
    FOURFOLD_INLINE void left_ends(const std::int32_t* x, std::int32_t* q) const {
        const float* column[kLanes];
        for (int l = 0; l < kLanes; ++l) column[l] = table + static_cast<std::size_t>(x[l]) * stride;
        for (int w = 0; w < W; ++w) {
            const Vec f = dot_columns(turned, static_cast<int>(stride), column, w);
            store(q + w * V, left_end(f, total[w], cardinality, load<Int>(x + w * V)));
        }
    }
};

static void prefetch(const float* from, std::size_t floats) {
    for (std::size_t i = 0; i < floats; i += 16) __builtin_prefetch(from + i);
}

// Asks for what an operation will read. The tables of a large circuit are in the last cache at best, and nearly every
// operation reads others: without this, half of the time is spent waiting for them.
template <class Coder>
FOURFOLD_INLINE void announce(const Operation& op, const float* tables, const std::int32_t* symbols) {
    constexpr std::size_t most = 2048;  // floats; beyond that the hardware has seen what comes
    const float* table = tables + op.table;
    const std::size_t stride = static_cast<std::size_t>(padded(op.states));
    switch (op.kind) {
        case Operation::Kind::start: break;
        case Operation::Kind::down:
        case Operation::Kind::finish: {
            const std::size_t size = static_cast<std::size_t>(blocked(op.states)) * blocked(op.parent_states);
            prefetch(table, size < most ? size : most);
            break;
        }
        case Operation::Kind::code:
            prefetch(table + op.cardinality * stride, stride);
            Coder::announce(table, stride, op.cardinality, symbols + static_cast<std::size_t>(op.variable) * kLanes);
            break;
    }
}

// Walks the tree and lets `coder` find, or code, each variable's value: coder(mixture, position, symbols[kLanes]).
template <class Coder>
void walk(const Plan& plan, float* memory, std::int32_t* symbols, Coder& coder) {
    const float* tables = plan.tables.data();
    float* behind = memory + plan.state_floats;
    const std::size_t room = static_cast<std::size_t>(plan.most_states) * kLanes;
    const Scratch scratch{behind, behind + room, behind + 2 * room};
    int position = 0;
    const std::size_t count = plan.operations.size();
    for (std::size_t k = 0; k < count; ++k) {
        const Operation& op = plan.operations[k];
        if (k + 2 < count) announce<Coder>(plan.operations[k + 2], tables, symbols);
        const float* table = tables + op.table;
        switch (op.kind) {
            case Operation::Kind::start:
                for (int m = 0; m < padded(op.states); ++m) {
                    for (int w = 0; w < W; ++w) store(memory + op.belief + m * kLanes + w * V, broadcast(table[m]));
                }
                break;
            case Operation::Kind::down:
                times_transposed(table, op.parent_states, op.states, memory + op.parent_belief, memory + op.belief);
                break;
            case Operation::Kind::code: {
                float* belief = memory + op.belief;
                Mixture mixture{table, static_cast<std::size_t>(padded(op.states)), op.cardinality, scratch.turned, {}};
                to_lane_major(belief, op.states, scratch.turned);
                const float* all = table + static_cast<std::size_t>(op.cardinality) * mixture.stride;
                for (int w = 0; w < W; ++w) mixture.total[w] = dot_column(belief, padded(op.states), all, w);
                std::int32_t* x = symbols + static_cast<std::size_t>(op.variable) * kLanes;
                coder(mixture, position++, x);
                if (!op.update_belief && !op.update_evidence) break;
                const float *before[kLanes], *after[kLanes];
                for (int l = 0; l < kLanes; ++l) {
                    before[l] = table + (x[l] < 0 ? 0 : static_cast<std::size_t>(x[l])) * mixture.stride;
                    after[l] = x[l] < 0 ? tables + op.ones : before[l] + mixture.stride;
                }
                differences(before, after, op.states, scratch.factor);
                if (op.update_belief) absorb(belief, scratch.factor, op.states, false, scratch.product);
                if (op.update_evidence) {
                    absorb(memory + op.evidence, scratch.factor, op.states, op.first_evidence, scratch.product);
                }
                break;
            }
            case Operation::Kind::finish:
                times(table, op.parent_states, op.states, memory + op.evidence, scratch.factor);
                if (op.update_belief) {
                    absorb(memory + op.parent_belief, scratch.factor, op.parent_states, false, scratch.product);
                }
                if (op.update_evidence) {
                    absorb(memory + op.parent_evidence, scratch.factor, op.parent_states, op.first_evidence,
                           scratch.product);
                }
                break;
        }
    }
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
