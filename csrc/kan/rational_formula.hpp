// A pack of values of a rational function and of its gradients, in Horner's form: for |x| up to the limit of its group.
// One definition for the CPU, whose numbers are SIMD vectors, and the GPU, whose numbers are scalars. What differs is
// the arithmetic F:
//   F::Vec, F::absolute          the numbers; whether this is variant A
//   variable(x)                  t of W = sum c_j t^j
//   divided(p, w)                p/Q
//   inverse_of_denominator(w)    1/Q
//   F::signed_as(v, x)           v sgn(x)
//   F::with_sign(v, fold(w))     -v where W is negative and folded, else v
// Internal linkage: included by kernel sources only.
#pragma once

#include "kan/pack.hpp"
#include "kan/rational.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

// Degrees that are known when this is compiled, or (M < 0) only at run time.
template <int M, int N>
struct Degrees {
    static constexpr bool fixed = true;
    static constexpr int m = M, n = N;
    static constexpr int m_size = M + 1, n_size = N + 1;
    Degrees() = default;
    explicit Degrees(const RationalShape&) {}

    // Calls f(0), f(1), .. f(count - 1).
    template <class F>
    FOURFOLD_INLINE static void repeat(int count, F f) {
        FOURFOLD_UNROLL(16)
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

// a(i) and c(j) are the coefficients.
template <class F, int M, int N, int K, class A, class C>
FOURFOLD_INLINE auto value_of(const F& formula, Degrees<M, N> degrees, Pack<typename F::Vec, K> x, A a, C c) {
    const auto t = each<K>([&](int k) { return formula.variable(x.v[k]); });
    auto p = each<K>([&](int) { return a(degrees.m); });
    auto w = each<K>([&](int) { return c(degrees.n); });
    degrees.repeat(degrees.m, [&](int i) { p = multiply_add(p, x, a(degrees.m - 1 - i)); });
    degrees.repeat(degrees.n, [&](int j) { w = multiply_add(w, t, c(degrees.n - 1 - j)); });
    return each<K>([&](int k) { return formula.divided(p.v[k], w.v[k]); });
}

// Returns g dF/dx and calls add_a(i, h, x^i) and subtract_c(j, k, t^j) for the terms h x^i and -k t^j of the
// coefficients' gradients. The constant of variant A's denominator has no gradient.
template <class F, int M, int N, int K, class A, class C, class AddA, class SubtractC>
FOURFOLD_INLINE auto gradients_of(const F& formula, Degrees<M, N> degrees, Pack<typename F::Vec, K> g,
                                  Pack<typename F::Vec, K> x, A a, C c, AddA add_a, SubtractC subtract_c) {
    const auto zero = [](int) { return typename F::Vec{}; };
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
        if constexpr (F::absolute) {
            // F' = (P' - F Q')/Q. F Q' is at most n |P/x|, so it does not overflow; see safe_limit for |x| < 1.
            const auto slope = F::signed_as(dw.v[k], x.v[k]);
            return g.v[k] * ((dp.v[k] - f.v[k] * slope) * r.v[k]);
        } else {
            const auto slope = F::with_sign(dw.v[k] * r.v[k], formula.fold(w.v[k]));
            return g.v[k] * (dp.v[k] * r.v[k] - f.v[k] * slope);
        }
    });
    const auto h = g * r;
    const auto s = each<K>([&](int k) {
        const auto product = f.v[k] * h.v[k];
        if constexpr (F::absolute) return product;
        return F::with_sign(product, formula.fold(w.v[k]));
    });
    // Even powers times h and s, and the same times h x and s t: one multiplication less than with all powers.
    const auto hx = h * x, st = s * t, square = x * x;
    add_a(0, h);
    if (degrees.m >= 1) add_a(1, hx);
    if constexpr (!F::absolute) subtract_c(0, s);
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
