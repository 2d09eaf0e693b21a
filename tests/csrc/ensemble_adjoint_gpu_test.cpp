// The adjoint of the GPU's ensembles on the host, every thread of every block, phase by phase, forwards and backwards,
// against the CPU's own backward pass over the same interval. What this does not show is what only a GPU has: its
// instructions, and threads that run at the same time.
#define FOURFOLD_LEVEL gpu
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
#include "nlse/adjoint.hpp"
#include "nlse/ensemble_adjoint_launch.hpp"
#include "nlse/integrator.hpp"
#include "support/gpu_block.hpp"

using namespace fourfold;
using namespace fourfold::nlse;
using namespace fourfold::nlse::gpu;

namespace {

const char* const kSchemes[] = {"strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a"};

template <class T>
using Points = std::vector<Point<T>>;

template <class T>
struct Problem {
    cuda::Ensemble ensemble;
    std::string scheme;
    double step;
    int steps;
    bool wants_nonlinearity, wants_potential, wants_loss, wants_omega;
    std::vector<double> omega;
    std::vector<T> filter, nonlinearity, potential, loss;  // empty: none
    Points<T> psi, cotangent;

    std::size_t n() const { return ensemble.n; }
    std::size_t batch() const { return ensemble.batch; }
};

// What the way back gives; empty: not wanted.
template <class T>
struct Gradients {
    Points<T> cotangent;
    std::vector<double> nonlinearity, potential, loss, omega;  // one row a realisation
};

template <class T>
Problem<T> drawn(std::mt19937_64& random, std::size_t n, std::size_t batch, const std::string& scheme, int steps) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const auto coin = [&] { return random() % 2 == 0; };
    const auto draw = [&](std::size_t count, double scale) {
        std::vector<T> values(count);
        for (T& value : values) value = static_cast<T>(scale * normal(random));
        return values;
    };
    const auto field = [&] {
        Points<T> all(n * batch);
        for (Point<T>& z : all) z = {static_cast<T>(0.5 * normal(random)), static_cast<T>(0.5 * normal(random))};
        return all;
    };
    // Weak enough that rounding errors do not grow: the angles of a step are of order 0.1.
    Problem<T> problem{};
    problem.ensemble = {n, batch, sizeof(T) == 4, splitting_program(scheme), coin(), coin(), coin(), coin()};
    problem.scheme = scheme;
    problem.steps = steps;
    problem.step = 0.02 + 0.05 * uniform(random);
    const double scale = 2 * std::numbers::pi / (4 + 20 * uniform(random));
    for (std::size_t i = 0; i < n; ++i) {
        const double k =
            scale * (i < (n + 1) / 2 ? static_cast<double>(i) : static_cast<double>(i) - static_cast<double>(n));
        problem.omega.push_back(std::fmod(0.5 * k * k - 0.01 * k * k * k, 50.0));
    }
    problem.nonlinearity = draw(problem.ensemble.shared_nonlinearity ? 1 : batch, 1);
    if (coin()) problem.potential = draw((problem.ensemble.shared_potential ? 1 : batch) * n, 1);
    if (problem.ensemble.lossy) problem.loss = draw((problem.ensemble.shared_loss ? 1 : batch) * n, 0.25);
    for (std::size_t i = 0; i < problem.loss.size(); i += 3) problem.loss[i] = 0;
    if (coin()) {
        for (std::size_t i = 0; i < n; ++i) {
            problem.filter.push_back(static_cast<T>(std::clamp(1.3 - 1.5 * uniform(random), 0.0, 1.0)));
        }
    }
    problem.psi = field();
    problem.cotangent = field();
    problem.wants_nonlinearity = coin();
    problem.wants_potential = !problem.potential.empty() && coin();
    problem.wants_loss = !problem.loss.empty() && coin();
    problem.wants_omega = coin();
    return problem;
}

template <class Element>
const Element* address(const std::vector<Element>& values) {
    return values.empty() ? nullptr : values.data();
}
template <class Element>
Element* address(std::vector<Element>& values) {
    return values.empty() ? nullptr : values.data();
}

template <class Work>
void each_block(const cuda::Ensemble& ensemble, bool backwards, const Work& work) {
    const EnsembleLayout layout = ensemble_layout(static_cast<unsigned>(ensemble.n));
    const std::size_t blocks = (ensemble.batch + layout.fields - 1) / layout.fields;
    for (std::size_t block = 0; block < blocks; ++block) {
        HostBlock host(static_cast<unsigned>(block), layout.threads(), backwards);
        Shared shared(layout.fields * ensemble.n * (ensemble.single ? 8 : 16));
        work(host, shared.get());
    }
}

