// The splitting schemes, written out as the flows of one step.
#pragma once

#include <string>

namespace fourfold::nlse {

inline constexpr int kMaxStages = 16;

// One step alternates kinetic and potential flows; the flow that ends a step and the one that begins the next are of
// the same kind and are taken together ("joined"). Durations are in units of the step; equal ones share a slot, because
// each slot costs a table.
struct SplittingProgram {
    bool kinetic_first;                  // ABA: kinetic, potential, ..., kinetic. Otherwise potential first (BAB).
    int stages;                          // the number of flows of the inner kind; the outer kind has one more
    int kinetic_slots, potential_slots;  // distinct durations
    double kinetic[kMaxStages + 2];
    double potential[kMaxStages + 2];
    int kinetic_slot[kMaxStages + 1];  // slot of the i-th kinetic flow of a step
    int potential_slot[kMaxStages + 1];
    // Time goes on with the kinetic flows and stands still during the potential ones: when each of these takes place,
    // in units of the step from its beginning.
    double potential_time[kMaxStages + 1];
    int joined_slot;    // slot (of the outer kind) of last + first
    int order;          // for quadratic dispersion and no loss
    int order_general;  // otherwise
};

// strang, yoshida4, rkn4_6b, rkn6_11b, rkn6_14a; throws std::invalid_argument otherwise.
SplittingProgram splitting_program(const std::string& name);

}  // namespace fourfold::nlse
