// Memory for what a kernel writes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "check.hpp"

// A buffer that starts at a multiple of 64 bytes, or `offset` elements after one, full of NaN and with a guard behind.
template <class S>
class Poisoned {
public:
    Poisoned(std::size_t size, std::size_t offset = 0) : size_(size), offset_(offset) {
        bytes_ = (size + offset + kGuard) * sizeof(S);
        memory_.reset(static_cast<unsigned char*>(std::aligned_alloc(64, (bytes_ + 63) / 64 * 64)));
        std::fill_n(memory_.get(), bytes_, static_cast<unsigned char>(0xff));
    }
    S* data() { return reinterpret_cast<S*>(memory_.get()) + offset_; }
    S& operator[](std::size_t k) { return data()[k]; }
    void check_guard() {
        const unsigned char* end = reinterpret_cast<unsigned char*>(data() + size_);
        CHECK(std::all_of(end, end + kGuard * sizeof(S), [](unsigned char byte) { return byte == 0xff; }));
    }

private:
    static constexpr std::size_t kGuard = 64;
    struct Free {
        void operator()(unsigned char* memory) const { std::free(memory); }
    };
    std::size_t size_, offset_, bytes_;
    std::unique_ptr<unsigned char[], Free> memory_;
};
