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

// Calls work.operator()<F>() for a family.
template <class Work>
FOURFOLD_INLINE void with_family(kan::Function function, Work work) {
    using kan::Function;
    switch (function) {
        case Function::gaussian: return work.template operator()<Function::gaussian>();
        case Function::mexican_hat: return work.template operator()<Function::mexican_hat>();
        case Function::morlet: return work.template operator()<Function::morlet>();
        case Function::dog: return work.template operator()<Function::dog>();
        case Function::bump: return work.template operator()<Function::bump>();
        default: return;
    }
}

// T_j or U_j of x, j = 0, 1, ..: both have the recurrence P_(j+1) = 2 x P_j - P_(j-1).
template <class Vec>
struct Chebyshev {
    Vec x, before, now;

    // T_(-1) = T_1 = x
    FOURFOLD_INLINE static Chebyshev first_kind(Vec x) { return {x, x, Vec{} + 1}; }
    FOURFOLD_INLINE static Chebyshev second_kind(Vec x) { return {x, Vec{}, Vec{} + 1}; }
    FOURFOLD_INLINE void advance() {
        const Vec next = 2 * x * now - before;
        before = now;
        now = next;
    }
};

// cos(j x) and sin(j x), j = 1, 2, ..: turned by x once more each time.
template <class Vec>
struct Turns {
    Vec c1, s1, c, s;

    FOURFOLD_INLINE void begin() {
        c = c1;
        s = s1;
    }
    FOURFOLD_INLINE void advance() {
        const Vec turned = c * c1 - s * s1;
        s = c * s1 + s * c1;
        c = turned;
    }
};

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
