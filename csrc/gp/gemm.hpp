// Matrix products on strided data, one thread. Included by kernel sources only (internal linkage).
//
//     C = A B,  C += A B  or  C -= A B,   optionally with a diagonal between:  A diag(weight) B
//
// A (m x k) and B (k x n) have any strides, so a transpose costs nothing; C (m x n) has unit column stride. Columns of
// C are done in panels of 3 vectors; a panel of B is copied to `pack` (which also transposes, weights and pads it) when
// that pays or is needed. Within a panel blocks of kRows rows of C stay in registers over the whole sum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gp/algebra.hpp"
#include "support/simd.hpp"

#if defined(__AVX512F__)
#define FOURFOLD_GP_BYTES 64
#define FOURFOLD_GP_ROWS 8
#elif defined(__AVX2__)
#define FOURFOLD_GP_BYTES 32
#define FOURFOLD_GP_ROWS 4
#else
#define FOURFOLD_GP_BYTES 16
#define FOURFOLD_GP_ROWS 4
#endif

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

using ::fourfold::FOURFOLD_LEVEL::Lanes;
using ::fourfold::FOURFOLD_LEVEL::load;
using ::fourfold::FOURFOLD_LEVEL::store;

using Index = std::ptrdiff_t;

template <class T>
inline constexpr int kLanes = FOURFOLD_GP_BYTES / sizeof(T);
inline constexpr int kRows = FOURFOLD_GP_ROWS;
// Widest panel, in vectors: kRows * kVectors accumulators fit the registers (32 with AVX-512, else 16).
inline constexpr int kVectors = 3;
static_assert(kPanelBytes % (kVectors * FOURFOLD_GP_BYTES) == 0);

// Not std::min, whose instantiations would be weak symbols.
FOURFOLD_INLINE Index smaller(Index a, Index b) { return a < b ? a : b; }

// MR rows x NV vectors of C from k terms. b: rows of the panel, ldb apart.
template <class T, int MR, int NV>
FOURFOLD_INLINE void block(Index k, const T* a, Index rsa, Index csa, const T* b, Index ldb, T* c, Index ldc,
                           Update update) {
    constexpr int V = kLanes<T>;
    using Vec = Lanes<T, V>;
    Vec sum[MR][NV];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[i][j] = Vec{};
    }
    for (Index l = 0; l < k; ++l) {
        Vec row[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) row[j] = load<Vec>(b + l * ldb + j * V);
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) {
            const T factor = a[i * rsa + l * csa];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) sum[i][j] += factor * row[j];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
            T* to = c + i * ldc + j * V;
            if (update == Update::set) {
                store(to, sum[i][j]);
            } else if (update == Update::add) {
                store(to, load<Vec>(to) + sum[i][j]);
            } else {
                store(to, load<Vec>(to) - sum[i][j]);
            }
        }
    }
}

template <class T, int NV>
void column_panel(Index m, Index k, const T* a, Index rsa, Index csa, const T* b, Index ldb, T* c, Index ldc,
                  Update update) {
    Index i = 0;
    for (; i + kRows <= m; i += kRows) {
        block<T, kRows, NV>(k, a + i * rsa, rsa, csa, b, ldb, c + i * ldc, ldc, update);
    }
    if constexpr (kRows > 4) {
        if (i + 4 <= m) {
            block<T, 4, NV>(k, a + i * rsa, rsa, csa, b, ldb, c + i * ldc, ldc, update);
            i += 4;
        }
    }
    if (i + 2 <= m) {
        block<T, 2, NV>(k, a + i * rsa, rsa, csa, b, ldb, c + i * ldc, ldc, update);
        i += 2;
    }
    if (i < m) block<T, 1, NV>(k, a + i * rsa, rsa, csa, b, ldb, c + i * ldc, ldc, update);
}

template <class T>
void column_panel_of(int vectors, Index m, Index k, const T* a, Index rsa, Index csa, const T* b, Index ldb, T* c,
                     Index ldc, Update update) {
    if (vectors == 1) return column_panel<T, 1>(m, k, a, rsa, csa, b, ldb, c, ldc, update);
    if (vectors == 2) return column_panel<T, 2>(m, k, a, rsa, csa, b, ldb, c, ldc, update);
    column_panel<T, 3>(m, k, a, rsa, csa, b, ldb, c, ldc, update);
}

