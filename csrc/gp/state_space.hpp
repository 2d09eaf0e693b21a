// Gaussian processes in one variable as linear stochastic differential equations: Matern functions and their sums.
// Filter, smoother and gradient in time linear in the number of observations.
//
// A component of order p (1, 2, 3 for Matern-1/2, 3/2, 5/2), rate a = sqrt(2p - 1)/lengthscale and variance s2 has the
// state (f, f'/a, f''/a^2)[:p]: in units of the rate nothing but tau = a dt and s2 is left.
//   transition  A = exp(F tau)
//   stationary  P_inf = s2 C
//   noise       Q = s2 q int_0^tau u(s) u(s)' ds,  u(s) = exp(F s) e_p
// The state of a sum is that of its components one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fourfold::gp {

inline constexpr int kMaxState = 12;

struct StateSpaceModel {
    int components;
    const int* order;        // p[components]
    const double* rate;      // a[components]
    const double* variance;  // s2[components]
};

// One series. Times do not decrease; equal times are allowed.
struct Series {
    std::size_t count;
    const double* time;            // t[count]
    const double* value;           // y[count], read where observed
    const double* noise;           // variance of y[count]'s noise
    const std::uint8_t* observed;  // [count]
};

// Where results go; null: not wanted. Only log_likelihood is always written.
struct StateSpaceResults {
    double* log_likelihood;  // [1]
    double* mean;            // [count] of f given all observations
    double* deviation2;      // [count] its variance
    double* by_rate;         // [components] d log_likelihood / d rate
    double* by_variance;     // [components]
    double* by_value;        // [count]
    double* by_noise;        // [count]
};

// Doubles of scratch that one series needs: the predicted means and covariances of all times if anything but the
// likelihood is wanted.
std::size_t state_space_scratch(const StateSpaceModel& model, std::size_t count, bool backward);

// Where a series ended: at `count`, or at the first observation whose predicted variance is not positive and finite.
struct Reached {
    std::size_t index;
    double predicted_variance;
};

Reached state_space(const StateSpaceModel& model, const Series& series, const StateSpaceResults& results,
                    double* scratch);

}  // namespace fourfold::gp
