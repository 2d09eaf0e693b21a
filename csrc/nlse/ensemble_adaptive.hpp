// What a block of GPU threads does with its realisations between two saved times where each of them chooses its steps:
// adaptive_splitting of splitting.hpp, in trials that the realisations of a block take together. A trial is one step of
// 2h, whose result goes to global memory, and two steps of h, whose result stays in shared memory until it is accepted.
// A thread reads of both, and of the state, only points that it wrote itself. Internal linkage.
#pragma once

#include <cmath>
#include <cstdint>

#include "nlse/ensemble_block.hpp"
#include "nlse/step_control.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
struct AdaptiveCall {
    EnsembleCall<T> ensemble;  // without step, tables and flows; `out` is not `in`
    EnsembleFlows flows[2];    // of one step and of two
    double kinetic_time[kMaxStages + 2], potential_time[kMaxStages + 2];  // of each slot's flow, in units of the step
    Interval interval;                                                    // of two steps
    const std::int32_t* order;                                            // that the method has on this problem
    const double* omega;                                                  // [n], at the places of the spectrum
    const T* filter;                                                      // [n], likewise, or null
    const T* loss;                                                        // [batch][n], or [n], or null
    std::uint64_t loss_stride;                                            // between realisations; 0: shared
    Point<T>* coarse;                                                     // [batch][n]
    const double* first;                                                  // [batch]: the step to try first; 0: none yet
    double* next;                                                         // [batch]: the step to try after the interval
};

// Of a field, in shared memory.
struct AdaptiveControl {
    StepPlan::State plan;
    bool active, accepted, failed;
};

// Of a thread's points, of those of several threads, of a field.
struct TrialSums {
    double difference, size;  // of |fine - coarse|^2 and |fine|^2
};

template <class T>
struct AdaptiveMemory {
    Point<T>* field;           // [fields][n]
    TrialSums* sums;           // [threads]
    AdaptiveControl* control;  // [fields]

    FOURFOLD_HOST_DEVICE AdaptiveMemory(const EnsembleLayout& layout, unsigned char* shared)
        : field(reinterpret_cast<Point<T>*>(shared)),
          sums(reinterpret_cast<TrialSums*>(field + layout.fields * layout.n)),
          control(reinterpret_cast<AdaptiveControl*>(sums + layout.threads())) {}
    static std::size_t size(const EnsembleLayout& layout) {
        return std::size_t{layout.fields} * layout.n * sizeof(Point<T>) + layout.threads() * sizeof(TrialSums) +
               layout.fields * sizeof(AdaptiveControl);
    }
};

template <unsigned N>
FOURFOLD_INLINE unsigned field_of_block(const EnsembleLayout& layout, unsigned thread) {
    return N > 0 ? 0 : thread >> layout.log2_threads;
}

// The x space before kinetic flow number k of one step (part 0) or of two (1), number j of those of a trial.
struct TrialFlow {
    unsigned part;
    std::int32_t k;
};
template <class T>
FOURFOLD_INLINE TrialFlow trial_flow(const AdaptiveCall<T>& call, std::int32_t j) {
    const std::int32_t first = call.flows[0].count + 1;
    return {j < first ? 0u : 1u, j < first ? j : j - first};
}

FOURFOLD_INLINE double step_of(const AdaptiveControl& control, unsigned part) {
    return part == 0 ? control.plan.step : control.plan.step / 2;
}

FOURFOLD_INLINE bool finite(double value) { return value - value == 0; }

// The kinetic flow over time() between the last stage there and the first back. As centre() in
// ensemble_block.hpp, with phases computed here.
template <class T, class Time>
FOURFOLD_INLINE void adaptive_centre(const AdaptiveCall<T>& call, const EnsemblePlace& at, Time time,
                                     Point<T>* shared) {
    const unsigned first = in_banks<T>(at.base + 16 * at.thread);
    const T inverse_n = T(1) / static_cast<T>(at.layout.n);
    Complex<T> z[16];
    FOURFOLD_UNROLL(16)
    for (unsigned q = 0; q < 16; ++q) z[q] = loaded(shared + (first ^ q));
    dft<16, T>(z);
    const double tau = time();
    FOURFOLD_UNROLL(16)
    for (int p = 0; p < 16; ++p) {
        const unsigned place = opaque(at.thread) + at.threads * p;  // not read ahead for all points
        const double filter = call.filter == nullptr ? 1.0 : static_cast<double>(call.filter[place]);
        const Complex<T> factor =
            kinetic_factor<T>(call.omega[place], tau, filter, static_cast<double>(inverse_n), 0.0);
        z[p] = times_kinetic(z[p], factor, inverse_n);
    }
    inverse_dft<16, T>(z);
    const unsigned again = opaque(first);
    FOURFOLD_UNROLL(16)
    for (unsigned q = 0; q < 16; ++q) stored(shared + (again ^ q), z[q]);
}

