#include <cmath>
#include <cstddef>
#include <stdexcept>

#include "gp/state_space_cuda.hpp"
#include "gp/state_space_gpu.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::gp {
namespace gpu {
namespace {

// Threads share nothing: small blocks spread few series over all multiprocessors.
constexpr unsigned kThreads = 32;
// Blocks on a multiprocessor, which bound the registers: 128, or all 255. By itself the compiler wants more, and
// spills.
template <int D>
constexpr int kResident = D < 4 ? 16 : 8;

__global__ void __launch_bounds__(kThreads)
    state_space_steps(const __grid_constant__ GpuModel model, const double* __restrict__ time, std::size_t count,
                      double* __restrict__ steps) {
    const std::size_t t = blockIdx.x * std::size_t{kThreads} + threadIdx.x;
    if (t < count) make_step(model, time, t, steps);
}

template <int D>
__global__ void __launch_bounds__(kThreads, kResident<D>)
    state_space_likelihood(const __grid_constant__ GpuModel model, const __grid_constant__ GpuSeries all,
                           const __grid_constant__ GpuLikelihood out) {
    const std::size_t series = blockIdx.x * std::size_t{kThreads} + threadIdx.x;
    if (series < all.series) likelihood_of<D>(model, all, series, out);
}

template <int D>
__global__ void __launch_bounds__(kThreads, kResident<D>)
    state_space_posterior(const __grid_constant__ GpuModel model, const __grid_constant__ GpuSeries all,
                          const __grid_constant__ GpuPosterior out) {
    const std::size_t series = blockIdx.x * std::size_t{kThreads} + threadIdx.x;
    if (series < all.series) posterior_of<D>(model, all, series, out);
}

template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), std::size_t threads, Queue queue,
            const Arguments&... arguments) {
    if (threads == 0) return;
    kernel<<<static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0,
             static_cast<cudaStream_t>(queue.stream)>>>(arguments...);
    fourfold::cuda::check(cudaGetLastError(), what);
}

// As many states are kept between segments as in one.
int segment_of(std::size_t count) {
    return count == 0 ? 1 : static_cast<int>(std::ceil(std::sqrt(static_cast<double>(count))));
}

// Sets what the caller left to us, and makes the steps.
void prepare(const GpuModel& model, GpuSeries& all, const double* time, double* scratch, Queue queue) {
    all.segment = segment_of(all.count);
    all.steps = scratch;
    all.kept = scratch + all.count * numbers_of_step(model.size);
    launch("launching state_space_steps", state_space_steps, all.count, queue, model, time, all.count, scratch);
}

// Calls f.template operator()<D>() for the size of the model's state.
template <class F>
void with_size(const GpuModel& model, F f) {
    switch (model.size) {
        case 1: return f.template operator()<1>();
        case 2: return f.template operator()<2>();
        case 3: return f.template operator()<3>();
        default: return f.template operator()<4>();
    }
}

}  // namespace
}  // namespace gpu

GpuModel cuda::gpu_model(const std::vector<int>& order, const std::vector<double>& rate,
                         const std::vector<double>& variance) {
    GpuModel model{};
    model.components = static_cast<int>(order.size());
    for (const int p : order) model.size += p;
    if (model.size < 1 || model.size > kGpuState || rate.size() != order.size() || variance.size() != order.size()) {
        throw std::invalid_argument("a model has a state of 1 to 4 numbers, and as many rates and variances as orders");
    }
    int start = 0;
    for (int c = 0; c < model.components; ++c) {
        const int p = order[c];
        if (p < 1 || p > 3) throw std::invalid_argument("the order of a component is 1, 2 or 3");
        model.order[c] = p;
        model.rate[c] = rate[c];
        model.variance[c] = variance[c];
        model.observes[start] = 1;
        for (int k = 0; k < p * p; ++k) {
            model.initial[(start + k / p) * model.size + start + k % p] = variance[c] * stationary_covariance(p)[k];
        }
        start += p;
    }
    return model;
}

std::size_t cuda::state_space_scratch(const GpuModel& model, std::size_t series, std::size_t count) {
    const int segment = gpu::segment_of(count);
    const std::size_t rows = segments(count, segment) + static_cast<std::size_t>(segment);
    return count * numbers_of_step(model.size) + rows * numbers_of_state(model.size) * series;
}

void cuda::state_space_likelihood(const GpuModel& model, GpuSeries all, const double* time, const GpuLikelihood& out,
                                  double* scratch, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::prepare(model, all, time, scratch, queue);
    gpu::with_size(model, [&]<int D>() {
        gpu::launch("launching state_space_likelihood", gpu::state_space_likelihood<D>, all.series, queue, model, all,
                    out);
    });
}

void cuda::state_space_posterior(const GpuModel& model, GpuSeries all, const double* time, const GpuPosterior& out,
                                 double* scratch, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::prepare(model, all, time, scratch, queue);
    gpu::with_size(model, [&]<int D>() {
        gpu::launch("launching state_space_posterior", gpu::state_space_posterior<D>, all.series, queue, model, all,
                    out);
    });
}

}  // namespace fourfold::gp
