// Basis functions of Kolmogorov-Arnold layers and the layer with B-splines in one pass.
//
// Buffers are dense, rows outermost: x[rows][features], features of a basis out[rows][functions][features], weights
// w[functions][features][outputs], y[rows][outputs].
#pragma once

#include <cstddef>

namespace fourfold::kan {

inline constexpr int kMaxDegree = 5;

// B-splines of degree k on G intervals and k more at each end, G + k functions.
template <class T>
struct Spline {
    std::size_t features;
    int degree;      // 1 .. kMaxDegree
    int intervals;   // G
    bool shared;     // one row of knots for all features
    const T* knots;  // [G + 2 k + 1][features or 1], not decreasing along the first axis
    // Interval c counts the knots <= x: 0 .. G + 2 k + 1, the first and the last being the outside. Of each:
    // origin, 1 / width, (k - 1 unused), then the coefficients [power 0 .. k][slot 0 .. k] of the polynomials in
    // u = (x - origin) / width that the functions first, first + 1, ... first + k are there, with
    // first = min(max(c - 1 - k, 0), G - 1).
    const T* table;  // [features or 1][G + 2 k + 2][k + 2][k + 1]

    int functions() const { return intervals + degree; }
};

// Families of functions f((x - centre) scale), one centre and scale per function and feature, and two series.
enum class Function : int { gaussian = 0, mexican_hat = 1, morlet = 2, dog = 3, bump = 4, chebyshev = 5, fourier = 6 };

// Of AF-KAN: functions c(s(x - low), s(high - x)) with an activation s and a combination c. Their number as a Function
// is kFirstCombined + kCombinations * activation + combination.
enum class Activation : int { softplus, sigmoid, silu, relu, leaky_relu, elu, gelu, selu, tanh };
enum class Combination : int { quad1, quad2, sum, prod, sum_prod, cubic1, cubic2 };
inline constexpr int kFirstCombined = 16, kCombinations = 7;
constexpr bool is_series(Function f) { return f == Function::chebyshev || f == Function::fourier; }
constexpr bool is_combined(Function f) { return static_cast<int>(f) >= kFirstCombined; }
constexpr Activation activation_of(Function f) {
    return static_cast<Activation>((static_cast<int>(f) - kFirstCombined) / kCombinations);
}
constexpr Combination combination_of(Function f) {
    return static_cast<Combination>((static_cast<int>(f) - kFirstCombined) % kCombinations);
}

template <class T>
struct Basis {
    Function function;
    std::size_t features;
    int functions;    // fourier: even; cosines, then sines
    const T* centre;  // [functions][features]; null for a series; low of a combination
    const T* scale;   // [functions][features]; null for a series; high of a combination
};

// One table of each kind per ISA level. Each call works on consecutive rows, or features, on the calling thread.
template <class T>
struct SplineKernels {
    // out = the derivative of that order (0: the functions themselves)
    void (*expand)(const Spline<T>&, int derivative, const T* x, T* out, std::size_t rows);
    // dx = sum over the functions of grad times the derivative of that order
    void (*contract)(const Spline<T>&, int derivative, const T* grad, const T* x, T* dx, std::size_t rows);
    void (*linear)(const Spline<T>&, std::size_t outputs, const T* x, const T* w, T* y, std::size_t rows);
    // Columns first .. first + count of dx (may be null) and of dw, from all rows.
    void (*linear_backward)(const Spline<T>&, std::size_t outputs, const T* grad, const T* x, const T* w, T* dx, T* dw,
                            std::size_t rows, std::size_t first, std::size_t count);
};

template <class T>
struct FunctionKernels {
    void (*expand)(const Basis<T>&, const T* x, T* out, std::size_t rows);
    // dcentre, dscale [functions][features] are added to; null: not wanted.
    void (*contract)(const Basis<T>&, const T* grad, const T* x, T* dx, T* dcentre, T* dscale, std::size_t rows);
};

// The same on all rows and features, on at most `threads` threads; bitwise equal for any number of them.
template <class T>
struct Bases {
    static void spline(const Spline<T>&, int derivative, const T* x, T* out, std::size_t rows, int threads);
    static void spline_contract(const Spline<T>&, int derivative, const T* grad, const T* x, T* dx, std::size_t rows,
                                int threads);
    static void spline_linear(const Spline<T>&, std::size_t outputs, const T* x, const T* w, T* y, std::size_t rows,
                              int threads);
    static void spline_linear_backward(const Spline<T>&, std::size_t outputs, const T* grad, const T* x, const T* w,
                                       T* dx, T* dw, std::size_t rows, int threads);
    static void basis(const Basis<T>&, const T* x, T* out, std::size_t rows, int threads);
    static void basis_contract(const Basis<T>&, const T* grad, const T* x, T* dx, T* dcentre, T* dscale,
                               std::size_t rows, int threads);
};

}  // namespace fourfold::kan
