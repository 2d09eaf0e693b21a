// Compiled once per ISA level. Only the function table at the end is visible outside.
//
// With D = d/dz, (D g cos(mz))^(r) = Re[e^(imz) P_r], P_r = (D + im)^r g = A_r + i B_r. The parameters' derivatives
// need no more than that:
//   d/dm: Re[e^(imz) (iz P_r + i r P_(r-1))]
//   d/da: Re[e^(imz) (z P'_r + r P'_(r-1))] / (a p), with P' made of g' instead of g, p = kScalePower
#include "gp/envelopes.hpp"
#include "support/sincos.hpp"

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

template <Envelope E, int Top>
void evaluate_to(const Mixture& mixture, const double* lag, std::size_t n, const Jet& out) {
    for (std::size_t at = 0; at < n; at += V) {
        const Vec z = load_some(lag + at, n - at);
        Vec sum[Top + 1] = {};
        for (std::size_t q = 0; q < mixture.components; ++q) {
            const double m = mixture.frequency[q], w = mixture.weight[q];
            Vec g[Top + 1];
            envelope_jet<E, Top>(z, mixture.scale[q], g);
            const Turn phase = turn(z, m);
            each_order<Top>([&]<int r>() { sum[r] += real_part(modulated<r>(g, m), phase) * w; });
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

template <Envelope E, int Top>
void pull_back_from(const Mixture& mixture, const double* lag, std::size_t n, const ConstJet& cotangent,
                    double* gradient) {
    const std::size_t components = mixture.components;
    for (std::size_t q = 0; q < components; ++q) {
        const double a = mixture.scale[q], m = mixture.frequency[q];
        Vec by_weight{}, by_scale{}, by_frequency{};
        for (std::size_t at = 0; at < n; at += V) {
            const Vec z = load_some(lag + at, n - at);
            Vec g[Top + 2];
            envelope_jet<E, Top + 1>(z, a, g);
            const Turn phase = turn(z, m);
            each_order<Top>([&]<int r>() {
                if (cotangent.order[r] == nullptr) return;
                const Vec c = load_some(cotangent.order[r] + at, n - at);
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
                by_weight += c * real_part(p, phase);
                by_scale += c * real_part(by_a, phase);
                by_frequency += c * real_part(by_m, phase);
            });
        }
        const double w = mixture.weight[q];
        gradient[q] = sum_of_lanes(by_weight);
        gradient[components + q] = sum_of_lanes(by_scale) * w / (kScalePower<E> * a);
        gradient[2 * components + q] = sum_of_lanes(by_frequency) * w;
    }
}

template <class J>
int top_of(const J& jet) {
    int top = kOrders - 1;
    while (top > 0 && jet.order[top] == nullptr) --top;
    return top;
}

// Calls f.template operator()<E, Top>() for the smallest compiled Top (0, 2 or 4) that covers `top`.
template <class F>
FOURFOLD_INLINE void choose(Envelope envelope, int top, F f) {
    switch (envelope) {
        case Envelope::gaussian:
            if (top == 0) return f.template operator()<Envelope::gaussian, 0>();
            if (top <= 2) return f.template operator()<Envelope::gaussian, 2>();
            return f.template operator()<Envelope::gaussian, 4>();
        case Envelope::matern12: return f.template operator()<Envelope::matern12, 0>();
        case Envelope::matern32:
            if (top == 0) return f.template operator()<Envelope::matern32, 0>();
            return f.template operator()<Envelope::matern32, 2>();
        case Envelope::matern52:
            if (top == 0) return f.template operator()<Envelope::matern52, 0>();
            if (top <= 2) return f.template operator()<Envelope::matern52, 2>();
            return f.template operator()<Envelope::matern52, 4>();
    }
}

void evaluate(const Mixture& mixture, const double* lag, std::size_t n, const Jet& out) {
    choose(mixture.envelope, top_of(out), [&]<Envelope E, int Top>() { evaluate_to<E, Top>(mixture, lag, n, out); });
}

void pull_back(const Mixture& mixture, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient) {
    choose(mixture.envelope, top_of(cotangent),
           [&]<Envelope E, int Top>() { pull_back_from<E, Top>(mixture, lag, n, cotangent, gradient); });
}

}  // namespace

extern const CovarianceKernels covariance_kernels;
const CovarianceKernels covariance_kernels = {evaluate, pull_back};

}  // namespace fourfold::gp::FOURFOLD_LEVEL
