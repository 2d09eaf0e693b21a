// Arrays of many megabytes.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <vector>

namespace fourfold::pc {

// Memory in huge pages where the system gives them: a pass touches all of a tree's tables and images in a few
// milliseconds, far more pages of the usual size than the CPU can keep addresses of.
template <class T>
struct HugePages {
    using value_type = T;

    HugePages() = default;
    template <class U>
    HugePages(const HugePages<U>&) {}

    T* allocate(std::size_t count) {
        void* memory = ::operator new(count * sizeof(T), kAlignment);
#ifdef MADV_HUGEPAGE
        // Advice only: whatever it answers, the memory is there.
        (void)madvise(memory, count * sizeof(T), MADV_HUGEPAGE);
#endif
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t) { ::operator delete(memory, kAlignment); }

    bool operator==(const HugePages&) const = default;

private:
    static constexpr std::align_val_t kAlignment{std::size_t{1} << 21};
};

template <class T>
using LargeBuffer = std::vector<T, HugePages<T>>;

}  // namespace fourfold::pc
