// Which kernels a call of EM launches, in which order and with how many blocks of threads: on a GPU, or on the host in
// a test. A Launcher has a method for each kernel, of (blocks, call). Internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/em_gpu_counts.hpp"
#include "pc/em_gpu_passes.hpp"
#include "pc/em_gpu_plan.hpp"
#include "pc/sampling_gpu.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

template <class Launcher>
class EmSchedule {
public:
    EmSchedule(const EmCall& call, const std::vector<std::int32_t>& levels, Launcher launcher)
        : call_(call), levels_(levels), launcher_(launcher) {}

    void step(const UpdateRule& rule) {
        const auto count = static_cast<float>(call_.images);
        up(true);
        down(rule.rescaled, count);
        counts(false);
        update(rule, count, false);
    }

    void accumulate() {
        up(true);
        down(false, 0.0f);
        counts(true);
    }

    // Of a call without images.
    void finish(const UpdateRule& rule, double count) {
        if (rule.rescaled) down(true, static_cast<float>(count));
        update(rule, static_cast<float>(count), true);
    }

    void log_prob() { up(false); }

    void draw(std::int64_t repeats, const double* uniforms, std::int32_t* states, std::int32_t* values) {
        const DrawCall call{call_, repeats, uniforms, states, values};
        const std::int64_t of_variable = (call_.images * repeats + kDrawThreads - 1) / kDrawThreads;
        launcher_.draw_states(of_variable, call);
        launcher_.draw_values(of_variable * call_.plan.shape.variables, call);
    }

private:
    std::int32_t tiles() const { return static_cast<std::int32_t>(tiles_of(call_.images)); }
    std::int64_t nodes_of(std::size_t level) const { return levels_[level + 1] - levels_[level]; }

    void up(bool posteriors) {
        for (std::size_t level = levels_.size() - 1; level-- > 0;) {
            launcher_.up(nodes_of(level) * tiles(), {call_, levels_[level], tiles(), posteriors, false, 0.0f});
        }
    }

    // From the root's children on; the states' expectation, if wanted, from the root.
    void down(bool expected, float count) {
        for (std::size_t level = 0; level + 1 < levels_.size(); ++level) {
            const std::int32_t of_images = level == 0 ? 0 : tiles(), blocks = of_images + (expected ? 1 : 0);
            if (blocks == 0) continue;
            launcher_.down(nodes_of(level) * blocks, {call_, levels_[level], blocks, false, expected, count});
        }
    }

    void counts(bool into_totals) {
        const CountCall call{call_, into_totals};
        if (call_.plan.shape.edge_jobs > 0) launcher_.edge_counts(call_.plan.shape.edge_jobs, call);
        launcher_.leaf_counts(call_.plan.shape.leaf_jobs, call);
    }

    void update(const UpdateRule& rule, float count, bool from_totals) {
        launcher_.update(call_.plan.shape.update_jobs, {call_.plan, call_.buffers, rule, count, from_totals});
    }

    EmCall call_;
    const std::vector<std::int32_t>& levels_;
    Launcher launcher_;
};

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
