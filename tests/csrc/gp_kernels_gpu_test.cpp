// The GPU's covariance functions, thread by thread and block by block, beside the CPU's of one ISA level: every form
// and order, lags and points, hostile lags, sizes around a block's. Usage: gp_kernels_gpu_test [seed]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "check.hpp"
#include "gp/covariance.hpp"
#include "gpu_memory.hpp"
#define FOURFOLD_LEVEL host
#include "gp/covariance_gpu.hpp"

using namespace fourfold::gp;
using fourfold::host::HostBlock;

namespace {

std::mt19937_64 engine;

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine); }
int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); }

constexpr Form kForms[] = {Form::gaussian, Form::matern12,           Form::matern32,
                           Form::matern52, Form::rational_quadratic, Form::periodic};

int highest(Form form) { return form == Form::matern12 ? 0 : form == Form::matern32 ? 2 : 4; }

struct Kernel {
    Form form;
    std::vector<double> parameters;  // [3][components]
    Leaf leaf;
};

Kernel draw(Form form, std::size_t components) {
    Kernel k{form, {}, {}};
    for (int row = 0; row < 3; ++row) {
        for (std::size_t q = 0; q < components; ++q) {
            double number = std::exp(uniform(-2, 2));
            const bool wave = form != Form::rational_quadratic && form != Form::periodic;
            if (row == 2 && wave && integer(0, 1) == 0) number = 0;
            k.parameters.push_back(number);
        }
    }
    return k;
}

// To be called where the kernel stays: the leaf points into it.
const Leaf& leaf_of(Kernel& k) {
    const std::size_t components = k.parameters.size() / 3;
    const double* first = k.parameters.data();
    k.leaf = {k.form, components, first, first + components, first + 2 * components};
    return k.leaf;
}

GpuLeaf gpu_leaf(const Kernel& k) {
    GpuLeaf leaf{};
    leaf.form = k.form;
    const std::size_t n = k.parameters.size() / 3;
    leaf.components = static_cast<int>(n);
    std::copy_n(k.parameters.data(), n, leaf.weight);
    std::copy_n(k.parameters.data() + n, n, leaf.scale);
    std::copy_n(k.parameters.data() + 2 * n, n, leaf.third);
    return leaf;
}

// Lags of all sizes, 0 of both signs among them. Squares stay finite, phases within what the sine takes.
std::vector<double> draw_lags(std::size_t n) {
    std::vector<double> z;
    for (std::size_t i = 0; i < n; ++i) {
        const double size = std::exp(uniform(-3, 2));
        switch (integer(0, 9)) {
            case 0: z.push_back(0.0); break;
            case 1: z.push_back(-0.0); break;
            case 2: z.push_back(uniform(-1, 1) * 1e-300); break;
            case 3: z.push_back(uniform(-1, 1) * 1e5); break;
            default: z.push_back(uniform(-1, 1) * size);
        }
    }
    return z;
}

using Rows = std::vector<std::vector<double>>;

Jet jet_of(Rows& rows, const std::vector<int>& orders) {
    Jet jet{};
    for (std::size_t k = 0; k < orders.size(); ++k) jet.order[orders[k]] = rows[k].data();
    return jet;
}
ConstJet constant(const Jet& jet) {
    ConstJet same;
    std::copy(jet.order, jet.order + kOrders, same.order);
    return same;
}

// Distinct orders up to `top`, which is one of them.
std::vector<int> draw_orders(int top) {
    std::vector<int> orders;
    for (int r = 0; r <= top; ++r) {
        if (r == top || integer(0, 1) == 0) orders.push_back(r);
    }
    std::shuffle(orders.begin(), orders.end(), engine);
    return orders;
}

Rows random_rows(std::size_t count, std::size_t n) {
    Rows rows(count, std::vector<double>(n));
    for (auto& row : rows) {
        for (double& number : row) number = std::normal_distribution<double>()(engine);
    }
    return rows;
}

template <class F>
void with_top(int top, F f) {
    if (top == 0) return f.template operator()<0>();
    if (top <= 2) return f.template operator()<2>();
    return f.template operator()<4>();
}

template <class F>
void each_thread(std::size_t count, bool backwards, F f) {
    for (std::size_t k = 0; k < count; ++k) f(backwards ? count - 1 - k : k);
}

