// The GPU's state-space kernels, thread by thread, beside the CPU's filter: random models, times, gaps, noise and
// lengths of segments, series in both orders. Usage: gp_series_gpu_test [seed]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "check.hpp"
#include "gp/state_space.hpp"
#include "gpu_memory.hpp"
#define FOURFOLD_LEVEL host
#include "gp/state_space_gpu.hpp"

using namespace fourfold::gp;
using fourfold::gp::host::likelihood_of;
using fourfold::gp::host::make_step;
using fourfold::gp::host::posterior_of;

namespace {

std::mt19937_64 engine;

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine); }
double normal() { return std::normal_distribution<double>()(engine); }
int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); }

struct Problem {
    std::vector<int> order;
    std::vector<double> rate, variance, time, noise, value;  // value[time][series]
    std::vector<std::uint8_t> observed;                      // likewise
    std::size_t series, count;
};

// Repeated times, times a billionth apart, steps of many length-scales; a series nobody observed; NaN where missing.
Problem draw(const std::vector<int>& order, std::size_t series, std::size_t count) {
    Problem p;
    p.order = order;
    p.series = series;
    p.count = count;
    for (std::size_t c = 0; c < order.size(); ++c) {
        p.rate.push_back(std::exp(uniform(-2, 2)));
        p.variance.push_back(std::exp(uniform(-2, 2)));
    }
    double time = uniform(-3, 3);
    for (std::size_t t = 0; t < count; ++t) {
        const int kind = integer(0, 9);
        time += kind == 0 ? 0 : kind == 1 ? 1e-9 : kind == 2 ? uniform(20, 4000) : uniform(0, 0.5);
        p.time.push_back(time);
        p.noise.push_back(std::exp(uniform(-5, 1)));
    }
    const std::size_t silent = static_cast<std::size_t>(integer(0, 3));
    for (std::size_t t = 0; t < count; ++t) {
        for (std::size_t b = 0; b < series; ++b) {
            p.observed.push_back(b != silent && uniform(0, 1) < 0.7);
            p.value.push_back(p.observed.back() != 0 ? normal() : NAN);
        }
    }
    return p;
}

GpuModel model_of(const Problem& p) {
    GpuModel model{};
    model.components = static_cast<int>(p.order.size());
    for (const int order : p.order) model.size += order;
    int start = 0;
    for (std::size_t c = 0; c < p.order.size(); ++c) {
        const int size = p.order[c];
        model.order[c] = size;
        model.rate[c] = p.rate[c];
        model.variance[c] = p.variance[c];
        model.observes[start] = 1;
        for (int k = 0; k < size * size; ++k) {
            model.initial[(start + k / size) * model.size + start + k % size] =
                p.variance[c] * stationary_covariance(size)[k];
        }
        start += size;
    }
    return model;
}

struct Found {
    std::vector<double> likelihood, by_noise, by_rate, by_log_variance, mean, variance, predicted;
    std::vector<int> reached;
};

template <class F>
void each_thread(std::size_t count, bool backwards, F f) {
    for (std::size_t k = 0; k < count; ++k) f(backwards ? count - 1 - k : k);
}

