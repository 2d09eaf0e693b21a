// Ensembles on a GPU: splittings of fixed step, one block a realisation (or several small ones). Pointers are of device
// memory unless said otherwise; work is queued on the stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nlse/ensemble_layout.hpp"
#include "nlse/schemes.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::nlse::cuda {

// What does not change from call to call. A part of the medium is one row for all realisations or one for each.
struct Ensemble {
    std::size_t n, batch;
    bool single;  // complex64, else complex128; real arrays have the same precision
    SplittingProgram program;
    bool shared_nonlinearity, shared_potential, shared_loss, lossy;
    bool natural =
        false;  // of any n, its spectrum in the order of the FFT: for field_flows_cuda.hpp, not for advance()
};

// Bytes of shared memory that a block takes.
std::size_t shared_memory(const Ensemble& ensemble);

// Bytes of the tables of one step size.
std::size_t tables_size(const Ensemble& ensemble);

// `loss` is null exactly if the ensemble is not lossy; `filter` may be null. omega[n] is double; both are in the order
// of the FFT.
void build_tables(const Ensemble& ensemble, double step, const double* omega, const void* filter, const void* loss,
                  void* tables, Queue queue);

// `steps` steps from psi[batch][n] to out[batch][n], which may be psi. `tables` are of this step. `twiddles` are those
// of ensemble_twiddles(). `potential` may be null.
void advance(const Ensemble& ensemble, double step, std::int64_t steps, const void* psi, void* out,
             const void* nonlinearity, const void* potential, const void* twiddles, const void* tables, Queue queue);

}  // namespace fourfold::nlse::cuda
