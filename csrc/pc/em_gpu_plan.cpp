#include "pc/em_gpu_plan.hpp"

#include <algorithm>
#include <numeric>

namespace fourfold::pc {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

EmPlanBuilder::EmPlanBuilder(const Tree& tree, const Tables& tables) {
    const TreeView view = tree.view();
    std::vector<std::int32_t> depth;
    for (std::size_t v = 0; v < view.nodes; ++v) {
        EmNode node{};
        node.parent = view.parent[v];
        node.states = view.states[v];
        node.width = view.width[v];
        if (v > 0) {
            node.above_states = view.states[index(node.parent)];
            node.above_width = view.width[index(node.parent)];
        }
        depth.push_back(v > 0 ? depth[index(node.parent)] + 1 : 0);
        node.leaf_begin = view.leaf_begin[v];
        node.leaf_end = view.leaf_begin[v + 1];
        node.child_begin = view.child_begin[v];
        node.child_end = view.child_begin[v + 1];
        node.row = row_;
        node.message_row = message_row_;
        node.table = static_cast<std::int64_t>(tables.shapes()[v].start);
        row_ += node.width;
        message_row_ += node.above_width;
        nodes_.push_back(node);
    }
    leaf_.assign(view.leaf, view.leaf + view.variables);
    child_.assign(view.child, view.child + view.child_begin[view.nodes]);
    child_.resize(view.nodes, -1);
    level_nodes_.resize(view.nodes);
    std::iota(level_nodes_.begin(), level_nodes_.end(), 0);
    std::stable_sort(level_nodes_.begin(), level_nodes_.end(),
                     [&](std::int32_t a, std::int32_t b) { return depth[index(a)] < depth[index(b)]; });
    for (std::size_t k = 0; k < view.nodes; ++k) {
        if (depth[index(level_nodes_[k])] == static_cast<std::int32_t>(levels_.size())) {
            levels_.push_back(static_cast<std::int32_t>(k));
        }
    }
    levels_.push_back(static_cast<std::int32_t>(view.nodes));
    for (std::size_t t = 0; t < tables.shapes().size(); ++t) {
        const Tables::Shape& shape = tables.shapes()[t];
        const auto number = static_cast<std::int32_t>(t);
        EmTable table{static_cast<std::int64_t>(shape.start), static_cast<std::int32_t>(shape.values),
                      static_cast<std::int32_t>(shape.width), static_cast<std::int32_t>(shape.states), -1};
        if (t == 0) {
            table.values = table.columns;
            table.width = table.columns = 1;
            leaves_.push_back({0, 0, 0});
        } else if (t < view.nodes) {
            table.node = view.parent[t];
            for (std::int32_t row = 0; row < table.values; row += kTile) {
                for (std::int32_t column = 0; column < table.columns; column += kTile) {
                    edges_.push_back({number, row, column});
                }
            }
        } else {
            table.node = view.leaf_node[t - view.nodes];
            for (std::int32_t column = 0; column < table.columns; column += kSlice) {
                leaves_.push_back({number, 0, column});
            }
        }
        for (std::int32_t column = 0; column < table.columns; column += kSlice) updates_.push_back({number, 0, column});
        tables_.push_back(table);
    }
    shape_ = {static_cast<std::int64_t>(view.nodes), static_cast<std::int64_t>(view.variables),
              static_cast<std::int64_t>(edges_.size()), static_cast<std::int64_t>(leaves_.size()),
              static_cast<std::int64_t>(updates_.size())};
}

std::size_t EmPlanBuilder::bytes() const {
    std::size_t size = sizeof(EmNode) * nodes_.size() + sizeof(EmTable) * tables_.size();
    size += sizeof(EmJob) * (edges_.size() + leaves_.size() + updates_.size());
    return size + sizeof(std::int32_t) * (leaf_.size() + child_.size() + level_nodes_.size());
}

void EmPlanBuilder::write(void* memory) const {
    auto* at = static_cast<unsigned char*>(memory);
    const auto put = [&](const auto& items) {
        const std::size_t size = items.size() * sizeof(items[0]);
        const auto* from = reinterpret_cast<const unsigned char*>(items.data());
        at = std::copy(from, from + size, at);
    };
    put(nodes_);
    put(tables_);
    put(edges_);
    put(leaves_);
    put(updates_);
    put(leaf_);
    put(child_);
    put(level_nodes_);
}

}  // namespace fourfold::pc
