// Small dense algebra for the functional Tucker kernels. Matrices are row-major. Included by kernel sources only.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

using Size = std::size_t;

inline double dot(Size n, const double* a, const double* b) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Size i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

// y += alpha x
inline void add_scaled(Size n, double alpha, const double* __restrict x, double* __restrict y) {
#pragma omp simd
    for (Size i = 0; i < n; ++i) y[i] += alpha * x[i];
}

inline void set_zero(Size n, double* x) { std::memset(x, 0, n * sizeof(double)); }

// out[rows][columns] (stride ldo) = a (rows x inner, stride lda) b (inner x columns, stride ldb)
inline void multiply(Size rows, Size inner, Size columns, const double* a, Size lda, const double* b, Size ldb,
                     double* out, Size ldo) {
    for (Size i = 0; i < rows; ++i) {
        double* row = out + i * ldo;
        set_zero(columns, row);
        for (Size k = 0; k < inner; ++k) add_scaled(columns, a[i * lda + k], b + k * ldb, row);
    }
}

// The lower factor of a matrix that may be singular: a column whose pivot is at most `floor` times its diagonal entry
// is zero. With floor < 0: returns the first such pivot instead, n if there is none.
inline Size cholesky(Size n, const double* matrix, double* lower, double floor) {
    set_zero(n * n, lower);
    for (Size j = 0; j < n; ++j) {
        const double diagonal = matrix[j * n + j];
        const double pivot = diagonal - dot(j, lower + j * n, lower + j * n);
        if (floor < 0) {
            if (!(pivot > 0) || !std::isfinite(pivot)) return j;
        } else if (!(pivot > floor * diagonal)) {
            continue;
        }
        const double root = std::sqrt(pivot);
        lower[j * n + j] = root;
        for (Size i = j + 1; i < n; ++i) {
            lower[i * n + j] = (matrix[i * n + j] - dot(j, lower + i * n, lower + j * n)) / root;
        }
    }
    return n;
}

// out = inverse of a lower triangle with no zero on the diagonal
inline void invert_lower(Size n, const double* lower, double* out) {
    set_zero(n * n, out);
    for (Size i = 0; i < n; ++i) {
        double* row = out + i * n;
        for (Size k = 0; k < i; ++k) add_scaled(k + 1, -lower[i * n + k], out + k * n, row);
        const double scale = 1 / lower[i * n + i];
        for (Size k = 0; k < i; ++k) row[k] *= scale;
        row[i] = scale;
    }
}

// out = x' x for a lower triangle x
inline void gram_of_lower(Size n, const double* x, double* out) {
    set_zero(n * n, out);
    for (Size k = 0; k < n; ++k) {
        for (Size i = 0; i <= k; ++i) add_scaled(k + 1, x[k * n + i], x + k * n, out + i * n);
    }
}

inline void unpack(Size n, const double* packed, double* out) {
    for (Size i = 0; i < n; ++i) {
        for (Size j = i; j < n; ++j) out[i * n + j] = out[j * n + i] = *packed++;
    }
}

Size invert(Size n, const double* matrix, double* inverse, double* logdet, double* work) {
    double *lower = work, *lower_inverse = work + n * n;
    const Size pivot = cholesky(n, matrix, lower, -1);
    if (pivot < n) return pivot;
    *logdet = 0;
    for (Size i = 0; i < n; ++i) *logdet += 2 * std::log(lower[i * n + i]);
    invert_lower(n, lower, lower_inverse);
    gram_of_lower(n, lower_inverse, inverse);
    return n;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
