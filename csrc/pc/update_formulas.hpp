// How counts change a table, entry by entry; see UpdateRule. Internal linkage.
#pragma once

#include "pc/passes.hpp"
#include "support/host_device.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

// The moving average of the counts, and what it stands for.
FOURFOLD_INLINE float moved_average(const UpdateRule& rule, float average, float count) {
    const float keep = rule.momentum, add = 1.0f - rule.momentum;
    return keep * average + add * count;
}
FOURFOLD_INLINE float corrected(const UpdateRule& rule, float average) { return (1.0f / rule.correction) * average; }

// Of one table.
struct Moves {
    float prior, take, stay;
};
FOURFOLD_INLINE Moves moves_of(const UpdateRule& rule, std::size_t values) {
    return {rule.pseudocount / static_cast<float>(values), rule.rescaled ? rule.step : 1.0f,
            rule.rescaled ? 0.0f : 1.0f - rule.step};
}
// How much of the old probabilities goes into the counts of a distribution.
FOURFOLD_INLINE float kept_of(const UpdateRule& rule, float weight) {
    return rule.rescaled ? (1.0f - rule.step) * weight : 0.0f;
}
FOURFOLD_INLINE float posterior_count(float keep, float old, const Moves& moves, float count) {
    return keep * old + moves.take * count + moves.prior;
}

// Given the total of a distribution's counts: its new probabilities are keep * old + scale * count. One without counts
// stays as it is.
struct Share {
    float keep, scale;
};
FOURFOLD_INLINE Share share_of(const Moves& moves, float total) {
    const bool seen = total > 0.0f;
    return {seen ? moves.stay : 1.0f, seen ? (1.0f - moves.stay) / total : 0.0f};
}
FOURFOLD_INLINE float new_probability(float keep, float scale, float old, float count) {
    return keep * old + scale * count;
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
