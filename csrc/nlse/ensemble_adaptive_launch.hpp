// From an ensemble and addresses to the arguments of the adaptive kernel. Internal linkage: included by GPU sources and
// tests.
#pragma once

#include <limits>

#include "nlse/ensemble_adaptive.hpp"
#include "nlse/ensemble_adaptive_cuda.hpp"
#include "nlse/ensemble_launch.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
AdaptiveCall<T> adaptive_call_of(const cuda::Ensemble& ensemble, const cuda::AdaptiveMedium& medium,
                                 cuda::Tolerances tolerances, double duration, double smallest, const void* psi,
                                 void* out, void* coarse, const double* first, double* next) {
    cuda::Ensemble without_tables = ensemble;
    without_tables.lossy = false;
    AdaptiveCall<T> call{};
    call.ensemble =
        call_of<T>(without_tables, 0, 0, psi, out, medium.nonlinearity, medium.potential, medium.twiddles, nullptr);
    call.flows[0] = ensemble_flows(ensemble.program, 1);
    call.flows[1] = ensemble_flows(ensemble.program, 2);
    for (int slot = 0; slot < kMaxStages + 2; ++slot) {
        call.kinetic_time[slot] = ensemble.program.kinetic[slot];
        call.potential_time[slot] = ensemble.program.potential[slot];
    }
    call.interval.t1 = duration;
    call.interval.rtol = tolerances.rtol;
    call.interval.atol = tolerances.atol;
    call.interval.max_step = std::numeric_limits<double>::infinity();
    call.interval.min_step = 2 * smallest;
    call.order = medium.order;
    call.omega = medium.omega;
    call.filter = static_cast<const T*>(medium.filter);
    call.loss = static_cast<const T*>(medium.loss);
    call.loss_stride = ensemble.shared_loss ? 0 : ensemble.n;
    call.coarse = static_cast<Point<T>*>(coarse);
    call.first = first;
    call.next = next;
    return call;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
