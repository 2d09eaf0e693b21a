#include "pc/codec_gpu_program.hpp"

#include <algorithm>

namespace fourfold::pc {
namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }
std::size_t whole_lines(std::size_t floats) { return (floats + 15) / 16 * 16; }

}  // namespace

CodecProgramBuilder::CodecProgramBuilder(const Plan& plan) : plan_(plan), table_floats_(plan.tables.size()) {
    const auto in_lane = [](std::size_t place) { return static_cast<std::int32_t>(place / kLanes); };
    for (const Operation& op : plan.operations) {
        LaneOperation mine{};
        mine.kind = op.kind;
        mine.update_belief = op.update_belief;
        mine.update_evidence = op.update_evidence;
        mine.first_evidence = op.first_evidence;
        mine.states = op.states;
        mine.parent_states = op.parent_states;
        mine.variable = op.variable;
        mine.cardinality = op.cardinality;
        mine.table = static_cast<std::int64_t>(op.table);
        mine.ones = static_cast<std::int64_t>(op.ones);
        mine.belief = in_lane(op.belief);
        mine.evidence = in_lane(op.evidence);
        mine.parent_belief = in_lane(op.parent_belief);
        mine.parent_evidence = in_lane(op.parent_evidence);
        if (op.kind == Operation::Kind::finish) {
            mine.table = static_cast<std::int64_t>(table_floats_);
            table_floats_ += whole_lines(size(blocked(op.states)) * size(blocked(op.parent_states)));
        }
        operations_.push_back(mine);
    }
}

CodecProgram CodecProgramBuilder::view() const {
    CodecProgram program{};
    program.count = static_cast<std::int64_t>(operations_.size());
    program.variables = plan_.variables;
    program.factor = static_cast<std::int32_t>(plan_.state_floats / kLanes);
    program.lane_floats = program.factor + plan_.most_states;
    program.wide = plan_.most_values > 256;
    return program;
}

void CodecProgramBuilder::write(LaneOperation* operations, float* tables) const {
    std::copy(operations_.begin(), operations_.end(), operations);
    std::fill(std::copy_n(plan_.tables.data(), plan_.tables.size(), tables), tables + table_floats_, 0.0f);
    for (std::size_t k = 0; k < operations_.size(); ++k) {
        const LaneOperation& op = operations_[k];
        if (op.kind != Operation::Kind::finish) continue;
        const float* from = plan_.tables.data() + plan_.operations[k].table;
        float* to = tables + op.table;
        const std::size_t rows = size(blocked(op.parent_states)), columns = size(blocked(op.states));
        for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
        }
    }
}

}  // namespace fourfold::pc
