// B-splines, and the layer made of them. Compiled once per ISA level.
#include "kan/basis_spline.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

using kan::kMaxDegree;
using kan::Spline;

// Features for which intervals and values are kept at hand.
constexpr std::size_t kBlock = 64;

// Calls f(feature, to its row of the table, its first function) for every feature of one row of x.
template <int D, class T, class F>
FOURFOLD_INLINE void for_features(const Spline<T>& s, const T* x, F f) {
    Places<T, kBlock> places;
    for (std::size_t d = 0; d < s.features; d += kBlock) {
        const std::size_t left = s.features - d, count = left < kBlock ? left : kBlock;
        find_places<D>(s, d, count, x + d, places);
        for (std::size_t i = 0; i < count; ++i) {
            f(d + i, row_of_table<D>(s, d + i, places.interval[i]), static_cast<std::size_t>(places.first[i]));
        }
    }
}

template <class T, int D>
void expand(const Spline<T>& s, int derivative, const T* x, T* out, std::size_t rows) {
    const int k = degree_of<D>(s);
    const std::size_t features = s.features, size = features * s.functions();
    const Factors<T> factors(derivative);
    for (std::size_t row = 0; row < rows; ++row, x += features, out += size) {
        for (std::size_t i = 0; i < size; ++i) out[i] = T(0);
        for_features<D>(s, x, [&](std::size_t d, const T* polynomials, std::size_t first) {
            T values[kMaxDegree + 1];
            evaluate_any<D>(s, polynomials, factors, derivative, x[d], values);
            T* const to = out + first * features + d;
            for (int r = 0; r <= k; ++r) to[r * features] = values[r];
        });
    }
}

template <class T, int D>
void contract(const Spline<T>& s, int derivative, const T* grad, const T* x, T* dx, std::size_t rows) {
    const int k = degree_of<D>(s);
    const std::size_t features = s.features, size = features * s.functions();
    const Factors<T> factors(derivative);
    for (std::size_t row = 0; row < rows; ++row, x += features, dx += features, grad += size) {
        for_features<D>(s, x, [&](std::size_t d, const T* polynomials, std::size_t first) {
            T values[kMaxDegree + 1];
            evaluate_any<D>(s, polynomials, factors, derivative, x[d], values);
            const T* const from = grad + first * features + d;
            T sum = T(0);
            for (int r = 0; r <= k; ++r) sum += values[r] * from[r * features];
            dx[d] = sum;
        });
    }
}

// The layer y[row][o] = sum over features i and the k + 1 functions j that are not zero at x[row][i] of
// value_j w[j][i][o]. Work goes in tiles: some rows x some features x `Tiles` vectors of outputs, so that the tile's
// weights stay in L1 while the rows pass by.
constexpr std::size_t kRows = 64, kForwardFeatures = 16;

// Calls f<W>(o) for what is left of the outputs: as many whole vectors as fit, then halves, and so on.
template <int W, class F>
FOURFOLD_INLINE void for_widths(std::size_t o, std::size_t outputs, F f) {
    for (; o + W <= outputs; o += W) f.template operator()<W>(o);
    if constexpr (W > 1) for_widths<W / 2>(o, outputs, f);
}

// Where the outputs of a tile begin, and how far apart the weights of neighbouring functions and features are.
struct Strides {
    std::size_t function, feature;
};

template <class Vec, int Tiles, class T>
FOURFOLD_INLINE void forward_tile(int k, Strides stride, const T* w, T* y, std::size_t rows, std::size_t count,
                                  const std::size_t* at, const T* values) {
    constexpr std::size_t V = sizeof(Vec) / sizeof(T);
    for (std::size_t row = 0; row < rows; ++row) {
        T* const to = y + row * stride.feature;
        Vec sum[Tiles];
        for (int v = 0; v < Tiles; ++v) sum[v] = load<Vec>(to + v * V);
        for (std::size_t i = 0; i < count; ++i) {
            const T* weight = w + at[row * kForwardFeatures + i];
            const T* const value = values + (row * kForwardFeatures + i) * (kMaxDegree + 1);
            for (int r = 0; r <= k; ++r, weight += stride.function) {
                for (int v = 0; v < Tiles; ++v) sum[v] += value[r] * load<Vec>(weight + v * V);
            }
        }
        for (int v = 0; v < Tiles; ++v) store(to + v * V, sum[v]);
    }
}

