// Ensembles on a GPU whose realisations choose their steps. Pointers are of device memory; work is queued on the
// stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nlse/ensemble_cuda.hpp"

namespace fourfold::nlse::cuda {

inline constexpr unsigned kLargestAdaptiveGrid = 8192;

struct Tolerances {
    double rtol, atol;
};

// Of the ensemble's run: null where there is none. omega[n] (double) and filter[n] are at the places of the spectrum,
// EnsembleLayout::frequency(); `order`, one 32-bit number, is that of the method on this problem.
struct AdaptiveMedium {
    const void* nonlinearity;
    const void* potential;
    const void* loss;
    const double* omega;
    const void* filter;
    const std::int32_t* order;
    const void* twiddles;  // of ensemble_twiddles()
};

// Bytes of shared memory that a block takes.
std::size_t adaptive_shared_memory(const Ensemble& ensemble);

// From psi[batch][n] to out[batch][n], another array, over `duration`, with steps of `smallest` at least. `coarse` has
// the size of psi. first[batch]: the step that each realisation tries first, 0 if it has none yet; next[batch]: what it
// would try next. A realisation that needs smaller steps, or whose steps are not finite, is NaN.
void advance_adaptively(const Ensemble& ensemble, const AdaptiveMedium& medium, Tolerances tolerances, double duration,
                        double smallest, const void* psi, void* out, void* coarse, const double* first, double* next,
                        Queue queue);

}  // namespace fourfold::nlse::cuda
