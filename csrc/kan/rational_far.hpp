// A rational function at one point where the fast form might overflow: in y = 1/t, with the highest coefficients that
// are not zero, in a type of a wider range. For the CPU and
// the GPU. Internal linkage: included by kernel sources only.
//
// With m and n from here on those highest degrees, P = x^m p(1/x), W = t^n w(y), Q = t^n q, q = constant y^n + s w,
// s = -1 where W is folded and negative, else 1, and f = p/q:
//   F = sigma^m t^(m-n) f         dF/dx = sigma^(m-1) t^(m-1-n) (p' - s f w')/q
// where p' = sum i a_i x^(i-m), w' = sum j c_j y^(n-j), sigma = sgn(x) for variant A, else 1. At infinity y is 0 and
// these are the limits. A product with a power of t is done factor by factor, so that it overflows only if the result
// does.
#pragma once

#include <cmath>

#include "support/host_device.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

// `Coefficients` are those of one group: their type T, m and n, a(i), c(j), whether W is folded, what constant is added
// to it then (variant A: 0), and whether it is a polynomial in |x|.
template <class Wide, class Coefficients>
class FarPoint {
    using T = typename Coefficients::T;

public:
    FOURFOLD_HOST_DEVICE FarPoint(const Coefficients& given, T x)
        : m_(given.m), n_(given.n), x_(x), t_(given.absolute && x < 0 ? -x : x), sigma_(T(1)) {
        if (given.absolute && x < 0) sigma_ = T(-1);
        FOURFOLD_ROLLED
        while (m_ > 0 && given.a(m_) == 0) --m_;
        FOURFOLD_ROLLED
        while (n_ > 0 && given.c(n_) == 0) --n_;
        // Coefficients alone can make a point far; near the origin powers do not overflow.
        inverse_ = !(std::fabs(x) <= 1);
        const Wide at_p = inverse_ ? Wide(T(1)) / x_ : x_;
        const Wide at_w = inverse_ ? Wide(T(1)) / t_ : t_;
        y_ = at_w;
        Wide p = T(0), w = T(0);
        // Both in Horner's form: in y from the lowest coefficient up, in x from the highest down.
        FOURFOLD_ROLLED
        for (int k = 0; k <= m_; ++k) {
            const int i = inverse_ ? k : m_ - k;
            p = p * at_p + Wide(given.a(i));
        }
        FOURFOLD_ROLLED
        for (int k = 0; k <= n_; ++k) {
            const int j = inverse_ ? k : n_ - k;
            w = w * at_w + Wide(given.c(j));
        }
        FOURFOLD_ROLLED
        for (int k = inverse_ ? 0 : 1; k <= m_; ++k) {
            const int i = inverse_ ? k : m_ + 1 - k;
            dp_ = dp_ * at_p + Wide(static_cast<T>(i)) * Wide(given.a(i));
        }
        FOURFOLD_ROLLED
        for (int k = inverse_ ? 0 : 1; k <= n_; ++k) {
            const int j = inverse_ ? k : n_ + 1 - k;
            dw_ = dw_ * at_w + Wide(static_cast<T>(j)) * Wide(given.c(j));
        }
        const bool odd = inverse_ && n_ % 2 == 1 && t_ < Wide(T(0));
        s_ = given.folded && (odd ? -w : w) < Wide(T(0)) ? T(-1) : T(1);
        q_ = Wide(given.constant) * (inverse_ ? times_power(T(1), -n_) : Wide(T(1))) + s_ * w;
        f_ = p / q_;
    }

    FOURFOLD_HOST_DEVICE Wide value() const { return inverse_ ? times_power(sign_power(m_) * f_, m_ - n_) : f_; }

    FOURFOLD_HOST_DEVICE Wide derivative() const {
        if (!inverse_) return dp_ / q_ - f_ * (sigma_ * s_ * dw_ / q_);
        return times_power(sign_power(m_ - 1) * (dp_ - s_ * f_ * dw_) / q_, m_ - 1 - n_);
    }

    // g x^i / Q
    FOURFOLD_HOST_DEVICE Wide numerator_term(T g, int i) const {
        if (!inverse_) return Wide(g) * power(x_, i) / q_;
        return times_power(sign_power(i) * (Wide(g) / q_), i - n_);
    }

    // -g F/Q dQ/dc_j
    FOURFOLD_HOST_DEVICE Wide denominator_term(T g, int j) const {
        const Wide factor = -s_ * Wide(g) * (f_ / q_);
        if (!inverse_) return factor * power(t_, j);
        return times_power(sign_power(m_) * factor, m_ - 2 * n_ + j);
    }

private:
    FOURFOLD_HOST_DEVICE static Wide power(Wide base, int exponent) {
        Wide result = T(1);
        FOURFOLD_ROLLED
        for (int k = 0; k < exponent; ++k) result = result * base;
        return result;
    }
    FOURFOLD_HOST_DEVICE Wide sign_power(int exponent) const { return exponent % 2 == 0 ? Wide(T(1)) : sigma_; }
    FOURFOLD_HOST_DEVICE Wide times_power(Wide value, int exponent) const {
        const Wide factor = exponent < 0 ? y_ : t_;
        const int count = exponent < 0 ? -exponent : exponent;
        FOURFOLD_ROLLED
        for (int k = 0; k < count; ++k) value = value * factor;
        return value;
    }

    int m_, n_;
    bool inverse_;
    Wide x_, t_, sigma_, y_ = T(0), dp_ = T(0), dw_ = T(0), s_ = T(0), q_ = T(0), f_ = T(0);
};

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
