// Compiled once per ISA level. Only the function table at the end is visible outside.
//
// With D = d/dz, (D g cos(mz))^(r) = Re[e^(imz) P_r], P_r = (D + im)^r g = A_r + i B_r. The parameters' derivatives
// need no more than that:
//   d/dm: Re[e^(imz) (iz P_r + i r P_(r-1))]
//   d/da: Re[e^(imz) (z P'_r + r P'_(r-1))] / (a p), with P' made of g' instead of g, p = kScalePower
#include "gp/shapes.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

struct Pair {
    Vec a, b;  // A_r and B_r
};

template <int r>
FOURFOLD_INLINE Pair modulated(const Vec* g, double m) {
    const double m2 = m * m;
    if constexpr (r == 0) return {g[0], Vec{}};
    if constexpr (r == 1) return {g[1], g[0] * m};
    if constexpr (r == 2) return {g[2] - g[0] * m2, g[1] * (2 * m)};
    if constexpr (r == 3) return {g[3] - g[1] * (3 * m2), g[2] * (3 * m) - g[0] * (m2 * m)};
    if constexpr (r == 4) return {g[4] - g[2] * (6 * m2) + g[0] * (m2 * m2), g[3] * (4 * m) - g[1] * (4 * m2 * m)};
}

struct Turn {
    Vec cosine, sine;
};

FOURFOLD_INLINE Turn turn(Vec z, double m) {
    if (m == 0) return {Vec{} + 1.0, Vec{}};
    Vec cosine_minus_1, sine;
    sincos<double, V>(z * m, Vec{}, cosine_minus_1, sine);
    return {cosine_minus_1 + 1.0, sine};
}

FOURFOLD_INLINE Vec real_part(Pair p, Turn turn) { return p.a * turn.cosine - p.b * turn.sine; }

// f.template operator()<r>() for r = 0..Top.
template <int Top, int r = 0, class F>
FOURFOLD_INLINE void each_order(F f) {
    f.template operator()<r>();
    if constexpr (r < Top) each_order<Top, r + 1>(f);
}

template <Form F>
constexpr bool kIsWave = F != Form::rational_quadratic && F != Form::periodic;

// k[0..Top] of one component, its weight left out.
template <Form F, int Top>
FOURFOLD_INLINE void component_jet(Vec z, double a, double m, Vec* k) {
    if constexpr (F == Form::rational_quadratic) {
        rational_quadratic_jet<Top>(z, a, m, k);
    } else if constexpr (F == Form::periodic) {
        Vec wave[Top + 1];
        periodic_jet<Top>(z, a, m, k, wave);
    } else {
        Vec g[Top + 1];
        envelope_jet<F, Top>(z, a, g);
        const Turn phase = turn(z, m);
        each_order<Top>([&]<int r>() { k[r] = real_part(modulated<r>(g, m), phase); });
    }
}

template <Form F, int Top>
void evaluate_to(const Leaf& leaf, const double* lag, std::size_t n, const Jet& out) {
    for (std::size_t at = 0; at < n; at += V) {
        const Vec z = load_some(lag + at, n - at);
        Vec sum[Top + 1] = {};
        for (std::size_t q = 0; q < leaf.components; ++q) {
            Vec k[Top + 1];
            component_jet<F, Top>(z, leaf.scale[q], leaf.third[q], k);
            each_order<Top>([&]<int r>() { sum[r] += k[r] * leaf.weight[q]; });
        }
        each_order<Top>([&]<int r>() {
            if (out.order[r] != nullptr) store_some(out.order[r] + at, sum[r], n - at);
        });
    }
}

FOURFOLD_INLINE double sum_of_lanes(Vec v) {
    double sum = 0;
    for (int i = 0; i < V; ++i) sum += v[i];
    return sum;
}

// What a cotangent of one component's derivatives, in lanes, sums to.
struct Sums {
    Vec weight{}, scale{}, third{};
};

