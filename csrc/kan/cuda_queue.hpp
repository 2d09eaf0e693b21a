// Where a GPU call puts its work.
#pragma once

namespace fourfold::kan::cuda {

struct Queue {
    int device;
    void* stream;  // a cudaStream_t
};

}  // namespace fourfold::kan::cuda
