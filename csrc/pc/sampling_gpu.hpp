// Draws by GPU threads, after the evidence has passed up the tree. Internal linkage.
#pragma once

#include <cstdint>

#include "pc/cells.hpp"
#include "pc/draw.hpp"
#include "pc/em_gpu_passes.hpp"
#include "pc/em_gpu_plan.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

inline constexpr unsigned kDrawThreads = 128;

struct DrawCall {
    EmCall em;
    std::int64_t repeats;
    const double* uniforms;  // [nodes, then variables][images][repeats], in [0, 1)
    std::int32_t* states;    // [nodes][images][repeats]
    std::int32_t* values;    // [variables][images][repeats]; unset where the evidence is impossible
};

// A thread has a draw, from the root down.
template <class Block>
FOURFOLD_INLINE void draw_states_block(Block& block, const DrawCall& call) {
    const EmBuffers& buffers = call.em.buffers;
    const EmPlan& plan = call.em.plan;
    const std::int64_t draws = call.em.images * call.repeats;
    block.each([&](unsigned thread) {
        const std::int64_t at = static_cast<std::int64_t>(block.index()) * kDrawThreads + thread;
        if (at >= draws) return;
        const std::int64_t image = at / call.repeats;
        if (!is_possible(buffers.log_prob[image])) return;
        FOURFOLD_ROLLED
        for (std::int64_t v = 0; v < plan.shape.nodes; ++v) {
            const EmNode& node = plan.nodes[v];
            const float* below = buffers.likelihood + node.row * buffers.stride + image * node.width;
            const bool root = node.parent < 0;
            const float* prior = buffers.tables + node.table + (root ? 0 : call.states[node.parent * draws + at]);
            const std::int64_t step = root ? 1 : node.above_width;
            call.states[v * draws + at] = draw(node.states, call.uniforms[v * draws + at], [&](std::int32_t m) {
                return static_cast<double>(prior[m * step]) * static_cast<double>(below[m]);
            });
        }
    });
}

// A thread has a variable of a draw; a block, draws of one variable.
template <class Block>
FOURFOLD_INLINE void draw_values_block(Block& block, const DrawCall& call) {
    const EmBuffers& buffers = call.em.buffers;
    const EmPlan& plan = call.em.plan;
    const std::int64_t draws = call.em.images * call.repeats;
    const std::int64_t blocks = (draws + kDrawThreads - 1) / kDrawThreads;
    const std::int64_t variable = block.index() / blocks;
    block.each([&](unsigned thread) {
        const std::int64_t at = block.index() % blocks * kDrawThreads + thread;
        if (at >= draws) return;
        const std::int64_t image = at / call.repeats;
        if (!is_possible(buffers.log_prob[image])) return;
        const EmTable table = plan.tables[plan.shape.nodes + variable];
        std::int32_t value = cell(call.em.codes, variable * call.em.images + image);
        if (value >= table.values) {
            const float* column = buffers.tables + table.start + call.states[table.node * draws + at];
            const double u = call.uniforms[(plan.shape.nodes + variable) * draws + at];
            value = draw(table.values, u, [&](std::int32_t k) {
                return static_cast<double>(column[static_cast<std::int64_t>(k) * table.width]);
            });
        }
        call.values[variable * draws + at] = value;
    });
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
