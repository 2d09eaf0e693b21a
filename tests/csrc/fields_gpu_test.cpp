// The flows of fields in global memory on the host, thread by thread, against their definitions in long double.
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

template <class T>
void check_flows(std::mt19937_64& random, std::size_t n, std::size_t rows, std::uint64_t most_blocks) {
    const auto coin = [&] { return random() % 2 == 0; };
    const cuda::Ensemble ensemble{
        n, rows, sizeof(T) == 4, splitting_program(kSchemes[random() % 5]), coin(), coin(), coin(), coin(), true};
    const SplittingProgram& program = ensemble.program;
    const double step = 0.01 + 0.05 * std::uniform_real_distribution<double>()(random);
    const auto omega = drawn<double>(random, n, 300.0);
    const auto g = drawn<T>(random, ensemble.shared_nonlinearity ? 1 : rows);
    std::vector<T> filter, potential, loss;
    if (coin()) {
        filter = drawn<T>(random, n);
        for (T& value : filter) value = std::min(T(1), std::abs(value));
    }
    if (coin()) potential = drawn<T>(random, (ensemble.shared_potential ? 1 : rows) * n);
    if (ensemble.lossy) loss = drawn<T>(random, (ensemble.shared_loss ? 1 : rows) * n, 0.5);
    for (std::size_t i = 0; i < loss.size(); i += 3) loss[i] = 0;

    const T nan = std::numeric_limits<T>::quiet_NaN();
    std::vector<Point<T>> tables(entries_of(ensemble), Point<T>{nan, nan});
    const auto building = tables_of<T>(ensemble, step, omega.data(), address(filter), address(loss), tables.data());
    for (std::uint64_t entry = 0; entry < building.kinetic_entries(); ++entry) kinetic_entry(building, entry);
    for (std::uint64_t entry = 0; entry < building.decay_entries(); ++entry) decay_entry(building, entry);

    const FieldShape shape = field_shape<T>(n, rows, most_blocks);
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
            const Long scale = filter.empty() ? 1 : filter[i % n];
            const double tau = program.kinetic[slot] * step;
            exact.push_back(std::complex<Long>(given[2 * i], given[2 * i + 1]) *
                            std::polar(scale, -Long(omega[i % n]) * Long(tau)));
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
            const std::size_t row = i / n;
            const Long tau = program.potential[slot] * step;
            const Long own = g[ensemble.shared_nonlinearity ? 0 : row];
            const Long v = potential.empty() ? 0 : potential[ensemble.shared_potential ? i % n : i];
            const Long gamma = loss.empty() ? 0 : loss[ensemble.shared_loss ? i % n : i];
            const Long time = gamma == 0 ? tau : -std::expm1(-2 * gamma * tau) / (2 * gamma);
            const Long turn = own * std::norm(z) * time, off_turn = v * tau;
            const std::complex<Long> exact = z * std::polar(std::exp(-gamma * tau), turn - off_turn);
            const Long off = std::abs(exact - std::complex<Long>(out[2 * i], out[2 * i + 1]));
            // Both parts of the angle are rounded, each a few times.
            const Long allowed = 8 + 4 * (std::abs(turn) + std::abs(off_turn));
            CHECK(off <= allowed * std::numeric_limits<T>::epsilon() * std::abs(exact));
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
            check_flows<double>(random, n, rows, most);
            check_flows<float>(random, n, rows, most);
        }
    }
    return 0;
}