template <int D>
Found on_gpu(const Problem& p, const std::vector<std::int32_t>& place, std::size_t places, int segment,
             bool backwards) {
    const GpuModel model = model_of(p);
    auto steps = poisoned<double>(p.count * numbers_of_step(D));
    each_thread(p.count, backwards, [&](std::size_t t) { make_step(model, p.time.data(), t, steps.data()); });
    const std::size_t rows = segments(p.count, segment) + static_cast<std::size_t>(segment), d = D;
    auto kept = poisoned<double>(rows * numbers_of_state(D) * p.series);
    Found f{poisoned<double>(p.series),     poisoned<double>(p.series),          poisoned<double>(d * p.series),
            poisoned<double>(d * p.series), poisoned<double>(places * p.series), poisoned<double>(places * p.series),
            poisoned<double>(p.series),     std::vector<int>(p.series, -7)};
    const GpuSeries all{p.series,       p.count,           segment,     steps.data(),     p.value.data(),
                        p.noise.data(), p.observed.data(), kept.data(), f.reached.data(), f.predicted.data()};
    const GpuLikelihood likelihood{f.likelihood.data(), f.by_noise.data(), f.by_rate.data(), f.by_log_variance.data()};
    each_thread(p.series, backwards, [&](std::size_t b) { likelihood_of<D>(model, all, b, likelihood); });
    std::fill(kept.begin(), kept.end(), NAN);
    const GpuPosterior posterior{place.data(), f.mean.data(), f.variance.data()};
    each_thread(p.series, backwards, [&](std::size_t b) { posterior_of<D>(model, all, b, posterior); });
    return f;
}

struct OnCpu {
    double likelihood;
    std::vector<double> mean, variance, by_rate, by_variance, by_value, by_noise;
    Reached end;
};

OnCpu on_cpu(const Problem& p, std::size_t b) {
    const int components = static_cast<int>(p.order.size());
    const StateSpaceModel model{components, p.order.data(), p.rate.data(), p.variance.data()};
    std::vector<double> value;
    std::vector<std::uint8_t> observed;
    for (std::size_t t = 0; t < p.count; ++t) {
        value.push_back(p.value[t * p.series + b]);
        observed.push_back(p.observed[t * p.series + b]);
    }
    OnCpu c{};
    for (auto* v : {&c.mean, &c.variance, &c.by_value, &c.by_noise}) v->resize(p.count);
    for (auto* v : {&c.by_rate, &c.by_variance}) v->resize(p.order.size());
    std::vector<double> scratch(state_space_scratch(model, p.count, true) + 1);
    c.end = state_space(model, {p.count, p.time.data(), value.data(), p.noise.data(), observed.data()},
                        {&c.likelihood, c.mean.data(), c.variance.data(), c.by_rate.data(), c.by_variance.data(),
                         c.by_value.data(), c.by_noise.data()},
                        scratch.data());
    return c;
}

// Both are differences of the same sums in another order.
void close(double one, double other, double size, double tolerance) {
    if (std::abs(one - other) <= tolerance * std::max(1.0, size)) return;
    std::fprintf(stderr, "%.17g is not %.17g (size %g)\n", one, other, size);
    CHECK(false);
}

template <int D>
void compare(const Problem& p) {
    // Every time but some, in another order.
    std::vector<std::int32_t> place(p.count, -1);
    std::size_t places = 0;
    for (auto& at : place) {
        if (uniform(0, 1) < 0.6) at = static_cast<std::int32_t>(places++);
    }
    for (auto& at : place) {
        if (at >= 0) at = static_cast<std::int32_t>(places) - 1 - at;
    }
    const int segment = integer(1, std::max(1, static_cast<int>(p.count) + 2));
    const Found f = on_gpu<D>(p, place, places, segment, false);
    const Found again = on_gpu<D>(p, place, places, integer(1, 9), true);
    CHECK(same_bits(f.likelihood, again.likelihood) && same_bits(f.by_rate, again.by_rate));
    CHECK(same_bits(f.by_noise, again.by_noise) && same_bits(f.by_log_variance, again.by_log_variance));
    CHECK(same_bits(f.mean, again.mean) && same_bits(f.variance, again.variance));
    const double prior = [&] {
        double sum = 0;
        for (const double v : p.variance) sum += v;
        return sum;
    }();
    for (std::size_t b = 0; b < p.series; ++b) {
        const OnCpu c = on_cpu(p, b);
        CHECK(static_cast<std::size_t>(f.reached[b]) == c.end.index && c.end.index == p.count);
        CHECK(f.predicted[b] == 0);
        double size = 0;  // of what cancels in a gradient
        for (std::size_t t = 0; t < p.count; ++t) {
            size = std::max({size, std::abs(c.by_noise[t]), std::abs(c.likelihood)});
        }
        const double count = static_cast<double>(p.count + 1);
        close(f.likelihood[b], c.likelihood, std::abs(c.likelihood) + count, 1e-11);
        double by_noise = 0;
        for (const double slope : c.by_noise) by_noise += slope;
        close(f.by_noise[b], by_noise, size * count, 1e-10);
        std::size_t row = 0;
        for (std::size_t k = 0; k < p.order.size(); ++k) {
            double by_rate = 0, by_log_variance = 0;
            for (int i = 0; i < p.order[k]; ++i, ++row) {
                by_rate += f.by_rate[row * p.series + b];
                by_log_variance += f.by_log_variance[row * p.series + b];
            }
            close(by_rate * p.rate[k], c.by_rate[k] * p.rate[k], size * count, 1e-9);
            close(by_log_variance, c.by_variance[k] * p.variance[k], size * count, 1e-9);
        }
        for (std::size_t t = 0; t < p.count; ++t) {
            if (place[t] < 0) continue;
            const std::size_t at = static_cast<std::size_t>(place[t]) * p.series + b;
            close(f.mean[at], c.mean[t], 1 + std::abs(c.mean[t]), 1e-9);
            close(f.variance[at], c.variance[t], prior, 1e-9);
        }
    }
}

