// The GPU's small Kronecker systems on the host: every block, phase by phase, its threads forwards and backwards,
// against the dense matrix in long double.
#define FOURFOLD_LEVEL gpu
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "gp/jacobi_block.hpp"
#include "gp/small_forward.hpp"
#include "gp/small_gradient.hpp"
#include "gpu_memory.hpp"

using namespace fourfold;
using namespace fourfold::gp;
using namespace fourfold::gp::gpu;
using Long = long double;
using Host = fourfold::gpu::HostBlock;

namespace {

template <class T>
struct Problem {
    SmallSystem s{};
    std::vector<std::vector<T>> factors;
    std::vector<T> noise, y, grad_quad, grad_logdet;

    Problem(const std::vector<int>& sizes, const std::vector<bool>& shared, int batch, int count,
            std::mt19937_64& random) {
        std::normal_distribution<double> normal;
        s.d = static_cast<int>(sizes.size());
        s.total = 1;
        s.batch = batch;
        s.count = count;
        std::int64_t basis = 0, values = 0;
        for (int k = 0; k < s.d; ++k) {
            const int n = sizes[static_cast<std::size_t>(k)];
            s.sizes[k] = n;
            s.items[k] = shared[static_cast<std::size_t>(k)] ? 1 : batch;
            s.basis[k] = basis;
            s.values[k] = values;
            s.wanted[k] = true;
            basis += s.items[k] * n * n;
            values += static_cast<std::int64_t>(batch) * n;
            s.total *= n;
            std::vector<T> all;
            for (std::int64_t item = 0; item < s.items[k]; ++item) {
                std::vector<double> root(static_cast<std::size_t>(n * n));
                for (double& entry : root) entry = normal(random);
                for (int i = 0; i < n; ++i) {
                    for (int j = 0; j < n; ++j) {
                        double sum = i == j ? 0.1 : 0;
                        for (int l = 0; l < n; ++l) {
                            sum += root[static_cast<std::size_t>(i * n + l)] *
                                   root[static_cast<std::size_t>(j * n + l)] / n;
                        }
                        all.push_back(static_cast<T>(sum));
                    }
                }
            }
            factors.push_back(all);
        }
        for (int b = 0; b < batch; ++b) {
            noise.push_back(static_cast<T>(0.05 + 0.1 * std::fabs(normal(random))));
            grad_logdet.push_back(static_cast<T>(normal(random)));
        }
        for (int i = 0; i < batch * count; ++i) grad_quad.push_back(static_cast<T>(normal(random)));
        for (int i = 0; i < batch * count * s.total; ++i) y.push_back(static_cast<T>(normal(random)));
    }
    std::size_t basis_size() const {
        const int k = s.d - 1;
        return static_cast<std::size_t>(s.basis[k] + s.items[k] * s.sizes[k] * s.sizes[k]);
    }
    std::size_t values_size() const { return static_cast<std::size_t>(s.values[s.d - 1] + s.batch * s.sizes[s.d - 1]); }
    const T* factor(int k, std::int64_t b) const {
        return factors[static_cast<std::size_t>(k)].data() + (s.items[k] > 1 ? b : 0) * s.sizes[k] * s.sizes[k];
    }
};

template <class T>
struct Results {
    std::vector<T> basis, values, x, quad, logdet, factors, noise, y;
    int trouble = 0;
};

template <class T>
Results<T> run(const Problem<T>& problem, bool backwards) {
    const SmallSystem& s = problem.s;
    const auto rows = static_cast<std::size_t>(s.batch * s.count), batch = static_cast<std::size_t>(s.batch);
    Results<T> r;
    r.basis = poisoned<T>(problem.basis_size());
    r.values = poisoned<T>(problem.values_size());
    r.x = poisoned<T>(rows * static_cast<std::size_t>(s.total));
    r.quad = poisoned<T>(rows);
    r.logdet = poisoned<T>(batch);
    r.factors = poisoned<T>(problem.basis_size());
    r.noise = poisoned<T>(batch);
    r.y = poisoned<T>(r.x.size());
    int largest = 0;
    for (int k = 0; k < s.d; ++k) largest = std::max(largest, s.sizes[k]);
    for (int k = 0; k < s.d; ++k) {
        const int n = s.sizes[k];
        for (std::int64_t item = 0; item < s.items[k]; ++item) {
            Shared shared(eigh_shared(largest));
            Host block(0, static_cast<unsigned>(eigh_threads(largest)), backwards);
            r.trouble |=
                eigh_block(block, shared.get(), n, problem.factor(k, item), 1e-2,
                           r.values.data() + s.values[k] + item * n, r.basis.data() + s.basis[k] + item * n * n);
        }
        for (std::int64_t b = 1; s.items[k] == 1 && b < s.batch; ++b) {
            std::copy_n(r.values.data() + s.values[k], n, r.values.data() + s.values[k] + b * n);
        }
    }
    const auto blocks = [&](std::int64_t count, std::size_t bytes, auto work) {
        for (std::int64_t i = 0; i < count; ++i) {
            Shared shared(bytes);
            Host block(static_cast<unsigned>(i), kSmallThreads, backwards);
            work(block, shared.get());
        }
    };
    blocks(s.batch * std::max<std::int64_t>(s.count, 1), data_shared(s, sizeof(T)), [&](Host& block, auto* shared) {
        r.trouble |= forward_block(block, s, shared, r.basis.data(), r.values.data(), problem.noise.data(),
                                   problem.y.data(), r.x.data(), r.quad.data(), r.logdet.data());
    });
    auto middles = poisoned<T>(batch * problem.basis_size());
    blocks(s.batch * (s.d + 1), gradient_shared(s, sizeof(T)), [&](Host& block, auto* shared) {
        gradient_block(block, s, shared, largest * largest, r.basis.data(), r.values.data(), problem.noise.data(),
                       r.x.data(), problem.grad_quad.data(), problem.grad_logdet.data(), r.factors.data(),
                       r.noise.data(), middles.data());
    });
    blocks(s.d, 2 * static_cast<std::size_t>(largest * largest) * sizeof(T), [&](Host& block, auto* shared) {
        shared_block(block, s, shared, r.basis.data(), middles.data(), r.factors.data());
    });
    blocks(s.batch * s.count, data_shared(s, sizeof(T)), [&](Host& block, auto* shared) {
        data_gradient_block(block, s, shared, r.basis.data(), r.x.data(), problem.grad_quad.data(), r.y.data());
    });
    return r;
}

// Item b as a dense matrix: its inverse, logdet, and the gradients of everything.
template <class T>
struct Dense {
    std::vector<Long> inverse;
    Long logdet = 0;

