// Where a point lies among the knots, and the k + 1 functions that are not zero there. Included by kernel sources only.
#pragma once

#include "kan/bases.hpp"
#include "kan/lanes.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// D: the degree, or 0 for any.
template <int D, class T>
FOURFOLD_INLINE int degree_of(const kan::Spline<T>& s) {
    return D > 0 ? D : s.degree;
}

// interval[i] = how many knots are <= x[i], for `count` features from `feature` on.
template <class T>
inline void find_intervals(const kan::Spline<T>& s, int knots, std::size_t feature, std::size_t count, const T* x,
                           typename IntegerOf<T>::type* interval) {
    using Integer = typename IntegerOf<T>::type;
    for (std::size_t i = 0; i < count; ++i) interval[i] = 0;
    if (s.shared) {
        for (int m = 0; m < knots; ++m) {
            const T knot = s.knots[m];
#pragma omp simd
            for (std::size_t i = 0; i < count; ++i) interval[i] += static_cast<Integer>(x[i] >= knot);
        }
    } else {
        for (int m = 0; m < knots; ++m) {
            const T* const knot = s.knots + m * s.features + feature;
#pragma omp simd
            for (std::size_t i = 0; i < count; ++i) interval[i] += static_cast<Integer>(x[i] >= knot[i]);
        }
    }
}

template <int D, class T>
FOURFOLD_INLINE const T* row_of_table(const kan::Spline<T>& s, std::size_t feature, std::size_t interval) {
    const int k = degree_of<D>(s);
    const std::size_t row = s.shared ? interval : feature * (s.intervals + 2 * k + 2) + interval;
    return s.table + row * (k + 2) * (k + 1);
}

template <int D, class T>
FOURFOLD_INLINE std::size_t first_function(const kan::Spline<T>& s, long interval) {
    const long first = interval - 1 - degree_of<D>(s), last = static_cast<long>(s.intervals) - 1;
    return static_cast<std::size_t>(first < 0 ? 0 : first > last ? last : first);
}

// factor[p] = p! / (p - derivative)!: what a derivative makes of the coefficient of u^p.
struct Factors {
    explicit Factors(int derivative) {
        for (int p = 0; p <= kan::kMaxDegree; ++p) {
            of[p] = 1;
            for (int q = 0; q < derivative; ++q) of[p] *= p - q;
        }
    }
    int of[kan::kMaxDegree + 1];
};

// values[0 .. k] at x; `row` is of its interval. Of a degree known at compile time this is k vector operations.
template <int D, class T>
FOURFOLD_INLINE void evaluate_spline(const kan::Spline<T>& s, const T* row, const Factors& factors, int derivative, T x,
                                     T* values) {
    const int k = degree_of<D>(s);
    const T inverse_width = row[1];
    const T u = (x - row[0]) * inverse_width;
    const T* const c = row + k + 1;
    T sum[kan::kMaxDegree + 1];
    for (int r = 0; r <= k; ++r) sum[r] = c[k * (k + 1) + r] * static_cast<T>(factors.of[k]);
    for (int p = k - 1; p >= derivative; --p) {
        for (int r = 0; r <= k; ++r) sum[r] = sum[r] * u + c[p * (k + 1) + r] * static_cast<T>(factors.of[p]);
    }
    T power = T(1);
    for (int q = 0; q < derivative; ++q) power *= inverse_width;
    // u enters even where the polynomials are constant, so that NaN goes on.
    const T scale = power + T(0) * u;
    for (int r = 0; r <= k; ++r) values[r] = sum[r] * scale;
}

// The same for values and slopes together.
template <int D, class T>
FOURFOLD_INLINE void evaluate_both(const kan::Spline<T>& s, const T* row, T x, T* values, T* slopes) {
    const int k = degree_of<D>(s);
    const T inverse_width = row[1];
    const T u = (x - row[0]) * inverse_width;
    const T* const c = row + k + 1;
    T sum[kan::kMaxDegree + 1], slope[kan::kMaxDegree + 1];
    for (int r = 0; r <= k; ++r) {
        sum[r] = c[k * (k + 1) + r];
        slope[r] = T(0);
    }
    for (int p = k - 1; p >= 0; --p) {
        for (int r = 0; r <= k; ++r) {
            slope[r] = slope[r] * u + sum[r];
            sum[r] = sum[r] * u + c[p * (k + 1) + r];
        }
    }
    for (int r = 0; r <= k; ++r) {
        values[r] = sum[r];
        slopes[r] = slope[r] * inverse_width;
    }
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
