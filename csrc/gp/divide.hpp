// Eigenvalues and eigenvectors of a symmetric tridiagonal matrix by dividing it (Cuppen, Numer. Math. 36, 1981): halves
// that differ from it by a matrix of rank one, whose eigenproblem is a rational equation for every eigenvalue. What
// that decides with little information is left out of it (deflation); the vectors are those of a nearby problem that
// the computed eigenvalues solve exactly, so they are orthogonal however close the eigenvalues are (Gu and Eisenstat,
// SIAM J. Matrix Anal. Appl. 16, 1995). Included by kernel sources only.
#pragma once

#include <cmath>
#include <limits>

#include "gp/gemm.hpp"
#include "gp/secular.hpp"
#include "gp/tridiagonal.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// Up to this size QL steps are used.
inline constexpr Index kLeaf = 32;

struct DivideWork {
    TridiagonalWork* t;                            // d, e, and q[n][ld], which becomes the eigenvectors in rows
    double *old, *middle;                          // [n][ld]: rows before a merge; eigenvectors of the rational problem
    double *values, *z, *squares, *product, *row;  // [ld]
    Index *order, *rows, *kind, *place;            // [ld]
};

// Ascending by values[order]; the shell sort of Ciura's steps.
void sort_order(Index count, const double* values, Index* order) {
    constexpr Index gaps[] = {301, 132, 57, 23, 10, 4, 1};
    for (const Index gap : gaps) {
        for (Index i = gap; i < count; ++i) {
            const Index one = order[i];
            Index j = i;
            for (; j >= gap && values[order[j - gap]] > values[one]; j -= gap) order[j] = order[j - gap];
            order[j] = one;
        }
    }
}

void rotate_rows(double* x, double* y, Index n, double c, double s) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) {
        const double one = x[i], other = y[i];
        x[i] = c * one + s * other;
        y[i] = c * other - s * one;
    }
}

