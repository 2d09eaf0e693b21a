#include <stdexcept>

#include "nlse/ensemble_adjoint_cuda.hpp"
#include "nlse/ensemble_adjoint_launch.hpp"
#include "support/cuda_device.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::nlse {
namespace gpu {
namespace {

constexpr unsigned kThreadsOfTables = 128;

// Each thread does what `Times` threads do, one after another, and has that many times their registers. Nothing is kept
// from phase to phase.
template <unsigned Times>
class BlockOfFewer {
public:
    FOURFOLD_INLINE unsigned index() const { return block_.index(); }
    template <class Phase>
    FOURFOLD_INLINE void each(Phase phase) const {
        block_.each([&](unsigned thread) {
            FOURFOLD_ROLLED
            for (unsigned i = 0; i < Times; ++i) phase(thread + i * block_.threads());
        });
    }

private:
    DeviceBlock block_;
};

// For the largest grid 128 (complex128) or 64 registers a thread would not do.
FOURFOLD_HOST_DEVICE constexpr unsigned times(bool largest) { return largest ? 2 : 1; }

template <class T>
constexpr unsigned kMostThreads = kLargestEnsembleGrid<T> / kPoints / 2;

template <class T, bool Largest>
__global__ void __launch_bounds__(kMostThreads<T>, 1)
    nlse_ensemble_record(const __grid_constant__ EnsembleRecord<T> way) {
    extern __shared__ uint4 memory[];
    BlockOfFewer<times(Largest)> block;
    record_block<Largest ? kLargestEnsembleGrid<T> : 0>(block, way, reinterpret_cast<Point<T>*>(memory));
}

template <class T, bool Largest>
__global__ void __launch_bounds__(kMostThreads<T>, 1)
    nlse_ensemble_adjoint(const __grid_constant__ EnsembleAdjoint<T> way) {
    extern __shared__ uint4 memory[];
    BlockOfFewer<times(Largest)> block;
    adjoint_block<Largest ? kLargestEnsembleGrid<T> : 0>(block, way, reinterpret_cast<Point<T>*>(memory));
}

template <class T>
__global__ void nlse_slope_table(const __grid_constant__ EnsembleSlopes<T> tables) {
    const std::uint64_t entry = static_cast<std::uint64_t>(blockIdx.x) * kThreadsOfTables + threadIdx.x;
    if (entry < tables.entries) slope_entry(tables, entry);
}

template <class Way>
void launch(void (*kernel)(Way), const Way& way, bool largest, std::size_t memory, cudaStream_t stream) {
    // More than 48 KiB only for who asks.
    fourfold::cuda::check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(memory)),
        "shared memory for the adjoint of an ensemble");
    const std::uint64_t blocks = (way.call.batch + way.call.layout.fields - 1) / way.call.layout.fields;
    kernel<<<static_cast<unsigned>(blocks), way.call.layout.threads() / times(largest), memory, stream>>>(way);
}

void check_stretch(const cuda::Ensemble& ensemble, const cuda::Stretch& stretch) {
    if (stretch.steps < 1 || stretch.steps > cuda::kMostAdjointSteps || stretch.first < 0 ||
        stretch.last <= stretch.first || stretch.last > cuda::flows_of(ensemble, stretch.steps)) {
        throw std::invalid_argument("these flows are not of the interval");
    }
}

}  // namespace
}  // namespace gpu

std::int64_t cuda::flows_of(const Ensemble& ensemble, std::int64_t steps) {
    return steps * ensemble.program.stages + (ensemble.program.kinetic_first ? 1 : 0);
}

std::size_t cuda::slopes_size(const Ensemble& ensemble) {
    return ensemble.program.potential_slots * gpu::loss_rows(ensemble) * ensemble.n * (ensemble.single ? 4 : 8);
}

void cuda::build_slopes(const Ensemble& ensemble, double step, const void* loss, void* slopes, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto tables = gpu::slopes_of<T>(ensemble, step, loss, slopes);
        const auto blocks = (tables.entries + gpu::kThreadsOfTables - 1) / gpu::kThreadsOfTables;
        gpu::nlse_slope_table<T>
            <<<static_cast<unsigned>(blocks), gpu::kThreadsOfTables, 0, static_cast<cudaStream_t>(queue.stream)>>>(
                tables);
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_slope_table");
}

void cuda::record(const Ensemble& ensemble, const Stretch& stretch, const void* psi, void* fields, void* spectra,
                  void* out, const Coefficients& given, Queue queue) {
    gpu::check_stretch(ensemble, stretch);
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto way = gpu::record_of<T>(ensemble, stretch, psi, fields, spectra, out, given);
        const bool largest = ensemble.n == kLargestEnsembleGrid<T>;
        gpu::launch(largest ? gpu::nlse_ensemble_record<T, true> : gpu::nlse_ensemble_record<T, false>, way, largest,
                    shared_memory(ensemble), static_cast<cudaStream_t>(queue.stream));
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_ensemble_record");
}

void cuda::adjoint(const Ensemble& ensemble, const Stretch& stretch, void* cotangent, const void* fields,
                   const void* spectra, const void* slopes, const AdjointSums& sums, const Coefficients& given,
                   Queue queue) {
    gpu::check_stretch(ensemble, stretch);
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto way = gpu::adjoint_of<T>(ensemble, stretch, cotangent, fields, spectra, slopes, sums, given);
        const bool largest = ensemble.n == kLargestEnsembleGrid<T>;
        gpu::launch(largest ? gpu::nlse_ensemble_adjoint<T, true> : gpu::nlse_ensemble_adjoint<T, false>, way, largest,
                    shared_memory(ensemble), static_cast<cudaStream_t>(queue.stream));
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_ensemble_adjoint");
}

}  // namespace fourfold::nlse