template <Form F, int Top>
FOURFOLD_INLINE void add_wave(Vec z, double a, double m, const Vec* cotangent, Sums& sums) {
    Vec g[Top + 2];
    envelope_jet<F, Top + 1>(z, a, g);
    const Turn phase = turn(z, m);
    each_order<Top>([&]<int r>() {
        const Vec c = cotangent[r];
        const Pair p = modulated<r>(g, m);
        Pair by_m{-(z * p.b), z * p.a};
        const Pair p_dash = modulated<r>(g + 1, m);
        Pair by_a{z * p_dash.a, z * p_dash.b};
        if constexpr (r > 0) {
            const Pair lower = modulated<r - 1>(g, m);
            const Pair lower_dash = modulated<r - 1>(g + 1, m);
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
template <Form F, int Top>
FOURFOLD_INLINE void add_shape(Vec z, double a, double m, const Vec* cotangent, Sums& sums) {
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
#pragma GCC unroll 8
            for (int j = 0; j <= r; ++j) by_a += other[j] * k[r - j] * kChoose[r][j];
            sums.scale += c * by_a;
            sums.third += c * scaled;
        }
    });
}

template <Form F, int Top>
void pull_back_from(const Leaf& leaf, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient) {
    const std::size_t components = leaf.components;
    for (std::size_t q = 0; q < components; ++q) {
        const double a = leaf.scale[q], m = leaf.third[q];
        Sums sums;
        for (std::size_t at = 0; at < n; at += V) {
            const Vec z = load_some(lag + at, n - at);
            Vec c[Top + 1] = {};
            each_order<Top>([&]<int r>() {
                if (cotangent.order[r] != nullptr) c[r] = load_some(cotangent.order[r] + at, n - at);
            });
            if constexpr (kIsWave<F>) {
                add_wave<F, Top>(z, a, m, c, sums);
            } else {
                add_shape<F, Top>(z, a, m, c, sums);
            }
        }
        const double w = leaf.weight[q];
        double by_scale = sum_of_lanes(sums.scale) * w, by_third = sum_of_lanes(sums.third) * w;
        if constexpr (F == Form::periodic) {
            by_third /= -m;
        } else {
            by_scale /= kScalePower<F> * a;
        }
        gradient[q] = sum_of_lanes(sums.weight);
        gradient[components + q] = by_scale;
        gradient[2 * components + q] = by_third;
    }
}

template <class J>
int top_of(const J& jet) {
    int top = kOrders - 1;
    while (top > 0 && jet.order[top] == nullptr) --top;
    return top;
}

// Calls f.template operator()<Top>() for the smallest compiled Top (0, 2 or 4) that covers `top`.
template <class F>
FOURFOLD_INLINE void choose_top(int top, F f) {
    if (top == 0) return f.template operator()<0>();
    if (top <= 2) return f.template operator()<2>();
    return f.template operator()<4>();
}

// The same with the form, <Form, Top>.
template <class F>
FOURFOLD_INLINE void choose(Form form, int top, F f) {
    const auto smooth = [&]<Form form>() { choose_top(top, [&]<int Top>() { f.template operator()<form, Top>(); }); };
    switch (form) {
        case Form::gaussian: return smooth.template operator()<Form::gaussian>();
        case Form::matern12: return f.template operator()<Form::matern12, 0>();
        case Form::matern32:
            if (top == 0) return f.template operator()<Form::matern32, 0>();
            return f.template operator()<Form::matern32, 2>();
        case Form::matern52: return smooth.template operator()<Form::matern52>();
        case Form::rational_quadratic: return smooth.template operator()<Form::rational_quadratic>();
        case Form::periodic: return smooth.template operator()<Form::periodic>();
    }
}

void evaluate(const Leaf& leaf, const double* lag, std::size_t n, const Jet& out) {
    choose(leaf.form, top_of(out), [&]<Form F, int Top>() { evaluate_to<F, Top>(leaf, lag, n, out); });
}

void pull_back(const Leaf& leaf, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient) {
    choose(leaf.form, top_of(cotangent),
           [&]<Form F, int Top>() { pull_back_from<F, Top>(leaf, lag, n, cotangent, gradient); });
}

template <int Top>
FOURFOLD_INLINE void load_jet(const ConstJet& jet, std::size_t at, std::size_t n, int top, Vec* values) {
    for (int r = 0; r <= Top; ++r) values[r] = r <= top ? load_some(jet.order[r] + at, n - at) : Vec{};
}

void add(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out) {
    for (int r = 0; r < kOrders; ++r) {
        if (out.order[r] == nullptr) continue;
        for (std::size_t i = 0; i < n; ++i) out.order[r][i] = a.order[r][i] + b.order[r][i];
    }
}

// Leibniz: (a b)^(r) = sum_j C(r, j) a^(j) b^(r-j).
void multiply(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out) {
    const int top = top_of(out);
    choose_top(top, [&]<int Top>() {
        for (std::size_t at = 0; at < n; at += V) {
            Vec x[Top + 1], y[Top + 1];
            load_jet<Top>(a, at, n, top, x);
            load_jet<Top>(b, at, n, top, y);
            each_order<Top>([&]<int r>() {
                if (out.order[r] == nullptr) return;
                Vec sum{};
                each_order<r>([&]<int j>() { sum += x[j] * y[r - j] * kChoose[r][j]; });
                store_some(out.order[r] + at, sum, n - at);
            });
        }
    });
}

void multiply_pull_back(const ConstJet& b, const ConstJet& cotangent, std::size_t n, const Jet& by_a) {
    const int top = top_of(cotangent);
    choose_top(top, [&]<int Top>() {
        for (std::size_t at = 0; at < n; at += V) {
            Vec y[Top + 1], sum[Top + 1] = {};
            load_jet<Top>(b, at, n, top, y);
            each_order<Top>([&]<int r>() {
                if (cotangent.order[r] == nullptr) return;
                const Vec c = load_some(cotangent.order[r] + at, n - at);
                each_order<r>([&]<int j>() { sum[j] += c * y[r - j] * kChoose[r][j]; });
            });
            for (int j = 0; j <= top; ++j) store_some(by_a.order[j] + at, sum[j], n - at);
        }
    });
}

}  // namespace

extern const CovarianceKernels covariance_kernels;
const CovarianceKernels covariance_kernels = {evaluate, pull_back, add, multiply, multiply_pull_back};

}  // namespace fourfold::gp::FOURFOLD_LEVEL
