// Symmetric eigenproblem of one small matrix: Householder reduction to tridiagonal form (Golub and Van
// Loan, Matrix Computations, section 8.3.1), then implicit QL steps (section 8.3.3, from the other end). Included by
// kernel sources only.
//
// Rows are padded to a multiple of kPad doubles and zero there. The rotations of many QL steps are kept and applied
// together to strips of the eigenvectors that stay in the first-level cache.
#pragma once

#include <cmath>
#include <limits>

#include "gp/gemm.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

inline constexpr Index kPad = 8;
inline constexpr Index kStrip = 32;
inline constexpr Index kBlock = 32;
// A square below this is that of nothing: matrices are scaled to the order of 1, and squares that are nearly too small
// for a double would make rotations and reflections that are not orthogonal.
inline constexpr double kNothing = 1e-200;

struct TridiagonalWork {
    Index n, ld, columns;   // columns: of the rows that rotations turn, padded
    double *a, *q;          // [ld][ld], [n][ld]
    double *d, *e, *tau;    // [ld]
    double *v, *w, *u, *y;  // [ld]
    double* rotations;      // cosine and sine, in the order in which they act
    Index capacity, used;   // in rotations
    double* sweeps;         // first row and number of each QL step, as doubles
    Index sweep_count;
    double *panel, *factor, *pack;  // of the blocks of reflectors: [4*kBlock][ld], [kBlock][kBlock], for gemm
};

FOURFOLD_INLINE Index padded(Index n) { return (n + kPad - 1) / kPad * kPad; }

TridiagonalWork tridiagonal_work(Index n, double* work) {
    TridiagonalWork t{};
    t.n = n;
    t.ld = t.columns = padded(n);
    t.capacity = 16 * n + 64;
    double* next = work;
    const auto take = [&next](Index count) {
        double* start = next;
        next += count;
        return start;
    };
    t.a = take(t.ld * t.ld);
    t.q = take(n * t.ld);
    for (double** vector : {&t.d, &t.e, &t.tau, &t.v, &t.w, &t.u, &t.y}) *vector = take(t.ld);
    t.rotations = take(2 * t.capacity);
    t.sweeps = take(2 * t.capacity);
    t.panel = take(4 * kBlock * t.ld);
    t.factor = take(kBlock * kBlock);
    t.pack = take(static_cast<Index>(kPackCount<double>));
    return t;
}

// rows[R] <- rows - v w' - w v' and y += rows' u, from column `from` on: a rank-two update and the product with the
// next Householder vector in one pass over the matrix.
template <int R>
FOURFOLD_INLINE void update_rows(const TridiagonalWork& t, Index row, Index from) {
    double* __restrict a = t.a + row * t.ld;
    const double* __restrict v = t.v;
    const double* __restrict w = t.w;
    double* __restrict y = t.y;
    double vi[R], wi[R], ui[R];
    for (int r = 0; r < R; ++r) {
        vi[r] = v[row + r];
        wi[r] = w[row + r];
        ui[r] = t.u[row + r];
    }
#pragma omp simd
    for (Index c = from; c < t.ld; ++c) {
        double sum = y[c];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            const double value = a[r * t.ld + c] - (vi[r] * w[c] + wi[r] * v[c]);
            a[r * t.ld + c] = value;
            sum += ui[r] * value;
        }
        y[c] = sum;
    }
}

