// A double with an exponent of its own: 53 bits over any range that an int holds, where long double is no wider than
// double (on a GPU). Products and quotients are rounded once; sums, too, but for the last place of a sum that cancels.
// Internal linkage: included by kernel sources only.
#pragma once

#include <cmath>
#include <cstdint>

#include "kan/rational_limit.hpp"
#include "support/bits.hpp"
#include "support/host_device.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

// fraction 2^exponent, 1 <= |fraction| < 2; 0, infinity and NaN have the exponent 0.
class Scaled {
public:
    FOURFOLD_HOST_DEVICE Scaled(double value = 0) : Scaled(value, 0) {}

    FOURFOLD_HOST_DEVICE friend Scaled operator*(Scaled a, Scaled b) {
        return Scaled(a.fraction_ * b.fraction_, a.exponent_ + b.exponent_);
    }
    FOURFOLD_HOST_DEVICE friend Scaled operator/(Scaled a, Scaled b) {
        return Scaled(a.fraction_ / b.fraction_, a.exponent_ - b.exponent_);
    }
    FOURFOLD_HOST_DEVICE friend Scaled operator+(Scaled a, Scaled b) {
        if (!special(a.fraction_) && !special(b.fraction_)) {
            const int difference = a.exponent_ - b.exponent_;
            if (difference >= 0) return Scaled(a.fraction_ + shifted(b.fraction_, difference), a.exponent_);
            return Scaled(b.fraction_ + shifted(a.fraction_, -difference), b.exponent_);
        }
        if (a.fraction_ == 0) return b;
        if (b.fraction_ == 0) return a;
        return Scaled(a.fraction_ + b.fraction_);
    }
    FOURFOLD_HOST_DEVICE friend Scaled operator-(Scaled a) { return Scaled(-a.fraction_, a.exponent_); }
    FOURFOLD_HOST_DEVICE friend Scaled operator-(Scaled a, Scaled b) { return a + -b; }
    FOURFOLD_HOST_DEVICE friend bool operator<(Scaled a, Scaled b) { return (a - b).fraction_ < 0; }

    FOURFOLD_HOST_DEVICE explicit operator double() const {
        if (special(fraction_)) return fraction_;
        if (exponent_ > 1023) return fraction_ * 2 * power_of_two<double>(1023);
        // One rounding, in the second product, where the result is denormal.
        const int within = exponent_ < -1022 ? -1022 : exponent_;
        const int below = exponent_ - within < -1000 ? -1000 : exponent_ - within;
        return fraction_ * power_of_two<double>(within) * power_of_two<double>(below);
    }

private:
    FOURFOLD_HOST_DEVICE Scaled(double value, int exponent) : fraction_(value), exponent_(exponent) {
        if (value != 0 && exponent_of(value) < -1022) {  // denormal
            fraction_ *= 0x1p64;
            exponent_ -= 64;
        }
        if (special(fraction_)) {
            exponent_ = 0;
            return;
        }
        const int size = exponent_of(fraction_);
        fraction_ = with_exponent_zero(fraction_);
        exponent_ += size;
    }

    // 0, infinity or NaN
    FOURFOLD_HOST_DEVICE static bool special(double value) { return value == 0 || exponent_of(value) == 1024; }
    FOURFOLD_HOST_DEVICE static double shifted(double fraction, int places) {
        return places > 1000 ? 0 : fraction * power_of_two<double>(-places);
    }
    FOURFOLD_HOST_DEVICE static double with_exponent_zero(double value) {
        return same_bits<double>((same_bits<std::uint64_t>(value) & 0x800fffffffffffffu) | 0x3ff0000000000000u);
    }

    double fraction_;
    int exponent_;
};

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
