// Small matrix products for matrices that fit a cache. Included by kernel sources only.
#pragma once

#include <cstddef>

#include "support/simd.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

using fourfold::FOURFOLD_LEVEL::Lanes;
using fourfold::FOURFOLD_LEVEL::load;
using fourfold::FOURFOLD_LEVEL::store;

// A tile of C of kTileRows rows and two vectors fills the register file: 8 x 2 accumulators of AVX-512's 32 registers,
// 6 x 2 and 4 x 2 of 16.
#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
inline constexpr int kTileRows = 8;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
inline constexpr int kTileRows = 6;
#else
inline constexpr int kLanes = 4;
inline constexpr int kTileRows = 4;
#endif

using Vec = Lanes<float, kLanes>;
using IntVec = Lanes<std::int32_t, kLanes>;

template <int Rows, int Vectors>
FOURFOLD_INLINE void tile(const float* a, std::size_t a_row, std::size_t a_column, const float* b, std::size_t b_row,
                          float* c, std::size_t c_row, std::size_t depth) {
    Vec sum[Rows][Vectors] = {};
    for (std::size_t k = 0; k < depth; ++k) {
        Vec right[Vectors];
#pragma GCC unroll 2
        for (int j = 0; j < Vectors; ++j) right[j] = load<Vec>(b + k * b_row + static_cast<std::size_t>(j * kLanes));
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) {
            const float left = a[static_cast<std::size_t>(i) * a_row + k * a_column];
#pragma GCC unroll 2
            for (int j = 0; j < Vectors; ++j) sum[i][j] += left * right[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < Vectors; ++j) {
            store(c + static_cast<std::size_t>(i) * c_row + static_cast<std::size_t>(j * kLanes), sum[i][j]);
        }
    }
}

// One strip of C, `Vectors` vectors wide. The rows that no full tile covers are done by ever smaller ones.
template <int Rows, int Vectors>
FOURFOLD_INLINE void strip(const float* a, std::size_t a_row, std::size_t a_column, const float* b, std::size_t b_row,
                           float* c, std::size_t c_row, std::size_t rows, std::size_t depth) {
    std::size_t i = 0;
    for (; i + Rows <= rows; i += Rows) {
        tile<Rows, Vectors>(a + i * a_row, a_row, a_column, b, b_row, c + i * c_row, c_row, depth);
    }
    if constexpr (Rows > 1) {
        if (i < rows) {
            strip<Rows / 2, Vectors>(a + i * a_row, a_row, a_column, b, b_row, c + i * c_row, c_row, rows - i, depth);
        }
    }
}

// C[rows][columns] = A[rows][depth] B[depth][columns], where A(i, k) is a[i a_row + k a_column]. `columns` is a
// multiple of kPad. Each entry is one sum over k in ascending order.
void multiply(const float* a, std::size_t a_row, std::size_t a_column, const float* b, std::size_t b_row, float* c,
              std::size_t c_row, std::size_t rows, std::size_t columns, std::size_t depth) {
    std::size_t j = 0;
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes) {
        strip<kTileRows, 2>(a, a_row, a_column, b + j, b_row, c + j, c_row, rows, depth);
    }
    for (; j < columns; j += kLanes) {
        strip<kTileRows, 1>(a, a_row, a_column, b + j, b_row, c + j, c_row, rows, depth);
    }
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
