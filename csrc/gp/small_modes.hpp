// What both ways of a small Kronecker system need: products along its modes, eigenvalues of the whole, sums over
// threads.
//
// Neighbouring threads work on neighbouring places behind a mode where there are such; where their places are a whole
// row apart, each begins its sum at another entry, or all would meet in one bank of the shared memory.
#pragma once

#include <cmath>

#include "gp/small_system.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

// Adds `terms` numbers of all threads, [terms][threads], into the first of each.
template <class Block>
FOURFOLD_INLINE void add_threads(Block& block, double* sums, int terms) {
    const int threads = static_cast<int>(block.threads());
    for (int half = threads / 2; half > 0; half /= 2) {
        block.each([&](unsigned thread) {
            const int t = static_cast<int>(thread);
            if (t >= half) return;
            for (int k = 0; k < terms; ++k) sums[k * threads + t] += sums[k * threads + t + half];
        });
    }
}

// Product of the values of all modes, or of all but one, at entry e of the grid.
template <class T>
FOURFOLD_INLINE double eigenvalue(const SmallSystem& s, const T* __restrict__ values, std::int64_t b, int e,
                                  int without) {
    double product = 1;
    for (int k = s.d - 1; k >= 0; --k) {
        const int i = e % s.sizes[k];
        e /= s.sizes[k];
        if (k != without) product *= static_cast<double>(values[s.values[k] + b * s.sizes[k] + i]);
    }
    return product;
}

// out = M in along mode k, in shared memory, M[i, j] = matrix[i*rs + j*cs].
template <class T, class Block>
FOURFOLD_INLINE void multiply_mode(Block& block, int n, int after, int total, const T* __restrict__ matrix, int rs,
                                   int cs, const T* in, T* out) {
    constexpr int kRows = 4;
    const int threads = static_cast<int>(block.threads()), groups = (n + kRows - 1) / kRows;
    const int work = total / n * groups;
    block.each([&](unsigned thread) {
        for (int w = static_cast<int>(thread); w < work; w += threads) {
            const int behind = w % after, first = w / after % groups * kRows, slab = w / after / groups;
            const T* column = in + slab * n * after + behind;
            const T* rows[kRows];
            T sum[kRows];
            FOURFOLD_UNROLL(4)
            for (int r = 0; r < kRows; ++r) {
                rows[r] = matrix + (first + r < n ? first + r : n - 1) * rs;
                sum[r] = 0;
            }
            int j = after == 1 ? slab % n : 0;
            for (int step = 0; step < n; ++step) {
                const T entry = column[j * after];
                FOURFOLD_UNROLL(4)
                for (int r = 0; r < kRows; ++r) sum[r] += rows[r][j * cs] * entry;
                j = j + 1 == n ? 0 : j + 1;
            }
            T* to = out + (slab * n + first) * after + behind;
            FOURFOLD_UNROLL(4)
            for (int r = 0; r < kRows; ++r) {
                if (first + r < n) to[r * after] = sum[r];
            }
        }
    });
}

// All modes by the matrices of item b, or by their transposes: from `one`, with `other` as work. Returns where it ends.
template <class T, class Block>
FOURFOLD_INLINE T* multiply_modes(Block& block, const SmallSystem& s, const T* __restrict__ basis, std::int64_t b,
                                  bool transposed, T* one, T* other) {
    for (int k = 0; k < s.d; ++k) {
        const int n = s.sizes[k];
        multiply_mode(block, n, s.after(k), s.total, basis + s.matrix(k, b), transposed ? 1 : n, transposed ? n : 1,
                      one, other);
        T* ready = other;
        other = one;
        one = ready;
    }
    return one;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
