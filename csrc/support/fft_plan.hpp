// Tables of one FFT length. Built once by plain C++, read by the kernels of every ISA level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/aligned.hpp"

namespace fourfold {

// One decimation-in-frequency stage over rows. Blocks of `rows` rows split into `radix` blocks of `rows / radix`.
template <class T>
struct FftStage {
    int radix;
    std::size_t rows;     // rows of a block before this stage
    const T* twiddle_re;  // [rows/radix][radix-1]: cos of -2 pi j p / rows, j outer, p = 1..radix-1 inner
    const T* twiddle_im;  // same layout, the sines
};

// n = lanes * lanes * product of the stages' radices. Point (row r, lane l) is x index r*lanes + l.
template <class T>
struct FftPlan {
    std::size_t n;
    int lanes;
    std::vector<FftStage<T>> stages;
    AlignedBuffer<T> stage_tables;
    AlignedBuffer<T> lane_re, lane_im;  // [n/lanes][lanes]: exp(-2 pi i k1(r) l / n), k1(r) the row frequency at row r
    std::vector<std::int64_t> index;    // [n]: FFT index (0..n-1) of each position of the spectrum

    FftPlan(std::size_t n, int lanes);
};

bool is_smooth(std::size_t n);           // only the prime factors 2, 3, 5
std::size_t next_smooth(std::size_t n);  // the smallest such number >= n

extern template struct FftPlan<float>;
extern template struct FftPlan<double>;

}  // namespace fourfold
