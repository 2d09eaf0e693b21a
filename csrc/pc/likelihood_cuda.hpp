// The GPU twin of Model::log_prob. Pointers are of device memory; work is queued on the stream, and nothing waits for
// it. Capturable in a graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pc/likelihood_gpu_program.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::pc::cuda {

// Floats of scratch, at a multiple of 16 bytes: none where the warps' memory fits into that of a multiprocessor.
std::size_t likelihood_scratch(const UpProgram& program, std::int64_t images, int device);

// codes[images][variables] of 1, 2 or 4 bytes, K where a value is missing; out: double[images].
void log_prob(const UpProgram& program, const void* codes, int code_bytes, std::int64_t images, void* scratch,
              void* out, Queue queue);

}  // namespace fourfold::pc::cuda
