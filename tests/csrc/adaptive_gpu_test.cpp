// The GPU's ensembles with adaptive steps on the host: every thread of every block, phase by phase, forwards and
// backwards, against the CPU's kernels.
#define FOURFOLD_LEVEL gpu
#define FOURFOLD_LEVEL_INDEX 0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "gpu_memory.hpp"
#include "nlse/ensemble_adaptive_launch.hpp"
#include "nlse/fixed_steps.hpp"
#include "nlse/splitting.hpp"
#include "support/gpu_block.hpp"

using namespace fourfold;
using namespace fourfold::nlse;
using namespace fourfold::nlse::gpu;

namespace {

const char* const kSchemes[] = {"strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a"};

template <class T>
const T* address(const std::vector<T>& values) {
    return values.empty() ? nullptr : values.data();
}

template <class T>
struct Problem {
    cuda::Ensemble ensemble;
    cuda::Tolerances tolerances;
    std::int32_t order;
    double duration, smallest;
    std::vector<double> omega, first;
    std::vector<T> filter, nonlinearity, potential, loss;  // empty: none
    std::vector<T> psi;                                    // re and im in turn
};

// What comes out of an interval.
template <class T>
struct Answer {
    std::vector<T> psi;
    std::vector<double> next;
    std::vector<Status> status;  // the CPU's
};

template <class T>
Problem<T> drawn(std::mt19937_64& random, std::size_t n, std::size_t batch, const std::string& scheme) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const auto coin = [&] { return random() % 2 == 0; };
    const auto draw = [&](std::size_t count, double scale) {
        std::vector<T> values(count);
        for (T& value : values) value = static_cast<T>(scale * normal(random));
        return values;
    };
    Problem<T> problem;
    problem.ensemble = {n, batch, sizeof(T) == 4, splitting_program(scheme), coin(), coin(), coin(), coin()};
    problem.tolerances = sizeof(T) == 4 ? cuda::Tolerances{1e-3, 1e-6} : cuda::Tolerances{1e-6, 1e-9};
    problem.order = coin() ? problem.ensemble.program.order : problem.ensemble.program.order_general;
    problem.duration = 0.1 + 0.2 * uniform(random);
    problem.smallest = 1e-8;
    const double scale = 2 * std::numbers::pi / (6 + 10 * uniform(random));
    for (std::size_t i = 0; i < n; ++i) {
        const double k = scale * (i < (n + 1) / 2 ? double(i) : double(i) - double(n));
        problem.omega.push_back(std::min(0.5 * k * k, 40.0));
    }
    problem.nonlinearity = draw(problem.ensemble.shared_nonlinearity ? 1 : batch, 1.0);
    if (coin()) problem.potential = draw((problem.ensemble.shared_potential ? 1 : batch) * n, 0.5);
    if (problem.ensemble.lossy) problem.loss = draw((problem.ensemble.shared_loss ? 1 : batch) * n, 0.1);
    for (std::size_t i = 0; i < problem.loss.size(); i += 3) problem.loss[i] = 0;
    if (coin()) {
        for (std::size_t i = 0; i < n; ++i) {
            problem.filter.push_back(static_cast<T>(problem.omega[i] < 20 ? 1.0 : 0.0));
        }
    }
    problem.psi = draw(2 * n * batch, 0.5);
    for (std::size_t b = 0; b < batch; ++b) {
        problem.first.push_back(coin() ? 0.0 : 0.02 * uniform(random));
        const T strength = static_cast<T>(0.2 + 1.5 * uniform(random));  // so that steps differ
        for (std::size_t i = 0; i < 2 * n; ++i) problem.psi[2 * n * b + i] *= strength;
    }
    return problem;
}

