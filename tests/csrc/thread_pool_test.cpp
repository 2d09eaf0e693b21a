// What only C++ shows of the thread pool; also the program that ThreadSanitizer watches.
#include "support/thread_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using fourfold::parallel_for;

namespace {

// Some work whose result depends on the item alone.
double busy(std::size_t item) {
    double x = static_cast<double>(item) + 1.0;
    for (int i = 0; i < 200; ++i) x = std::sqrt(x + i);
    return x;
}

bool computes_correctly(int threads, std::size_t count = 257) {
    std::vector<double> result(count, -1.0);
    parallel_for(count, threads, [&](std::size_t item, int) { result[item] = busy(item); });
    for (std::size_t i = 0; i < count; ++i) {
        if (result[i] != busy(i)) return false;
    }
    return true;
}

void every_item_once() {
    for (int threads : {-1, 0, 1, 2, 3, 8}) {
        for (std::size_t count : {0u, 1u, 2u, 7u, 1000u}) {
            std::vector<std::atomic<int>> seen(count);
            parallel_for(count, threads, [&](std::size_t item, int worker) {
                CHECK(worker >= 0 && worker < std::max(threads, 1));
                seen[item].fetch_add(1);
            });
            for (auto& times : seen) CHECK(times.load() == 1);
        }
    }
}

// Two items that wait for each other end only if two threads run them.
void really_parallel() {
    std::atomic<int> arrived{0};
    parallel_for(2, 2, [&](std::size_t, int) {
        arrived.fetch_add(1);
        while (arrived.load() < 2) std::this_thread::yield();
    });
    CHECK(arrived.load() == 2);
}

// A worker's number is its own while it works: nobody else may be using its scratch.
void worker_numbers_are_exclusive() {
    constexpr int threads = 4;
    std::vector<std::atomic<int>> inside(threads);
    parallel_for(2000, threads, [&](std::size_t item, int worker) {
        CHECK(inside[static_cast<std::size_t>(worker)].fetch_add(1) == 0);
        CHECK(busy(item) > 0);
        inside[static_cast<std::size_t>(worker)].fetch_sub(1);
    });
}

void lowest_exception_wins() {
    for (int threads : {1, 2, 4}) {
        for (int repeat = 0; repeat < 50; ++repeat) {
            std::string message;
            try {
                parallel_for(500, threads, [](std::size_t item, int) {
                    if (item >= 40 && item % 2 == 0) throw std::runtime_error(std::to_string(item));
                });
            } catch (const std::runtime_error& error) {
                message = error.what();
            }
            CHECK(message == "40");
        }
        CHECK(computes_correctly(threads));
    }
}

void nested_calls_run_alone() {
    std::vector<double> sums(16, 0.0);
    parallel_for(sums.size(), 3, [&](std::size_t outer, int) {
        const auto self = std::this_thread::get_id();
        parallel_for(10, 3, [&](std::size_t inner, int worker) {
            CHECK(worker == 0 && std::this_thread::get_id() == self);
            sums[outer] += static_cast<double>(inner);
        });
    });
    for (double sum : sums) CHECK(sum == 45.0);
}

void concurrent_callers() {
    std::vector<std::thread> callers;
    std::atomic<int> wrong{0};
    for (int c = 0; c < 4; ++c) {
        callers.emplace_back([&, c] {
            for (int repeat = 0; repeat < 50; ++repeat) {
                if (!computes_correctly(1 + (c + repeat) % 4)) wrong.fetch_add(1);
            }
        });
    }
    for (auto& caller : callers) caller.join();
    CHECK(wrong.load() == 0);
}

// Helpers round as the caller does, whatever they did before.
void callers_rounding_mode() {
    volatile double one = 1.0, three = 3.0;
    const double nearest = one / three;
    std::fesetround(FE_UPWARD);
    const double upward = one / three;
    CHECK(upward != nearest);
    std::vector<double> result(64);
    const auto divide = [&](std::size_t item, int) { result[item] = one / three; };
    parallel_for(result.size(), 4, divide);
    for (double x : result) CHECK(x == upward);
    std::fesetround(FE_TONEAREST);
    parallel_for(result.size(), 4, divide);
    for (double x : result) CHECK(x == nearest);
}

#ifndef __SANITIZE_THREAD__

template <class Body>
bool succeeds_in_child(Body body) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);  // a child that hangs must not hang the test
        const bool good = body();
        _exit(good ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void fork_after_work() {
    CHECK(computes_correctly(3));
    CHECK(succeeds_in_child(
        [] { return computes_correctly(3) && succeeds_in_child([] { return computes_correctly(2); }); }));
    CHECK(computes_correctly(3));
}

void fork_while_another_thread_computes() {
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop.load()) CHECK(computes_correctly(3));
    });
    for (int repeat = 0; repeat < 20; ++repeat) CHECK(succeeds_in_child([] { return computes_correctly(3); }));
    stop.store(true);
    other.join();
}

// exit() in a child joins the child's own workers, not the parent's.
void child_exits_cleanly() {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        std::exit(computes_correctly(3) ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif

}  // namespace

int main() {
    every_item_once();
    really_parallel();
    worker_numbers_are_exclusive();
    lowest_exception_wins();
    nested_calls_run_alone();
    concurrent_callers();
    callers_rounding_mode();
#ifdef __SANITIZE_THREAD__
    // ThreadSanitizer does not follow threads that are started in a forked child ("dup thread with used id").
    std::puts("thread pool: 7 passed, 0 failed, 3 skipped");
#else
    fork_after_work();
    fork_while_another_thread_computes();
    child_exits_cleanly();
    std::puts("thread pool: 10 passed, 0 failed, 0 skipped");
#endif
    return 0;
}
