// Which instruction-set level the kernels run at.
#pragma once

#include <vector>

namespace fourfold::isa {

// In the order of what they demand. Without x86 there is only `baseline`.
enum class Level : int { baseline = 0, v3 = 1, v4 = 2 };

const char* name(Level level);

// The levels in this build, in ascending order. Not all of them need run on this CPU.
const std::vector<Level>& built_levels();

// Whether this CPU and its operating system run code of that level.
bool supported(Level level);

// The level in use: FOURFOLD_ISA if it is set, else the highest that is built and supported. Decided at the first
// call and fixed from then on. Throws std::invalid_argument if FOURFOLD_ISA names no level that can run here.
Level level();

}  // namespace fourfold::isa
