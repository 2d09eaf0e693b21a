// The transition and the noise of one Matern component over a step tau (in units of its rate), and their derivatives.
#pragma once

#include <cmath>

#include "support/host_device.hpp"

namespace fourfold::gp {

// Row-major p x p matrices.
struct MaternStep {
    double transition[9];
    double transition_slope[9];  // d transition / d tau
    double noise[9];             // per unit of variance
    double noise_slope[9];
};

// C of the stationary covariance s2 C.
inline const double* stationary_covariance(int order) {
    static constexpr double first[1] = {1};
    static constexpr double second[4] = {1, 0, 0, 1};
    static constexpr double third[9] = {1, 0, -1.0 / 3, 0, 1.0 / 3, 0, -1.0 / 3, 0, 1};
    return order == 1 ? first : order == 2 ? second : third;
}

// J[k] = int_0^tau s^k exp(-2s) ds for k = 0..4, each to a few units in the last place for any tau >= 0: J[4] by a
// series of positive terms (or its complement, once that is small), the others down from it by integration by parts,
// where only positive numbers are added. As a difference of matrices, P_inf - A P_inf A', the noise of a short step
// would be lost in rounding: it is of the order tau^5.
FOURFOLD_INLINE void incomplete_moments(double tau, double* moments) {
    const double decay = std::exp(-2 * tau);
    if (tau < 12) {
        double term = std::pow(tau, 5) / 5, sum = term;
        for (int j = 1; term > 1e-17 * sum; ++j) {
            term *= 2 * tau / (5 + j);
            sum += term;
        }
        moments[4] = decay * sum;
    } else {
        moments[4] = 0.75 - decay * ((((tau + 2) * tau + 3) * tau + 3) * tau + 1.5) * 0.5;
    }
    const double power[5] = {1, tau, tau * tau, tau * tau * tau, tau * tau * tau * tau};
    for (int k = 4; k > 0; --k) moments[k - 1] = (2 * moments[k] + decay * power[k]) / k;
}

FOURFOLD_INLINE void matern_step(int order, double tau, MaternStep& step) {
    const double decay = std::exp(-tau);
    if (order == 1) {
        step.transition[0] = decay;
        step.transition_slope[0] = -decay;
        step.noise[0] = -std::expm1(-2 * tau);
        step.noise_slope[0] = 2 * decay * decay;
        return;
    }
    double j[5];
    incomplete_moments(tau, j);
    if (order == 2) {
        const double a[4] = {1 + tau, tau, -tau, 1 - tau};
        const double slope[4] = {-tau, 1 - tau, tau - 1, tau - 2};
        const double u[2] = {tau, 1 - tau};
        const double q[4] = {j[2], j[1] - j[2], j[1] - j[2], j[0] - 2 * j[1] + j[2]};
        for (int i = 0; i < 4; ++i) {
            step.transition[i] = decay * a[i];
            step.transition_slope[i] = decay * slope[i];
            step.noise[i] = 4 * q[i];
            step.noise_slope[i] = 4 * decay * decay * u[i / 2] * u[i % 2];
        }
        return;
    }
    // exp(F tau) = exp(-tau) (I + tau N + tau^2/2 N^2) with N = F + I, N^3 = 0.
    static constexpr double n1[9] = {1, 1, 0, 0, 1, 1, -1, -3, -2};
    static constexpr double n2[9] = {1, 2, 1, -1, -2, -1, 1, 2, 1};
    const double u[3] = {tau * tau / 2, tau - tau * tau / 2, 1 - 2 * tau + tau * tau / 2};
    // u as polynomials (coefficients of 1, s, s^2), for the integrals of their products.
    static constexpr double polynomial[3][3] = {{0, 0, 0.5}, {0, 1, -0.5}, {1, -2, 0.5}};
    for (int i = 0; i < 9; ++i) {
        const double identity = i % 4 == 0 ? 1 : 0;
        step.transition[i] = decay * (identity + tau * (n1[i] + tau * 0.5 * n2[i]));
        step.transition_slope[i] = decay * (n1[i] - identity + tau * (n2[i] - n1[i] - tau * 0.5 * n2[i]));
        double integral = 0;
        for (int k = 0; k < 3; ++k) {
            for (int l = 0; l < 3; ++l) integral += polynomial[i / 3][k] * polynomial[i % 3][l] * j[k + l];
        }
        step.noise[i] = 16.0 / 3 * integral;
        step.noise_slope[i] = 16.0 / 3 * decay * decay * u[i / 3] * u[i % 3];
    }
}

}  // namespace fourfold::gp
