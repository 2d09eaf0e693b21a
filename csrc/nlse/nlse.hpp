// What the NLSE kernels see and offer. Plain data; no Python, no allocation inside the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/fft_plan.hpp"

namespace fourfold::nlse {

// What acts at each point of x on one realisation at one time. Null pointers mean zero everywhere.
template <class T>
struct Medium {
    T nonlinearity;           // g
    const T* potential;       // V[n], natural x order
    const T* loss;            // gamma[n], natural x order
    std::size_t realisation;  // whose medium this is, for what depends on time
};

// Writes out[0 .. count) for a time. It may throw.
struct TimeFunction {
    void (*call)(void* context, double time, double* out, std::size_t count);
    void* context;
};

// f(t) = sum_p coefficients[piece][p] (t - knots[piece])^p, p = 0..3, with the last piece whose knot is not above t.
// The first piece also holds before its knot.
struct PiecewiseCubic {
    const double* knots;         // [pieces], increasing
    const double* coefficients;  // [pieces][4]
    std::size_t pieces;
};

// One of the three parts of the medium as a function of time: the series sum_j f_j(t) row_j, or what a function says.
template <class T>
struct InTime {
    std::size_t length;              // of a row: n, or 1 for the nonlinearity
    std::size_t terms;               // of the series; 0: `function` gives the row, the same one for all realisations
    const T* rows;                   // [terms][realisations, or 1 if shared][length]
    std::size_t term_stride;         // between the rows of two terms
    std::size_t realisation_stride;  // between those of two realisations; 0: shared
    const PiecewiseCubic* factors;   // [terms]; null: `function` gives all f_j(t)
    TimeFunction function;
};

enum class Status : int { ok = 0, not_finite = 1, step_floor = 2, cancelled = 3, reconstruction = 4 };

// The stretch of time between two saved times, for one realisation.
struct Interval {
    double t0, t1;  // counted from `origin`
    double origin;
    std::int64_t steps;  // > 0: this many equal steps. 0: adaptive, with the fields below.
    double rtol, atol;   // local error per step: ||e||_2 <= atol sqrt(n) + rtol ||psi||_2
    double max_step, min_step;
    // Told each accepted step of the adaptive control of the splittings, if not null.
    void (*accepted)(void* context, double step, std::int64_t count);
    void* accepted_context;
};

// What one realisation carries from one interval to the next, and what it counts.
struct Progress {
    double step;  // the last step size that the adaptive control liked; 0: none yet
    double time;  // reached
    std::int64_t steps, rejected, transforms;
};

// Asked every few steps, from the thread that computes; true: stop and return Status::cancelled. Null: never.
struct CancelFlag {
    bool (*requested)(void* context);
    void* context;
};

static inline bool is_cancelled(CancelFlag flag) { return flag.requested != nullptr && flag.requested(flag.context); }

// Operations on one split field (re[n], im[n], 64-byte aligned), in place. "Coefficients" are fft/n in the plan's
// permuted order.
template <class T>
struct FieldOps {
    void (*forward)(const FftPlan<T>&, T* re, T* im);  // psi -> n * coefficients
    void (*inverse)(const FftPlan<T>&, T* re, T* im);  // coefficients -> psi
    // coefficients of psi -> coefficients of i (g |psi|^2 - V + i gamma) psi
    void (*nonlinear)(const FftPlan<T>&, const Medium<T>&, T* re, T* im);
    // The sweeps of a kinetic flow: outer_forward, then kinetic with a table [2][n] of (exp(-i omega a h) - 1)/n, or
    // inner_forward and inner_inverse around something else, then outer_inverse.
    void (*outer_forward)(const FftPlan<T>&, T* re, T* im);
    void (*outer_inverse)(const FftPlan<T>&, T* re, T* im);
    void (*kinetic)(const FftPlan<T>&, const T* table, T* re, T* im);
    void (*inner_forward)(const FftPlan<T>&, T* re, T* im);  // to n * coefficients
    void (*inner_inverse)(const FftPlan<T>&, T* re, T* im);
};

}  // namespace fourfold::nlse
