#include <algorithm>
#include <cstddef>

#include "gp/covariance_cuda.hpp"
#include "gp/covariance_gpu.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::gp {
namespace gpu {
namespace {

constexpr unsigned kThreads = 128;
// Blocks of the pull-back on a multiprocessor, which bound the registers to 102: by itself the compiler spills.
constexpr int kResident = 5;

FOURFOLD_INLINE std::size_t place() {
#if defined(__CUDA_ARCH__)
    return blockIdx.x * std::size_t{kThreads} + threadIdx.x;
#else
    return 0;
#endif
}

template <int Top>
__global__ void __launch_bounds__(kThreads)
    covariance_jet(const __grid_constant__ GpuLeaf leaf, const __grid_constant__ GpuLags lags,
                   const __grid_constant__ Jet out, bool add) {
    if (place() < lags.n) evaluate_thread<Top>(leaf, lags, out, add, place());
}

template <int Top>
__global__ void __launch_bounds__(kThreads)
    covariance_product(const __grid_constant__ ConstJet a, const __grid_constant__ ConstJet b, std::size_t n,
                       const __grid_constant__ Jet out, bool add) {
    if (place() < n) product_thread<Top>(a, b, out, add, place());
}

template <int Top>
__global__ void __launch_bounds__(kThreads)
    covariance_product_pull_back(const __grid_constant__ ConstJet b, const __grid_constant__ ConstJet cotangent,
                                 std::size_t n, const __grid_constant__ Jet by_a) {
    if (place() < n) product_pull_back_thread<Top>(b, cotangent, by_a, place());
}

template <int Top>
__global__ void __launch_bounds__(kSumThreads, kResident)
    covariance_pull_back(const __grid_constant__ GpuLeaf leaf, const __grid_constant__ GpuLags lags,
                         const __grid_constant__ ConstJet cotangent, double* __restrict__ parts) {
    __shared__ SumsShared shared;
    DeviceBlock block;
    pull_back_block<Top>(block, shared, leaf, lags, cotangent, parts);
}

__global__ void __launch_bounds__(kSumThreads)
    covariance_sums(const __grid_constant__ GpuLeaf leaf, std::size_t chunks, const double* __restrict__ parts,
                    double* __restrict__ gradient, std::size_t stride) {
    __shared__ SumsShared shared;
    DeviceBlock block;
    sums_block(block, shared, leaf, chunks, parts, gradient, stride);
}

template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), std::size_t blocks, unsigned threads, Queue queue,
            const Arguments&... arguments) {
    kernel<<<static_cast<unsigned>(blocks), threads, 0, static_cast<cudaStream_t>(queue.stream)>>>(arguments...);
    fourfold::cuda::check(cudaGetLastError(), what);
}

constexpr std::size_t blocks_for(std::size_t lags) { return (lags + kThreads - 1) / kThreads; }

// Calls f.template operator()<Top>() for the smallest compiled Top (0, 2 or 4) that covers the jet's highest order.
template <class J, class F>
void with_top(const J& jet, F f) {
    int top = kOrders - 1;
    while (top > 0 && jet.order[top] == nullptr) --top;
    if (top == 0) return f.template operator()<0>();
    if (top <= 2) return f.template operator()<2>();
    return f.template operator()<4>();
}

// Up to kGpuComponents components of a leaf from `first` on.
GpuLeaf some_of(const Leaf& leaf, std::size_t first) {
    GpuLeaf some{};
    some.form = leaf.form;
    const std::size_t count = std::min<std::size_t>(leaf.components - first, kGpuComponents);
    some.components = static_cast<int>(count);
    std::copy_n(leaf.weight + first, count, some.weight);
    std::copy_n(leaf.scale + first, count, some.scale);
    std::copy_n(leaf.third + first, count, some.third);
    return some;
}

}  // namespace
}  // namespace gpu

void cuda::evaluate(const Leaf& leaf, const GpuLags& lags, const Jet& out, bool add, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_top(out, [&]<int Top>() {
        for (std::size_t first = 0; first < leaf.components; first += kGpuComponents) {
            gpu::launch("launching covariance_jet", gpu::covariance_jet<Top>, gpu::blocks_for(lags.n), gpu::kThreads,
                        queue, gpu::some_of(leaf, first), lags, out, add || first > 0);
        }
    });
}

void cuda::multiply(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out, bool add, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_top(out, [&]<int Top>() {
        gpu::launch("launching covariance_product", gpu::covariance_product<Top>, gpu::blocks_for(n), gpu::kThreads,
                    queue, a, b, n, out, add);
    });
}

void cuda::multiply_pull_back(const ConstJet& b, const ConstJet& cotangent, std::size_t n, const Jet& by_a,
                              Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::with_top(cotangent, [&]<int Top>() {
        gpu::launch("launching covariance_product_pull_back", gpu::covariance_product_pull_back<Top>,
                    gpu::blocks_for(n), gpu::kThreads, queue, b, cotangent, n, by_a);
    });
}

std::size_t cuda::pull_back_parts(std::size_t components, std::size_t lags) {
    return 3 * std::min<std::size_t>(components, kGpuComponents) * chunks_of(lags);
}

void cuda::pull_back(const Leaf& leaf, const GpuLags& lags, const ConstJet& cotangent, double* gradient, double* parts,
                     Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const std::size_t chunks = chunks_of(lags.n);
    for (std::size_t first = 0; first < leaf.components; first += kGpuComponents) {
        const GpuLeaf some = gpu::some_of(leaf, first);
        const std::size_t components = static_cast<std::size_t>(some.components);
        gpu::with_top(cotangent, [&]<int Top>() {
            gpu::launch("launching covariance_pull_back", gpu::covariance_pull_back<Top>, chunks * components,
                        kSumThreads, queue, some, lags, cotangent, parts);
        });
        gpu::launch("launching covariance_sums", gpu::covariance_sums, components, kSumThreads, queue, some, chunks,
                    static_cast<const double*>(parts), gradient + first, leaf.components);
    }
}

}  // namespace fourfold::gp
