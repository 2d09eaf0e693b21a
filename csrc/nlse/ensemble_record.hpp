// The forward kernel of ensembles again, over a part of its flows, for the adjoint: it leaves behind the fields that
// the way back needs. The flows are the chain P_0 K_0 P_1 K_1 .. K_(F-1) P_F of potential and kinetic flows that
// EnsembleFlows numbers, of which P_0 and P_F may be none. Internal linkage.
#pragma once

#include "nlse/ensemble_block.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// From the field before P_first (call.in) to that before P_last or, if that ends the chain, behind it (call.out, or
// null).
template <class T>
struct EnsembleRecord {
    EnsembleCall<T> call;
    std::int32_t first, last;
    Point<T>* fields;   // [last - first][batch][n], and one more at the end of the chain: before each P_k; or null
    Point<T>* spectra;  // [last - first][batch][n], at the places of the spectrum: behind each K_k, over n; or null

    // Whether P_k belongs to it.
    FOURFOLD_HOST_DEVICE bool has(std::int32_t k) const { return k < last || last == call.flows.count; }
};

// Keeps the spectrum behind kinetic flow k, if it is wanted.
template <unsigned N, class T>
struct KeepSpectrum {
    const EnsembleRecord<T>& way;
    unsigned block, thread;
    std::int32_t k;

    FOURFOLD_INLINE void operator()(const EnsemblePlace&, const Complex<T>* z) const {
        if (way.spectra == nullptr) return;
        const EnsemblePlace at = ensemble_place<N>(way.call, block, thread);
        if (!at.valid) return;
        const std::uint64_t field = static_cast<std::uint64_t>(k - way.first) * way.call.batch + at.field;
        Point<T>* own = way.spectra + field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(16)
        for (int p = 0; p < 16; ++p) stored(own + at.threads * p, z[p]);
    }
};

template <unsigned N, class T>
FOURFOLD_INLINE void record_outer_phase(const EnsembleRecord<T>& way, unsigned block, unsigned thread, std::int32_t k,
                                        Point<T>* shared) {
    const EnsembleCall<T>& call = way.call;
    Complex<T> z[16];
    // Where it is, each time once more, so that no addresses wait in registers.
    if (const EnsemblePlace at = ensemble_place<N>(call, block, thread); k == way.first) {
        const Point<T>* in = call.in + at.field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(16)
        for (int e = 0; e < 16; ++e) z[e] = at.valid ? loaded(in + at.threads * e) : Complex<T>{0, 0};
    } else {
        read_outer(at, shared, z);
        outer_stage<true>(call, at, z);
    }
    if (way.has(k)) {
        const EnsemblePlace at = ensemble_place<N>(call, block, thread);
        if (way.fields != nullptr && at.valid) {
            const std::uint64_t field = static_cast<std::uint64_t>(k - way.first) * call.batch + at.field;
            Point<T>* own = way.fields + field * at.layout.n + at.thread;
            FOURFOLD_UNROLL(16)
            for (int e = 0; e < 16; ++e) stored(own + at.threads * e, z[e]);
        }
        potential_flow(call, ensemble_place<N>(call, block, thread), call.flows.potential_before(k), z);
    }
    const EnsemblePlace at = ensemble_place<N>(call, block, thread);
    if (k < way.last) {
        outer_stage<false>(call, at, z);
        write_outer(ensemble_place<N>(call, block, thread), z, shared);
    } else if (call.out != nullptr && at.valid) {
        Point<T>* out = call.out + at.field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(16)
        for (int e = 0; e < 16; ++e) stored(out + at.threads * e, z[e]);
    }
}

// `shared`: the points of the block's fields, n each.
template <unsigned N, class T, class Block>
FOURFOLD_INLINE void record_block(Block& block, const EnsembleRecord<T>& way, Point<T>* shared) {
    const EnsembleCall<T>& call = way.call;
    const unsigned between = (N > 0 ? ensemble_layout(N).inner : call.layout.inner) - 1;  // stages
    FOURFOLD_ROLLED
    for (std::int32_t k = way.first;; ++k) {
        block.each([&](unsigned thread) { record_outer_phase<N>(way, block.index(), thread, k, shared); });
        if (k == way.last) return;
        FOURFOLD_ROLLED
        for (unsigned stage = 0; stage < between; ++stage) {
            block.each([&](unsigned thread) {
                inner_stage<false>(call, ensemble_place<N>(call, block.index(), thread), stage, shared);
            });
        }
        block.each([&](unsigned thread) {
            const EnsemblePlace at = ensemble_place<N>(call, block.index(), thread);
            centre<false>(call, at, call.flows.kinetic_of(k), shared, NoLook{},
                          KeepSpectrum<N, T>{way, block.index(), thread, k});
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
