// Stops the kernels of a parallel call when the calling thread says so.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "nlse/nlse.hpp"

namespace fourfold::nlse {

struct Interruption {
    const std::function<bool()>& ask;
    std::atomic<bool> stop{false};
    std::chrono::steady_clock::time_point asked = std::chrono::steady_clock::now();

    // The calling thread, worker 0, is the only one that may ask.
    CancelFlag flag(int worker) { return {worker == 0 ? ask_now_and_then : look, this}; }

private:
    static bool look(void* context) {
        return static_cast<Interruption*>(context)->stop.load(std::memory_order_relaxed);
    }

    static bool ask_now_and_then(void* context) {
        auto& interruption = *static_cast<Interruption*>(context);
        const auto now = std::chrono::steady_clock::now();
        if (now - interruption.asked > std::chrono::milliseconds(50)) {
            interruption.asked = now;
            if (interruption.ask()) interruption.stop.store(true, std::memory_order_relaxed);
        }
        return look(context);
    }
};

}  // namespace fourfold::nlse
