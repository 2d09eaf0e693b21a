// Symmetric eigenproblem of one matrix on one thread. Small matrices: `tridiagonal.hpp` alone. Larger ones: reduction
// in blocks of columns, whose updates are matrix products (Dongarra, Sorensen and Hammarling, J. Comput. Appl. Math.
// 27, 1989), division, and the reflectors applied to the eigenvectors in blocks. Included by kernel sources only.
#pragma once

#include "gp/divide.hpp"
#include "gp/tridiagonal.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// From this size on.
inline constexpr Index kDivided = 64;

// y <- a x for the symmetric matrix whose upper triangle is in a, with whole blocks of kPad on the diagonal; x is zero
// up to `from`, a multiple of kPad, and y is not set there. Every entry of a is loaded once.
void symmetric_product(const TridiagonalWork& t, Index from, const double* __restrict x, double* __restrict y) {
    constexpr Index V = kLanes<double>;
    constexpr int R = kRows;
    static_assert(kPad % R == 0 && R % V == 0);
    using Vec = Lanes<double, kLanes<double>>;
    const Index n = t.n, ld = t.ld;
    for (Index c = from; c < ld; ++c) y[c] = 0;
    for (Index i0 = from; i0 < n; i0 += kPad) {
        for (Index r0 = i0; r0 < smaller(n, i0 + kPad); r0 += R) {
            // Rows beyond the last one are padding that stays zero.
            const double* row = t.a + r0 * ld;
            Vec sum[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) sum[r] = Vec{};
            for (Index c = i0; c < i0 + kPad; c += V) {
                Vec below = load<Vec>(y + c);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) below += x[r0 + r] * load<Vec>(row + r * ld + c);
                store(y + c, below);
            }
            for (Index c = i0 + kPad; c < ld; c += V) {
                Vec below = load<Vec>(y + c);
                const Vec here = load<Vec>(x + c);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const Vec entry = load<Vec>(row + r * ld + c);
                    below += x[r0 + r] * entry;
                    sum[r] += entry * here;
                }
                store(y + c, below);
            }
#pragma GCC unroll 8
            for (int g = 0; g < R; g += V) {
                ::fourfold::FOURFOLD_LEVEL::transpose_from<1, kLanes<double>>(sum + g);
                Vec total = sum[g];
#pragma GCC unroll 8
                for (int r = 1; r < V; ++r) total += sum[g + r];
                store(y + r0 + g, load<Vec>(y + r0 + g) + total);
            }
        }
    }
}

// As `reduce`, but the trailing matrix is only updated after kBlock columns. a has padded(n) rows. In t.panel: v and w
// of the block, then w and v, kBlock rows each.
void reduce_in_blocks(TridiagonalWork& t) {
    const Index n = t.n, ld = t.ld;
    double* first_order = t.panel;
    double* second_order = t.panel + 2 * kBlock * ld;
    for (Index c = 0; c < ld; ++c) t.e[c] = t.tau[c] = 0;
    for (Index j0 = 0; j0 < n; j0 += kBlock) {
        const Index last = smaller(n, j0 + kBlock);
        for (Index j = j0; j < last; ++j) {
            double* row = t.a + j * ld;
            const Index from = j / kPad * kPad;
            for (Index p = 0; p < j - j0; ++p) {
                const double* v = first_order + p * ld;
                const double* w = second_order + p * ld;
                const double vj = v[j], wj = w[j];
#pragma omp simd
                for (Index c = from; c < ld; ++c) row[c] -= vj * w[c] + wj * v[c];
            }
            t.d[j] = row[j];
            double* v = first_order + (j - j0) * ld;
            double* w = second_order + (j - j0) * ld;
            for (Index c = 0; c < ld; ++c) v[c] = w[c] = 0;
            if (j < n - 1) {
                double rest = 0;
#pragma omp simd reduction(+ : rest)
                for (Index c = j + 2; c < n; ++c) rest += row[c] * row[c];
                const double alpha = row[j + 1];
                if (rest <= kNothing) {
                    t.e[j] = alpha;
                } else {
                    const double beta = -std::copysign(std::sqrt(alpha * alpha + rest), alpha);
                    t.e[j] = beta;
                    const double tau = t.tau[j] = (beta - alpha) / beta, scale = 1 / (alpha - beta);
#pragma omp simd
                    for (Index c = j + 2; c < n; ++c) v[c] = row[c] * scale;
                    v[j + 1] = 1;
                    const Index start = (j + 1) / kPad * kPad;
                    symmetric_product(t, start, v, t.y);
                    for (Index p = 0; p < j - j0; ++p) {
                        const double* vp = first_order + p * ld;
                        const double* wp = second_order + p * ld;
                        double with_v = 0, with_w = 0;
#pragma omp simd reduction(+ : with_v, with_w)
                        for (Index c = start; c < ld; ++c) {
                            with_v += vp[c] * v[c];
                            with_w += wp[c] * v[c];
                        }
#pragma omp simd
                        for (Index c = start; c < ld; ++c) t.y[c] -= with_w * vp[c] + with_v * wp[c];
                    }
                    double product = 0;
#pragma omp simd reduction(+ : product)
                    for (Index c = start; c < ld; ++c) product += t.y[c] * v[c];
                    const double half = 0.5 * tau * tau * product;
                    for (Index c = j + 1; c < n; ++c) w[c] = tau * t.y[c] - half * v[c];
                }
            }
            double* again_w = first_order + (kBlock + j - j0) * ld;
            double* again_v = second_order + (kBlock + j - j0) * ld;
            for (Index c = 0; c < ld; ++c) {
                again_w[c] = w[c];
                again_v[c] = v[c];
                row[c] = v[c];
            }
        }
        const Index size = n - last;
        if (size > 0) {
            gemm<double>({size, size, 2 * kBlock, first_order + last, second_order + last, nullptr, 1, ld, ld, 1,
                          t.a + last * ld + last, ld, Update::subtract, true},
                         t.pack);
        }
    }
}

