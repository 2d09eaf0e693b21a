// The pass up a circuit's tree as a list of operations, for the GPU: a warp has kImages images, and vectors of their
// states for as few nodes at a time as the order of the nodes allows (a child that needs more of them comes first).
// A vector is the product of a node's leaf rows and its children's messages, float[kImages][padded(states)].
//
// As on the CPU (pass_kernels.cpp) a power of two is taken out of each image's vector when it is complete, and a node
// of more than three factors carries an exponent for every state meanwhile, int32[kImages][padded(states)].
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/codec_plan.hpp"

namespace fourfold::pc {

inline constexpr int kImages = 8;

struct UpOperation {
    enum class Kind : std::int32_t {
        ones,    // vector = 1, of a node without variables below it
        leaf,    // vector *= the variable's row of its leaf table
        finish,  // the parent's vector *= table times vector
        end,     // log of root table . vector
    };
    Kind kind;
    bool first, spread;              // whether the vector begins here; whether it has exponents
    bool above_first, above_spread;  // the same of the parent's
    std::int32_t states, above_states, variable;
    std::int64_t table;              // floats, into the tables
    std::int32_t vector, exponents;  // floats, into the warp's memory
    std::int32_t above_vector, above_exponents;
};

// Tables, each beginning at a cache line:
//   end     root[padded(M)]
//   finish  the edge transposed, [padded(M)][padded(M_parent)], so that neighbouring threads read neighbours
//   leaf    [K + 1][padded(M)]; row K, for a missing value, is 1
struct UpProgram {
    const UpOperation* operations;
    const float* tables;
    std::int64_t count, variables, warp_floats;
};

class UpProgramBuilder {
public:
    // The view's arrays must outlive this.
    explicit UpProgramBuilder(const CircuitView& circuit);

    UpProgram view() const;  // without addresses
    std::size_t operation_count() const { return operations_.size(); }
    std::size_t table_floats() const { return table_floats_; }
    void write(UpOperation* operations, float* tables) const;

private:
    void plan();
    std::int64_t new_table(std::size_t floats);

    CircuitView circuit_;
    std::vector<UpOperation> operations_;
    std::vector<std::int64_t> edge_tables_, leaf_tables_;  // [nodes], [variables]
    std::size_t table_floats_ = 0;
    std::int32_t warp_floats_ = 0;
};

}  // namespace fourfold::pc