template <unsigned N, class T>
Answer<T> run(const Problem<T>& problem, bool backwards) {
    const cuda::Ensemble& ensemble = problem.ensemble;
    const EnsembleLayout layout = ensemble_layout(static_cast<unsigned>(ensemble.n));
    std::vector<double> omega;
    std::vector<T> filter;
    for (unsigned place = 0; place < layout.n; ++place) {
        omega.push_back(problem.omega[layout.frequency(place)]);
        if (!problem.filter.empty()) filter.push_back(problem.filter[layout.frequency(place)]);
    }
    const std::vector<T> twiddles = ensemble_twiddles<T>(layout);
    Answer<T> answer{poisoned<T>(problem.psi.size()), poisoned<double>(ensemble.batch), {}};
    std::vector<T> coarse = poisoned<T>(problem.psi.size());
    const cuda::AdaptiveMedium medium{problem.nonlinearity.data(),
                                      address(problem.potential),
                                      address(problem.loss),
                                      omega.data(),
                                      address(filter),
                                      &problem.order,
                                      twiddles.data()};
    const auto call = adaptive_call_of<T>(ensemble, medium, problem.tolerances, problem.duration, problem.smallest,
                                          problem.psi.data(), answer.psi.data(), coarse.data(), problem.first.data(),
                                          answer.next.data());
    const auto blocks = static_cast<unsigned>((ensemble.batch + layout.fields - 1) / layout.fields);
    for (unsigned block = 0; block < blocks; ++block) {
        HostBlock host(block, layout.threads(), backwards);
        Shared shared(AdaptiveMemory<T>::size(layout));
        adaptive_block<N>(host, call, shared.get());
    }
    return answer;
}

template <class T>
Answer<T> truth(const Problem<T>& problem) {
    const cuda::Ensemble& ensemble = problem.ensemble;
    const std::size_t n = ensemble.n;
    const FftPlan<T> plan(n, 1);
    std::vector<double> omega(n);
    std::vector<T> filter(problem.filter.size());
    for (std::size_t i = 0; i < n; ++i) {
        omega[i] = problem.omega[plan.index[i]];
        if (!filter.empty()) filter[i] = problem.filter[plan.index[i]];
    }
    Setup<T> setup{};
    setup.plan = &plan;
    setup.method = Method::splitting;
    setup.program = ensemble.program;
    setup.order = problem.order;
    setup.omega = omega.data();
    setup.filter = address(filter);
    setup.lossy = ensemble.lossy;
    Interval interval{};
    interval.t1 = problem.duration;
    interval.rtol = problem.tolerances.rtol;
    interval.atol = problem.tolerances.atol;
    interval.max_step = std::numeric_limits<double>::infinity();
    interval.min_step = problem.smallest;
    AlignedBuffer<T> field(2 * n), before(2 * n), coarse(2 * n), scratch(medium_scratch_count(setup));
    const std::size_t slots = ensemble.program.kinetic_slots + ensemble.program.potential_slots;
    AlignedBuffer<T> memory(4 * n * slots);
    Answer<T> answer{std::vector<T>(problem.psi.size()), {}, {}};
    const auto row = [&](const std::vector<T>& values, bool shared, std::size_t b) {
        return values.empty() ? nullptr : values.data() + (shared ? 0 : b * n);
    };
    for (std::size_t b = 0; b < ensemble.batch; ++b) {
        SplittingTables<T> tables[2] = {
            {0, nullptr, memory.data(), memory.data() + 2 * n * ensemble.program.kinetic_slots},
            {0, nullptr, memory.data() + 2 * n * slots,
             memory.data() + 2 * n * (slots + ensemble.program.kinetic_slots)}};
        const Medium<T> constant{problem.nonlinearity[ensemble.shared_nonlinearity ? 0 : b],
                                 row(problem.potential, ensemble.shared_potential, b),
                                 row(problem.loss, ensemble.shared_loss, b), b};
        MediumInTime<T> medium(setup, constant, scratch.data());
        Progress progress{};
        progress.step = problem.first[b];
        split(problem.psi.data() + 2 * n * b, field.data(), field.data() + n, n);
        answer.status.push_back(adaptive_splitting<T, 1>(setup, medium, interval, progress, tables, field.data(),
                                                         before.data(), coarse.data(), CancelFlag{}));
        interleave(field.data(), field.data() + n, answer.psi.data() + 2 * n * b, n);
        answer.next.push_back(progress.step);
    }
    return answer;
}

