// Triangular solves along the modes of an array, blocked: what lies beside a diagonal block is a matrix product, the
// diagonal block itself is inverted once (kBlock is small, so its condition is that of the block alone).
#include <algorithm>
#include <vector>

#include "gp/algebra.hpp"
#include "support/aligned.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {
namespace {

using Index = std::ptrdiff_t;

constexpr Index kBlock = 16;

template <class T>
struct Workspace {
    AlignedBuffer<T> pack{kPackCount<T>};
    AlignedBuffer<T> block;
};
template <class T>
Workspace<T>& workspace() {
    thread_local Workspace<T> mine;
    return mine;
}

// inverse[i0 + i][j]: the inverses of the diagonal blocks of L, one after the other.
template <class T>
std::vector<T> invert_blocks(Index n, const T* lower) {
    std::vector<T> inverse(static_cast<std::size_t>(n * kBlock));
    for (Index i0 = 0; i0 < n; i0 += kBlock) {
        const Index size = std::min(kBlock, n - i0);
        const T* l = lower + i0 * n + i0;
        T* inv = inverse.data() + i0 * kBlock;
        for (Index j = 0; j < size; ++j) {
            inv[j * kBlock + j] = T(1) / l[j * n + j];
            for (Index i = j + 1; i < size; ++i) {
                T sum = 0;
                for (Index k = j; k < i; ++k) sum += l[i * n + k] * inv[k * kBlock + j];
                inv[i * kBlock + j] = -sum / l[i * n + i];
            }
        }
    }
    return inverse;
}

// x[n, columns], rows `stride` apart  <-  L^-1 x or L^-T x
template <class T>
void solve_rows(Index n, const T* lower, const T* inverse, bool transposed, Index columns, Index stride, T* x) {
    const auto gemm = algebra_kernels<T>().gemm;
    Workspace<T>& w = workspace<T>();
    if (static_cast<Index>(w.block.size()) < kBlock * columns) {
        w.block = AlignedBuffer<T>(static_cast<std::size_t>(kBlock * columns));
    }
    const Index blocks = (n + kBlock - 1) / kBlock;
    for (Index step = 0; step < blocks; ++step) {
        const Index i0 = (transposed ? blocks - 1 - step : step) * kBlock, size = std::min(kBlock, n - i0);
        const Index done = transposed ? n - i0 - size : i0, first = transposed ? i0 + size : 0;
        T* rows = x + i0 * stride;
        if (done > 0) {
            const T* beside = transposed ? lower + first * n + i0 : lower + i0 * n;
            gemm({size, columns, done, beside, x + first * stride, nullptr, transposed ? 1 : n, transposed ? n : 1,
                  stride, 1, rows, stride, Update::subtract, false},
                 w.pack.data());
        }
        for (Index i = 0; i < size; ++i) std::copy_n(rows + i * stride, columns, w.block.data() + i * columns);
        const T* inv = inverse + i0 * kBlock;
        gemm({size, columns, size, inv, w.block.data(), nullptr, transposed ? 1 : kBlock, transposed ? kBlock : 1,
              columns, 1, rows, stride, Update::set, false},
             w.pack.data());
    }
}

// Each row of x[count, n]  <-  L^-1 row or L^-T row
template <class T>
void solve_columns(Index n, const T* lower, const T* inverse, bool transposed, Index count, T* x) {
    const auto gemm = algebra_kernels<T>().gemm;
    Workspace<T>& w = workspace<T>();
    if (static_cast<Index>(w.block.size()) < kBlock * count) {
        w.block = AlignedBuffer<T>(static_cast<std::size_t>(kBlock * count));
    }
    const Index blocks = (n + kBlock - 1) / kBlock;
    for (Index step = 0; step < blocks; ++step) {
        const Index i0 = (transposed ? blocks - 1 - step : step) * kBlock, size = std::min(kBlock, n - i0);
        const Index done = transposed ? n - i0 - size : i0, first = transposed ? i0 + size : 0;
        if (done > 0) {
            const T* beside = transposed ? lower + first * n + i0 : lower + i0 * n;
            gemm({count, size, done, x + first, beside, nullptr, n, 1, transposed ? n : 1, transposed ? 1 : n, x + i0,
                  n, Update::subtract, false},
                 w.pack.data());
        }
        for (Index i = 0; i < count; ++i) std::copy_n(x + i * n + i0, size, w.block.data() + i * kBlock);
        const T* inv = inverse + i0 * kBlock;
        gemm({count, size, size, w.block.data(), inv, nullptr, kBlock, 1, transposed ? kBlock : 1,
              transposed ? 1 : kBlock, x + i0, n, Update::set, false},
             w.pack.data());
    }
}

}  // namespace

template <class T>
void triangular_solves(Index batch, Index count, int d, const Index* sizes, const T* const* lower, bool transposed,
                       T* x, int threads) {
    Index total = 1;
    for (int k = 0; k < d; ++k) total *= sizes[k];
    for (Index b = 0; b < batch; ++b) {
        T* data = x + b * count * total;
        Index before = count;
        for (int k = 0; k < d; ++k) {
            const Index n = sizes[k];
            const T* l = lower[k] + b * n * n;
            const std::vector<T> inverse = invert_blocks(n, l);
            // One thread for what is not worth waking another.
            const int useful = count * total * n < 400000 ? 1 : threads;
            Index after = 1;
            for (int i = k + 1; i < d; ++i) after *= sizes[i];
            if (after == 1) {
                const Index some = 96, items = (before + some - 1) / some;
                parallel_for(static_cast<std::size_t>(items), useful, [&](std::size_t item, int) {
                    const Index r0 = static_cast<Index>(item) * some;
                    solve_columns(n, l, inverse.data(), transposed, std::min(some, before - r0), data + r0 * n);
                });
            } else {
                const Index some = std::min<Index>(after, 96), pieces = (after + some - 1) / some;
                parallel_for(static_cast<std::size_t>(before * pieces), useful, [&](std::size_t item, int) {
                    const Index slab = static_cast<Index>(item) / pieces;
                    const Index j0 = static_cast<Index>(item) % pieces * some;
                    solve_rows(n, l, inverse.data(), transposed, std::min(some, after - j0), after,
                               data + slab * n * after + j0);
                });
            }
            before *= n;
        }
    }
}

template void triangular_solves<float>(Index, Index, int, const Index*, const float* const*, bool, float*, int);
template void triangular_solves<double>(Index, Index, int, const Index*, const double* const*, bool, double*, int);

}  // namespace fourfold::gp
