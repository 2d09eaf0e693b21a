// The GPU twin of codec.hpp: the same blocks, the same bytes. Pointers are of device memory; work is queued on the
// stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pc/codec_gpu_program.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::pc::cuda {

// Floats of scratch, at a multiple of 16 bytes: none where the lanes' memory fits into that of a multiprocessor.
std::size_t encode_scratch(const CodecProgram& program, std::int64_t rows, int device);
std::size_t decode_scratch(const CodecProgram& program, std::int64_t blocks, int streams, int device);

// blocks: int64[count][5], first row, rows, streams (Codec::streams), and where the block's room begins and ends in
// `out`. Its payload goes to the end of the room; length[count], status[count] as in Codec::encode. intervals: 8 bytes
// for each of rows x variables; bad: int32[rows].
void encode(const CodecProgram& program, const void* cells, int cell_bytes, std::int64_t rows, const void* blocks,
            std::int64_t count, void* intervals, void* bad, void* scratch, void* out, void* length, void* status,
            Queue queue);

// streams: the most that a block has.
void decode(const CodecProgram& program, const void* in, const void* blocks, std::int64_t count, int streams,
            void* cells, int cell_bytes, void* scratch, void* status, Queue queue);

}  // namespace fourfold::pc::cuda
