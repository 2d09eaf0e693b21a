// One pool of worker threads for all families.
#pragma once

#include <cstddef>
#include <functional>

namespace fourfold {

// Calls work(item, worker) once for every item in [0, count) on at most `threads` threads and returns when all are
// done. The caller is worker 0; helpers are 1..threads-1, so that scratch can be an array of `threads` entries.
//
// - Which worker gets an item is not determined (items may differ in cost, so they are claimed one by one). Results
//   are the same for any number of threads as long as an item's result depends on the item alone. A reduction must
//   store one partial result per item and add them in order afterwards.
// - An exception ends the call early: of those thrown, the one of the lowest item is rethrown in the caller, which
//   is the same one for any number of threads.
// - Calls from several threads at once share the helpers. A call from inside work() runs on its own thread alone.
// - Helpers sleep when idle and compute with the caller's floating-point environment. They are started at the first
//   call that needs them, again in a forked child, and joined at exit.
// - Throws std::runtime_error if the system refuses to start a thread.
void parallel_for(std::size_t count, int threads, const std::function<void(std::size_t item, int worker)>& work);

}  // namespace fourfold
