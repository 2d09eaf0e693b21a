#include "pc/em_cuda.hpp"
#include "pc/em_gpu_counts.hpp"
#include "pc/em_gpu_passes.hpp"
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

// A family's launches on one stream.
class Launches {
public:
    Launches(const cuda::Em& em, const cuda::EmImages& images, Queue queue)
        : em_(em), call_(call_of(em, images)), stream_(static_cast<cudaStream_t>(queue.stream)) {}

    void up(bool posteriors) const {
        for (std::size_t level = em_.levels.size() - 1; level-- > 0;) {
            const LevelCall call = of_level(level, tiles(), posteriors, false, 0.0f);
            pc_em_up<<<blocks(level, call), kProductThreads, 0, stream_>>>(call);
        }
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_up");
    }

    // From the root's children on; with `expected` also of the root, and of no images too.
    void down(bool expected, float count) const {
        for (std::size_t level = 0; level + 1 < em_.levels.size(); ++level) {
            const std::int32_t images = level == 0 ? 0 : tiles();
            if (images == 0 && !expected) continue;
            const LevelCall call = of_level(level, images + (expected ? 1 : 0), images > 0, expected, count);
            pc_em_down<<<blocks(level, call), kProductThreads, 0, stream_>>>(call);
        }
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_down");
    }

    void counts(bool into_totals) const {
        const CountCall call{call_, into_totals};
        const EmShape& shape = em_.shape;
        if (shape.edge_jobs > 0) {
            pc_em_edge_counts<<<static_cast<unsigned>(shape.edge_jobs), kProductThreads, 0, stream_>>>(call);
        }
        pc_em_leaf_counts<<<static_cast<unsigned>(shape.leaf_jobs), kCountThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching the counts of EM");
    }

    void update(const UpdateRule& rule, float count, bool from_totals) const {
        const UpdateCall call{call_.plan, call_.buffers, rule, count, from_totals};
        pc_em_update<<<static_cast<unsigned>(em_.shape.update_jobs), kCountThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching pc_em_update");
    }

    void draw(std::int64_t repeats, void* uniforms, void* states, void* values) const {
        const DrawCall call{call_, repeats, static_cast<const double*>(uniforms), static_cast<std::int32_t*>(states),
                            static_cast<std::int32_t*>(values)};
        const std::int64_t of_variable = (call_.images * repeats + kDrawThreads - 1) / kDrawThreads;
        pc_draw_states<<<static_cast<unsigned>(of_variable), kDrawThreads, 0, stream_>>>(call);
        pc_draw_values<<<static_cast<unsigned>(of_variable * em_.shape.variables), kDrawThreads, 0, stream_>>>(call);
        fourfold::cuda::check(cudaGetLastError(), "launching the draws");
    }

private:
    std::int32_t tiles() const { return static_cast<std::int32_t>(tiles_of(call_.images)); }
    LevelCall of_level(std::size_t level, std::int32_t blocks, bool posteriors, bool expected, float count) const {
        return {call_, em_.levels[level], blocks, posteriors, expected, count};
    }
    unsigned blocks(std::size_t level, const LevelCall& call) const {
        return static_cast<unsigned>(em_.levels[level + 1] - em_.levels[level]) * static_cast<unsigned>(call.blocks);
    }

    const cuda::Em& em_;
    EmCall call_;
    cudaStream_t stream_;
};

}  // namespace
}  // namespace gpu

void cuda::em_log_prob(const Em& em, const EmImages& images, Queue queue) {
    if (images.images == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::Launches(em, images, queue).up(false);
}

void cuda::em_step(const Em& em, const EmImages& images, const UpdateRule& rule, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const gpu::Launches launches(em, images, queue);
    const auto count = static_cast<float>(images.images);
    launches.up(true);
    launches.down(rule.rescaled, count);
    launches.counts(false);
    launches.update(rule, count, false);
}

void cuda::em_accumulate(const Em& em, const EmImages& images, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const gpu::Launches launches(em, images, queue);
    launches.up(true);
    launches.down(false, 0.0f);
    launches.counts(true);
}

void cuda::em_finish(const Em& em, const UpdateRule& rule, double count, Queue queue) {
    const fourfold::cuda::OnDevice current(queue.device);
    const gpu::Launches launches(em, {nullptr, nullptr, nullptr, 4, 0}, queue);
    if (rule.rescaled) launches.down(true, static_cast<float>(count));
    launches.update(rule, static_cast<float>(count), true);
}

void cuda::em_draw(const Em& em, const EmImages& images, std::int64_t repeats, void* uniforms, void* states,
                   void* values, Queue queue) {
    if (images.images * repeats == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    gpu::Launches(em, images, queue).draw(repeats, uniforms, states, values);
}

}  // namespace fourfold::pc