template <class T>
Points<T> paired(const std::vector<T>& numbers) {
    Points<T> points;
    for (std::size_t i = 0; i < numbers.size(); i += 2) points.push_back({numbers[i], numbers[i + 1]});
    return points;
}

// The interval as Python takes it back, in segments of `length` flows; `end`: where the forward run ends.
template <unsigned N, class T>
Gradients<T> run(const Problem<T>& problem, std::int64_t length, bool backwards, Points<T>& end) {
    const cuda::Ensemble& ensemble = problem.ensemble;
    const std::size_t size = problem.n() * problem.batch();
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const Points<T> nothing(size, Point<T>{nan, nan});
    Points<T> tables(entries_of(ensemble), Point<T>{nan, nan});
    const auto building = tables_of<T>(ensemble, problem.step, problem.omega.data(), address(problem.filter),
                                       address(problem.loss), tables.data());
    for (std::uint64_t entry = 0; entry < building.kinetic_entries(); ++entry) kinetic_entry(building, entry);
    for (std::uint64_t entry = 0; entry < building.decay_entries(); ++entry) decay_entry(building, entry);
    std::vector<T> slopes;
    if (problem.wants_loss) {
        slopes = poisoned<T>(loss_rows(ensemble) * problem.n() * ensemble.program.potential_slots);
        const auto sloping = slopes_of<T>(ensemble, problem.step, problem.loss.data(), slopes.data());
        CHECK(sloping.entries == slopes.size());
        for (std::uint64_t entry = 0; entry < sloping.entries; ++entry) slope_entry(sloping, entry);
    }
    const Points<T> twiddles = paired(ensemble_twiddles<T>(ensemble_layout(static_cast<unsigned>(problem.n()))));
    const cuda::Coefficients given{problem.nonlinearity.data(), address(problem.potential), twiddles.data(),
                                   tables.data()};
    const std::int64_t flows = ensemble_flows(ensemble.program, static_cast<std::int32_t>(problem.steps)).count;
    const auto stretch = [&](std::int64_t first, std::int64_t last) {
        return cuda::Stretch{problem.step, problem.steps, first, last};
    };
    const auto record = [&](const cuda::Stretch& part, const Points<T>& psi, Points<T>* fields, Points<T>* spectra,
                            Points<T>* out) {
        const auto pointer = [](Points<T>* points) { return points == nullptr ? nullptr : address(*points); };
        const auto way =
            record_of<T>(ensemble, part, psi.data(), pointer(fields), pointer(spectra), pointer(out), given);
        each_block(ensemble, backwards, [&](HostBlock& block, unsigned char* shared) {
            record_block<N>(block, way, reinterpret_cast<Point<T>*>(shared));
        });
    };

    Gradients<T> found;
    found.cotangent = problem.cotangent;
    if (problem.wants_nonlinearity) found.nonlinearity.assign(size / kPoints, 0);
    if (problem.wants_potential) found.potential.assign(size, 0);
    if (problem.wants_loss) found.loss.assign(size, 0);
    std::vector<double> places(problem.wants_omega ? size : 0, 0.0);
    const cuda::AdjointSums sums{address(found.nonlinearity), address(found.potential), address(found.loss),
                                 address(places)};

    std::vector<Points<T>> begins = {problem.psi};
    for (std::int64_t first = 0; first + length < flows; first += length) {
        begins.push_back(nothing);
        record(stretch(first, first + length), begins[begins.size() - 2], nullptr, nullptr, &begins.back());
    }
    end = nothing;
    for (std::size_t c = begins.size(); c-- > 0;) {
        const std::int64_t first = static_cast<std::int64_t>(c) * length, last = std::min(first + length, flows);
        const bool final = last == flows;
        // Exactly as large as Python makes them: the sanitizer sees what is written beyond.
        Points<T> fields((static_cast<std::size_t>(last - first) + final) * size, Point<T>{nan, nan}), spectra;
        if (problem.wants_omega) spectra.assign(static_cast<std::size_t>(last - first) * size, Point<T>{nan, nan});
        record(stretch(first, last), begins[c], &fields, &spectra, final ? &end : nullptr);
        const auto way = adjoint_of<T>(ensemble, stretch(first, last), found.cotangent.data(), fields.data(),
                                       address(spectra), address(slopes), sums, given);
        each_block(ensemble, backwards, [&](HostBlock& block, unsigned char* shared) {
            adjoint_block<N>(block, way, reinterpret_cast<Point<T>*>(shared));
        });
    }
    if (problem.wants_omega) {
        const EnsembleLayout layout = ensemble_layout(static_cast<unsigned>(problem.n()));
        found.omega = poisoned<double>(size);
        for (std::size_t b = 0; b < problem.batch(); ++b) {
            for (unsigned place = 0; place < layout.n; ++place) {
                found.omega[b * layout.n + layout.frequency(place)] = places[b * layout.n + place];
            }
        }
    }
    return found;
}

