// Where a call's work on a GPU goes.
#pragma once

namespace fourfold {

struct Queue {
    int device;
    void* stream;  // a cudaStream_t
};

}  // namespace fourfold
