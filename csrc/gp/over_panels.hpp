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
    const std::ptrdiff_t most = static_cast<std::ptrdiff_t>(kPanelBytes / sizeof(T)) / lanes;
    const std::ptrdiff_t stretch = after >= 2 * lanes ? after : count;
    const std::ptrdiff_t vectors = ceil_div(stretch, lanes), pieces = ceil_div(vectors, most);
    const std::ptrdiff_t panels = count / stretch * pieces;
    const std::ptrdiff_t group = std::max<std::ptrdiff_t>(1, kGrain / (n * n * most * lanes));
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