// Both choose the same steps but for rounding, which may turn a decision: always possible in single precision, once in
// ten thousand runs of this test in double. Results then differ by what the tolerances allow.
template <class T>
void check_close(const Problem<T>& problem, const Answer<T>& found, const Answer<T>& exact) {
    const std::size_t n = problem.ensemble.n;
    double worst = 0, worst_step = 0;
    int turned = 0;
    for (std::size_t b = 0; b < problem.ensemble.batch; ++b) {
        CHECK(exact.status[b] == Status::ok);
        double off = 0, size = 0;
        for (std::size_t i = 2 * n * b; i < 2 * n * (b + 1); ++i) {
            off += std::pow(double(found.psi[i]) - double(exact.psi[i]), 2);
            size += std::pow(double(problem.psi[i]), 2);
        }
        const double far = std::sqrt(off / size), step_off = std::abs(found.next[b] / exact.next[b] - 1);
        CHECK(step_off < 1e6);  // finite, too
        if (far > 1e-10 || step_off > 1e-5) ++turned;
        worst = std::max(worst, far);
        worst_step = std::max(worst_step, step_off);
    }
    std::printf("off by %.1e, next steps by %.1e\n", worst, worst_step);
    CHECK(worst < 50 * problem.tolerances.rtol);
    if (sizeof(T) == 8) CHECK(turned <= 1);
}

template <class T>
bool same(const Answer<T>& a, const Answer<T>& b) {
    return ::same_bits(a.psi, b.psi) && ::same_bits(a.next, b.next);
}

template <class T>
void check_problem(std::mt19937_64& random, std::size_t n, std::size_t batch, const std::string& scheme) {
    Problem<T> problem = drawn<T>(random, n, batch, scheme);
    std::printf("%s of %zu x %zu, %zu bytes, order %d, loss %zu, potential %zu, filter %zu: ", scheme.c_str(), batch, n,
                sizeof(T), problem.order, problem.loss.size(), problem.potential.size(), problem.filter.size());
    const auto found = run<0>(problem, false);
    CHECK(same(found, run<0>(problem, true)));
    if (n == cuda::kLargestAdaptiveGrid) CHECK(same(found, run<cuda::kLargestAdaptiveGrid>(problem, false)));
    check_close(problem, found, truth(problem));
    if (n > 256) return;
    // The next interval, from what the first one left.
    problem.psi = found.psi;
    problem.first = found.next;
    check_close(problem, run<0>(problem, false), truth(problem));
}

// A realisation that fails is NaN, and the others of its block are as without it.
template <class T>
void check_failures(std::mt19937_64& random) {
    const std::size_t n = 64, batch = 19;
    Problem<T> problem = drawn<T>(random, n, batch, "strang");
    const auto before = run<0>(problem, false);
    problem.psi[2 * n * 3 + 17] = std::numeric_limits<T>::infinity();
    problem.psi[2 * n * 18] = std::numeric_limits<T>::quiet_NaN();
    const auto after = run<0>(problem, false), exact = truth(problem);
    for (std::size_t b = 0; b < batch; ++b) {
        const bool bad = b == 3 || b == 18;
        CHECK((exact.status[b] != Status::ok) == bad);
        for (std::size_t i = 2 * n * b; i < 2 * n * (b + 1); ++i) {
            CHECK(bad ? std::isnan(after.psi[i]) : after.psi[i] == before.psi[i]);
        }
        if (!bad) CHECK(after.next[b] == before.next[b]);
    }
    problem.smallest = 0.5;  // longer than the interval
    problem.first.assign(batch, 0.4);
    const auto none = run<0>(problem, false);
    CHECK(std::all_of(none.psi.begin(), none.psi.end(), [](T value) { return std::isnan(value); }));
    CHECK(truth(problem).status[0] == Status::step_floor);
}

template <class T>
void check_all(std::mt19937_64& random) {
    for (unsigned n = kSmallestEnsembleGrid; n <= 1024; n *= 2) {
        const EnsembleLayout layout = ensemble_layout(n);
        const std::size_t batch = n <= 128 ? 1 + random() % (layout.fields + 3) : 2;
        for (const char* scheme : kSchemes) {
            if (n <= 64 || random() % 3 == 0) check_problem<T>(random, n, batch, scheme);
        }
    }
    check_problem<T>(random, cuda::kLargestAdaptiveGrid, 1, "strang");
    check_failures<T>(random);
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_all<double>(random);
    check_all<float>(random);
    return 0;
}
