// How much memory the Runge-Kutta steppers need. Plain data, shared by the kernels and by those who allocate for them.
#pragma once

#include <cstddef>

#include "nlse/setup.hpp"

namespace fourfold::nlse {

// Distance between two arrays of n T's in a workspace, in T's: a whole number of cache lines, plus one, so that the
// same point of many arrays does not fall into the same set of the cache when n is a power of two.
template <class T>
static constexpr std::size_t array_stride(std::size_t n) {
    constexpr std::size_t line = 64 / sizeof(T);
    return (n + line - 1) / line * line + line;
}

// Real arrays in the scratch of one thread: first the tables of the step, then complex fields of two arrays each.
static constexpr std::size_t table_arrays(Method method) {
    return method == Method::rk4ip ? 2 : method == Method::etdrk4 ? 12 : 22;
}
static constexpr std::size_t scratch_arrays(Method method) {
    return table_arrays(method) + (method == Method::rk4ip ? 12 : method == Method::etdrk4 ? 10 : 26);
}
template <class T>
static constexpr std::size_t scratch_count(Method method, std::size_t n) {
    return scratch_arrays(method) * array_stride<T>(n);
}

// One per thread. The tables belong to one omega, one n and one method: set table_step to 0 when any of them changes.
template <class T>
struct RungeKuttaWorkspace {
    T* scratch;         // scratch_count<T>(method, n) T's, 64-byte aligned
    double table_step;  // the step that the tables were made for; 0: none
};

// What one realisation of the published scheme keeps from one saved time to the next. Plain data; `fields` belongs to
// the caller.
template <class T>
struct PublishedState {
    T* fields;              // published_state_count<T>(n) T's, 64-byte aligned
    double time_old, time;  // ends of the last accepted step
    double time_end;        // where the whole run ends; no step goes beyond
    double step;            // proposal for the next step
    double atol, rtol, max_step;
    int newest;  // which of the two solution fields belongs to `time`
    bool dense;  // whether the interpolant of the last step has been made
};

// Complex fields of a PublishedState: two solutions, the slope at each end of the step, four fields of the interpolant.
static constexpr std::size_t kPublishedFields = 8;
// Complex fields of scratch per thread: the other ten slopes.
static constexpr std::size_t kPublishedScratchFields = 10;

template <class T>
static constexpr std::size_t published_state_count(std::size_t n) {
    return 2 * kPublishedFields * array_stride<T>(n);
}
template <class T>
static constexpr std::size_t published_scratch_count(std::size_t n) {
    return 2 * kPublishedScratchFields * array_stride<T>(n);
}

}  // namespace fourfold::nlse
