// The derivatives in z of the envelopes g(z; a), of a number or of lanes: g[0..Top]. Included by kernel sources, and
// for single numbers by GPU sources and by tests that run them on the host.
#pragma once

#include "gp/covariance.hpp"
#include "support/lanes.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

template <class Vec>
constexpr int kLanesOf = sizeof(Vec) / sizeof(double);

// exp(-t) is 0 from 745.2 on.
constexpr double kGone = 800;

// Top goes one beyond the highest order, because d/da needs z g^(order + 1). That one jumps at 0 for the Matern
// functions, but the factor z makes either side's value right.
template <Form E, int Top, class Vec>
FOURFOLD_INLINE void envelope_jet(Vec z, double a, Vec* g) {
    const Vec zero{};
    if constexpr (E == Form::gaussian) {
        // g^(r+1) = -2a (z g^(r) + r g^(r-1))
        g[0] = exp_of_negative<double, kLanesOf<Vec>>(z * z * -a);
        const Vec slope = z * (-2 * a);
        FOURFOLD_UNROLL(8)
        for (int r = 0; r < Top; ++r) {
            g[r + 1] = slope * g[r];
            if (r > 0) g[r + 1] += g[r - 1] * (-2.0 * r * a);
        }
    } else {
        Vec t = (z < zero ? -z : z) * a;
        const Vec e = exp_of_negative<double, kLanesOf<Vec>>(-t);
        // Where the exponential is 0, a power of t that overflows would make NaN of it.
        const auto gone = t > kGone;
        t = gone ? zero : t;
        z = gone ? zero : z;
        const Vec side = z < zero ? zero - 1.0 : zero + 1.0;
        const double a2 = a * a;
        if constexpr (E == Form::matern12) {
            g[0] = e;
            if constexpr (Top >= 1) g[1] = side * e * -a;
        } else if constexpr (E == Form::matern32) {
            g[0] = (1.0 + t) * e;
            if constexpr (Top >= 1) g[1] = z * e * -a2;
            if constexpr (Top >= 2) g[2] = (t - 1.0) * e * a2;
            if constexpr (Top >= 3) g[3] = side * (2.0 - t) * e * (a2 * a);
        } else {
            const double c2 = a2 / 3, c4 = a2 * c2;
            g[0] = (1.0 + t + t * t * (1.0 / 3)) * e;
            if constexpr (Top >= 1) g[1] = z * (1.0 + t) * e * -c2;
            if constexpr (Top >= 2) g[2] = (t * t - t - 1.0) * e * c2;
            if constexpr (Top >= 3) g[3] = z * (3.0 - t) * e * c4;
            if constexpr (Top >= 4) g[4] = (3.0 - 5.0 * t + t * t) * e * c4;
            if constexpr (Top >= 5) g[5] = side * (7.0 * t - t * t - 8.0) * e * (c4 * a);
        }
    }
}

// z g'(z) / (a's power in the envelope's argument) = a dg/da: the Gaussian and the rational quadratic
// depend on sqrt(a) z, the Matern functions on a z.
template <Form E>
constexpr double kScalePower = E == Form::gaussian || E == Form::rational_quadratic ? 2.0 : 1.0;

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
