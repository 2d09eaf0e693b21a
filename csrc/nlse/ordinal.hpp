// Ordinal patterns (Bandt and Pompe 2002) and sample entropy (Richman and Moorman 2000) of batches of series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace fourfold::nlse {

constexpr int kLeastOrder = 3, kGreatestOrder = 7;

// What one series needs; compiled once per ISA level.
struct OrdinalKernels {
    // Adds to counts[order!] how often each pattern occurs among the windows x[i], x[i + delay], ... (order of them),
    // for all i that fit. The index of a pattern is the sum over j of j! times the number of k < j with x_k > x_j
    // strictly, so that of equal values the earlier one counts as the smaller. Returns the number of NaNs among x[n];
    // if there are any, counts mean nothing.
    std::size_t (*count)(const double* x, std::size_t n, int order, std::size_t delay, std::int64_t* counts);

    // Compares the templates x[i .. i+m) and x[j .. j+m), j = i + lag, for lags in [first, last); they match if
    // |x[i+s] - x[j+s]| <= tolerance for all s. Adds to pairs[0] the matches with j < n - m, to pairs[1] those of them
    // that still match with m + 1 values, to pairs[2] the matches with j = n - m.
    void (*match)(const double* x, std::size_t n, std::size_t m, double tolerance, std::size_t first, std::size_t last,
                  std::int64_t* pairs);
};

const OrdinalKernels& ordinal_kernels();

// counts[batch][order!] of series[batch][n], which must hold at least one window. Returns the index of the first series
// with a NaN, or batch if there is none.
std::size_t ordinal_counts(const double* series, std::size_t batch, std::size_t n, int order, std::size_t delay,
                           std::int64_t* counts, int threads);

// pairs[batch][3], as above over all lags from 1 to n - m, of series[batch][n] with n > m. `interrupted` is asked now
// and then on the calling thread; where it answers true, false is returned and pairs are of no use.
bool matching_pairs(const double* series, std::size_t batch, std::size_t n, std::size_t m, const double* tolerances,
                    std::int64_t* pairs, int threads, const std::function<bool()>& interrupted);

}  // namespace fourfold::nlse
