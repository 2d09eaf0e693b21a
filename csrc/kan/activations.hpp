// Activations and their slopes, as torch defines them (ATen's conventions at 0 and beyond softplus's threshold).
// Included by kernel sources only.
#pragma once

#include "kan/bases.hpp"
#include "support/lanes.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// erfc(z) = exp(-z^2) c(t)/(1 + 2 z) for z >= 0, with t = (z - 3)/(z + 3) in [-1, 1): Chebyshev coefficients of
// c, computed with 40 digits (mpmath) and cut where they no longer count.
template <class T>
struct ErfcConstants;
template <>
struct ErfcConstants<double> {
    static constexpr int terms = 25;
    FOURFOLD_INLINE static constexpr double c(int k) {
        constexpr double of[terms] = {
            1.1775625741965600463,      5.3539045396156767694e-3,   -0.093775503422842090522,
            0.054366525557443220495,    -0.018976596707845207386,   4.4534260614627115695e-3,
            -6.3355317105531469398e-4,  1.7661719523171591851e-5,   1.2841532864056670734e-5,
            -2.0072285659059914438e-6,  -1.8075227904148371024e-7,  7.5498283438250928278e-8,
            1.8856685238386027905e-9,   -2.6995190497983639975e-9,  -1.4600791199391049408e-11,
            1.0361607445969489676e-10,  1.4757159766234730087e-12,  -4.2773400643969108248e-12,
            -2.0792249285979899778e-13, 1.8134502003176962422e-13,  1.9734255745447388335e-14,
            -7.2879437375926731568e-15, -1.5169878690228115682e-15, 2.3514112258781403524e-16,
            1.0006111691821667611e-16};
        return of[k];
    }
};
template <>
struct ErfcConstants<float> {
    static constexpr int terms = 13;
    FOURFOLD_INLINE static constexpr float c(int k) {
        constexpr float of[terms] = {1.177562574f,    5.35390454e-3f,   -0.09377550342f,  0.05436652556f,
                                     -0.01897659671f, 4.453426061e-3f,  -6.335531711e-4f, 1.766171952e-5f,
                                     1.284153286e-5f, -2.007228566e-6f, -1.80752279e-7f,  7.549828344e-8f,
                                     1.885668524e-9f};
        return of[k];
    }
};

// exp(x) - 1 for x <= 0, to about one unit in the last place; x below -60 counts as -60, where it is -1. With
// exp(r) = 1 + p it is 2^n p + (2^n - 1), and nothing cancels: n = 0 next to 0.
template <class T, int V>
FOURFOLD_INLINE Lanes<T, V> exp_minus_1_of_negative(Lanes<T, V> x) {
    using K = ExpConstants<T>;
    using Vec = Lanes<T, V>;
    using Int = Lanes<typename IntegerOf<T>::type, V>;
    x = x < T(-60) ? Vec{} + T(-60) : x;
    Vec r;
    Int power;
    reduce_by_ln2<T, V>(x, r, power);
    Vec sum = Vec{} + T(1);
    FOURFOLD_UNROLL(16)
    for (int i = K::terms; i >= 2; --i) sum = sum * r * T(1.0 / i) + T(1);
    const Vec scale = same_bits<Vec>((power + K::bias) << K::bits);
    return sum * r * scale + (scale - T(1));
}

template <class T, int V>
FOURFOLD_INLINE Lanes<T, V> magnitude(Lanes<T, V> x) {
    return x < T(0) ? -x : x;
}

// log(1 + e) for e in [0, 1]: 2 artanh(s) with s = e/(2 + e), at most 1/3.
template <class T, int V>
FOURFOLD_INLINE Lanes<T, V> log_1_plus(Lanes<T, V> e) {
    const Lanes<T, V> s = e / (T(2) + e), square = s * s;
    constexpr int terms = sizeof(T) == 4 ? 8 : 17;
    Lanes<T, V> sum = square * T(0) + T(1.0 / (2 * terms - 1));
    FOURFOLD_UNROLL(17)
    for (int k = terms - 1; k >= 1; --k) sum = sum * square + T(1.0 / (2 * k - 1));
    return T(2) * s * sum;
}

// The probability of N(0, 1) below x, and its density.
template <class T, int V>
FOURFOLD_INLINE void normal_distribution(Lanes<T, V> x, Lanes<T, V>& below, Lanes<T, V>& density) {
    using K = ErfcConstants<T>;
    using Vec = Lanes<T, V>;
    constexpr T cut = T(40);  // exp(-800) is 0; squares beyond overflow
    const Vec size = magnitude<T, V>(x);
    const Vec z = (size > cut ? Vec{} + cut : size) * T(0.70710678118654752440);
    const Vec envelope = exp_of_negative<T, V>(-z * z);
    const Vec t = (z - T(3)) / (z + T(3)), twice = t + t;
    Vec last{}, now{};
    FOURFOLD_UNROLL(32)
    for (int k = K::terms - 1; k >= 1; --k) {
        const Vec next = twice * now - last + K::c(k);
        last = now;
        now = next;
    }
    const Vec tail = T(0.5) * envelope * (t * now - last + K::c(0)) / (T(1) + (z + z));
    below = x < T(0) ? tail : T(1) - tail;
    density = envelope * T(0.39894228040143267794);
}

