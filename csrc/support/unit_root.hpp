// Roots of unity for the tables of transforms, and how they are rounded. Plain C++, not for kernels.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

namespace fourfold {

// cos and sin of 2 pi num / den, reduced to an eighth of the circle first so that symmetric entries are equal to the
// bit.
struct UnitRoot {
    long double cosine, sine;
};

inline UnitRoot unit_root(std::size_t num, std::size_t den) {
    num %= den;
    if (2 * num == den) return {-1, 0};
    const std::size_t eighths = 8 * num / den;
    const auto angle = [den](std::size_t n) {
        return 2 * std::numbers::pi_v<long double> * static_cast<long double>(n) / static_cast<long double>(den);
    };
    // 8 num / den in [e, e+1): reflect into the first eighth, exactly, in units of 1/(4 den)
    switch (eighths) {
        case 0: return {std::cos(angle(num)), std::sin(angle(num))};
        case 1: {
            const long double a = angle(den - 4 * num) / 4;  // pi/2 - angle
            return {std::sin(a), std::cos(a)};
        }
        case 2: {
            const long double a = angle(4 * num - den) / 4;
            return {-std::sin(a), std::cos(a)};
        }
        case 3: {
            const long double a = angle(den - 2 * num) / 2;  // pi - angle
            return {-std::cos(a), std::sin(a)};
        }
        default: {
            const UnitRoot mirrored = unit_root(den - num, den);
            return {mirrored.cosine, -mirrored.sine};
        }
    }
}

// Rounds the entries of a table of unit roots. A twiddle of modulus 1 + d meets its conjugate at every step, so that d
// would add up over a run; of the nearest pairs of T's the one is taken that brings the sum of all d so far closest to
// zero.
class UnitRounding {
public:
    template <class T>
    void operator()(UnitRoot w, T& re, T& im) {
        long double best = 1;
        for (const T c : nearest<T>(w.cosine)) {
            for (const T s : nearest<T>(w.sine)) {
                const long double off = static_cast<long double>(c) * c + static_cast<long double>(s) * s - 1;
                if (std::abs(sum_ + off) < std::abs(sum_ + best)) {
                    best = off;
                    re = c;
                    im = s;
                }
            }
        }
        sum_ += best;
    }

private:
    template <class T>
    static std::array<T, 2> nearest(long double value) {
        const T rounded = static_cast<T>(value);
        if (static_cast<long double>(rounded) == value) return {rounded, rounded};
        const T beyond = static_cast<long double>(rounded) < value ? std::numeric_limits<T>::max()
                                                                   : std::numeric_limits<T>::lowest();
        return {rounded, std::nextafter(rounded, beyond)};
    }

    long double sum_ = 0;
};

}  // namespace fourfold
