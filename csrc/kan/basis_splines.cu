#include "kan/bases_cuda.hpp"
#include "kan/spline_threads.hpp"
#include "support/cuda_device.hpp"

namespace fourfold {
namespace gpu {
namespace {

constexpr unsigned kMostThreads = kan::kMostWarps * kan::kFeaturesOfBlock;
// Blocks on a multiprocessor at once: so they may have 64 registers a thread, and keep all in them.
constexpr unsigned kResident = 4;

template <class T>
__global__ void __launch_bounds__(kMostThreads, kResident)
    spline_expand(const __grid_constant__ SplineCall<T> call, const T* __restrict__ x, T* __restrict__ out) {
    __shared__ SplineShared<T> shared;
    DeviceBlock block;
    expand_splines(block, call, shared, x, out);
}

template <class T>
__global__ void __launch_bounds__(kMostThreads, kResident)
    spline_contract(const __grid_constant__ SplineCall<T> call, const T* __restrict__ grad, const T* __restrict__ x,
                    T* __restrict__ dx) {
    __shared__ SplineShared<T> shared;
    DeviceBlock block;
    contract_splines(block, call, shared, grad, x, dx);
}

template <class T>
SplineCall<T> call_of(const kan::Spline<T>& spline, int derivative, std::size_t rows, int device) {
    const auto functions = static_cast<std::uint32_t>(spline.functions());
    return {kan::bases_blocks(rows, spline.features, functions, false, cuda::multiprocessors(device)), spline,
            derivative, Factors<T>(derivative)};
}

}  // namespace
}  // namespace gpu

namespace kan::cuda {

namespace kernels = fourfold::gpu;

template <class T>
void Splines<T>::expand(const Spline<T>& spline, int derivative, const T* x, T* out, std::size_t rows, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const auto call = kernels::call_of(spline, derivative, rows, queue.device);
    kernels::spline_expand<<<static_cast<unsigned>(call.blocks.count(false)), call.blocks.threads(), 0,
                             static_cast<cudaStream_t>(queue.stream)>>>(call, x, out);
    fourfold::cuda::check(cudaGetLastError(), "launching the kernel of B-splines");
}

template <class T>
void Splines<T>::contract(const Spline<T>& spline, int derivative, const T* grad, const T* x, T* dx, std::size_t rows,
                          Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const auto call = kernels::call_of(spline, derivative, rows, queue.device);
    kernels::spline_contract<<<static_cast<unsigned>(call.blocks.count(false)), call.blocks.threads(), 0,
                               static_cast<cudaStream_t>(queue.stream)>>>(call, grad, x, dx);
    fourfold::cuda::check(cudaGetLastError(), "launching the backward kernel of B-splines");
}

template struct Splines<float>;
template struct Splines<double>;

}  // namespace kan::cuda
}  // namespace fourfold
