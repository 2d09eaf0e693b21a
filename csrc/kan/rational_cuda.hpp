// The GPU twin of rational.hpp: the same shapes, layouts and formulas. Pointers are of device memory; work is queued on
// the stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstddef>

#include "kan/rational.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::kan::cuda {

// Bytes that rational_backward needs, at a multiple of 8.
std::size_t rational_workspace(const RationalShape& shape, int device);

// Throws std::runtime_error with CUDA's words for what went wrong.
void rational_forward(const RationalShape& shape, const void* x, const void* numerator, const void* denominator,
                      void* out, Queue queue);
void rational_backward(const RationalShape& shape, const void* gradient, const void* x, const void* numerator,
                       const void* denominator, void* x_gradient, void* numerator_gradient, void* denominator_gradient,
                       void* workspace, Queue queue);

}  // namespace fourfold::kan::cuda
