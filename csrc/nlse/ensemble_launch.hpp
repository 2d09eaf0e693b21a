// From an ensemble and addresses to the kernels' arguments. Internal linkage: included by GPU sources and tests.
#pragma once

#include "nlse/ensemble_block.hpp"
#include "nlse/ensemble_cuda.hpp"
#include "nlse/ensemble_tables.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// Complex numbers of the tables: kinetic, then those of the loss.
inline std::uint64_t kinetic_entries_of(const cuda::Ensemble& ensemble) {
    return static_cast<std::uint64_t>(ensemble.program.kinetic_slots) * ensemble.n;
}
inline std::uint64_t loss_rows(const cuda::Ensemble& ensemble) { return ensemble.shared_loss ? 1 : ensemble.batch; }
inline std::uint64_t entries_of(const cuda::Ensemble& ensemble) {
    std::uint64_t entries = kinetic_entries_of(ensemble);
    if (ensemble.lossy) entries += ensemble.program.potential_slots * loss_rows(ensemble) * ensemble.n;
    return entries;
}

inline EnsembleLayout layout_of(const cuda::Ensemble& ensemble) {
    const auto n = static_cast<unsigned>(ensemble.n);
    return ensemble.natural ? EnsembleLayout{n, 0, 0, 0, 0} : ensemble_layout(n);
}

template <class T>
EnsembleTables<T> tables_of(const cuda::Ensemble& ensemble, double step, const double* omega, const void* filter,
                            const void* loss, void* tables) {
    EnsembleTables<T> all{};
    all.layout = layout_of(ensemble);
    all.natural = ensemble.natural;
    all.kinetic_slots = ensemble.program.kinetic_slots;
    all.potential_slots = ensemble.program.potential_slots;
    for (int slot = 0; slot < kMaxStages + 2; ++slot) {
        all.kinetic_time[slot] = ensemble.program.kinetic[slot] * step;
        all.potential_time[slot] = ensemble.program.potential[slot] * step;
    }
    all.omega = omega;
    all.filter = static_cast<const T*>(filter);
    all.loss = static_cast<const T*>(loss);
    all.rows = loss_rows(ensemble);
    all.kinetic = static_cast<Point<T>*>(tables);
    all.decay = all.kinetic + kinetic_entries_of(ensemble);
    return all;
}

template <class T>
EnsembleCall<T> call_of(const cuda::Ensemble& ensemble, double step, std::int32_t steps, const void* psi, void* out,
                        const void* nonlinearity, const void* potential, const void* twiddles, const void* tables) {
    EnsembleCall<T> call{};
    call.layout = layout_of(ensemble);
    call.flows = ensemble_flows(ensemble.program, steps);
    call.batch = ensemble.batch;
    for (int slot = 0; slot < kMaxStages + 2; ++slot) {
        call.tau[slot] = static_cast<T>(ensemble.program.potential[slot] * step);
    }
    call.in = static_cast<const Point<T>*>(psi);
    call.out = static_cast<Point<T>*>(out);
    call.twiddles = static_cast<const Point<T>*>(twiddles);
    call.kinetic = static_cast<const Point<T>*>(tables);
    call.nonlinearity = static_cast<const T*>(nonlinearity);
    call.nonlinearity_stride = ensemble.shared_nonlinearity ? 0 : 1;
    call.potential = static_cast<const T*>(potential);
    call.potential_stride = ensemble.shared_potential ? 0 : ensemble.n;
    if (ensemble.lossy) {
        call.decay = call.kinetic + kinetic_entries_of(ensemble);
        call.decay_slot = loss_rows(ensemble) * ensemble.n;
        call.decay_stride = ensemble.shared_loss ? 0 : ensemble.n;
    }
    return call;
}

template <class Work>
void with_precision(const cuda::Ensemble& ensemble, Work work) {
    if (ensemble.single) return work.template operator()<float>();
    work.template operator()<double>();
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
