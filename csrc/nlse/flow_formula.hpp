// The arithmetic of the flows of a splitting, of scalars or vectors, for the CPU and for the GPU.
#pragma once

#include <cmath>

#include "support/numbers.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

// z exp(i angle), given cos(angle) - 1 and sin(angle): a turn by a small angle keeps |z| this way.
template <class Vec>
FOURFOLD_INLINE Complex<Vec> turned(Complex<Vec> z, Vec cosine_minus_1, Vec sine) {
    return {z.re + (z.re * cosine_minus_1 - z.im * sine), z.im + (z.im * cosine_minus_1 + z.re * sine)};
}

// scale exp(i angle) (high + low) - shift high with shift 0 or 1, given cos(angle) - 1 and sin(angle). With shift = 1,
// z high + z factor is z scale exp(i angle) (high + low) with more digits than z has: turns by small angles keep |z|,
// and high may be a rounded 1/n.
template <int shift>
FOURFOLD_INLINE Complex<double> phase_factor(double scale, double cosine_minus_1, double sine, double high,
                                             double low) {
    const double c = cosine_minus_1 * scale + (scale - shift);
    return {c * high + (c + shift) * low, sine * scale * high};
}

// Of a loss gamma over the time tau: how the amplitude decays, and the time (1 - exp(-2 gamma tau))/(2 gamma) that
// |psi|^2 would take undamped.
struct Decay {
    double amplitude, effective_time;
};

FOURFOLD_INLINE Decay decay_over(double gamma, double tau) {
    return {std::exp(-gamma * tau), gamma == 0 ? tau : -std::expm1(-2 * gamma * tau) / (2 * gamma)};
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
