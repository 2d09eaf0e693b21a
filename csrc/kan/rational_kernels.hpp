// What csrc/kan/rational.cpp sees of the kernels of one ISA level, and they of a call.
#pragma once

#include <cstddef>

#include "kan/rational.hpp"

namespace fourfold::kan {

// The coefficients of one call in the form that the kernels want. W = sum_{j=0..n} c_j t^j with t = |x| (variant A)
// or x; Q = W for variant A, whose c_0 is 1, else constant + |W| or, for variant N, constant + W.
template <class T>
struct PreparedRational {
    RationalShape shape;
    const T* a;      // [groups][m + 1]
    const T* c;      // [groups][n + 1]
    const T* limit;  // [groups]: beyond |x| of this some intermediate of the fast form might overflow
    T lowest_limit;  // of all groups
    T constant;      // 1 or 0.1; variant A: 0
    bool folded;     // |W|: variants B and C
    // Runs shorter than a SIMD vector: coefficients by place in the row, [m + 1 + n + 1][stride]. Else null.
    const T* by_place;
    std::size_t stride;
};

// A part of x that one thread works on: places offset .. offset + count of the runs of these groups in these rows.
struct RationalPart {
    std::size_t first_row, rows;
    std::size_t first_group, groups;
    std::size_t offset, count;
};

struct RationalKernels {
    int (*lanes)(Storage storage);
    void (*forward)(const void* prepared, const RationalPart& part, const void* x, void* out);
    // scratch: T[m + 1 + n + 1][groups of the part * lanes, or stride if by_place], aligned to 64 bytes.
    // sums[groups of the part][m + 1 + n + 1]: of g/Q x^i, then of -g F/Q dQ/dc_j
    void (*backward)(const void* prepared, const RationalPart& part, const void* gradient, const void* x,
                     void* x_gradient, void* scratch, double* sums);
};

}  // namespace fourfold::kan
