// Group rational functions F = P/Q, elementwise, with their gradients.
//
//   P = sum_{i=0..m} a_i x^i            Q, variant A: 1 + sum_{j=1..n} |b_j| |x|^j
//                                                  B: 1 + |sum_{j=1..n} b_j x^j|
//                                                  C: 0.1 + |sum_{j=0..n} b_j x^j|
//                                                  N: 1 + sum_{j=1..n} b_j x^j
//
// x is contiguous, seen as [rows][groups][run]: what lies in one run has the same coefficients. Channels last, run is
// the number of channels of a group; channels first, it is that times the number of points of the image.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fourfold::kan {

enum class Variant : int { A = 0, B = 1, C = 2, N = 3 };

// How x, its gradient and the result are stored. float64 is computed in float64, all else in float32.
enum class Storage : int { float64 = 0, float32 = 1, bfloat16 = 2, float16 = 3 };

inline constexpr int kLargestDegree = 12;

struct RationalShape {
    std::size_t rows, groups, run;
    int m, n;  // degrees of P and Q, at most kLargestDegree
    bool shared_numerator, shared_denominator;
    Variant variant;
    Storage storage;

    int denominator_columns() const { return variant == Variant::C ? n + 1 : n; }
};

// Arrays of the type that is computed in:
//   numerator    [groups, or 1 if shared][m + 1], a_0 first
//   denominator  [groups, or 1 if shared][n], b_1 first; variant C [n + 1], b_0 first
// The derivative of |b| at 0 and of |x| at 0 is +1, so that a denominator that starts at zero learns.
//
// Gradients of the coefficients are summed over fixed chunks of x, these in double in the order of the chunks: they are
// the same to the bit for any number of threads.
void rational_forward(const RationalShape& shape, const void* x, const void* numerator, const void* denominator,
                      void* out, int threads);
void rational_backward(const RationalShape& shape, const void* gradient, const void* x, const void* numerator,
                       const void* denominator, void* x_gradient, void* numerator_gradient, void* denominator_gradient,
                       int threads);

}  // namespace fourfold::kan