void close(const std::vector<double>& one, const std::vector<double>& other, double tolerance, double least = 0) {
    CHECK(one.size() == other.size());
    double size = least;
    for (const double x : other) size = std::max(size, std::abs(x));
    for (std::size_t i = 0; i < one.size(); ++i) {
        if (std::abs(one[i] - other[i]) <= tolerance * size) continue;
        std::fprintf(stderr, "at %zu: %.17g is not %.17g (size %g)\n", i, one[i], other[i], size);
        CHECK(false);
    }
}

std::vector<double> gradient_on_gpu(const Kernel& k, const GpuLags& lags, const ConstJet& cotangent, int top,
                                    bool backwards) {
    const GpuLeaf leaf = gpu_leaf(k);
    const std::size_t components = k.parameters.size() / 3, chunks = chunks_of(lags.n);
    auto parts = poisoned<double>(3 * components * chunks);
    auto gradient = poisoned<double>(3 * components);
    each_thread(chunks * components, backwards, [&](std::size_t index) {
        HostBlock block(static_cast<unsigned>(index), kSumThreads, backwards);
        Shared shared(sizeof(SumsShared));
        with_top(top, [&]<int Top>() {
            host::pull_back_block<Top>(block, *reinterpret_cast<SumsShared*>(shared.get()), leaf, lags, cotangent,
                                       parts.data());
        });
    });
    each_thread(components, backwards, [&](std::size_t index) {
        HostBlock block(static_cast<unsigned>(index), kSumThreads, backwards);
        Shared shared(sizeof(SumsShared));
        host::sums_block(block, *reinterpret_cast<SumsShared*>(shared.get()), leaf, chunks, parts.data(),
                         gradient.data(), components);
    });
    return gradient;
}

void test_leaf(Form form, std::size_t components, std::size_t n) {
    Kernel k = draw(form, components);
    const std::vector<Step> program{{Step::Kind::leaf, leaf_of(k)}};
    const std::vector<double> z = draw_lags(n);
    const int top = integer(0, highest(form));
    const std::vector<int> orders = draw_orders(top);
    Rows expected(orders.size(), std::vector<double>(n)), found(orders.size(), poisoned<double>(n));
    evaluate(program, z.data(), n, jet_of(expected, orders), 1);
    const GpuLags lags{z.data(), nullptr, 0, n};
    const bool backwards = integer(0, 1) == 0;
    with_top(top, [&]<int Top>() {
        each_thread(n, backwards, [&](std::size_t i) {
            host::evaluate_thread<Top>(gpu_leaf(k), lags, jet_of(found, orders), false, i);
        });
    });
    for (std::size_t r = 0; r < orders.size(); ++r) close(found[r], expected[r], 1e-13);
    // Added to itself.
    with_top(top, [&]<int Top>() {
        each_thread(n, backwards, [&](std::size_t i) {
            host::evaluate_thread<Top>(gpu_leaf(k), lags, jet_of(found, orders), true, i);
        });
    });
    for (auto& row : expected) {
        for (double& number : row) number *= 2;
    }
    for (std::size_t r = 0; r < orders.size(); ++r) close(found[r], expected[r], 1e-13);

    Rows cotangent = random_rows(orders.size(), n);
    const ConstJet c = constant(jet_of(cotangent, orders));
    std::vector<double> gradient(3 * components);
    pull_back(program, z.data(), n, c, gradient.data(), 1);
    const std::vector<double> one = gradient_on_gpu(k, lags, c, top, false);
    CHECK(same_bits(one, gradient_on_gpu(k, lags, c, top, true)));
    // Sums of n numbers that may cancel: of the size of the gradient of the absolute values, roughly.
    double size = 0;
    for (const double g : gradient) size = std::max(size, std::abs(g));
    close(one, gradient, 1e-11 * std::sqrt(static_cast<double>(n) + 1), size);
}

// Lags whose squares are near the largest number, where everything but a power is 0.
void test_far(Form form) {
    Kernel k = draw(form, 1);
    if (form != Form::rational_quadratic) k.parameters[2] = 0;
    const std::vector<Step> program{{Step::Kind::leaf, leaf_of(k)}};
    const std::vector<double> z{1e140, -1e140, 0.0, -3e70, 1e20, 5.0};
    Rows expected(1, std::vector<double>(z.size())), found(1, poisoned<double>(z.size()));
    const GpuLags lags{z.data(), nullptr, 0, z.size()};
    for (int r = 0; r <= highest(form); ++r) {
        evaluate(program, z.data(), z.size(), jet_of(expected, {r}), 1);
        with_top(r, [&]<int Top>() {
            for (std::size_t i = 0; i < z.size(); ++i) {
                host::evaluate_thread<Top>(gpu_leaf(k), lags, jet_of(found, {r}), false, i);
            }
        });
        for (std::size_t i = 0; i < z.size(); ++i) close({found[0][i]}, {expected[0][i]}, 1e-13);
    }
}

