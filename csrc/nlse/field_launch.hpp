// From an ensemble and addresses to the arguments of the flows in global memory and of their adjoints. Internal
// linkage: included by GPU sources and tests.
#pragma once

#include "nlse/ensemble_adjoint_launch.hpp"
#include "nlse/field_adjoint.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
FieldKinetic<T> kinetic_of(const cuda::Ensemble& ensemble, const FieldShape& shape, int slot, void* psi,
                           const void* tables) {
    return {shape, static_cast<const Point<T>*>(tables) + static_cast<std::uint64_t>(slot) * ensemble.n,
            static_cast<Point<T>*>(psi)};
}

template <class T>
FieldPotential<T> potential_of(const cuda::Ensemble& ensemble, const FieldShape& shape, int slot, double step,
                               const void* psi, void* out, const void* nonlinearity, const void* potential,
                               const void* tables) {
    const EnsembleCall<T> call = call_of<T>(ensemble, step, 0, psi, out, nonlinearity, potential, nullptr, tables);
    const Point<T>* decay = call.decay == nullptr ? nullptr : call.decay + slot * call.decay_slot;
    return {shape,
            call.tau[slot],
            call.in,
            call.out,
            call.nonlinearity,
            call.potential,
            decay,
            call.nonlinearity_stride,
            call.potential_stride,
            call.decay_stride};
}

template <class T>
FieldPotentialAdjoint<T> potential_adjoint_of(const cuda::Ensemble& ensemble, const FieldShape& shape, int slot,
                                              double step, const void* psi, void* cotangent, const void* slopes,
                                              const cuda::AdjointSums& sums, const cuda::Coefficients& given) {
    return {shape, slot, adjoint_of<T>(ensemble, {step, 1, 0, 1}, cotangent, psi, nullptr, slopes, sums, given)};
}

template <class T>
FieldKineticAdjoint<T> kinetic_adjoint_of(const cuda::Ensemble& ensemble, const FieldShape& shape, int slot,
                                          double step, void* cotangent, const void* spectrum, double* sum_omega,
                                          const void* tables) {
    return {kinetic_of<T>(ensemble, shape, slot, cotangent, tables),
            static_cast<T>(ensemble.program.kinetic[slot] * step), static_cast<const Point<T>*>(spectrum), sum_omega};
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
