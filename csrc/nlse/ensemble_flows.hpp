// In which order an ensemble's kernel applies the flows of a splitting: a plain form of SplittingProgram, small enough
// for a kernel's arguments, as a chain of kinetic flows with potential flows between them.
#pragma once

#include <cstdint>

#include "nlse/schemes.hpp"
#include "support/host_device.hpp"

namespace fourfold::nlse {

struct EnsembleFlows {
    static constexpr std::int8_t kNone = -1;

    bool kinetic_first;
    std::int8_t stages, joined;
    std::int8_t kinetic[kMaxStages + 1], potential[kMaxStages + 1];  // slots, as in SplittingProgram
    std::int32_t count;                                              // of kinetic flows in all steps

    // The kinetic flow number k, and the potential flow before it; k = count stands for the end.
    FOURFOLD_HOST_DEVICE std::int8_t kinetic_of(std::int32_t k) const {
        const int i = k % stages;
        if (!kinetic_first || i > 0 || k == 0) return kinetic[i];
        return k + 1 < count ? joined : kinetic[stages];
    }
    FOURFOLD_HOST_DEVICE std::int8_t potential_before(std::int32_t k) const {
        const int i = k % stages;
        if (kinetic_first) return k == 0 || k == count ? kNone : potential[i == 0 ? stages - 1 : i - 1];
        if (k == count) return potential[stages];
        return i == 0 && k > 0 ? joined : potential[i];
    }
};

inline EnsembleFlows ensemble_flows(const SplittingProgram& program, std::int32_t steps) {
    EnsembleFlows flows{};
    flows.kinetic_first = program.kinetic_first;
    flows.stages = static_cast<std::int8_t>(program.stages);
    flows.joined = static_cast<std::int8_t>(program.joined_slot);
    for (int i = 0; i <= program.stages; ++i) {
        flows.kinetic[i] = static_cast<std::int8_t>(program.kinetic_slot[i]);
        flows.potential[i] = static_cast<std::int8_t>(program.potential_slot[i]);
    }
    flows.count = steps * program.stages + (program.kinetic_first ? 1 : 0);
    return flows;
}

}  // namespace fourfold::nlse