// Points instead of lags, in rows of an odd length.
void test_points(std::size_t rows, std::size_t columns) {
    Kernel k = draw(kForms[integer(0, 5)], 2);
    const std::vector<Step> program{{Step::Kind::leaf, leaf_of(k)}};
    const std::vector<double> x = draw_lags(rows), y = draw_lags(columns);
    std::vector<double> z;
    for (const double a : x) {
        for (const double b : y) z.push_back(a - b);
    }
    Rows expected(1, std::vector<double>(z.size())), found(1, poisoned<double>(z.size()));
    evaluate(program, z.data(), z.size(), jet_of(expected, {0}), 1);
    const GpuLags lags{x.data(), y.data(), columns, z.size()};
    each_thread(z.size(), true,
                [&](std::size_t i) { host::evaluate_thread<0>(gpu_leaf(k), lags, jet_of(found, {0}), false, i); });
    close(found[0], expected[0], 1e-13);
}

// Products, and their pull-back by the transpose: <c, D(ab)> = <pull-back of c by b, a>.
void test_products(int top, std::size_t n) {
    std::vector<int> all;
    for (int r = 0; r <= top; ++r) all.push_back(r);
    Rows a = random_rows(all.size(), n), b = random_rows(all.size(), n);
    const std::vector<int> orders = draw_orders(top);
    Rows product(orders.size(), poisoned<double>(n)), cotangent = random_rows(orders.size(), n);
    Rows by_a(all.size(), poisoned<double>(n));
    const ConstJet aa = constant(jet_of(a, all)), bb = constant(jet_of(b, all));
    with_top(top, [&]<int Top>() {
        each_thread(n, true, [&](std::size_t i) {
            host::product_thread<Top>(aa, bb, jet_of(product, orders), false, i);
            host::product_pull_back_thread<Top>(bb, constant(jet_of(cotangent, orders)), jet_of(by_a, all), i);
        });
    });
    const double choose[5][5] = {{1}, {1, 1}, {1, 2, 1}, {1, 3, 3, 1}, {1, 4, 6, 4, 1}};
    for (std::size_t i = 0; i < n; ++i) {
        long double one = 0, other = 0, size = 0;
        for (std::size_t k = 0; k < orders.size(); ++k) {
            const std::size_t r = static_cast<std::size_t>(orders[k]);
            long double sum = 0, magnitude = 0;
            for (std::size_t j = 0; j <= r; ++j) {
                const long double term = static_cast<long double>(choose[r][j]) * a[j][i] * b[r - j][i];
                sum += term;
                magnitude += std::abs(term);
            }
            CHECK(std::abs(static_cast<double>(product[k][i] - sum)) <= 1e-15 * 4 * static_cast<double>(magnitude));
            one += sum * cotangent[k][i];
            size += magnitude * std::abs(cotangent[k][i]);
        }
        for (std::size_t j = 0; j < all.size(); ++j) other += static_cast<long double>(by_a[j][i]) * a[j][i];
        CHECK(std::abs(static_cast<double>(one - other)) <= 1e-15 * 8 * static_cast<double>(size));
    }
}

}  // namespace

int main(int arguments, char** argument) {
    const std::uint64_t seed =
        arguments > 1 ? std::strtoull(argument[1], nullptr, 10) : (std::uint64_t{std::random_device{}()} << 8);
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    engine.seed(seed);
    for (const Form form : kForms) {
        test_leaf(form, 1, 1);
        if (form != Form::periodic) test_far(form);
        test_leaf(form, static_cast<std::size_t>(integer(1, 4)), static_cast<std::size_t>(integer(2, 300)));
        test_leaf(form, 2, kLagsOfBlock);
        test_leaf(form, 1, 2 * kLagsOfBlock + static_cast<std::size_t>(integer(1, 130)));
    }
    test_leaf(Form::gaussian, kGpuComponents, 40);
    // More chunks than threads that add them.
    test_leaf(Form::matern12, 1, kLagsOfBlock * (kSumThreads + 3) + 1);
    test_points(1, 7);
    test_points(13, 1);
    test_points(17, 33);
    for (int top = 0; top <= 4; ++top) test_products(top, 50);
    std::puts("fine");
    return 0;
}