// The CPU: the same run and its backward pass.
template <class T>
Gradients<T> truth(const Problem<T>& problem, Points<T>& end) {
    const cuda::Ensemble& e = problem.ensemble;
    const std::size_t size = problem.n() * problem.batch();
    const auto wide = [](const std::vector<T>& values) { return std::vector<double>(values.begin(), values.end()); };
    const std::vector<double> filter = wide(problem.filter), g = wide(problem.nonlinearity),
                              potential = wide(problem.potential), loss = wide(problem.loss);
    const double duration = problem.step * problem.steps;
    Integrator<T> integrator(problem.n(), problem.batch(),
                             {problem.scheme, e.program.order, problem.step, 0, 0, 0, duration},
                             {problem.omega.data(), address(filter), g.data(), address(potential), address(loss),
                              e.shared_nonlinearity, e.shared_potential, e.shared_loss});
    const std::function<bool()> never = [] { return false; };
    end = problem.psi;
    CHECK(integrator.advance(&end[0].re, 0, duration, 1, never).status == Status::ok);
    Gradients<T> found;
    found.cotangent = problem.cotangent;
    if (problem.wants_nonlinearity) found.nonlinearity.assign(problem.batch(), 0);
    if (problem.wants_potential) found.potential.assign(size, 0);
    if (problem.wants_loss) found.loss.assign(size, 0);
    if (problem.wants_omega) found.omega.assign(size, 0);
    const Sensitivities sums{address(found.nonlinearity), address(found.potential), address(found.loss),
                             address(found.omega),        {nullptr, nullptr},       {nullptr, nullptr},
                             {nullptr, nullptr}};
    const std::vector<double> first_steps(problem.batch(), 0);
    const Failure failure = integrator.backward(&problem.psi[0].re, &end[0].re, &found.cotangent[0].re, 0, duration,
                                                first_steps.data(), false, 1e-3, sums, 1, never);
    CHECK(failure.status == Status::ok);
    return found;
}

template <class T>
std::vector<double> numbers(const Points<T>& points) {
    std::vector<double> all;
    for (const Point<T> z : points) all.insert(all.end(), {static_cast<double>(z.re), static_cast<double>(z.im)});
    return all;
}

// In the 2-norm, relative to the larger of the exact numbers and `least`.
double distance(const std::vector<double>& found, const std::vector<double>& exact, double least) {
    CHECK(found.size() == exact.size());
    double off = 0, size = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        off += (found[i] - exact[i]) * (found[i] - exact[i]);
        size += exact[i] * exact[i];
    }
    return std::sqrt(off) / std::max(std::sqrt(size), least);
}

// Each realisation's threads have added up their own parts.
template <class T>
std::vector<double> added_up(const Problem<T>& problem, const std::vector<double>& parts) {
    std::vector<double> sums(parts.empty() ? 0 : problem.batch(), 0.0);
    for (std::size_t i = 0; i < parts.size(); ++i) sums[i / (problem.n() / kPoints)] += parts[i];
    return sums;
}

template <class T>
bool same(const Gradients<T>& a, const Gradients<T>& b) {
    return numbers(a.cotangent) == numbers(b.cotangent) && a.nonlinearity == b.nonlinearity &&
           a.potential == b.potential && a.loss == b.loss && a.omega == b.omega;
}

