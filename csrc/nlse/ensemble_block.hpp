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

#include <cstdint>

#include "nlse/ensemble_call.hpp"
#include "nlse/point_flow.hpp"
#include "support/butterflies.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

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

// Sees the spectrum of a thread's points in the centre, and leaves it alone.
struct NoLook {
    template <class T>
    FOURFOLD_INLINE void operator()(const EnsemblePlace&, const Complex<T>*) const {}
};

// The last stage, of blocks of 16 points, with the kinetic flow, or the one of the adjoint, between there and back.
// Point p of the spectrum is at the place at.thread + at.threads p. `before` and `after` the flow look at it.
template <bool Adjoint, class T, class Before, class After>
FOURFOLD_INLINE void centre(const EnsembleCall<T>& call, const EnsemblePlace& at, int slot, Point<T>* shared,
                            Before before, After after) {
    const unsigned first = in_banks<T>(at.base + 16 * at.thread);  // the others are this one with other lowest bits
    const unsigned begin = static_cast<unsigned>(slot) * at.layout.n + at.thread;
    const T inverse_n = T(1) / static_cast<T>(at.layout.n);
    Complex<T> z[16];
    FOURFOLD_UNROLL(16)
    for (unsigned q = 0; q < 16; ++q) z[q] = loaded(shared + (first ^ q));
    dft<16, T>(z);
    before(at, z);
    FOURFOLD_UNROLL(16)
    for (int p = 0; p < 16; ++p) {
        const Complex<T> factor = loaded_constant(call.kinetic, begin + at.threads * p);
        z[p] = times_kinetic(z[p], Adjoint ? Complex<T>{factor.re, -factor.im} : factor, inverse_n);
    }
    after(at, z);
    inverse_dft<16, T>(z);
    const unsigned again = opaque(first);
    FOURFOLD_UNROLL(16)
    for (unsigned q = 0; q < 16; ++q) stored(shared + (again ^ q), z[q]);
}

template <bool Plain, class T>
FOURFOLD_INLINE void potential_flow_of(const EnsembleCall<T>& call, const EnsemblePlace& at, int slot, Complex<T>* z) {
    const std::uint64_t own = at.valid ? at.field : 0;
    const T g = call.nonlinearity[own * call.nonlinearity_stride], tau = call.tau[slot];
    const T* potential = call.potential == nullptr ? nullptr : call.potential + own * call.potential_stride + at.thread;
    const Point<T>* decay = call.decay == nullptr ? nullptr
                                                  : call.decay + static_cast<std::uint64_t>(slot) * call.decay_slot +
                                                        own * call.decay_stride + at.thread;
    FOURFOLD_UNROLL(16)
    for (int e = 0; e < 16; ++e) {
        if constexpr (Plain) {
            z[e] = flow_of_point(z[e], g * tau);
        } else {
            z[e] = flow_of_point(
                z[e], g, tau, potential != nullptr, [&] { return potential[at.threads * e]; }, decay != nullptr,
                [&] { return loaded_constant(decay, at.threads * e); });
        }
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
            centre<false>(call, ensemble_place<N>(call, block.index(), thread), call.flows.kinetic_of(k), shared,
                          NoLook{}, NoLook{});
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
