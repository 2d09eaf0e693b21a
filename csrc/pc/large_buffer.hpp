// Arrays of many megabytes.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>

namespace fourfold::pc {

// A zeroed array that moves but does not copy, in huge pages where the system gives them: a pass touches all of a
// tree's tables and images in a few milliseconds, far more pages of the usual size than the CPU can keep addresses of.
template <class T>
class LargeBuffer {
public:
    LargeBuffer() = default;
    explicit LargeBuffer(std::size_t count) : size_(count) {
        if (count == 0) return;
        data_ = static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
#ifdef MADV_HUGEPAGE
        // Advice only: whatever it answers, the memory is there.
        (void)madvise(data_, count * sizeof(T), MADV_HUGEPAGE);
#endif
        std::fill_n(data_, count, T(0));
    }
    LargeBuffer(LargeBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    LargeBuffer& operator=(LargeBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    LargeBuffer(const LargeBuffer&) = delete;
    LargeBuffer& operator=(const LargeBuffer&) = delete;
    ~LargeBuffer() {
        if (data_ != nullptr) ::operator delete(data_, kAlignment);
    }

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }

private:
    static constexpr std::align_val_t kAlignment{std::size_t{1} << 21};
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace fourfold::pc
