// Families of functions of u = (x - centre) scale: value and slope. Included by kernel sources only.
#pragma once

#include "kan/bases.hpp"
#include "support/lanes.hpp"
#include "support/sincos.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// Beyond it every family is 0 in double precision, too; cut there, u^2 cannot overflow. NaN stays NaN.
inline constexpr int kFarOut = 60;

template <class T, int V, kan::Function F>
FOURFOLD_INLINE void evaluate(Lanes<T, V> u, Lanes<T, V>& value, Lanes<T, V>& slope) {
    using Vec = Lanes<T, V>;
    const Vec zero{};
    u = u > T(kFarOut) ? zero + T(kFarOut) : u;
    u = u < T(-kFarOut) ? zero - T(kFarOut) : u;
    const Vec square = u * u;
    if constexpr (F == kan::Function::bump) {
        const Vec inside = T(1) - square;
        const Vec positive = inside <= T(0) ? zero : inside;
        value = positive * positive;
        slope = T(-4) * u * positive;
    } else if constexpr (F == kan::Function::gaussian) {
        value = exp_of_negative<T, V>(-square);
        slope = T(-2) * u * value;
    } else {
        const Vec envelope = exp_of_negative<T, V>(T(-0.5) * square);
        if constexpr (F == kan::Function::mexican_hat) {
            constexpr T norm = T(0.86732507058407751832);  // 2 / (sqrt 3 pi^(1/4)): unit L2 norm
            value = norm * (T(1) - square) * envelope;
            slope = norm * u * (square - T(3)) * envelope;
        } else if constexpr (F == kan::Function::morlet) {
            Vec cosine_minus_1, sine;
            sincos<T, V>(T(5) * u, zero, cosine_minus_1, sine);
            value = (T(1) + cosine_minus_1) * envelope;
            slope = -(T(5) * sine * envelope + u * value);
        } else {  // dog: first derivative of a Gaussian
            value = -u * envelope;
            slope = (square - T(1)) * envelope;
        }
    }
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