// Without loss, in registers.
template <bool Plain, class T>
FOURFOLD_INLINE void adaptive_potential(const AdaptiveCall<T>& call, const EnsemblePlace& at, double time,
                                        Complex<T>* z) {
    const EnsembleCall<T>& of = call.ensemble;
    const T g = of.nonlinearity[at.field * of.nonlinearity_stride], tau = static_cast<T>(time);
    const T* potential = Plain ? nullptr : of.potential + at.field * of.potential_stride + at.thread;
    FOURFOLD_UNROLL(16)
    for (int e = 0; e < 16; ++e) {
        if constexpr (Plain) {
            z[e] = flow_of_point(z[e], g * tau);
        } else {
            z[e] = flow_of_point(
                z[e], g, tau, true, [&] { return potential[at.threads * e]; }, false, [&] { return Complex<T>{}; });
        }
    }
}

// With loss, point by point through shared memory: exp and expm1 would take the registers of the other points.
template <class T>
FOURFOLD_INLINE void adaptive_loss(const AdaptiveCall<T>& call, const EnsemblePlace& at, double time, Complex<T>* z,
                                   Point<T>* shared) {
    const EnsembleCall<T>& of = call.ensemble;
    const T g = of.nonlinearity[at.field * of.nonlinearity_stride], tau = static_cast<T>(time);
    const T* potential = of.potential == nullptr ? nullptr : of.potential + at.field * of.potential_stride;
    const T* loss = call.loss + at.field * call.loss_stride;
    write_outer(at, z, shared);
    FOURFOLD_ROLLED
    for (unsigned e = 0; e < 16; ++e) {
        const unsigned i = at.thread + at.threads * e;
        Point<T>* here = shared + in_banks<T>(at.base + i);
        stored(here, flow_of_point(
                         loaded(here), g, tau, potential != nullptr, [&] { return potential[i]; }, true,
                         [&] {
                             const Decay decay = decay_over(static_cast<double>(loss[i]), time);
                             return Complex<T>{static_cast<T>(decay.amplitude), static_cast<T>(decay.effective_time)};
                         }));
    }
    read_outer(at, shared, z);
}

template <class T>
FOURFOLD_INLINE TrialSums compared(const AdaptiveCall<T>& call, const EnsemblePlace& at, const Complex<T>* fine) {
    const Point<T>* coarse = call.coarse + at.field * at.layout.n + at.thread;
    TrialSums sums{0, 0};
    FOURFOLD_UNROLL(16)
    for (int e = 0; e < 16; ++e) {
        const Complex<T> z = loaded(coarse + at.threads * e);
        const double re = fine[e].re, im = fine[e].im;
        const double off_re = re - static_cast<double>(z.re), off_im = im - static_cast<double>(z.im);
        sums.difference += off_re * off_re + off_im * off_im;
        sums.size += re * re + im * im;
    }
    return sums;
}

template <unsigned N, class T>
FOURFOLD_INLINE void adaptive_outer(const AdaptiveCall<T>& call, const AdaptiveMemory<T>& memory, unsigned block,
                                    unsigned thread, unsigned part, std::int32_t k) {
    const EnsembleFlows& flows = call.flows[part];
    Complex<T> z[16];
    {
        const EnsemblePlace at = ensemble_place<N>(call.ensemble, block, thread);
        const AdaptiveControl& control = memory.control[field_of_block<N>(at.layout, thread)];
        if (N == 0 && !control.active) return;  // a field that is alone takes trials only as long as it is
        if (k == 0) {
            const Point<T>* state = call.ensemble.out + at.field * at.layout.n + at.thread;
            FOURFOLD_UNROLL(16)
            for (int e = 0; e < 16; ++e) z[e] = loaded(state + at.threads * e);
        } else {
            read_outer(at, memory.field, z);
            outer_stage<true>(call.ensemble, at, z);
        }
        const int slot = flows.potential_before(k);
        if (slot != EnsembleFlows::kNone) {
            const double time = call.potential_time[slot] * step_of(control, part);
            if (call.loss != nullptr) {
                adaptive_loss(call, at, time, z, memory.field);
            } else if (call.ensemble.potential != nullptr) {
                adaptive_potential<false>(call, at, time, z);
            } else {
                adaptive_potential<true>(call, at, time, z);
            }
        }
    }
    const EnsemblePlace at = ensemble_place<N>(call.ensemble, block, thread);
    if (k < flows.count) {
        outer_stage<false>(call.ensemble, at, z);
        write_outer(ensemble_place<N>(call.ensemble, block, thread), z, memory.field);
    } else if (part == 0) {
        Point<T>* coarse = call.coarse + at.field * at.layout.n + at.thread;
        FOURFOLD_UNROLL(16)
        for (int e = 0; e < 16; ++e) stored(coarse + at.threads * e, z[e]);
    } else {
        memory.sums[opaque(thread)] = compared(call, at, z);
        write_outer(ensemble_place<N>(call.ensemble, block, thread), z, memory.field);
    }
}