// k rows of `columns` entries -> rows of `width` entries, zeros at the end.
template <class T>
void pack_panel(Index k, Index columns, Index width, const T* b, Index rsb, Index csb, const T* weight, T* pack) {
    if (csb == 1) {
        for (Index l = 0; l < k; ++l) {
            const T factor = weight == nullptr ? T(1) : weight[l];
#pragma omp simd
            for (Index j = 0; j < columns; ++j) pack[l * width + j] = factor * b[l * rsb + j];
            for (Index j = columns; j < width; ++j) pack[l * width + j] = T(0);
        }
        return;
    }
    constexpr Index V = kLanes<T>;
    using Vec = Lanes<T, kLanes<T>>;
    for (Index l0 = 0; l0 < k; l0 += V) {
        const Index count = smaller(V, k - l0);
        T* to = pack + l0 * width;
        for (Index j0 = 0; j0 < width; j0 += V) {
            if (rsb == 1 && count == V && j0 + V <= columns) {
                Vec square[kLanes<T>];
                for (Index j = 0; j < V; ++j) square[j] = load<Vec>(b + l0 + (j0 + j) * csb);
                ::fourfold::FOURFOLD_LEVEL::transpose_from<1, kLanes<T>>(square);
                for (Index l = 0; l < V; ++l) store(to + l * width + j0, square[l]);
                continue;
            }
            for (Index l = 0; l < count; ++l) {
                for (Index j = j0; j < j0 + V; ++j) {
                    to[l * width + j] = j < columns ? b[(l0 + l) * rsb + j * csb] : T(0);
                }
            }
        }
        if (weight == nullptr) continue;
        for (Index l = 0; l < count; ++l) {
#pragma omp simd
            for (Index j = 0; j < width; ++j) to[l * width + j] *= weight[l0 + l];
        }
    }
}

template <class T>
void gemm(const Product<T>& p, T* pack) {
    constexpr Index V = kLanes<T>;
    constexpr Index wide = kVectors * V;
    alignas(64) T edge[kRows * wide];
    // Equal stretches of the sum: a panel of one stays in the first-level cache.
    // Panels of nearly equal width: one of a single vector would wait for loads.
    const Index vectors_in_all = (p.n + V - 1) / V, panels = (vectors_in_all + kVectors - 1) / kVectors;
    const Index stretches = p.k > kDepth ? (p.k + kDepth - 1) / kDepth : 1, most = (p.k + stretches - 1) / stretches;
    for (Index k0 = 0; k0 < p.k || k0 == 0; k0 += most > 0 ? most : 1) {
        const Index depth = smaller(most, p.k - k0);
        const Update update = k0 == 0 || p.update != Update::set ? p.update : Update::add;
        const T* weight = p.weight == nullptr ? nullptr : p.weight + k0;
        for (Index panel = 0; panel < panels; ++panel) {
            const Index j0 = vectors_in_all * panel / panels * V;
            const int vectors = static_cast<int>(vectors_in_all * (panel + 1) / panels - j0 / V);
            const Index width = vectors * V, columns = smaller(width, p.n - j0);
            const Index rows = p.upper ? smaller(p.m, (j0 + columns + 7) / 8 * 8) : p.m;
            const T* a = p.a + k0 * p.csa;
            const T* b = p.b + k0 * p.rsb + j0 * p.csb;
            Index ldb = p.rsb;
            if (p.csb != 1 || weight != nullptr || width != columns || p.m > 4 * kRows) {
                pack_panel(depth, columns, width, b, p.rsb, p.csb, weight, pack);
                b = pack;
                ldb = width;
            }
            T* c = p.c + j0;
            if (width == columns) {
                column_panel_of(vectors, rows, depth, a, p.rsa, p.csa, b, ldb, c, p.ldc, update);
                continue;
            }
            for (Index i = 0; i < rows; i += kRows) {
                const Index count = smaller(kRows, rows - i);
                column_panel_of(vectors, count, depth, a + i * p.rsa, p.rsa, p.csa, b, ldb, edge, wide, Update::set);
                for (Index r = 0; r < count; ++r) {
                    T* to = c + (i + r) * p.ldc;
                    const T* from = edge + r * wide;
                    if (update == Update::set) {
                        for (Index j = 0; j < columns; ++j) to[j] = from[j];
                    } else if (update == Update::add) {
                        for (Index j = 0; j < columns; ++j) to[j] += from[j];
                    } else {
                        for (Index j = 0; j < columns; ++j) to[j] -= from[j];
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
