// Sums over entries and moments of the model at points, see funbat.hpp. Included by kernel sources only.
#pragma once

#include <algorithm>
#include <utility>

#include "gp/funbat.hpp"
#include "gp/funbat_dense.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

inline void multiply_entries(Size n, const double* __restrict by, double* __restrict x) {
#pragma omp simd
    for (Size i = 0; i < n; ++i) x[i] *= by[i];
}

inline void sum_time_cp(const Entries& entries, Size time, double* first, double* second, double* scratch) {
    const Size r = entries.others > 0 ? entries.rank[0] : 1, p = packed_size(r);
    double *mean = scratch, *product = scratch + r;
    set_zero(r, first);
    set_zero(p, second);
    for (std::int64_t n = entries.start[time]; n < entries.start[time + 1]; ++n) {
        const std::int32_t* place = entries.places + n * entries.others;
        for (Size i = 0; i < r; ++i) mean[i] = entries.value[n];
        for (Size i = 0; i < p; ++i) product[i] = 1;
        for (int j = 0; j < entries.others; ++j) {
            multiply_entries(r, entries.mean[j] + place[j] * r, mean);
            multiply_entries(p, entries.second[j] + place[j] * p, product);
        }
        add_scaled(r, 1, mean, first);
        add_scaled(p, 1, product, second);
    }
}

// to += (or =, for all factors but the last) scale * factors[0] (x) ... (x) factors[count - 1]. Partial products
// alternate between the two halves of scratch, each as large as the product of all but the last.
inline void add_outer(int count, const double* const* factors, const Size* sizes, double scale, double* scratch,
                      Size half, double* to) {
    double *from = scratch, *next = scratch + half;
    from[0] = scale;
    Size size = 1;
    for (int j = 0; j < count; ++j) {
        const bool last = j == count - 1;
        double* out = last ? to : next;
        for (Size i = 0; i < size; ++i) {
            double* row = out + i * sizes[j];
            if (!last) set_zero(sizes[j], row);
            add_scaled(sizes[j], from[i], factors[j], row);
        }
        size *= sizes[j];
        std::swap(from, next);
    }
    if (count == 0) to[0] += scale;
}

inline void sum_time_tucker(const Entries& entries, Size time, double* first, double* second, double* scratch) {
    Size ranks[kMaxModes], packed[kMaxModes], width = 1, packed_width = 1, half = 1;
    for (int j = 0; j < entries.others; ++j) {
        ranks[j] = entries.rank[j];
        packed[j] = packed_size(ranks[j]);
        if (j < entries.others - 1) half *= packed[j];
        width *= ranks[j];
        packed_width *= packed[j];
    }
    set_zero(width, first);
    set_zero(packed_width, second);
    for (std::int64_t n = entries.start[time]; n < entries.start[time + 1]; ++n) {
        const std::int32_t* place = entries.places + n * entries.others;
        const double *means[kMaxModes], *seconds[kMaxModes];
        for (int j = 0; j < entries.others; ++j) {
            means[j] = entries.mean[j] + place[j] * ranks[j];
            seconds[j] = entries.second[j] + place[j] * packed[j];
        }
        add_outer(entries.others, means, ranks, entries.value[n], scratch, half, first);
        add_outer(entries.others, seconds, packed, 1, scratch, half, second);
    }
}

void sum_time(const Entries& entries, Size time, double* first, double* second, double* scratch) {
    (entries.tucker ? sum_time_tucker : sum_time_cp)(entries, time, first, second, scratch);
}

// With what is known of the modes so far, the entry is v' z for a z of mean mu and covariance Sigma; a mode's u(x), of
// mean m and covariance V, turns them into those of fewer numbers (law of total covariance). CP: z u entry by entry.
inline void evaluate_cp(const Points& points, Size point, double* mean, double* variance, double* scratch) {
    const Size r = points.rank[0], p = packed_size(r);
    double *mu = scratch, *sigma = scratch + r;
    std::memcpy(mu, points.core_mean, r * sizeof(double));
    set_zero(p, sigma);
    for (int j = 0; j < points.modes; ++j) {
        const Size place = points.places[point * points.modes + j];
        const double *m = points.mean[j] + place * r, *v = points.covariance[j] + place * p;
        Size at = 0;
        for (Size i = 0; i < r; ++i) {
            for (Size k = i; k < r; ++k, ++at) sigma[at] = sigma[at] * (v[at] + m[i] * m[k]) + mu[i] * mu[k] * v[at];
        }
        multiply_entries(r, m, mu);
    }
    *mean = *variance = 0;
    Size at = 0;
    for (Size i = 0; i < r; ++i) {
        *mean += mu[i];
        for (Size k = i; k < r; ++k, ++at) *variance += (k == i ? 1 : 2) * sigma[at];
    }
}

inline void evaluate_tucker(const Points& points, Size point, double* mean, double* variance, double* scratch) {
    Size size = 1;
    for (int j = 0; j < points.modes; ++j) size *= points.rank[j];
    const Size rest_first = size / points.rank[0];
    double *second = scratch, *v = second + kMaxRank * kMaxRank;
    double *next_mu = v + kMaxRank * kMaxRank, *spare_mu = next_mu + rest_first;
    double *next_sigma = spare_mu + rest_first, *spare_sigma = next_sigma + rest_first * rest_first;
    const double *mu = points.core_mean, *sigma = points.core_covariance;
    for (int j = 0; j < points.modes; ++j) {
        const Size r = points.rank[j], rest = size / r, place = points.places[point * points.modes + j];
        const double* m = points.mean[j] + place * r;
        unpack(r, points.covariance[j] + place * packed_size(r), v);
        for (Size i = 0; i < r; ++i) {
            for (Size k = 0; k < r; ++k) second[i * r + k] = v[i * r + k] + m[i] * m[k];
        }
        set_zero(rest, next_mu);
        set_zero(rest * rest, next_sigma);
        for (Size i = 0; i < r; ++i) {
            add_scaled(rest, m[i], mu + i * rest, next_mu);
            for (Size k = 0; k < r; ++k) {
                for (Size row = 0; row < rest; ++row) {
                    double* to = next_sigma + row * rest;
                    add_scaled(rest, second[i * r + k], sigma + (i * rest + row) * size + k * rest, to);
                    add_scaled(rest, v[i * r + k] * mu[i * rest + row], mu + k * rest, to);
                }
            }
        }
        mu = next_mu;
        sigma = next_sigma;
        std::swap(next_mu, spare_mu);
        std::swap(next_sigma, spare_sigma);
        size = rest;
    }
    *mean = mu[0];
    *variance = sigma[0];
}

void evaluate_point(const Points& points, Size point, double* mean, double* variance, double* scratch) {
    (points.tucker ? evaluate_tucker : evaluate_cp)(points, point, mean, variance, scratch);
}

void row_times_rows(Size columns, Size inner, const double* row, const double* b, double* out) {
    for (Size j = 0; j < columns; ++j) out[j] = dot(inner, row, b + j * inner);
}

void column_times_columns(Size columns, Size inner, const double* a, Size stride, const double* b, double* out) {
    set_zero(columns, out);
    for (Size k = 0; k < inner; ++k) add_scaled(columns, a[k * stride], b + k * columns, out);
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
