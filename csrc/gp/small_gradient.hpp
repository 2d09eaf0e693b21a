// The gradient of inv_quad_logdet for small Kronecker systems with noise by blocks of GPU threads, in one pass: the
// formulas are those of _algebra.py, the layouts those of small_system.hpp. Sums go in an order that depends on the
// sizes alone.
#pragma once

#include "gp/small_modes.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

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
