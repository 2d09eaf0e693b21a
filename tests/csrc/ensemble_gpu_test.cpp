// The GPU's ensembles on the host: every thread of every block, phase by phase, forwards and backwards, against the
// same splitting in long double with a transform by the definition, and against a soliton. What this does not show is
// what only a GPU has: its instructions, and threads that run at the same time.
#define FOURFOLD_LEVEL gpu
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <limits>
#include <numbers>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "check.hpp"
#include "nlse/ensemble_launch.hpp"
#include "support/gpu_block.hpp"

using namespace fourfold;
using namespace fourfold::nlse;
using namespace fourfold::nlse::gpu;
using Long = long double;
using Field = std::vector<std::complex<Long>>;

namespace {

const char* const kSchemes[] = {"strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a"};

template <class T>
struct Problem {
    cuda::Ensemble ensemble;
    double step;
    std::vector<double> omega;
    std::vector<T> filter, nonlinearity, potential, loss;  // empty: none
    std::vector<Point<T>> psi;

    std::size_t n() const { return ensemble.n; }
    Field field(const std::vector<Point<T>>& all, std::size_t realisation) const {
        Field one;
        for (std::size_t i = 0; i < n(); ++i) {
            const Point<T> z = all[realisation * n() + i];
            one.emplace_back(z.re, z.im);
        }
        return one;
    }
};

template <class T>
Problem<T> drawn(std::mt19937_64& random, std::size_t n, std::size_t batch, const std::string& scheme) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const auto draw = [&](std::size_t count) {
        std::vector<T> values(count);
        for (T& value : values) value = static_cast<T>(normal(random));
        return values;
    };
    const auto coin = [&] { return random() % 2 == 0; };
    // Weak enough that rounding errors do not grow: the angles of a step are of order 0.1.
    Problem<T> problem;
    problem.ensemble = {n, batch, sizeof(T) == 4, splitting_program(scheme), coin(), coin(), coin(), coin()};
    problem.step = 0.02 + 0.05 * uniform(random);
    const double scale = 2 * std::numbers::pi / (4 + 20 * uniform(random));
    for (std::size_t i = 0; i < n; ++i) {
        const double k =
            scale * (i < (n + 1) / 2 ? static_cast<double>(i) : static_cast<double>(i) - static_cast<double>(n));
        problem.omega.push_back(std::fmod(0.5 * k * k - 0.01 * k * k * k, 5000.0));
    }
    problem.nonlinearity = draw(problem.ensemble.shared_nonlinearity ? 1 : batch);
    if (coin()) problem.potential = draw((problem.ensemble.shared_potential ? 1 : batch) * n);
    if (problem.ensemble.lossy) problem.loss = draw((problem.ensemble.shared_loss ? 1 : batch) * n);
    for (std::size_t i = 0; i < problem.loss.size(); ++i) problem.loss[i] *= i % 3 == 0 ? T(0) : T(0.25);
    if (coin()) {
        for (std::size_t i = 0; i < n; ++i)
            problem.filter.push_back(static_cast<T>(std::clamp(1.3 - 1.5 * uniform(random), 0.0, 1.0)));
    }
    for (std::size_t i = 0; i < n * batch; ++i) {
        problem.psi.push_back({static_cast<T>(0.5 * normal(random)), static_cast<T>(0.5 * normal(random))});
    }
    return problem;
}

template <class Element>
const Element* address(const std::vector<Element>& values) {
    return values.empty() ? nullptr : values.data();
}