// q[n][ld] <- q H', H = H_0 H_1 ... with the vectors in the rows of a: rows that are eigenvectors of the tridiagonal
// matrix become those of the matrix itself.
void restore_rows(TridiagonalWork& t) {
    const Index n = t.n, ld = t.ld, reflectors = n - 1;
    double* product = t.panel;
    double* scaled = t.panel + n * kBlock;
    for (Index first = (reflectors - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
        const Index count = smaller(kBlock, reflectors - first), from = first + 1, size = n - from;
        block_factor(t, first, count);
        const double* v = t.a + first * ld + from;
        double* q = t.q + from;
        gemm<double>({n, count, size, q, v, nullptr, ld, 1, 1, ld, product, kBlock, Update::set, false}, t.pack);
        gemm<double>(
            {n, count, count, product, t.factor, nullptr, kBlock, 1, 1, kBlock, scaled, kBlock, Update::set, false},
            t.pack);
        gemm<double>({n, size, count, scaled, v, nullptr, kBlock, 1, ld, 1, q, ld, Update::subtract, false}, t.pack);
    }
}

// The eigenvectors of the matrix in a, in the rows of a or of q, which is returned; null if there is no convergence.
double* divided(TridiagonalWork& t, double* rest) {
    const Index n = t.n, ld = t.ld;
    reduce_in_blocks(t);
    for (Index i = 0; i < n * ld; ++i) t.q[i] = 0;
    for (Index i = 0; i < n; ++i) t.q[i * ld + i] = 1;
    DivideWork w{};
    w.t = &t;
    const auto take = [&rest](Index count) {
        double* start = rest;
        rest += count;
        return start;
    };
    w.old = take(n * ld);
    w.middle = take(n * ld);
    for (double** vector : {&w.values, &w.z, &w.squares, &w.product, &w.row}) *vector = take(ld);
    for (Index** list : {&w.order, &w.rows, &w.kind, &w.place}) *list = reinterpret_cast<Index*>(take(ld));
    if (!divide(w, 0, n)) return nullptr;
    restore_rows(t);
    return t.q;
}

bool eigh(Index n, const double* a, double* values, double* vectors, double* work) {
    TridiagonalWork t = tridiagonal_work(n, work);
    const bool large = n >= kDivided;
    double largest = 0;
    bool finite = true;
    for (Index i = 0; i < n * n; ++i) {
        const double size = std::fabs(a[i]);
        finite = finite && size <= std::numeric_limits<double>::max();
        largest = size > largest ? size : largest;
    }
    if (!finite) return false;
    // To the order of 1, by a power of two: squares neither overflow nor vanish.
    int exponent = 0;
    std::frexp(largest, &exponent);
    const double down = std::ldexp(0.5, largest > 0 ? -exponent : 0);
    for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < n; ++j) t.a[i * t.ld + j] = down * a[i * n + j] + down * a[j * n + i];
        for (Index j = n; j < t.ld; ++j) t.a[i * t.ld + j] = 0;
    }
    const double* rows = t.a;
    if (large) {
        for (Index i = n * t.ld; i < t.ld * t.ld; ++i) t.a[i] = 0;
        rows = divided(t, t.pack + kPackCount<double>);
        if (rows == nullptr) return false;
    } else {
        reduce(t);
        accumulate(t);
        if (!diagonalise(t)) return false;
    }
    const double up = std::ldexp(1.0, largest > 0 ? exponent : 0);
    for (Index i = 0; i < n; ++i) {
        values[i] = t.d[i] * up;
        for (Index j = 0; j < n; ++j) vectors[i * n + j] = rows[i * t.ld + j];
    }
    return true;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
