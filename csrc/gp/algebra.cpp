// The drivers: products and Gram products, cut into items for the threads.
#include "gp/algebra.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gp/cuts.hpp"
#include "gp/outer.hpp"
#include "gp/over_panels.hpp"
#include "support/aligned.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {
namespace {

using Index = std::ptrdiff_t;

// Per-thread memory of the products.
template <class T>
T* pack_buffer() {
    thread_local AlignedBuffer<T> buffer(kPackCount<T>);
    return buffer.data();
}

// out[slabs, rows, inner] = M x[slabs, columns, inner]
template <class T>
void one_mode(const Mode<T>& mode, const T* matrix, Index slabs, Index inner, const T* x, T* out, int threads) {
    const auto gemm = algebra_kernels<T>().gemm;
    const Index rows = mode.rows, columns = mode.columns;
    if (inner == 1) {
        // Every item packs the matrix anew: not too few rows for each.
        const Index some = std::max(std::clamp<Index>(ceil_div(slabs, 4), 48, 512), ceil_div(kGrain, rows * columns));
        const Index eights = ceil_div(slabs, 8), items = ceil_div(slabs, some);
        parallel_for(static_cast<std::size_t>(items), threads, [&](std::size_t item, int) {
            const Index i = static_cast<Index>(item), s0 = eights * i / items * 8;
            const Index count = std::min(slabs, eights * (i + 1) / items * 8) - s0;
            if (count <= 0) return;
            gemm({count, rows, columns, x + s0 * columns, matrix, nullptr, columns, 1, mode.cs, mode.rs,
                  out + s0 * rows, rows, Update::set, false},
                 pack_buffer<T>());
        });
        return;
    }
    const Index widest = std::max(std::clamp<Index>(ceil_div(inner, 4), 48, 240), ceil_div(kGrain, rows * columns));
    const Index width = ceil_div(ceil_div(inner, ceil_div(inner, widest)), 24) * 24;
    const Index pieces = ceil_div(inner, width);
    const Index group = pieces > 1 ? 1 : std::max<Index>(1, kGrain / (rows * columns * inner));
    parallel_for(static_cast<std::size_t>(ceil_div(slabs, group) * pieces), threads, [&](std::size_t item, int) {
        const Index first = static_cast<Index>(item) / pieces * group, j0 = static_cast<Index>(item) % pieces * width;
        for (Index s = first; s < std::min(slabs, first + group); ++s) {
            gemm({rows, std::min(width, inner - j0), columns, matrix, x + s * columns * inner + j0, nullptr, mode.rs,
                  mode.cs, inner, 1, out + s * rows * inner + j0, inner, Update::set, false},
                 pack_buffer<T>());
        }
    });
}

// Entries of the largest result before the last one.
template <class T>
Index largest_intermediate(int d, const Mode<T>* modes) {
    Index size = 1, largest = 0;
    for (int k = 0; k < d; ++k) size *= modes[k].columns;
    for (int k = 0; k + 1 < d; ++k) {
        size = size / modes[k].columns * modes[k].rows;
        largest = std::max(largest, size);
    }
    return largest;
}

// Blocks of the trailing modes: at most this many bytes, at least this many blocks.
constexpr Index kBlockBytes = 256 * 1024;
constexpr Index kBlocks = 16;
// Gram products of modes of this size are cut by columns of the result.
constexpr Index kWide = 64;

// In place, for square matrices. The trailing modes whose blocks stay in cache are done together, block by block, the
// last one from x to out and the others in place; then the leading ones, from the inside out.
template <class T>
void products_in_place(Index b, Index count, int d, const Mode<T>* modes, const T* x, T* out, int threads) {
    const AlgebraKernels<T>& kernels = algebra_kernels<T>();
    const auto matrix = [&](int k) { return modes[k].matrix + b * modes[k].item; };
    Index total = count;
    for (int k = 0; k < d; ++k) total *= modes[k].rows;
    int first = d - 1;  // of the trailing modes
    Index block = modes[first].rows, sizes = block;
    while (first > 0 && block * modes[first - 1].rows * static_cast<Index>(sizeof(T)) <= kBlockBytes &&
           total / (block * modes[first - 1].rows) >= kBlocks) {
        sizes += modes[--first].rows;
        block *= modes[first].rows;
    }
    if (first == d - 1 && total < 8 * block) {
        // A few vectors: not worth packing the matrix.
        over_panels<T>(block, 1, total / block, x, out, threads, [&](const Columns<T>& columns, T* work) {
            kernels.product_columns(columns, matrix(first), modes[first].rs, modes[first].cs, work);
        });
    } else if (first == d - 1) {
        one_mode(modes[first], matrix(first), total / block, 1, x, out, threads);
    } else {
        const Index group = std::max<Index>(1, kGrain / (block * sizes)), blocks = total / block;
        parallel_for(static_cast<std::size_t>(ceil_div(blocks, group)), threads, [&](std::size_t item, int) {
            const Index from = static_cast<Index>(item) * group, to = std::min(blocks, from + group);
            const Index size = (to - from) * block;
            Index after = modes[d - 1].rows;
            one_mode(modes[d - 1], matrix(d - 1), size / after, 1, x + from * block, out + from * block, 1);
            for (int k = d - 2; k >= first; --k) {
                const Mode<T>& mode = modes[k];
                T* data = out + from * block;
                over_panels<T>(mode.rows, after, size / mode.rows, data, data, 1,
                               [&](const Columns<T>& columns, T* work) {
                                   kernels.product_columns(columns, matrix(k), mode.rs, mode.cs, work);
                               });
                after *= mode.rows;
            }
        });
    }
    Index after = block;
    for (int k = first - 1; k >= 0; --k) {
        const Mode<T>& mode = modes[k];
        over_panels<T>(mode.rows, after, total / mode.rows, out, out, threads, [&](const Columns<T>& columns, T* work) {
            kernels.product_columns(columns, matrix(k), mode.rs, mode.cs, work);
        });
        after *= mode.rows;
    }
}

}  // namespace