template <class T, int D>
void linear(const Spline<T>& s, std::size_t outputs, const T* x, const T* w, T* y, std::size_t all_rows) {
    constexpr std::size_t V = kWidest<T>;
    const int k = degree_of<D>(s);
    const Strides stride{s.features * outputs, outputs};
    std::size_t at[kRows * kForwardFeatures];
    T values[kRows * kForwardFeatures * (kMaxDegree + 1)];
    Places<T, kForwardFeatures> places;
    for (std::size_t i = 0; i < all_rows * outputs; ++i) y[i] = T(0);
    for (std::size_t begin = 0; begin < all_rows; begin += kRows) {
        const std::size_t rows = all_rows - begin < kRows ? all_rows - begin : kRows;
        for (std::size_t d = 0; d < s.features; d += kForwardFeatures) {
            const std::size_t left = s.features - d, count = left < kForwardFeatures ? left : kForwardFeatures;
            for (std::size_t row = 0; row < rows; ++row) {
                const T* const from = x + (begin + row) * s.features + d;
                find_places<D>(s, d, count, from, places);
                for (std::size_t i = 0; i < count; ++i) {
                    const std::size_t n = row * kForwardFeatures + i;
                    evaluate_spline<D>(s, row_of_table<D>(s, d + i, places.interval[i]), from[i],
                                       values + n * (kMaxDegree + 1));
                    at[n] = places.first[i] * stride.function + (d + i) * stride.feature;
                }
            }
            T* const to = y + begin * outputs;
            std::size_t o = 0;
            for (; o + 4 * V <= outputs; o += 4 * V) {
                forward_tile<Lanes<T, V>, 4>(k, stride, w + o, to + o, rows, count, at, values);
            }
            for_widths<V>(o, outputs, [&]<int W>(std::size_t at_output) {
                forward_tile<Lanes<T, W>, 1>(k, stride, w + at_output, to + at_output, rows, count, at, values);
            });
        }
    }
}

// By halves.
template <class T, int V>
FOURFOLD_INLINE T sum_of_lanes(Lanes<T, V> v) {
    if constexpr (V == 1) {
        return v;
    } else {
        struct Halves {
            Lanes<T, V / 2> low, high;
        };
        const Halves halves = same_bits<Halves>(v);
        return sum_of_lanes<T, V / 2>(halves.low + halves.high);
    }
}

constexpr std::size_t kBackwardFeatures = 8;

// dw[j][i][o] += value_j grad[row][o] and dx[row][i] += sum over o of grad[row][o] (sum over j of slope_j w[j][i][o]):
// both in one pass over the weights.
template <class Vec, int Tiles, bool WantsX, class T>
FOURFOLD_INLINE void backward_tile(int k, Strides stride, const T* w, const T* grad, T* dw, T* dx, std::size_t rows,
                                   std::size_t count, const std::size_t* at, const T* values, const T* slopes) {
    constexpr int V = sizeof(Vec) / sizeof(T);
    for (std::size_t row = 0; row < rows; ++row) {
        const T* const from = grad + row * stride.feature;
        Vec g[Tiles];
        for (int v = 0; v < Tiles; ++v) g[v] = load<Vec>(from + v * V);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t n = row * kBackwardFeatures + i;
            const T* const value = values + n * (kMaxDegree + 1);
            const T* const slope = slopes + n * (kMaxDegree + 1);
            std::size_t place = at[n];
            Vec inner[Tiles] = {};
            for (int r = 0; r <= k; ++r, place += stride.function) {
                for (int v = 0; v < Tiles; ++v) {
                    store(dw + place + v * V, load<Vec>(dw + place + v * V) + value[r] * g[v]);
                    if constexpr (WantsX) inner[v] += slope[r] * load<Vec>(w + place + v * V);
                }
            }
            if constexpr (WantsX) {
                Vec sum = g[0] * inner[0];
                for (int v = 1; v < Tiles; ++v) sum += g[v] * inner[v];
                dx[n] += sum_of_lanes<T, V>(sum);
            }
        }
    }
}

