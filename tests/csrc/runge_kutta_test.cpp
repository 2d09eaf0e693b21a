// The Runge-Kutta steppers without our own transform: a plain radix-2 FFT in natural order takes its place, so that
// only the steppers are under test. Truth: the exact soliton, closed forms, long double.
#ifndef FOURFOLD_LEVEL
#define FOURFOLD_LEVEL baseline
#define FOURFOLD_LEVEL_INDEX 0
#endif

#include "nlse/runge_kutta.hpp"

#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <numbers>
#include <vector>

#include "check.hpp"
#include "nlse/published.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using cd = std::complex<double>;
constexpr double pi = std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();

Interval between(double t0, double t1, std::int64_t steps, double rtol, double atol, double max_step, double min_step) {
    return {t0, t1, 0, steps, rtol, atol, max_step, min_step, nullptr, nullptr};
}

// sum_j z_j exp(sign 2 pi i j k / n), n a power of two
void fft(std::vector<cd>& z, double sign) {
    const std::size_t n = z.size();
    for (std::size_t i = 1, j = 0; i < n; ++i) {
        std::size_t bit = n >> 1;
        for (; (j & bit) != 0; bit >>= 1) j ^= bit;
        j |= bit;
        if (i < j) std::swap(z[i], z[j]);
    }
    static std::vector<cd> roots;
    if (roots.size() != n) {
        roots.resize(n);
        for (std::size_t i = 0; i < n; ++i) roots[i] = std::polar(1.0, 2 * pi * static_cast<double>(i) / double(n));
    }
    for (std::size_t half = 1; half < n; half *= 2) {
        for (std::size_t start = 0; start < n; start += 2 * half) {
            for (std::size_t i = 0; i < half; ++i) {
                const cd root = roots[i * (n / (2 * half))], b = z[start + half + i];
                const double w = sign * root.imag();
                const cd turned(root.real() * b.real() - w * b.imag(), root.real() * b.imag() + w * b.real());
                z[start + half + i] = z[start + i] - turned;
                z[start + i] += turned;
            }
        }
    }
}

bool cancel_requested(void* context) { return *static_cast<const bool*>(context); }