template <class T>
void mode_products(Index batch, Index count, int d, const Mode<T>* modes, const T* x, T* out, T* work, int threads) {
    Index in_size = 1;
    for (int k = 0; k < d; ++k) in_size *= modes[k].columns;
    const Index work_size = largest_intermediate(d, modes);
    Index out_size = in_size;
    for (int k = 0; k < d; ++k) out_size = out_size / modes[k].columns * modes[k].rows;
    // Results go to `work` and to `out` in turn, the last one to `out`; if an intermediate one is larger than `out`,
    // the second half of `work` stands in for it.
    T* second = work_size > out_size ? work + batch * count * work_size : out;
    double work_done = 0;
    for (int k = 0; k < d; ++k) work_done += static_cast<double>(modes[k].rows);
    threads = worth(work_done * static_cast<double>(batch * count * in_size), threads);
    if (work == nullptr) {
        over_batch(batch, threads, [&](Index b) {
            products_in_place(b, count, d, modes, x + b * count * in_size, out + b * count * in_size, threads);
        });
        return;
    }
    const Index second_size = work_size > out_size ? work_size : out_size;
    over_batch(batch, threads, [&](Index b) {
        const T* from = x + b * count * in_size;
        Index before = 1, after = in_size;
        for (int k = 0; k < d; ++k) {
            const Mode<T>& mode = modes[k];
            after /= mode.columns;
            T* to = k == d - 1             ? out + b * count * out_size
                    : (d - 1 - k) % 2 == 0 ? second + b * count * second_size
                                           : work + b * count * work_size;
            one_mode(mode, mode.matrix + b * mode.item, count * before, after, from, to, threads);
            from = to;
            before *= mode.rows;
        }
    });
}

