// The flows of fields in global memory and their adjoints on the host, thread by thread, against their definitions in
// long double.
#define FOURFOLD_LEVEL gpu
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "gpu_memory.hpp"
#include "nlse/field_launch.hpp"

using namespace fourfold;
using namespace fourfold::nlse;
using namespace fourfold::nlse::gpu;
using Long = long double;

namespace {

const char* const kSchemes[] = {"strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a"};

template <class T>
std::vector<T> drawn(std::mt19937_64& random, std::size_t count, double scale = 1) {
    std::normal_distribution<double> normal;
    std::vector<T> values(count);
    for (T& value : values) value = static_cast<T>(scale * normal(random));
    return values;
}

template <class T>
const T* address(const std::vector<T>& values) {
    return values.empty() ? nullptr : values.data();
}

// Every thread of every block.
template <class Body>
void launch(const FieldShape& shape, bool backwards, Body body) {
    const unsigned all = shape.blocks_of_row * shape.blocks_of_column * kThreadsOfFlow;
    for (unsigned k = 0; k < all; ++k) {
        const unsigned i = backwards ? all - 1 - k : k, block = i / kThreadsOfFlow;
        body(block % shape.blocks_of_row, block / shape.blocks_of_row, i % kThreadsOfFlow);
    }
}

// A run's fields, and what acts on them.
template <class T>
struct Problem {
    cuda::Ensemble ensemble;
    FieldShape shape;
    double step;
    std::vector<double> omega;
    std::vector<T> g, filter, potential, loss;  // empty: none
    std::vector<Point<T>> tables;

