#include <algorithm>

#include "pc/codec_cuda.hpp"
#include "pc/codec_gpu.hpp"
#include "support/cuda_device.hpp"

namespace fourfold::pc {
namespace gpu {
namespace {

constexpr int kEncodingWarps = 4;
// Blocks on a multiprocessor at once that the lanes' memory should leave room for.
constexpr std::size_t kResident = 2;
// Encoding: enough blocks that every multiprocessor is full, whatever it holds at once.
constexpr std::int64_t kBlocksPerMultiprocessor = 16;

// Shared memory of a block: the lanes, the checksum's table, and behind them, if `scratch` is null, the lanes' memory.
FOURFOLD_HOST_DEVICE constexpr std::size_t fixed_bytes(int warps) {
    return (static_cast<std::size_t>(warps) * sizeof(Lane) + kBytes * sizeof(std::uint32_t) + 15) / 16 * 16;
}
std::size_t lane_bytes(const CodecProgram& program, int warps) {
    return static_cast<std::size_t>(warps) * static_cast<std::size_t>(program.lane_floats) * sizeof(float);
}
bool fits(const CodecProgram& program, int warps, int device) {
    return kResident * (fixed_bytes(warps) + lane_bytes(program, warps)) <=
           fourfold::cuda::shared_memory_of_block(device);
}

struct Parts {
    Lane* lanes;
    std::uint32_t* crc;
    float* memory;
};
__device__ Parts parts_of(unsigned char* shared, float* scratch, const CodecProgram& program) {
    const unsigned warps = blockDim.x / kThreadsOfWarp;
    auto* lanes = reinterpret_cast<Lane*>(shared);
    return {lanes, reinterpret_cast<std::uint32_t*>(lanes + warps),
            scratch == nullptr ? reinterpret_cast<float*>(shared + fixed_bytes(static_cast<int>(warps)))
                               : scratch + static_cast<std::int64_t>(blockIdx.x) * warps * program.lane_floats};
}

__global__ void __launch_bounds__(kEncodingWarps* kThreadsOfWarp, 5)
    pc_intervals(const __grid_constant__ IntervalsCall call, float* scratch) {
    extern __shared__ __align__(16) unsigned char shared[];
    const Parts parts = parts_of(shared, scratch, call.program);
    DeviceBlock block;
    intervals_of_block(block, call, parts.lanes, parts.memory);
}

__global__ void __launch_bounds__(kThreadsOfWarp) pc_put(const __grid_constant__ PutCall call) {
    __shared__ std::uint32_t crc[kBytes];
    __shared__ PutLane lanes[kLanes];
    DeviceBlock block;
    put_block(block, call, crc, lanes);
}

__global__ void __launch_bounds__(kLanes* kThreadsOfWarp, 1)
    pc_decode(const __grid_constant__ DecodeCall call, float* scratch) {
    extern __shared__ __align__(16) unsigned char shared[];
    const Parts parts = parts_of(shared, scratch, call.program);
    DeviceBlock block;
    decode_block(block, call, parts.crc, parts.lanes, parts.memory);
}

unsigned encoding_blocks(std::int64_t rows, int device) {
    const std::int64_t all = (rows + kEncodingWarps - 1) / kEncodingWarps;
    return static_cast<unsigned>(
        std::min<std::int64_t>(all, kBlocksPerMultiprocessor * fourfold::cuda::multiprocessors(device)));
}

// The bytes of shared memory of a launch, which the kernel is allowed to have.
template <class Kernel>
std::size_t allowed_bytes(Kernel kernel, const CodecProgram& program, int warps, const void* scratch) {
    const std::size_t bytes = fixed_bytes(warps) + (scratch == nullptr ? lane_bytes(program, warps) : 0);
    fourfold::cuda::check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "shared memory of a kernel of the codec");
    return bytes;
}

}  // namespace
}  // namespace gpu

std::size_t cuda::encode_scratch(const CodecProgram& program, std::int64_t rows, int device) {
    if (gpu::fits(program, gpu::kEncodingWarps, device)) return 0;
    return gpu::encoding_blocks(rows, device) * gpu::lane_bytes(program, gpu::kEncodingWarps) / sizeof(float);
}

std::size_t cuda::decode_scratch(const CodecProgram& program, std::int64_t blocks, int streams, int device) {
    if (gpu::fits(program, streams, device)) return 0;
    return static_cast<std::size_t>(blocks) * gpu::lane_bytes(program, streams) / sizeof(float);
}

void cuda::encode(const CodecProgram& program, const void* cells, int cell_bytes, std::int64_t rows, const void* blocks,
                  std::int64_t count, void* intervals, void* bad, void* scratch, void* out, void* length, void* status,
                  Queue queue) {
    if (count == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    const auto stream = static_cast<cudaStream_t>(queue.stream);
    const Cells rows_of_cells{const_cast<void*>(cells), cell_bytes};
    const unsigned grid = gpu::encoding_blocks(rows, queue.device);
    const std::size_t bytes = gpu::allowed_bytes(gpu::pc_intervals, program, gpu::kEncodingWarps, scratch);
    const gpu::IntervalsCall first{program,
                                   rows_of_cells,
                                   rows,
                                   static_cast<std::int64_t>(grid) * gpu::kEncodingWarps,
                                   static_cast<Interval*>(intervals),
                                   static_cast<std::int32_t*>(bad)};
    gpu::pc_intervals<<<grid, gpu::kEncodingWarps * gpu::kThreadsOfWarp, bytes, stream>>>(first,
                                                                                          static_cast<float*>(scratch));
    fourfold::cuda::check(cudaGetLastError(), "launching pc_intervals");
    const gpu::PutCall second{program,
                              rows_of_cells,
                              static_cast<const gpu::CodedBlock*>(blocks),
                              first.intervals,
                              first.bad,
                              static_cast<std::uint8_t*>(out),
                              static_cast<std::int64_t*>(length),
                              static_cast<BlockStatus*>(status)};
    gpu::pc_put<<<static_cast<unsigned>(count), gpu::kThreadsOfWarp, 0, stream>>>(second);
    fourfold::cuda::check(cudaGetLastError(), "launching pc_put");
}

void cuda::decode(const CodecProgram& program, const void* in, const void* blocks, std::int64_t count, int streams,
                  void* cells, int cell_bytes, void* scratch, void* status, Queue queue) {
    if (count == 0) return;
    const fourfold::cuda::OnDevice current(queue.device);
    const std::size_t bytes = gpu::allowed_bytes(gpu::pc_decode, program, streams, scratch);
    const gpu::DecodeCall call{program,
                               {cells, cell_bytes},
                               static_cast<const gpu::CodedBlock*>(blocks),
                               static_cast<const std::uint8_t*>(in),
                               static_cast<BlockStatus*>(status)};
    gpu::pc_decode<<<static_cast<unsigned>(count), static_cast<unsigned>(streams) * gpu::kThreadsOfWarp, bytes,
                     static_cast<cudaStream_t>(queue.stream)>>>(call, static_cast<float*>(scratch));
    fourfold::cuda::check(cudaGetLastError(), "launching pc_decode");
}

}  // namespace fourfold::pc
