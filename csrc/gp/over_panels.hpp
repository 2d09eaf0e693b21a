// The columns of an array in panels, over the threads.
#pragma once

#include <algorithm>

#include "gp/algebra.hpp"
#include "gp/cuts.hpp"
#include "support/aligned.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {

// Per-thread memory for the kernels of columns.
template <class T>
T* columns_work(std::ptrdiff_t n) {
    thread_local AlignedBuffer<T> buffer;
    if (buffer.size() < columns_work_count<T>(n)) buffer = AlignedBuffer<T>(columns_work_count<T>(n));
    return buffer.data();
}

// Calls work(columns, memory) for all `count` columns of [count / after, n, after], in panels of nearly equal width
// that end with a slab unless slabs are narrow.
template <class T, class F>
void over_panels(std::ptrdiff_t n, std::ptrdiff_t after, std::ptrdiff_t count, const T* from, T* to, int threads,
                 const F& work) {
    const std::ptrdiff_t lanes = algebra_kernels<T>().lanes;
    const std::ptrdiff_t stretch = after >= 2 * lanes ? after : count, vectors = ceil_div(stretch, lanes);
    std::ptrdiff_t most = algebra_kernels<T>().panel / lanes;
    // Few panels would leave threads waiting for the last one.
    if (count / stretch * ceil_div(vectors, most) < 16) most = 2;
    const std::ptrdiff_t pieces = ceil_div(vectors, most), panels = count / stretch * pieces;
    // An item has neighbouring panels, which share lines and pages of memory, as long as there are enough items.
    const std::ptrdiff_t group =
        std::max(kGrain / (n * n * most * lanes), std::clamp<std::ptrdiff_t>(panels / 32, 1, 8));
    parallel_for(static_cast<std::size_t>(ceil_div(panels, group)), threads, [&](std::size_t item, int) {
        const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(item) * group;
        T* memory = columns_work<T>(n);
        for (std::ptrdiff_t p = begin; p < std::min(panels, begin + group); ++p) {
            const std::ptrdiff_t start = p / pieces * stretch, piece = p % pieces;
            const std::ptrdiff_t first = vectors * piece / pieces * lanes;
            const std::ptrdiff_t last = std::min(stretch, vectors * (piece + 1) / pieces * lanes);
            work(Columns<T>{n, after, start + first, last - first, from, to}, memory);
        }
    });
}

}  // namespace fourfold::gp