    Long g_of(std::size_t i) const { return g[ensemble.shared_nonlinearity ? 0 : i / ensemble.n]; }
    Long potential_of(std::size_t i) const {
        return potential.empty() ? 0 : potential[ensemble.shared_potential ? i % ensemble.n : i];
    }
    Long loss_of(std::size_t i) const { return loss.empty() ? 0 : loss[ensemble.shared_loss ? i % ensemble.n : i]; }
    // The factor of a kinetic flow.
    std::complex<Long> kinetic(int slot, std::size_t i) const {
        const std::size_t k = i % ensemble.n;
        const double tau = ensemble.program.kinetic[slot] * step;
        return std::polar(filter.empty() ? Long(1) : Long(filter[k]), -Long(omega[k]) * Long(tau));
    }
};

Long effective_time(Long gamma, Long tau) { return gamma == 0 ? tau : -std::expm1(-2 * gamma * tau) / (2 * gamma); }

// Its derivative, -2 times the integral of s exp(-2 gamma s) from 0 to tau, as a power series.
Long effective_time_slope(Long gamma, Long tau) {
    Long power = 1, sum = 0;  // (-2 gamma tau)^j / j!
    for (int j = 0; j < 60; ++j) {
        sum += power / (j + 2);
        power *= -2 * gamma * tau / (j + 1);
    }
    return -2 * tau * tau * sum;
}

template <class T>
Problem<T> problem_of(std::mt19937_64& random, std::size_t n, std::size_t rows, std::uint64_t most_blocks) {
    const auto coin = [&] { return random() % 2 == 0; };
    Problem<T> problem{};
    cuda::Ensemble& ensemble = problem.ensemble;
    ensemble = {n,      rows, sizeof(T) == 4, splitting_program(kSchemes[random() % 5]), coin(), coin(), coin(),
                coin(), true};
    problem.shape = field_shape<T>(n, rows, most_blocks);
    problem.step = 0.01 + 0.05 * std::uniform_real_distribution<double>()(random);
    problem.omega = drawn<double>(random, n, 300.0);
    problem.g = drawn<T>(random, ensemble.shared_nonlinearity ? 1 : rows);
    if (coin()) {
        problem.filter = drawn<T>(random, n);
        for (T& value : problem.filter) value = std::min(T(1), std::abs(value));
    }
    if (coin()) problem.potential = drawn<T>(random, (ensemble.shared_potential ? 1 : rows) * n);
    if (ensemble.lossy) problem.loss = drawn<T>(random, (ensemble.shared_loss ? 1 : rows) * n, 0.5);
    for (std::size_t i = 0; i < problem.loss.size(); i += 3) problem.loss[i] = 0;

    const T nan = std::numeric_limits<T>::quiet_NaN();
    problem.tables.assign(entries_of(ensemble), Point<T>{nan, nan});
    const auto building = tables_of<T>(ensemble, problem.step, problem.omega.data(), address(problem.filter),
                                       address(problem.loss), problem.tables.data());
    for (std::uint64_t entry = 0; entry < building.kinetic_entries(); ++entry) kinetic_entry(building, entry);
    for (std::uint64_t entry = 0; entry < building.decay_entries(); ++entry) decay_entry(building, entry);
    return problem;
}

template <class T>
void check_flows(std::mt19937_64& random, const Problem<T>& problem) {
    const cuda::Ensemble& ensemble = problem.ensemble;
    const SplittingProgram& program = ensemble.program;
    const FieldShape& shape = problem.shape;
    const std::vector<T>&g = problem.g, &potential = problem.potential;
    const std::vector<Point<T>>& tables = problem.tables;
    const double step = problem.step;
    const std::size_t n = ensemble.n, rows = ensemble.batch;
    const auto given = drawn<T>(random, 2 * n * rows, 0.7);
    for (int slot = 0; slot < program.kinetic_slots; ++slot) {
        std::vector<T> psi = given, again = given;
        launch(shape, false,
               [&, flow = kinetic_of<T>(ensemble, shape, slot, psi.data(), tables.data())](
                   unsigned across, unsigned down, unsigned thread) { field_kinetic(flow, across, down, thread); });
        launch(shape, true,
               [&, flow = kinetic_of<T>(ensemble, shape, slot, again.data(), tables.data())](
                   unsigned across, unsigned down, unsigned thread) { field_kinetic(flow, across, down, thread); });
        CHECK(::same_bits(psi, again));
        std::vector<std::complex<Long>> exact;
        for (std::size_t i = 0; i < n * rows; ++i) {
            exact.push_back(std::complex<Long>(given[2 * i], given[2 * i + 1]) * problem.kinetic(slot, i));
        }
        // A filtered point is the difference of two numbers of the size of the unfiltered one.
        for (T& value : psi) value *= static_cast<T>(n);
        for (std::size_t i = 0; i < n * rows; ++i) {
            const Long before = std::abs(std::complex<Long>(given[2 * i], given[2 * i + 1]));
            const Long off = std::abs(exact[i] - std::complex<Long>(psi[2 * i], psi[2 * i + 1]));
            CHECK(off <= 12 * std::numeric_limits<T>::epsilon() * before);
        }
    }
    for (int slot = 0; slot < program.potential_slots; ++slot) {
        auto out = poisoned<T>(2 * n * rows);
        std::vector<T> in_place = given;
        const auto run = [&](const T* in, T* to, bool backwards) {
            const auto flow =
                potential_of<T>(ensemble, shape, slot, step, in, to, g.data(), address(potential), tables.data());
            launch(shape, backwards, [&](unsigned across, unsigned down, unsigned thread) {
                if (flow.potential == nullptr && flow.decay == nullptr && random() % 2 == 0) {
                    field_potential<true>(flow, across, down, thread);
                } else {
                    field_potential<false>(flow, across, down, thread);
                }
            });
        };
        run(given.data(), out.data(), false);
        run(in_place.data(), in_place.data(), true);
        CHECK(::same_bits(out, in_place));
        for (std::size_t i = 0; i < n * rows; ++i) {
            const std::complex<Long> z(given[2 * i], given[2 * i + 1]);
            const Long tau = program.potential[slot] * step, gamma = problem.loss_of(i);
            const Long turn = problem.g_of(i) * std::norm(z) * effective_time(gamma, tau),
                       off_turn = problem.potential_of(i) * tau;
            const std::complex<Long> exact = z * std::polar(std::exp(-gamma * tau), turn - off_turn);
            const Long off = std::abs(exact - std::complex<Long>(out[2 * i], out[2 * i + 1]));
            // Both parts of the angle are rounded, each a few times.
            const Long allowed = 8 + 4 * (std::abs(turn) + std::abs(off_turn));
            CHECK(off <= allowed * std::numeric_limits<T>::epsilon() * std::abs(exact));
        }
    }
}

// Against the transpose of each flow's derivative: lambda is Re(conj(lambda') d psi') for d psi = 1 and i, and so are
// the derivatives by what the flow depends on.
template <class T>
void check_adjoints(std::mt19937_64& random, const Problem<T>& problem) {
    const cuda::Ensemble& ensemble = problem.ensemble;
    const SplittingProgram& program = ensemble.program;
    const FieldShape& shape = problem.shape;
    const std::size_t n = ensemble.n, size = n * ensemble.batch;
    const Long eps = std::numeric_limits<T>::epsilon(), small = std::numeric_limits<double>::epsilon();
    const auto coin = [&] { return random() % 2 == 0; };
    const auto psi = drawn<T>(random, 2 * size, 0.7), given = drawn<T>(random, 2 * size, 0.7);
    const auto at = [](const std::vector<T>& values, std::size_t i) {
        return std::complex<Long>(values[2 * i], values[2 * i + 1]);
    };

    for (int slot = 0; slot < program.kinetic_slots; ++slot) {
        const bool wanted = coin();
        auto lambda = given, lambda_again = given;
        const auto before = drawn<double>(random, wanted ? size : 0);
        auto sum = before, sum_again = before;
        const auto run = [&](std::vector<T>& cotangent, std::vector<double>& sums, bool backwards) {
            const auto way = kinetic_adjoint_of<T>(ensemble, shape, slot, problem.step, cotangent.data(),
                                                   wanted ? psi.data() : nullptr, sums.empty() ? nullptr : sums.data(),
                                                   problem.tables.data());
            launch(shape, backwards, [&](unsigned across, unsigned down, unsigned thread) {
                field_kinetic_adjoint(way, across, down, thread);
            });
        };
        run(lambda, sum, false);
        run(lambda_again, sum_again, true);
        CHECK(::same_bits(lambda, lambda_again) && ::same_bits(sum, sum_again));
        for (std::size_t i = 0; i < size; ++i) {
            const std::complex<Long> was = at(given, i), is = at(lambda, i) * Long(n);
            CHECK(std::abs(is - std::conj(problem.kinetic(slot, i)) * was) <= 12 * eps * std::abs(was));
            if (!wanted) continue;
            // psi is what the flow left behind, over n: d psi' / d omega = -i tau psi', and 1/n is the transform's.
            const Long tau = Long(program.kinetic[slot]) * problem.step;
            const Long term = std::real(std::conj(was) * std::complex<Long>(0, -tau) * at(psi, i));
            const Long allowed = 8 * eps * std::abs(tau) * std::abs(was) * std::abs(at(psi, i)) +
                                 2 * small * (std::abs(before[i]) + std::abs(term));
            CHECK(std::abs(sum[i] - before[i] - term) <= allowed);
        }
    }

    std::vector<T> slopes;
    const bool wants_loss = !problem.loss.empty() && coin(), wants_potential = !problem.potential.empty() && coin(),
               wants_g = coin();
    if (wants_loss) {
        slopes = poisoned<T>(loss_rows(ensemble) * n * program.potential_slots);
        const auto sloping = slopes_of<T>(ensemble, problem.step, problem.loss.data(), slopes.data());
        for (std::uint64_t entry = 0; entry < sloping.entries; ++entry) slope_entry(sloping, entry);
    }
    const std::size_t row_sums = threads_of_row(shape);
    const cuda::Coefficients medium{problem.g.data(), address(problem.potential), nullptr, problem.tables.data()};
    for (int slot = 0; slot < program.potential_slots; ++slot) {
        struct Sums {
            std::vector<double> g, potential, loss;
        };
        const Sums before{drawn<double>(random, wants_g ? row_sums * ensemble.batch : 0),
                          drawn<double>(random, wants_potential ? size : 0),
                          drawn<double>(random, wants_loss ? size : 0)};
        Sums sums = before, sums_again = before;
        auto lambda = given, lambda_again = given;
        const auto run = [&](std::vector<T>& cotangent, Sums& to, bool backwards) {
            const auto address_of = [](std::vector<double>& all) { return all.empty() ? nullptr : all.data(); };
            const auto flow = potential_adjoint_of<T>(
                ensemble, shape, slot, problem.step, psi.data(), cotangent.data(), address(slopes),
                {address_of(to.g), address_of(to.potential), address_of(to.loss), nullptr}, medium);
            const bool plain = flow.way.plain();
            launch(shape, backwards, [&](unsigned across, unsigned down, unsigned thread) {
                if (plain) {
                    field_potential_adjoint<true>(flow, across, down, thread);
                } else {
                    field_potential_adjoint<false>(flow, across, down, thread);
                }
            });
        };
        run(lambda, sums, false);
        run(lambda_again, sums_again, true);
        CHECK(::same_bits(lambda, lambda_again) && ::same_bits(sums.g, sums_again.g));
        CHECK(::same_bits(sums.potential, sums_again.potential) && ::same_bits(sums.loss, sums_again.loss));

        std::vector<Long> terms(wants_g ? sums.g.size() : 0), allowed(terms.size());
        for (std::size_t i = 0; i < size; ++i) {
            const std::complex<Long> z = at(psi, i), behind = at(given, i), imaginary(0, 1);
            const Long tau = Long(program.potential[slot]) * problem.step, gamma = problem.loss_of(i);
            const Long time = effective_time(gamma, tau), g = problem.g_of(i), v = problem.potential_of(i);
            const std::complex<Long> turn = std::polar(std::exp(-gamma * tau), g * std::norm(z) * time - v * tau);
            const auto pulled = [&](std::complex<Long> change) { return std::real(std::conj(behind) * turn * change); };
            const auto along = [&](std::complex<Long> d) {
                return pulled(d + imaginary * z * (2 * g * time * std::real(std::conj(z) * d)));
            };
            // Angles are rounded like numbers of their terms' size.
            const Long angles = std::abs(g * time) * std::norm(z) + std::abs(v * tau);
            const Long unit = 8 * eps * (1 + angles) * std::abs(behind) * std::abs(turn);
            const std::complex<Long> exact(along(1), along(imaginary));
            CHECK(std::abs(at(lambda, i) - exact) <= unit * (1 + 2 * std::abs(g * time) * std::norm(z)));
            const auto check = [&](double was, double is, Long term, Long within) {
                CHECK(std::abs(is - was - term) <= within + 2 * small * (std::abs(Long(was)) + std::abs(term)));
            };
            if (wants_potential) {
                check(before.potential[i], sums.potential[i], pulled(-imaginary * tau * z),
                      unit * std::abs(tau) * std::abs(z));
            }
            const Long slope = effective_time_slope(gamma, tau);
            if (wants_loss) {
                check(before.loss[i], sums.loss[i], pulled((imaginary * g * std::norm(z) * slope - tau) * z),
                      unit * (std::abs(g * slope) * std::norm(z) + std::abs(tau)) * std::abs(z));
            }
            if (wants_g) {
                const std::uint64_t columns = std::uint64_t{kColumns<T>} << shape.log2_width, column = i % n;
                const std::uint64_t own =
                    (column / columns << shape.log2_width) + (column & ((1u << shape.log2_width) - 1));
                terms[i / n * row_sums + own] += pulled(imaginary * std::norm(z) * time * z);
                allowed[i / n * row_sums + own] += unit * std::norm(z) * std::abs(time) * std::abs(z);
            }
        }
        for (std::size_t i = 0; i < terms.size(); ++i) {
            CHECK(std::abs(sums.g[i] - before.g[i] - terms[i]) <=
                  allowed[i] + 2 * small * (std::abs(Long(before.g[i])) + std::abs(terms[i])));
        }
    }
}

template <class T>
void check_shapes() {
    for (const std::uint64_t n : {2, 3, 5, 48, 256, 511, 512, 1000, 1025, 100000}) {
        for (const std::uint64_t rows : {1, 2, 7, 300, 70000}) {
            for (const std::uint64_t most : {1, 5, 2112}) {
                const FieldShape shape = field_shape<T>(n, rows, most);
                CHECK(shape.blocks_of_column >= 1 && shape.blocks_of_column <= 65535);
                const std::uint64_t columns = std::uint64_t{kColumns<T>} << shape.log2_width;
                CHECK(shape.blocks_of_row * columns >= n && (shape.blocks_of_row - 1) * columns < n);
                CHECK(std::uint64_t{shape.blocks_of_row} * shape.blocks_of_column <=
                      std::max<std::uint64_t>(most, shape.blocks_of_row));
            }
        }
    }
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_shapes<double>();
    check_shapes<float>();
    for (const std::size_t n : {2, 3, 20, 48, 125, 600, 1080, 2048}) {
        for (const std::size_t rows : {1, 3, 17}) {
            const std::uint64_t most = 1 + random() % 8;
            const auto check = [&]<class T>(const Problem<T>& problem) {
                check_flows(random, problem);
                check_adjoints(random, problem);
            };
            check(problem_of<double>(random, n, rows, most));
            check(problem_of<float>(random, n, rows, most));
        }
    }
    return 0;
}
