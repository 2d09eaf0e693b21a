// The CUDA runtime as every family uses it: errors as exceptions, the device of a call, what devices there are.
#pragma once

#include <cstddef>
#include <string>

namespace fourfold::cuda {

// Throws std::runtime_error with `what` and CUDA's words if `status`, a cudaError_t, is not success.
void check(int status, const char* what);

// Makes a device current in this thread for as long as it lives.
class OnDevice {
public:
    explicit OnDevice(int device);
    ~OnDevice();
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

private:
    int before_ = -1;
};

int multiprocessors(int device);

// Bytes of shared memory that a block of threads may ask for.
std::size_t shared_memory_of_block(int device);

// How many devices there are, 0 where there is no driver; then `why` says so in CUDA's words.
int device_count(std::string& why);

}  // namespace fourfold::cuda
