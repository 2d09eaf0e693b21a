// The discrete adjoint of the flows of field_flows.hpp (adjoint.hpp has the formulas): one pass each over a cotangent
// in global memory. Each sum over flows is a number that one thread changes, for it has the same points at every flow.
// Internal linkage.
#pragma once

#include "nlse/ensemble_adjoint.hpp"
#include "nlse/field_flows.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// Threads that have points of the same row.
FOURFOLD_HOST_DEVICE inline unsigned threads_of_row(const FieldShape& shape) {
    return shape.blocks_of_row << shape.log2_width;
}

template <class T>
struct FieldPotentialAdjoint {
    FieldShape shape;
    int slot;
    // One flow: `fields` is [batch][n], before it, call.out the cotangent, and sum_nonlinearity has a row of
    // threads_of_row() numbers a realisation.
    EnsembleAdjoint<T> way;
};

template <bool Plain, class T>
FOURFOLD_INLINE void field_potential_adjoint(const FieldPotentialAdjoint<T>& flow, unsigned across, unsigned down,
                                             unsigned thread) {
    const FieldPlace at = field_place<T>(flow.shape, across, down, thread);
    const EnsembleAdjoint<T>& way = flow.way;
    const auto column = static_cast<unsigned>(at.column);
    const unsigned n = way.call.layout.n;
    Complex<T> psi[kColumns<T>], z[kColumns<T>];
    FOURFOLD_ROLLED
    for (std::uint64_t row = at.row; row < flow.shape.rows; row += at.rows_on) {
        AdjointFlowAt<T> here =
            adjoint_flow_at(way, EnsemblePlace{way.call.layout, column, at.width, 0, row, true}, flow.slot, way.first);
        Point<T>* lambda = way.call.out + here.points;
        FOURFOLD_UNROLL(4)
        for (unsigned e = 0; e < kColumns<T>; ++e) {
            if (column + at.width * e >= n) continue;
            psi[e] = loaded(here.psi + at.width * e);
            z[e] = loaded(lambda + at.width * e);
        }
        FOURFOLD_UNROLL(4)
        for (unsigned e = 0; e < kColumns<T>; ++e) {
            if (column + at.width * e >= n) continue;
            stored(lambda + at.width * e, adjoint_point<Plain>(way, here, at.width * e, psi[e], z[e]));
        }
        if constexpr (!Plain) {
            if (way.sum_nonlinearity != nullptr) {
                const unsigned own = (across << flow.shape.log2_width) + (thread & (at.width - 1));
                way.sum_nonlinearity[row * threads_of_row(flow.shape) + own] += here.turns;
            }
        }
    }
}

// `flow.psi`: the transform of the cotangent behind the flow.
template <class T>
struct FieldKineticAdjoint {
    FieldKinetic<T> flow;
    T tau;
    const Point<T>* spectrum;  // [rows][n], of the field behind the flow, over n; with sum_omega
    double* sum_omega;         // [rows][n], FFT order; or null
};

template <class T>
FOURFOLD_INLINE void field_kinetic_adjoint(const FieldKineticAdjoint<T>& way, unsigned across, unsigned down,
                                           unsigned thread) {
    field_kinetic<true>(way.flow, across, down, thread, [&](std::uint64_t i, Complex<T> lambda) {
        if (way.sum_omega == nullptr) return;
        way.sum_omega[i] -= static_cast<double>(way.tau * phase_pull(loaded(way.spectrum + i), lambda));
    });
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