template <class T>
void plain_nonlinear(const FftPlan<T>& plan, const Medium<T>& medium, T* re, T* im) {
    const std::size_t n = plan.n;
    static std::vector<cd> z;
    z.resize(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = cd(re[i], im[i]);
    fft(z, +1);
    for (std::size_t i = 0; i < n; ++i) {
        const double v = medium.potential == nullptr ? 0 : medium.potential[i];
        const double gamma = medium.loss == nullptr ? 0 : medium.loss[i];
        const double turn = medium.nonlinearity * std::norm(z[i]) - v;
        z[i] = cd(-z[i].imag() * turn - gamma * z[i].real(), z[i].real() * turn - gamma * z[i].imag());
    }
    fft(z, -1);
    for (std::size_t i = 0; i < n; ++i) {
        re[i] = static_cast<T>(z[i].real() / static_cast<double>(n));
        im[i] = static_cast<T>(z[i].imag() / static_cast<double>(n));
    }
}

// One realisation on [-L/2, L/2) with everything that the steppers want to be given.
template <class T>
struct Bench {
    std::size_t n;
    double length;
    FftPlan<T> plan;
    FieldOps<T> ops{};
    Setup<T> setup{};
    Medium<T> constant{1, nullptr, nullptr, 0};
    AlignedBuffer<T> medium_scratch;
    std::vector<double> k, omega;
    std::vector<T> filter;
    AlignedBuffer<T> re, im, scratch;
    RungeKuttaWorkspace<T> workspace{};
    Progress progress{};
    bool cancel = false;

    Bench(std::size_t n_, double length_)
        : n(n_), length(length_), plan(n_, 1), medium_scratch(4 * array_stride<T>(n_)), re(n_), im(n_) {
        ops.nonlinear = plain_nonlinear<T>;
        setup.plan = &plan;
        for (std::size_t i = 0; i < n; ++i) {
            const double index = i < n / 2 ? double(i) : double(i) - double(n);
            k.push_back(2 * pi * index / length);
            omega.push_back(0.5 * k[i] * k[i]);
        }
    }

    double x(std::size_t i) const { return -length / 2 + length * static_cast<double>(i) / static_cast<double>(n); }

    void set(std::vector<cd> psi) {
        fft(psi, -1);
        for (std::size_t i = 0; i < n; ++i) {
            re[i] = static_cast<T>(psi[i].real() / static_cast<double>(n));
            im[i] = static_cast<T>(psi[i].imag() / static_cast<double>(n));
        }
    }

    std::vector<cd> psi() const {
        std::vector<cd> z(n);
        for (std::size_t i = 0; i < n; ++i) z[i] = cd(re[i], im[i]);
        fft(z, +1);
        return z;
    }

    void start(Method method) {
        scratch = AlignedBuffer<T>(scratch_count<T>(method, n));
        workspace = {scratch.data(), 0};
        progress = {};
    }

    MediumInTime<T> medium() { return {setup, constant, medium_scratch.data()}; }

    Status run(Method method, Interval interval) {
        MediumInTime<T> now = medium();
        return run_runge_kutta<T>(method, plan, ops, now, omega.data(), filter.empty() ? nullptr : filter.data(),
                                  interval, progress, re.data(), im.data(), workspace, {cancel_requested, &cancel});
    }
};

std::vector<cd> soliton(std::size_t n, double length, double a, double x0, double v, double t) {
    std::vector<cd> psi(n);
    for (std::size_t i = 0; i < n; ++i) {
        const double x = -length / 2 + length * static_cast<double>(i) / static_cast<double>(n);
        double from = std::remainder(x - x0 - v * t, length);
        psi[i] = a / std::cosh(a * from) * std::polar(1.0, v * (from + x0 + v * t) + (a * a - v * v) * t / 2);
    }
    return psi;
}

double distance(const std::vector<cd>& a, const std::vector<cd>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    return largest;
}

// v = 1 is a wavenumber of the box, so the periodic soliton is exact up to its tails.
constexpr double box = 16 * pi;

template <class T>
double fixed_error(Method method, std::int64_t steps) {
    Bench<T> bench(512, box);
    bench.set(soliton(512, box, 1.5, -2, 1, 0));
    bench.start(method);
    // two intervals: nothing may depend on where a run is cut
    CHECK(bench.run(method, between(0, 1, steps / 2, 0, 0, infinity, 0)) == Status::ok);
    CHECK(bench.run(method, between(1, 2, steps / 2, 0, 0, infinity, 0)) == Status::ok);
    CHECK(bench.progress.steps == steps && bench.progress.rejected == 0 && bench.progress.time == 2);
    return distance(bench.psi(), soliton(512, box, 1.5, -2, 1, 2));
}

void orders_of_convergence() {
    struct Case {
        Method method;
        std::int64_t coarse;
        double order;
    };
    for (const Case c : {Case{Method::rk4ip, 200, 4}, Case{Method::etdrk4, 200, 4}, Case{Method::dop853, 24, 8}}) {
        const double coarse = fixed_error<double>(c.method, c.coarse),
                     fine = fixed_error<double>(c.method, 2 * c.coarse);
        const double order = std::log2(coarse / fine);
        std::printf("order of method %d: %.2f (errors %.2e, %.2e)\n", static_cast<int>(c.method), order, coarse, fine);
        CHECK(std::fabs(order - c.order) < 0.4);
        CHECK(fixed_error<float>(c.method, 400) < 2e-4);
    }
}

void etd_weights_are_accurate() {
    using cl = std::complex<long double>;
    double worst = 0;
    for (int i = -4000; i <= 4000; ++i) {
        const double angle = i == 0 ? 0.0 : std::copysign(std::pow(10.0, std::abs(i) / 500.0 - 6), i);  // 1e-6 .. 100
        const long double theta = angle;
        const auto phi = [](cl z, int order) {
            cl value = 0;
            if (std::abs(z) < 1) {
                cl term = 1;
                for (int j = 1; j <= order; ++j) term /= j;
                for (int j = order + 1; j < order + 30; ++j, term *= z / static_cast<long double>(j - 1)) value += term;
                return value;
            }
            value = std::exp(z);
            long double factorial = 1;
            for (int j = 0; j < order; ++j) {
                value = (value - 1.0L / factorial) / z;
                factorial *= j + 1;
            }
            return value;
        };
        const cl z(0, theta);
        const EtdWeights w = etd_weights(angle);
        const auto check = [&](EtdWeight ours, cl truth) {
            // some weights pass through zero: relative to the size of their terms
            const long double scale = std::max(std::abs(truth), 1 / (6 + theta * theta));
            const double error = static_cast<double>(std::abs(cl(ours.re, ours.im) - truth) / scale);
            worst = std::max(worst, error);
        };
        check(w.half, phi(z / 2.0L, 1) / 2.0L);
        check(w.first, phi(z, 1) - 3.0L * phi(z, 2) + 4.0L * phi(z, 3));
        check(w.inner, 2.0L * phi(z, 2) - 4.0L * phi(z, 3));
        check(w.last, 4.0L * phi(z, 3) - phi(z, 2));
    }
    std::printf("etd weights: largest relative error %.1e\n", worst);
    CHECK(worst < 2e-15);
}

void adaptive_steps_keep_the_tolerance() {
    for (const Method method : {Method::rk4ip, Method::dop853}) {
        for (const double rtol : {1e-5, 1e-7, 1e-9, 1e-11}) {
            Bench<double> bench(512, box);
            bench.set(soliton(512, box, 1.5, -2, 1, 0));
            bench.start(method);
            double longest = 0;
            for (int i = 0; i < 20; ++i) {  // uneven intervals, some shorter than the step
                const double t0 = i * 0.1, t1 = t0 + 0.1, cut = t0 + (i % 3 == 0 ? 1e-6 : 0.03);
                CHECK(bench.run(method, between(t0, cut, 0, rtol, 0, infinity, 1e-12)) == Status::ok);
                CHECK(bench.progress.time == cut);
                CHECK(bench.run(method, between(cut, t1, 0, rtol, 0, infinity, 1e-12)) == Status::ok);
                if (i > 0 && bench.progress.step < longest / 4) CHECK(false);
                longest = std::max(longest, bench.progress.step);
            }
            const double error = distance(bench.psi(), soliton(512, box, 1.5, -2, 1, 2));
            std::printf("adaptive method %d, rtol %.0e: error %.1e, %lld steps, %lld rejected, %lld transforms\n",
                        static_cast<int>(method), rtol, error, static_cast<long long>(bench.progress.steps),
                        static_cast<long long>(bench.progress.rejected),
                        static_cast<long long>(bench.progress.transforms));
            CHECK(error < 300 * rtol + 1e-11);
            CHECK(bench.progress.rejected * 5 < bench.progress.steps);
        }
    }
}

void linear_problems_are_exact() {
    // g = 0: only the phase exp(-i omega t), in one step; a loss that is constant damps by exp(-gamma t)
    for (const Method method : {Method::rk4ip, Method::dop853}) {
        Bench<double> bench(64, 2 * pi);
        bench.constant.nonlinearity = 0;
        std::vector<double> loss(64, 0.3);
        std::vector<cd> psi(64);
        for (std::size_t i = 0; i < 64; ++i)
            psi[i] = std::polar(1.0, 3 * bench.x(i)) + std::polar(0.5, -7 * bench.x(i));
        bench.set(psi);
        bench.start(method);
        CHECK(bench.run(method, between(0, 2, 0, 1e-8, 1e-10, infinity, 1e-12)) == Status::ok);
        CHECK(bench.progress.steps == 1);
        bench.constant.loss = loss.data();
        CHECK(bench.run(method, between(2, 3, 0, 1e-12, 0, infinity, 1e-12)) == Status::ok);
        for (std::size_t i = 0; i < 64; ++i) {
            psi[i] = std::exp(-0.3) *
                     (std::polar(1.0, 3 * bench.x(i) - 4.5 * 3) + std::polar(0.5, -7 * bench.x(i) - 24.5 * 3));
        }
        CHECK(distance(bench.psi(), psi) < 1e-11);
    }
}

void filter_shields_the_nonlinearity() {
    // Two plane waves with k = 3 and 20; a filter that drops |k| > 10 makes the second one linear and unseen.
    for (const Method method : {Method::rk4ip, Method::etdrk4, Method::dop853}) {
        Bench<double> bench(64, 2 * pi);
        for (const double k : bench.k) bench.filter.push_back(std::fabs(k) > 10 ? 0 : 1);
        std::vector<cd> psi(64);
        for (std::size_t i = 0; i < 64; ++i)
            psi[i] = std::polar(1.2, 3 * bench.x(i)) + std::polar(0.7, 20 * bench.x(i));
        bench.set(psi);
        bench.start(method);
        CHECK(bench.run(method, between(0, 1, 400, 0, 0, infinity, 0)) == Status::ok);
        for (std::size_t i = 0; i < 64; ++i) {
            psi[i] = std::polar(1.2, 3 * bench.x(i) - 4.5 + 1.44) + std::polar(0.7, 20 * bench.x(i) - 200);
        }
        CHECK(distance(bench.psi(), psi) < 1e-8);
    }
}

void time_runs_backwards() {
    for (const Method method : {Method::rk4ip, Method::dop853}) {
        Bench<double> bench(512, box);
        const auto begin = soliton(512, box, 1.5, -2, 1, 0);
        bench.set(begin);
        bench.start(method);
        CHECK(bench.run(method, between(0, 1, 0, 1e-10, 1e-12, infinity, 1e-12)) == Status::ok);
        CHECK(bench.run(method, between(1, 0, 0, 1e-10, 1e-12, infinity, 1e-12)) == Status::ok);
        CHECK(distance(bench.psi(), begin) < 1e-8);
    }
}

void failures_are_named() {
    for (const Method method : {Method::rk4ip, Method::etdrk4, Method::dop853}) {
        Bench<double> bench(64, 10);
        const std::vector<double> gain(64,
                                       -5000.0);  // the field grows by exp(5000 t), the allowed step falls as 1/|psi|^2
        const auto begin = soliton(64, 10, 1, 0, 0, 0);
        const auto restart = [&] {
            bench.set(begin);
            bench.start(method);
        };
        bench.constant.loss = gain.data();
        restart();
        CHECK(bench.run(method, between(0, 10, 10000, 0, 0, infinity, 0)) == Status::not_finite);
        CHECK(bench.progress.time > 0 && bench.progress.time < 0.1);
        if (method != Method::etdrk4) {
            restart();
            CHECK(bench.run(method, between(0, 10, 0, 1e-6, 1e-8, infinity, 1e-6)) == Status::step_floor);
            CHECK(bench.progress.time > 0 && bench.progress.time < 0.1);
            for (const cd z : bench.psi()) CHECK(std::isfinite(std::abs(z)));  // the last good state
            restart();
            bench.re[3] = 1e200;  // its square is infinite
            CHECK(bench.run(method, between(0, 10, 0, 1e-6, 1e-8, infinity, 1e-12)) == Status::not_finite);
            restart();
            bench.re[3] = std::nan("");
            CHECK(bench.run(method, between(0, 10, 0, 1e-6, 1e-8, infinity, 1e-12)) == Status::not_finite);
            CHECK(bench.progress.time == 0);
        }
        bench.constant.loss = nullptr;
        restart();
        bench.cancel = true;
        CHECK(bench.run(method, between(0, 10, 100, 0, 0, infinity, 0)) == Status::cancelled);
        CHECK(bench.progress.steps == 0 && distance(bench.psi(), begin) < 1e-14);
    }
}

// The published single soliton: 23354 right-hand sides of scipy's solver, error 7.8e-7, 100 saved times.
void published_soliton() {
    const std::size_t n = 512;
    Bench<double> bench(n, 50);
    const double cut = 2 * pi * static_cast<double>(n) / (3 * 50.0);
    for (const double k : bench.k) bench.filter.push_back(std::exp(-36 * std::pow(std::fabs(k) / cut, 36)));
    bench.set(soliton(n, 50, 2, -10, 1, 0));
    AlignedBuffer<double> fields(published_state_count<double>(n)), scratch(published_scratch_count<double>(n));
    PublishedState<double> state{};
    state.fields = fields.data();
    Progress progress{};
    MediumInTime<double> medium = bench.medium();
    published_start<double>(bench.plan, bench.ops, medium, bench.omega.data(), bench.filter.data(), 0, 20, 1e-9, 1e-11,
                            0.1, bench.re.data(), bench.im.data(), state, scratch.data(), progress);
    double worst = 0;
    for (int i = 0; i < 100; ++i) {
        const double t = i == 99 ? 20.0 : i * (20.0 / 99);
        for (std::size_t j = 0; j < scratch.size(); ++j) scratch[j] = std::nan("");  // scratch is only lent
        CHECK(published_advance<double>(bench.plan, bench.ops, medium, bench.omega.data(), bench.filter.data(), t,
                                        state, scratch.data(), bench.re.data(), bench.im.data(), progress,
                                        CancelFlag{}) == Status::ok);
        worst = std::max(worst, distance(bench.psi(), soliton(n, 50, 2, -10, 1, t)));
    }
    // scipy also evaluates the slope at the end of a rejected step, and the interpolant (3 more) for the first saved
    // time
    const std::int64_t right_hand_sides = progress.transforms / 2 + progress.rejected + 3;
    std::printf("published: error %.2e, %lld steps, %lld rejected, %lld right-hand sides as scipy counts\n", worst,
                static_cast<long long>(progress.steps), static_cast<long long>(progress.rejected),
                static_cast<long long>(right_hand_sides));
    CHECK(worst > 7.5e-7 && worst < 9.5e-7);
    CHECK(right_hand_sides == 23354);
}

int all() {
    etd_weights_are_accurate();
    orders_of_convergence();
    adaptive_steps_keep_the_tolerance();
    linear_problems_are_exact();
    filter_shields_the_nonlinearity();
    time_runs_backwards();
    failures_are_named();
    published_soliton();
    return 0;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL

int main() { return fourfold::nlse::FOURFOLD_LEVEL::all(); }
