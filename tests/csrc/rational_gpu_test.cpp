// The GPU's rational functions on the host: every thread of every block, phase by phase, against the definition in long
// double. What this does not show is what only a GPU has: its instructions, and threads that run at the same time.
#define FOURFOLD_LEVEL gpu
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "kan/rational_launch.hpp"
#include "poisoned.hpp"

using namespace fourfold::kan;
using namespace fourfold::kan::gpu;
using Long = long double;

namespace {

template <class S>
struct Problem {
    using T = typename ComputeOf<S>::type;
    RationalShape shape;
    std::vector<T> a, b;
    Poisoned<S> x, g;
    std::size_t size;

    Problem(RationalShape given, std::mt19937_64& random, std::size_t offset)
        : shape(given),
          x(given.rows * given.groups * given.run, offset),
          g(given.rows * given.groups * given.run, offset),
          size(given.rows * given.groups * given.run) {
        std::normal_distribution<double> normal;
        const bool positive = shape.variant == Variant::N;
        const auto draw = [&] { return positive ? std::fabs(normal(random)) : normal(random); };
        a.resize((shape.shared_numerator ? 1 : shape.groups) * static_cast<std::size_t>(shape.m + 1));
        b.resize((shape.shared_denominator ? 1 : shape.groups) * static_cast<std::size_t>(shape.denominator_columns()));
        for (T& value : a) value = static_cast<T>(normal(random));
        for (T& value : b) value = static_cast<T>(draw());
        const double far = sizeof(S) == 8 ? 1e200 : shape.storage == Storage::float16 ? 6e4 : 1e30;
        for (std::size_t k = 0; k < size; ++k) {
            const bool is_far = random() % 97 == 0;
            x[k] = narrowed<S>(static_cast<T>(draw() * (is_far ? far : 1)));
            g[k] = narrowed<S>(static_cast<T>(normal(random)));
        }
        if (size > 3) x[size / 2] = narrowed<S>(T(-0.0));
    }
    std::size_t group(std::size_t k) const { return k / shape.run % shape.groups; }
    T a_of(std::size_t group, int i) const {
        return a[(shape.shared_numerator ? 0 : group * static_cast<std::size_t>(shape.m + 1)) +
                 static_cast<std::size_t>(i)];
    }
    T b_of(std::size_t group, int j) const {
        return b[(shape.shared_denominator ? 0 : group * static_cast<std::size_t>(shape.denominator_columns())) +
                 static_cast<std::size_t>(j)];
    }
};

// F, dF/dx and dF/da, dF/db at one point from the definition; beside each what it would be if nothing cancelled.
struct Truth {
    Long value = 0, value_size = 0, slope = 0, slope_size = 0;
    std::vector<Long> a, a_size, b, b_size;
};

template <class S>
Truth truth_of(const Problem<S>& problem, std::size_t group, Long x) {
    using T = typename ComputeOf<S>::type;
    const RationalShape& shape = problem.shape;
    const int first = shape.variant == Variant::C ? 0 : 1;
    const bool absolute = shape.variant == Variant::A;
    const Long t = absolute ? std::fabs(x) : x, dt = absolute && x < 0 ? -1 : 1;
    Long powers_x[kLargestDegree + 1] = {1}, powers_t[kLargestDegree + 1] = {1};
    for (int k = 1; k <= kLargestDegree; ++k) {
        powers_x[k] = powers_x[k - 1] * x;
        powers_t[k] = powers_t[k - 1] * t;
    }
    Long p = 0, dp = 0, p_size = 0, dp_size = 0, w = 0, dw = 0, w_size = 0, dw_size = 0;
    for (int i = 0; i <= shape.m; ++i) {
        const Long a = problem.a_of(group, i), of_slope = i == 0 ? 0 : i * a * powers_x[i - 1];
        p += a * powers_x[i];
        p_size += std::fabs(a * powers_x[i]);
        dp += of_slope;
        dp_size += std::fabs(of_slope);
    }
    for (int j = first; j <= shape.n; ++j) {
        const Long raw = problem.b_of(group, j - first), b = absolute ? std::fabs(raw) : raw;
        const Long of_slope = j == 0 ? 0 : j * b * powers_t[j - 1];
        w += b * powers_t[j];
        w_size += std::fabs(b * powers_t[j]);
        dw += of_slope;
        dw_size += std::fabs(of_slope);
    }
    const bool folds = shape.variant == Variant::B || shape.variant == Variant::C;
    const Long s = folds && w < 0 ? -1 : 1, q = (shape.variant == Variant::C ? Long(T(0.1)) : Long(1)) + s * w;
    const Long loss = 1 + w_size / std::fabs(q);
    Truth truth;
    truth.value = p / q;
    truth.value_size = p_size / std::fabs(q) * loss;
    truth.slope = dp / q - p / q * (s * dw * dt / q);
    truth.slope_size = (dp_size / std::fabs(q) + p_size / std::fabs(q) * (dw_size / std::fabs(q))) * loss;
    for (int i = 0; i <= shape.m; ++i) {
        truth.a.push_back(powers_x[i] / q);
        truth.a_size.push_back(std::fabs(truth.a.back()) * loss);
    }
    for (int j = first; j <= shape.n; ++j) {
        const Long flip = absolute && problem.b_of(group, j - first) < 0 ? -1 : 1, power = powers_t[j] / q;
        truth.b.push_back(-p / q * s * flip * power);
        truth.b_size.push_back(p_size / std::fabs(q) * std::fabs(power) * loss);
    }
    return truth;
}

template <class S>
constexpr Long rounding() {
    if constexpr (sizeof(S) >= 4) return std::numeric_limits<S>::epsilon();
    return std::is_same_v<S, BFloat16> ? 0x1p-8L : 0x1p-10L;
}
template <class S>
constexpr Long largest() {
    if constexpr (sizeof(S) >= 4) return std::numeric_limits<S>::max();
    return std::is_same_v<S, BFloat16> ? 0x1.fep127L : 65504.0L;
}
template <class S>
constexpr Long smallest() {
    return std::is_same_v<S, Float16> ? 0x1p-14L : sizeof(S) == 8 ? std::numeric_limits<double>::min() : 0x1p-126L;
}

template <class S>
void check_number(Long got, Long truth, Long size, Long allowed) {
    if (std::fabs(truth) > largest<S>() * (1 + 4 * rounding<S>())) {
        CHECK(std::isinf(got));
    } else if (std::fabs(truth) < largest<S>() * (1 - 4 * rounding<S>())) {
        CHECK(std::fabs(got - truth) <= allowed * size + rounding<S>() * std::fabs(truth) + smallest<S>());
    }
}

template <class S, int V, bool Absolute, int M, int N>
void run_forward(const RationalCall<typename ComputeOf<S>::type>& call, const S* x, S* out) {
    for (std::uint64_t block = 0; block < call.blocks.count(); ++block) {
        for (std::uint32_t thread = 0; thread < kWarps * kLanes; ++thread) {
            forward_thread<S, V, Absolute, M, N>(call, block, thread / kLanes, thread % kLanes, x, out);
        }
    }
}

template <class S, int V, bool Absolute, int M, int N>
void run_backward(const RationalCall<typename ComputeOf<S>::type>& call, const S* g, const S* x, S* dx, double* parts) {
    using T = typename ComputeOf<S>::type;
    const auto each_thread = [](auto work) {
        for (std::uint32_t thread = 0; thread < kWarps * kLanes; ++thread) work(thread / kLanes, thread % kLanes);
    };
    for (std::uint64_t block = 0; block < call.blocks.count(); ++block) {
        std::vector<BackwardSums<T, M, N>> sums(kWarps * kLanes);
        BackwardShared<T, (M > N ? M : N) + 1> shared;
        double* part = parts + block * static_cast<std::uint64_t>(call.terms()) * kLanes;
        const auto own = [&](std::uint32_t warp, std::uint32_t lane) -> auto& { return sums[warp * kLanes + lane]; };
        each_thread([&](std::uint32_t warp, std::uint32_t lane) {
            backward_thread<S, V, Absolute, M, N>(call, block, warp, lane, g, x, dx, own(warp, lane));
        });
        each_thread([&](auto warp, auto lane) { share_sums(shared, warp, lane, own(warp, lane).a); });
        each_thread([&](auto warp, auto lane) { add_warps(shared, warp, lane, call.m + 1, part); });
        each_thread([&](auto warp, auto lane) { share_sums(shared, warp, lane, own(warp, lane).c); });
        each_thread([&](auto warp, auto lane) {
            add_warps(shared, warp, lane, call.n + 1, part + (call.m + 1) * static_cast<int>(kLanes));
        });
        if (std::none_of(sums.begin(), sums.end(), [](const auto& one) { return one.far; })) continue;
        FarRanges ranges;
        each_thread([&](auto warp, auto lane) { find_far(call, block, warp, lane, x, ranges); });
        each_thread([&](auto warp, auto lane) { far_thread(call, block, warp, lane, ranges, g, x, dx, part); });
    }
}

template <class T>
void run_coefficients(const RationalCall<T>& call, const double* parts, T* of_numerator, T* of_denominator) {
    constexpr std::uint32_t threads = 64;
    for (std::uint64_t index = 0; index < coefficients_of(call); ++index) {
        const Coefficient wanted = coefficient(call, index);
        double sum = 0;
        for (std::uint32_t thread = 0; thread < threads; ++thread) {
            sum += sum_of_thread(call, wanted, thread, threads, parts);
        }
        (wanted.of_numerator ? of_numerator : of_denominator)[wanted.place] = gradient_of(call, wanted, sum);
    }
}

template <class S>
void check_problem(RationalShape shape, std::uint64_t seed, std::size_t offset, int multiprocessors) {
    using T = typename ComputeOf<S>::type;
    std::mt19937_64 random(seed);
    Problem<S> problem(shape, random, offset);
    const std::uint32_t elements = offset == 0 ? elements_of_column(shape) : 1;
    auto call = make_call<T>(shape, elements, multiprocessors, problem.a.data(), problem.b.data());
    CHECK(call.blocks.count() > 0);
    Poisoned<S> out(problem.size, offset), dx(problem.size, offset);
    const std::size_t count = call.blocks.count() * static_cast<std::size_t>(call.terms()) * kLanes;
    Poisoned<double> parts(count);
    with_kernel<S>(shape, elements, [&]<class Element, int V, bool Absolute, int M, int N>() {
        CHECK(V == static_cast<int>(elements));
        run_forward<Element, V, Absolute, M, N>(call, problem.x.data(), out.data());
        run_backward<Element, V, Absolute, M, N>(call, problem.g.data(), problem.x.data(), dx.data(), parts.data());
    });
    Poisoned<T> da(problem.a.size()), db(problem.b.size());
    run_coefficients(call, parts.data(), da.data(), db.data());
    out.check_guard();
    dx.check_guard();
    parts.check_guard();
    da.check_guard();
    db.check_guard();

    const Long allowed = sizeof(T) == 8 ? 1e-13L : 2e-6L;
    std::vector<Long> a(problem.a.size()), a_size(a.size()), b(problem.b.size()), b_size(b.size());
    for (std::size_t k = 0; k < problem.size; ++k) {
        const std::size_t group = problem.group(k);
        const Long g = widened(problem.g[k]);
        const Truth truth = truth_of(problem, group, static_cast<Long>(widened(problem.x[k])));
        check_number<S>(widened(out[k]), truth.value, truth.value_size, allowed);
        check_number<S>(widened(dx[k]), g * truth.slope, std::fabs(g) * truth.slope_size, 2 * allowed);
        for (std::size_t i = 0; i < truth.a.size(); ++i) {
            const std::size_t at = (shape.shared_numerator ? 0 : group * truth.a.size()) + i;
            a[at] += g * truth.a[i];
            a_size[at] += std::fabs(g) * truth.a_size[i];
        }
        for (std::size_t j = 0; j < truth.b.size(); ++j) {
            const std::size_t at = (shape.shared_denominator ? 0 : group * truth.b.size()) + j;
            b[at] += g * truth.b[j];
            b_size[at] += std::fabs(g) * truth.b_size[j];
        }
    }
    // Where single terms overflow, so may their sum.
    for (std::size_t k = 0; k < a.size(); ++k) {
        if (a_size[k] < largest<T>()) check_number<T>(da[k], a[k], a_size[k], 4 * allowed);
    }
    for (std::size_t k = 0; k < b.size(); ++k) {
        if (b_size[k] < largest<T>()) check_number<T>(db[k], b[k], b_size[k], 4 * allowed);
    }
}

// Tiny, odd, one group, runs of one element, rows that are folded together, segments of long runs, channels first.
constexpr std::size_t kShapes[][3] = {{1, 1, 1},  {1, 1, 1003}, {37, 3, 5},  {61, 8, 24},  {10, 8, 96},    {129, 40, 1},
                                      {9, 2, 49}, {1, 3, 8201}, {5, 1, 777}, {301, 2, 12}, {1, 4, 96 * 49}};
constexpr int kDegrees[][2] = {{5, 4}, {3, 2}, {7, 6}, {12, 12}, {0, 3}, {2, 0}, {1, 11}};

template <class S>
void check_all(Storage storage, std::mt19937_64& random) {
    for (const auto& [rows, groups, run] : kShapes) {
        for (int variant = 0; variant < 4; ++variant) {
            const auto& [m, n] = kDegrees[random() % std::size(kDegrees)];
            const RationalShape shape{
                rows, groups, run, m, n, random() % 2 == 0, random() % 2 == 0, static_cast<Variant>(variant), storage};
            const int multiprocessors[] = {1, 4, 132};
            const std::uint64_t seed = random();
            std::printf("%zu x %zu x %zu, degree (%d, %d), variant %d, storage %d, shared %d %d, seed %llu\n", rows,
                        groups, run, m, n, variant, static_cast<int>(storage), shape.shared_numerator,
                        shape.shared_denominator, static_cast<unsigned long long>(seed));
            check_problem<S>(shape, seed, random() % 3 == 0 ? 1 : 0, multiprocessors[random() % 3]);
        }
    }
}

// Every number of the 16-bit types there and back; halves between them to even.
template <class S>
void check_conversions() {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const S element{static_cast<std::uint16_t>(bits)};
        const float value = widened(element);
        CHECK(std::isnan(value) ? std::isnan(widened(narrowed<S>(value))) : narrowed<S>(value).bits == bits);
        const S next{static_cast<std::uint16_t>(bits + 1)};
        const float above = widened(next);
        if (!std::isfinite(value) || !std::isfinite(above) || std::signbit(value) != std::signbit(above)) continue;
        CHECK(narrowed<S>(value / 2 + above / 2).bits == (bits % 2 == 0 ? bits : bits + 1));
    }
}

