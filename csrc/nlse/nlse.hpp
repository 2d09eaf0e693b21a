// What the NLSE kernels see and offer. Plain data; no Python, no allocation inside the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/fft_plan.hpp"

namespace fourfold::nlse {

// What acts at each point of x on one realisation. Null pointers mean zero everywhere.
template <class T>
struct Medium {
    T nonlinearity;      // g
    const T* potential;  // V[n], natural x order
    const T* loss;       // gamma[n], natural x order
};

enum class Status : int { ok = 0, not_finite = 1, step_floor = 2, cancelled = 3 };

// The stretch of time between two saved times, for one realisation.
struct Interval {
    double t0, t1;
    std::int64_t steps;  // > 0: this many equal steps. 0: adaptive, with the fields below.
    double rtol, atol;   // local error per step: ||e||_2 <= atol sqrt(n) + rtol ||psi||_2
    double max_step, min_step;
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
};

}  // namespace fourfold::nlse
