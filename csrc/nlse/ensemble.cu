#include "nlse/ensemble_cuda.hpp"

#include <algorithm>

#include "nlse/ensemble_launch.hpp"
#include "support/cuda_device.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::nlse {
namespace gpu {
namespace {

constexpr unsigned kThreadsOfTables = 128;

// Of one launch, so that its flows can be counted in 32 bits.
constexpr std::int64_t kMostSteps = std::int64_t{1} << 26;

// The largest grid has as many threads as a block can have registers for, 128 or 64 a thread, which suffice if its
// layout is known.
template <class T, bool Largest>
__global__ void __launch_bounds__(kLargestEnsembleGrid<T> / kPoints / (Largest ? 1 : 2), 1)
    nlse_ensemble(const __grid_constant__ EnsembleCall<T> call) {
    extern __shared__ uint4 memory[];
    DeviceBlock block;
    ensemble_block<Largest ? kLargestEnsembleGrid<T> : 0>(block, call, reinterpret_cast<Point<T>*>(memory));
}

template <class T>
__global__ void nlse_kinetic_table(const __grid_constant__ EnsembleTables<T> tables) {
    const std::uint64_t entry = static_cast<std::uint64_t>(blockIdx.x) * kThreadsOfTables + threadIdx.x;
    if (entry < tables.kinetic_entries()) kinetic_entry(tables, entry);
}

template <class T>
__global__ void nlse_decay_table(const __grid_constant__ EnsembleTables<T> tables) {
    const std::uint64_t entry = static_cast<std::uint64_t>(blockIdx.x) * kThreadsOfTables + threadIdx.x;
    if (entry < tables.decay_entries()) decay_entry(tables, entry);
}

unsigned blocks_for(std::uint64_t entries) {
    return static_cast<unsigned>((entries + kThreadsOfTables - 1) / kThreadsOfTables);
}

template <class T>
void launch_tables(const EnsembleTables<T>& tables, cudaStream_t stream) {
    nlse_kinetic_table<T><<<blocks_for(tables.kinetic_entries()), kThreadsOfTables, 0, stream>>>(tables);
    if (tables.decay_entries() > 0) {
        nlse_decay_table<T><<<blocks_for(tables.decay_entries()), kThreadsOfTables, 0, stream>>>(tables);
    }
}

template <class T>
void launch_steps(const EnsembleCall<T>& call, std::size_t memory, cudaStream_t stream) {
    const auto kernel = call.layout.n == kLargestEnsembleGrid<T> ? nlse_ensemble<T, true> : nlse_ensemble<T, false>;
    // More than 48 KiB only for who asks.
    fourfold::cuda::check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(memory)),
        "shared memory for nlse_ensemble");
    const std::uint64_t blocks = (call.batch + call.layout.fields - 1) / call.layout.fields;
    kernel<<<static_cast<unsigned>(blocks), call.layout.threads(), memory, stream>>>(call);
}

}  // namespace
}  // namespace gpu

std::size_t cuda::shared_memory(const Ensemble& ensemble) {
    const EnsembleLayout layout = ensemble_layout(static_cast<unsigned>(ensemble.n));
    return static_cast<std::size_t>(layout.fields) * layout.n * (ensemble.single ? 8 : 16);
}

std::size_t cuda::tables_size(const Ensemble& ensemble) {
    return gpu::entries_of(ensemble) * (ensemble.single ? 8 : 16);
}

void cuda::build_tables(const Ensemble& ensemble, double step, const double* omega, const void* filter,
                        const void* loss, void* tables, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        gpu::launch_tables(gpu::tables_of<T>(ensemble, step, omega, filter, loss, tables),
                           static_cast<cudaStream_t>(queue.stream));
    });
    fourfold::cuda::check(cudaGetLastError(), "launching the tables of nlse_ensemble");
}

void cuda::advance(const Ensemble& ensemble, double step, std::int64_t steps, const void* psi, void* out,
                   const void* nonlinearity, const void* potential, const void* twiddles, const void* tables,
                   Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        while (steps > 0) {
            const auto now = static_cast<std::int32_t>(std::min(steps, gpu::kMostSteps));
            gpu::launch_steps(gpu::call_of<T>(ensemble, step, now, psi, out, nonlinearity, potential, twiddles, tables),
                              shared_memory(ensemble), static_cast<cudaStream_t>(queue.stream));
            psi = out;
            steps -= now;
        }
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_ensemble");
}

}  // namespace fourfold::nlse
