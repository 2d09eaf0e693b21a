// Products and triangular solves on the columns of a strided array, a panel of up to 3 vectors of columns at a time:
// the panel is copied to cache, which is what lets the result go where the data came from. One thread; included by
// kernel sources only.
#pragma once

#include "gp/gemm.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// The panel's rows are `width` apart; what lies beyond its columns is zero.
template <class T>
void load_panel(const Columns<T>& p, Index width, T* panel) {
    if (p.after == 1) {
        pack_panel(p.n, p.count, width, p.from + p.first * p.n, 1, p.n, static_cast<const T*>(nullptr), panel);
        return;
    }
    for (Index at = 0; at < p.count;) {
        const Index slab = (p.first + at) / p.after, j = (p.first + at) % p.after;
        const Index some = smaller(p.after - j, p.count - at);
        const T* from = p.from + slab * p.n * p.after + j;
        for (Index l = 0; l < p.n; ++l) {
            // Rows are far apart, which the hardware does not foresee: the next panel, which is likely to be next.
            for (Index c = 0; c < some; c += 64 / static_cast<Index>(sizeof(T))) {
                __builtin_prefetch(from + l * p.after + some + c, 0, 2);
            }
#pragma omp simd
            for (Index c = 0; c < some; ++c) panel[l * width + at + c] = from[l * p.after + c];
        }
        at += some;
    }
    if (p.count == width) return;
    for (Index l = 0; l < p.n; ++l) {
        for (Index c = p.count; c < width; ++c) panel[l * width + c] = T(0);
    }
}

template <class T>
void store_panel(const Columns<T>& p, Index width, const T* panel) {
    if (p.after != 1) {
        for (Index at = 0; at < p.count;) {
            const Index slab = (p.first + at) / p.after, j = (p.first + at) % p.after;
            const Index some = smaller(p.after - j, p.count - at);
            T* to = p.to + slab * p.n * p.after + j;
            for (Index l = 0; l < p.n; ++l) {
#pragma omp simd
                for (Index c = 0; c < some; ++c) to[l * p.after + c] = panel[l * width + at + c];
            }
            at += some;
        }
        return;
    }
    constexpr Index V = kLanes<T>;
    using Vec = Lanes<T, kLanes<T>>;
    T* to = p.to + p.first * p.n;
    for (Index j0 = 0; j0 < p.count; j0 += V) {
        const Index columns = smaller(V, p.count - j0);
        Index l = 0;
        for (; columns == V && l + V <= p.n; l += V) {
            Vec square[kLanes<T>];
            for (Index i = 0; i < V; ++i) square[i] = load<Vec>(panel + (l + i) * width + j0);
            ::fourfold::FOURFOLD_LEVEL::transpose_from<1, kLanes<T>>(square);
            for (Index i = 0; i < V; ++i) store(to + (j0 + i) * p.n + l, square[i]);
        }
        for (; l < p.n; ++l) {
            for (Index j = 0; j < columns; ++j) to[(j0 + j) * p.n + l] = panel[l * width + j0 + j];
        }
    }
}

template <class T>
int vectors_of(Index columns) {
    return static_cast<int>((columns + kLanes<T> - 1) / kLanes<T>);
}

// to <- M from
template <class T>
void product_columns(const Columns<T>& p, const T* matrix, Index rs, Index cs, T* work) {
    const int vectors = vectors_of<T>(p.count);
    const Index width = vectors * kLanes<T>;
    load_panel(p, width, work);
    const Index slab = p.first / p.after, j = p.first % p.after;
    if (p.count == width && j + width <= p.after) {
        T* to = p.to + slab * p.n * p.after + j;
        column_panel_of(vectors, p.n, p.n, matrix, rs, cs, static_cast<const T*>(work), width, to, p.after,
                        Update::set);
        return;
    }
    T* result = work + p.n * width;
    column_panel_of(vectors, p.n, p.n, matrix, rs, cs, static_cast<const T*>(work), width, result, width, Update::set);
    store_panel(p, width, static_cast<const T*>(result));
}

