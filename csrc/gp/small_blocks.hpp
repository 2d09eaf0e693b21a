// Both ways of inv_quad_logdet for small Kronecker systems with noise, by blocks of GPU threads: the formulas are those
// of _algebra.py, the layouts those of small_system.hpp. Sums go in an order that depends on the sizes alone.
//
// Neighbouring threads work on neighbouring places behind a mode where there are such; where their places are a whole
// row apart, each begins its sum at another entry, or all would meet in one bank of the shared memory.
#pragma once

#include "gp/jacobi_block.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

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

// out = V' middle V of one mode, symmetric to the bit. work: n*n elements.
template <class T, class Block>
FOURFOLD_INLINE void sandwich(Block& block, int n, const T* __restrict__ v, const T* middle, T* work,
                              T* __restrict__ out) {
    const int threads = static_cast<int>(block.threads());
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < n * n; e += threads) {
            const int i = e / n, j = e % n;
            T sum = 0;
            for (int l = 0; l < n; ++l) sum += middle[i * n + l] * v[l * n + j];
            work[e] = sum;
        }
    });
    block.each([&](unsigned thread) {
        for (int w = static_cast<int>(thread); w < n * (n + 1) / 2; w += threads) {
            const int i = w % n, j = (i + w / n) % n;
            T sum = 0;
            for (int l = 0; l < n; ++l) sum += v[l * n + i] * work[l * n + j];
            out[i * n + j] = sum;
            out[j * n + i] = sum;
        }
    });
}

// Sum of x z over all entries of the grid with index i in mode k for x, j for z.
template <class T>
FOURFOLD_INLINE T slab_dot(int n, int after, int total, int i, int j, const T* x, const T* z) {
    T sum = 0;
    for (int slab = 0; slab < total / n / after; ++slab) {
        const T* one = x + (slab * n + i) * after;
        const T* other = z + (slab * n + j) * after;
        int at = i % after;
        for (int step = 0; step < after; ++step) {
            sum += one[at] * other[at];
            at = at + 1 == after ? 0 : at + 1;
        }
    }
    return sum;
}

// The middle of mode k of item b, c_l diag(sum of lambda_-k/D) - sum over c of c_q X_(k) diag(lambda_-k) X_(k)', [n, n]
// in `middle`; x and z are work, N elements each.
template <class T, class Block>
FOURFOLD_INLINE void gradient_middle(Block& block, const SmallSystem& s, std::int64_t b, int k,
                                     const T* __restrict__ values, const T* __restrict__ noise,
                                     const T* __restrict__ data, const T* __restrict__ grad_quad,
                                     const T* __restrict__ grad_logdet, T* x, T* z, T* middle) {
    const int threads = static_cast<int>(block.threads()), n = s.sizes[k], after = s.after(k);
    block.each([&](unsigned thread) {
        const double shift = static_cast<double>(noise[b]);
        for (int e = static_cast<int>(thread); e < s.total; e += threads) {
            const double others = eigenvalue(s, values, b, e, k);
            const double own = static_cast<double>(values[s.values[k] + b * n + e / after % n]);
            z[e] = static_cast<T>(others / (others * own + shift));
            x[e] = 1;
        }
    });
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < n * n; e += threads) {
            const int i = e / n, j = e % n;
            middle[e] = i == j ? grad_logdet[b] * slab_dot(n, after, s.total, i, i, x, z) : T(0);
        }
    });
    for (std::int64_t c = 0; c < s.count; ++c) {
        const std::int64_t row = b * s.count + c;
        block.each([&](unsigned thread) {
            for (int e = static_cast<int>(thread); e < s.total; e += threads) {
                const T entry = data[row * s.total + e];
                x[e] = entry;
                z[e] = static_cast<T>(eigenvalue(s, values, b, e, k)) * entry;
            }
        });
        block.each([&](unsigned thread) {
            for (int w = static_cast<int>(thread); w < n * (n + 1) / 2; w += threads) {
                const int i = w % n, j = (i + w / n) % n;
                const T sum = middle[i * n + j] - grad_quad[row] * slab_dot(n, after, s.total, i, j, x, z);
                middle[i * n + j] = sum;
                middle[j * n + i] = sum;
            }
        });
    }
}

