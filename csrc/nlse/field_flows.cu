#include "nlse/field_flows_cuda.hpp"
#include "nlse/field_launch.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::nlse {
namespace gpu {
namespace {

// Twice as many blocks as a multiprocessor of 2048 threads holds.
constexpr std::uint64_t kBlocksPerMultiprocessor = 16;

template <class T>
__global__ void __launch_bounds__(kThreadsOfFlow) nlse_field_kinetic(const __grid_constant__ FieldKinetic<T> flow) {
    field_kinetic(flow, blockIdx.x, blockIdx.y, threadIdx.x);
}

template <class T, bool Plain>
__global__ void __launch_bounds__(kThreadsOfFlow) nlse_field_potential(const __grid_constant__ FieldPotential<T> flow) {
    field_potential<Plain>(flow, blockIdx.x, blockIdx.y, threadIdx.x);
}

template <class T>
__global__ void __launch_bounds__(kThreadsOfFlow)
    nlse_field_kinetic_adjoint(const __grid_constant__ FieldKineticAdjoint<T> way) {
    field_kinetic_adjoint(way, blockIdx.x, blockIdx.y, threadIdx.x);
}

template <class T, bool Plain>
__global__ void __launch_bounds__(kThreadsOfFlow)
    nlse_field_potential_adjoint(const __grid_constant__ FieldPotentialAdjoint<T> flow) {
    field_potential_adjoint<Plain>(flow, blockIdx.x, blockIdx.y, threadIdx.x);
}

template <class T>
FieldShape shape_of(const cuda::Ensemble& ensemble, int device) {
    return field_shape<T>(ensemble.n, ensemble.batch,
                          kBlocksPerMultiprocessor * fourfold::cuda::multiprocessors(device));
}

dim3 grid_of(const FieldShape& shape) { return {shape.blocks_of_row, shape.blocks_of_column}; }

}  // namespace
}  // namespace gpu

void cuda::kinetic_flow(const Ensemble& ensemble, int slot, void* psi, const void* tables, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto flow = gpu::kinetic_of<T>(ensemble, gpu::shape_of<T>(ensemble, queue.device), slot, psi, tables);
        gpu::nlse_field_kinetic<T>
            <<<gpu::grid_of(flow.shape), gpu::kThreadsOfFlow, 0, static_cast<cudaStream_t>(queue.stream)>>>(flow);
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_field_kinetic");
}

void cuda::potential_flow(const Ensemble& ensemble, int slot, double step, const void* psi, void* out,
                          const void* nonlinearity, const void* potential, const void* tables, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto flow = gpu::potential_of<T>(ensemble, gpu::shape_of<T>(ensemble, queue.device), slot, step, psi, out,
                                               nonlinearity, potential, tables);
        const bool plain = flow.potential == nullptr && flow.decay == nullptr;
        const auto kernel = plain ? gpu::nlse_field_potential<T, true> : gpu::nlse_field_potential<T, false>;
        kernel<<<gpu::grid_of(flow.shape), gpu::kThreadsOfFlow, 0, static_cast<cudaStream_t>(queue.stream)>>>(flow);
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_field_potential");
}

unsigned cuda::sums_of_row(const Ensemble& ensemble) {
    unsigned count = 0;
    gpu::with_precision(
        ensemble, [&]<class T>() { count = gpu::threads_of_row(gpu::field_shape<T>(ensemble.n, ensemble.batch, 1)); });
    return count;
}

void cuda::potential_adjoint(const Ensemble& ensemble, int slot, double step, const void* psi, void* cotangent,
                             const void* slopes, const AdjointSums& sums, const Coefficients& given, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto flow = gpu::potential_adjoint_of<T>(ensemble, gpu::shape_of<T>(ensemble, queue.device), slot, step,
                                                       psi, cotangent, slopes, sums, given);
        const auto kernel =
            flow.way.plain() ? gpu::nlse_field_potential_adjoint<T, true> : gpu::nlse_field_potential_adjoint<T, false>;
        kernel<<<gpu::grid_of(flow.shape), gpu::kThreadsOfFlow, 0, static_cast<cudaStream_t>(queue.stream)>>>(flow);
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_field_potential_adjoint");
}

void cuda::kinetic_adjoint(const Ensemble& ensemble, int slot, double step, void* cotangent, const void* spectrum,
                           double* sum_omega, const void* tables, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_precision(ensemble, [&]<class T>() {
        const auto way = gpu::kinetic_adjoint_of<T>(ensemble, gpu::shape_of<T>(ensemble, queue.device), slot, step,
                                                    cotangent, spectrum, sum_omega, tables);
        gpu::nlse_field_kinetic_adjoint<T>
            <<<gpu::grid_of(way.flow.shape), gpu::kThreadsOfFlow, 0, static_cast<cudaStream_t>(queue.stream)>>>(way);
    });
    fourfold::cuda::check(cudaGetLastError(), "launching nlse_field_kinetic_adjoint");
}

}  // namespace fourfold::nlse
