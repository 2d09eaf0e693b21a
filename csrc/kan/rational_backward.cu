#include <algorithm>
#include <bit>

#include "kan/rational_launch.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::kan {
namespace gpu {
namespace {

template <class S, int V, bool Absolute, int M, int N>
__global__ void __launch_bounds__(kLanes* kWarps, resident<typename ComputeOf<S>::type, M>())
    rational_backward(const __grid_constant__ RationalCall<typename ComputeOf<S>::type> call, const S* __restrict__ g,
                      const S* __restrict__ x, S* __restrict__ dx, double* __restrict__ parts,
                      std::uint32_t* __restrict__ far) {
    using T = typename ComputeOf<S>::type;
    constexpr int largest = (M > N ? M : N) + 1;
    __shared__ BackwardShared<T, largest> shared;
    const std::uint32_t lane = threadIdx.x, warp = threadIdx.y;
    BackwardSums<T, M, N> sums;
    backward_thread<S, V, Absolute, M, N>(call, blockIdx.x, warp, lane, g, x, dx, sums);

    double* part = parts + static_cast<std::uint64_t>(blockIdx.x) * static_cast<std::uint64_t>(call.terms()) * kLanes;
    share_sums(shared, warp, lane, sums.a);
    const int any_far = __syncthreads_or(sums.far);
    if (warp == 0 && lane == 0) far[blockIdx.x] = static_cast<std::uint32_t>(any_far);
    add_warps(shared, warp, lane, call.m + 1, part);
    __syncthreads();
    share_sums(shared, warp, lane, sums.c);
    __syncthreads();
    add_warps(shared, warp, lane, call.n + 1, part + (call.m + 1) * static_cast<int>(kLanes));
}

// As many blocks as the kernel before. Nearly always they end at once.
template <class S>
__global__ void __launch_bounds__(kLanes* kWarps, 1)
    rational_far(const __grid_constant__ RationalCall<typename ComputeOf<S>::type> call, const S* __restrict__ g,
                 const S* __restrict__ x, S* __restrict__ dx, double* __restrict__ parts,
                 const std::uint32_t* __restrict__ far) {
    if (far[blockIdx.x] == 0) return;
    __shared__ FarRanges ranges;
    find_far(call, blockIdx.x, threadIdx.y, threadIdx.x, x, ranges);
    __syncthreads();
    double* part = parts + static_cast<std::uint64_t>(blockIdx.x) * static_cast<std::uint64_t>(call.terms()) * kLanes;
    far_thread(call, blockIdx.x, threadIdx.y, threadIdx.x, ranges, g, x, dx, part);
}

template <class T>
__global__ void __launch_bounds__(1024)
    rational_coefficients(const __grid_constant__ RationalCall<T> call, const double* __restrict__ parts,
                          T* __restrict__ of_numerator, T* __restrict__ of_denominator) {
    __shared__ double sums[1024];
    const Coefficient wanted = coefficient(call, blockIdx.x);
    sums[threadIdx.x] = sum_of_thread(call, wanted, threadIdx.x, blockDim.x, parts);
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x > 0) return;
    (wanted.of_numerator ? of_numerator : of_denominator)[wanted.place] = gradient_of(call, wanted, sums[0]);
}

// About four partial sums a thread, and whole warps.
template <class T>
unsigned threads_for(const RationalCall<T>& call) {
    const bool shared = call.shared_numerator || call.shared_denominator;
    const std::uint64_t all = sum_places(call.blocks) * (shared ? call.blocks.groups : 1);
    return static_cast<unsigned>(std::clamp<std::uint64_t>(std::bit_ceil(all / 4 + 1), kLanes, 1024));
}

}  // namespace
}  // namespace gpu

std::size_t cuda::rational_workspace(const RationalShape& shape, int device) {
    const int multiprocessors = fourfold::cuda::multiprocessors(device);
    const auto terms = static_cast<std::size_t>(shape.m + 1 + shape.n + 1);
    std::size_t most = 0;
    // Which of both it will be depends on the addresses.
    for (std::uint32_t elements : {elements_of_column(shape), std::uint32_t{1}}) {
        most = std::max<std::size_t>(most, rational_blocks(shape, elements, multiprocessors).count());
    }
    return most * (terms * kLanes * sizeof(double) + sizeof(std::uint32_t));
}

void cuda::rational_backward(const RationalShape& shape, const void* gradient, const void* x, const void* numerator,
                             const void* denominator, void* x_gradient, void* numerator_gradient,
                             void* denominator_gradient, void* workspace, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const int multiprocessors = fourfold::cuda::multiprocessors(queue.device);
    const auto stream = static_cast<cudaStream_t>(queue.stream);
    const bool aligned = gpu::aligned(gradient) && gpu::aligned(x) && gpu::aligned(x_gradient);
    auto* parts = static_cast<double*>(workspace);
    gpu::with_storage(shape.storage, [&]<class Element>() {
        using T = typename gpu::ComputeOf<Element>::type;
        const std::uint32_t elements = aligned ? elements_of_column(shape) : 1;
        const auto call = gpu::make_call<T>(shape, elements, multiprocessors, numerator, denominator);
        // Behind the partial sums.
        auto* far = reinterpret_cast<std::uint32_t*>(parts + call.blocks.count() *
                                                                 static_cast<std::uint64_t>(call.terms()) * kLanes);
        gpu::with_kernel<Element>(shape, elements, [&]<class S, int V, bool Absolute, int M, int N>() {
            gpu::rational_backward<S, V, Absolute, M, N>
                <<<static_cast<unsigned>(call.blocks.count()), dim3(kLanes, kWarps), 0, stream>>>(
                    call, static_cast<const S*>(gradient), static_cast<const S*>(x), static_cast<S*>(x_gradient), parts,
                    far);
        });
        fourfold::cuda::check(cudaGetLastError(), "launching rational_backward");
        gpu::rational_far<Element><<<static_cast<unsigned>(call.blocks.count()), dim3(kLanes, kWarps), 0, stream>>>(
            call, static_cast<const Element*>(gradient), static_cast<const Element*>(x),
            static_cast<Element*>(x_gradient), parts, far);
        fourfold::cuda::check(cudaGetLastError(), "launching rational_far");
        gpu::rational_coefficients<T>
            <<<static_cast<unsigned>(gpu::coefficients_of(call)), gpu::threads_for(call), 0, stream>>>(
                call, parts, static_cast<T*>(numerator_gradient), static_cast<T*>(denominator_gradient));
    });
    fourfold::cuda::check(cudaGetLastError(), "launching rational_coefficients");
}

}  // namespace fourfold::kan
