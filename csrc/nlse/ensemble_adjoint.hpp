// The discrete adjoint of ensembles on a GPU (adjoint.hpp has the formulas): the cotangent, in shared memory, goes
// through the flows of the chain (ensemble_record.hpp) from the last to the first, in the phases of ensemble_block.hpp.
// The fields come from the record of a forward run. Each sum over flows is a number in device memory that one thread
// changes, for it has the same points at every flow. Internal linkage.
#pragma once

#include "nlse/adjoint_formula.hpp"
#include "nlse/ensemble_block.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// From the cotangent of the field before P_last or, if that ends the chain, behind it (call.in), to that of the field
// before P_first (call.out, which may be call.in). Sums that are null are not wanted; each has a row a realisation, and
// is added to.
template <class T>
struct EnsembleAdjoint {
    EnsembleCall<T> call;
    std::int32_t first, last;
    const Point<T>* fields;    // as EnsembleRecord leaves them
    const Point<T>* spectra;   // where sum_omega is wanted
    const T* slopes;           // as call.decay: dl/d gamma; where sum_loss is wanted
    double* sum_nonlinearity;  // [batch][n/kPoints]
    double* sum_potential;     // [batch][n]
    double* sum_loss;          // [batch][n]
    double* sum_omega;         // [batch][n], at the places of the spectrum
    T kinetic_tau[kMaxStages + 2];

    // Whether P_k belongs to it.
    FOURFOLD_HOST_DEVICE bool has(std::int32_t k) const { return k < last || last == call.flows.count; }
    FOURFOLD_HOST_DEVICE bool sums_in_x() const {
        return sum_nonlinearity != nullptr || sum_potential != nullptr || sum_loss != nullptr;
    }
    // What adjoint_point has a shorter form for.
    FOURFOLD_HOST_DEVICE bool plain() const {
        return call.potential == nullptr && call.decay == nullptr && !sums_in_x();
    }
};

// So many at a time are read from device memory: more would not leave registers.
inline constexpr int kPointsAtOnce = 4;

// Where a potential flow finds what belongs to a thread's points, and what it adds to the derivative by g.
template <class T>
struct AdjointFlowAt {
    T nonlinearity, tau;
    std::uint64_t points, lossy;  // of sums; of tables of the loss
    const Point<T>* psi;          // before the flow
    const T* potential;
    double turns;
};

template <class T>
FOURFOLD_INLINE AdjointFlowAt<T> adjoint_flow_at(const EnsembleAdjoint<T>& way, const EnsemblePlace& at, int slot,
                                                 std::int32_t k) {
    const EnsembleCall<T>& call = way.call;
    const std::uint64_t points = at.field * at.layout.n + at.thread;
    return {call.nonlinearity[at.field * call.nonlinearity_stride],
            call.tau[slot],
            points,
            static_cast<std::uint64_t>(slot) * call.decay_slot + at.field * call.decay_stride + at.thread,
            way.fields + (static_cast<std::uint64_t>(k - way.first) * call.batch * at.layout.n + points),
            call.potential == nullptr ? nullptr : call.potential + (at.field * call.potential_stride + at.thread),
            0};
}

