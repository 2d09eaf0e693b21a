// What a block of GPU threads does with its realisations between two saved times. The field is in shared memory; each
// phase between two barriers reads kPoints points of a thread, changes them in registers and writes them back:
//
//     outer phase    last inverse stage -> potential flow -> first forward stage
//     inner phases   one forward stage each
//     centre         last forward stage -> times the table of the kinetic flow -> first inverse stage
//     inner phases   one inverse stage each
//
// A function template of the block, so that tests run it on the host. Internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nlse/ensemble_flows.hpp"
#include "nlse/ensemble_layout.hpp"
#include "nlse/flow_formula.hpp"
#include "support/butterflies.hpp"
#include "support/sincos_formula.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

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

// The outer stage: point e of a thread is thread + threads e of x, of which those 16/R apart belong to one butterfly.
template <int R, bool Inverse, class T>
FOURFOLD_INLINE void outer_butterflies(const Point<T>* twiddles, unsigned thread, unsigned threads, Complex<T>* z) {
    constexpr int apart = 16 / R;
    if constexpr (Inverse) {
        FOURFOLD_UNROLL(16)
        for (int e = apart; e < 16; ++e) {
            const Complex<T> w = loaded_constant(twiddles, thread + threads * e);
            z[e] = times_conjugate(z[e], w.re, w.im);
        }
    }
    FOURFOLD_UNROLL(16)
    for (int m = 0; m < apart; ++m) {
        Complex<T> x[R];
        FOURFOLD_UNROLL(16)
        for (int q = 0; q < R; ++q) x[q] = z[m + q * apart];
        if constexpr (Inverse) {
            inverse_dft<R, T>(x);
        } else {
            dft<R, T>(x);
        }
        FOURFOLD_UNROLL(16)
        for (int q = 0; q < R; ++q) z[m + q * apart] = x[q];
    }
    if constexpr (!Inverse) {
        FOURFOLD_UNROLL(16)
        for (int e = apart; e < 16; ++e) {
            const Complex<T> w = loaded_constant(twiddles, thread + threads * e);
            z[e] = times(z[e], w.re, w.im);
        }
    }
}

template <bool Inverse, class T>
FOURFOLD_INLINE void outer_stage(const EnsembleCall<T>& call, const EnsemblePlace& at, Complex<T>* z) {
    switch (at.layout.outer) {
        case 2: return outer_butterflies<2, Inverse>(call.twiddles, at.thread, at.threads, z);
        case 4: return outer_butterflies<4, Inverse>(call.twiddles, at.thread, at.threads, z);
        case 8: return outer_butterflies<8, Inverse>(call.twiddles, at.thread, at.threads, z);
        default: return outer_butterflies<16, Inverse>(call.twiddles, at.thread, at.threads, z);
    }
}

template <class T>
FOURFOLD_INLINE void read_outer(const EnsemblePlace& at, const Point<T>* shared, Complex<T>* z) {
    FOURFOLD_UNROLL(16)
    for (int e = 0; e < 16; ++e) z[e] = loaded(shared + in_banks<T>(at.base + at.thread + at.threads * e));
}

template <class T>
FOURFOLD_INLINE void write_outer(const EnsemblePlace& at, const Complex<T>* z, Point<T>* shared) {
    FOURFOLD_UNROLL(16)
    for (int e = 0; e < 16; ++e) stored(shared + in_banks<T>(at.base + at.thread + at.threads * e), z[e]);
}

// One inner stage but the last, of radix 16. Where the points are is computed twice, so that no addresses wait in
// registers.
template <bool Inverse, class T>
FOURFOLD_INLINE void inner_stage(const EnsembleCall<T>& call, const EnsemblePlace& at, unsigned stage,
                                 Point<T>* shared) {
    const unsigned part = at.layout.length(stage) / 16, j = at.thread & (part - 1);
    const unsigned first = at.base + (at.thread - j) * 16 + j;
    const unsigned begin = at.layout.twiddles_of(stage) + j;
    Complex<T> z[16];
    FOURFOLD_UNROLL(16)
    for (int q = 0; q < 16; ++q) {
        z[q] = loaded(shared + in_banks<T>(first + part * q));
        if (Inverse && q > 0) {
            const Complex<T> w = loaded_constant(call.twiddles, begin + part * q);
            z[q] = times_conjugate(z[q], w.re, w.im);
        }
    }
    if constexpr (Inverse) {
        inverse_dft<16, T>(z);
    } else {
        dft<16, T>(z);
    }
    const unsigned again = opaque(first);
    FOURFOLD_UNROLL(16)
    for (int q = 0; q < 16; ++q) {
        if (!Inverse && q > 0) {
            const Complex<T> w = loaded_constant(call.twiddles, begin + part * q);
            z[q] = times(z[q], w.re, w.im);
        }
        stored(shared + in_banks<T>(again + part * q), z[q]);
    }
}

