// The flows of fields in global memory and their adjoints, for runs whose transforms are torch's. Pointers are of
// device memory; work is queued on the stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstdint>

#include "nlse/ensemble_adjoint_cuda.hpp"

namespace fourfold::nlse::cuda {

// psi[batch][n], a spectrum that is n times the Fourier coefficients, in the order of the FFT: the kinetic flow of a
// slot, and 1/n. `tables` are those of build_tables() of a natural ensemble.
void kinetic_flow(const Ensemble& ensemble, int slot, void* psi, const void* tables, Queue queue);

// The potential flow of a slot in a step of this size, from psi[batch][n] to out, which may be psi. `potential` may be
// null.
void potential_flow(const Ensemble& ensemble, int slot, double step, const void* psi, void* out,
                    const void* nonlinearity, const void* potential, const void* tables, Queue queue);

// Numbers of a realisation that sums.nonlinearity has below.
unsigned sums_of_row(const Ensemble& ensemble);

// cotangent[batch][n] from behind the potential flow of a slot to before it, where the field is psi[batch][n]. Slopes
// are those of build_slopes(). sums.omega and the twiddles are not looked at.
void potential_adjoint(const Ensemble& ensemble, int slot, double step, const void* psi, void* cotangent,
                       const void* slopes, const AdjointSums& sums, const Coefficients& given, Queue queue);

// cotangent[batch][n], the transform of that behind the kinetic flow of a slot, to 1/n of that before it. With
// sum_omega[batch][n], in the order of the FFT, `spectrum` is what kinetic_flow() left behind.
void kinetic_adjoint(const Ensemble& ensemble, int slot, double step, void* cotangent, const void* spectrum,
                     double* sum_omega, const void* tables, Queue queue);

}  // namespace fourfold::nlse::cuda
