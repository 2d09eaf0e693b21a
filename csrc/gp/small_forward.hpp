// inv_quad_logdet of small Kronecker systems with noise by blocks of GPU threads, once their factors are decomposed:
// the formulas are those of _algebra.py, the layouts those of small_system.hpp. Sums go in an order that depends on the
// sizes alone.
#pragma once

#include "gp/jacobi_block.hpp"
#include "gp/small_modes.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// Right-hand side c of item b: x = (V y)/D and quad; with c = 0 logdet. Without right-hand sides a block an item makes
// logdet. NaN where D is not positive, or y not finite. shared: data_shared bytes.
template <class T, class Block>
FOURFOLD_INLINE int forward_block(Block& block, const SmallSystem& s, unsigned char* shared,
                                  const T* __restrict__ basis, const T* __restrict__ values,
                                  const T* __restrict__ noise, const T* __restrict__ y, T* __restrict__ x,
                                  T* __restrict__ quad, T* __restrict__ logdet) {
    const int threads = static_cast<int>(block.threads());
    const std::int64_t per_item = s.count > 0 ? s.count : 1;
    const std::int64_t b = block.index() / per_item, c = block.index() % per_item;
    const std::int64_t row = b * s.count + c;
    double* sums = reinterpret_cast<double*>(shared);  // [3][threads]
    T* one = reinterpret_cast<T*>(sums + 3 * threads);
    typename Block::template PerThread<int> trouble(block);
    if (s.count > 0) {
        block.each([&](unsigned thread) {
            for (int e = static_cast<int>(thread); e < s.total; e += threads) {
                const T entry = y[row * s.total + e];
                one[e] = entry;
                if (!(entry - entry == 0)) trouble[thread] = 1;
            }
        });
        one = multiply_modes(block, s, basis, b, false, one, one + s.total);
    }
    block.each([&](unsigned thread) {
        double square = 0, logarithm = 0;
        const double shift = static_cast<double>(noise[b]);
        for (int e = static_cast<int>(thread); e < s.total; e += threads) {
            const double d = eigenvalue(s, values, b, e, -1) + shift;
            if (!(d > 0)) trouble[thread] = 1;
            if (c == 0) logarithm += log(d);
            if (s.count > 0) {
                const T before = one[e], ready = before / static_cast<T>(d);
                x[row * s.total + e] = ready;
                square += static_cast<double>(before) * static_cast<double>(ready);
            }
        }
        sums[thread] = square;
        sums[threads + static_cast<int>(thread)] = logarithm;
        sums[2 * threads + static_cast<int>(thread)] = trouble[thread];
    });
    add_threads(block, sums, 3);
    const bool bad = sums[2 * threads] > 0;
    block.each([&](unsigned thread) {
        if (thread > 0) return;
        if (s.count > 0) quad[row] = static_cast<T>(bad ? NAN : sums[0]);
        if (c == 0) logdet[b] = static_cast<T>(bad ? NAN : sums[threads]);
    });
    return bad ? kNotPositive : kFine;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
