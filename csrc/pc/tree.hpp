// The tree of latent variables as the kernels see it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fourfold::pc {

// States are padded to a multiple of this many floats, a cache line, at every ISA level.
inline constexpr std::size_t kPad = 16;

inline std::size_t padded(std::size_t states) { return (states + kPad - 1) / kPad * kPad; }

// Nodes in topological order: parent[0] = -1, parent[v] < v. Lists of children and leaves are in CSR form:
// children of v are child[child_begin[v]] ... child[child_begin[v + 1] - 1], ascending.
struct TreeView {
    std::size_t nodes, variables;
    const std::int32_t* parent;       // [nodes]
    const std::int32_t* states;       // [nodes] M_v
    const std::int32_t* width;        // [nodes] M_v padded
    const std::int32_t* child_begin;  // [nodes + 1]
    const std::int32_t* child;
    const std::int32_t* leaf_begin;  // [nodes + 1]
    const std::int32_t* leaf;
    const std::int32_t* leaf_node;    // [variables]
    const std::int32_t* cardinality;  // [variables] K_i
};

class Tree {
public:
    Tree(std::size_t nodes, std::size_t variables, const std::int32_t* parent, const std::int32_t* states,
         const std::int32_t* leaf_node, const std::int32_t* cardinality);

    TreeView view() const;
    std::size_t nodes() const { return parent_.size(); }
    std::size_t variables() const { return leaf_node_.size(); }
    std::size_t width(std::size_t v) const { return static_cast<std::size_t>(width_[v]); }
    std::size_t states(std::size_t v) const { return static_cast<std::size_t>(states_[v]); }
    std::size_t parent(std::size_t v) const { return static_cast<std::size_t>(parent_[v]); }
    std::size_t leaf_node(std::size_t i) const { return static_cast<std::size_t>(leaf_node_[i]); }
    std::size_t cardinality(std::size_t i) const { return static_cast<std::size_t>(cardinality_[i]); }

private:
    std::vector<std::int32_t> parent_, states_, width_, child_begin_, child_, leaf_begin_, leaf_, leaf_node_,
        cardinality_;
};

}  // namespace fourfold::pc