template <class T>
void check_problem(std::mt19937_64& random, std::size_t n, std::size_t batch, const std::string& scheme, int steps) {
    const Problem<T> problem = drawn<T>(random, n, batch, scheme, steps);
    const std::int64_t flows = ensemble_flows(problem.ensemble.program, steps).count;
    const std::int64_t length = 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(flows + 1));
    std::printf(
        "%s of %zu x %zu, %zu bytes, %d steps, %lld of %lld flows at once, shared %d%d%d, loss %zu, potential "
        "%zu, filter %zu, wanted %d%d%d%d: ",
        scheme.c_str(), batch, n, sizeof(T), steps, static_cast<long long>(length), static_cast<long long>(flows),
        problem.ensemble.shared_nonlinearity, problem.ensemble.shared_potential, problem.ensemble.shared_loss,
        problem.loss.size(), problem.potential.size(), problem.filter.size(), problem.wants_nonlinearity,
        problem.wants_potential, problem.wants_loss, problem.wants_omega);
    Points<T> end, exact_end, other_end;
    const Gradients<T> found = run<0>(problem, length, false, end);
    // The order of threads does not count, nor where the chain is cut.
    CHECK(same(found, run<0>(problem, length, true, other_end)) && numbers(end) == numbers(other_end));
    CHECK(same(found, run<0>(problem, flows, false, other_end)) && numbers(end) == numbers(other_end));
    // As the kernels of the largest grids are compiled.
    if (n == 8192 && sizeof(T) == 8) CHECK(same(found, run<8192>(problem, length, false, other_end)));
    if (n == 16384) CHECK(same(found, run<16384>(problem, length, false, other_end)));
    const Gradients<T> exact = truth(problem, exact_end);
    const double eps = std::numeric_limits<T>::epsilon(), points = std::sqrt(static_cast<double>(n * batch));
    // Sums over flows may cancel: rounding errors are as large as the terms, of which there are so many.
    const double time = problem.step * steps, term = 0.1 * time * points;
    double worst = std::max(distance(numbers(end), numbers(exact_end), 0.5 * points),
                            distance(numbers(found.cotangent), numbers(exact.cotangent), 0.5 * points));
    worst = std::max(worst, distance(added_up(problem, found.nonlinearity), exact.nonlinearity,
                                     term * std::sqrt(static_cast<double>(n))));
    worst = std::max(worst, distance(found.potential, exact.potential, term));
    worst = std::max(worst, distance(found.loss, exact.loss, term));
    worst = std::max(worst, distance(found.omega, exact.omega, term * std::sqrt(static_cast<double>(n))));
    std::printf("off by %.1f eps\n", worst / eps);
    CHECK(worst < (20 + 2 * static_cast<double>(flows)) * eps);
}

// A cotangent that is not finite stays in its realisation.
template <class T>
void check_not_finite(std::mt19937_64& random) {
    Problem<T> problem = drawn<T>(random, 64, 5, "rkn4_6b", 2);
    problem.wants_omega = true;
    Points<T> end;
    const Gradients<T> before = run<0>(problem, 5, false, end);
    problem.cotangent[2 * 64 + 17].re = std::numeric_limits<T>::quiet_NaN();
    const Gradients<T> after = run<0>(problem, 5, false, end);
    for (std::size_t i = 0; i < before.cotangent.size(); ++i) {
        const Point<T> was = before.cotangent[i], is = after.cotangent[i];
        CHECK(i / 64 == 2 ? std::isnan(is.re) && std::isnan(is.im) : is.re == was.re && is.im == was.im);
        CHECK(i / 64 == 2 ? std::isnan(after.omega[i]) : after.omega[i] == before.omega[i]);
    }
}

// dl/d gamma against differences of the effective time itself.
void check_slope(std::mt19937_64& random) {
    std::uniform_real_distribution<double> uniform(-3, 3);
    for (int i = 0; i < 200; ++i) {
        const double gamma = i % 10 == 0 ? 1e-4 * uniform(random) : uniform(random), drawn_tau = uniform(random) / 3;
        const double tau = drawn_tau + std::copysign(0.05, drawn_tau);  // the differences' rounding is relative to tau
        const auto l = [&](long double at) { return -std::expm1(-2 * at * tau) / (2 * at); };
        const long double h = 1e-4L;
        const long double slope =
            (8 * (l(gamma + h) - l(gamma - h)) - (l(gamma + 2 * h) - l(gamma - 2 * h))) / (12 * h);
        CHECK(std::fabs(static_cast<double>(slope) - effective_time_slope(gamma, tau)) < 1e-11 * tau * tau);
    }
}

template <class T>
void check_all(std::mt19937_64& random) {
    for (unsigned n = kSmallestEnsembleGrid; n <= kLargestEnsembleGrid<T>; n *= 2) {
        const EnsembleLayout layout = ensemble_layout(n);
        const std::size_t batch = n <= 256 ? 1 + random() % (2 * layout.fields) : 1 + random() % 2;
        if (n <= 256) {
            for (const char* scheme : kSchemes) {
                check_problem<T>(random, n, batch, scheme, 1 + static_cast<int>(random() % 3));
            }
        } else {
            check_problem<T>(random, n, n > 4096 ? 1 : batch, kSchemes[random() % 3], n > 4096 ? 1 : 2);
        }
    }
    check_not_finite<T>(random);
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_slope(random);
    check_all<double>(random);
    check_all<float>(random);
    return 0;
}
