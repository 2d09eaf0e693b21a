// How torch 2.10 and later tell an extension, without being linked, where a tensor lies: the C functions behind the
// capsule torch.Tensor.__dlpack_c_exchange_api__ (DLPack 1.2 and later, whose layout is fixed within version 1).
#pragma once

#include <cstdint>

namespace fourfold::dlpack {

struct Device {
    std::int32_t type;  // 1: CPU
    std::int32_t index;
};

struct DataType {
    std::uint8_t code;  // 2: float, 4: bfloat16
    std::uint8_t bits;
    std::uint16_t lanes;
};

struct Tensor {
    void* data;
    Device device;
    std::int32_t dimensions;
    DataType dtype;
    const std::int64_t* shape;
    const std::int64_t* strides;  // in elements
    std::uint64_t byte_offset;

    bool is_contiguous() const {
        std::int64_t expected = 1;
        for (int d = dimensions - 1; d >= 0; --d) {
            if (shape[d] != 1 && strides[d] != expected) return false;
            expected *= shape[d];
        }
        return true;
    }
};

struct ExchangeApi {
    std::uint32_t major, minor;
    const ExchangeApi* earlier;
    void (*allocate)();
    void (*take)();
    void (*give)();
    // Describes a tensor for as long as it lives; -1 and a Python error if it has no such description. Says nothing of
    // torch's negation and conjugation bits.
    int (*describe)(void* object, Tensor* out);
    void (*stream)();
};

}  // namespace fourfold::dlpack
