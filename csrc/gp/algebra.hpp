// Kronecker algebra: what the kernels of one ISA level offer, and the drivers that run them on threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fourfold::gp {

enum class Update : int { set, add, subtract };

// C (set, add, subtract) A diag(weight) B. Strides in elements: A[i, l] = a[i*rsa + l*csa], B[l, j] = b[l*rsb + j*csb],
// C[i, j] = c[i*ldc + j]; weight[l], or null for ones.
template <class T>
struct Product {
    std::ptrdiff_t m, n, k;
    const T *a, *b, *weight;
    std::ptrdiff_t rsa, csa, rsb, csb;
    T* c;
    std::ptrdiff_t ldc;
    Update update;
    bool upper;  // only C[i, j] with i/8 <= j/8 is wanted; the rest of C is undefined afterwards
};

// Terms of a sum that are done at a time, and bytes of the widest panel: `pack` has kDepth * kPanelBytes bytes.
inline constexpr std::ptrdiff_t kDepth = 256;
inline constexpr std::ptrdiff_t kPanelBytes = 192;
template <class T>
inline constexpr std::size_t kPackCount = kDepth * kPanelBytes / sizeof(T);

// Columns first .. first + count - 1 of an array [slabs, n, after], where column c is the pair (c / after, c % after).
// count is at most that of a panel, and a multiple of the lanes or whatever is left at the end.
template <class T>
struct Columns {
    std::ptrdiff_t n, after, first, count;
    const T* from;
    T* to;  // may be `from`
};
// What the kernels of columns need as `work`.
template <class T>
std::size_t columns_work_count(std::ptrdiff_t n) {
    return 2 * static_cast<std::size_t>(n + 8) * (kPanelBytes / sizeof(T));
}

// By L^-1, by L^-T, or by one after the other, which is (L L')^-1.
enum class Sweep : int { forward, backward, both };

// Sums over one stretch of rows of D[r, j] = lead[r]*last[j] + noise.
struct SpectralSums {
    double log;       // sum of log D
    double inverse;   // sum of 1/D
    double smallest;  // smallest D; if it is not positive, `log` means nothing
};

template <class T>
struct AlgebraKernels {
    std::ptrdiff_t lanes, panel;  // entries of a vector, and most columns of a panel
    void (*gemm)(const Product<T>&, T* pack);
    // Columns of M x for M[n, n], entry (i, j) at matrix[i*rs + j*cs].
    void (*product_columns)(const Columns<T>&, const T* matrix, std::ptrdiff_t rs, std::ptrdiff_t cs, T* work);
    // Columns of the solution for the lower triangle of lower[n, n].
    void (*solve_columns)(const Columns<T>&, const T* lower, Sweep, T* work);
    // Sums over D[rows, n]; row_sum[r] = sum_j last[j]/D[r, j], column_sum[j] = sum_r lead[r]/D[r, j], or null.
    SpectralSums (*sums)(std::ptrdiff_t rows, std::ptrdiff_t n, const T* lead, const T* last, T noise, double* row_sum,
                         double* column_sum);
    // x[rows, n] /= D in place; returns sum of (x before)*(x after).
    double (*divide)(std::ptrdiff_t rows, std::ptrdiff_t n, const T* lead, const T* last, T noise, T* x);
};

template <class T>
const AlgebraKernels<T>& algebra_kernels();

// Eigenvalues and eigenvectors of the symmetric part of one matrix a[n, n], double only. values[n], in no order;
// vectors[n, n] holds an eigenvector in each row. work: eigh_work_count(n) doubles. False: no convergence, or an entry
// that is not finite.
using EighKernel = bool (*)(std::ptrdiff_t n, const double* a, double* values, double* vectors, double* work);
EighKernel eigh_kernel();
std::size_t eigh_work_count(std::ptrdiff_t n);

// The same of `count` matrices of one size at once, 1 <= count <= lanes, each in a lane of the SIMD registers. work:
// work_count(n) doubles. What comes out for a matrix does not depend on the others.
struct EighLanesKernel {
    int lanes;
    std::ptrdiff_t (*work_count)(std::ptrdiff_t n);
    bool (*solve)(std::ptrdiff_t n, int count, const double* const* a, double* const* values, double* const* vectors,
                  double* work);
};
const EighLanesKernel& eigh_lanes_kernel();

// The predictor of a symmetric Toeplitz matrix T with the first column column[n]: T predictor = last e_1, predictor[0]
// = 1; logdet = log det T. Returns -1, or the row at which T is found not to be positive definite. work: 3 n doubles.
using DurbinKernel = std::ptrdiff_t (*)(std::ptrdiff_t n, const double* column, double* predictor, double* logdet,
                                        double* last, double* work);
DurbinKernel durbin_kernel();

// The drivers. Data: x[batch, count, n_1, ..., n_d] in C order; a matrix of mode k: [batch, rows, columns].
inline constexpr int kMaxModes = 32;

template <class T>
struct Mode {
    std::ptrdiff_t rows, columns;  // of the matrix as it is applied: rows = size out, columns = size in
    const T* matrix;               // entry (i, j) of item b: matrix[b*item + i*rs + j*cs]
    std::ptrdiff_t item, rs, cs;
};