// The kernels: tables, then launches of so many steps each, the later ones in place.
template <unsigned N, class T>
std::vector<Point<T>> run(const Problem<T>& problem, const std::vector<int>& launches, bool backwards) {
    const cuda::Ensemble& ensemble = problem.ensemble;
    const T nan = std::numeric_limits<T>::quiet_NaN();
    std::vector<Point<T>> tables(entries_of(ensemble), Point<T>{nan, nan});
    const auto building = tables_of<T>(ensemble, problem.step, problem.omega.data(), address(problem.filter),
                                       address(problem.loss), tables.data());
    for (std::uint64_t entry = 0; entry < building.kinetic_entries(); ++entry) kinetic_entry(building, entry);
    for (std::uint64_t entry = 0; entry < building.decay_entries(); ++entry) decay_entry(building, entry);
    const EnsembleLayout layout = ensemble_layout(static_cast<unsigned>(ensemble.n));
    const std::vector<T> numbers = ensemble_twiddles<T>(layout);
    CHECK(numbers.size() == 2 * static_cast<std::size_t>(layout.twiddles()));
    std::vector<Point<T>> twiddles;
    for (std::size_t i = 0; i < numbers.size(); i += 2) twiddles.push_back({numbers[i], numbers[i + 1]});
    std::vector<Point<T>> out(problem.psi.size(), Point<T>{nan, nan});
    const Point<T>* in = problem.psi.data();
    for (const int steps : launches) {
        const auto call = call_of<T>(ensemble, problem.step, steps, in, out.data(), problem.nonlinearity.data(),
                                     address(problem.potential), twiddles.data(), tables.data());
        const auto blocks = static_cast<unsigned>((ensemble.batch + layout.fields - 1) / layout.fields);
        for (unsigned block = 0; block < blocks; ++block) {
            HostBlock host(block, layout.threads(), backwards);
            std::vector<Point<T>> shared(static_cast<std::size_t>(layout.fields) * layout.n, Point<T>{nan, nan});
            ensemble_block<N>(host, call, shared.data());
        }
        in = out.data();
    }
    return out;
}

// sum_j psi_j exp(-+ 2 pi i j k/n): by the definition, or, above 64 points, from those of the even and the odd points.
Field transform(const Field& psi, int sign) {
    const std::size_t n = psi.size();
    Field roots, result(n);
    for (std::size_t k = 0; k < n; ++k) {
        roots.push_back(
            std::polar(Long(1), sign * 2 * std::numbers::pi_v<Long> * static_cast<Long>(k) / static_cast<Long>(n)));
    }
    if (n <= 64) {
        for (std::size_t k = 0; k < n; ++k) {
            for (std::size_t j = 0; j < n; ++j) result[k] += psi[j] * roots[j * k % n];
        }
        return result;
    }
    Field even, odd;
    for (std::size_t j = 0; j < n; j += 2) {
        even.push_back(psi[j]);
        odd.push_back(psi[j + 1]);
    }
    even = transform(even, sign);
    odd = transform(odd, sign);
    for (std::size_t k = 0; k < n / 2; ++k) {
        const std::complex<Long> turned = roots[k] * odd[k];
        result[k] = even[k] + turned;
        result[k + n / 2] = even[k] - turned;
    }
    return result;
}

// The splitting written down step by step, without joined flows; but where kinetic flows are joined, that is between
// the steps of a launch, the filter counts once.
template <class T>
Field truth(const Problem<T>& problem, std::size_t realisation, const std::vector<int>& launches) {
    const std::size_t n = problem.n();
    const cuda::Ensemble& e = problem.ensemble;
    Field psi = problem.field(problem.psi, realisation);
    const auto kinetic = [&](Long tau, bool filtered) {
        psi = transform(psi, -1);
        for (std::size_t k = 0; k < n; ++k) {
            const Long filter = problem.filter.empty() || !filtered ? 1 : problem.filter[k];
            psi[k] *= filter / static_cast<Long>(n) * std::polar(Long(1), -problem.omega[k] * tau);
        }
        psi = transform(psi, 1);
    };
    const Long g = problem.nonlinearity[e.shared_nonlinearity ? 0 : realisation];
    const auto potential = [&](Long tau) {
        for (std::size_t i = 0; i < n; ++i) {
            const Long v =
                problem.potential.empty() ? 0 : problem.potential[(e.shared_potential ? 0 : realisation * n) + i];
            const Long gamma = problem.loss.empty() ? 0 : problem.loss[(e.shared_loss ? 0 : realisation * n) + i];
            const Long time = gamma == 0 ? tau : -std::expm1(-2 * gamma * tau) / (2 * gamma);
            psi[i] *= std::polar(std::exp(-gamma * tau), g * std::norm(psi[i]) * time - v * tau);
        }
    };
    const SplittingProgram& p = e.program;
    for (const int steps : launches) {
        for (int s = 0; s < steps; ++s) {
            for (int i = 0; i <= p.stages; ++i) {
                // Durations count as they are rounded: the angles of the kinetic flows are up to hundreds.
                const double a = p.kinetic[p.kinetic_slot[i]] * problem.step;
                const double b = p.potential[p.potential_slot[i]] * problem.step;
                if (p.kinetic_first) kinetic(a, i < p.stages || s + 1 == steps);
                if (!p.kinetic_first || i < p.stages) potential(b);
                if (!p.kinetic_first && i < p.stages) kinetic(a, true);
            }
        }
    }
    return psi;
}

