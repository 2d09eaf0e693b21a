#include "support/fft_plan.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace fourfold {
namespace {

// cos and sin of 2 pi num / den, reduced to an eighth of the circle first so that symmetric entries are equal to the
// bit.
struct UnitRoot {
    long double cosine, sine;
};

UnitRoot unit_root(std::size_t num, std::size_t den) {
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

// Powers of two in eights with a last four or two, odd factors innermost, where the data of a stage is in L1.
std::vector<int> radices(std::size_t rest) {
    std::vector<int> result;
    while (rest % 8 == 0 && rest / 8 != 2) {
        result.push_back(8);
        rest /= 8;
    }
    for (const int radix : {4, 2, 3, 5}) {
        while (rest % static_cast<std::size_t>(radix) == 0) {
            result.push_back(radix);
            rest /= static_cast<std::size_t>(radix);
        }
    }
    return result;
}

}  // namespace

bool is_smooth(std::size_t n) {
    if (n == 0) return false;
    for (const std::size_t prime : {2, 3, 5}) {
        while (n % prime == 0) n /= prime;
    }
    return n == 1;
}

std::size_t next_smooth(std::size_t n) {
    while (!is_smooth(n)) ++n;
    return n;
}

template <class T>
FftPlan<T>::FftPlan(std::size_t length, int lane_count) : n(length), lanes(lane_count) {
    const std::size_t width = static_cast<std::size_t>(lanes);
    const std::size_t all_rows = n / width;
    const std::vector<int> radix_list = radices(all_rows / width);

    std::size_t table_size = 0;
    std::size_t rows = all_rows;
    for (const int radix : radix_list) {
        table_size += rows / radix * (radix - 1);
        rows /= radix;
    }
    stage_tables = AlignedBuffer<T>(2 * table_size);
    T* next = stage_tables.data();
    rows = all_rows;
    for (const int radix : radix_list) {
        const std::size_t count = rows / radix * (radix - 1);
        T* re = next;
        T* im = next + count;
        next += 2 * count;
        UnitRounding round;
        for (std::size_t j = 0; j < rows / radix; ++j) {
            for (int p = 1; p < radix; ++p) {
                const UnitRoot w = unit_root(j * p, rows);
                const std::size_t at = j * (radix - 1) + p - 1;
                round({w.cosine, -w.sine}, re[at], im[at]);
            }
        }
        stages.push_back({radix, rows, re, im});
        rows /= radix;
    }

    // Row frequencies: the digits of a row, outermost stage first, are the digits of k1, lowest first; the last digit
    // is the radix-`lanes` butterfly over the rows of a block.
    std::vector<std::size_t> row_frequency(all_rows);
    for (std::size_t row = 0; row < all_rows; ++row) {
        std::size_t below = all_rows, rest = row, weight = 1, frequency = 0;
        for (const int radix : radix_list) {
            below /= radix;
            frequency += weight * (rest / below);
            rest %= below;
            weight *= radix;
        }
        row_frequency[row] = frequency + weight * rest;
    }
    lane_re = AlignedBuffer<T>(n);
    lane_im = AlignedBuffer<T>(n);
    index.resize(n);
    UnitRounding round;
    for (std::size_t row = 0; row < all_rows; ++row) {
        for (std::size_t lane = 0; lane < width; ++lane) {
            const UnitRoot w = unit_root(row_frequency[row] * lane, n);
            round({w.cosine, -w.sine}, lane_re[row * width + lane], lane_im[row * width + lane]);
            // After the transpose of a block, row and lane have changed places.
            const std::size_t block = row / width * width;
            index[(block + lane) * width + row % width] =
                static_cast<std::int64_t>(row_frequency[row] + all_rows * lane);
        }
    }
}

template struct FftPlan<float>;
template struct FftPlan<double>;

}  // namespace fourfold
