// The tables of one step size, an entry a thread. Internal linkage.
#pragma once

#include "nlse/ensemble_call.hpp"
#include "nlse/point_flow.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
struct EnsembleTables {
    EnsembleLayout layout;
    bool natural;  // the spectrum in the order of the FFT, not in that of the layout
    int kinetic_slots, potential_slots;
    double kinetic_time[kMaxStages + 2], potential_time[kMaxStages + 2];  // of each slot's flow
    const double* omega;                                                  // [n], FFT order
    const T* filter;                                                      // [n], FFT order, or null
    const T* loss;                                                        // [rows][n], or null
    std::uint64_t rows;                                                   // of the loss
    Point<T>* kinetic;                                                    // as in EnsembleCall, if not natural
    Point<T>* decay;                                                      // [slot][rows][n]

    FOURFOLD_HOST_DEVICE std::uint64_t kinetic_entries() const {
        return static_cast<std::uint64_t>(kinetic_slots) * layout.n;
    }
    FOURFOLD_HOST_DEVICE std::uint64_t decay_entries() const {
        return loss == nullptr ? 0 : static_cast<std::uint64_t>(potential_slots) * rows * layout.n;
    }
};

template <class T>
FOURFOLD_INLINE void kinetic_entry(const EnsembleTables<T>& tables, std::uint64_t entry) {
    const auto place = static_cast<unsigned>(entry % tables.layout.n);
    const unsigned at = tables.natural ? place : tables.layout.frequency(place);
    const double n = tables.layout.n, high = static_cast<double>(T(1) / static_cast<T>(n));
    const double filter = tables.filter == nullptr ? 1.0 : static_cast<double>(tables.filter[at]);
    stored(tables.kinetic + entry, kinetic_factor<T>(tables.omega[at], tables.kinetic_time[entry / tables.layout.n],
                                                     filter, high, -std::fma(high, n, -1.0) / n));
}

template <class T>
FOURFOLD_INLINE void decay_entry(const EnsembleTables<T>& tables, std::uint64_t entry) {
    const std::uint64_t slot = tables.rows * tables.layout.n;
    const Decay here = decay_over(static_cast<double>(tables.loss[entry % slot]), tables.potential_time[entry / slot]);
    stored(tables.decay + entry, Complex<T>{static_cast<T>(here.amplitude), static_cast<T>(here.effective_time)});
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