Long norm_of(const Field& a) {
    Long sum = 0;
    for (const std::complex<Long> z : a) sum += std::norm(z);
    return std::sqrt(sum);
}

Long distance(const Field& a, const Field& b) {
    Field off;
    for (std::size_t i = 0; i < a.size(); ++i) off.push_back(a[i] - b[i]);
    return norm_of(off);
}

template <class T>
bool same_bytes(const std::vector<Point<T>>& a, const std::vector<Point<T>>& b) {
    return std::equal(a.begin(), a.end(), b.begin(),
                      [](Point<T> p, Point<T> q) { return p.re == q.re && p.im == q.im; });
}

template <class T>
void check_problem(std::mt19937_64& random, std::size_t n, std::size_t batch, const std::string& scheme) {
    const Problem<T> problem = drawn<T>(random, n, batch, scheme);
    const int first = 1 + static_cast<int>(random() % 2), second = static_cast<int>(random() % 2);
    std::vector<int> launches = {first};
    if (second > 0) launches.push_back(second);
    std::printf("%s of %zu x %zu, %zu bytes, %d + %d steps, shared %d%d%d, loss %zu, potential %zu, filter %zu: ",
                scheme.c_str(), batch, n, sizeof(T), first, second, problem.ensemble.shared_nonlinearity,
                problem.ensemble.shared_potential, problem.ensemble.shared_loss, problem.loss.size(),
                problem.potential.size(), problem.filter.size());
    const auto found = run<0>(problem, launches, false);
    CHECK(same_bytes(found, run<0>(problem, launches, true)));
    // As the kernels of the largest grids are compiled.
    if (n == 8192) CHECK(same_bytes(found, run<8192>(problem, launches, false)));
    if (n == 16384) CHECK(same_bytes(found, run<16384>(problem, launches, false)));
    const Long flows = static_cast<Long>((first + second) * problem.ensemble.program.stages);
    const Long eps = std::numeric_limits<T>::epsilon();
    Long worst = 0;
    for (std::size_t b = 0; b < batch; b += std::max<std::size_t>(1, batch - 1)) {  // the first and the last
        // A filter takes most of the field away: rounding errors are as large as the field was before.
        const Field exact = truth(problem, b, launches);
        const Long size = std::max(norm_of(exact), norm_of(problem.field(problem.psi, b)));
        worst = std::max(worst, distance(problem.field(found, b), exact) / size);
    }
    std::printf("off by %.1f eps\n", static_cast<double>(worst / eps));
    CHECK(worst < (10 + flows) * eps);
}

