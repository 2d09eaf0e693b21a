// Addresses as Python hands them over.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>

// A tensor without memory, such as one of FakeTensorMode, has address 0. (So has a denominator of degree 0.)
inline void refuse_null(std::initializer_list<std::uintptr_t> addresses) {
    for (std::uintptr_t address : addresses) {
        if (address == 0) throw std::runtime_error("a tensor without memory reached a kernel");
    }
}

inline void* at(std::uintptr_t address) { return reinterpret_cast<void*>(address); }
