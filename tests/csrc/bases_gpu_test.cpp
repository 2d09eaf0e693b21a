// The GPU's bases on the host: every thread of every block, phase by phase, in both orders, against the definitions in
// long double, whose derivatives are differences.
#define FOURFOLD_LEVEL gpu
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "kan/basis_threads.hpp"
#include "kan/spline_threads.hpp"
#include "poisoned.hpp"

using namespace fourfold;
using namespace fourfold::gpu;
using kan::Activation;
using kan::Combination;
using kan::Function;
using Long = long double;

namespace {

constexpr Long kStep = 1e-6L;
using Random = std::mt19937_64;

// On which side of a kink or an edge an argument lies: differences around it stay there.
bool side_of(Function f, Long u) { return f == Function::bump ? std::fabs(u) < 1 : u > 0; }

// The formulas as the papers have them.
Long family(Function f, Long u, bool side) {
    const Long envelope = std::exp(-u * u / 2);
    switch (f) {
        case Function::gaussian: return std::exp(-u * u);
        case Function::mexican_hat:
            return 2 / (std::sqrt(3.0L) * std::pow(3.14159265358979323846L, 0.25L)) * (1 - u * u) * envelope;
        case Function::morlet: return std::cos(5 * u) * envelope;
        case Function::dog: return -u * envelope;
        case Function::bump: return side ? (1 - u * u) * (1 - u * u) : 0;
        default: CHECK(false); return 0;
    }
}

Long activation(Activation s, Long x, bool side) {
    switch (s) {
        case Activation::softplus: return std::log1p(std::exp(x));
        case Activation::sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::relu: return side ? x : 0;
        case Activation::leaky_relu: return side ? x : x / 100;
        case Activation::elu: return side ? x : std::expm1(x);
        case Activation::gelu: return x / 2 * std::erfc(-x / std::sqrt(2.0L));
        case Activation::selu: return 1.0507009873554804934L * (side ? x : 1.6732632423543772848L * std::expm1(x));
        case Activation::tanh: return std::tanh(x);
    }
    return 0;
}

Long combination(Combination how, Long a, Long b) {
    switch (how) {
        case Combination::quad1: return a * b * a * b;
        case Combination::quad2: return a * b + a * a + b * b;
        case Combination::sum: return a + b;
        case Combination::prod: return a * b;
        case Combination::sum_prod: return a + b + a * b;
        case Combination::cubic1: return (a + b) * (a * a + b * b);
        case Combination::cubic2: return a * b * a * b * a * b;
    }
    return 0;
}

struct Arguments {
    Long x, first, second;
    Long u(Function f) const { return kan::is_combined(f) ? x - first : (x - first) * second; }
    Long v() const { return second - x; }
};

// At `a`, by the formulas that hold at `near`.
Long value_of(Function f, Arguments a, Arguments near) {
    const bool side = side_of(f, near.u(f));
    if (!kan::is_combined(f)) return family(f, a.u(f), side);
    const Activation s = kan::activation_of(f);
    return combination(kan::combination_of(f), activation(s, a.u(f), side), activation(s, a.v(), side_of(f, near.v())));
}

Long difference(Function f, Arguments at, Long Arguments::* by) {
    Arguments above = at, below = at;
    above.*by += kStep;
    below.*by -= kStep;
    return (value_of(f, above, at) - value_of(f, below, at)) / (2 * kStep);
}

template <class T>
bool near(T got, Long expected, Long size) {
    const Long eps = std::numeric_limits<T>::epsilon();
    return std::fabs(Long(got) - expected) <= (64 * eps + 1e-10L) * (std::fabs(expected) + size);
}

template <class T>
std::vector<T> draw(std::size_t count, Random& random, double spread) {
    std::normal_distribution<double> normal(0, spread);
    std::vector<T> numbers(count);
    for (T& number : numbers) number = static_cast<T>(normal(random));
    return numbers;
}

template <class T, class F>
void check_functions(Function f, F function, std::uint64_t rows, std::uint64_t features, std::uint32_t functions,
                     int multiprocessors, Random& random) {
    const auto blocks = kan::bases_blocks(rows, features, functions, true, multiprocessors);
    const std::size_t size = functions * features;
    const auto x = draw<T>(rows * features, random, 2), first = draw<T>(size, random, 1),
               second = draw<T>(size, random, 1), grad = draw<T>(rows * size, random, 1);
    const BasisCall<T, F> call{blocks, function, first.data(), second.data()};
    for (bool backwards : {false, true}) {
        Poisoned<T> out(rows * size), dx(rows * features), parts(blocks.chunks * 2 * size), by_first(size),
            by_second(size);
        for (unsigned b = 0; b < blocks.count(false); ++b) {
            HostBlock block(b, blocks.threads(), backwards);
            expand_functions(block, call, x.data(), out.data());
        }
        for (bool wanted : {false, true}) {
            for (unsigned b = 0; b < blocks.count(true); ++b) {
                HostBlock block(b, blocks.threads(), backwards);
                ContractShared<T> shared;
                contract_functions(block, call, shared, grad.data(), x.data(), dx.data(),
                                   wanted ? parts.data() : nullptr);
            }
        }
        for (unsigned b = 0; b * 64 < 2 * size; ++b) {
            HostBlock block(b, 64, backwards);
            add_parts(block, size, blocks.chunks, parts.data(), by_first.data(), by_second.data());
        }
        std::vector<Long> to_first(size), to_second(size), of_first(size), of_second(size);
        for (std::uint64_t row = 0; row < rows; ++row) {
            for (std::uint64_t d = 0; d < features; ++d) {
                Long sum = 0, all = 1e-3L;
                for (std::uint32_t j = 0; j < functions; ++j) {
                    const std::size_t plane = j * features + d, at = row * size + plane;
                    const Arguments a{x[row * features + d], first[plane], second[plane]};
                    const Long slope = difference(f, a, &Arguments::x), by_p = difference(f, a, &Arguments::first),
                               by_q = difference(f, a, &Arguments::second), g = grad[at];
                    const Long scale = 1 + std::fabs(a.x) + std::fabs(a.first) + std::fabs(a.second);
                    // What rounding of u, or of x - low, makes of the value.
                    CHECK(near<T>(out[at], value_of(f, a, a), scale * (1 + std::fabs(slope) + std::fabs(by_q))));
                    sum += g * slope;
                    const Long rough = std::pow(scale, 5.0L) * std::fabs(g);
                    all += rough;
                    to_first[plane] += g * by_p;
                    to_second[plane] += g * by_q;
                    of_first[plane] += rough;
                    of_second[plane] += rough;
                }
                CHECK(near<T>(dx[row * features + d], sum, all));
            }
        }
        for (std::size_t i = 0; i < size; ++i) {
            CHECK(near<T>(by_first[i], to_first[i], of_first[i] + 1e-3L));
            CHECK(near<T>(by_second[i], to_second[i], of_second[i] + 1e-3L));
        }
        for (Poisoned<T>* written : {&out, &dx, &parts, &by_first, &by_second}) written->check_guard();
    }
}

template <class T>
void check_series(bool fourier, std::uint64_t rows, std::uint64_t features, std::uint32_t functions,
                  int multiprocessors, Random& random) {
    const auto blocks = kan::bases_blocks(rows, features, functions, false, multiprocessors);
    const std::size_t size = functions * features;
    auto x = draw<T>(rows * features, random, fourier ? 3 : 0.4);
    const auto grad = draw<T>(rows * size, random, 1);
    const SeriesCall call{blocks, fourier};
    for (bool backwards : {false, true}) {
        Poisoned<T> out(rows * size), dx(rows * features);
        for (unsigned b = 0; b < blocks.count(true); ++b) {
            HostBlock block(b, blocks.threads(), backwards);
            expand_series(block, call, x.data(), out.data());
            contract_series(block, call, grad.data(), x.data(), dx.data());
        }
        for (std::size_t i = 0; i < rows * features; ++i) {
            const std::size_t at = i / features * size + i % features;
            const Long z = x[i], angle = std::acos(std::min(std::max(z, -1.0L), 1.0L));
            Long sum = 0;
            for (std::uint32_t j = 0; j < functions; ++j) {
                const std::uint32_t term = j % (functions / 2) + 1;
                const bool sine = j >= functions / 2;
                Long value = 0, slope = 0;
                if (fourier) {
                    value = sine ? std::sin(term * z) : std::cos(term * z);
                    slope = sine ? term * std::cos(term * z) : -Long(term) * std::sin(term * z);
                } else if (std::fabs(z) < 0.99L) {
                    value = std::cos(j * angle);
                    slope = j * std::sin(j * angle) / std::sin(angle);
                } else {
                    value = out[at + j * features];
                    slope = std::numeric_limits<Long>::quiet_NaN();
                }
                CHECK(near<T>(out[at + j * features], value, 1 + std::fabs(z) * functions));
                sum += slope * grad[at + j * features];
            }
            CHECK(std::isnan(sum) || near<T>(dx[i], sum, Long(functions) * functions * functions));
        }
        out.check_guard();
        dx.check_guard();
    }
}

// B-splines by the recursion of Cox and de Boor.
Long spline(const std::vector<Long>& t, int j, int k, Long x) {
    if (k == 0) return t[j] <= x && x < t[j + 1] ? 1 : 0;
    const Long below = t[j + k] - t[j], above = t[j + k + 1] - t[j + 1];
    return (below > 0 ? (x - t[j]) / below * spline(t, j, k - 1, x) : 0) +
           (above > 0 ? (t[j + k + 1] - x) / above * spline(t, j + 1, k - 1, x) : 0);
}
// And the derivatives that it has.
Long spline(const std::vector<Long>& t, int j, int k, Long x, int derivative) {
    if (derivative == 0) return spline(t, j, k, x);
    if (k == 0) return 0;
    const Long below = t[j + k] - t[j], above = t[j + k + 1] - t[j + 1];
    return k * ((below > 0 ? spline(t, j, k - 1, x, derivative - 1) / below : 0) -
                (above > 0 ? spline(t, j + 1, k - 1, x, derivative - 1) / above : 0));
}

// The table of one column of knots: derivatives in the middle of an interval give its polynomial.
template <class T>
void fill_table(const std::vector<Long>& t, int k, int intervals, T* table) {
    const int knots = static_cast<int>(t.size());
    for (int c = 0; c <= knots; ++c) {
        T* const row = table + c * (k + 2) * (k + 1);
        std::fill_n(row, (k + 2) * (k + 1), T(0));
        if (c == 0 || c == knots || t[c] == t[c - 1]) continue;
        const Long width = t[c] - t[c - 1];
        row[0] = static_cast<T>(t[c - 1]);
        row[1] = static_cast<T>(1 / width);
        const int first = std::min(std::max(c - 1 - k, 0), intervals - 1);
        for (int r = 0; r <= k; ++r) {
            Long scale = 1;
            for (int p = 0; p <= k; ++p) {
                // Right at the knot, whose interval it belongs to.
                row[(p + 1) * (k + 1) + r] = static_cast<T>(spline(t, first + r, k, t[c - 1], p) * scale);
                scale *= width / (p + 1);
            }
        }
    }
}

template <class T>
void check_splines(int k, int intervals, bool shared_knots, int derivative, std::uint64_t rows, std::uint64_t features,
                   int multiprocessors, Random& random) {
    const int knots = intervals + 2 * k + 1, functions = intervals + k;
    const std::size_t columns = shared_knots ? 1 : features, numbers = (knots + 1) * (k + 2) * (k + 1);
    std::vector<std::vector<Long>> t(columns);
    std::vector<T> at_knots(knots * columns), table(numbers * columns);
    std::uniform_real_distribution<double> step(0.1, 0.5);
    for (std::size_t c = 0; c < columns; ++c) {
        double knot = -1.5;
        for (int m = 0; m < knots; ++m) {
            if (m != 1) knot += step(random);  // the first two are one
            at_knots[m * columns + c] = static_cast<T>(knot);
            t[c].push_back(at_knots[m * columns + c]);
        }
        fill_table(t[c], k, intervals, table.data() + c * numbers);
    }
    auto x = draw<T>(rows * features, random, 1.5);
    x[0] = static_cast<T>(t[0][2]);
    if (x.size() > 2) x[1] = static_cast<T>(1e30), x[2] = static_cast<T>(-1e30);
    const std::size_t size = functions * features;
    const auto grad = draw<T>(rows * size, random, 1);
    const kan::Spline<T> s{features, k, intervals, shared_knots, at_knots.data(), table.data()};
    const auto blocks =
        kan::bases_blocks(rows, features, static_cast<std::uint32_t>(functions), false, multiprocessors);
    const SplineCall<T> call{blocks, s, derivative, Factors<T>(derivative)};
    for (bool backwards : {false, true}) {
        Poisoned<T> out(rows * size), dx(rows * features);
        for (unsigned b = 0; b < blocks.count(true); ++b) {
            HostBlock block(b, blocks.threads(), backwards);
            SplineShared<T> shared;
            expand_splines(block, call, shared, x.data(), out.data());
            contract_splines(block, call, shared, grad.data(), x.data(), dx.data());
        }
        for (std::size_t i = 0; i < rows * features; ++i) {
            const std::size_t column = shared_knots ? 0 : i % features, at = i / features * size + i % features;
            const std::vector<Long>& of = t[column];
            const bool on_a_knot = std::find(of.begin(), of.end(), Long(x[i])) != of.end();
            Long sum = 0, all = 0;
            for (int j = 0; j < functions; ++j) {
                // Numbers one below the highest order jump at knots, where rounding decides the side.
                const Long value = spline(of, j, k, x[i], derivative), scale = std::pow(20.0L, derivative);
                CHECK(near<T>(out[at + j * features], value, scale) || (on_a_knot && derivative >= k - 1));
                sum += value * grad[at + j * features];
                all += scale * std::fabs(Long(grad[at + j * features]));
            }
            CHECK(near<T>(dx[i], sum, all) || (on_a_knot && derivative >= k - 1));
        }
        out.check_guard();
        dx.check_guard();
    }
    // NaN stays in its feature.
    x.assign(x.size(), T(0));
    x[x.size() / 2] = std::numeric_limits<T>::quiet_NaN();
    Poisoned<T> out(rows * size);
    for (unsigned b = 0; b < blocks.count(true); ++b) {
        HostBlock block(b, blocks.threads(), false);
        SplineShared<T> shared;
        expand_splines(block, call, shared, x.data(), out.data());
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
        int found = 0;
        for (int j = 0; j < functions; ++j) {
            const T value = out[i / features * size + i % features + j * features];
            found += value != value;
        }
        CHECK(found == (x[i] != x[i] ? k + 1 : 0));
    }
}

// Angles of every size, and the double that comes closest to a multiple of pi/2.
template <class T>
void check_far_angles(Random& random) {
    std::uniform_real_distribution<double> exponent(sizeof(T) == 4 ? 12 : 20, sizeof(T) == 4 ? 127.9 : 1023.9);
    const Long eps = 2 * std::numeric_limits<T>::epsilon();
    for (int i = 0; i < 20000; ++i) {
        T x = static_cast<T>(std::exp2(exponent(random)));
        if (i == 0) x = std::numeric_limits<T>::max();
        if (i == 1 && sizeof(T) == 8) x = static_cast<T>(6381956970095103.0 * 0x1p797);
        if (i % 2 == 1) x = -x;
        T c, s;
        sincos_of_far(x, c, s);
        const Long cosine = std::cos(Long(x)), sine = std::sin(Long(x));
        CHECK(std::fabs(c - cosine) <= eps * std::fabs(cosine) && std::fabs(s - sine) <= eps * std::fabs(sine));
    }
    for (T x : {std::numeric_limits<T>::infinity(), std::numeric_limits<T>::quiet_NaN()}) {
        T c, s;
        sincos_of_far(x, c, s);
        CHECK(c != c && s != s);
    }
}

template <class T>
void check_all(Random& random) {
    const struct {
        std::uint64_t rows, features;
        std::uint32_t functions;
        int multiprocessors;
    } sizes[] = {{1, 1, 1, 1}, {5, 33, 8, 1}, {37, 5, 9, 2}, {9, 64, 3, 132}, {70, 31, 17, 1}, {1100, 2, 2, 1}};
    for (const auto& [rows, features, functions, multiprocessors] : sizes) {
        for (Function f :
             {Function::gaussian, Function::mexican_hat, Function::morlet, Function::dog, Function::bump}) {
            check_functions<T>(f, FamilyOf<T>{f}, rows, features, functions, multiprocessors, random);
        }
        const std::uint32_t even = functions + functions % 2;
        check_series<T>(true, rows, features, even, multiprocessors, random);
        check_series<T>(false, rows, features, even, multiprocessors, random);
    }
    for (int s = 0; s < 9; ++s) {
        for (int how = 0; how < kan::kCombinations; ++how) {
            const auto f = static_cast<Function>(kan::kFirstCombined + kan::kCombinations * s + how);
            const CombinationOf<T> function{static_cast<Activation>(s), static_cast<Combination>(how)};
            check_functions<T>(f, function, 7, 3, 6, 1, random);
        }
    }
    for (int k = 1; k <= kan::kMaxDegree; ++k) {
        for (bool shared : {true, false}) {
            for (int derivative = 0; derivative <= k; ++derivative) {
                check_splines<T>(k, 1 + static_cast<int>(random() % 8), shared, derivative, 11, 35, 1, random);
            }
        }
        check_splines<T>(k, 150, true, 0, 3, 40, 1, random);  // too large for shared memory
    }
    check_far_angles<T>(random);
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    Random random(seed);
    check_all<double>(random);
    check_all<float>(random);
    return 0;
}
