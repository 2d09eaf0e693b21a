// How a block of GPU threads holds fields of n = 2^k points and transforms them. A thread has kPoints points in
// registers at a time; the field is in shared memory in between. The transform is by decimation in frequency and in
// place: one stage of radix `outer`, then `inner` stages of radix 16,
//
//     n = outer 16^inner,    outer = 2, 4, 8, 16,    inner = 1, 2, 3
//
// and the inverse the same backwards with conjugate twiddles, so that nothing is ever bit-reversed. A stage cuts blocks
// of `length` points into `radix` parts; what a thread reads, of all parts, it also writes, so one barrier a stage is
// enough.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/host_device.hpp"

namespace fourfold::nlse {

inline constexpr unsigned kPoints = 16;
inline constexpr unsigned kSmallestEnsembleGrid = 32;

struct EnsembleLayout {
    unsigned n, outer, inner;
    unsigned log2_threads;  // of those of a field, n / kPoints
    unsigned fields;        // of a block, so that it has at least 64 threads

    FOURFOLD_HOST_DEVICE constexpr unsigned threads_of_field() const { return 1u << log2_threads; }
    FOURFOLD_HOST_DEVICE constexpr unsigned threads() const { return fields << log2_threads; }
    // Points of a block of an inner stage: the first of them is stage 0, and that of the last stage is 16.
    FOURFOLD_HOST_DEVICE constexpr unsigned length(unsigned stage) const { return n / outer >> 4 * stage; }

    // The table of twiddles, of complex numbers: that of the outer stage [n], then those of the inner ones but for the
    // last [length]. Entry i of a block is what its point i is multiplied by after the butterflies of radix R,
    // exp(-2 pi i j p/length) with j = i % (length/R), p = i/(length/R).
    FOURFOLD_HOST_DEVICE constexpr unsigned twiddles() const { return twiddles_of(inner - 1); }
    FOURFOLD_HOST_DEVICE constexpr unsigned twiddles_of(unsigned stage) const {
        return n + (stage > 0 ? length(0) : 0) + (stage > 1 ? length(1) : 0);
    }

    // The spectrum is read and written in the last stage, point p of thread t at the place p threads_of_field() + t:
    // its index in the order of the FFT.
    FOURFOLD_HOST_DEVICE constexpr unsigned frequency(unsigned place) const {
        unsigned at = place % threads_of_field() * kPoints + place / threads_of_field();
        unsigned below = n / outer, index = at / below, weight = outer;
        for (unsigned stage = 0; stage < inner; ++stage) {
            at %= below;
            below /= 16;
            index += at / below * weight;
            weight *= 16;
        }
        return index;
    }
};

// A field of complex numbers of two T's is in 128 KiB of shared memory at most, held by threads in kPoints points each.
template <class T>
inline constexpr unsigned kLargestEnsembleGrid = 65536 / sizeof(T);

// n: a power of two from kSmallestEnsembleGrid to kLargestEnsembleGrid.
FOURFOLD_HOST_DEVICE constexpr EnsembleLayout ensemble_layout(unsigned n) {
    EnsembleLayout layout{n, n, 0, 0, 1};
    while (layout.outer > 16) {
        layout.outer /= 16;
        ++layout.inner;
    }
    while (kPoints << layout.log2_threads < n) ++layout.log2_threads;
    while (layout.fields << layout.log2_threads < 64) layout.fields *= 2;
    return layout;
}

// Of EnsembleLayout::twiddles(), re and im in turn.
template <class T>
std::vector<T> ensemble_twiddles(const EnsembleLayout& layout);

extern template std::vector<float> ensemble_twiddles(const EnsembleLayout&);
extern template std::vector<double> ensemble_twiddles(const EnsembleLayout&);

}  // namespace fourfold::nlse
