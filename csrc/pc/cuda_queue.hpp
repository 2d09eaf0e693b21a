// Where the GPU's work of a call goes.
#pragma once

namespace fourfold::pc::cuda {

struct Queue {
    int device;
    void* stream;  // a cudaStream_t
};

}  // namespace fourfold::pc::cuda
