#include "kan/bases_cuda.hpp"
#include "kan/basis_threads.hpp"
#include "support/cuda_device.hpp"

namespace fourfold {
namespace gpu {
namespace {

constexpr unsigned kMostThreads = kan::kMostWarps * kan::kFeaturesOfBlock;

template <class T, class F>
__global__ void __launch_bounds__(kMostThreads)
    basis_expand(const __grid_constant__ BasisCall<T, F> call, const T* __restrict__ x, T* __restrict__ out) {
    DeviceBlock block;
    expand_functions(block, call, x, out);
}

template <class T, class F>
__global__ void __launch_bounds__(kMostThreads)
    basis_contract(const __grid_constant__ BasisCall<T, F> call, const T* __restrict__ grad, const T* __restrict__ x,
                   T* __restrict__ dx, T* __restrict__ parts) {
    __shared__ ContractShared<T> shared;
    DeviceBlock block;
    contract_functions(block, call, shared, grad, x, dx, parts);
}

template <class T>
__global__ void __launch_bounds__(kMostThreads)
    basis_sums(std::uint64_t size, std::uint64_t chunks, const T* __restrict__ parts, T* __restrict__ of_first,
               T* __restrict__ of_second) {
    DeviceBlock block;
    add_parts(block, size, chunks, parts, of_first, of_second);
}

template <class T>
__global__ void __launch_bounds__(kMostThreads)
    series_expand(const __grid_constant__ SeriesCall call, const T* __restrict__ x, T* __restrict__ out) {
    DeviceBlock block;
    expand_series(block, call, x, out);
}

template <class T>
__global__ void __launch_bounds__(kMostThreads)
    series_contract(const __grid_constant__ SeriesCall call, const T* __restrict__ grad, const T* __restrict__ x,
                    T* __restrict__ dx) {
    DeviceBlock block;
    contract_series(block, call, grad, x, dx);
}

template <class T>
kan::BasesBlocks blocks_of(const kan::Basis<T>& basis, std::size_t rows, int device) {
    return kan::bases_blocks(rows, basis.features, static_cast<std::uint32_t>(basis.functions),
                             !kan::is_series(basis.function), cuda::multiprocessors(device));
}

// Calls work with the call of a family or of a combination.
template <class T, class Work>
void with_call(const kan::Basis<T>& b, const kan::BasesBlocks& blocks, Work work) {
    if (kan::is_combined(b.function)) {
        const CombinationOf<T> function{kan::activation_of(b.function), kan::combination_of(b.function)};
        work(BasisCall<T, CombinationOf<T>>{blocks, function, b.centre, b.scale});
    } else {
        work(BasisCall<T, FamilyOf<T>>{blocks, {b.function}, b.centre, b.scale});
    }
}

}  // namespace
}  // namespace gpu

namespace kan::cuda {

namespace kernels = fourfold::gpu;

template <class T>
void Functions<T>::expand(const Basis<T>& basis, const T* x, T* out, std::size_t rows, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const auto stream = static_cast<cudaStream_t>(queue.stream);
    const BasesBlocks blocks = kernels::blocks_of(basis, rows, queue.device);
    const auto count = static_cast<unsigned>(blocks.count(false));
    if (is_series(basis.function)) {
        const kernels::SeriesCall call{blocks, basis.function == Function::fourier};
        kernels::series_expand<<<count, blocks.threads(), 0, stream>>>(call, x, out);
    } else {
        kernels::with_call(basis, blocks, [&](const auto& call) {
            kernels::basis_expand<<<count, blocks.threads(), 0, stream>>>(call, x, out);
        });
    }
    fourfold::cuda::check(cudaGetLastError(), "launching the kernel of a basis");
}

template <class T>
std::size_t Functions<T>::workspace(const Basis<T>& basis, std::size_t rows, int device) {
    return kernels::blocks_of(basis, rows, device).chunks * 2 * basis.features *
           static_cast<std::size_t>(basis.functions);
}

template <class T>
void Functions<T>::contract(const Basis<T>& basis, const T* grad, const T* x, T* dx, T* dcentre, T* dscale,
                            std::size_t rows, T* workspace, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const auto stream = static_cast<cudaStream_t>(queue.stream);
    const BasesBlocks blocks = kernels::blocks_of(basis, rows, queue.device);
    const auto count = static_cast<unsigned>(blocks.count(true));
    if (is_series(basis.function)) {
        const kernels::SeriesCall call{blocks, basis.function == Function::fourier};
        kernels::series_contract<<<count, blocks.threads(), 0, stream>>>(call, grad, x, dx);
        fourfold::cuda::check(cudaGetLastError(), "launching the backward kernel of a series");
        return;
    }
    T* const parts = dcentre == nullptr ? nullptr : workspace;
    kernels::with_call(basis, blocks, [&](const auto& call) {
        kernels::basis_contract<<<count, blocks.threads(), 0, stream>>>(call, grad, x, dx, parts);
    });
    fourfold::cuda::check(cudaGetLastError(), "launching the backward kernel of a basis");
    if (parts == nullptr) return;
    const std::uint64_t size = basis.features * static_cast<std::uint64_t>(basis.functions);
    const auto of_sums = static_cast<unsigned>((2 * size + kernels::kMostThreads - 1) / kernels::kMostThreads);
    kernels::basis_sums<<<of_sums, kernels::kMostThreads, 0, stream>>>(size, blocks.chunks, parts, dcentre, dscale);
    fourfold::cuda::check(cudaGetLastError(), "launching the sums of a basis");
}

template struct Functions<float>;
template struct Functions<double>;

}  // namespace kan::cuda
}  // namespace fourfold
