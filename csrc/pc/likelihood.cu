#include "pc/likelihood_cuda.hpp"
#include "pc/likelihood_gpu.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::pc {
namespace gpu {
namespace {

constexpr int kWarps = 4;
// Blocks on a multiprocessor at once that the warps' memory should leave room for.
constexpr std::size_t kResident = 2;

std::size_t memory_bytes(const UpProgram& program) {
    return kWarps * static_cast<std::size_t>(program.warp_floats) * sizeof(float);
}
std::int64_t blocks_of(std::int64_t images) { return (images + kWarps * kImages - 1) / (kWarps * kImages); }

__global__ void __launch_bounds__(kWarps* kThreadsOfWarp, 4)
    pc_log_prob(const __grid_constant__ LikelihoodCall call, float* scratch) {
    extern __shared__ __align__(16) unsigned char shared[];
    DeviceBlock block;
    likelihood_of_block(block, call,
                        scratch == nullptr
                            ? reinterpret_cast<float*>(shared)
                            : scratch + static_cast<std::int64_t>(blockIdx.x) * kWarps * call.program.warp_floats);
}

}  // namespace
}  // namespace gpu

std::size_t cuda::likelihood_scratch(const UpProgram& program, std::int64_t images, int device) {
    const std::size_t bytes = gpu::memory_bytes(program);
    if (gpu::kResident * bytes <= fourfold::cuda::shared_memory_of_block(device)) return 0;
    return static_cast<std::size_t>(gpu::blocks_of(images)) * bytes / sizeof(float);
}

void cuda::log_prob(const UpProgram& program, const void* codes, int code_bytes, std::int64_t images, void* scratch,
                    void* out, Queue queue) {
    if (images == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    const std::size_t bytes = scratch == nullptr ? gpu::memory_bytes(program) : 0;
    fourfold::cuda::check(
        cudaFuncSetAttribute(gpu::pc_log_prob, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "shared memory of pc_log_prob");
    const gpu::LikelihoodCall call{program, {const_cast<void*>(codes), code_bytes}, images, static_cast<double*>(out)};
    gpu::pc_log_prob<<<static_cast<unsigned>(gpu::blocks_of(images)), gpu::kWarps * gpu::kThreadsOfWarp, bytes,
                       static_cast<cudaStream_t>(queue.stream)>>>(call, static_cast<float*>(scratch));
    fourfold::cuda::check(cudaGetLastError(), "launching pc_log_prob");
}

}  // namespace fourfold::pc
