// The GPU twin of state_space.hpp, for batches of series. Pointers are of device memory; work is queued on the stream,
// and nothing waits for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gp/state_space_call.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::gp::cuda {

// Throws std::invalid_argument if the state has more than kGpuState numbers.
GpuModel gpu_model(const std::vector<int>& order, const std::vector<double>& rate, const std::vector<double>& variance);

// Doubles of scratch.
std::size_t state_space_scratch(const GpuModel& model, std::size_t series, std::size_t count);

// all.segment, steps and kept are set here, in `scratch`. Both throw std::runtime_error with CUDA's words.
void state_space_likelihood(const GpuModel& model, GpuSeries all, const double* time, const GpuLikelihood& out,
                            double* scratch, Queue queue);
void state_space_posterior(const GpuModel& model, GpuSeries all, const double* time, const GpuPosterior& out,
                           double* scratch, Queue queue);

}  // namespace fourfold::gp::cuda
