// The arguments of an ensemble's kernel, where its threads are, and how they read and write points. Internal linkage.
#pragma once

#include <cstdint>

#include "nlse/ensemble_flows.hpp"
#include "nlse/ensemble_layout.hpp"
#include "support/numbers.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

// A complex number in memory, read and written at once.
template <class T>
struct alignas(2 * sizeof(T)) Point {
    T re, im;
};

// The arguments of the kernel. Of x space all arrays are in natural order. Null: none.
template <class T>
struct EnsembleCall {
    EnsembleLayout layout;
    EnsembleFlows flows;
    std::uint64_t batch;
    T tau[kMaxStages + 2];     // of each slot of a potential flow
    const Point<T>* in;        // [batch][n]
    Point<T>* out;             // [batch][n]; may be `in`
    const Point<T>* twiddles;  // EnsembleLayout::twiddles()
    const Point<T>* kinetic;   // [slot][n], at the places of the spectrum: phase_factor<1>, 1/n
    const T* nonlinearity;     // [batch], or [1]
    const T* potential;        // [batch][n], or [n]
    const Point<T>* decay;     // [slot][batch][n], or [slot][n]: amplitude, effective time
    std::uint64_t nonlinearity_stride, potential_stride, decay_stride;  // between realisations; 0: shared
    std::uint64_t decay_slot;                                           // between slots
};

// Where a thread is: `thread` of the threads of its field, which begins at `base` of shared memory.
struct EnsemblePlace {
    EnsembleLayout layout;
    unsigned thread, threads, base;
    std::uint64_t field;
    bool valid;  // the last block may have fewer fields
};

// The same number, of which the compiler knows nothing: or it would compute the addresses of all phases once, before
// the loop over the steps, and spill them.
template <class Integer>
FOURFOLD_INLINE Integer opaque(Integer number) {
#if defined(__CUDA_ARCH__)
    asm volatile("" : "+r"(number));
#endif
    return number;
}

// N: the length of the fields if it is known when the kernel is compiled, and one field is a block then; else 0.
template <unsigned N, class T>
FOURFOLD_INLINE EnsemblePlace ensemble_place(const EnsembleCall<T>& call, unsigned block, unsigned thread) {
    EnsemblePlace at;
    if constexpr (N > 0) {
        constexpr EnsembleLayout known = ensemble_layout(N);
        static_assert(known.fields == 1);
        at.layout = known;
    } else {
        at.layout = call.layout;
    }
    at.threads = at.layout.threads_of_field();
    const unsigned number = opaque(thread), own = N > 0 ? 0 : number >> at.layout.log2_threads;
    at.thread = N > 0 ? number : number & (at.threads - 1);
    at.base = own * at.layout.n;
    at.field = static_cast<std::uint64_t>(block) * at.layout.fields + own;
    at.valid = N > 0 || at.field < call.batch;
    return at;
}

// Where point i of a block's shared memory is. A plain order would put what the threads of a warp read in the last
// stage into one bank.
template <class T>
FOURFOLD_INLINE unsigned in_banks(unsigned i) {
    return i ^ (i >> 4 & (sizeof(T) == 8 ? 7 : 15));
}

template <class T>
FOURFOLD_INLINE Complex<T> loaded(const Point<T>* from) {
    const Point<T> point = *from;
    return {point.re, point.im};
}

// Number i of a table that nobody writes while the kernel runs.
template <class T>
FOURFOLD_INLINE Complex<T> loaded_constant(const Point<T>* table, unsigned i) {
#if defined(__CUDA_ARCH__)
    if constexpr (sizeof(T) == 8) {
        const double2 pair = __ldg(reinterpret_cast<const double2*>(table + i));
        return {pair.x, pair.y};
    } else {
        const float2 pair = __ldg(reinterpret_cast<const float2*>(table + i));
        return {pair.x, pair.y};
    }
#else
    return loaded(table + i);
#endif
}

template <class T>
FOURFOLD_INLINE void stored(Point<T>* to, Complex<T> z) {
    *to = {z.re, z.im};
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
