// The GPU's eigenproblems on the host: a block, phase by phase, its threads forwards and backwards. Small, singular,
// badly scaled and hostile matrices; residuals in long double.
#define FOURFOLD_LEVEL gpu
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "gp/jacobi_block.hpp"
#include "gpu_memory.hpp"

using namespace fourfold;
using namespace fourfold::gp;
using namespace fourfold::gp::gpu;
using Long = long double;
using Host = fourfold::gpu::HostBlock;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Eigen {
    std::vector<double> values, vectors;
    int trouble;
};

Eigen eigen_of(int n, const std::vector<double>& a, bool backwards, double limit = 1e-5) {
    const auto size = static_cast<std::size_t>(n);
    Eigen result{poisoned<double>(size), poisoned<double>(size * size), -1};
    Shared shared(eigh_shared(n));
    Host block(0, static_cast<unsigned>(eigh_threads(n)), backwards);
    result.trouble = eigh_block(block, shared.get(), n, a.data(), limit, result.values.data(), result.vectors.data());
    return result;
}

void check_eigen(int n, const std::vector<double>& a, const char* what) {
    const Eigen one = eigen_of(n, a, false), other = eigen_of(n, a, true);
    if (one.trouble != kFine) std::printf("n = %d, %s: trouble %d\n", n, what, one.trouble);
    CHECK(one.trouble == kFine);
    CHECK(same_bits(one.values, other.values) && same_bits(one.vectors, other.vectors));
    const auto at = [n](int i, int j) { return static_cast<std::size_t>(i * n + j); };
    Long largest = 0;
    for (const double entry : a) largest = std::max<Long>(largest, std::fabs(entry));
    const Long size = std::max<Long>(largest, std::numeric_limits<double>::min()) * n, allowed = 3e-15L;
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) {
            Long dot = 0, entry = 0;
            for (int k = 0; k < n; ++k) {
                dot += static_cast<Long>(one.vectors[at(i, k)]) * one.vectors[at(j, k)];
                entry += static_cast<Long>(one.vectors[at(k, i)]) * one.values[static_cast<std::size_t>(k)] *
                         one.vectors[at(k, j)];
            }
            const Long wanted = (static_cast<Long>(a[at(i, j)]) + a[at(j, i)]) / 2;
            if (!(std::fabs(dot - (i == j)) < allowed * n && std::fabs(entry - wanted) <= allowed * size)) {
                std::printf("n = %d, %s: %Lg, %Lg of %Lg\n", n, what, dot - (i == j), entry - wanted, size);
            }
            CHECK(std::fabs(dot - (i == j)) < allowed * n);
            CHECK(std::fabs(entry - wanted) <= allowed * size);
        }
    }
}

void check_eigenproblems(std::mt19937_64& random) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> exponent(-150, 150);
    for (const int n : {1, 2, 3, 4, 7, 16, 21, 30, 33, 64}) {
        const auto size = static_cast<std::size_t>(n);
        std::vector<double> a(size * size);
        const auto each = [&](auto entry) {
            for (int i = 0; i < n; ++i) {
                for (int j = 0; j <= i; ++j) {
                    a[static_cast<std::size_t>(i * n + j)] = a[static_cast<std::size_t>(j * n + i)] = entry(i, j);
                }
            }
        };
        std::vector<double> v(size);
        for (double& entry : v) entry = normal(random);
        each([](int, int) { return 0.0; });
        check_eigen(n, a, "zeros");
        each([](int i, int j) { return i == j ? 1.0 : 0.0; });
        check_eigen(n, a, "identity");
        each([](int, int) { return 1.0; });
        check_eigen(n, a, "ones");
        each([&](int i, int j) { return v[static_cast<std::size_t>(i)] * v[static_cast<std::size_t>(j)]; });
        check_eigen(n, a, "rank one");
        each([](int i, int j) { return i == j + 1 ? 1.0 : 0.0; });
        check_eigen(n, a, "path");
        each([&](int i, int j) { return i == j ? std::pow(10.0, exponent(random)) : 0.0; });
        check_eigen(n, a, "wide diagonal");
        for (const double scale : {1.0, 1e-150, 1e150, 1e-310, 1e307}) {
            each([&](int, int) { return std::max(-10.0, std::min(10.0, normal(random))) * scale; });
            check_eigen(n, a, "random");
        }
        each([&](int i, int j) { return std::exp(-0.5 * std::pow(3.0 * (i - j) / n, 2)); });
        check_eigen(n, a, "squared exponential");
        each([&](int i, int j) {
            const double t = std::sqrt(5.0) * std::abs(i - j) / n;
            return (1 + t + t * t / 3) * std::exp(-t) + (i == j ? 1e-6 : 0);
        });
        check_eigen(n, a, "Matern");
        for (double& entry : a) entry *= 1 + 1e-7 * normal(random);
        check_eigen(n, a, "nearly symmetric");
        const int hit = static_cast<int>(random() % (size * size));
        a[static_cast<std::size_t>(hit)] = kNan;
        CHECK(eigen_of(n, a, false).trouble == kNotFinite);
        CHECK(std::isnan(eigen_of(n, a, true).values[0]));
        a[static_cast<std::size_t>(hit)] = -std::numeric_limits<double>::infinity();
        CHECK(eigen_of(n, a, false).trouble == kNotFinite);
        if (n == 1) continue;
        each([](int, int) { return 1.0; });
        a[1] = 1.001;
        CHECK(eigen_of(n, a, false).trouble == kNotSymmetric);
    }
}

// Small eigenvalues of a matrix that is well conditioned but for its scaling, to their own size: a reduction to a
// tridiagonal matrix loses them. Their product is the determinant, by Cholesky in long double.
void check_small_eigenvalues(std::mt19937_64& random) {
    constexpr int n = 8;
    std::normal_distribution<double> normal;
    std::vector<double> a(n * n);
    std::vector<Long> l(n * n);
    const auto at = [](int i, int j) { return static_cast<std::size_t>(i * n + j); };
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j <= i; ++j) {
            const double entry = (i == j ? 1.0 : 0.05 * std::tanh(normal(random))) * std::pow(10.0, -i - j);
            a[at(i, j)] = a[at(j, i)] = entry;
            l[at(i, j)] = entry;
        }
    }
    Long truth = 1, got = 1;
    for (int j = 0; j < n; ++j) {
        for (int i = j; i < n; ++i) {
            for (int k = 0; k < j; ++k) l[at(i, j)] -= l[at(i, k)] * l[at(j, k)];
            if (i > j) l[at(i, j)] /= l[at(j, j)];
            if (i == j) {
                truth *= l[at(j, j)];
                l[at(j, j)] = std::sqrt(l[at(j, j)]);
            }
        }
    }
    for (const double value : eigen_of(n, a, false).values) got *= value;
    CHECK(std::fabs(got / truth - 1) < 1e-13L);
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_eigenproblems(random);
    check_small_eigenvalues(random);
    return 0;
}
