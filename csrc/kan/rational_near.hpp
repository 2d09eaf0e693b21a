// The arithmetic of a rational function in SIMD vectors of one ISA level. Internal linkage: included by kernel sources
// only.
#pragma once

#include "kan/pack_storage.hpp"
#include "kan/rational_formula.hpp"
#include "kan/rational_kernels.hpp"
#include "kan/reciprocal.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class S>
FOURFOLD_INLINE typename Vector<S>::type splat(typename Vector<S>::T value) {
    return value - typename Vector<S>::type{};  // not 0 + value, which an optimiser must compute: it turns -0 into 0
}

// What of the formula is the same for a whole call. `Absolute` is variant A.
template <class S, bool Absolute>
struct Formula {
    static constexpr bool absolute = Absolute;
    using Vec = typename Vector<S>::type;
    using Int = typename Vector<S>::Integers;
    using Bits = typename IntegerOf<typename Vector<S>::T>::type;
    static constexpr Bits kSign = static_cast<Bits>(Bits{1} << (sizeof(Bits) * 8 - 1));

    Vec constant;
    Int folds;  // the sign bit if W is folded, else 0

    explicit Formula(const PreparedRational<typename Vector<S>::T>& rational)
        : constant(splat<S>(rational.constant)), folds(Int{} + (rational.folded ? kSign : Bits{0})) {}

    static Vec magnitude(Vec x) { return same_bits<Vec>(same_bits<Int>(x) & ~kSign); }
    static Vec with_sign(Vec x, Int sign) { return same_bits<Vec>(same_bits<Int>(x) ^ sign); }
    // v sgn(x)
    static Vec signed_as(Vec v, Vec x) { return FOURFOLD_LEVEL::signed_as(v, x); }
    static Vec variable(Vec x) {
        if constexpr (Absolute) return magnitude(x);
        return x;
    }
    // Sign bits to flip where W is folded over; zero counts as positive.
    Int fold(Vec w) const { return (w < 0) & folds; }
    Vec denominator(Vec w) const {
        if constexpr (Absolute) return w;
        return constant + with_sign(w, fold(w));
    }
    // p/Q. Without `Absolute` Q may be anything, 0 and denormal numbers included.
    Vec divided(Vec p, Vec w) const {
        if constexpr (Absolute) return quotient(p, w);
        return p / denominator(w);
    }
    Vec inverse_of_denominator(Vec w) const {
        if constexpr (Absolute) return reciprocal(w);
        return 1 / denominator(w);
    }
};

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