// Rows of q[first .. first + n - 1], whose halves hold eigenvectors of the halves, become those of the whole:
// diag(d) + rho z z' with z the border entries of the rows, `sign` for the second half.
void merge(const DivideWork& w, Index first, Index half, Index n, double rho, double sign) {
    enum Kind : Index { kUpper, kBoth, kLower, kDone };
    TridiagonalWork& t = *w.t;
    const Index ld = t.ld;
    double* q = t.q + first * ld + first;
    double* d = t.d + first;
    double* z = w.z;
    // z has the length 2^1/2.
    const double root = 0.70710678118654752440;
    double largest_d = 0, largest_z = 0;
    for (Index i = 0; i < n; ++i) {
        z[i] = i < half ? root * q[i * ld + half - 1] : root * sign * q[i * ld + half];
        w.order[i] = i;
        w.kind[i] = i < half ? kUpper : kLower;
        largest_d = std::fabs(d[i]) > largest_d ? std::fabs(d[i]) : largest_d;
        largest_z = std::fabs(z[i]) > largest_z ? std::fabs(z[i]) : largest_z;
    }
    rho *= 2;
    sort_order(n, d, w.order);
    // An entry of z this small, or a difference of d this small after a rotation, is neglected.
    const double small = 4 * std::numeric_limits<double>::epsilon() * (largest_d > largest_z ? largest_d : largest_z);
    Index kept = 0, candidate = -1;
    for (Index s = 0; s < n; ++s) {
        const Index i = w.order[s];
        if (rho * std::fabs(z[i]) <= small) {
            w.kind[i] = kDone;
            continue;
        }
        if (candidate >= 0) {
            const double length = std::hypot(z[i], z[candidate]);
            const double c = z[i] / length, turn = -z[candidate] / length;
            if (std::fabs((d[i] - d[candidate]) * c * turn) <= small) {
                z[i] = length;
                if (w.kind[i] != w.kind[candidate]) w.kind[i] = kBoth;
                w.kind[candidate] = kDone;
                rotate_rows(q + candidate * ld, q + i * ld, n, c, turn);
                const double below = d[candidate], above = d[i];
                d[candidate] = below * c * c + above * turn * turn;
                d[i] = below * turn * turn + above * c * c;
            } else {
                w.rows[kept++] = candidate;
            }
        }
        candidate = i;
    }
    if (candidate >= 0) w.rows[kept++] = candidate;
    if (kept == 0) return;
    // A rotation may have exchanged two that are as good as equal.
    sort_order(kept, d, w.rows);

    // Old rows in the order upper half, both, lower half, done: products with two full blocks.
    Index counts[4] = {0, 0, 0, 0}, at[4];
    for (Index i = 0; i < n; ++i) ++counts[w.kind[i]];
    at[0] = 0;
    for (int k = 1; k < 4; ++k) at[k] = at[k - 1] + counts[k - 1];
    const Index upper = counts[kUpper] + counts[kBoth], lower = counts[kBoth] + counts[kLower];
    const Index lower_from = counts[kUpper];
    Index* new_place = w.order;
    for (Index i = 0; i < n; ++i) {
        const Index to = at[w.kind[i]]++;
        new_place[i] = to;
        const double* from = q + i * ld;
        double* copy = w.old + to * ld;
#pragma omp simd
        for (Index j = 0; j < n; ++j) copy[j] = from[j];
        if (w.kind[i] == kDone) w.row[to] = d[i];
    }
    double norm = 0;
    for (Index j = 0; j < kept; ++j) {
        w.values[j] = d[w.rows[j]];
        w.squares[j] = z[w.rows[j]] * z[w.rows[j]];
        norm += w.squares[j];
        w.place[j] = new_place[w.rows[j]];
        w.product[j] = z[w.rows[j]];
    }
    for (Index i = kept; i < n; ++i) {
        d[i] = w.row[i];
        double* to = q + i * ld;
        const double* from = w.old + i * ld;
#pragma omp simd
        for (Index j = 0; j < n; ++j) to[j] = from[j];
    }
    // Signs of z stay in `z`, in the new order.
    for (Index j = 0; j < kept; ++j) z[j] = w.product[j];

    for (Index j = 0; j < kept; ++j) {
        d[j] = secular_root(kept, j, w.values, w.squares, rho, norm, w.middle + j * ld);
    }
    // The squares of the z that has exactly these eigenvalues, up to a factor.
    for (Index i = 0; i < kept; ++i) w.product[i] = -w.middle[i * ld + i];
    for (Index j = 0; j < kept; ++j) {
        const double* difference = w.middle + j * ld;
        const double own = w.values[j], before = w.product[j];
#pragma omp simd
        for (Index i = 0; i < kept; ++i) {
            const double gap = w.values[i] - own;
            w.product[i] *= difference[i] / (i == j ? 1.0 : gap);
        }
        w.product[j] = before;
    }
    for (Index i = 0; i < kept; ++i) z[i] = std::copysign(std::sqrt(std::fabs(w.product[i])), z[i]);
    for (Index j = 0; j < kept; ++j) {
        double* difference = w.middle + j * ld;
        double length = 0;
#pragma omp simd reduction(+ : length)
        for (Index i = 0; i < kept; ++i) {
            const double entry = z[i] / difference[i];
            w.row[i] = entry;
            length += entry * entry;
        }
        const double scale = 1 / std::sqrt(length);
        for (Index i = 0; i < kept; ++i) difference[w.place[i]] = scale * w.row[i];
    }
    gemm<double>({kept, half, upper, w.middle, w.old, nullptr, ld, 1, ld, 1, q, ld, Update::set, false}, t.pack);
    gemm<double>({kept, n - half, lower, w.middle + lower_from, w.old + lower_from * ld + half, nullptr, ld, 1, ld, 1,
                  q + half, ld, Update::set, false},
                 t.pack);
}

// Rows and columns first .. first + n - 1 of q: the eigenvectors of that part of the matrix. `first` is a multiple of
// kPad. False: no convergence.
bool divide(const DivideWork& w, Index first, Index n) {
    TridiagonalWork& t = *w.t;
    if (n <= kLeaf) {
        TridiagonalWork leaf = t;
        leaf.n = n;
        leaf.columns = padded(n);
        leaf.a = t.q + first * t.ld + first;
        leaf.d = t.d + first;
        leaf.e = t.e + first;
        leaf.e[n - 1] = 0;  // whoever divided here has kept it
        return diagonalise(leaf);
    }
    const Index half = padded(n / 2), border = first + half;
    const double between = t.e[border - 1], size = std::fabs(between);
    t.d[border - 1] -= size;
    t.d[border] -= size;
    if (!divide(w, first, half) || !divide(w, border, n - half)) return false;
    merge(w, first, half, n, size, between < 0 ? -1.0 : 1.0);
    return true;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
