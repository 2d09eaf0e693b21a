// Addresses as Python hands them over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <vector>

using Address = std::uintptr_t;

// A tensor without memory, such as one of FakeTensorMode, has address 0. (So has a denominator of degree 0.)
inline void refuse_null(std::initializer_list<Address> addresses) {
    for (Address address : addresses) {
        if (address == 0) throw std::runtime_error("a tensor without memory reached a kernel");
    }
}

template <class T = void>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

// `offset` elements on, where there is something at all.
template <class T>
T* at(Address address, std::size_t offset) {
    return address == 0 ? nullptr : at<T>(address) + offset;
}

template <class T>
std::vector<T*> all_at(const std::vector<Address>& addresses) {
    std::vector<T*> pointers;
    pointers.reserve(addresses.size());
    for (Address address : addresses) pointers.push_back(at<T>(address));
    return pointers;
}