// The last stage, of blocks of 16 points, with the kinetic flow between there and back.
template <class T>
FOURFOLD_INLINE void centre(const EnsembleCall<T>& call, const EnsemblePlace& at, int slot, Point<T>* shared) {
    const unsigned first = in_banks<T>(at.base + 16 * at.thread);  // the others are this one with other lowest bits
    const unsigned begin = static_cast<unsigned>(slot) * at.layout.n + at.thread;
    const T inverse_n = T(1) / static_cast<T>(at.layout.n);
    Complex<T> z[16];
    FOURFOLD_UNROLL(16)
    for (unsigned q = 0; q < 16; ++q) z[q] = loaded(shared + (first ^ q));
    dft<16, T>(z);
    FOURFOLD_UNROLL(16)
    for (int p = 0; p < 16; ++p) {
        const Complex<T> factor = loaded_constant(call.kinetic, begin + at.threads * p);
        z[p] = Complex<T>{z[p].re * inverse_n, z[p].im * inverse_n} + times(z[p], factor.re, factor.im);
    }
    inverse_dft<16, T>(z);
    const unsigned again = opaque(first);
    FOURFOLD_UNROLL(16)
    for (unsigned q = 0; q < 16; ++q) stored(shared + (again ^ q), z[q]);
}

// See PotentialFlow in field.hpp.
template <bool Plain, class T>
FOURFOLD_INLINE void potential_flow_of(const EnsembleCall<T>& call, const EnsemblePlace& at, int slot, Complex<T>* z) {
    const std::uint64_t own = at.valid ? at.field : 0;
    const T g = call.nonlinearity[own * call.nonlinearity_stride], tau = call.tau[slot], strength = g * tau;
    const T* potential = call.potential == nullptr ? nullptr : call.potential + own * call.potential_stride + at.thread;
    const Point<T>* decay = call.decay == nullptr ? nullptr
                                                  : call.decay + static_cast<std::uint64_t>(slot) * call.decay_slot +
                                                        own * call.decay_stride + at.thread;
    FOURFOLD_UNROLL(16)
    for (int e = 0; e < 16; ++e) {
        const T intensity = z[e].re * z[e].re + z[e].im * z[e].im;
        T angle = intensity * strength, amplitude = 1;
        if constexpr (!Plain) {
            if (decay != nullptr) {
                const Complex<T> here = loaded_constant(decay, at.threads * e);
                amplitude = here.re;
                angle = intensity * (here.im * g);
            }
            if (potential != nullptr) angle = angle - potential[at.threads * e] * tau;
        }
        T cosine_minus_1, sine;
        sincos_of<T, typename IntegerOf<T>::type>(angle, angle, cosine_minus_1, sine);
        z[e] = turned(z[e], cosine_minus_1, sine);
        if constexpr (!Plain) z[e] = {z[e].re * amplitude, z[e].im * amplitude};
    }
}

template <class T>
FOURFOLD_INLINE void potential_flow(const EnsembleCall<T>& call, const EnsemblePlace& at, int slot, Complex<T>* z) {
    if (slot == EnsembleFlows::kNone) return;
    if (call.potential == nullptr && call.decay == nullptr) {
        potential_flow_of<true>(call, at, slot, z);
    } else {
        potential_flow_of<false>(call, at, slot, z);
    }
}

// The field is in x space before kinetic flow number k.
template <unsigned N, class T>
FOURFOLD_INLINE void outer_phase(const EnsembleCall<T>& call, unsigned block, unsigned thread, std::int32_t k,
                                 Point<T>* shared) {
    Complex<T> z[16];
    {
        const EnsemblePlace at = ensemble_place<N>(call, block, thread);
        if (k == 0) {
            const Point<T>* in = call.in + at.field * at.layout.n + at.thread;
            FOURFOLD_UNROLL(16)
            for (int e = 0; e < 16; ++e) z[e] = at.valid ? loaded(in + at.threads * e) : Complex<T>{0, 0};
        } else {
            read_outer(at, shared, z);
            outer_stage<true>(call, at, z);
        }
        potential_flow(call, at, call.flows.potential_before(k), z);
    }
    // Where it is once more, so that no addresses wait in registers.
    const EnsemblePlace at = ensemble_place<N>(call, block, thread);
    if (k < call.flows.count) {
        outer_stage<false>(call, at, z);
        write_outer(ensemble_place<N>(call, block, thread), z, shared);
    } else if (at.valid) {
        Point<T>* out = call.out + at.field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(16)
        for (int e = 0; e < 16; ++e) stored(out + at.threads * e, z[e]);
    }
}

// `shared`: the points of the block's fields, n each.
template <unsigned N, class T, class Block>
FOURFOLD_INLINE void ensemble_block(Block& block, const EnsembleCall<T>& call, Point<T>* shared) {
    const unsigned between = (N > 0 ? ensemble_layout(N).inner : call.layout.inner) - 1;  // stages
    FOURFOLD_ROLLED
    for (std::int32_t k = 0;; ++k) {
        block.each([&](unsigned thread) { outer_phase<N>(call, block.index(), thread, k, shared); });
        if (k == call.flows.count) return;
        FOURFOLD_ROLLED
        for (unsigned stage = 0; stage < between; ++stage) {
            block.each([&](unsigned thread) {
                inner_stage<false>(call, ensemble_place<N>(call, block.index(), thread), stage, shared);
            });
        }
        block.each([&](unsigned thread) {
            centre(call, ensemble_place<N>(call, block.index(), thread), call.flows.kinetic_of(k), shared);
        });
        FOURFOLD_ROLLED
        for (unsigned stage = between; stage-- > 0;) {
            block.each([&](unsigned thread) {
                inner_stage<true>(call, ensemble_place<N>(call, block.index(), thread), stage, shared);
            });
        }
    }
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
