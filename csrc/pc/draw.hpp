// Drawing one of several alternatives, on the CPU and on a GPU.
#pragma once

#include "support/host_device.hpp"

namespace fourfold::pc {

// The first entry whose cumulative weight exceeds u times the total; weight(k) >= 0, not all of them 0. Sums are in
// double precision, one after another.
template <class Index, class Weight>
FOURFOLD_INLINE Index draw(Index size, double u, const Weight& weight) {
    double total = 0.0;
    for (Index k = 0; k < size; ++k) total += weight(k);
    const double target = u * total;
    double sum = 0.0;
    Index last = 0;
    for (Index k = 0; k < size; ++k) {
        const double w = weight(k);
        if (w > 0.0) last = k;
        sum += w;
        if (sum > target) return k;
    }
    return last;
}

// Evidence of probability 0 has no draws.
FOURFOLD_INLINE bool is_possible(double log_prob) { return log_prob >= -1e300; }

}  // namespace fourfold::pc
