// sincos_of (sincos_formula.hpp) of SIMD lanes.
#pragma once

#include "support/simd.hpp"
#include "support/sincos_formula.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

template <class T, int V, bool HasLow = false>
FOURFOLD_INLINE void sincos(Lanes<T, V> angle, Lanes<T, V> low, Lanes<T, V>& cosine_minus_1, Lanes<T, V>& sine) {
    using Int = Lanes<typename IntegerOf<T>::type, V>;
    sincos_of<T, Int, HasLow>(angle, low, cosine_minus_1, sine);
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
