#include "nlse/ensemble_adaptive_cuda.hpp"
#include "nlse/ensemble_adaptive_launch.hpp"
#include "support/cuda_device.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::nlse {
namespace gpu {
namespace {

// With 512 threads a block has 128 registers a thread, which suffice if the layout is known.
template <class T, bool Largest>
__global__ void __launch_bounds__(Largest ? 512 : 256, 1) nlse_adaptive(const __grid_constant__ AdaptiveCall<T> call) {
    extern __shared__ uint4 memory[];
    DeviceBlock block;
    adaptive_block<Largest ? cuda::kLargestAdaptiveGrid : 0>(block, call, reinterpret_cast<unsigned char*>(memory));
}

template <class T>
void launch_adaptive(const AdaptiveCall<T>& call, cudaStream_t stream) {
    const EnsembleLayout& layout = call.ensemble.layout;
    const std::size_t memory = AdaptiveMemory<T>::size(layout);
    const auto kernel = layout.n == cuda::kLargestAdaptiveGrid ? nlse_adaptive<T, true> : nlse_adaptive<T, false>;
    fourfold::cuda::check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(memory)),
        "shared memory for nlse_adaptive");
    const std::uint64_t blocks = (call.ensemble.batch + layout.fields - 1) / layout.fields;
    kernel<<<static_cast<unsigned>(blocks), layout.threads(), memory, stream>>>(call);
}

}  // namespace
}  // namespace gpu

std::size_t cuda::adaptive_shared_memory(const Ensemble& ensemble) {
    const EnsembleLayout layout = ensemble_layout(static_cast<unsigned>(ensemble.n));
    return ensemble.single ? gpu::AdaptiveMemory<float>::size(layout) : gpu::AdaptiveMemory<double>::size(layout);
}

void cuda::advance_adaptively(const Ensemble& ensemble, const AdaptiveMedium& medium, Tolerances tolerances,
                              double duration, double smallest, const void* psi, void* out, void* coarse,
                              const double* first, double* next, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        gpu::launch_adaptive(
            gpu::adaptive_call_of<T>(ensemble, medium, tolerances, duration, smallest, psi, out, coarse, first, next),
            static_cast<cudaStream_t>(queue.stream));
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_adaptive");
}

}  // namespace fourfold::nlse
