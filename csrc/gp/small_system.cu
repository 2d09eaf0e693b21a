#include <algorithm>
#include <cstdint>

#include "gp/jacobi_block.hpp"
#include "gp/small_forward.hpp"
#include "gp/small_gradient.hpp"
#include "gp/small_system_cuda.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::gp {
namespace gpu {
namespace {

template <class T>
struct Factors {
    const T* first[kSmallModes];
};

template <class T>
__global__ void __launch_bounds__(kSmallThreads, 2)
    small_eigh(const __grid_constant__ SmallSystem system, const __grid_constant__ Factors<T> factors, double asymmetry,
               T* __restrict__ basis, T* __restrict__ values, int* __restrict__ status) {
    extern __shared__ double memory[];
    DeviceBlock block;
    std::int64_t item = blockIdx.x;
    int k = 0;
    while (item >= system.items[k]) item -= system.items[k++];
    const int n = system.sizes[k];
    // Values of a factor that all items share stand behind the first item's; spread_values copies them.
    const int trouble =
        eigh_block(block, reinterpret_cast<unsigned char*>(memory), n, factors.first[k] + item * n * n, asymmetry,
                   values + system.values[k] + item * n, basis + system.basis[k] + item * n * n);
    if (threadIdx.x == 0) status[blockIdx.x] = trouble;
    if (!system.shared(k)) return;
    const T* own = values + system.values[k];
    for (std::int64_t e = n + threadIdx.x; e < system.batch * n; e += blockDim.x)
        values[system.values[k] + e] = own[e % n];
}

__global__ void __launch_bounds__(kSmallThreads, 2)
    plain_eigh(int n, const double* __restrict__ a, double asymmetry, double* __restrict__ values,
               double* __restrict__ vectors, int* __restrict__ status) {
    extern __shared__ double memory[];
    DeviceBlock block;
    const std::size_t item = blockIdx.x, length = n;
    const int trouble = eigh_block(block, reinterpret_cast<unsigned char*>(memory), n, a + item * length * length,
                                   asymmetry, values + item * length, vectors + item * length * length);
    if (threadIdx.x == 0) status[blockIdx.x] = trouble;
}

template <class T>
__global__ void __launch_bounds__(kSmallThreads, 2)
    small_forward(const __grid_constant__ SmallSystem system, const T* __restrict__ basis, const T* __restrict__ values,
                  const T* __restrict__ noise, const T* __restrict__ y, T* __restrict__ x, T* __restrict__ quad,
                  T* __restrict__ logdet, int* __restrict__ status) {
    extern __shared__ double memory[];
    DeviceBlock block;
    const int trouble = forward_block(block, system, reinterpret_cast<unsigned char*>(memory), basis, values, noise, y,
                                      x, quad, logdet);
    if (threadIdx.x == 0) status[blockIdx.x] = trouble;
}

template <class T>
__global__ void __launch_bounds__(kSmallThreads, 2)
    small_gradient(const __grid_constant__ SmallSystem system, int square, const T* __restrict__ basis,
                   const T* __restrict__ values, const T* __restrict__ noise, const T* __restrict__ x,
                   const T* __restrict__ grad_quad, const T* __restrict__ grad_logdet, T* __restrict__ grad_factors,
                   T* __restrict__ grad_noise, T* __restrict__ middles) {
    extern __shared__ double memory[];
    DeviceBlock block;
    gradient_block(block, system, reinterpret_cast<unsigned char*>(memory), square, basis, values, noise, x, grad_quad,
                   grad_logdet, grad_factors, grad_noise, middles);
}

template <class T>
__global__ void __launch_bounds__(kSmallThreads, 2)
    small_shared_gradient(const __grid_constant__ SmallSystem system, const T* __restrict__ basis,
                          const T* __restrict__ middles, T* __restrict__ grad_factors) {
    extern __shared__ double memory[];
    DeviceBlock block;
    shared_block(block, system, reinterpret_cast<unsigned char*>(memory), basis, middles, grad_factors);
}

template <class T>
__global__ void __launch_bounds__(kSmallThreads, 2)
    small_data_gradient(const __grid_constant__ SmallSystem system, const T* __restrict__ basis,
                        const T* __restrict__ x, const T* __restrict__ grad_quad, T* __restrict__ grad_y) {
    extern __shared__ double memory[];
    DeviceBlock block;
    data_gradient_block(block, system, reinterpret_cast<unsigned char*>(memory), basis, x, grad_quad, grad_y);
}

int largest_size(const SmallSystem& system) { return *std::max_element(system.sizes, system.sizes + system.d); }

int shared_of_device(int device) {
    int bytes = 0;
    fourfold::cuda::check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
                          "the CUDA device's shared memory");
    return bytes;
}

template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), std::int64_t blocks, int threads, std::size_t shared,
            Queue queue, Arguments... arguments) {
    if (blocks == 0) return;
    // All that a block may have, and not what this one needs: another thread may be about to launch a larger one.
    fourfold::cuda::check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_of_device(queue.device)),
        "the shared memory of a block");
    kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared,
             static_cast<cudaStream_t>(queue.stream)>>>(arguments...);
    fourfold::cuda::check(cudaGetLastError(), what);
}

