// The derivatives in z of the covariance functions that are no envelope of a wave: k[0..Top]; see envelopes.hpp.
#pragma once

#include "gp/envelopes.hpp"
#include "support/log.hpp"
#include "support/sincos.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// Numbers whose products with 0 are 0.
constexpr double kLargest = 1e300;

// k = (1 + c z^2)^-alpha, and with `by_alpha` its derivative by alpha at constant c, in z as well.
//
// (1 + c z^2) k' = -2 alpha c z k, differentiated r times, with q = 1/(1 + c z^2) and v = q z, which are bounded:
//   k^(r+1) = -2 c (alpha + r) v k^(r) - c r (2 alpha + r - 1) q k^(r-1)
template <int Top, class Vec>
FOURFOLD_INLINE void rational_quadratic_jet(Vec z, double c, double alpha, Vec* k, Vec* by_alpha = nullptr) {
    Vec u = z * z * c;
    u = u < kLargest ? u : Vec{} + kLargest;
    const Vec logarithm = log_of_1_plus<kLanesOf<Vec>>(u);
    const Vec q = 1.0 / (1.0 + u), v = z * q;
    k[0] = exp_of_negative<double, kLanesOf<Vec>>(logarithm * -alpha);
    if (by_alpha != nullptr) by_alpha[0] = -(logarithm * k[0]);
    FOURFOLD_UNROLL(8)
    for (int r = 0; r < Top; ++r) {
        const double slope = -2 * c * (alpha + r), bend = -c * r * (2 * alpha + r - 1);
        k[r + 1] = v * slope * k[r];
        if (r > 0) k[r + 1] += q * bend * k[r - 1];
        if (by_alpha != nullptr) {
            by_alpha[r + 1] = v * slope * by_alpha[r] - v * (2 * c) * k[r];
            if (r > 0) by_alpha[r + 1] += q * bend * by_alpha[r - 1] - q * (2 * c * r) * k[r - 1];
        }
    }
}

// C(r, j) for r up to 5.
FOURFOLD_INLINE double choose_from(int r, int j) {
    static constexpr double table[6][6] = {{1}, {1, 1}, {1, 2, 1}, {1, 3, 3, 1}, {1, 4, 6, 4, 1}, {1, 5, 10, 10, 5, 1}};
    return table[r][j];
}

// k = exp(b (cos(omega z) - 1)), omega = 2 pi / period: k' = b (cos(omega z))' k, and Leibniz' rule for the rest.
// wave[j] is the derivative of order j of cos(omega z) - 1. The lag is reduced to half a period first, whose sine and
// cosine are right however many periods it had.
template <int Top, class Vec>
FOURFOLD_INLINE void periodic_jet(Vec z, double b, double period, Vec* k, Vec* wave) {
    constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to whole periods
    const double omega = 6.283185307179586477 / period;
    const Vec periods = (z / period + magic) - magic;
    Vec sine;
    sincos<double, kLanesOf<Vec>>((z - periods * period) * omega, Vec{}, wave[0], sine);
    const Vec cosine = wave[0] + 1.0;
    double power = 1;
    FOURFOLD_UNROLL(8)
    for (int j = 1; j <= Top; ++j) {
        power *= omega;
        wave[j] = (j % 2 == 1 ? sine : cosine) * (j % 4 == 1 || j % 4 == 2 ? -power : power);
    }
    k[0] = exp_of_negative<double, kLanesOf<Vec>>(wave[0] * b);
    FOURFOLD_UNROLL(8)
    for (int r = 0; r < Top; ++r) {
        Vec sum{};
        FOURFOLD_UNROLL(8)
        for (int j = 0; j <= r; ++j) sum += wave[j + 1] * k[r - j] * choose_from(r, j);
        k[r + 1] = sum * b;
    }
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
