#include "support/thread_pool.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace fourfold {
namespace {

using Work = std::function<void(std::size_t, int)>;

thread_local bool inside_work = false;

class InsideWork {
public:
    InsideWork() : before_(std::exchange(inside_work, true)) {}
    ~InsideWork() { inside_work = before_; }
    InsideWork(const InsideWork&) = delete;
    InsideWork& operator=(const InsideWork&) = delete;

private:
    bool before_;
};

// One call of parallel_for, on the caller's stack. The pool's mutex guards everything but `next`.
struct Job {
    const Work& work;
    const std::size_t count;
    const int threads;
    std::atomic<std::size_t> next{0};
    std::fenv_t environment;
    int helpers = 0;  // workers, other than the caller, that are inside run()
    std::condition_variable no_helpers;
    std::exception_ptr failure;
    std::size_t failed_item = 0;

    Job(std::size_t count_, int threads_, const Work& work_) : work(work_), count(count_), threads(threads_) {
        std::fegetenv(&environment);
    }

    bool wants(int worker) const { return worker < threads && next.load(std::memory_order_relaxed) < count; }

    // Items are claimed in ascending order, so every item below a failing one has been claimed and will finish:
    // the lowest failing item is the same for any number of threads.
    void run(int worker, std::mutex& mutex) {
        const InsideWork guard;
        for (;;) {
            const std::size_t item = next.fetch_add(1, std::memory_order_relaxed);
            if (item >= count) return;
            try {
                work(item, worker);
            } catch (...) {
                next.store(count, std::memory_order_relaxed);
                const std::lock_guard lock(mutex);
                if (!failure || item < failed_item) {
                    failure = std::current_exception();
                    failed_item = item;
                }
            }
        }
    }
};

// Keeps a handler of the user's from running on one of our threads. The signals that a fault raises stay open, so
// that faulthandler can report them.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&blocked, fault);
        pthread_sigmask(SIG_BLOCK, &blocked, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_;
};

class Pool {
public:
    void run(Job& job) {
        std::unique_lock lock(mutex_);
        const int helpers = closed_ ? 0 : job.threads - 1;
        start_workers(helpers);
        jobs_.push_back(&job);
        for (int i = 0; i < helpers; ++i) workers_[i]->wake.notify_one();
        lock.unlock();

        job.run(0, mutex_);

        lock.lock();
        job.no_helpers.wait(lock, [&] { return job.helpers == 0; });
        jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
        if (job.failure) std::rethrow_exception(job.failure);
    }

    // At the end of the process. If another thread is still computing, its helpers are left to end with the process.
    void close() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
            if (!jobs_.empty()) return;
            for (auto& worker : workers_) worker->wake.notify_one();
        }
        for (auto& worker : workers_) worker->thread.join();
    }

private:
    struct Worker {
        std::condition_variable wake;
        std::thread thread;
    };

    void start_workers(int count) {
        while (static_cast<int>(workers_.size()) < count) {
            const SignalsBlocked guard;
            auto worker = std::make_unique<Worker>();
            const int index = static_cast<int>(workers_.size()) + 1;
            workers_.reserve(workers_.size() + 1);
            try {
                worker->thread = std::thread([this, index, self = worker.get()] { serve(index, *self); });
            } catch (const std::system_error& error) {
                throw std::runtime_error("cannot start worker thread " + std::to_string(index) + " of " +
                                         std::to_string(count) + " (" + error.what() +
                                         "); ask for fewer with fourfold.set_num_threads");
            }
            workers_.push_back(std::move(worker));
        }
    }

    void serve(int index, Worker& self) {
        std::unique_lock lock(mutex_);
        for (;;) {
            const auto found =
                std::find_if(jobs_.begin(), jobs_.end(), [index](const Job* job) { return job->wants(index); });
            if (found == jobs_.end()) {
                if (closed_) return;
                self.wake.wait(lock);
                continue;
            }
            Job& job = **found;
            ++job.helpers;
            lock.unlock();
            std::fesetenv(&job.environment);
            job.run(index, mutex_);
            lock.lock();
            // Under the lock: once it is released with no helper left, the job may be gone.
            if (--job.helpers == 0) job.no_helpers.notify_one();
        }
    }

    std::mutex mutex_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<Job*> jobs_;
    bool closed_ = false;
};

// Never deleted: threads may outlive every static destructor. An atomic and no lock, so that a fork at any moment
// leaves it usable.
std::atomic<Pool*> current{nullptr};

Pool& pool() {
    Pool* existing = current.load(std::memory_order_acquire);
    if (existing != nullptr) return *existing;
    auto made = std::make_unique<Pool>();
    if (current.compare_exchange_strong(existing, made.get())) return *made.release();
    return *existing;
}

// A forked child has the memory of the pool but none of its threads, and its mutex in whatever state another thread
// left it: forget it and start afresh.
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { current.store(nullptr, std::memory_order_release); });

struct CloseAtExit {
    ~CloseAtExit() {
        if (Pool* existing = current.load(std::memory_order_acquire)) existing->close();
    }
} close_at_exit;

}  // namespace

void parallel_for(std::size_t count, int threads, const Work& work) {
    const int useful = static_cast<int>(std::min<std::size_t>(count, static_cast<std::size_t>(std::max(threads, 1))));
    if (useful <= 1 || inside_work) {
        const InsideWork guard;
        for (std::size_t item = 0; item < count; ++item) work(item, 0);
        return;
    }
    Job job(count, useful, work);
    pool().run(job);
}

}  // namespace fourfold
