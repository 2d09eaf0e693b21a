// The passes over the tree, compiled once per ISA level. Plain data; no Python, no allocation inside the kernels.
//
// Everything a node has for one image is a row of `width` floats, the states padded with zeros; rows of successive
// images follow each other: x[image][state]. So a leaf's likelihood is one row of its table, and each of the three
// products of an edge is a small matrix product whose inner loop runs along the states.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pc/tree.hpp"

namespace fourfold::pc {

// Every table is [values][width of the node above]: lane m holds the distribution given state m.
struct TableView {
    const float* root;         // [width_0]
    const float* const* up;    // [nodes] p(z_v | z_parent) as [M_v][width_parent]; null at the root
    const float* const* down;  // [nodes] the same as [M_parent][width_v]
    const float* const* leaf;  // [variables] p(x_i | z) as [K_i + 1][width]; row K_i, for a missing value, is 1
};

// What a batch of `stride` images has in memory.
struct BatchView {
    std::size_t stride;
    const std::int32_t* codes;  // [variables][stride] the values, K_i if missing
    float* const* likelihood;   // [nodes][stride][width_v] p(evidence below | z_v) / 2^(exponents below)
    float* const* message;      // [nodes][stride][width_parent]; after down(): posterior of the parent / message
    float* const* posterior;    // [nodes][stride][width_v] weight * p(z_v | evidence); null if down() is not called
    std::int32_t* exponent;     // [stride] of the powers of two taken out so far
    double* log_prob;           // [stride]
};

// How the expected counts F of a row of a table with K entries change its probabilities p. T is their sum.
struct UpdateRule {
    // proportional: p <- (1 - step) p + step (F + pseudocount / K) / (T + pseudocount)
    // rescaled:     p <- normalised (1 - step) weight p + step F + pseudocount / K, where weight is the number of
    //               images that are expected to pass through the row
    bool rescaled;
    float step;
    float pseudocount;
    // F is the moving average of the batches' counts, average <- momentum average + (1 - momentum) F, divided by
    // `correction` = 1 - momentum^batches. No average is kept if momentum is 0.
    float momentum;
    float correction;
};

struct PassKernels {
    // Fills likelihood, message, exponent and log_prob of images first ... first + count - 1.
    // scratch: [count][largest width] int32.
    void (*up)(const TreeView&, const TableView&, const BatchView&, std::size_t first, std::size_t count,
               std::int32_t* scratch);
    // After up(): fills posterior, overwrites message. weight: [stride], or null for 1.
    void (*down)(const TreeView&, const TableView&, const BatchView&, const float* weight, std::size_t first,
                 std::size_t count);
    // After down(), over all `count` images of the batch: out[M_v][width_parent] = sum of likelihood times ratio,
    // which is the derivative of the sum of log p(x) with respect to up[v].
    void (*edge_flow)(const TreeView&, const BatchView&, std::size_t v, std::size_t count, float* out);
    // out[K_i][width] += posterior rows, by the value of the variable. Row K_i, for missing values, is written as well.
    void (*leaf_flow)(const TreeView&, const BatchView&, std::size_t i, std::size_t count, float* out);
    // Changes table[values][width] given flow[values][width]; average [values][width] or null; weight [width], used
    // by the rescaled rule. scratch: [2][width]. Lanes whose total is 0 stay as they are.
    void (*update)(const UpdateRule&, std::size_t values, std::size_t width, float* table, float* flow, float* average,
                   const float* weight, float* scratch);
};

const PassKernels& pass_kernels();

}  // namespace fourfold::pc
