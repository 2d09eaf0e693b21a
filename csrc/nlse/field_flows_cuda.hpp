// The flows of fields in global memory, for runs whose transforms are torch's. Pointers are of device memory; work is
// queued on the stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstdint>

#include "nlse/ensemble_cuda.hpp"

namespace fourfold::nlse::cuda {

// psi[batch][n], a spectrum that is n times the Fourier coefficients, in the order of the FFT: the kinetic flow of a
// slot, and 1/n. `tables` are those of build_tables() of a natural ensemble.
void kinetic_flow(const Ensemble& ensemble, int slot, void* psi, const void* tables, Queue queue);

// The potential flow of a slot in a step of this size, from psi[batch][n] to out, which may be psi. `potential` may be
// null.
void potential_flow(const Ensemble& ensemble, int slot, double step, const void* psi, void* out,
                    const void* nonlinearity, const void* potential, const void* tables, Queue queue);

}  // namespace fourfold::nlse::cuda
