// Compiled once per ISA level.
#include <cmath>
#include <cstdint>

#include "nlse/ordinal.hpp"
#include "support/simd.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

// Windows are taken in blocks, so that their indices stay in the first cache.
constexpr std::size_t kBlock = 2048;

constexpr std::int64_t factorial(int j) { return j < 2 ? 1 : j * factorial(j - 1); }

// Lanes of one register. Larger vectors than the level has would be split by the compiler.
constexpr int kLanes = FOURFOLD_LEVEL_INDEX == 2 ? 8 : FOURFOLD_LEVEL_INDEX == 1 ? 4 : 2;

// The indices of the patterns of the windows that begin at x[0], x[1], ... x[V - 1].
template <int Order, int V>
FOURFOLD_INLINE void few_indices(const double* x, std::size_t delay, std::int32_t* index) {
    using Values = Lanes<double, V>;
    // As wide as the values compared: then the mask of a comparison, cut to j!, is the addend.
    using Sums = Lanes<std::int64_t, V>;
    Values value[Order];
#pragma GCC unroll 8
    for (int j = 0; j < Order; ++j) value[j] = load<Values>(x + j * delay);
    Sums sum = {};
#pragma GCC unroll 8
    for (int j = 1; j < Order; ++j) {
#pragma GCC unroll 8
        for (int k = 0; k < j; ++k) sum += (value[k] > value[j]) & factorial(j);
    }
    for (int v = 0; v < V; ++v) index[v] = static_cast<std::int32_t>(sum[v]);
}

template <int Order>
void indices(const double* x, std::size_t count, std::size_t delay, std::int32_t* index) {
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) few_indices<Order, kLanes>(x + i, delay, index + i);
    for (; i < count; ++i) {
        std::int64_t sum = 0;
        for (int j = 1; j < Order; ++j) {
            for (int k = 0; k < j; ++k) sum += x[i + k * delay] > x[i + j * delay] ? factorial(j) : 0;
        }
        index[i] = static_cast<std::int32_t>(sum);
    }
}

template <int Order>
std::size_t count_order(const double* x, std::size_t n, std::size_t delay, std::int64_t* counts) {
    // Several tables: the same pattern twice in a row need not wait for its own counter. At order 7 more than two
    // would leave the first cache.
    constexpr std::size_t kTables = Order < 7 ? 4 : 2;
    constexpr std::size_t kPatterns = factorial(Order);
    // 32 bits for half the cache; moved to 64 before they can overflow.
    constexpr std::size_t kMost = std::size_t(1) << 30;
    std::uint32_t table[kTables][kPatterns] = {};
    std::int32_t index[kBlock];

    const std::size_t windows = n - (Order - 1) * delay;
    std::size_t since = 0;
    const auto empty_tables = [&] {
        for (std::size_t t = 0; t < kTables; ++t) {
            for (std::size_t p = 0; p < kPatterns; ++p) {
                counts[p] += table[t][p];
                table[t][p] = 0;
            }
        }
        since = 0;
    };
    std::size_t nans = 0;
    for (std::size_t from = 0; from < windows; from += kBlock) {
        const std::size_t count = windows - from < kBlock ? windows - from : kBlock;
        indices<Order>(x + from, count, delay, index);
        std::size_t i = 0;
        for (; i + kTables <= count; i += kTables) {
            for (std::size_t t = 0; t < kTables; ++t) ++table[t][index[i + t]];
        }
        for (; i < count; ++i) ++table[0][index[i]];
        since += count;
        if (since >= kMost) empty_tables();

        // The last block also looks at what lies beyond the last window's first value.
        const std::size_t seen = from + count == windows ? n - from : count;
        std::int64_t found = 0;
#pragma omp simd reduction(+ : found)
        for (std::size_t j = 0; j < seen; ++j) found += x[from + j] != x[from + j] ? 1 : 0;
        nans += static_cast<std::size_t>(found);
    }
    empty_tables();
    return nans;
}

std::size_t count(const double* x, std::size_t n, int order, std::size_t delay, std::int64_t* counts) {
    switch (order) {
        case 3: return count_order<3>(x, n, delay, counts);
        case 4: return count_order<4>(x, n, delay, counts);
        case 5: return count_order<5>(x, n, delay, counts);
        case 6: return count_order<6>(x, n, delay, counts);
        default: return count_order<7>(x, n, delay, counts);
    }
}

// One lag: near[i] says whether |x[i] - x[i + lag]| <= tolerance, whole[i] whether the templates at i match.
void match_lag(const double* __restrict x, std::size_t n, std::size_t m, double tolerance, std::size_t lag,
               std::int64_t* __restrict pairs) {
    constexpr std::size_t kChunk = 4096;
    std::uint8_t near[kChunk], whole[kChunk];
    const double* __restrict y = x + lag;
    // Pairs of templates (i, i + lag) with i + lag <= n - m; the last of them has no value after it.
    const std::size_t templates = n - m - lag + 1;
    const std::size_t step = kChunk - m;
    for (std::size_t from = 0; from < templates; from += step) {
        const std::size_t count = templates - from < step ? templates - from : step;
        const bool last = from + count == templates;
        const std::size_t values = count + m - (last ? 1 : 0);
        const double* __restrict a = x + from;
        const double* __restrict b = y + from;
#pragma omp simd
        for (std::size_t i = 0; i < values; ++i) near[i] = std::fabs(a[i] - b[i]) <= tolerance ? 1 : 0;
        for (std::size_t i = 0; i < count; ++i) whole[i] = near[i];
        for (std::size_t s = 1; s < m; ++s) {
#pragma omp simd
            for (std::size_t i = 0; i < count; ++i) whole[i] = static_cast<std::uint8_t>(whole[i] & near[i + s]);
        }
        const std::size_t inner = last ? count - 1 : count;
        std::uint32_t matches = 0, longer = 0;
#pragma omp simd reduction(+ : matches, longer)
        for (std::size_t i = 0; i < inner; ++i) {
            matches += whole[i];
            longer += static_cast<std::uint8_t>(whole[i] & near[i + m]);
        }
        pairs[0] += matches;
        pairs[1] += longer;
        if (last) pairs[2] += whole[count - 1];
    }
}

void match(const double* x, std::size_t n, std::size_t m, double tolerance, std::size_t first, std::size_t last,
           std::int64_t* pairs) {
    std::int64_t sum[3] = {0, 0, 0};
    for (std::size_t lag = first; lag < last; ++lag) match_lag(x, n, m, tolerance, lag, sum);
    for (int kind = 0; kind < 3; ++kind) pairs[kind] += sum[kind];
}

}  // namespace

extern const OrdinalKernels kernels_ordinal;
const OrdinalKernels kernels_ordinal = {count, match};

}  // namespace fourfold::nlse::FOURFOLD_LEVEL