// Both parts of a trial, in one loop: fewer numbers have to wait in registers.
template <unsigned N, class T, class Block>
FOURFOLD_INLINE void adaptive_trial(Block& block, const AdaptiveCall<T>& call, const AdaptiveMemory<T>& memory) {
    const auto at_of = [&](unsigned thread) { return ensemble_place<N>(call.ensemble, block.index(), thread); };
    const auto control_of = [&](unsigned thread) -> const AdaptiveControl& {
        return memory.control[field_of_block<N>(call.ensemble.layout, thread)];
    };
    const unsigned between = (N > 0 ? ensemble_layout(N).inner : call.ensemble.layout.inner) - 1;  // stages
    FOURFOLD_ROLLED
    for (std::int32_t j = 0;; ++j) {
        block.each([&](unsigned thread) {
            const TrialFlow at = trial_flow(call, opaque(j));
            adaptive_outer<N>(call, memory, block.index(), thread, at.part, at.k);
        });
        const TrialFlow now = trial_flow(call, opaque(j));
        if (now.k == call.flows[now.part].count) {
            if (now.part == 1) return;
            continue;
        }
        FOURFOLD_ROLLED
        for (unsigned stage = 0; stage < between; ++stage) {
            block.each([&](unsigned thread) {
                if (N > 0 || control_of(thread).active)
                    inner_stage<false>(call.ensemble, at_of(thread), stage, memory.field);
            });
        }
        block.each([&](unsigned thread) {
            const AdaptiveControl& control = control_of(thread);
            if (N == 0 && !control.active) return;
            const auto time = [&] {
                const TrialFlow at = trial_flow(call, opaque(j));
                return call.kinetic_time[call.flows[at.part].kinetic_of(at.k)] * step_of(control, at.part);
            };
            adaptive_centre(call, at_of(thread), time, memory.field);
        });
        FOURFOLD_ROLLED
        for (unsigned stage = between; stage-- > 0;) {
            block.each([&](unsigned thread) {
                if (N > 0 || control_of(thread).active)
                    inner_stage<true>(call.ensemble, at_of(thread), stage, memory.field);
            });
        }
    }
}

// The sums of each field's threads, or the largest `size` of them, by a tree; to the field's first thread.
template <bool Largest, class T, class Block>
FOURFOLD_INLINE void gathered(Block& block, const EnsembleLayout& layout, const AdaptiveMemory<T>& memory) {
    FOURFOLD_ROLLED
    for (unsigned half = layout.threads_of_field() / 2; half > 0; half /= 2) {
        block.each([&](unsigned thread) {
            if ((thread & (layout.threads_of_field() - 1)) >= half) return;
            const unsigned own_place = opaque(thread);  // no address waits in a register
            TrialSums& own = memory.sums[own_place];
            const TrialSums other = memory.sums[own_place + half];
            if constexpr (Largest) {
                own.size = std::fmax(own.size, other.size);
            } else {
                own.difference += other.difference;
                own.size += other.size;
            }
        });
    }
}

// out = in, and the fastest turn of phase in x space, as largest_rate of splitting.hpp.
template <class T>
FOURFOLD_INLINE double copied(const EnsembleCall<T>& call, const EnsemblePlace& at) {
    const double strength = std::fabs(static_cast<double>(call.nonlinearity[at.field * call.nonlinearity_stride]));
    const T* potential = call.potential == nullptr ? nullptr : call.potential + at.field * call.potential_stride;
    double largest = 0;
    FOURFOLD_ROLLED
    for (unsigned e = 0; e < 16; ++e) {
        const unsigned i = at.thread + at.threads * e;
        const Complex<T> z = loaded(call.in + at.field * at.layout.n + i);
        stored(call.out + at.field * at.layout.n + i, z);
        const double re = z.re, im = z.im;
        const double turn = potential == nullptr ? 0.0 : std::fabs(static_cast<double>(potential[i]));
        largest = std::fmax(largest, strength * (re * re + im * im) + turn);
    }
    return largest;
}

