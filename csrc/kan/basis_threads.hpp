// What a block of GPU threads does with families, combinations and series; see bases_blocks.hpp for who owns what.
// Internal linkage: included by GPU sources, and by tests that run them on the host.
#pragma once

#include "kan/activations.hpp"
#include "kan/bases_blocks.hpp"
#include "kan/basis_functions.hpp"
#include "support/far_angle.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// A value and its derivatives with respect to x and to the function's two numbers.
template <class T>
struct Slopes {
    T value, by_x, by_first, by_second;
};

// (x - centre) scale in one of the families.
template <class T>
struct FamilyOf {
    kan::Function function;

    FOURFOLD_INLINE Slopes<T> operator()(T x, T centre, T scale) const {
        const T distance = x - centre;
        Slopes<T> at{};
        with_family(function, [&]<kan::Function F>() {
            T slope;
            evaluate<T, 1, F>(distance * scale, at.value, slope);
            at.by_x = slope * scale;
            at.by_second = slope * distance;
        });
        at.by_first = -at.by_x;
        return at;
    }
};

// A combination of two activations.
template <class T>
struct CombinationOf {
    kan::Activation activation;
    kan::Combination how;

    FOURFOLD_INLINE Slopes<T> operator()(T x, T low, T high) const {
        Slopes<T> at{};
        with_activation(activation, [&]<kan::Activation S>() {
            const Pair<T, 1, S> pair(how, x, low, high);
            at = {pair.value, -(pair.by_low + pair.by_high), pair.by_low, pair.by_high};
        });
        return at;
    }
};

template <class T, class F>
struct BasisCall {
    kan::BasesBlocks blocks;
    F function;
    const T *first, *second;  // [functions][features]
};

// Up to kRowsOfTurn numbers of a column that go through the same code one after another: a register cannot be named by
// a number, so they move up instead.
template <class T>
struct Column {
    T of[kan::kRowsOfTurn];

    FOURFOLD_INLINE void load(const T* from, std::uint64_t stride, std::uint64_t available) {
        FOURFOLD_UNROLL(4)
        for (unsigned r = 0; r < kan::kRowsOfTurn; ++r) of[r] = r < available ? from[r * stride] : T(0);
    }
    FOURFOLD_INLINE T next() {
        const T first = of[0];
        FOURFOLD_UNROLL(4)
        for (unsigned r = 0; r + 1 < kan::kRowsOfTurn; ++r) of[r] = of[r + 1];
        return first;
    }
};

FOURFOLD_INLINE std::uint64_t rows_of_turn(const kan::BasesPlace& place, std::uint64_t row) {
    const std::uint64_t left = place.end - row;
    return left < kan::kRowsOfTurn ? left : kan::kRowsOfTurn;
}

template <class Block, class T, class F>
FOURFOLD_INLINE void expand_functions(Block& block, const BasisCall<T, F>& call, const T* x, T* out) {
    const kan::BasesBlocks& blocks = call.blocks;
    block.each([&](unsigned thread) {
        const kan::BasesPlace place(blocks, false, block.index(), thread);
        const std::uint32_t j = place.slab * blocks.warps + place.warp;
        if (place.feature >= blocks.features || j >= blocks.functions) return;
        const std::uint64_t plane = j * blocks.features + place.feature;
        const T first = call.first[plane], second = call.second[plane];
        for (std::uint64_t row = place.begin; row < place.end; row += kan::kRowsOfTurn) {
            const std::uint64_t count = rows_of_turn(place, row);
            Column<T> here;
            here.load(x + row * blocks.features + place.feature, blocks.features, count);
            FOURFOLD_ROLLED
            for (std::uint64_t r = 0; r < count; ++r) {
                out[(row + r) * blocks.functions * blocks.features + plane] =
                    call.function(here.next(), first, second).value;
            }
        }
    });
}

// What each warp contributes to dx: of this turn, and of the one before, which is added up meanwhile.
template <class T>
struct ContractShared {
    T along[2][kan::kMostWarps][kan::kRowsOfTurn][kan::kFeaturesOfBlock];
};

template <class T>
struct ContractState {
    T first, second, by_first, by_second;
};

