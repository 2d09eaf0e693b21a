// What a block of GPU threads does with B-splines; see bases_blocks.hpp for who owns what. Internal linkage: included
// by GPU sources, and by tests that run them on the host.
#pragma once

#include "kan/bases_blocks.hpp"
#include "kan/basis_spline.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

template <class T>
struct SplineCall {
    kan::BasesBlocks blocks;
    kan::Spline<T> spline;
    int derivative;
    Factors<T> factors;
};

// Knots and polynomials of evenly spaced splines, which all threads read at places of their own: memory that a block
// shares serves that faster than the cache does. Larger ones, or those of each feature, stay where they are.
template <class T>
struct SplineShared {
    static constexpr std::size_t room = 1536;
    T knots_and_table[room];
};

template <class T>
FOURFOLD_INLINE std::size_t knots_of(const kan::Spline<T>& s) {
    return static_cast<std::size_t>(s.intervals) + 2 * s.degree + 1;
}
template <class T>
FOURFOLD_INLINE std::size_t numbers_of_table(const kan::Spline<T>& s) {
    return (knots_of(s) + 1) * (s.degree + 2) * (s.degree + 1);
}

// The splines as the block reads them.
template <class Block, class T>
FOURFOLD_INLINE kan::Spline<T> in_shared_memory(Block& block, const kan::Spline<T>& spline, SplineShared<T>& shared) {
    const std::size_t knots = knots_of(spline), all = knots + numbers_of_table(spline);
    if (!spline.shared || all > SplineShared<T>::room) return spline;
    block.each([&](unsigned thread) {
        for (std::size_t i = thread; i < all; i += block.threads()) {
            shared.knots_and_table[i] = i < knots ? spline.knots[i] : spline.table[i - knots];
        }
    });
    kan::Spline<T> nearby = spline;
    nearby.knots = shared.knots_and_table;
    nearby.table = shared.knots_and_table + knots;
    return nearby;
}

// How many knots are <= x, by bisection; none for NaN.
template <class T>
FOURFOLD_INLINE int interval_of(const kan::Spline<T>& s, std::uint64_t feature, T x) {
    const std::uint64_t step = s.shared ? 1 : s.features;
    const T* const knots = s.knots + (s.shared ? 0 : feature);
    int found = 0;
    for (int left = static_cast<int>(knots_of(s)); left > 0;) {
        const int half = left / 2;
        const bool beyond = x >= knots[(found + half) * step];
        found = beyond ? found + half + 1 : found;
        left = beyond ? left - half - 1 : half;
    }
    return found;
}

// The k + 1 functions that are not zero at a number, from `first` on.
template <class T>
struct SplineValues {
    int first;
    T of[kan::kMaxDegree + 1];

    FOURFOLD_INLINE SplineValues(const SplineCall<T>& call, const kan::Spline<T>& s, std::uint64_t feature, T x)
        : of{} {
        const int interval = interval_of(s, feature, x), after = interval - 1 - s.degree, last = s.intervals - 1;
        first = after < 0 ? 0 : after > last ? last : after;
        const T* const row = row_of_table<0>(s, feature, static_cast<std::size_t>(interval));
        evaluate_any<0>(s, row, call.factors, call.derivative, x, of);
    }
    // Of the function j, which may be any.
    FOURFOLD_INLINE T operator[](int j) const {
        T value = T(0);
        for_slots(kan::kMaxDegree, [&](int r) { value = first + r == j ? of[r] : value; });
        return value;
    }
};

template <class Block, class T>
FOURFOLD_INLINE void expand_splines(Block& block, const SplineCall<T>& call, SplineShared<T>& shared, const T* x,
                                    T* out) {
    const kan::Spline<T> s = in_shared_memory(block, call.spline, shared);
    block.each([&](unsigned thread) {
        kan::for_rows_of(block, call.blocks, thread, [&](std::uint64_t feature, std::uint64_t at, std::uint64_t to) {
            const SplineValues<T> values(call, s, feature, x[at]);
            const int functions = static_cast<int>(call.blocks.functions);
            for (int j = 0; j < functions; ++j) out[to + j * call.blocks.features] = values[j];
        });
    });
}

template <class Block, class T>
FOURFOLD_INLINE void contract_splines(Block& block, const SplineCall<T>& call, SplineShared<T>& shared, const T* grad,
                                      const T* x, T* dx) {
    const kan::Spline<T> s = in_shared_memory(block, call.spline, shared);
    block.each([&](unsigned thread) {
        kan::for_rows_of(block, call.blocks, thread, [&](std::uint64_t feature, std::uint64_t at, std::uint64_t from) {
            const SplineValues<T> values(call, s, feature, x[at]);
            const T* const g = grad + from + values.first * call.blocks.features;
            T sum = T(0);
            for_slots(s.degree, [&](int r) { sum += values.of[r] * g[r * call.blocks.features]; });
            dx[at] = sum;
        });
    });
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