// One point, the one `i` behind the thread's first: from the cotangent behind a potential flow to that before it.
// Plain: neither potential nor loss, and no sums.
template <bool Plain, class T>
FOURFOLD_INLINE Complex<T> adjoint_point(const EnsembleAdjoint<T>& way, AdjointFlowAt<T>& flow, unsigned i,
                                         Complex<T> psi, Complex<T> lambda) {
    const T intensity = psi.re * psi.re + psi.im * psi.im;
    T reach = flow.tau, amplitude = 1;
    if constexpr (!Plain) {
        if (way.call.decay != nullptr) {
            const Complex<T> here = loaded_constant(way.call.decay + flow.lossy, i);
            amplitude = here.re;
            reach = here.im;
        }
    }
    T angle = intensity * (reach * flow.nonlinearity);
    if constexpr (!Plain) {
        if (flow.potential != nullptr) angle = angle - flow.potential[i] * flow.tau;
    }
    T cosine_minus_1, sine;
    sincos_of<T, typename IntegerOf<T>::type>(angle, angle, cosine_minus_1, sine);
    Complex<T> mu = turned_back(lambda, cosine_minus_1, sine);
    if constexpr (!Plain) mu = {mu.re * amplitude, mu.im * amplitude};
    const T s = phase_pull(psi, mu);
    if constexpr (!Plain) {
        if (way.sum_potential != nullptr) way.sum_potential[flow.points + i] -= static_cast<double>(s * flow.tau);
        if (way.sum_nonlinearity != nullptr) flow.turns += static_cast<double>(intensity * reach * s);
        if (way.sum_loss != nullptr) {
            const T turn = intensity * (way.slopes[flow.lossy + i] * flow.nonlinearity);
            way.sum_loss[flow.points + i] += static_cast<double>(turn * s - amplitude_pull(psi, mu) * flow.tau);
        }
    }
    return pulled(mu, psi, reach, s, flow.nonlinearity);
}

// Through the potential flow of this slot. A loop, in which the thread's cotangents wait in shared memory: there are
// not registers enough for all of them and for this.
template <bool Plain, class T>
FOURFOLD_INLINE void adjoint_potential_flow_of(const EnsembleAdjoint<T>& way, const EnsemblePlace& at, int slot,
                                               std::int32_t k, Complex<T>* z, Point<T>* shared) {
    AdjointFlowAt<T> flow = adjoint_flow_at(way, at, slot, k);
    write_outer(at, z, shared);
    FOURFOLD_ROLLED
    for (unsigned group = 0; group < 16; group += kPointsAtOnce) {
        const unsigned first = at.threads * group;
        Complex<T> psi[kPointsAtOnce];
        FOURFOLD_UNROLL(4)
        for (int e = 0; e < kPointsAtOnce; ++e) psi[e] = loaded(flow.psi + (first + at.threads * e));
        FOURFOLD_UNROLL(4)
        for (int e = 0; e < kPointsAtOnce; ++e) {
            const unsigned i = first + at.threads * e;
            Point<T>* here = shared + in_banks<T>(at.base + at.thread + i);
            stored(here, adjoint_point<Plain>(way, flow, i, psi[e], loaded(here)));
        }
    }
    read_outer(at, shared, z);
    if constexpr (!Plain) {
        if (way.sum_nonlinearity != nullptr) way.sum_nonlinearity[at.field * at.threads + at.thread] += flow.turns;
    }
}

template <class T>
FOURFOLD_INLINE void adjoint_potential_flow(const EnsembleAdjoint<T>& way, const EnsemblePlace& at, std::int32_t k,
                                            Complex<T>* z, Point<T>* shared) {
    const int slot = way.call.flows.potential_before(k);
    if (slot == EnsembleFlows::kNone || !at.valid) return;
    if (way.plain()) {
        adjoint_potential_flow_of<true>(way, at, slot, k, z, shared);
    } else {
        adjoint_potential_flow_of<false>(way, at, slot, k, z, shared);
    }
}

template <unsigned N, class T>
FOURFOLD_INLINE void adjoint_outer_phase(const EnsembleAdjoint<T>& way, unsigned block, unsigned thread, std::int32_t k,
                                         Point<T>* shared) {
    const EnsembleCall<T>& call = way.call;
    Complex<T> z[16];
    {
        const EnsemblePlace at = ensemble_place<N>(call, block, thread);
        if (k == way.last) {
            const Point<T>* in = call.in + at.field * at.layout.n + at.thread;
            FOURFOLD_UNROLL(16)
            for (int e = 0; e < 16; ++e) z[e] = at.valid ? loaded(in + at.threads * e) : Complex<T>{0, 0};
        } else {
            read_outer(at, shared, z);
            outer_stage<true>(call, at, z);
        }
    }
    if (way.has(k)) {
        adjoint_potential_flow(way, ensemble_place<N>(call, block, thread), k, z, shared);
    }
    const EnsemblePlace at = ensemble_place<N>(call, block, thread);
    if (k > way.first) {
        outer_stage<false>(call, at, z);
        write_outer(ensemble_place<N>(call, block, thread), z, shared);
    } else if (at.valid) {
        Point<T>* out = call.out + at.field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(16)
        for (int e = 0; e < 16; ++e) stored(out + at.threads * e, z[e]);
    }
}