std::int64_t eigenproblems(const SmallSystem& system) {
    std::int64_t count = 0;
    for (int k = 0; k < system.d; ++k) count += system.items[k];
    return count;
}
std::int64_t right_hand_sides(const SmallSystem& system) {
    return system.batch * std::max<std::int64_t>(system.count, 1);
}

}  // namespace
}  // namespace gpu

bool cuda::eigh_fits(int n, int device) {
    return n <= kSmallSize && eigh_shared(n) <= static_cast<std::size_t>(gpu::shared_of_device(device));
}

bool cuda::fits(const SmallSystem& system, std::size_t element, int device) {
    return eigh_fits(gpu::largest_size(system), device) &&
           std::max(data_shared(system, element), gradient_shared(system, element)) <=
               static_cast<std::size_t>(gpu::shared_of_device(device));
}

std::size_t cuda::status_count(const SmallSystem& system) {
    return static_cast<std::size_t>(gpu::eigenproblems(system) + gpu::right_hand_sides(system));
}

std::size_t cuda::workspace_count(const SmallSystem& system) {
    std::int64_t squares = 0;
    bool any = false;
    for (int k = 0; k < system.d; ++k) {
        any = any || system.shared(k);
        squares = system.basis[k] + system.items[k] * system.sizes[k] * system.sizes[k];
    }
    return any ? static_cast<std::size_t>(system.batch * squares) : 0;
}

template <class T>
void cuda::spectral_forward(const SmallSystem& system, const T* const* factors, const T* noise, const T* y,
                            double asymmetry, T* basis, T* values, T* x, T* quad, T* logdet, int* status, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::Factors<T> list{};
    std::copy_n(factors, system.d, list.first);
    const int n = gpu::largest_size(system);
    const std::int64_t problems = gpu::eigenproblems(system);
    gpu::launch("launching small_eigh", gpu::small_eigh<T>, problems, eigh_threads(n), eigh_shared(n), queue, system,
                list, asymmetry, basis, values, status);
    gpu::launch("launching small_forward", gpu::small_forward<T>, gpu::right_hand_sides(system), kSmallThreads,
                data_shared(system, sizeof(T)), queue, system, basis, values, noise, y, x, quad, logdet,
                status + problems);
}

template <class T>
void cuda::spectral_backward(const SmallSystem& system, const T* basis, const T* values, const T* noise, const T* x,
                             const T* grad_quad, const T* grad_logdet, T* grad_factors, T* grad_noise, T* grad_y,
                             T* middles, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const int n = gpu::largest_size(system);
    gpu::launch("launching small_gradient", gpu::small_gradient<T>, system.batch * (system.d + 1), kSmallThreads,
                gradient_shared(system, sizeof(T)), queue, system, n * n, basis, values, noise, x, grad_quad,
                grad_logdet, grad_factors, grad_noise, middles);
    if (middles != nullptr) {
        gpu::launch("launching small_shared_gradient", gpu::small_shared_gradient<T>, system.d, kSmallThreads,
                    2 * static_cast<std::size_t>(n * n) * sizeof(T), queue, system, basis, middles, grad_factors);
    }
    if (grad_y != nullptr) {
        gpu::launch("launching small_data_gradient", gpu::small_data_gradient<T>, system.batch * system.count,
                    kSmallThreads, data_shared(system, sizeof(T)), queue, system, basis, x, grad_quad, grad_y);
    }
}

void cuda::eigh(std::size_t batch, int n, const double* a, double asymmetry, double* values, double* vectors,
                int* status, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::launch("launching plain_eigh", gpu::plain_eigh, static_cast<std::int64_t>(batch), eigh_threads(n),
                eigh_shared(n), queue, n, a, asymmetry, values, vectors, status);
}

#define FOURFOLD_GP_INSTANTIATE(T)                                                                                   \
    template void cuda::spectral_forward<T>(const SmallSystem&, const T* const*, const T*, const T*, double, T*, T*, \
                                            T*, T*, T*, int*, Queue);                                                \
    template void cuda::spectral_backward<T>(const SmallSystem&, const T*, const T*, const T*, const T*, const T*,   \
                                             const T*, T*, T*, T*, T*, Queue);
FOURFOLD_GP_INSTANTIATE(float)
FOURFOLD_GP_INSTANTIATE(double)

}  // namespace fourfold::gp
