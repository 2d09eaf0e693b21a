// The medium of one realisation at any time: where something changes in time, its rows are added up, or its function is
// asked, in scratch that the worker keeps.
#pragma once

#include <cmath>
#include <limits>

#include "nlse/runge_kutta_workspace.hpp"
#include "nlse/setup.hpp"
#include "support/simd.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

static inline std::size_t piece_at(const PiecewiseCubic& f, double time) {
    std::size_t piece = 0, above = f.pieces;  // knots[piece] <= time < knots[above], but for the ends
    while (above - piece > 1) {
        const std::size_t middle = piece + (above - piece) / 2;
        if (f.knots[middle] <= time) {
            piece = middle;
        } else {
            above = middle;
        }
    }
    return piece;
}

static inline double value_at(const PiecewiseCubic& f, double time) {
    const std::size_t piece = piece_at(f, time);
    const double* c = f.coefficients + 4 * piece;
    const double s = time - f.knots[piece];
    return c[0] + s * (c[1] + s * (c[2] + s * c[3]));
}

// exp(x) - 1 to a few units in the last place, in a loop that becomes SIMD. Infinite above 709, -1 below -700.
FOURFOLD_INLINE double exp_minus_1(double x) {
    constexpr double log2e = 1.44269504088896340736, ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52: the quotient ends up in the lowest bits
    const double inside = x < -700 ? -700 : x > 709 ? 709 : x;
    const double shifted = inside * log2e + magic;
    const double quotient = shifted - magic;
    const double r = (inside - quotient * ln2_high) - quotient * ln2_low;
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    const double reduced = r + (r * r) * p;
    // 2^quotient, as two factors of half the exponent: 2^1024 has none
    const std::int64_t bits = same_bits<std::int64_t>(shifted);
    const std::int64_t whole = (bits & 0xffff) - ((bits & 0x8000) << 1);
    const double power = same_bits<double>((whole + 1022) << 52) * 2;
    const double result = power * reduced + (power - 1);
    return x > 709 ? std::numeric_limits<double>::infinity() : result;
}

// amplitude[i] = exp(-gamma tau) and time[i] = (1 - exp(-2 gamma tau))/(2 gamma)
template <class T>
void decay_table(const T* loss, double tau, T* amplitude, T* time, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        const double gamma = static_cast<double>(loss[i]);
        const double fall = exp_minus_1(-gamma * tau);
        const double both = -fall * (fall + 2) / (2 * gamma);
        amplitude[i] = static_cast<T>(1 + fall);
        time[i] = static_cast<T>(gamma == 0 ? tau : both);
    }
}

// In numbers of T.
template <class T>
std::size_t medium_scratch_count(const Setup<T>& setup) {
    std::size_t numbers = 0;  // doubles for factors and functions
    for (const InTime<T>* part : {setup.nonlinearity_in_time, setup.potential_in_time, setup.loss_in_time}) {
        if (part == nullptr) continue;
        if (part->length > numbers) numbers = part->length;
        if (part->terms > numbers) numbers = part->terms;
    }
    if (numbers == 0) return 0;
    return 4 * array_stride<T>(setup.plan->n) + array_stride<double>(numbers) * (sizeof(double) / sizeof(T));
}

template <class T>
class MediumInTime {
public:
    MediumInTime(const Setup<T>& setup, const Medium<T>& constant, T* scratch)
        : setup_(setup), constant_(constant), now_(constant) {
        const std::size_t stride = array_stride<T>(setup.plan->n);
        potential_ = scratch;
        loss_ = scratch + stride;
        decay_ = scratch + 2 * stride;
        numbers_ = reinterpret_cast<double*>(scratch + 4 * stride);
        changes_ = setup.nonlinearity_in_time != nullptr || setup.potential_in_time != nullptr ||
                   setup.loss_in_time != nullptr;
    }

    const Medium<T>& constant() const { return constant_; }
    bool loss_changes() const { return setup_.loss_in_time != nullptr; }

    double time() const { return time_; }  // of the last at()

    const Medium<T>& at(double time) {
        if (!changes_ || time == time_) return now_;
        time_ = time;
        if (setup_.nonlinearity_in_time != nullptr) {
            fill(*setup_.nonlinearity_in_time, &now_.nonlinearity);
        }
        if (setup_.potential_in_time != nullptr) {
            fill(*setup_.potential_in_time, potential_);
            now_.potential = potential_;
        }
        if (setup_.loss_in_time != nullptr) {
            fill(*setup_.loss_in_time, loss_);
            now_.loss = loss_;
            decay_tau_ = std::numeric_limits<double>::quiet_NaN();
        }
        return now_;
    }

    // amplitude[n], then effective time[n], of the loss at the time of the last at(), over tau
    const T* decay(double tau) {
        if (tau != decay_tau_) decay_table(loss_, tau, decay_, decay_ + setup_.plan->n, setup_.plan->n);
        decay_tau_ = tau;
        return decay_;
    }

    // The factors of a series at the time of the last at(), in memory that the next call overwrites.
    const double* factors(const InTime<T>& part) {
        if (part.factors == nullptr) {
            part.function.call(part.function.context, time_, numbers_, part.terms);
        } else {
            for (std::size_t j = 0; j < part.terms; ++j) numbers_[j] = value_at(part.factors[j], time_);
        }
        return numbers_;
    }

private:
    void fill(const InTime<T>& part, T* out) {
        const std::size_t length = part.length;
        if (part.terms == 0) {
            part.function.call(part.function.context, time_, numbers_, length);
#pragma omp simd
            for (std::size_t i = 0; i < length; ++i) out[i] = static_cast<T>(numbers_[i]);
            return;
        }
        const double* factor = factors(part);
        const T* row = part.rows + constant_.realisation * part.realisation_stride;
        for (std::size_t j = 0; j < part.terms; ++j, row += part.term_stride) {
            const T f = static_cast<T>(factor[j]);
            if (j == 0) {
#pragma omp simd
                for (std::size_t i = 0; i < length; ++i) out[i] = f * row[i];
            } else {
#pragma omp simd
                for (std::size_t i = 0; i < length; ++i) out[i] += f * row[i];
            }
        }
    }

    const Setup<T>& setup_;
    const Medium<T>& constant_;
    Medium<T> now_;
    T *potential_, *loss_, *decay_;
    double* numbers_;
    bool changes_;
    double time_ = std::numeric_limits<double>::quiet_NaN();
    double decay_tau_ = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
