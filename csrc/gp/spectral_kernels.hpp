// Passes over D = lead (x) last + noise, which is never stored. One thread; included by kernel sources only.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "gp/gemm.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// Sum of logarithms as the logarithm of a product, mantissas and exponents apart: one log for many factors. The
// relative error of each factor is one rounding, as that of the factor itself.
class LogSum {
public:
    // Positive and normal numbers only.
    FOURFOLD_INLINE void add(const double* values, Index n) {
        Index j = 0;
        for (; j + kWidth <= n; j += kWidth) {
#pragma omp simd
            for (int l = 0; l < kWidth; ++l) {
                std::int64_t bits;
                __builtin_memcpy(&bits, values + j + l, sizeof bits);
                exponent_[l] += (bits >> 52) - 1023;
                bits = (bits & 0xfffffffffffffLL) | 0x3ff0000000000000LL;
                double mantissa;
                __builtin_memcpy(&mantissa, &bits, sizeof mantissa);
                product_[l] *= mantissa;
            }
            if (++pending_ == 512) normalise();
        }
        for (; j < n; ++j) rest_ += std::log(values[j]);
    }
    FOURFOLD_INLINE double total() {
        normalise();
        double sum = rest_;
        std::int64_t exponents = 0;
        for (int l = 0; l < kWidth; ++l) {
            sum += std::log(product_[l]);
            exponents += exponent_[l];
        }
        return sum + static_cast<double>(exponents) * 0.693147180559945309417232121458;
    }

private:
    static constexpr int kWidth = 8;
    FOURFOLD_INLINE void normalise() {
        pending_ = 0;
        for (int l = 0; l < kWidth; ++l) {
            int e;
            product_[l] = std::frexp(product_[l], &e);
            exponent_[l] += e;
        }
    }
    double product_[kWidth] = {1, 1, 1, 1, 1, 1, 1, 1};
    std::int64_t exponent_[kWidth] = {};
    double rest_ = 0;
    int pending_ = 0;
};

inline constexpr Index kStretch = 256;

template <class T>
SpectralSums spectral_sums(Index rows, Index n, const T* lead, const T* last, T noise, double* row_sum,
                           double* column_sum) {
    LogSum log;
    double d[kStretch];
    double inverse = 0, smallest = std::numeric_limits<double>::infinity(), slow = 0;
    bool finite = true;
    if (column_sum != nullptr) {
        for (Index j = 0; j < n; ++j) column_sum[j] = 0;
    }
    const double shift = noise;
    for (Index r = 0; r < rows; ++r) {
        const double factor = lead[r];
        double row = 0;
        for (Index j0 = 0; j0 < n; j0 += kStretch) {
            const Index count = smaller(kStretch, n - j0);
            const T* values = last + j0;
            double least = std::numeric_limits<double>::infinity(), most = 0, sum = 0, weighted = 0;
#pragma omp simd reduction(min : least) reduction(max : most)
            for (Index j = 0; j < count; ++j) {
                d[j] = factor * static_cast<double>(values[j]) + shift;
                least = d[j] < least ? d[j] : least;
                most = d[j] > most ? d[j] : most;
            }
            // A NaN passes every comparison above; the sum shows it.
            if (column_sum != nullptr) {
                double* column = column_sum + j0;
#pragma omp simd reduction(+ : sum, weighted)
                for (Index j = 0; j < count; ++j) {
                    const double reciprocal = 1.0 / d[j];
                    sum += reciprocal;
                    weighted += static_cast<double>(values[j]) * reciprocal;
                    column[j] += factor * reciprocal;
                }
                inverse += sum;
                row += weighted;
            } else {
#pragma omp simd reduction(+ : sum)
                for (Index j = 0; j < count; ++j) sum += d[j];
                finite = finite && sum - sum == 0;
            }
            smallest = least < smallest ? least : smallest;
            if (least >= std::numeric_limits<double>::min() && most <= std::numeric_limits<double>::max()) {
                log.add(d, count);
            } else {
                for (Index j = 0; j < count; ++j) slow += std::log(d[j]);
            }
        }
        if (row_sum != nullptr) row_sum[r] = row;
    }
    if (!finite) smallest = std::numeric_limits<double>::quiet_NaN();
    return {log.total() + slow, inverse, smallest};
}

template <class T>
double spectral_divide(Index rows, Index n, const T* lead, const T* last, T noise, T* x) {
    double total = 0;
    for (Index r = 0; r < rows; ++r) {
        const T factor = lead[r];
        T* row = x + r * n;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (Index j = 0; j < n; ++j) {
            const T before = row[j];
            const T after = before / (factor * last[j] + noise);
            row[j] = after;
            sum += static_cast<double>(before) * static_cast<double>(after);
        }
        total += sum;
    }
    return total;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