// out = (M_1 (x) ... (x) M_d) x; x is not changed. Without `work`, for square matrices only, what one mode gives is
// replaced by the next in `out`; the panels that this takes are copies, which do not pay up to kSmallMode. Else `work`
// holds batch*count times as many entries as the largest intermediate result has (for d = 1 it is not looked at), and
// twice that if it is larger than `out`. Sizes are positive.
inline constexpr std::ptrdiff_t kSmallMode = 32;
template <class T>
void mode_products(std::ptrdiff_t batch, std::ptrdiff_t count, int d, const Mode<T>* modes, const T* x, T* out, T* work,
                   int threads);

// out = L^-1 x along every mode, L^-T x, or (L L')^-1 x; out may be x. L: lower triangles [items[k], n, n] with
// items[k] 1 or batch; what stands above the diagonal is not looked at.
template <class T>
void triangular_solves(std::ptrdiff_t batch, std::ptrdiff_t count, int d, const std::ptrdiff_t* sizes,
                       const std::ptrdiff_t* items, const T* const* lower, Sweep sweep, const T* x, T* out,
                       int threads);

// x <- x / D, D = (values_1 (x) ... (x) values_d) + noise[batch]; quad[batch, count] = sum x*x/D.
template <class T>
void spectral_divide(std::ptrdiff_t batch, std::ptrdiff_t count, int d, const std::ptrdiff_t* sizes,
                     const T* const* values, const T* noise, T* x, double* quad, int threads);

// logdet[batch] = sum log D, inverse[batch] = sum 1/D, smallest[batch] = min D; and, if traces is not null,
// traces[k][batch, n_k] = sum over the other modes of (product of the other values)/D.
template <class T>
void spectral_sums(std::ptrdiff_t batch, int d, const std::ptrdiff_t* sizes, const T* const* values, const T* noise,
                   double* logdet, double* inverse, double* smallest, double* const* traces, int threads);

// gram[batch, n_k, n_k] = sum_c weight[batch, c] X_c(k) diag(values of the other modes) Z_c(k)' for the mode k, where
// X(k) is the unfolding of x along k; values null: ones. With x == z only half is computed and mirrored.
template <class T>
void mode_gram(std::ptrdiff_t batch, std::ptrdiff_t count, int d, const std::ptrdiff_t* sizes, int k, const T* x,
               const T* z, const T* const* values, const T* weight, T* gram, int threads);

// values[batch, n], vectors[batch, n, n] (eigenvectors in rows) of a[batch, n, n].
struct EighJob {
    std::ptrdiff_t batch, n;
    const double* a;
    double *values, *vectors;
};
// False if one of the matrices failed, or if its entries across the diagonal differ by more than `asymmetry` of its
// largest one.
bool eigh(const std::vector<EighJob>& jobs, double asymmetry, int threads);

// A Kronecker product with noise, (K_1 (x) ... (x) K_d) + noise[b] of every item b; of K_k there are items[k] matrices,
// 1 or batch. In one vector each, mode after mode: basis, the eigenvectors in rows [items[k], n_k, n_k]; values, the
// eigenvalues [batch, n_k]; gradients of the factors as basis.
struct SpectralSystem {
    std::ptrdiff_t batch, count;
    int d;
    const std::ptrdiff_t *sizes, *items;
};

// Decomposes the factors, [items[k], n_k, n_k], and gives x = (V y)/D, quad[batch, count] = y'(K + noise)^-1 y and
// logdet[batch]. False if a factor or y has entries that are not finite, a factor's entries across the diagonal differ
// by more than `asymmetry` of its largest one, or the matrix of an item is not positive definite: who called finds out.
template <class T>
bool spectral_forward(const SpectralSystem& system, const T* const* factors, const T* noise, const T* y,
                      double asymmetry, T* basis, T* values, T* x, T* quad, T* logdet, int threads);

// Gradients of sum grad_quad quad + sum grad_logdet logdet with respect to the wanted factors, the noise and, unless
// grad_y is null, y. Those of factors that are not wanted are left as they are.
template <class T>
void spectral_backward(const SpectralSystem& system, const T* basis, const T* values, const T* noise, const T* x,
                       const T* grad_quad, const T* grad_logdet, const std::vector<bool>& wanted, T* grad_factors,
                       T* grad_noise, T* grad_y, int threads);

// Passes over x[rows, n] on our own threads: a parallel pass of another library just before would leave its threads
// spinning beside ours.
template <class T>
bool all_finite(std::ptrdiff_t rows, std::ptrdiff_t n, const T* x, int threads);
// out[r] = sum_j x[r, j]*z[r, j]
template <class T>
void row_dots(std::ptrdiff_t rows, std::ptrdiff_t n, const T* x, const T* z, double* out, int threads);
// out[r, j] = factor[r]*x[r, j]; out may be x
template <class T>
void scale_rows(std::ptrdiff_t rows, std::ptrdiff_t n, const T* factor, const T* x, T* out, int threads);

// Largest |a_ij| and largest |a_ij - a_ji| of a[batch, n, n]; a NaN among the entries makes `largest` NaN.
struct Asymmetry {
    double largest, difference;
};
template <class T>
Asymmetry asymmetry(std::ptrdiff_t batch, std::ptrdiff_t n, const T* a, int threads);

}  // namespace fourfold::gp
