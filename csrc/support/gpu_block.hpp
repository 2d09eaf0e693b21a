// A block of GPU threads, as kernels that share memory are written here: in phases, between which all threads of the
// block wait for each other. A kernel is a function template of the block:
//
//     template <class Block>
//     FOURFOLD_INLINE void kernel(Block& block, double* shared, ...) {
//         typename Block::template PerThread<State> state(block);
//         block.each([&](unsigned thread) { state[thread] = ...; shared[thread] = ...; });
//         block.each([&](unsigned thread) { ... });
//     }
//
// On the device a phase is what the calling thread does; on the host all threads of the block do it one after another,
// forwards or backwards, so that a test runs the same kernel and sees what depends on their order. Internal linkage:
// included by GPU sources, and by tests that run them on the host.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "support/host_device.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

inline constexpr unsigned kThreadsOfWarp = 32;

#if defined(__CUDACC__)
// A one-dimensional block.
class DeviceBlock {
public:
    // What a thread keeps from phase to phase, in its registers.
    template <class T>
    class PerThread {
    public:
        FOURFOLD_INLINE explicit PerThread(const DeviceBlock&) {}
        FOURFOLD_INLINE T& operator[](unsigned) { return own_; }

    private:
        T own_{};
    };

    FOURFOLD_INLINE unsigned index() const {
#if defined(__CUDA_ARCH__)
        return blockIdx.x;
#else
        return 0;
#endif
    }
    FOURFOLD_INLINE unsigned threads() const {
#if defined(__CUDA_ARCH__)
        return blockDim.x;
#else
        return 0;
#endif
    }
    template <class Phase>
    FOURFOLD_INLINE void each(Phase phase) const {
#if defined(__CUDA_ARCH__)
        phase(threadIdx.x);
        __syncthreads();
#endif
    }
    // A phase after which the threads of each warp wait for one another only: what other warps need comes later.
    template <class Phase>
    FOURFOLD_INLINE void each_by_warps(Phase phase) const {
#if defined(__CUDA_ARCH__)
        phase(threadIdx.x);
        __syncwarp();
#endif
    }
    // Every thread of a warp gets the largest of what they have in member(values[thread]).
    template <class T, class Member>
    FOURFOLD_INLINE void largest_in_warp([[maybe_unused]] PerThread<T>& values, [[maybe_unused]] Member member) const {
#if defined(__CUDA_ARCH__)
        std::uint32_t& own = member(values[0]);
#if __CUDA_ARCH__ >= 800
        own = __reduce_max_sync(~0u, own);
#else
        for (int other = 16; other > 0; other /= 2) {
            const std::uint32_t theirs = __shfl_xor_sync(~0u, own, other);
            if (theirs > own) own = theirs;
        }
#endif
#endif
    }
};
#endif

class HostBlock {
public:
    template <class T>
    class PerThread {
    public:
        explicit PerThread(const HostBlock& block) : all_(block.threads()) {}
        T& operator[](unsigned thread) { return all_[thread]; }

    private:
        std::vector<T> all_;
    };

    HostBlock(unsigned index, unsigned threads, bool backwards)
        : index_(index), threads_(threads), backwards_(backwards) {}
    unsigned index() const { return index_; }
    unsigned threads() const { return threads_; }
    template <class Phase>
    void each(Phase phase) const {
        for (unsigned k = 0; k < threads_; ++k) phase(backwards_ ? threads_ - 1 - k : k);
    }
    template <class Phase>
    void each_by_warps(Phase phase) const {
        each(phase);
    }
    template <class T, class Member>
    void largest_in_warp(PerThread<T>& values, Member member) const {
        for (unsigned warp = 0; warp < threads_; warp += kThreadsOfWarp) {
            std::uint32_t most = 0;
            for (unsigned k = 0; k < kThreadsOfWarp; ++k) most = std::max(most, member(values[warp + k]));
            for (unsigned k = 0; k < kThreadsOfWarp; ++k) member(values[warp + k]) = most;
        }
    }

private:
    unsigned index_, threads_;
    bool backwards_;
};

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
