// Triangular solves along the modes of an array: panels of columns over the threads, one mode after the other.
#include "gp/algebra.hpp"
#include "gp/cuts.hpp"
#include "gp/over_panels.hpp"

namespace fourfold::gp {

using Index = std::ptrdiff_t;

template <class T>
void triangular_solves(Index batch, Index count, int d, const Index* sizes, const Index* items, const T* const* lower,
                       Sweep sweep, const T* x, T* out, int threads) {
    Index total = 1;
    double work_done = 0;
    for (int k = 0; k < d; ++k) {
        total *= sizes[k];
        work_done += static_cast<double>(sizes[k]);
    }
    threads = worth(work_done * static_cast<double>(batch * count * total), threads);
    const auto solve = algebra_kernels<T>().solve_columns;
    over_batch(batch, threads, [&](Index b) {
        const T* from = x + b * count * total;
        T* to = out + b * count * total;
        Index after = total;
        for (int k = 0; k < d; ++k) {
            const Index n = sizes[k];
            const T* triangle = lower[k] + (items[k] > 1 ? b * n * n : 0);
            after /= n;
            over_panels<T>(n, after, count * total / n, from, to, threads,
                           [&](const Columns<T>& columns, T* work) { solve(columns, triangle, sweep, work); });
            from = to;
        }
    });
}

#define FOURFOLD_GP_INSTANTIATE(T)                                                                            \
    template void triangular_solves<T>(Index, Index, int, const Index*, const Index*, const T* const*, Sweep, \
                                       const T*, T*, int);
FOURFOLD_GP_INSTANTIATE(float)
FOURFOLD_GP_INSTANTIATE(double)

}  // namespace fourfold::gp
