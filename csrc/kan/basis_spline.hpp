// Where a point lies among the knots, and the k + 1 functions that are not zero there. Included by kernel sources only.
#pragma once

#include <type_traits>

#include "kan/bases.hpp"
#include "support/lanes.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// D: the degree, or 0 for any.
template <int D, class T>
FOURFOLD_INLINE int degree_of(const kan::Spline<T>& s) {
    return D > 0 ? D : s.degree;
}

// Where a block of points lies. Room for whole vectors.
template <class T, std::size_t Count>
struct Places {
    static constexpr std::size_t room = Count < static_cast<std::size_t>(kWidest<T>) ? kWidest<T> : Count;
    typename IntegerOf<T>::type interval[room];  // how many knots are <= x
    typename IntegerOf<T>::type first[room];     // of the k + 1 functions that are not zero there
};

// Of `count` features from `feature` on. Without branches: which interval a point is in cannot be predicted.
template <int D, class T, std::size_t Count>
FOURFOLD_INLINE void find_places(const kan::Spline<T>& s, std::size_t feature, std::size_t count, const T* x,
                                 Places<T, Count>& places) {
    constexpr std::size_t V = kWidest<T>;
    using Vec = Lanes<T, kWidest<T>>;
    using Int = Lanes<typename IntegerOf<T>::type, kWidest<T>>;
    const int k = degree_of<D>(s), knots = s.intervals + 2 * k + 1;
    for (std::size_t i = 0; i < count; i += V) {
        const std::size_t n = count - i < V ? count - i : V;
        const Vec at = load_some(x + i, n);
        Int found{};
        if (s.shared) {
            for (int m = 0; m < knots; ++m) found -= at >= Vec{} + s.knots[m];
        } else {
            for (int m = 0; m < knots; ++m) found -= at >= load_some(s.knots + m * s.features + feature + i, n);
        }
        store(places.interval + i, found);
        const Int lowest{}, highest = lowest + (s.intervals - 1);
        Int first = found - (1 + k);
        first = first < lowest ? lowest : first;
        store(places.first + i, first > highest ? highest : first);
    }
}

template <int D, class T>
FOURFOLD_INLINE const T* row_of_table(const kan::Spline<T>& s, std::size_t feature, std::size_t interval) {
    const int k = degree_of<D>(s);
    const std::size_t row = s.shared ? interval : feature * (s.intervals + 2 * k + 2) + interval;
    return s.table + row * (k + 2) * (k + 1);
}

// of[p] = p! / (p - derivative)!: what a derivative makes of the coefficient of u^p.
template <class T>
struct Factors {
    explicit Factors(int derivative) {
        for (int p = 0; p <= kan::kMaxDegree; ++p) {
            of[p] = T(1);
            for (int q = 0; q < derivative; ++q) of[p] *= static_cast<T>(p - q);
        }
    }
    T of[kan::kMaxDegree + 1];
};

// The k + 1 coefficients of one power, or values: a vector if the degree is known and the level has such vectors,
// else an array.
template <class T>
struct Array {
    T of[kan::kMaxDegree + 1];
};
template <class T, int D>
inline constexpr bool kSlotsInVector = D == 3 && kWidest<T> >= 4;
template <class T, int D>
using Slots = std::conditional_t<kSlotsInVector<T, D>, Lanes<T, 4>, Array<T>>;

// Calls f(slot) for the k + 1 slots. On a GPU all that there may be are named, so that they stay in registers.
template <class F>
FOURFOLD_INLINE void for_slots(int k, F f) {
#if defined(__CUDA_ARCH__)
    FOURFOLD_UNROLL(8)
    for (int r = 0; r <= kan::kMaxDegree; ++r) {
        if (r <= k) f(r);
    }
#else
    for (int r = 0; r <= k; ++r) f(r);
#endif
}

template <class T, int D>
FOURFOLD_INLINE Slots<T, D> load_slots(int k, const T* from) {
    if constexpr (kSlotsInVector<T, D>) {
        return load<Lanes<T, 4>>(from);
    } else {
        Array<T> a{};
        for_slots(k, [&](int r) { a.of[r] = from[r]; });
        return a;
    }
}
template <class T, int D>
FOURFOLD_INLINE void store_slots(int k, T* to, const Slots<T, D>& from) {
    if constexpr (kSlotsInVector<T, D>) {
        store(to, from);
    } else {
        for_slots(k, [&](int r) { to[r] = from.of[r]; });
    }
}
// a u + b c
template <class T, int D>
FOURFOLD_INLINE Slots<T, D> combine(int k, const Slots<T, D>& a, T u, const Slots<T, D>& b, T c) {
    if constexpr (kSlotsInVector<T, D>) {
        return a * u + b * c;
    } else {
        Array<T> sum{};
        for_slots(k, [&](int r) { sum.of[r] = a.of[r] * u + b.of[r] * c; });
        return sum;
    }
}

// values[0 .. k] at x; `row` is of its interval.
template <int D, class T>
FOURFOLD_INLINE void evaluate_spline(const kan::Spline<T>& s, const T* row, T x, T* values) {
    const int k = degree_of<D>(s);
    const T u = (x - row[0]) * row[1];
    const T* const c = row + k + 1;
    Slots<T, D> sum = load_slots<T, D>(k, c + k * (k + 1));
    for (int p = k - 1; p >= 0; --p) {
        sum = combine<T, D>(k, sum, u, load_slots<T, D>(k, c + p * (k + 1)), T(1));
    }
    store_slots<T, D>(k, values, sum);
}

// A derivative of theirs, of order 1 or more.
template <int D, class T>
FOURFOLD_INLINE void evaluate_derivative(const kan::Spline<T>& s, const T* row, const Factors<T>& factors,
                                         int derivative, T x, T* values) {
    const int k = degree_of<D>(s);
    const T inverse_width = row[1];
    const T u = (x - row[0]) * inverse_width;
    const T* const c = row + k + 1;
    Slots<T, D> sum{};
    for (int p = k; p >= derivative; --p) {
        sum = combine<T, D>(k, sum, u, load_slots<T, D>(k, c + p * (k + 1)), factors.of[p]);
    }
    // u enters even where the polynomials are constant, so that NaN goes on.
    T scale = T(1) + T(0) * u;
    for (int q = 0; q < derivative; ++q) scale *= inverse_width;
    store_slots<T, D>(k, values, combine<T, D>(k, sum, scale, sum, T(0)));
}

template <int D, class T>
FOURFOLD_INLINE void evaluate_any(const kan::Spline<T>& s, const T* row, const Factors<T>& factors, int derivative, T x,
                                  T* values) {
    if (derivative == 0) {
        evaluate_spline<D>(s, row, x, values);
    } else {
        evaluate_derivative<D>(s, row, factors, derivative, x, values);
    }
}

// The same for values and slopes together.
template <int D, class T>
FOURFOLD_INLINE void evaluate_both(const kan::Spline<T>& s, const T* row, T x, T* values, T* slopes) {
    const int k = degree_of<D>(s);
    const T inverse_width = row[1];
    const T u = (x - row[0]) * inverse_width;
    const T* const c = row + k + 1;
    Slots<T, D> sum = load_slots<T, D>(k, c + k * (k + 1)), slope{};
    for (int p = k - 1; p >= 0; --p) {
        slope = combine<T, D>(k, slope, u, sum, T(1));
        sum = combine<T, D>(k, sum, u, load_slots<T, D>(k, c + p * (k + 1)), T(1));
    }
    store_slots<T, D>(k, values, sum);
    store_slots<T, D>(k, slopes, combine<T, D>(k, slope, inverse_width, slope, T(0)));
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
