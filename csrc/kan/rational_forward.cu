#include "kan/rational_launch.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::kan {
namespace gpu {
namespace {

template <class S, int V, bool Absolute, int M, int N>
__global__ void __launch_bounds__(kLanes* kWarps, resident<typename ComputeOf<S>::type, M>())
    rational_forward(const __grid_constant__ RationalCall<typename ComputeOf<S>::type> call, const S* __restrict__ x,
                     S* __restrict__ out) {
    forward_thread<S, V, Absolute, M, N>(call, blockIdx.x, threadIdx.y, threadIdx.x, x, out);
}

}  // namespace
}  // namespace gpu

void cuda::rational_forward(const RationalShape& shape, const void* x, const void* numerator, const void* denominator,
                            void* out, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const int multiprocessors = fourfold::cuda::multiprocessors(queue.device);
    const std::uint32_t elements = gpu::aligned(x) && gpu::aligned(out) ? elements_of_column(shape) : 1;
    gpu::with_storage(shape.storage, [&]<class Element>() {
        gpu::with_kernel<Element>(shape, elements, [&]<class S, int V, bool Absolute, int M, int N>() {
            using T = typename gpu::ComputeOf<S>::type;
            const auto call = gpu::make_call<T>(shape, V, multiprocessors, numerator, denominator);
            gpu::rational_forward<S, V, Absolute, M, N>
                <<<static_cast<unsigned>(call.blocks.count()), dim3(kLanes, kWarps), 0,
                   static_cast<cudaStream_t>(queue.stream)>>>(call, static_cast<const S*>(x), static_cast<S*>(out));
        });
    });
    fourfold::cuda::check(cudaGetLastError(), "launching rational_forward");
}

}  // namespace fourfold::kan
