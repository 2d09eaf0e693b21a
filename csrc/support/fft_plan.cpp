#include "support/fft_plan.hpp"

#include "support/unit_root.hpp"

namespace fourfold {
namespace {

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
