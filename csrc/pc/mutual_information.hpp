// Mutual information of all pairs of observed variables.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pc/batch.hpp"

namespace fourfold::pc {

// How values fall into bins: value x of variable i belongs to bin lower[first[i] + x] by the share share[first[i] + x]
// and to the next bin by the rest. Variable i has bins[i] bins, and first[i] is the sum of the table sizes before it.
struct Binning {
    std::size_t variables;
    const std::int32_t* bins;
    const std::int64_t* first;
    const std::int32_t* lower;
    const float* share;
};

// out[variables][variables] in nats, symmetric; the diagonal holds the entropies.
void mutual_information(const Binning& binning, const Codes& codes, std::size_t count, double* out, int threads);

}  // namespace fourfold::pc
