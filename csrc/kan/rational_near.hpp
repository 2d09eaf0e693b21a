// A pack of SIMD vectors of a rational function and of its gradients, in Horner's form: for |x| up to the limit of its
// group. Internal linkage: included by kernel sources only.
#pragma once

#include "kan/pack.hpp"
#include "kan/rational_kernels.hpp"
#include "kan/reciprocal.hpp"

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

    // Calls f(0), f(1), .. f(count - 1).
    template <class F>
    FOURFOLD_INLINE static void repeat(int count, F f) {
#pragma GCC unroll 16
        for (int i = 0; i < count; ++i) f(i);
    }
};
template <>
struct Degrees<-1, -1> {
    static constexpr bool fixed = false;
    static constexpr int m_size = kLargestDegree + 1, n_size = kLargestDegree + 1;
    int m, n;
    explicit Degrees(const RationalShape& shape) : m(shape.m), n(shape.n) {}

    template <class F>
    FOURFOLD_INLINE static void repeat(int count, F f) {
        for (int i = 0; i < count; ++i) f(i);
    }
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

// a(i) and c(j) are the coefficients as vectors.
template <class S, int M, int N, bool Absolute, int K, class A, class C>
FOURFOLD_INLINE auto value_of(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                              Pack<typename Vector<S>::type, K> x, A a, C c) {
    const auto t = each<K>([&](int k) { return formula.variable(x.v[k]); });
    auto p = each<K>([&](int) { return a(degrees.m); });
    auto w = each<K>([&](int) { return c(degrees.n); });
    degrees.repeat(degrees.m, [&](int i) { p = multiply_add(p, x, a(degrees.m - 1 - i)); });
    degrees.repeat(degrees.n, [&](int j) { w = multiply_add(w, t, c(degrees.n - 1 - j)); });
    return each<K>([&](int k) { return formula.divided(p.v[k], w.v[k]); });
}

// Returns g dF/dx and calls add_a(i, h, x^i) and subtract_c(j, k, t^j) for the terms h x^i and -k t^j of the
// coefficients' gradients. The constant of variant A's denominator has no gradient.
template <class S, int M, int N, bool Absolute, int K, class A, class C, class AddA, class SubtractC>
FOURFOLD_INLINE auto gradients_of(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                  Pack<typename Vector<S>::type, K> g, Pack<typename Vector<S>::type, K> x, A a, C c,
                                  AddA add_a, SubtractC subtract_c) {
    using F = Formula<S, Absolute>;
    const auto zero = [](int) { return typename Vector<S>::type{}; };
    const auto t = each<K>([&](int k) { return formula.variable(x.v[k]); });
    auto p = each<K>([&](int) { return a(degrees.m); }), dp = each<K>(zero);
    auto w = each<K>([&](int) { return c(degrees.n); }), dw = each<K>(zero);
    degrees.repeat(degrees.m, [&](int i) {
        dp = (Degrees<M, N>::fixed && i == 0) ? p : multiply_add(dp, x, p);
        p = multiply_add(p, x, a(degrees.m - 1 - i));
    });
    degrees.repeat(degrees.n, [&](int j) {
        dw = (Degrees<M, N>::fixed && j == 0) ? w : multiply_add(dw, t, w);
        w = multiply_add(w, t, c(degrees.n - 1 - j));
    });
    const auto r = each<K>([&](int k) { return formula.inverse_of_denominator(w.v[k]); });
    const auto f = p * r;
    const auto dx = each<K>([&](int k) {
        if constexpr (Absolute) {
            // F' = (P' - F Q')/Q. F Q' is at most n |P/x|, so it does not overflow; see safe_limit for |x| < 1.
            const auto slope = signed_as(dw.v[k], x.v[k]);
            return g.v[k] * ((dp.v[k] - f.v[k] * slope) * r.v[k]);
        } else {
            const auto slope = F::with_sign(dw.v[k] * r.v[k], formula.fold(w.v[k]));
            return g.v[k] * (dp.v[k] * r.v[k] - f.v[k] * slope);
        }
    });
    const auto h = g * r;
    const auto s = each<K>([&](int k) {
        const auto product = f.v[k] * h.v[k];
        if constexpr (Absolute) return product;
        return F::with_sign(product, formula.fold(w.v[k]));
    });
    // Even powers times h and s, and the same times h x and s t: one multiplication less than with all powers.
    const auto hx = h * x, st = s * t, square = x * x;
    add_a(0, h);
    if (degrees.m >= 1) add_a(1, hx);
    if constexpr (!Absolute) subtract_c(0, s);
    if (degrees.n >= 1) subtract_c(1, st);
    const int both = degrees.m > degrees.n ? degrees.m : degrees.n;
    auto power = square;
    degrees.repeat(both / 2, [&](int pair) {
        const int i = 2 * pair + 2;
        if (i <= degrees.m) add_a(i, h, power);
        if (i + 1 <= degrees.m) add_a(i + 1, hx, power);
        if (i <= degrees.n) subtract_c(i, s, power);
        if (i + 1 <= degrees.n) subtract_c(i + 1, st, power);
        if (i + 2 <= both) power = power * square;
    });
    return dx;
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
