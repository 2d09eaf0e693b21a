// Chooses the steps of an adaptive method through one interval, so that the last one ends exactly at its end.
#pragma once

#include <cmath>

#include "nlse/nlse.hpp"
#include "support/host_device.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// At any moment the rest of the interval is cut into equal steps of about the size that the error allows. Tables that
// belong to a step size are expensive, so the cut is changed only when the error asks for a step that is clearly
// different; and the size that the error allows is kept apart from the size of the cut, so that an interval shorter
// than it does not shrink it.
class StepPlan {
public:
    // `order`: the error estimate falls as step^order. `proposal`: the first step size to try, positive.
    FOURFOLD_HOST_DEVICE StepPlan(const Interval& interval, int order, double proposal)
        : interval_(interval), order_(order), time_(interval.t0), proposal_(proposal) {
        if (proposal_ > interval_.max_step) proposal_ = interval_.max_step;
        cut(count());
    }

    // What there is to remember of a plan, and the plan that goes on from there.
    struct State {
        double time, proposal, step, left;
        bool rejected;
    };
    FOURFOLD_HOST_DEVICE StepPlan(const Interval& interval, int order, const State& state)
        : interval_(interval),
          order_(order),
          time_(state.time),
          proposal_(state.proposal),
          step_(state.step),
          left_(state.left),
          rejected_(state.rejected) {}
    FOURFOLD_HOST_DEVICE State state() const { return {time_, proposal_, step_, left_, rejected_}; }

    FOURFOLD_HOST_DEVICE bool done() const { return left_ == 0; }
    FOURFOLD_HOST_DEVICE double time() const { return time_; }  // reached
    FOURFOLD_HOST_DEVICE double step() const { return step_; }  // the next step, negative when time runs backwards
    FOURFOLD_HOST_DEVICE double proposal() const { return proposal_; }  // the step size that the error allows, positive

    // Whether the error asks for a step too small to be taken.
    FOURFOLD_HOST_DEVICE bool at_floor() const {
        return proposal_ < interval_.min_step || time_ + std::copysign(proposal_, step_) == time_;
    }

    // The step was good: its error was `ratio` <= 1 times the tolerance.
    FOURFOLD_HOST_DEVICE void accepted(double ratio) {
        const double taken = std::fabs(step_);
        const double factor = ratio > 0 ? safety * std::pow(ratio, -1.0 / order_) : HUGE_VAL;
        double wish = taken * (rejected_ && factor > 1 ? 1.0 : factor);
        if (wish > largest_factor * proposal_) wish = largest_factor * proposal_;
        // Far below the tolerance the estimate is mostly round-off: no evidence against a larger proposal.
        if (factor > largest_factor && wish < proposal_) wish = proposal_;
        if (wish > interval_.max_step) wish = interval_.max_step;
        proposal_ = wish;
        rejected_ = false;
        left_ -= 1;
        time_ = left_ == 0 ? interval_.t1 : interval_.t1 - left_ * step_;
        if (left_ > 0 && (wish < shrink_below * taken || wish > grow_above * taken)) {
            const double wanted = count();
            if (wanted != left_) cut(wanted);
        }
    }

    // The step was not good, or gave no finite result (ratio infinite or NaN).
    FOURFOLD_HOST_DEVICE void rejected(double ratio) {
        const double factor = ratio - ratio == 0 ? safety * std::pow(ratio, -1.0 / order_) : smallest_factor;
        proposal_ = std::fabs(step_) * (factor > smallest_factor ? factor : smallest_factor);
        rejected_ = true;
        cut(count());
    }

private:
    static constexpr double safety = 0.9, smallest_factor = 0.2, largest_factor = 5;
    static constexpr double shrink_below = 0.95, grow_above = 1.2;
    static constexpr double stretch = 0.05;  // how far beyond the proposal a step may go to save one more

    // The number of equal steps for the rest of the interval, a whole number in a double.
    FOURFOLD_HOST_DEVICE double count() const {
        const double rest = std::fabs(interval_.t1 - time_);
        const double steps = std::ceil(rest / proposal_ - stretch);
        const double at_least = std::ceil(rest / interval_.max_step * (1 - 1e-12));
        return std::fmax(1.0, std::fmax(steps, at_least));
    }

    FOURFOLD_HOST_DEVICE void cut(double count) {
        left_ = count;
        step_ = (interval_.t1 - time_) / count;
    }

    const Interval& interval_;
    int order_;
    double time_, proposal_;
    double step_ = 0, left_ = 0;
    bool rejected_ = false;
};

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
