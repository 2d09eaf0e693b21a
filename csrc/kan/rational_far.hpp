// A rational function at one point where the fast form might overflow: in y = 1/t, with the highest coefficients that
// are not zero, in a type of a wider range. Internal linkage: included by kernel sources only.
//
// With m and n from here on those highest degrees, P = x^m p(1/x), W = t^n w(y), Q = t^n q, q = constant y^n + s w,
// s = -1 where W is folded and negative, else 1, and f = p/q:
//   F = sigma^m t^(m-n) f         dF/dx = sigma^(m-1) t^(m-1-n) (p' - s f w')/q
// where p' = sum i a_i x^(i-m), w' = sum j c_j y^(n-j), sigma = sgn(x) for variant A, else 1. At infinity y is 0 and
// these are the limits. A product with a power of t is done factor by factor, so that it overflows only if the result
// does.
#pragma once

#include <cmath>

#include "kan/rational_kernels.hpp"
#include "support/simd.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class T>
struct WiderOf;
template <>
struct WiderOf<float> {
    using type = double;
};
template <>
struct WiderOf<double> {
    using type = long double;
};

template <class T>
class FarPoint {
    using Wide = typename WiderOf<T>::type;

public:
    FarPoint(const PreparedRational<T>& rational, std::size_t group, T x)
        : a_(rational.a + group * static_cast<std::size_t>(rational.shape.m + 1)),
          c_(rational.c + group * static_cast<std::size_t>(rational.shape.n + 1)),
          m_(highest(a_, rational.shape.m)),
          n_(highest(c_, rational.shape.n)),
          absolute_(rational.shape.variant == Variant::A),
          x_(x),
          t_(absolute_ && x < 0 ? -x : x),
          sigma_(absolute_ && x < 0 ? -1 : 1) {
        // Coefficients alone can make a point far; near the origin powers do not overflow.
        inverse_ = !(std::fabs(x_) <= 1);
        const Wide at_p = inverse_ ? 1 / x_ : x_;
        const Wide at_w = inverse_ ? 1 / t_ : t_;
        y_ = at_w;
        Wide p = 0, w = 0;
        // Both in Horner's form: in y from the lowest coefficient up, in x from the highest down.
        for (int k = 0; k <= m_; ++k) {
            const int i = inverse_ ? k : m_ - k;
            p = p * at_p + a_[i];
        }
        for (int k = 0; k <= n_; ++k) {
            const int j = inverse_ ? k : n_ - k;
            w = w * at_w + c_[j];
        }
        for (int k = inverse_ ? 0 : 1; k <= m_; ++k) {
            const int i = inverse_ ? k : m_ + 1 - k;
            dp_ = dp_ * at_p + static_cast<Wide>(i) * a_[i];
        }
        for (int k = inverse_ ? 0 : 1; k <= n_; ++k) {
            const int j = inverse_ ? k : n_ + 1 - k;
            dw_ = dw_ * at_w + static_cast<Wide>(j) * c_[j];
        }
        const bool odd = inverse_ && n_ % 2 == 1 && t_ < 0;
        s_ = rational.folded && (odd ? -w : w) < 0 ? -1 : 1;
        q_ = static_cast<Wide>(rational.constant) * (inverse_ ? times_power(1, -n_) : Wide(1)) + s_ * w;
        f_ = p / q_;
    }

    Wide value() const { return inverse_ ? times_power(sign_power(m_) * f_, m_ - n_) : f_; }

    Wide derivative() const {
        if (!inverse_) return dp_ / q_ - f_ * (sigma_ * s_ * dw_ / q_);
        return times_power(sign_power(m_ - 1) * (dp_ - s_ * f_ * dw_) / q_, m_ - 1 - n_);
    }

    // g x^i / Q
    Wide numerator_term(T g, int i) const {
        if (!inverse_) return g * power(x_, i) / q_;
        return times_power(sign_power(i) * (g / q_), i - n_);
    }

    // -g F/Q dQ/dc_j
    Wide denominator_term(T g, int j) const {
        const Wide factor = -s_ * g * (f_ / q_);
        if (!inverse_) return factor * power(t_, j);
        return times_power(sign_power(m_) * factor, m_ - 2 * n_ + j);
    }

private:
    static int highest(const T* coefficients, int degree) {
        while (degree > 0 && coefficients[degree] == 0) --degree;
        return degree;
    }
    static Wide power(Wide base, int exponent) {
        Wide result = 1;
        for (int k = 0; k < exponent; ++k) result *= base;
        return result;
    }
    Wide sign_power(int exponent) const { return exponent % 2 == 0 ? Wide(1) : sigma_; }
    Wide times_power(Wide value, int exponent) const {
        for (int k = 0; k < exponent; ++k) value *= t_;
        for (int k = 0; k < -exponent; ++k) value *= y_;
        return value;
    }

    const T* a_;
    const T* c_;
    int m_, n_;
    bool absolute_, inverse_;
    Wide x_, t_, sigma_, y_, dp_ = 0, dw_ = 0, s_, q_, f_;
};

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
