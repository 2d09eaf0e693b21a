#include "gp/funbat.hpp"

#include <algorithm>

#include "gp/matern_steps.hpp"
#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {

namespace baseline {
extern const FunbatKernels funbat_kernels;
}
#if FOURFOLD_X86_LEVELS
namespace v3 {
extern const FunbatKernels funbat_kernels;
}
namespace v4 {
extern const FunbatKernels funbat_kernels;
}
#endif

namespace {

const FunbatKernels& kernels() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::funbat_kernels;
    if (isa::level() == isa::Level::v3) return v3::funbat_kernels;
#endif
    return baseline::funbat_kernels;
}

// Below this many multiplications a second thread costs more than it brings.
constexpr std::size_t kWorthAThread = 1 << 17;

int threads_for(std::size_t work, int threads) { return work < kWorthAThread ? 1 : threads; }

// Calls f(i, worker) for i in [0, count) in chunks of a size that depends on `count` alone.
template <class F>
void in_chunks(std::size_t count, int threads, F f) {
    const std::size_t chunk = std::max<std::size_t>(1, count / 64);
    parallel_for((count + chunk - 1) / chunk, threads, [&](std::size_t item, int worker) {
        for (std::size_t i = item * chunk; i < std::min(count, (item + 1) * chunk); ++i) f(i, worker);
    });
}

// Sizes of the two sums of a time.
struct Widths {
    std::size_t first = 1, second = 1;
};

Widths widths(const Entries& entries) {
    Widths w;
    for (int j = 0; j < entries.others; ++j) {
        const std::size_t rank = entries.rank[j];
        if (!entries.tucker) return {rank, packed_size(rank)};
        w.first *= rank;
        w.second *= packed_size(rank);
    }
    return w;
}

}  // namespace

std::size_t chain_scratch(int rank, int order, std::size_t count) {
    const std::size_t r = rank, d = r * order;
    return count * (d + d * d + r + r * r) + 3 * d * d + 3 * d * r + 6 * r * r;
}

void chain_steps(int order, double rate, std::size_t count, const double* length, double* step) {
    const int entries = order * order;
    MaternStep part{};
    double last = -1;
    for (std::size_t t = 0; t < count; ++t, step += 3 * entries) {
        if (t > 0 && length[t] != last) {
            last = length[t];
            matern_step(order, rate * last, part);
        }
        for (int i = 0; i < entries; ++i) {
            step[i] = t == 0 ? 0 : part.transition[i];
            step[entries + i] = t == 0 ? stationary_covariance(order)[i] : part.noise[i];
            step[2 * entries + i] = t == 0 ? 0 : part.noise_slope[i];
        }
    }
}

std::size_t smooth_chain(const Chain& chain, const ChainResults& results, double* scratch) {
    return kernels().smooth_chain(chain, results, scratch);
}

std::size_t entries_scratch(const Entries& entries) {
    const Widths w = widths(entries);
    return 2 * (w.first + w.second);
}

void sum_entries(const Entries& entries, double* first, double* second, double* scratch, int threads) {
    const Widths w = widths(entries);
    const std::size_t share = entries_scratch(entries);
    in_chunks(entries.times, threads_for(entries.count * w.second, threads), [&](std::size_t time, int worker) {
        kernels().sum_time(entries, time, first + time * w.first, second + time * w.second, scratch + worker * share);
    });
}

std::size_t points_scratch(const Points& points) {
    const std::size_t first = points.rank[0];
    if (!points.tucker) return first + packed_size(first);
    std::size_t rest = 1;
    for (int j = 1; j < points.modes; ++j) rest *= points.rank[j];
    return 2 * kMaxRank * kMaxRank + 2 * rest + 2 * rest * rest;
}

void evaluate_points(const Points& points, double* mean, double* variance, double* scratch, int threads) {
    const std::size_t share = points_scratch(points);
    in_chunks(points.count, threads_for(points.count * share, threads), [&](std::size_t point, int worker) {
        kernels().evaluate_point(points, point, mean + point, variance + point, scratch + worker * share);
    });
}

void rows_times_rows(std::size_t rows, std::size_t columns, std::size_t inner, const double* a, const double* b,
                     double* out, int threads) {
    in_chunks(rows, threads_for(rows * columns * inner, threads), [&](std::size_t row, int) {
        kernels().row_times_rows(columns, inner, a + row * inner, b, out + row * columns);
    });
}

void columns_times_columns(std::size_t rows, std::size_t columns, std::size_t inner, const double* a, const double* b,
                           double* out, int threads) {
    in_chunks(rows, threads_for(rows * columns * inner, threads), [&](std::size_t row, int) {
        kernels().column_times_columns(columns, inner, a + row, rows, b, out + row * columns);
    });
}

std::size_t invert(std::size_t n, const double* matrix, double* inverse, double* logdet, double* work) {
    return kernels().invert(n, matrix, inverse, logdet, work);
}

}  // namespace fourfold::gp