// A sech(A (x - x0 - v t)) exp(i (v x + (A^2 - v^2) t/2)), 80 long, where its tails are below rounding at the ends.
void check_soliton(const std::string& scheme, Long allowed) {
    const std::size_t n = 512;
    const Long length = 80, amplitude = 1.25L, speed = 0.5L;
    const auto exact = [&](Long t) {
        Field psi;
        for (std::size_t i = 0; i < n; ++i) {
            const Long x = length * (static_cast<Long>(i) / static_cast<Long>(n) - 0.5L);
            psi.push_back(std::polar(amplitude / std::cosh(amplitude * (x - speed * t)),
                                     speed * x + (amplitude * amplitude - speed * speed) * t / 2));
        }
        return psi;
    };
    Problem<double> problem;
    problem.ensemble = {n, 1, false, splitting_program(scheme), true, true, true, false};
    problem.step = 0.02;
    for (std::size_t i = 0; i < n; ++i) {
        const double k = 2 * std::numbers::pi / static_cast<double>(length) *
                         (i < n / 2 ? static_cast<double>(i) : static_cast<double>(i) - static_cast<double>(n));
        problem.omega.push_back(0.5 * k * k);
    }
    problem.nonlinearity = {1.0};
    for (const std::complex<Long> z : exact(0)) {
        problem.psi.push_back({static_cast<double>(z.real()), static_cast<double>(z.imag())});
    }
    const auto found = run<0>(problem, {50}, false);
    const Long off = distance(problem.field(found, 0), exact(1)) / norm_of(exact(1));
    std::printf("soliton by %s: off by %.1Le\n", scheme.c_str(), off);
    CHECK(off < allowed);
}

// A field that is not finite stays its own: the others of the block are as without it.
template <class T>
void check_not_finite(std::mt19937_64& random) {
    Problem<T> problem = drawn<T>(random, 64, 5, "rkn4_6b");
    const auto before = run<0>(problem, {2}, false);
    problem.psi[2 * 64 + 17].re = std::numeric_limits<T>::infinity();
    const auto after = run<0>(problem, {2}, false);
    for (std::size_t i = 0; i < after.size(); ++i) {
        if (i / 64 == 2) {
            CHECK(std::isnan(after[i].re) && std::isnan(after[i].im));
        } else {
            CHECK(after[i].re == before[i].re && after[i].im == before[i].im);
        }
    }
}

// Threads that read shared memory at once (as many as 128 bytes are for) never share a bank.
template <class T>
void check_banks(unsigned n) {
    const EnsembleLayout layout = ensemble_layout(n);
    const unsigned together = 64 / sizeof(T);
    const auto check = [&](auto place) {
        for (unsigned begin = 0; begin < layout.threads(); begin += together) {
            for (unsigned e = 0; e < 16; ++e) {
                std::set<unsigned> banks;
                for (unsigned k = begin; k < begin + together; ++k) {
                    const unsigned t = k & (layout.threads_of_field() - 1), base = (k - t) * 16;
                    banks.insert(in_banks<T>(place(base, t, e)) % together);
                }
                CHECK(banks.size() == together);
            }
        }
    };
    check([&](unsigned base, unsigned t, unsigned e) { return base + t + layout.threads_of_field() * e; });
    for (unsigned stage = 0; stage < layout.inner; ++stage) {
        const unsigned part = layout.length(stage) / 16;
        check([&](unsigned base, unsigned t, unsigned q) { return base + (t - t % part) * 16 + t % part + part * q; });
    }
}

template <class T>
void check_all(std::mt19937_64& random) {
    for (unsigned n = kSmallestEnsembleGrid; n <= kLargestEnsembleGrid<T>; n *= 2) {
        const EnsembleLayout layout = ensemble_layout(n);
        unsigned product = layout.outer;
        for (unsigned stage = 0; stage < layout.inner; ++stage) product *= 16;
        CHECK(product == n && layout.threads() >= 64 && layout.threads() <= 1024);
        std::set<unsigned> frequencies;
        for (unsigned place = 0; place < n; ++place) frequencies.insert(layout.frequency(place));
        CHECK(frequencies.size() == n && *frequencies.rbegin() == n - 1);
        check_banks<T>(n);
        const std::size_t batch = n <= 512 ? 1 + random() % (2 * layout.fields) : 2;
        if (n <= 512) {
            for (const char* scheme : kSchemes) check_problem<T>(random, n, batch, scheme);
        } else {
            check_problem<T>(random, n, batch, kSchemes[random() % 3]);
        }
    }
    check_not_finite<T>(random);
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_all<double>(random);
    check_all<float>(random);
    check_soliton("strang", 1e-3L);
    check_soliton("rkn4_6b", 1e-7L);
    check_soliton("rkn6_14a", 1e-9L);
    return 0;
}