    Dense(const Problem<T>& problem, std::int64_t b) {
        const int n = problem.s.total;
        std::vector<Long> a(static_cast<std::size_t>(n * n));
        for (int i = 0; i < n; ++i) {
            for (int j = 0; j < n; ++j) {
                a[static_cast<std::size_t>(i * n + j)] =
                    product(problem, b, i, j, -1) + (i == j ? problem.noise[static_cast<std::size_t>(b)] : 0);
            }
        }
        // Gauss and Jordan; the matrix is positive definite.
        inverse.assign(a.size(), 0);
        for (int i = 0; i < n; ++i) inverse[static_cast<std::size_t>(i * n + i)] = 1;
        for (int p = 0; p < n; ++p) {
            const Long pivot = a[static_cast<std::size_t>(p * n + p)];
            logdet += std::log(pivot);
            for (int j = 0; j < n; ++j) {
                a[static_cast<std::size_t>(p * n + j)] /= pivot;
                inverse[static_cast<std::size_t>(p * n + j)] /= pivot;
            }
            for (int i = 0; i < n; ++i) {
                const Long factor = a[static_cast<std::size_t>(i * n + p)];
                if (i == p || factor == 0) continue;
                for (int j = 0; j < n; ++j) {
                    a[static_cast<std::size_t>(i * n + j)] -= factor * a[static_cast<std::size_t>(p * n + j)];
                    inverse[static_cast<std::size_t>(i * n + j)] -=
                        factor * inverse[static_cast<std::size_t>(p * n + j)];
                }
            }
        }
    }
    // Product of the factors' entries that make entry (i, j); without one of them.
    static Long product(const Problem<T>& problem, std::int64_t b, int i, int j, int without) {
        Long result = 1;
        for (int k = problem.s.d - 1; k >= 0; --k) {
            const int n = problem.s.sizes[k];
            if (k != without) result *= problem.factor(k, b)[i % n * n + j % n];
            i /= n;
            j /= n;
        }
        return result;
    }
};

template <class T>
void check_close(T got, Long truth, Long size, const char* what) {
    const Long allowed = (sizeof(T) == 8 ? 1e-12L : 5e-4L) * (size + std::fabs(truth));
    if (!(std::fabs(got - truth) <= allowed)) {
        std::printf("%s: %.9Lg, expected %.9Lg\n", what, static_cast<Long>(got), truth);
    }
    CHECK(std::fabs(got - truth) <= allowed);
}

template <class T>
void check_system(const std::vector<int>& sizes, const std::vector<bool>& shared, int batch, int count,
                  std::mt19937_64& random) {
    const Problem<T> problem(sizes, shared, batch, count, random);
    const SmallSystem& s = problem.s;
    const Results<T> r = run(problem, false), again = run(problem, true);
    CHECK(r.trouble == 0);
    CHECK(same_bits(r.quad, again.quad) && same_bits(r.logdet, again.logdet) && same_bits(r.factors, again.factors));
    CHECK(same_bits(r.noise, again.noise) && same_bits(r.y, again.y) && same_bits(r.x, again.x));
    const int total = s.total;
    std::vector<Long> by_factor(problem.basis_size()), size_of(problem.basis_size());
    for (std::int64_t b = 0; b < batch; ++b) {
        const Dense<T> dense(problem, b);
        check_close(r.logdet[static_cast<std::size_t>(b)], dense.logdet, total, "logdet");
        std::vector<Long> slope(dense.inverse.size());
        const Long by_logdet = problem.grad_logdet[static_cast<std::size_t>(b)];
        for (std::size_t e = 0; e < slope.size(); ++e) slope[e] = by_logdet * dense.inverse[e];
        Long size = 0;
        for (const Long entry : slope) size = std::max(size, std::fabs(entry));
        for (int c = 0; c < count; ++c) {
            const std::int64_t row = b * count + c;
            const T* y = problem.y.data() + row * total;
            std::vector<Long> alpha(static_cast<std::size_t>(total));
            Long quad = 0, largest = 0;
            for (int i = 0; i < total; ++i) {
                for (int j = 0; j < total; ++j) {
                    alpha[static_cast<std::size_t>(i)] += dense.inverse[static_cast<std::size_t>(i * total + j)] * y[j];
                }
                quad += y[i] * alpha[static_cast<std::size_t>(i)];
                largest = std::max(largest, std::fabs(alpha[static_cast<std::size_t>(i)]));
            }
            check_close(r.quad[static_cast<std::size_t>(row)], quad, 1, "quad");
            const Long by_quad = problem.grad_quad[static_cast<std::size_t>(row)];
            for (int i = 0; i < total; ++i) {
                check_close(r.y[static_cast<std::size_t>(row * total + i)],
                            2 * by_quad * alpha[static_cast<std::size_t>(i)], largest, "gradient of y");
                for (int j = 0; j < total; ++j) {
                    slope[static_cast<std::size_t>(i * total + j)] -=
                        by_quad * alpha[static_cast<std::size_t>(i)] * alpha[static_cast<std::size_t>(j)];
                }
            }
            size += std::fabs(by_quad) * largest * largest;
        }
        Long by_noise = 0;
        for (int i = 0; i < total; ++i) by_noise += slope[static_cast<std::size_t>(i * total + i)];
        check_close(r.noise[static_cast<std::size_t>(b)], by_noise, size * total, "gradient of the noise");
        for (int k = 0; k < s.d; ++k) {
            const int n = s.sizes[k], after = s.after(k);
            for (int i = 0; i < total; ++i) {
                for (int j = 0; j < total; ++j) {
                    const Long rest = Dense<T>::product(problem, b, i, j, k);
                    const auto at = static_cast<std::size_t>(s.matrix(k, b) + i / after % n * n + j / after % n);
                    by_factor[at] += slope[static_cast<std::size_t>(i * total + j)] * rest;
                    size_of[at] += size * std::fabs(rest);
                }
            }
        }
    }
    for (std::size_t e = 0; e < by_factor.size(); ++e) {
        check_close(r.factors[e], by_factor[e], size_of[e], "gradient of a factor");
    }
}

template <class T>
void check_systems(std::mt19937_64& random) {
    check_system<T>({1}, {false}, 1, 1, random);
    check_system<T>({7}, {false}, 3, 2, random);
    check_system<T>({3, 5}, {false, false}, 2, 1, random);
    check_system<T>({5, 3}, {true, false}, 3, 2, random);
    check_system<T>({4, 1, 6}, {false, true, true}, 2, 3, random);
    check_system<T>({2, 3, 2, 2}, {true, true, true, true}, 4, 1, random);
    check_system<T>({1, 33}, {false, false}, 2, 0, random);
    check_system<T>({2, 2, 2, 1, 2, 1, 2, 2}, std::vector<bool>(8, false), 1, 1, random);
    check_system<T>({16, 3}, {false, false}, 1, 1, random);
}

// What is not positive definite, or not finite, is said, and gives NaN for that item alone.
void check_troubles(std::mt19937_64& random) {
    for (int kind = 0; kind < 3; ++kind) {
        Problem<double> problem({3, 4}, {false, true}, 3, 2, random);
        if (kind == 0) problem.noise[1] = -1e3;
        if (kind == 1) problem.y[(1 * 2 + 1) * 12 + 5] = std::numeric_limits<double>::infinity();
        if (kind == 2) problem.factors[0][9 + 3] += 1;
        const Results<double> r = run(problem, false);
        CHECK(r.trouble != 0);
        CHECK(std::isnan(r.quad[3]) && std::isfinite(r.quad[0]) && std::isfinite(r.quad[5]));
        CHECK(std::isnan(r.logdet[1]) == (kind != 1));
        CHECK(std::isfinite(r.logdet[0]) && std::isfinite(r.logdet[2]));
    }
}

// As the tests above, but of the sizes that count: against the definition in the basis of the eigenvectors.
template <class T>
void check_large(const std::vector<int>& sizes, std::mt19937_64& random) {
    const Problem<T> problem(sizes, std::vector<bool>(sizes.size(), false), 1, 1, random);
    const SmallSystem& s = problem.s;
    const Results<T> r = run(problem, false);
    CHECK(r.trouble == 0);
    // (K + s) V'x = y
    std::vector<Long> x(r.y.begin(), r.y.end());
    for (Long& entry : x) entry /= 2 * static_cast<Long>(problem.grad_quad[0]);
    std::vector<Long> product = x;
    for (int k = 0; k < s.d; ++k) {
        const int n = s.sizes[k], after = s.after(k);
        std::vector<Long> next(product.size());
        for (int e = 0; e < s.total; ++e) {
            const int i = e / after % n, first = e - i * after;
            for (int j = 0; j < n; ++j) {
                next[static_cast<std::size_t>(e)] +=
                    problem.factor(k, 0)[i * n + j] * product[static_cast<std::size_t>(first + j * after)];
            }
        }
        product = next;
    }
    Long quad = 0;
    for (std::size_t e = 0; e < x.size(); ++e) {
        quad += x[e] * problem.y[e];
        check_close(static_cast<T>(product[e] + problem.noise[0] * x[e]), problem.y[e], 10, "residual");
    }
    check_close(r.quad[0], quad, 0, "quad");
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    check_systems<double>(random);
    check_systems<float>(random);
    check_troubles(random);
    check_large<double>({16, 16, 16}, random);
    check_large<float>({30, 30}, random);
    check_large<double>({64, 9}, random);
    return 0;
}
