// The 16-bit element types as they lie in memory. Internal linkage: included by kernel sources only.
#pragma once

#include <cstdint>

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

struct BFloat16 {
    std::uint16_t bits;
};
struct Float16 {
    std::uint16_t bits;
};

// What is computed in.
template <class S>
struct ComputeOf {
    using type = float;
};
template <>
struct ComputeOf<double> {
    using type = double;
};

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