// kRows unknowns x from `terms` known ones and the triangle d(i, j) = d[i*rsd + j*csd] on the diagonal, whose order is
// that of the elimination: down the rows if Forward, else up.
template <class T, int NV, bool Forward>
FOURFOLD_INLINE void substitute_block(Index terms, const T* a, Index rsa, Index csa, const T* known, const T* d,
                                      Index rsd, Index csd, T* x) {
    constexpr int V = kLanes<T>, R = kRows;
    using Vec = Lanes<T, V>;
    Vec sum[R][NV];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[i][j] = Vec{};
    }
    for (Index l = 0; l < terms; ++l) {
        Vec row[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) row[j] = load<Vec>(known + (l * NV + j) * V);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
            const T factor = a[i * rsa + l * csa];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) sum[i][j] += factor * row[j];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[i][j] = load<Vec>(x + (i * NV + j) * V) - sum[i][j];
    }
#pragma GCC unroll 16
    for (int step = 0; step < R; ++step) {
        const int r = Forward ? step : R - 1 - step;
        const T pivot = T(1) / d[r * rsd + r * csd];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
            sum[r][j] = sum[r][j] * pivot;
            store(x + (r * NV + j) * V, sum[r][j]);
        }
#pragma GCC unroll 16
        for (int other = step + 1; other < R; ++other) {
            const int i = Forward ? other : R - 1 - other;
            const T factor = d[i * rsd + r * csd];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) sum[i][j] -= factor * sum[r][j];
        }
    }
}

// The last block of rows of L where it is not a full one: [kRows][n rounded up], rows that are not there are those of
// the identity.
template <class T>
void edge_rows(Index n, const T* lower, T* edge) {
    const Index i0 = n / kRows * kRows, ld = i0 + kRows;
    for (Index r = 0; r < kRows; ++r) {
        for (Index c = 0; c < ld; ++c) {
            edge[r * ld + c] = i0 + r < n && c <= i0 + r ? lower[(i0 + r) * n + c] : T(c == i0 + r);
        }
    }
}

// panel[n rounded up][width] <- L^-1 panel, or L^-T panel if not Forward. Substitution throughout, nothing is inverted
// but the pivots.
template <class T, int NV, bool Forward>
void substitute(Index n, const T* lower, const T* edge, T* panel) {
    constexpr Index W = NV * kLanes<T>;
    const Index blocks = (n + kRows - 1) / kRows;
    for (Index step = 0; step < blocks; ++step) {
        const Index i0 = (Forward ? step : blocks - 1 - step) * kRows;
        const bool whole = i0 + kRows <= n;
        const T* row = whole ? lower + i0 * n : edge;
        const Index ld = whole ? n : i0 + kRows;
        T* x = panel + i0 * W;
        if constexpr (Forward) {
            substitute_block<T, NV, true>(i0, row, ld, 1, panel, row + i0, ld, 1, x);
        } else {
            const Index from = i0 + kRows;
            substitute_block<T, NV, false>(whole ? n - from : 0, lower + from * n + i0, 1, n, panel + from * W,
                                           row + i0, 1, ld, x);
        }
    }
}

template <class T, int NV>
void substitute_both(Sweep sweep, Index n, const T* lower, const T* edge, T* panel) {
    if (sweep != Sweep::backward) substitute<T, NV, true>(n, lower, edge, panel);
    if (sweep != Sweep::forward) substitute<T, NV, false>(n, lower, edge, panel);
}

// to <- L^-1 from, L^-T from, or one after the other
template <class T>
void solve_columns(const Columns<T>& p, const T* lower, Sweep sweep, T* work) {
    const int vectors = vectors_of<T>(p.count);
    const Index width = vectors * kLanes<T>, rows = (p.n + kRows - 1) / kRows * kRows;
    load_panel(p, width, work);
    for (Index i = p.n * width; i < rows * width; ++i) work[i] = T(0);
    T* edge = work + rows * width;
    if (rows != p.n) edge_rows(p.n, lower, edge);
    if (vectors == 1) {
        substitute_both<T, 1>(sweep, p.n, lower, edge, work);
    } else if (vectors == 2) {
        substitute_both<T, 2>(sweep, p.n, lower, edge, work);
    } else {
        substitute_both<T, 3>(sweep, p.n, lower, edge, work);
    }
    store_panel(p, width, static_cast<const T*>(work));
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
