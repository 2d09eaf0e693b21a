#include "pc/em_cuda.hpp"
#include "pc/em_gpu_counts.hpp"
#include "pc/em_gpu_passes.hpp"
#include "pc/em_gpu_schedule.hpp"
#include "pc/sampling_gpu.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::pc {
namespace gpu {
namespace {

// Blocks on a multiprocessor at once: what bounds the registers.
constexpr int kResident = 3;

__global__ void __launch_bounds__(kProductThreads, kResident) pc_em_up(const __grid_constant__ LevelCall call) {
    __shared__ ProductMemory shared;
    DeviceBlock block;
    em_up_block(block, call, shared);
}

__global__ void __launch_bounds__(kProductThreads, kResident) pc_em_down(const __grid_constant__ LevelCall call) {
    __shared__ ProductMemory shared;
    DeviceBlock block;
    em_down_block(block, call, shared);
}

__global__ void __launch_bounds__(kProductThreads, kResident)
    pc_em_edge_counts(const __grid_constant__ CountCall call) {
    __shared__ ProductMemory shared;
    DeviceBlock block;
    em_edge_counts_block(block, call, shared);
}

__global__ void __launch_bounds__(kCountThreads, 4) pc_em_leaf_counts(const __grid_constant__ CountCall call) {
    DeviceBlock block;
    em_leaf_counts_block(block, call);
}

__global__ void __launch_bounds__(kCountThreads, 4) pc_em_update(const __grid_constant__ UpdateCall call) {
    __shared__ UpdateMemory shared;
    DeviceBlock block;
    em_update_block(block, call, shared);
}

__global__ void __launch_bounds__(kDrawThreads) pc_draw_states(const __grid_constant__ DrawCall call) {
    DeviceBlock block;
    draw_states_block(block, call);
}

__global__ void __launch_bounds__(kDrawThreads) pc_draw_values(const __grid_constant__ DrawCall call) {
    DeviceBlock block;
    draw_values_block(block, call);
}

EmCall call_of(const cuda::Em& em, const cuda::EmImages& images) {
    const cuda::EmMemory& memory = em.memory;
    return {em_plan_at(em.shape, em.plan),
            {static_cast<float*>(memory.tables), static_cast<float*>(memory.flow), static_cast<float*>(memory.average),
             static_cast<double*>(memory.totals), static_cast<float*>(memory.likelihood),
             static_cast<float*>(memory.message), static_cast<float*>(memory.posterior),
             static_cast<float*>(memory.expected), static_cast<std::int32_t*>(memory.exponent),
             static_cast<double*>(memory.log_prob), memory.stride},
            {images.codes, images.code_bytes},
            {images.sorted, images.code_bytes},
            static_cast<const std::int64_t*>(images.order),
            images.images};
}

class OnStream {
public:
    explicit OnStream(Queue queue) : stream_(static_cast<cudaStream_t>(queue.stream)) {}

    void up(std::int64_t blocks, const LevelCall& call) const {
        pc_em_up<<<grid(blocks), kProductThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_up");
    }
    void down(std::int64_t blocks, const LevelCall& call) const {
        pc_em_down<<<grid(blocks), kProductThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_down");
    }
    void edge_counts(std::int64_t blocks, const CountCall& call) const {
        pc_em_edge_counts<<<grid(blocks), kProductThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_edge_counts");
    }
    void leaf_counts(std::int64_t blocks, const CountCall& call) const {
        pc_em_leaf_counts<<<grid(blocks), kCountThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_leaf_counts");
    }
    void update(std::int64_t blocks, const UpdateCall& call) const {
        pc_em_update<<<grid(blocks), kCountThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_update");
    }
    void draw_states(std::int64_t blocks, const DrawCall& call) const {
        pc_draw_states<<<grid(blocks), kDrawThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_draw_states");
    }
    void draw_values(std::int64_t blocks, const DrawCall& call) const {
        pc_draw_values<<<grid(blocks), kDrawThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_draw_values");
    }

private:
    static unsigned grid(std::int64_t blocks) { return static_cast<unsigned>(blocks); }

    cudaStream_t stream_;
};

EmSchedule<OnStream> schedule(const cuda::Em& em, const cuda::EmImages& images, Queue queue) {
    return {call_of(em, images), em.levels, OnStream(queue)};
}

}  // namespace
}  // namespace gpu

void cuda::em_log_prob(const Em& em, const EmImages& images, Queue queue) {
    if (images.images == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::schedule(em, images, queue).log_prob();
}

void cuda::em_step(const Em& em, const EmImages& images, const UpdateRule& rule, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::schedule(em, images, queue).step(rule);
}

void cuda::em_accumulate(const Em& em, const EmImages& images, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::schedule(em, images, queue).accumulate();
}

void cuda::em_finish(const Em& em, const UpdateRule& rule, double count, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::schedule(em, {nullptr, nullptr, nullptr, 4, 0}, queue).finish(rule, count);
}

void cuda::em_draw(const Em& em, const EmImages& images, std::int64_t repeats, void* uniforms, void* states,
                   void* values, Queue queue) {
    if (images.images * repeats == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::schedule(em, images, queue)
        .draw(repeats, static_cast<const double*>(uniforms), static_cast<std::int32_t*>(states),
              static_cast<std::int32_t*>(values));
}

}  // namespace fourfold::pc
