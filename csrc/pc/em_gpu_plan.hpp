// What a step of EM on a GPU does, block of threads by block: the nodes by level, the tables, and a job for every block
// that sums counts or changes a table. Made on the host once; plain data, which is then copied to the GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/tables.hpp"

namespace fourfold::pc {

// A product's block has so many rows and columns; so many images are a tile.
inline constexpr int kTile = 64;
// Distributions of a table that a block counts, or changes.
inline constexpr int kSlice = 32;

struct EmNode {
    std::int32_t parent;                                        // -1 at the root
    std::int32_t states, width, above_states, above_width;      // above: of the parent, 0 at the root
    std::int32_t leaf_begin, leaf_end, child_begin, child_end;  // into EmPlan::leaf and EmPlan::child
    std::int64_t row;          // floats an image before this node's, in likelihood and posterior; into expected
    std::int64_t message_row;  // the same, in message
    std::int64_t table;        // floats, into the tables: p(z_v | z_parent) as [M_v][width_parent]; the root's [width]
};

// [values][width], a distribution a column; of a leaf, behind it a row of ones for a missing value.
struct EmTable {
    std::int64_t start;
    std::int32_t values, width;
    std::int32_t columns;  // distributions; the others are padding
    std::int32_t node;     // that they are given; -1: the root's table, one column
};

struct EmJob {
    std::int32_t table, row, column;  // row and column where the block's part begins
};

struct EmShape {
    std::int64_t nodes, variables, edge_jobs, leaf_jobs, update_jobs;
};

// `table` counts the root and the edges, 0 .. nodes - 1, and then the leaves.
struct EmPlan {
    const EmNode* nodes;
    const EmTable* tables;
    const EmJob *edges, *leaves, *updates;
    const std::int32_t *leaf, *child;  // of the nodes, one after the other
    const std::int32_t* level_nodes;   // nodes by their distance from the root
    EmShape shape;
};

// Where its parts are if it begins at `memory`.
inline EmPlan em_plan_at(const EmShape& shape, const void* memory) {
    const auto next = [&]<class T>(const T*& part, std::int64_t count) {
        part = static_cast<const T*>(memory);
        memory = part + count;
    };
    EmPlan plan{};
    plan.shape = shape;
    // What needs the most alignment first.
    next(plan.nodes, shape.nodes);
    next(plan.tables, shape.nodes + shape.variables);
    next(plan.edges, shape.edge_jobs);
    next(plan.leaves, shape.leaf_jobs);
    next(plan.updates, shape.update_jobs);
    next(plan.leaf, shape.variables);
    next(plan.child, shape.nodes);
    next(plan.level_nodes, shape.nodes);
    return plan;
}

class EmPlanBuilder {
public:
    EmPlanBuilder(const Tree& tree, const Tables& tables);

    const EmShape& shape() const { return shape_; }
    std::size_t bytes() const;
    // Nodes of level l are level_nodes[levels()[l]] ... level_nodes[levels()[l + 1] - 1].
    const std::vector<std::int32_t>& levels() const { return levels_; }
    // Floats an image: of likelihood and posterior, and of messages.
    std::int64_t row() const { return row_; }
    std::int64_t message_row() const { return message_row_; }
    void write(void* memory) const;

private:
    EmShape shape_{};
    std::vector<EmNode> nodes_;
    std::vector<EmTable> tables_;
    std::vector<EmJob> edges_, leaves_, updates_;
    std::vector<std::int32_t> leaf_, child_, level_nodes_, levels_;
    std::int64_t row_ = 0, message_row_ = 0;
};

}  // namespace fourfold::pc