template <class T, int V, kan::Activation S>
FOURFOLD_INLINE void activate(Lanes<T, V> x, Lanes<T, V>& value, Lanes<T, V>& slope) {
    using Vec = Lanes<T, V>;
    using kan::Activation;
    const Vec zero{}, one = zero + T(1);
    if constexpr (S == Activation::relu || S == Activation::leaky_relu) {
        constexpr T below = S == Activation::relu ? T(0) : T(0.01);
        value = x <= T(0) ? below * x : x;
        slope = x > T(0) ? one : zero + below;
    } else if constexpr (S == Activation::elu || S == Activation::selu) {
        constexpr T scale = S == Activation::elu ? T(1) : T(1.0507009873554804934193349852946);
        constexpr T alpha = S == Activation::elu ? T(1) : scale * T(1.6732632423543772848170429916717);
        const Vec less = alpha * exp_minus_1_of_negative<T, V>(x > T(0) ? zero : x);
        value = x > T(0) ? scale * x : less;
        slope = x > T(0) ? zero + scale : less + alpha;
    } else if constexpr (S == Activation::tanh) {
        const Vec e = exp_minus_1_of_negative<T, V>(T(-2) * magnitude<T, V>(x));
        const Vec size = -e / (T(2) + e);
        value = x < T(0) ? -size : size;
        slope = one - value * value;
    } else if constexpr (S == Activation::gelu) {
        Vec below, density;
        normal_distribution<T, V>(x, below, density);
        value = x * below;
        slope = below + x * density;
    } else {
        const Vec e = exp_of_negative<T, V>(-magnitude<T, V>(x));
        const Vec high = one / (one + e), low = e * high;  // sigmoid of |x| and of -|x|
        const Vec sigmoid = x < T(0) ? low : high;
        if constexpr (S == Activation::sigmoid) {
            value = sigmoid;
            slope = high * low;
        } else if constexpr (S == Activation::silu) {
            value = x * sigmoid;
            slope = sigmoid + x * (high * low);
        } else {  // softplus: the identity beyond 20
            const Vec positive = x <= T(0) ? zero : x;
            value = x > T(20) ? x : positive + log_1_plus<T, V>(e);
            slope = x > T(20) ? one : sigmoid;
        }
    }
}

// Calls work.operator()<S>() for an activation.
template <class Work>
FOURFOLD_INLINE void with_activation(kan::Activation activation, Work work) {
    using kan::Activation;
    switch (activation) {
        case Activation::softplus: return work.template operator()<Activation::softplus>();
        case Activation::sigmoid: return work.template operator()<Activation::sigmoid>();
        case Activation::silu: return work.template operator()<Activation::silu>();
        case Activation::relu: return work.template operator()<Activation::relu>();
        case Activation::leaky_relu: return work.template operator()<Activation::leaky_relu>();
        case Activation::elu: return work.template operator()<Activation::elu>();
        case Activation::gelu: return work.template operator()<Activation::gelu>();
        case Activation::selu: return work.template operator()<Activation::selu>();
        case Activation::tanh: return work.template operator()<Activation::tanh>();
    }
}

// c(a, b) and its derivatives.
template <class Vec>
FOURFOLD_INLINE void combine(kan::Combination how, Vec a, Vec b, Vec& value, Vec& by_a, Vec& by_b) {
    using kan::Combination;
    const Vec product = a * b, total = a + b;
    value = by_a = by_b = Vec{};
    switch (how) {
        case Combination::quad1:
            value = product * product;
            by_a = 2 * product * b;
            by_b = 2 * product * a;
            return;
        case Combination::quad2:
            value = product + a * a + b * b;
            by_a = total + a;
            by_b = total + b;
            return;
        case Combination::sum:
            value = total;
            by_a = by_b = Vec{} + 1;
            return;
        case Combination::prod:
            value = product;
            by_a = b;
            by_b = a;
            return;
        case Combination::sum_prod:
            value = total + product;
            by_a = 1 + b;
            by_b = 1 + a;
            return;
        case Combination::cubic1: {
            const Vec squares = a * a + b * b;
            value = total * squares;
            by_a = squares + 2 * total * a;
            by_b = squares + 2 * total * b;
            return;
        }
        case Combination::cubic2: {
            const Vec square = product * product;
            value = square * product;
            by_a = 3 * square * b;
            by_b = 3 * square * a;
            return;
        }
    }
}

// c(s(x - low), s(high - x)) and its derivatives with respect to low and high; that to x is -(by_low + by_high).
template <class T, int V, kan::Activation S>
struct Pair {
    Lanes<T, V> value, by_low, by_high;

    FOURFOLD_INLINE Pair(kan::Combination how, Lanes<T, V> x, Lanes<T, V> low, Lanes<T, V> high) {
        Lanes<T, V> a, a_slope, b, b_slope, by_a, by_b;
        activate<T, V, S>(x - low, a, a_slope);
        activate<T, V, S>(high - x, b, b_slope);
        combine(how, a, b, value, by_a, by_b);
        by_low = -by_a * a_slope;
        by_high = by_b * b_slope;
    }
};

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
