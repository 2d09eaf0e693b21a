#include "support/cuda_device.hpp"

#include <cuda_runtime_api.h>

#include <stdexcept>

namespace fourfold::cuda {

void check(int status, const char* what) {
    if (status == cudaSuccess) return;
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(static_cast<cudaError_t>(status)));
}

OnDevice::OnDevice(int device) {
    int current = 0;
    check(cudaGetDevice(&current), "the current CUDA device");
    if (current == device) return;
    check(cudaSetDevice(device), "another CUDA device");
    before_ = current;
}

OnDevice::~OnDevice() {
    if (before_ >= 0) cudaSetDevice(before_);
}

int multiprocessors(int device) {
    int count = 0;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "the CUDA device's multiprocessors");
    return count;
}

std::size_t shared_memory_of_block(int device) {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "the CUDA device's shared memory");
    return static_cast<std::size_t>(bytes);
}

int device_count(std::string& why) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess) return count;
    cudaGetLastError();  // or the next launch would report it
    why = cudaGetErrorString(status);
    return 0;
}

}  // namespace fourfold::cuda
