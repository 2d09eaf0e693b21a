// How work is cut for the threads. Cuts depend on sizes alone, so results do not depend on the number of threads. A
// batch that is large enough is cut by its items alone (a parallel_for inside another runs on its own thread), else
// every item is cut.
#pragma once

#include <cstddef>

#include "support/thread_pool.hpp"

namespace fourfold::gp {

// Work of one item of a parallel_for, in multiplications: some 10 microseconds.
inline constexpr std::ptrdiff_t kGrain = 100000;
// A batch of this many items keeps the threads busy by itself.
inline constexpr std::ptrdiff_t kManyItems = 4;

inline std::ptrdiff_t ceil_div(std::ptrdiff_t a, std::ptrdiff_t b) { return (a + b - 1) / b; }

// One thread for what is not worth waking another.
inline int worth(double multiplications, int threads) { return multiplications < 3.0 * kGrain ? 1 : threads; }

// Calls work(item) for every item, across threads if there are many, else one after the other so that each may use
// all threads.
template <class F>
void over_batch(std::ptrdiff_t batch, int threads, const F& work) {
    if (batch >= kManyItems) {
        parallel_for(static_cast<std::size_t>(batch), threads,
                     [&](std::size_t b, int) { work(static_cast<std::ptrdiff_t>(b)); });
        return;
    }
    for (std::ptrdiff_t b = 0; b < batch; ++b) work(b);
}

}  // namespace fourfold::gp
