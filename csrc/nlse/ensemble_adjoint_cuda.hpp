// The discrete adjoint of ensembles on a GPU, over parts of an interval's flows (see ensemble_record.hpp for their
// numbers). As in ensemble_cuda.hpp, pointers are of device memory and nothing waits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nlse/ensemble_cuda.hpp"

namespace fourfold::nlse::cuda {

// Steps that an interval may have.
inline constexpr std::int64_t kMostAdjointSteps = std::int64_t{1} << 26;

// F, of the chain of `steps` steps.
std::int64_t flows_of(const Ensemble& ensemble, std::int64_t steps);

// Bytes of the table of dl/d gamma; the ensemble is lossy.
std::size_t slopes_size(const Ensemble& ensemble);
void build_slopes(const Ensemble& ensemble, double step, const void* loss, void* slopes, Queue queue);

// Flows first .. last of the chain of `steps` steps, 0 <= first < last <= F.
struct Stretch {
    double step;
    std::int64_t steps, first, last;
};

// What the flows act with, as for advance(). Tables are of this step.
struct Coefficients {
    const void *nonlinearity, *potential, *twiddles, *tables;
};

// From psi[batch][n] to out[batch][n], and what the way back needs: fields[last - first][batch][n], and one more at the
// end of the chain, and spectra[last - first][batch][n]. All but psi may be null.
void record(const Ensemble& ensemble, const Stretch& stretch, const void* psi, void* fields, void* spectra, void* out,
            const Coefficients& given, Queue queue);

// Sums are double, added to, and null where not wanted.
struct AdjointSums {
    double* nonlinearity;  // [batch][n/kPoints], to be added up
    double* potential;     // [batch][n]
    double* loss;          // [batch][n], with slopes
    double* omega;         // [batch][n], at the places of the spectrum, with spectra
};

// cotangent[batch][n] from the end of the stretch to its beginning, in place.
void adjoint(const Ensemble& ensemble, const Stretch& stretch, void* cotangent, const void* fields, const void* spectra,
             const void* slopes, const AdjointSums& sums, const Coefficients& given, Queue queue);

}  // namespace fourfold::nlse::cuda