template <class T>
void mode_gram(Index batch, Index count, int d, const Index* sizes, int k, const T* x, const T* z,
               const T* const* values, const T* weight, T* gram, int threads) {
    const Index n = sizes[k];
    Index before = 1, after = 1;
    for (int i = 0; i < k; ++i) before *= sizes[i];
    for (int i = k + 1; i < d; ++i) after *= sizes[i];
    const bool half = x == z;
    threads = worth(static_cast<double>(batch * count * before * after * n * n), threads);
    over_batch(batch, threads, [&](Index b) {
        const std::vector<T> ones_before(static_cast<std::size_t>(before), T(1));
        const std::vector<T> ones_after(static_cast<std::size_t>(after), T(1));
        const std::vector<T> lead = values == nullptr ? ones_before : outer(k, sizes, values, b);
        const std::vector<T> trail =
            values == nullptr ? ones_after : outer(d - 1 - k, sizes + k + 1, values + k + 1, b);
        // Terms of the sum are (c, i, j): i before, j after the mode. Calls term(first, depth, factors) for stretches
        // of the terms `from` to `to` along the longer of i and j.
        const bool along_after = after > 1;
        const Index outer_terms = along_after ? count * before : count, inner_terms = along_after ? after : before;
        const Index terms = outer_terms * inner_terms;
        const auto over_terms = [&](Index from, Index to, const auto& term) {
            std::vector<T> factors(static_cast<std::size_t>(std::min(inner_terms, kDepth)));
            Index depth = 0;
            for (Index t = from; t < to; t += depth) {
                const Index o = t / inner_terms, i = t % inner_terms;
                depth = std::min({to - t, inner_terms - i, kDepth});
                const Index c = along_after ? o / before : o;
                T factor = weight == nullptr ? T(1) : weight[b * count + c];
                if (along_after) factor *= lead[static_cast<std::size_t>(o % before)];
                const T* line = along_after ? trail.data() + i : lead.data() + i;
                for (Index f = 0; f < depth; ++f) factors[static_cast<std::size_t>(f)] = factor * line[f];
                term(along_after ? (b * count * before + o) * n * after + i : (b * count + c) * before * n + i * n,
                     depth, factors.data());
            }
        };
        const Index row = along_after ? after : 1, step = along_after ? 1 : n;
        T* total = gram + b * n * n;
        const auto mirror = [&] {
            for (Index i = 0; i < n; ++i) {
                for (Index j = 0; j < i; ++j) total[i * n + j] = total[j * n + i];
            }
        };
        if (n >= kWide) {
            // Every item has some columns of the result and all of the sum; the long columns first.
            std::fill_n(total, n * n, T(0));
            const Index lanes = algebra_kernels<T>().lanes, vectors = ceil_div(n, lanes);
            const Index panels = ceil_div(vectors * lanes, algebra_kernels<T>().panel);
            parallel_for(static_cast<std::size_t>(panels), threads, [&](std::size_t item, int) {
                const Index p = panels - 1 - static_cast<Index>(item), j0 = vectors * p / panels * lanes;
                const Index j1 = std::min(n, vectors * (p + 1) / panels * lanes);
                over_terms(0, terms, [&](Index start, Index depth, const T* factors) {
                    algebra_kernels<T>().gemm({half ? j1 : n, j1 - j0, depth, x + start, z + start + j0 * row, factors,
                                               row, step, step, row, total + j0, n, Update::add, false},
                                              pack_buffer<T>());
                });
            });
            if (half) mirror();
            return;
        }
        // The sum is cut into stretches for the threads; partial sums are added in order.
        const Index pieces = std::clamp<Index>(terms * n * n / (8 * kGrain), 1, 8);
        std::vector<AlignedBuffer<T>> partial(static_cast<std::size_t>(pieces));
        parallel_for(static_cast<std::size_t>(pieces), threads, [&](std::size_t piece, int) {
            AlignedBuffer<T>& sum = partial[piece] = AlignedBuffer<T>(static_cast<std::size_t>(n * n));
            over_terms(terms * static_cast<Index>(piece) / pieces, terms * (static_cast<Index>(piece) + 1) / pieces,
                       [&](Index start, Index depth, const T* factors) {
                           algebra_kernels<T>().gemm({n, n, depth, x + start, z + start, factors, row, step, step, row,
                                                      sum.data(), n, Update::add, half},
                                                     pack_buffer<T>());
                       });
        });
        std::copy(partial[0].data(), partial[0].data() + n * n, total);
        for (std::size_t p = 1; p < partial.size(); ++p) {
            for (Index i = 0; i < n * n; ++i) total[i] += partial[p][static_cast<std::size_t>(i)];
        }
        if (half) mirror();
    });
}

#define FOURFOLD_GP_INSTANTIATE(T)                                                                                  \
    template void mode_products<T>(Index, Index, int, const Mode<T>*, const T*, T*, T*, int);                       \
    template void mode_gram<T>(Index, Index, int, const Index*, int, const T*, const T*, const T* const*, const T*, \
                               T*, int);
FOURFOLD_GP_INSTANTIATE(float)
FOURFOLD_GP_INSTANTIATE(double)

}  // namespace fourfold::gp
