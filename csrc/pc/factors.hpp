// What the passes on the CPU and on a GPU share besides their formulas.
#pragma once

#include <cstddef>

namespace fourfold::pc {

// Up to this many factors a node's likelihood is a plain product: messages and learnt tables keep well above 2^-40 of
// their largest entry. More of them, as in a mixture with thousands of leaves, carry an exponent for every state.
inline constexpr std::size_t kPlainFactors = 3;

// A message below this fraction of its largest entry counts as impossible when the parent's posterior is divided by
// it: the quotient, and sums of quotients over a batch, stay finite.
inline constexpr float kSmallestMessage = 0x1p-110f;

}  // namespace fourfold::pc
