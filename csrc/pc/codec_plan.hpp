// A circuit as the codec sees it: the depth-first walk as a list of operations, and the tables it reads.
//
// The walk visits the latent nodes depth first and codes the variables of a node when it arrives there. At a node v it
// keeps, for each of the images that are coded side by side,
//   belief   bel_v[z]  the probability of z_v given everything coded so far, up to a factor
//   evidence u_v[z]    the probability of everything coded in v's subtree given z_v, up to a factor;
//                      only where the walk returns to the parent with something left to do there
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/aligned.hpp"
#include "support/host_device.hpp"

namespace fourfold::pc {

inline constexpr int kLanes = 16;      // images side by side
inline constexpr int kPrecision = 24;  // the frequencies of a symbol's alternatives sum to 2^24

// Rows of a state vector, and columns of a leaf table, are padded with zeros to a multiple of this: a dot product has
// kPartials partial sums.
inline constexpr int kPartials = 16;
// Both sides of a transition table are padded with zeros to a multiple of this, its register block.
inline constexpr int kBlock = 8;

FOURFOLD_HOST_DEVICE constexpr int padded(int states) { return (states + kPartials - 1) / kPartials * kPartials; }
FOURFOLD_HOST_DEVICE constexpr int blocked(int states) { return (states + kBlock - 1) / kBlock * kBlock; }

// The circuit, in the layout of fourfold.pc.Circuit.packed.
struct CircuitView {
    int nodes, variables;
    const std::int32_t* parent;       // [nodes]
    const std::int32_t* states;       // [nodes]
    const std::int32_t* leaf_node;    // [variables]
    const std::int32_t* cardinality;  // [variables]
    const float* packed;
    const std::int64_t* offsets;  // [nodes + variables]: root, edges 1.., leaves 0..
};

struct Operation {
    enum class Kind : std::int32_t {
        start,   // bel = root table
        down,    // bel = table' parent_bel
        code,    // code the variable; bel *= its column of the leaf table, u *= the same
        finish,  // m = table u; parent_bel *= m, parent_u *= m
    };
    Kind kind;
    bool update_belief;    // code: bel is read again; finish: parent_bel is
    bool update_evidence;  // code: u is read later; finish: parent_u is
    bool first_evidence;   // this is the first factor of u (of parent_u)
    int states, parent_states;
    int variable, cardinality;
    // In floats: into Plan::tables
    std::size_t table;
    std::size_t ones;  // ones[states], zeros behind: the column of a value that is missing
    // In floats: into a worker's scratch, each [padded(states)][kLanes]
    std::size_t belief, evidence, parent_belief, parent_evidence;
};

// Tables, each beginning at a cache line:
//   start  root[padded(M)]
//   down, finish  the edge, [blocked(M_parent)][blocked(M)]
//   code   cumulative [K + 1][padded(M)]: row x holds p(X < x | z), the sequential sum of the leaf's entries in single
//          precision, so that row 0 is zero and no entry is less than the one above it
class Plan {
public:
    // Throws std::invalid_argument if a table cannot be coded with: a leaf whose row does not sum to about 1.
    Plan(const CircuitView& circuit, int threads);

    std::vector<Operation> operations;
    AlignedBuffer<float> tables;
    std::size_t state_floats = 0;  // scratch of one worker that holds beliefs and evidence
    int most_states = 0;           // padded
    int variables = 0;
    int most_values = 0;
    std::int64_t bits_per_row = 0;  // sum over the variables of ceil(log2 K)
    std::vector<std::int32_t> cardinality;
    std::vector<std::int32_t> order;  // the variables as they are coded
};

}  // namespace fourfold::pc
