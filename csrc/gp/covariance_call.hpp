// What calls of the GPU's covariance functions are about; see covariance.hpp.
#pragma once

#include <cstddef>

#include "gp/covariance.hpp"
#include "support/host_device.hpp"

namespace fourfold::gp {

inline constexpr int kGpuComponents = 64;  // of a leaf in one launch, as arguments of the kernel
inline constexpr unsigned kSumThreads = 128;
inline constexpr std::size_t kLagsOfBlock = 2048;

struct GpuLeaf {
    Form form;
    int components;
    double weight[kGpuComponents], scale[kGpuComponents], third[kGpuComponents];
};

// The lags x[n], or x[n / columns] - y[columns] in C order.
struct GpuLags {
    const double *x, *y;
    std::size_t columns, n;
};

constexpr FOURFOLD_HOST_DEVICE std::size_t chunks_of(std::size_t lags) {
    return (lags + kLagsOfBlock - 1) / kLagsOfBlock;
}

struct SumsShared {
    double all[3][kSumThreads], some[3][32], few[3][8];
};

}  // namespace fourfold::gp
