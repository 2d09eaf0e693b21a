// A codec's plan as the GPU reads it: the same operations, a warp a row.
//
// Places are in the memory of one row's lane instead of kLanes of them. The tables are Plan's, and behind them, for
// each edge that the walk comes back over, the same transposed, [blocked(M)][blocked(M_parent)], so that in either
// direction neighbouring threads read neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/codec_plan.hpp"

namespace fourfold::pc {

// An operation of Plan, see there, in half of its bytes.
struct LaneOperation {
    Operation::Kind kind;
    bool update_belief, update_evidence, first_evidence;
    std::int32_t states, parent_states, variable, cardinality;
    std::int64_t table, ones;                                       // floats, into the tables
    std::int32_t belief, evidence, parent_belief, parent_evidence;  // floats, into the lane's memory
};

// What the kernels are given; addresses are of device memory.
struct CodecProgram {
    const LaneOperation* operations;
    const float* tables;
    std::int64_t count;        // of operations
    std::int64_t variables;    // D
    std::int64_t lane_floats;  // a lane's memory: state vectors, and one of the most states behind them
    std::int32_t factor;       // where that one begins
    std::int32_t wide;         // checksums are of 16-bit words
};

class CodecProgramBuilder {
public:
    explicit CodecProgramBuilder(const Plan& plan);

    // With addresses of the host's copies below.
    CodecProgram view() const;

    std::size_t operation_count() const { return operations_.size(); }
    std::size_t table_floats() const { return table_floats_; }
    void write(LaneOperation* operations, float* tables) const;

private:
    const Plan& plan_;
    std::vector<LaneOperation> operations_;
    std::size_t table_floats_;
};

}  // namespace fourfold::pc
