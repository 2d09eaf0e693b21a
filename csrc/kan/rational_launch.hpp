// From a shape and addresses to a kernel's arguments and to the kernel. Internal linkage: included by GPU sources only.
#pragma once

#include <cstdint>

#include "kan/rational_cuda.hpp"
#include "kan/rational_threads.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class T>
RationalCall<T> make_call(const RationalShape& shape, std::uint32_t elements, int multiprocessors,
                          const void* numerator, const void* denominator) {
    const bool folded = shape.variant == Variant::B || shape.variant == Variant::C;
    RationalCall<T> call{};
    call.blocks = rational_blocks(shape, elements, multiprocessors);
    call.numerator = static_cast<const T*>(numerator);
    call.denominator = static_cast<const T*>(denominator);
    call.m = shape.m;
    call.n = shape.n;
    call.first = shape.variant == Variant::C ? 0 : 1;
    call.constant = shape.variant == Variant::A ? T(0) : shape.variant == Variant::C ? T(0.1) : T(1);
    call.shared_numerator = shape.shared_numerator;
    call.shared_denominator = shape.shared_denominator;
    call.absolute = shape.variant == Variant::A;
    call.folded = folded;
    return call;
}

// How many blocks of a kernel should be resident on a multiprocessor at once, which bounds its registers (to 64 for the
// degrees of KAT in float32): as few as hold enough loads in flight.
template <class T, int M>
constexpr int resident() {
    return M <= 5 ? (sizeof(T) == 4 ? 4 : 2) : (sizeof(T) == 4 ? 2 : 1);
}

inline bool aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; }

// Calls work.template operator()<S, V, Absolute, M, N>() for the kernel that a call of columns of so many elements
// takes: variant A up to the degrees of KAT, or anything up to the largest degrees, which moves no more memory but
// computes about twice as much. (Each kernel takes two seconds to compile for all architectures.)
template <class S, class Work>
void with_kernel(const RationalShape& shape, std::uint32_t elements, Work work) {
    constexpr int full = 16 / static_cast<int>(sizeof(S)), most = kLargestDegree;
    const bool absolute = shape.variant == Variant::A, small = shape.m <= 5 && shape.n <= 4;
    if (elements == 1) {
        if (absolute) return work.template operator()<S, 1, true, most, most>();
        return work.template operator()<S, 1, false, most, most>();
    }
    if (absolute && small) return work.template operator()<S, full, true, 5, 4>();
    if (absolute) return work.template operator()<S, full, true, most, most>();
    work.template operator()<S, full, false, most, most>();
}

template <class Work>
void with_storage(Storage storage, Work work) {
    switch (storage) {
        case Storage::float64: return work.template operator()<double>();
        case Storage::float32: return work.template operator()<float>();
        case Storage::bfloat16: return work.template operator()<BFloat16>();
        case Storage::float16: return work.template operator()<Float16>();
    }
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
