// Checks and elementwise passes.
#include <algorithm>
#include <cmath>
#include <vector>

#include "gp/algebra.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {
namespace {

using Index = std::ptrdiff_t;

constexpr Index kStretch = 16384;

// Calls work(piece, row, from, to) for stretches of every row; returns the number of stretches of a row.
template <class F>
Index over_rows(Index rows, Index n, int threads, const F& work) {
    const Index pieces = std::max<Index>(1, (n + kStretch - 1) / kStretch);
    const Index group = std::max<Index>(1, kStretch / std::max<Index>(1, n));
    parallel_for(static_cast<std::size_t>((rows + group - 1) / group * pieces), threads, [&](std::size_t item, int) {
        const Index r0 = static_cast<Index>(item) / pieces * group, piece = static_cast<Index>(item) % pieces;
        for (Index r = r0; r < std::min(rows, r0 + group); ++r) {
            work(piece, r, n * piece / pieces, n * (piece + 1) / pieces);
        }
    });
    return pieces;
}

Index pieces_of(Index n) { return std::max<Index>(1, (n + kStretch - 1) / kStretch); }

template <class T>
Asymmetry one_asymmetry(Index n, const T* a) {
    // Bitwise operations on the comparisons of a sum that a NaN or an infinity spoils: loops that vectorise.
    T largest = 0, spoiled = 0, difference = 0;
#pragma omp simd reduction(max : largest) reduction(+ : spoiled)
    for (Index i = 0; i < n * n; ++i) {
        const T size = std::fabs(a[i]);
        largest = size > largest ? size : largest;
        spoiled += a[i] - a[i];
    }
    if (spoiled != 0) return {static_cast<double>(spoiled), 0};
    constexpr Index tile = 16;
    for (Index i0 = 0; i0 < n; i0 += tile) {
        for (Index j0 = 0; j0 <= i0; j0 += tile) {
            const Index i1 = std::min(n, i0 + tile), j1 = std::min(n, j0 + tile);
            for (Index i = i0; i < i1; ++i) {
#pragma omp simd reduction(max : difference)
                for (Index j = j0; j < j1; ++j) {
                    const T off = std::fabs(a[i * n + j] - a[j * n + i]);
                    difference = off > difference ? off : difference;
                }
            }
        }
    }
    return {static_cast<double>(largest), static_cast<double>(difference)};
}

}  // namespace

template <class T>
bool all_finite(Index rows, Index n, const T* x, int threads) {
    const Index pieces = pieces_of(n);
    std::vector<char> good(static_cast<std::size_t>(rows * pieces));
    over_rows(rows, n, threads, [&](Index piece, Index r, Index from, Index to) {
        T spoiled = 0;
        const T* row = x + r * n;
#pragma omp simd reduction(+ : spoiled)
        for (Index j = from; j < to; ++j) spoiled += row[j] - row[j];
        good[static_cast<std::size_t>(r * pieces + piece)] = spoiled == 0;
    });
    return std::all_of(good.begin(), good.end(), [](char ok) { return ok != 0; });
}

template <class T>
void row_dots(Index rows, Index n, const T* x, const T* z, double* out, int threads) {
    const Index pieces = pieces_of(n);
    std::vector<double> sums(static_cast<std::size_t>(rows * pieces));
    over_rows(rows, n, threads, [&](Index piece, Index r, Index from, Index to) {
        double sum = 0;
        const T *one = x + r * n, *other = z + r * n;
#pragma omp simd reduction(+ : sum)
        for (Index j = from; j < to; ++j) sum += static_cast<double>(one[j]) * static_cast<double>(other[j]);
        sums[static_cast<std::size_t>(r * pieces + piece)] = sum;
    });
    for (Index r = 0; r < rows; ++r) {
        out[r] = 0;
        for (Index p = 0; p < pieces; ++p) out[r] += sums[static_cast<std::size_t>(r * pieces + p)];
    }
}

template <class T>
void scale_rows(Index rows, Index n, const T* factor, const T* x, T* out, int threads) {
    over_rows(rows, n, threads, [&](Index, Index r, Index from, Index to) {
        const T scale = factor[r];
#pragma omp simd
        for (Index j = from; j < to; ++j) out[r * n + j] = scale * x[r * n + j];
    });
}

template <class T>
Asymmetry asymmetry(Index batch, Index n, const T* a, int threads) {
    std::vector<Asymmetry> each(static_cast<std::size_t>(batch));
    const Index group = std::max<Index>(1, kStretch / (n * n));
    parallel_for(static_cast<std::size_t>((batch + group - 1) / group), threads, [&](std::size_t item, int) {
        const Index b0 = static_cast<Index>(item) * group;
        for (Index b = b0; b < std::min(batch, b0 + group); ++b) {
            each[static_cast<std::size_t>(b)] = one_asymmetry(n, a + b * n * n);
        }
    });
    Asymmetry result{0, 0};
    for (const Asymmetry& one : each) {
        if (std::isnan(one.largest)) return one;
        result.largest = std::max(result.largest, one.largest);
        result.difference = std::max(result.difference, one.difference);
    }
    return result;
}

#define FOURFOLD_GP_INSTANTIATE(T)                                             \
    template bool all_finite<T>(Index, Index, const T*, int);                  \
    template void row_dots<T>(Index, Index, const T*, const T*, double*, int); \
    template void scale_rows<T>(Index, Index, const T*, const T*, T*, int);    \
    template Asymmetry asymmetry<T>(Index, Index, const T*, int);
FOURFOLD_GP_INSTANTIATE(float)
FOURFOLD_GP_INSTANTIATE(double)

}  // namespace fourfold::gp