// a = H T H', H = H_0 H_1 ...; H_j = 1 - tau_j v_j v_j' with v_j left in row j of a.
void reduce(TridiagonalWork& t) {
    const Index n = t.n, ld = t.ld;
    for (Index c = 0; c < ld; ++c) t.v[c] = t.w[c] = t.u[c] = t.e[c] = t.tau[c] = 0;
    for (Index j = 0; j < n; ++j) {
        double* row = t.a + j * ld;
        const double vj = t.v[j], wj = t.w[j];
#pragma omp simd
        for (Index c = 0; c < ld; ++c) row[c] -= vj * t.w[c] + wj * t.v[c];
        t.d[j] = row[j];
        if (j == n - 1) break;
        double rest = 0;
#pragma omp simd reduction(+ : rest)
        for (Index c = j + 2; c < n; ++c) rest += row[c] * row[c];
        const double alpha = row[j + 1];
        for (Index c = 0; c <= j; ++c) t.u[c] = 0;
        if (rest <= kNothing) {
            t.e[j] = alpha;
            for (Index c = j + 1; c < ld; ++c) t.u[c] = 0;
        } else {
            const double beta = -std::copysign(std::sqrt(alpha * alpha + rest), alpha);
            t.e[j] = beta;
            t.tau[j] = (beta - alpha) / beta;
            const double scale = 1 / (alpha - beta);
#pragma omp simd
            for (Index c = j + 2; c < ld; ++c) t.u[c] = row[c] * scale;
            t.u[j + 1] = 1;
        }
        const Index from = (j + 1) / kPad * kPad;
        for (Index c = from; c < ld; ++c) t.y[c] = 0;
        Index i = j + 1;
        for (; i + 4 <= n; i += 4) update_rows<4>(t, i, from);
        for (; i < n; ++i) update_rows<1>(t, i, from);
        double product = 0;
#pragma omp simd reduction(+ : product)
        for (Index c = j + 1; c < n; ++c) product += t.y[c] * t.u[c];
        const double tau = t.tau[j], half = 0.5 * tau * tau * product;
#pragma omp simd
        for (Index c = 0; c < ld; ++c) {
            const double value = c > j ? t.u[c] : 0.0;
            t.v[c] = value;
            t.w[c] = c > j ? tau * t.y[c] - half * value : 0.0;
            row[c] = value;
        }
    }
}

// Blocks of reflectors as 1 - V T V' (Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10, 1989): their action on q
// is matrix products. T[kBlock][kBlock] for the reflectors first .. first + count - 1, whose vectors are rows of a.
void block_factor(const TridiagonalWork& t, Index first, Index count) {
    for (Index j = 0; j < count; ++j) {
        const double* v = t.a + (first + j) * t.ld;
        const double tau = t.tau[first + j];
        double* column = t.y;
        for (Index i = 0; i < j; ++i) {
            const double* other = t.a + (first + i) * t.ld;
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (Index c = first + j + 1; c < t.n; ++c) sum += other[c] * v[c];
            column[i] = -tau * sum;
        }
        for (Index i = 0; i < j; ++i) {
            double sum = 0;
            for (Index l = i; l < j; ++l) sum += t.factor[i * kBlock + l] * column[l];
            t.factor[i * kBlock + j] = sum;
        }
        t.factor[j * kBlock + j] = tau;
        for (Index i = j + 1; i < count; ++i) t.factor[i * kBlock + j] = 0;
    }
}

