// The drivers of the passes over the spectrum, cut into items for the threads.
#include <algorithm>
#include <vector>

#include "gp/algebra.hpp"
#include "gp/cuts.hpp"
#include "gp/outer.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {
namespace {

using Index = std::ptrdiff_t;

Index rows_per_item(Index n) { return std::max<Index>(1, ceil_div(16384, std::max<Index>(1, n))); }

}  // namespace

template <class T>
void spectral_divide(Index batch, Index count, int d, const Index* sizes, const T* const* values, const T* noise, T* x,
                     double* quad, int threads) {
    const Index n = sizes[d - 1];
    threads = worth(8.0 * static_cast<double>(batch * count * points(d, sizes)), threads);
    over_batch(batch, threads, [&](Index b) {
        const std::vector<T> lead = outer(d - 1, sizes, values, b);
        const Index rows = static_cast<Index>(lead.size()), step = rows_per_item(n), pieces = ceil_div(rows, step);
        std::vector<double> sums(static_cast<std::size_t>(count * pieces));
        parallel_for(sums.size(), threads, [&](std::size_t item, int) {
            const Index c = static_cast<Index>(item) / pieces, r0 = static_cast<Index>(item) % pieces * step;
            sums[item] =
                algebra_kernels<T>().divide(std::min(step, rows - r0), n, lead.data() + r0, values[d - 1] + b * n,
                                            noise[b], x + ((b * count + c) * rows + r0) * n);
        });
        for (Index c = 0; c < count; ++c) {
            double sum = 0;
            for (Index p = 0; p < pieces; ++p) sum += sums[static_cast<std::size_t>(c * pieces + p)];
            quad[b * count + c] = sum;
        }
    });
}

template <class T>
void spectral_sums(Index batch, int d, const Index* sizes, const T* const* values, const T* noise, double* logdet,
                   double* inverse, double* smallest, double* const* traces, int threads) {
    const Index n = sizes[d - 1];
    threads = worth(16.0 * static_cast<double>(batch * points(d, sizes)), threads);
    over_batch(batch, threads, [&](Index b) {
        const std::vector<T> lead = outer(d - 1, sizes, values, b);
        const Index rows = static_cast<Index>(lead.size()), step = rows_per_item(n), pieces = ceil_div(rows, step);
        std::vector<SpectralSums> sums(static_cast<std::size_t>(pieces));
        std::vector<double> row(traces == nullptr ? 0 : static_cast<std::size_t>(rows));
        std::vector<double> columns(traces == nullptr ? 0 : static_cast<std::size_t>(pieces * n));
        parallel_for(sums.size(), threads, [&](std::size_t item, int) {
            const Index p = static_cast<Index>(item), r0 = p * step;
            sums[item] = algebra_kernels<T>().sums(
                std::min(step, rows - r0), n, lead.data() + r0, values[d - 1] + b * n, noise[b],
                traces == nullptr ? nullptr : row.data() + r0, traces == nullptr ? nullptr : columns.data() + p * n);
        });
        logdet[b] = inverse[b] = 0;
        smallest[b] = sums[0].smallest;
        for (const SpectralSums& sum : sums) {
            logdet[b] += sum.log;
            inverse[b] += sum.inverse;
            // Written so that a NaN stays.
            if (!(sum.smallest >= smallest[b])) smallest[b] = sum.smallest;
        }
        if (traces == nullptr) return;
        double* last = traces[d - 1] + b * n;
        for (Index j = 0; j < n; ++j) {
            last[j] = 0;
            for (Index p = 0; p < pieces; ++p) last[j] += columns[static_cast<std::size_t>(p * n + j)];
        }
        // row[i_1 .. i_k] = sum over the later modes; contract one mode after the other.
        for (int k = d - 2; k >= 0; --k) {
            const Index size = sizes[k];
            const std::vector<T> before = outer(k, sizes, values, b);
            double* trace = traces[k] + b * size;
            std::fill(trace, trace + size, 0.0);
            for (std::size_t r = 0; r < before.size(); ++r) {
                double sum = 0;
                for (Index i = 0; i < size; ++i) {
                    const double entry = row[r * static_cast<std::size_t>(size) + static_cast<std::size_t>(i)];
                    trace[i] += static_cast<double>(before[r]) * entry;
                    sum += static_cast<double>(values[k][b * size + i]) * entry;
                }
                row[r] = sum;
            }
        }
    });
}

#define FOURFOLD_GP_INSTANTIATE(T)                                                                                  \
    template void spectral_divide<T>(Index, Index, int, const Index*, const T* const*, const T*, T*, double*, int); \
    template void spectral_sums<T>(Index, int, const Index*, const T* const*, const T*, double*, double*, double*,  \
                                   double* const*, int);
FOURFOLD_GP_INSTANTIATE(float)
FOURFOLD_GP_INSTANTIATE(double)

}  // namespace fourfold::gp