// Block b (d + 1) + k: the gradient of factor k of item b, or, if all items share it, its middle, to be summed up in
// middles[k][batch, n, n]; with k = d the gradient of the noise. shared: gradient_shared bytes.
template <class T, class Block>
FOURFOLD_INLINE void gradient_block(Block& block, const SmallSystem& s, unsigned char* shared, int square,
                                    const T* __restrict__ basis, const T* __restrict__ values,
                                    const T* __restrict__ noise, const T* __restrict__ data,
                                    const T* __restrict__ grad_quad, const T* __restrict__ grad_logdet,
                                    T* __restrict__ grad_factors, T* __restrict__ grad_noise, T* __restrict__ middles) {
    const int threads = static_cast<int>(block.threads());
    const std::int64_t b = block.index() / static_cast<unsigned>(s.d + 1);
    const int k = static_cast<int>(block.index() % static_cast<unsigned>(s.d + 1));
    double* sums = reinterpret_cast<double*>(shared);  // [threads]
    if (k == s.d) {
        block.each([&](unsigned thread) {
            double inverse = 0, squares = 0;
            for (int e = static_cast<int>(thread); e < s.total; e += threads) {
                inverse += 1 / (eigenvalue(s, values, b, e, -1) + static_cast<double>(noise[b]));
            }
            for (std::int64_t c = 0; c < s.count; ++c) {
                double square_sum = 0;
                for (int e = static_cast<int>(thread); e < s.total; e += threads) {
                    const double entry = static_cast<double>(data[(b * s.count + c) * s.total + e]);
                    square_sum += entry * entry;
                }
                squares += static_cast<double>(grad_quad[b * s.count + c]) * square_sum;
            }
            sums[thread] = static_cast<double>(grad_logdet[b]) * inverse - squares;
        });
        add_threads(block, sums, 1);
        block.each([&](unsigned thread) {
            if (thread == 0) grad_noise[b] = static_cast<T>(sums[0]);
        });
        return;
    }
    if (!s.wanted[k]) return;
    const int n = s.sizes[k], most = s.total > square ? s.total : square;
    T* x = reinterpret_cast<T*>(sums + threads);
    T* z = x + most;
    T* middle = z + most;
    gradient_middle(block, s, b, k, values, noise, data, grad_quad, grad_logdet, x, z, middle);
    if (!s.shared(k)) {
        sandwich(block, n, basis + s.matrix(k, b), middle, x, grad_factors + s.matrix(k, b));
        return;
    }
    T* to = middles + s.batch * s.basis[k] + b * n * n;
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < n * n; e += threads) to[e] = middle[e];
    });
}

// Block k: the gradient of a factor that all items share.
template <class T, class Block>
FOURFOLD_INLINE void shared_block(Block& block, const SmallSystem& s, unsigned char* shared,
                                  const T* __restrict__ basis, const T* __restrict__ middles,
                                  T* __restrict__ grad_factors) {
    const int threads = static_cast<int>(block.threads()), k = static_cast<int>(block.index());
    if (!s.wanted[k] || !s.shared(k)) return;
    const int n = s.sizes[k], size = n * n;
    T* middle = reinterpret_cast<T*>(shared);
    const T* from = middles + s.batch * s.basis[k];
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < size; e += threads) {
            T sum = 0;
            for (std::int64_t b = 0; b < s.batch; ++b) sum += from[b * size + e];
            middle[e] = sum;
        }
    });
    sandwich(block, n, basis + s.basis[k], middle, middle + size, grad_factors + s.basis[k]);
}

// Right-hand side c of item b: the gradient of y, 2 c_q V'x. shared: data_shared bytes.
template <class T, class Block>
FOURFOLD_INLINE void data_gradient_block(Block& block, const SmallSystem& s, unsigned char* shared,
                                         const T* __restrict__ basis, const T* __restrict__ data,
                                         const T* __restrict__ grad_quad, T* __restrict__ grad_y) {
    const int threads = static_cast<int>(block.threads());
    const std::int64_t row = block.index();
    T* one = reinterpret_cast<T*>(reinterpret_cast<double*>(shared) + 3 * threads);
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < s.total; e += threads) one[e] = data[row * s.total + e];
    });
    const T* ready = multiply_modes(block, s, basis, row / s.count, true, one, one + s.total);
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < s.total; e += threads) {
            grad_y[row * s.total + e] = 2 * grad_quad[row] * ready[e];
        }
    });
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
