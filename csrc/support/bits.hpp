// A value's bits taken for those of another type of the same size.
#pragma once

#include <cstring>

#include "support/host_device.hpp"

namespace fourfold {

// Inlined wherever it is called, so kernel sources may share it: no copy of it with external linkage comes to be.
template <class To, class From>
FOURFOLD_INLINE To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

}  // namespace fourfold
