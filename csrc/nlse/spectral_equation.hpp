// dc/dt = -i omega c + N(c) on split Fourier coefficients, and the few loops over them that every stepper uses.
#pragma once

#include <cmath>
#include <initializer_list>

#include "nlse/field.hpp"
#include "nlse/medium_in_time.hpp"
#include "nlse/phase_table.hpp"
#include "nlse/runge_kutta_workspace.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// A complex field as two real arrays.
template <class T>
struct Field {
    T* re;
    T* im;
};

// Carves a workspace into arrays and fields.
template <class T>
struct Carver {
    T* next;
    std::size_t stride;

    Field<T> field() {
        const Field<T> taken{next, next + stride};
        next += 2 * stride;
        return taken;
    }
};

template <class T>
void swap(Field<T>& a, Field<T>& b) {
    const Field<T> kept = a;
    a = b;
    b = kept;
}

template <class T>
void copy(Field<T> from, Field<T> to, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        to.re[i] = from.re[i];
        to.im[i] = from.im[i];
    }
}

// Sums run in T over short blocks and in double over the blocks: fast, and accurate for complex64 at any n.
inline constexpr std::size_t kSumBlock = 512;

// sum |a|^2, the mean of |psi|^2
template <class T>
double sum_of_squares(Field<T> a, std::size_t n) {
    double total = 0;
    for (std::size_t at = 0; at < n; at += kSumBlock) {
        const std::size_t end = at + kSumBlock < n ? at + kSumBlock : n;
        T part = 0;
#pragma omp simd reduction(+ : part)
        for (std::size_t i = at; i < end; ++i) part += a.re[i] * a.re[i] + a.im[i] * a.im[i];
        total += static_cast<double>(part);
    }
    return total;
}

// sum |a - b|^2
template <class T>
double sum_of_squared_differences(Field<T> a, Field<T> b, std::size_t n) {
    double total = 0;
    for (std::size_t at = 0; at < n; at += kSumBlock) {
        const std::size_t end = at + kSumBlock < n ? at + kSumBlock : n;
        T part = 0;
#pragma omp simd reduction(+ : part)
        for (std::size_t i = at; i < end; ++i) {
            const T re = a.re[i] - b.re[i], im = a.im[i] - b.im[i];
            part += re * re + im * im;
        }
        total += static_cast<double>(part);
    }
    return total;
}

// The right-hand side of one realisation. With a filter s, N(c) = s F[i (g |psi|^2 - V + i gamma) psi], psi of s c.
template <class T>
struct SpectralEquation {
    const FftPlan<T>& plan;
    const FieldOps<T>& ops;
    MediumInTime<T>& medium;
    const double* omega;  // [n], in the plan's order
    const T* filter;      // [n], in the plan's order, or null
    std::size_t n;
    std::int64_t& transforms;

    // c -> N(c) at a time, in place
    void nonlinear(double time, Field<T> c) const {
        if (filter != nullptr) apply_filter(c);
        ops.nonlinear(plan, medium.at(time), c.re, c.im);
        if (filter != nullptr) apply_filter(c);
        transforms += 2;
    }

    void apply_filter(Field<T> c) const {
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) {
            c.re[i] *= filter[i];
            c.im[i] *= filter[i];
        }
    }
};

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
