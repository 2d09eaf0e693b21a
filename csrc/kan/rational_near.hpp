// One SIMD vector of a rational function and of its gradients, in Horner's form: for |x| up to the limit of its group.
// Internal linkage: included by kernel sources only.
#pragma once

#include "kan/rational_kernels.hpp"
#include "kan/storage.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class S>
FOURFOLD_INLINE typename Vector<S>::type splat(typename Vector<S>::T value) {
    return value - typename Vector<S>::type{};  // not 0 + value, which an optimiser must compute: it turns -0 into 0
}

// Degrees that are known when this is compiled, or (M < 0) only at run time.
template <int M, int N>
struct Degrees {
    static constexpr bool fixed = true;
    static constexpr int m = M, n = N;
    static constexpr int m_size = M + 1, n_size = N + 1;
    explicit Degrees(const RationalShape&) {}
};
template <>
struct Degrees<-1, -1> {
    static constexpr bool fixed = false;
    static constexpr int m_size = kLargestDegree + 1, n_size = kLargestDegree + 1;
    int m, n;
    explicit Degrees(const RationalShape& shape) : m(shape.m), n(shape.n) {}
};

// What of the formula is the same for a whole call. `Absolute` is variant A.
template <class S, bool Absolute>
struct Formula {
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
};

// a(i) and c(j) are the coefficients as vectors.
template <class S, int M, int N, bool Absolute, class A, class C>
FOURFOLD_INLINE typename Vector<S>::type value_of(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                                  typename Vector<S>::type x, A a, C c) {
    using Vec = typename Vector<S>::type;
    const Vec t = formula.variable(x);
    Vec p = a(degrees.m), w = c(degrees.n);
#pragma GCC unroll 16
    for (int i = degrees.m - 1; i >= 0; --i) p = p * x + a(i);
#pragma GCC unroll 16
    for (int j = degrees.n - 1; j >= 0; --j) w = w * t + c(j);
    return p / formula.denominator(w);
}

// Returns g dF/dx and calls add_a(i, h, x^i) and subtract_c(j, k, t^j) for the terms h x^i and -k t^j of the
// coefficients' gradients. Where `far` is set these are zero. The constant of variant A's denominator has no gradient.
template <class S, int M, int N, bool Absolute, class A, class C, class AddA, class SubtractC>
FOURFOLD_INLINE typename Vector<S>::type gradients_of(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                                      typename Vector<S>::type g, typename Vector<S>::type at,
                                                      typename Vector<S>::Integers far, A a, C c, AddA add_a,
                                                      SubtractC subtract_c) {
    using Vec = typename Vector<S>::type;
    using Int = typename Vector<S>::Integers;
    using F = Formula<S, Absolute>;
    const Vec x = same_bits<Vec>(same_bits<Int>(at) & ~far);
    const Vec t = formula.variable(x);
    Vec p = a(degrees.m), dp{}, w = c(degrees.n), dw{};
#pragma GCC unroll 16
    for (int i = degrees.m - 1; i >= 0; --i) {
        dp = (Degrees<M, N>::fixed && i == degrees.m - 1) ? p : dp * x + p;
        p = p * x + a(i);
    }
#pragma GCC unroll 16
    for (int j = degrees.n - 1; j >= 0; --j) {
        dw = (Degrees<M, N>::fixed && j == degrees.n - 1) ? w : dw * t + w;
        w = w * t + c(j);
    }
    const Vec r = 1 / formula.denominator(w);
    const Vec f = p * r;
    Vec dq = dw * r;
    Vec k = f;
    if constexpr (Absolute) {
        // -0 + 0 is +0: zero counts as positive.
        dq = F::with_sign(dq, same_bits<Int>(x + 0) & F::kSign);
    } else {
        const Int fold = formula.fold(w);
        dq = F::with_sign(dq, fold);
        k = F::with_sign(k, fold);
    }
    const Vec dx = g * (dp * r - f * dq);
    const Vec h = same_bits<Vec>(same_bits<Int>(g * r) & ~far);
    k = k * h;
    Vec power = x;
    add_a(0, h);
    if constexpr (!Absolute) subtract_c(0, k);
    const int both = degrees.m > degrees.n ? degrees.m : degrees.n;
#pragma GCC unroll 16
    for (int i = 1; i <= both; ++i) {
        if (i <= degrees.m) add_a(i, h, power);
        if (i <= degrees.n) subtract_c(i, k, i % 2 == 0 ? power : formula.variable(power));
        if (i < both) power *= x;
    }
    return dx;
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
