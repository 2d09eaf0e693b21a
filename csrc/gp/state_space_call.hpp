// What a call of the GPU's state-space kernels is about, and how its memory is laid out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/host_device.hpp"

namespace fourfold::gp {

inline constexpr int kGpuState = 4;  // the most numbers of a state

struct GpuModel {
    int components, size;  // of the state
    int order[kGpuState];
    double rate[kGpuState], variance[kGpuState];
    double observes[kGpuState];
    double initial[kGpuState * kGpuState];  // covariance at the first time, size x size
};

// Four matrices of the step to each time: transition, noise, and what a rate's growth by one adds to both.
enum StepMatrix : int { kTransition = 0, kNoise = 1, kTransitionByRate = 2, kNoiseByRate = 3 };
constexpr FOURFOLD_HOST_DEVICE std::size_t numbers_of_step(int size) {
    return 4 * static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
}
// A mean, and the upper triangle of a covariance.
constexpr FOURFOLD_HOST_DEVICE std::size_t numbers_of_state(int size) {
    return static_cast<std::size_t>(size + size * (size + 1) / 2);
}
constexpr FOURFOLD_HOST_DEVICE std::size_t segments(std::size_t count, int segment) {
    return (count + static_cast<std::size_t>(segment) - 1) / static_cast<std::size_t>(segment);
}

// Series share times, noise and model.
struct GpuSeries {
    std::size_t series, count;     // count: of times
    int segment;                   // times between those of which the state is kept
    const double* steps;           // [count][4][size size]
    const double* value;           // [count][series], read where observed
    const double* noise;           // [count]
    const std::uint8_t* observed;  // [count][series]
    double* kept;                  // [segments + segment][numbers_of_state][series]
    int* reached;                  // [series] `count`, or where the predicted variance is not positive and finite
    double* predicted;             // [series] that variance, or 0
};

// Of a series that did not reach the end: NaN.
struct GpuLikelihood {
    double* log_likelihood;   // [series]
    double* by_noise;         // [series] d log_likelihood / d noise, the same for all times
    double* by_rate;          // [size][series]: a component's is the sum over its rows of the state
    double* by_log_variance;  // [size][series]: d log_likelihood / d log s2, likewise
};
struct GpuPosterior {
    const std::int32_t* place;  // [count] row in mean and variance, or -1
    double *mean, *variance;    // [places][series]
};

}  // namespace fourfold::gp
