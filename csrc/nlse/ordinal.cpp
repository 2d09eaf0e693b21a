#include "nlse/ordinal.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::nlse {

#define FOURFOLD_DECLARE_KERNELS(level)          \
    namespace level {                            \
    extern const OrdinalKernels kernels_ordinal; \
    }
FOURFOLD_DECLARE_KERNELS(baseline)
#if FOURFOLD_X86_LEVELS
FOURFOLD_DECLARE_KERNELS(v3)
FOURFOLD_DECLARE_KERNELS(v4)
#endif

const OrdinalKernels& ordinal_kernels() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::kernels_ordinal;
    if (isa::level() == isa::Level::v3) return v3::kernels_ordinal;
#endif
    return baseline::kernels_ordinal;
}

std::size_t ordinal_counts(const double* series, std::size_t batch, std::size_t n, int order, std::size_t delay,
                           std::int64_t* counts, int threads) {
    std::size_t patterns = 1;
    for (int j = 2; j <= order; ++j) patterns *= j;
    std::vector<std::size_t> nans(batch);
    const OrdinalKernels& kernels = ordinal_kernels();
    parallel_for(batch, threads, [&](std::size_t item, int) {
        std::int64_t* mine = counts + patterns * item;
        std::fill(mine, mine + patterns, 0);
        nans[item] = kernels.count(series + n * item, n, order, delay, mine);
    });
    const auto is_nan = [](std::size_t count) { return count != 0; };
    return static_cast<std::size_t>(std::find_if(nans.begin(), nans.end(), is_nan) - nans.begin());
}

bool matching_pairs(const double* series, std::size_t batch, std::size_t n, std::size_t m, const double* tolerances,
                    std::int64_t* pairs, int threads, const std::function<bool()>& interrupted) {
    // An item is a stretch of lags of one series with about so many pairs: some milliseconds, after which a signal is
    // looked for, and small enough that one long series occupies all threads.
    constexpr std::size_t kPairs = std::size_t(1) << 22;
    const std::size_t lags = n - m;
    const std::size_t stretch = std::max<std::size_t>(1, kPairs / n);
    const std::size_t stretches = (lags + stretch - 1) / stretch;
    std::vector<std::int64_t> part(3 * stretches * batch);
    std::atomic<bool> stop{false};
    const OrdinalKernels& kernels = ordinal_kernels();
    parallel_for(stretches * batch, threads, [&](std::size_t item, int worker) {
        if (worker == 0 && interrupted()) stop.store(true, std::memory_order_relaxed);
        if (stop.load(std::memory_order_relaxed)) return;
        const std::size_t row = item / stretches;
        const std::size_t first = 1 + stretch * (item % stretches);
        kernels.match(series + n * row, n, m, tolerances[row], first, std::min(first + stretch, lags + 1),
                      part.data() + 3 * item);
    });
    if (stop.load(std::memory_order_relaxed)) return false;
    for (std::size_t row = 0; row < batch; ++row) {
        for (int kind = 0; kind < 3; ++kind) {
            std::int64_t sum = 0;
            for (std::size_t s = 0; s < stretches; ++s) sum += part[3 * (row * stretches + s) + kind];
            pairs[3 * row + kind] = sum;
        }
    }
    return true;
}

}  // namespace fourfold::nlse