template <class T, int D, bool WantsX>
void backward(const Spline<T>& s, std::size_t outputs, const T* all_grad, const T* x, const T* w, T* dx, T* dw,
              std::size_t all_rows, std::size_t first, std::size_t count) {
    constexpr std::size_t V = kWidest<T>;
    const int k = degree_of<D>(s);
    const Strides stride{s.features * outputs, outputs};
    std::size_t at[kRows * kBackwardFeatures];
    T values[kRows * kBackwardFeatures * (kMaxDegree + 1)], slopes[kRows * kBackwardFeatures * (kMaxDegree + 1)];
    T dx_of_block[kRows * kBackwardFeatures];
    Places<T, kBackwardFeatures> places;
    for (int j = 0; j < s.functions(); ++j) {
        T* const to = dw + j * stride.function + first * outputs;
        for (std::size_t i = 0; i < count * outputs; ++i) to[i] = T(0);
    }
    for (std::size_t begin = 0; begin < all_rows; begin += kRows) {
        const std::size_t rows = all_rows - begin < kRows ? all_rows - begin : kRows;
        for (std::size_t row = 0; row < rows; ++row) {
            const T* const from = x + (begin + row) * s.features + first;
            find_places<D>(s, first, count, from, places);
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t n = row * kBackwardFeatures + i;
                evaluate_both<D>(s, row_of_table<D>(s, first + i, places.interval[i]), from[i],
                                 values + n * (kMaxDegree + 1), slopes + n * (kMaxDegree + 1));
                at[n] = places.first[i] * stride.function + (first + i) * stride.feature;
                dx_of_block[n] = T(0);
            }
        }
        const T* const grad = all_grad + begin * outputs;
        std::size_t o = 0;
        for (; o + 4 * V <= outputs; o += 4 * V) {
            backward_tile<Lanes<T, V>, 4, WantsX>(k, stride, w + o, grad + o, dw + o, dx_of_block, rows, count, at,
                                                  values, slopes);
        }
        for_widths<V>(o, outputs, [&]<int W>(std::size_t at_output) {
            backward_tile<Lanes<T, W>, 1, WantsX>(k, stride, w + at_output, grad + at_output, dw + at_output,
                                                  dx_of_block, rows, count, at, values, slopes);
        });
        if constexpr (WantsX) {
            for (std::size_t row = 0; row < rows; ++row) {
                T* const to = dx + (begin + row) * s.features + first;
                for (std::size_t i = 0; i < count; ++i) to[i] = dx_of_block[row * kBackwardFeatures + i];
            }
        }
    }
}

// Cubic splines are what nearly everybody uses; they get constant loop bounds.
template <class T>
void any_expand(const Spline<T>& s, int derivative, const T* x, T* out, std::size_t rows) {
    s.degree == 3 ? expand<T, 3>(s, derivative, x, out, rows) : expand<T, 0>(s, derivative, x, out, rows);
}
template <class T>
void any_contract(const Spline<T>& s, int derivative, const T* grad, const T* x, T* dx, std::size_t rows) {
    s.degree == 3 ? contract<T, 3>(s, derivative, grad, x, dx, rows) : contract<T, 0>(s, derivative, grad, x, dx, rows);
}
template <class T>
void any_linear(const Spline<T>& s, std::size_t outputs, const T* x, const T* w, T* y, std::size_t rows) {
    s.degree == 3 ? linear<T, 3>(s, outputs, x, w, y, rows) : linear<T, 0>(s, outputs, x, w, y, rows);
}
template <class T, int D>
void backward_of_degree(const Spline<T>& s, std::size_t outputs, const T* grad, const T* x, const T* w, T* dx, T* dw,
                        std::size_t rows, std::size_t first, std::size_t count) {
    dx != nullptr ? backward<T, D, true>(s, outputs, grad, x, w, dx, dw, rows, first, count)
                  : backward<T, D, false>(s, outputs, grad, x, w, dx, dw, rows, first, count);
}
template <class T>
void any_backward(const Spline<T>& s, std::size_t outputs, const T* grad, const T* x, const T* w, T* dx, T* dw,
                  std::size_t rows, std::size_t first, std::size_t count) {
    s.degree == 3 ? backward_of_degree<T, 3>(s, outputs, grad, x, w, dx, dw, rows, first, count)
                  : backward_of_degree<T, 0>(s, outputs, grad, x, w, dx, dw, rows, first, count);
}

template <class T>
constexpr kan::SplineKernels<T> table() {
    return {any_expand<T>, any_contract<T>, any_linear<T>, any_backward<T>};
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL

namespace fourfold::kan::FOURFOLD_LEVEL {

extern const SplineKernels<float> spline_float;
extern const SplineKernels<double> spline_double;
const SplineKernels<float> spline_float = fourfold::FOURFOLD_LEVEL::table<float>();
const SplineKernels<double> spline_double = fourfold::FOURFOLD_LEVEL::table<double>();

}  // namespace fourfold::kan::FOURFOLD_LEVEL
