// Compiled once per ISA level. Only the function table at the end is visible outside.
#include "gp/covariance_formula.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

constexpr int V = kWidest<double>;
using Vec = Lanes<double, V>;

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

template <Form F, int Top>
void pull_back_from(const Leaf& leaf, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient) {
    const std::size_t components = leaf.components;
    for (std::size_t q = 0; q < components; ++q) {
        const double a = leaf.scale[q], m = leaf.third[q];
        Sums<Vec> sums;
        for (std::size_t at = 0; at < n; at += V) {
            const Vec z = load_some(lag + at, n - at);
            Vec c[Top + 1] = {};
            each_order<Top>([&]<int r>() {
                if (cotangent.order[r] != nullptr) c[r] = load_some(cotangent.order[r] + at, n - at);
            });
            add_component<F, Top>(z, a, m, c, sums);
        }
        gradient[q] = sum_of_lanes(sums.weight);
        double by_scale = sum_of_lanes(sums.scale), by_third = sum_of_lanes(sums.third);
        finish<F>(leaf.weight[q], a, m, by_scale, by_third);
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

void multiply(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out) {
    const int top = top_of(out);
    choose_top(top, [&]<int Top>() {
        for (std::size_t at = 0; at < n; at += V) {
            Vec x[Top + 1], y[Top + 1];
            load_jet<Top>(a, at, n, top, x);
            load_jet<Top>(b, at, n, top, y);
            each_order<Top>([&]<int r>() {
                if (out.order[r] == nullptr) return;
                store_some(out.order[r] + at, product_derivative<r>(x, y), n - at);
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
                pull_product<r>(c, y, sum);
            });
            for (int j = 0; j <= top; ++j) store_some(by_a.order[j] + at, sum[j], n - at);
        }
    });
}

}  // namespace

extern const CovarianceKernels covariance_kernels;
const CovarianceKernels covariance_kernels = {evaluate, pull_back, add, multiply, multiply_pull_back};

}  // namespace fourfold::gp::FOURFOLD_LEVEL
