// Stationary covariance functions of the signed lag z, their derivatives in z, and the pull-back of a cotangent to
// their parameters. A kernel is a tree of sums and products whose leaves are k(z) = sum_q w_q f(z; a_q, m_q):
//
//   gaussian             exp(-a z^2) cos(m z)
//   matern12             exp(-t) cos(m z)                    t = a |z|
//   matern32             (1 + t) exp(-t) cos(m z)
//   matern52             (1 + t + t^2/3) exp(-t) cos(m z)
//   rational_quadratic   (1 + a z^2)^-m
//   periodic             exp(a (cos(2 pi z / m) - 1))
#pragma once

#include <cstddef>
#include <vector>

namespace fourfold::gp {

enum class Form : int { gaussian = 0, matern12 = 1, matern32 = 2, matern52 = 3, rational_quadratic = 4, periodic = 5 };

struct Leaf {
    Form form;
    std::size_t components;
    const double* weight;  // w[components]
    const double* scale;   // a[components], > 0
    const double* third;   // m[components]: radians per unit of the lag, an exponent > 0 or a period > 0
};

// One step of a kernel in postfix order: a leaf, or what is made of the two kernels before it.
struct Step {
    enum class Kind { leaf, sum, product } kind;
    Leaf leaf;  // of that kind
};

inline constexpr int kOrders = 5;  // derivatives 0 to 4

// A place for each derivative: n numbers, or null where it is not asked for. Not all may be null.
struct Jet {
    double* order[kOrders];
};
struct ConstJet {
    const double* order[kOrders];
};

// One block of lags, for the kernel of an ISA level. The jets that are combined have all orders up to the highest of
// the result (of the cotangent).
struct CovarianceKernels {
    void (*evaluate)(const Leaf&, const double* lag, std::size_t n, const Jet& out);
    // gradient[3][components] = d/dw, d/da, d/dm of sum_r sum_i cotangent_r[i] k^(r)(lag[i])
    void (*pull_back)(const Leaf&, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient);
    void (*add)(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out);
    void (*multiply)(const ConstJet& a, const ConstJet& b, std::size_t n, const Jet& out);
    // The cotangent of a, from that of a b.
    void (*multiply_pull_back)(const ConstJet& b, const ConstJet& cotangent, std::size_t n, const Jet& by_a);
};

// out.order[r][i] = d^r k/dz^r at lag[i], in one pass over the lags.
// Throws std::invalid_argument if the steps are no kernel.
void evaluate(const std::vector<Step>& kernel, const double* lag, std::size_t n, const Jet& out, int threads);

// The gradients of CovarianceKernels::pull_back, leaf after leaf. Chunks of fixed size are summed in their order: the
// same bits for any `threads`.
void pull_back(const std::vector<Step>& kernel, const double* lag, std::size_t n, const ConstJet& cotangent,
               double* gradient, int threads);

}  // namespace fourfold::gp
