// The tables of one step size, an entry a thread. Internal linkage.
#pragma once

#include <cmath>

#include "nlse/ensemble_call.hpp"
#include "nlse/flow_formula.hpp"
#include "support/sincos_formula.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
struct EnsembleTables {
    EnsembleLayout layout;
    int kinetic_slots, potential_slots;
    double kinetic_time[kMaxStages + 2], potential_time[kMaxStages + 2];  // of each slot's flow
    const double* omega;                                                  // [n], FFT order
    const T* filter;                                                      // [n], FFT order, or null
    const T* loss;                                                        // [rows][n], or null
    std::uint64_t rows;                                                   // of the loss
    Point<T>* kinetic;                                                    // as in EnsembleCall
    Point<T>* decay;                                                      // [slot][rows][n]

    FOURFOLD_HOST_DEVICE std::uint64_t kinetic_entries() const {
        return static_cast<std::uint64_t>(kinetic_slots) * layout.n;
    }
    FOURFOLD_HOST_DEVICE std::uint64_t decay_entries() const {
        return loss == nullptr ? 0 : static_cast<std::uint64_t>(potential_slots) * rows * layout.n;
    }
};

// Rounded before anything is added to it: the compiler may not fuse it into the sum.
FOURFOLD_INLINE double rounded_product(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

template <class T>
FOURFOLD_INLINE void kinetic_entry(const EnsembleTables<T>& tables, std::uint64_t entry) {
    const auto place = static_cast<unsigned>(entry % tables.layout.n);
    const unsigned at = tables.layout.frequency(place);
    const double omega = tables.omega[at], tau = tables.kinetic_time[entry / tables.layout.n];
    const double angle = -rounded_product(omega, tau), rest = -std::fma(omega, tau, angle);
    double cosine_minus_1, sine;
    sincos_of<double, std::int64_t, true>(angle, rest, cosine_minus_1, sine);
    const double scale = tables.filter == nullptr ? 1.0 : static_cast<double>(tables.filter[at]);
    const Complex<double> factor = phase_factor<1>(scale, cosine_minus_1, sine, 1.0 / tables.layout.n, 0.0);
    stored(tables.kinetic + entry, Complex<T>{static_cast<T>(factor.re), static_cast<T>(factor.im)});
}

template <class T>
FOURFOLD_INLINE void decay_entry(const EnsembleTables<T>& tables, std::uint64_t entry) {
    const std::uint64_t slot = tables.rows * tables.layout.n;
    const Decay here = decay_over(static_cast<double>(tables.loss[entry % slot]), tables.potential_time[entry / slot]);
    stored(tables.decay + entry, Complex<T>{static_cast<T>(here.amplitude), static_cast<T>(here.effective_time)});
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