// dx, and the sums over a chunk of the gradients of the two numbers, parts[chunk][first, second][functions][features];
// null: not wanted.
template <class Block, class T, class F>
FOURFOLD_INLINE void contract_functions(Block& block, const BasisCall<T, F>& call, ContractShared<T>& shared,
                                        const T* grad, const T* x, T* dx, T* parts) {
    const kan::BasesBlocks& blocks = call.blocks;
    const std::uint64_t size = blocks.functions * blocks.features;
    typename Block::template PerThread<ContractState<T>> states(block);
    for (std::uint32_t slab = 0; slab < blocks.slabs; ++slab) {
        const std::uint32_t from = slab * blocks.warps, left = blocks.functions - from;
        const std::uint32_t used = left < blocks.warps ? left : blocks.warps;
        block.each([&](unsigned thread) {
            const kan::BasesPlace place(blocks, true, block.index(), thread);
            if (place.feature >= blocks.features || place.warp >= used) return;
            const std::uint64_t plane = (from + place.warp) * blocks.features + place.feature;
            states[thread] = {call.first[plane], call.second[plane], T(0), T(0)};
        });
        const kan::BasesPlace whole(blocks, true, block.index(), 0);
        const std::uint64_t turns = (whole.end - whole.begin + kan::kRowsOfTurn - 1) / kan::kRowsOfTurn;
        for (std::uint64_t turn = 0; turn <= turns; ++turn) {
            block.each([&](unsigned thread) {
                const kan::BasesPlace place(blocks, true, block.index(), thread);
                if (place.feature >= blocks.features) return;
                if (turn > 0) {
                    const std::uint64_t row = place.begin + (turn - 1) * kan::kRowsOfTurn;
                    const std::uint64_t count = rows_of_turn(place, row);
                    for (std::uint32_t r = place.warp; r < count; r += blocks.warps) {
                        T* const to = dx + (row + r) * blocks.features + place.feature;
                        T sum = slab == 0 ? T(0) : *to;
                        for (std::uint32_t w = 0; w < used; ++w) sum += shared.along[(turn - 1) % 2][w][r][place.lane];
                        *to = sum;
                    }
                }
                if (turn == turns || place.warp >= used) return;
                const std::uint64_t row = place.begin + turn * kan::kRowsOfTurn, count = rows_of_turn(place, row);
                Column<T> here, above;
                here.load(x + row * blocks.features + place.feature, blocks.features, count);
                above.load(grad + row * size + (from + place.warp) * blocks.features + place.feature, size, count);
                ContractState<T>& state = states[thread];
                FOURFOLD_ROLLED
                for (std::uint64_t r = 0; r < count; ++r) {
                    const Slopes<T> at = call.function(here.next(), state.first, state.second);
                    const T g = above.next();
                    shared.along[turn % 2][place.warp][r][place.lane] = g * at.by_x;
                    state.by_first += g * at.by_first;
                    state.by_second += g * at.by_second;
                }
            });
        }
        if (parts == nullptr) continue;
        block.each([&](unsigned thread) {
            const kan::BasesPlace place(blocks, true, block.index(), thread);
            if (place.feature >= blocks.features || place.warp >= used) return;
            T* const to = parts + place.chunk * 2 * size + (from + place.warp) * blocks.features + place.feature;
            to[0] = states[thread].by_first;
            to[size] = states[thread].by_second;
        });
    }
}

// A thread a sum; in double, in the order of the chunks. `size` numbers of both kinds.
template <class Block, class T>
FOURFOLD_INLINE void add_parts(Block& block, std::uint64_t size, std::uint64_t chunks, const T* parts, T* of_first,
                               T* of_second) {
    block.each([&](unsigned thread) {
        const std::uint64_t place = std::uint64_t{block.index()} * block.threads() + thread;
        if (place >= 2 * size) return;
        double sum = 0;
        for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
            sum += static_cast<double>(parts[chunk * 2 * size + place]);
        }
        T* const to = place < size ? of_first : of_second;
        to[place % size] = static_cast<T>(sum);
    });
}

// Series: a thread computes all functions at a number.
struct SeriesCall {
    kan::BasesBlocks blocks;
    bool fourier;
};

template <class T>
FOURFOLD_INLINE void cosine_and_sine(T x, T& c, T& s) {
    constexpr T limit = SinCosConstants<T>::limit;
    if (x > limit || x < -limit) {
        sincos_of_far(x, c, s);
    } else {
        T cosine_minus_1;
        sincos<T, 1>(x, T(0), cosine_minus_1, s);
        c = T(1) + cosine_minus_1;
    }
}

template <class Block, class T>
FOURFOLD_INLINE void expand_series(Block& block, const SeriesCall& call, const T* x, T* out) {
    const std::uint64_t d = call.blocks.features;
    const std::uint32_t functions = call.blocks.functions;
    block.each([&](unsigned thread) {
        kan::for_rows_of(block, call.blocks, thread, [&](std::uint64_t, std::uint64_t at, std::uint64_t to) {
            if (call.fourier) {
                Turns<T> turns;
                cosine_and_sine(x[at], turns.c1, turns.s1);
                turns.begin();
                for (std::uint32_t j = 0; j < functions / 2; ++j) {
                    out[to + j * d] = turns.c;
                    out[to + (functions / 2 + j) * d] = turns.s;
                    turns.advance();
                }
            } else {
                Chebyshev<T> t = Chebyshev<T>::first_kind(x[at]);
                for (std::uint32_t j = 0; j < functions; ++j) {
                    out[to + j * d] = t.now;
                    t.advance();
                }
            }
        });
    });
}

template <class Block, class T>
FOURFOLD_INLINE void contract_series(Block& block, const SeriesCall& call, const T* grad, const T* x, T* dx) {
    const std::uint64_t d = call.blocks.features;
    const std::uint32_t functions = call.blocks.functions;
    block.each([&](unsigned thread) {
        kan::for_rows_of(block, call.blocks, thread, [&](std::uint64_t, std::uint64_t at, std::uint64_t from) {
            T sum;
            if (call.fourier) {
                Turns<T> turns;
                cosine_and_sine(x[at], turns.c1, turns.s1);
                turns.begin();
                sum = T(0);
                for (std::uint32_t j = 0; j < functions / 2; ++j) {
                    const T* const g = grad + from + j * d;
                    sum += static_cast<T>(j + 1) * (turns.c * g[functions / 2 * d] - turns.s * g[0]);
                    turns.advance();
                }
            } else {
                Chebyshev<T> u = Chebyshev<T>::second_kind(x[at]);
                sum = T(0) * x[at];
                for (std::uint32_t j = 1; j < functions; ++j) {
                    sum += static_cast<T>(j) * u.now * grad[from + j * d];
                    u.advance();
                }
            }
            dx[at] = sum;
        });
    });
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