// What a kinetic flow adds to the derivatives by omega, from the spectrum of the cotangent behind it and that of the
// field. Null: nothing.
template <class T>
struct SumOmega {
    double* sum;              // [batch][n]
    const Point<T>* spectra;  // of this flow, [batch][n]
    T tau;

    FOURFOLD_INLINE void operator()(const EnsemblePlace& at, const Complex<T>* lambda) const {
        if (sum == nullptr || !at.valid) return;
        double* own = sum + at.field * at.layout.n + at.thread;
        const Point<T>* psi = spectra + at.field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(4)
        for (int group = 0; group < 16; group += kPointsAtOnce) {
            Complex<T> behind[kPointsAtOnce];
            double before[kPointsAtOnce];
            FOURFOLD_UNROLL(4)
            for (int p = 0; p < kPointsAtOnce; ++p) {
                behind[p] = loaded(psi + at.threads * (group + p));
                before[p] = own[at.threads * (group + p)];
            }
            FOURFOLD_UNROLL(4)
            for (int p = 0; p < kPointsAtOnce; ++p) {
                const T pull = phase_pull(behind[p], lambda[group + p]);
                own[at.threads * (group + p)] = before[p] - static_cast<double>(tau * pull);
            }
        }
    }
};

// `shared`: the points of the block's cotangents, n each.
template <unsigned N, class T, class Block>
FOURFOLD_INLINE void adjoint_block(Block& block, const EnsembleAdjoint<T>& way, Point<T>* shared) {
    const EnsembleCall<T>& call = way.call;
    const unsigned between = (N > 0 ? ensemble_layout(N).inner : call.layout.inner) - 1;  // stages
    FOURFOLD_ROLLED
    for (std::int32_t k = way.last;; --k) {
        block.each([&](unsigned thread) { adjoint_outer_phase<N>(way, block.index(), thread, k, shared); });
        if (k == way.first) return;
        FOURFOLD_ROLLED
        for (unsigned stage = 0; stage < between; ++stage) {
            block.each([&](unsigned thread) {
                inner_stage<false>(call, ensemble_place<N>(call, block.index(), thread), stage, shared);
            });
        }
        block.each([&](unsigned thread) {
            const EnsemblePlace at = ensemble_place<N>(call, block.index(), thread);
            const int slot = call.flows.kinetic_of(k - 1);
            const Point<T>* spectra = way.spectra;
            if (spectra != nullptr) spectra += static_cast<std::uint64_t>(k - 1 - way.first) * call.batch * at.layout.n;
            centre<true>(call, at, slot, shared, SumOmega<T>{way.sum_omega, spectra, way.kinetic_tau[slot]}, NoLook{});
        });
        FOURFOLD_ROLLED
        for (unsigned stage = between; stage-- > 0;) {
            block.each([&](unsigned thread) {
                inner_stage<true>(call, ensemble_place<N>(call, block.index(), thread), stage, shared);
            });
        }
    }
}

// dl/d gamma, an entry a thread.
template <class T>
struct EnsembleSlopes {
    double potential_time[kMaxStages + 2];  // of each slot's flow
    const T* loss;                          // [rows][n]
    T* slopes;                              // [slot][rows][n]
    std::uint64_t slot_size, entries;
};

template <class T>
FOURFOLD_INLINE void slope_entry(const EnsembleSlopes<T>& tables, std::uint64_t entry) {
    const double gamma = static_cast<double>(tables.loss[entry % tables.slot_size]);
    tables.slopes[entry] = static_cast<T>(effective_time_slope(gamma, tables.potential_time[entry / tables.slot_size]));
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