// a <- (H_0 H_1 ...)', by q = H_0 (H_1 (...)) from the last block on.
void accumulate(TridiagonalWork& t) {
    const Index n = t.n, ld = t.ld, reflectors = n - 1;
    for (Index i = 0; i < n * ld; ++i) t.q[i] = 0;
    for (Index i = 0; i < n; ++i) t.q[i * ld + i] = 1;
    for (Index first = reflectors <= 0 ? -1 : (reflectors - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
        const Index count = smaller(kBlock, reflectors - first), from = first + 1, size = n - from;
        block_factor(t, first, count);
        const double* v = t.a + first * ld + from;
        double* q = t.q + from * ld + from;
        double* product = t.panel;
        double* scaled = t.panel + kBlock * ld;
        gemm<double>({count, size, size, v, q, nullptr, ld, 1, ld, 1, product, ld, Update::set, false}, t.pack);
        gemm<double>({count, size, count, t.factor, product, nullptr, kBlock, 1, ld, 1, scaled, ld, Update::set, false},
                     t.pack);
        gemm<double>({size, size, count, v, scaled, nullptr, 1, ld, ld, 1, q, ld, Update::subtract, false}, t.pack);
    }
    for (Index i0 = 0; i0 < n; i0 += kPad) {
        for (Index j = 0; j < n; ++j) {
            for (Index i = i0; i < smaller(n, i0 + kPad); ++i) t.a[j * ld + i] = t.q[i * ld + j];
        }
    }
    for (Index i = 0; i < n; ++i) {
        for (Index j = n; j < ld; ++j) t.a[i * ld + j] = 0;
    }
}

// Applies the kept rotations to the rows of a, W columns at a time: that of row i turns rows i and i + 1.
template <int W>
FOURFOLD_INLINE void rotate_strip(const TridiagonalWork& t, double* strip) {
    constexpr int V = kLanes<double>;
    using Vec = Lanes<double, V>;
    const double* rotation = t.rotations;
    for (Index s = 0; s < t.sweep_count; ++s) {
        Index row = static_cast<Index>(t.sweeps[2 * s]);
        Index count = static_cast<Index>(t.sweeps[2 * s + 1]);
        double* at = strip + row * t.ld;
        Vec upper[W / V];
#pragma GCC unroll 16
        for (int l = 0; l < W / V; ++l) upper[l] = load<Vec>(at + t.ld + l * V);
        for (; count > 0; --count, at -= t.ld, rotation += 2) {
            const double c = rotation[0], sine = rotation[1];
#pragma GCC unroll 16
            for (int l = 0; l < W / V; ++l) {
                const Vec lower = load<Vec>(at + l * V);
                store(at + t.ld + l * V, sine * lower + c * upper[l]);
                upper[l] = c * lower - sine * upper[l];
            }
        }
#pragma GCC unroll 16
        for (int l = 0; l < W / V; ++l) store(at + t.ld + l * V, upper[l]);
    }
}

void apply_rotations(TridiagonalWork& t) {
    Index c = 0;
    for (; c + kStrip <= t.columns; c += kStrip) rotate_strip<kStrip>(t, t.a + c);
    for (; c < t.columns; c += kPad) rotate_strip<kPad>(t, t.a + c);
    t.used = t.sweep_count = 0;
}

// QL steps on (d, e) with implicit shifts; eigenvectors in the rows of a. False: no convergence.
bool diagonalise(TridiagonalWork& t) {
    constexpr double eps = std::numeric_limits<double>::epsilon();
    const Index n = t.n;
    double* d = t.d;
    double* e = t.e;
    double norm = 0;
    for (Index i = 0; i < n; ++i) {
        const double size = std::fabs(d[i]) + std::fabs(e[i]);
        norm = size > norm ? size : norm;
    }
    // The reduction left errors of this size anyway.
    const double floor = 0.25 * eps * norm;
    for (Index l = 0; l < n; ++l) {
        for (int iteration = 0;; ++iteration) {
            Index m = l;
            for (; m < n - 1; ++m) {
                const double off = std::fabs(e[m]);
                if (off <= floor || off <= eps * (std::fabs(d[m]) + std::fabs(d[m + 1]))) break;
            }
            if (m == l) break;
            if (iteration == 60) return false;
            if (t.used + (m - l) > t.capacity) apply_rotations(t);
            double* rotation = t.rotations + 2 * t.used;
            // The eigenvalue of the leading 2 x 2 block that is closer to d[l].
            const double half = (d[l + 1] - d[l]) / (2 * e[l]);
            double g = d[m] - d[l] + e[l] / (half + std::copysign(std::sqrt(half * half + 1), half));
            double sine = 1, cosine = 1, shift = 0;
            Index i = m - 1;
            for (; i >= l; --i) {
                const double f = sine * e[i], b = cosine * e[i];
                const double square = f * f + g * g;
                if (square <= kNothing) break;
                const double length = std::sqrt(square);
                e[i + 1] = length;
                sine = f / length;
                cosine = g / length;
                g = d[i + 1] - shift;
                const double r = (d[i] - g) * sine + 2 * cosine * b;
                shift = sine * r;
                d[i + 1] = g + shift;
                g = cosine * r - b;
                rotation[0] = cosine;
                rotation[1] = sine;
                rotation += 2;
            }
            const Index done = m - 1 - i;
            if (done > 0) {
                t.sweeps[2 * t.sweep_count] = static_cast<double>(m - 1);
                t.sweeps[2 * t.sweep_count + 1] = static_cast<double>(done);
                ++t.sweep_count;
                t.used += done;
            }
            if (i >= l) {
                // A rotation by nothing: the matrix splits here.
                d[i + 1] -= shift;
                e[i + 1] = 0;
            } else {
                d[l] -= shift;
                e[l] = g;
            }
            e[m] = 0;
        }
    }
    apply_rotations(t);
    return true;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