// Two observations of one moment without noise: the series ends there and is NaN, the others do not notice.
void test_trouble() {
    Problem p = draw({2}, 3, 12);
    std::fill(p.noise.begin(), p.noise.end(), 0.0);
    for (std::size_t t = 0; t < 12; ++t) {
        p.time[t] = t == 8 ? 7.0 : static_cast<double>(t);
        for (std::size_t b = 0; b < 3; ++b) {
            p.observed[t * 3 + b] = !(t == 7 && b != 1);
            p.value[t * 3 + b] = normal();
        }
    }
    std::vector<std::int32_t> place(12, -1);
    place[3] = 0;
    const Found f = on_gpu<2>(p, place, 1, 5, false);
    for (std::size_t b = 0; b < 3; ++b) {
        const OnCpu c = on_cpu(p, b);
        CHECK(static_cast<std::size_t>(f.reached[b]) == c.end.index);
        CHECK(f.reached[b] == (b == 1 ? 8 : 12));
        const bool fine = b != 1;
        if (!fine) CHECK(!(f.predicted[b] > 0) && f.predicted[b] == c.end.predicted_variance);
        CHECK(std::isfinite(f.likelihood[b]) == fine && std::isfinite(f.by_noise[b]) == fine);
        CHECK(std::isfinite(f.by_rate[b]) == fine && std::isfinite(f.by_log_variance[3 + b]) == fine);
        CHECK(std::isfinite(f.mean[b]) == fine && std::isfinite(f.variance[b]) == fine);
    }
}

}  // namespace

int main(int arguments, char** argument) {
    const std::uint64_t seed =
        arguments > 1 ? std::strtoull(argument[1], nullptr, 10) : (std::uint64_t{std::random_device{}()} << 8);
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    engine.seed(seed);
    for (const std::size_t count : {0, 1, 2, 3, 7, 16, 61}) {
        const std::size_t series = static_cast<std::size_t>(integer(1, 5));
        compare<1>(draw({1}, series, count));
        compare<2>(draw({2}, series, count));
        compare<2>(draw({1, 1}, series, count));
        compare<3>(draw({3}, series, count));
        compare<3>(draw({2, 1}, series, count));
        compare<3>(draw({1, 1, 1}, series, count));
        compare<4>(draw({1, 3}, series, count));
        compare<4>(draw({2, 2}, series, count));
        compare<4>(draw({1, 1, 1, 1}, series, count));
    }
    test_trouble();
    std::puts("fine");
    return 0;
}
