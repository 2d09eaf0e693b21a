// Stationary covariance functions that are mixtures k(z) = sum_q w_q g(z; a_q) cos(m_q z), their derivatives in the
// signed lag z, and the pull-back of a cotangent to the parameters.
//
//   gaussian   g = exp(-a z^2)
//   matern12   g = exp(-t)                    t = a |z|
//   matern32   g = (1 + t) exp(-t)
//   matern52   g = (1 + t + t^2/3) exp(-t)
#pragma once

#include <cstddef>

namespace fourfold::gp {

enum class Envelope : int { gaussian = 0, matern12 = 1, matern32 = 2, matern52 = 3 };

// The highest derivative that exists at lag 0 (of the smooth ones: that is offered).
constexpr int highest_order(Envelope envelope) {
    switch (envelope) {
        case Envelope::matern12: return 0;
        case Envelope::matern32: return 2;
        default: return 4;
    }
}

struct Mixture {
    Envelope envelope;
    std::size_t components;
    const double* weight;     // w[components]
    const double* scale;      // a[components], > 0
    const double* frequency;  // m[components], in radians per unit of the lag
};

inline constexpr int kOrders = 5;  // derivatives 0 to 4

// A place for each derivative: n numbers, or null where it is not asked for. Not all may be null.
struct Jet {
    double* order[kOrders];
};
struct ConstJet {
    const double* order[kOrders];
};

// One block of lags, for the kernel of an ISA level.
struct CovarianceKernels {
    void (*evaluate)(const Mixture&, const double* lag, std::size_t n, const Jet& out);
    // gradient[3][components] = d/dw, d/da, d/dm of sum_r sum_i cotangent_r[i] k^(r)(lag[i])
    void (*pull_back)(const Mixture&, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient);
};

// out.order[r][i] = d^r k/dz^r at lag[i].
void evaluate(const Mixture& mixture, const double* lag, std::size_t n, const Jet& out, int threads);

// As CovarianceKernels::pull_back. Chunks of fixed size are summed in their order: the same bits for any `threads`.
void pull_back(const Mixture& mixture, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient,
               int threads);

}  // namespace fourfold::gp
