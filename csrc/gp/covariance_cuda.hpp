// The GPU twins of CovarianceKernels (covariance.hpp). Pointers are of device memory, those of a leaf's parameters
// excepted; work is queued on the stream, and nothing waits for it. n > 0. All throw std::runtime_error with CUDA's
// words.
#pragma once

#include <cstddef>

#include "gp/covariance_call.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::gp::cuda {

// With `add`, added to what is there.
void evaluate(const Leaf& leaf, const GpuLags& lags, const Jet& out, bool add, Queue queue);
void multiply(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out, bool add, Queue queue);
void multiply_pull_back(const ConstJet& b, const ConstJet& cotangent, std::size_t n, const Jet& by_a, Queue queue);

// gradient[3][components], as CovarianceKernels::pull_back has it. parts: pull_back_parts elements.
std::size_t pull_back_parts(std::size_t components, std::size_t lags);
void pull_back(const Leaf& leaf, const GpuLags& lags, const ConstJet& cotangent, double* gradient, double* parts,
               Queue queue);

}  // namespace fourfold::gp::cuda
