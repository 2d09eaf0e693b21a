// From an ensemble and addresses to the arguments of the adjoint's kernels. Internal linkage: included by GPU sources
// and tests.
#pragma once

#include "nlse/ensemble_adjoint.hpp"
#include "nlse/ensemble_adjoint_cuda.hpp"
#include "nlse/ensemble_launch.hpp"
#include "nlse/ensemble_record.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
EnsembleCall<T> call_of(const cuda::Ensemble& ensemble, const cuda::Stretch& stretch, const void* in, void* out,
                        const cuda::Coefficients& given) {
    return call_of<T>(ensemble, stretch.step, static_cast<std::int32_t>(stretch.steps), in, out, given.nonlinearity,
                      given.potential, given.twiddles, given.tables);
}

template <class T>
EnsembleRecord<T> record_of(const cuda::Ensemble& ensemble, const cuda::Stretch& stretch, const void* psi, void* fields,
                            void* spectra, void* out, const cuda::Coefficients& given) {
    return {call_of<T>(ensemble, stretch, psi, out, given), static_cast<std::int32_t>(stretch.first),
            static_cast<std::int32_t>(stretch.last), static_cast<Point<T>*>(fields), static_cast<Point<T>*>(spectra)};
}

template <class T>
EnsembleAdjoint<T> adjoint_of(const cuda::Ensemble& ensemble, const cuda::Stretch& stretch, void* cotangent,
                              const void* fields, const void* spectra, const void* slopes,
                              const cuda::AdjointSums& sums, const cuda::Coefficients& given) {
    EnsembleAdjoint<T> way{};
    way.call = call_of<T>(ensemble, stretch, cotangent, cotangent, given);
    way.first = static_cast<std::int32_t>(stretch.first);
    way.last = static_cast<std::int32_t>(stretch.last);
    way.fields = static_cast<const Point<T>*>(fields);
    way.spectra = static_cast<const Point<T>*>(spectra);
    way.slopes = static_cast<const T*>(slopes);
    way.sum_nonlinearity = sums.nonlinearity;
    way.sum_potential = sums.potential;
    way.sum_loss = sums.loss;
    way.sum_omega = sums.omega;
    for (int slot = 0; slot < kMaxStages + 2; ++slot) {
        way.kinetic_tau[slot] = static_cast<T>(ensemble.program.kinetic[slot] * stretch.step);
    }
    return way;
}

template <class T>
EnsembleSlopes<T> slopes_of(const cuda::Ensemble& ensemble, double step, const void* loss, void* slopes) {
    EnsembleSlopes<T> tables{};
    for (int slot = 0; slot < kMaxStages + 2; ++slot) {
        tables.potential_time[slot] = ensemble.program.potential[slot] * step;
    }
    tables.loss = static_cast<const T*>(loss);
    tables.slopes = static_cast<T*>(slopes);
    tables.slot_size = loss_rows(ensemble) * ensemble.n;
    tables.entries = tables.slot_size * ensemble.program.potential_slots;
    return tables;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