// The state of a field whose next trial is planned, if there is one.
FOURFOLD_INLINE void go_on(AdaptiveControl& control, const StepPlan& plan) {
    control.plan = plan.state();
    control.failed = !plan.done() && plan.at_floor();
    control.active = !plan.done() && !control.failed;
}

template <class T>
FOURFOLD_INLINE void first_plan(const AdaptiveCall<T>& call, std::uint64_t field, double rate,
                                AdaptiveControl& control) {
    const double before = call.first[field];
    const double first = rate > 0 ? 0.1 / rate : call.interval.t1 - call.interval.t0;
    go_on(control, StepPlan(call.interval, *call.order + 1, 2 * (before > 0 ? before : first)));
}

template <class T>
FOURFOLD_INLINE void judge(const AdaptiveCall<T>& call, TrialSums sums, AdaptiveControl& control) {
    const double mean = 1.0 / static_cast<double>(call.ensemble.layout.n);
    const int order = *call.order;
    const double richardson = static_cast<double>((1 << order) - 1);
    double ratio = HUGE_VAL;  // of the estimated error to the tolerated one
    if (finite(sums.size)) {
        ratio = std::sqrt(sums.difference * mean) /
                (richardson * (call.interval.atol + call.interval.rtol * std::sqrt(sums.size * mean)));
    }
    StepPlan plan(call.interval, order + 1, control.plan);
    control.accepted = ratio <= 1;
    if (control.accepted) {
        plan.accepted(ratio);
    } else {
        plan.rejected(ratio);
    }
    go_on(control, plan);
}

// `shared`: AdaptiveMemory<T>::size().
template <unsigned N, class T, class Block>
FOURFOLD_INLINE void adaptive_block(Block& block, const AdaptiveCall<T>& call, unsigned char* shared) {
    const EnsembleLayout layout = N > 0 ? ensemble_layout(N > 0 ? N : 32) : call.ensemble.layout;
    const AdaptiveMemory<T> memory(layout, shared);
    const auto at_of = [&](unsigned thread) { return ensemble_place<N>(call.ensemble, block.index(), thread); };
    const auto control_of = [&](unsigned thread) -> AdaptiveControl& {
        return memory.control[field_of_block<N>(layout, thread)];
    };
    block.each([&](unsigned thread) {
        const EnsemblePlace at = at_of(thread);
        memory.sums[opaque(thread)].size = at.valid ? copied(call.ensemble, at) : 0.0;
    });
    gathered<true>(block, layout, memory);
    block.each([&](unsigned thread) {
        const EnsemblePlace at = at_of(thread);
        if (at.thread > 0) return;
        AdaptiveControl& control = control_of(thread);
        control.active = control.accepted = control.failed = false;
        if (at.valid) first_plan(call, at.field, memory.sums[opaque(thread)].size, control);
    });
    const auto busy = [&] {
        bool any = false;
        FOURFOLD_ROLLED
        for (unsigned i = 0; i < layout.fields; ++i) any = any || memory.control[i].active;
        return any;
    };
    FOURFOLD_ROLLED
    while (busy()) {
        adaptive_trial<N>(block, call, memory);
        gathered<false>(block, layout, memory);
        block.each([&](unsigned thread) {
            if (at_of(thread).thread > 0) return;
            AdaptiveControl& control = control_of(thread);
            control.accepted = false;
            if (control.active) judge(call, memory.sums[opaque(thread)], control);
        });
        block.each([&](unsigned thread) {
            if (!control_of(thread).accepted) return;
            const EnsemblePlace at = at_of(thread);
            Point<T>* state = call.ensemble.out + at.field * at.layout.n + at.thread;
            FOURFOLD_UNROLL(16)
            for (unsigned e = 0; e < 16; ++e) {
                stored(state + at.threads * e,
                       loaded(memory.field + in_banks<T>(at.base + at.thread + at.threads * e)));
            }
        });
    }
    block.each([&](unsigned thread) {
        const EnsemblePlace at = at_of(thread);
        if (!at.valid) return;
        const AdaptiveControl& control = control_of(thread);
        if (at.thread == 0) call.next[at.field] = control.plan.proposal / 2;
        if (!control.failed) return;
        const T nan = SinCosConstants<T>::nan;
        Point<T>* state = call.ensemble.out + at.field * at.layout.n + at.thread;
        FOURFOLD_ROLLED
        for (unsigned e = 0; e < 16; ++e) stored(state + at.threads * e, Complex<T>{nan, nan});
    });
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