// Newton's steps from an estimate as wrong as a GPU's.
template <class T>
void check_division(std::mt19937_64& random) {
    std::uniform_real_distribution<double> exponent(0, sizeof(T) == 4 ? 69 : 519), mantissa(1, 2);
    Long worst = 0;
    for (int k = 0; k < 200000; ++k) {
        const T q = static_cast<T>(mantissa(random) * std::exp2(std::floor(exponent(random))));
        const T p = static_cast<T>(mantissa(random));
        worst = std::max(worst, std::fabs(Long(reciprocal(q)) * q - 1));
        worst = std::max(worst, std::fabs(Long(quotient(p, q)) * q / p - 1));
    }
    CHECK(worst < 0.6 * Long(std::numeric_limits<T>::epsilon()));
}

// Scaled against long double, whose range it has and more.
void check_scaled(std::mt19937_64& random) {
    std::uniform_real_distribution<double> exponent(-1000, 1000), fraction(-1, 1);
    const auto draw = [&] { return fraction(random) * std::exp2(std::floor(exponent(random))); };
    const Long eps = 0x1p-52;
    for (int k = 0; k < 100000; ++k) {
        const double a = draw(), b = draw(), c = draw(), d = draw();
        const Long exact = (Long(a) * b + Long(c) * d) / (Long(c) * c);
        const auto scaled = static_cast<double>((Scaled(a) * b + Scaled(c) * d) / (Scaled(c) * c));
        const Long size = (std::fabs(Long(a) * b) + std::fabs(Long(c) * d)) / (Long(c) * c);
        check_number<double>(scaled, exact, size, 8 * eps);
        CHECK((Scaled(a) * b < Scaled(c) * d) == (Long(a) * b < Long(c) * d));
    }
    const double infinity = std::numeric_limits<double>::infinity(), tiny = 0x1p-1074;
    CHECK(static_cast<double>(Scaled(tiny)) == tiny);
    CHECK(static_cast<double>(Scaled(1) / infinity) == 0);
    CHECK(static_cast<double>(Scaled(infinity) + Scaled(1)) == infinity);
    CHECK(std::isnan(static_cast<double>(Scaled(infinity) - Scaled(infinity))));
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_conversions<BFloat16>();
    check_conversions<Float16>();
    check_division<float>(random);
    check_division<double>(random);
    check_scaled(random);
    check_all<double>(Storage::float64, random);
    check_all<float>(Storage::float32, random);
    check_all<BFloat16>(Storage::bfloat16, random);  // and float16 differs in the conversions alone
    return 0;
}
