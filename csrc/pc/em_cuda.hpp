// Learning and sampling on a GPU. Pointers are of device memory; work is queued on the stream, and nothing waits for
// it. Capturable in a graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/em_gpu_plan.hpp"
#include "pc/passes.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::pc::cuda {

// See EmBuffers in em_gpu_passes.hpp; average and totals may be null where no call needs them.
struct EmMemory {
    void *tables, *flow, *average, *totals, *likelihood, *message, *posterior, *expected, *exponent, *log_prob;
    std::int64_t stride;
};

// codes[variables][images] of 1, 2 or 4 bytes, K where a value is missing; sorted and order: each row of codes sorted,
// and which images they are, int64. Both are null where only log p is computed, or draws.
struct EmImages {
    void *codes, *sorted, *order;
    int code_bytes;
    std::int64_t images;  // at most EmMemory::stride
};

struct Em {
    EmShape shape;
    std::vector<std::int32_t> levels;
    const void* plan;
    EmMemory memory;
};

// log p of the images, and their likelihoods.
void em_log_prob(const Em& em, const EmImages& images, Queue queue);
// Trainer::step, accumulate and finish.
void em_step(const Em& em, const EmImages& images, const UpdateRule& rule, Queue queue);
void em_accumulate(const Em& em, const EmImages& images, Queue queue);
void em_finish(const Em& em, const UpdateRule& rule, double count, Queue queue);

// After em_log_prob of the same images. uniforms: double[nodes, then variables][images][repeats]; states
// int32[nodes][images][repeats]; values int32[variables][images][repeats], unset where log p is -inf.
void em_draw(const Em& em, const EmImages& images, std::int64_t repeats, void* uniforms, void* states, void* values,
             Queue queue);

}  // namespace fourfold::pc::cuda
