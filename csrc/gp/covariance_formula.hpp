// Covariance functions with their derivatives, and the sums of their pull-back, of a number or of lanes; see
// envelopes.hpp.
//
// With D = d/dz, (D g cos(mz))^(r) = Re[e^(imz) P_r], P_r = (D + im)^r g = A_r + i B_r. The parameters' derivatives
// need no more than that:
//   d/dm: Re[e^(imz) (iz P_r + i r P_(r-1))]
//   d/da: Re[e^(imz) (z P'_r + r P'_(r-1))] / (a p), with P' made of g' instead of g, p = kScalePower
#pragma once

#include "gp/shapes.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

template <class Vec>
struct Pair {
    Vec a, b;  // A_r and B_r
};

template <int r, class Vec>
FOURFOLD_INLINE Pair<Vec> modulated(const Vec* g, double m) {
    const double m2 = m * m;
    if constexpr (r == 0) return {g[0], Vec{}};
    if constexpr (r == 1) return {g[1], g[0] * m};
    if constexpr (r == 2) return {g[2] - g[0] * m2, g[1] * (2 * m)};
    if constexpr (r == 3) return {g[3] - g[1] * (3 * m2), g[2] * (3 * m) - g[0] * (m2 * m)};
    if constexpr (r == 4) return {g[4] - g[2] * (6 * m2) + g[0] * (m2 * m2), g[3] * (4 * m) - g[1] * (4 * m2 * m)};
}

template <class Vec>
struct Turn {
    Vec cosine, sine;
};

template <class Vec>
FOURFOLD_INLINE Turn<Vec> turn(Vec z, double m) {
    if (m == 0) return {Vec{} + 1.0, Vec{}};
    Vec cosine_minus_1, sine;
    sincos<double, kLanesOf<Vec>>(z * m, Vec{}, cosine_minus_1, sine);
    return {cosine_minus_1 + 1.0, sine};
}

template <class Vec>
FOURFOLD_INLINE Vec real_part(Pair<Vec> p, Turn<Vec> turn) {
    return p.a * turn.cosine - p.b * turn.sine;
}

// f.template operator()<r>() for r = 0..Top.
template <int Top, int r = 0, class F>
FOURFOLD_INLINE void each_order(F f) {
    f.template operator()<r>();
    if constexpr (r < Top) each_order<Top, r + 1>(f);
}

template <Form F>
constexpr bool kIsWave = F != Form::rational_quadratic && F != Form::periodic;

// k[0..Top] of one component, its weight left out.
template <Form F, int Top, class Vec>
FOURFOLD_INLINE void component_jet(Vec z, double a, double m, Vec* k) {
    if constexpr (F == Form::rational_quadratic) {
        rational_quadratic_jet<Top>(z, a, m, k);
    } else if constexpr (F == Form::periodic) {
        Vec wave[Top + 1];
        periodic_jet<Top>(z, a, m, k, wave);
    } else {
        Vec g[Top + 1];
        envelope_jet<F, Top>(z, a, g);
        const Turn<Vec> phase = turn(z, m);
        each_order<Top>([&]<int r>() { k[r] = real_part(modulated<r>(g, m), phase); });
    }
}

// What a cotangent of one component's derivatives, in lanes, sums to.
template <class Vec>
struct Sums {
    Vec weight{}, scale{}, third{};
};

template <Form F, int Top, class Vec>
FOURFOLD_INLINE void add_wave(Vec z, double a, double m, const Vec* cotangent, Sums<Vec>& sums) {
    Vec g[Top + 2];
    envelope_jet<F, Top + 1>(z, a, g);
    const Turn<Vec> phase = turn(z, m);
    each_order<Top>([&]<int r>() {
        const Vec c = cotangent[r];
        const Pair<Vec> p = modulated<r>(g, m);
        Pair<Vec> by_m{-(z * p.b), z * p.a};
        const Pair<Vec> p_dash = modulated<r>(g + 1, m);
        Pair<Vec> by_a{z * p_dash.a, z * p_dash.b};
        if constexpr (r > 0) {
            const Pair<Vec> lower = modulated<r - 1>(g, m);
            const Pair<Vec> lower_dash = modulated<r - 1>(g + 1, m);
            by_m = {by_m.a - lower.b * double(r), by_m.b + lower.a * double(r)};
            by_a = {by_a.a + lower_dash.a * double(r), by_a.b + lower_dash.b * double(r)};
        }
        sums.weight += c * real_part(p, phase);
        sums.scale += c * real_part(by_a, phase);
        sums.third += c * real_part(by_m, phase);
    });
}

// d/ds of k(s z) at s = 1, of which the derivative of order r is z k^(r+1) + r k^(r), gives the derivative by the
// parameter that scales the lag.
template <Form F, int Top, class Vec>
FOURFOLD_INLINE void add_shape(Vec z, double a, double m, const Vec* cotangent, Sums<Vec>& sums) {
    Vec k[Top + 2], other[Top + 2];
    if constexpr (F == Form::rational_quadratic) {
        rational_quadratic_jet<Top + 1>(z, a, m, k, other);
    } else {
        periodic_jet<Top + 1>(z, a, m, k, other);
    }
    each_order<Top>([&]<int r>() {
        const Vec c = cotangent[r], scaled = z * k[r + 1] + k[r] * double(r);
        sums.weight += c * k[r];
        if constexpr (F == Form::rational_quadratic) {
            sums.scale += c * scaled;
            sums.third += c * other[r];
        } else {
            Vec by_a{};
            FOURFOLD_UNROLL(8)
            for (int j = 0; j <= r; ++j) by_a += other[j] * k[r - j] * choose_from(r, j);
            sums.scale += c * by_a;
            sums.third += c * scaled;
        }
    });
}

template <Form F, int Top, class Vec>
FOURFOLD_INLINE void add_component(Vec z, double a, double m, const Vec* cotangent, Sums<Vec>& sums) {
    if constexpr (kIsWave<F>) {
        add_wave<F, Top>(z, a, m, cotangent, sums);
    } else {
        add_shape<F, Top>(z, a, m, cotangent, sums);
    }
}

// The gradients by scale and third parameter of a component of weight w, from the sums over all lags.
template <Form F>
FOURFOLD_INLINE void finish(double w, double a, double m, double& by_scale, double& by_third) {
    by_scale *= w;
    by_third *= w;
    if constexpr (F == Form::periodic) {
        by_third /= -m;
    } else {
        by_scale /= kScalePower<F> * a;
    }
}

// Leibniz: the derivative of order r of a product.
template <int r, class Vec>
FOURFOLD_INLINE Vec product_derivative(const Vec* x, const Vec* y) {
    Vec sum{};
    each_order<r>([&]<int j>() { sum += x[j] * y[r - j] * choose_from(r, j); });
    return sum;
}

// by_a, the cotangent of a's derivatives, from that of the derivative of order r of a b.
template <int r, class Vec>
FOURFOLD_INLINE void pull_product(Vec cotangent, const Vec* b, Vec* by_a) {
    each_order<r>([&]<int j>() { by_a[j] += cotangent * b[r - j] * choose_from(r, j); });
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
