#include "pc/tree.hpp"

namespace fourfold::pc {
namespace {

// Members of each group, ascending, as begin offsets and one list. Entries of `group` that are negative are left out.
void group_by(const std::vector<std::int32_t>& group, std::size_t groups, std::vector<std::int32_t>& begin,
              std::vector<std::int32_t>& members) {
    begin.assign(groups + 1, 0);
    for (std::int32_t g : group) {
        if (g >= 0) ++begin[static_cast<std::size_t>(g) + 1];
    }
    for (std::size_t g = 0; g < groups; ++g) begin[g + 1] += begin[g];
    members.resize(static_cast<std::size_t>(begin[groups]));
    std::vector<std::int32_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t i = 0; i < group.size(); ++i) {
        if (group[i] >= 0) {
            members[static_cast<std::size_t>(next[static_cast<std::size_t>(group[i])]++)] =
                static_cast<std::int32_t>(i);
        }
    }
}

}  // namespace

Tree::Tree(std::size_t nodes, std::size_t variables, const std::int32_t* parent, const std::int32_t* states,
           const std::int32_t* leaf_node, const std::int32_t* cardinality)
    : parent_(parent, parent + nodes),
      states_(states, states + nodes),
      leaf_node_(leaf_node, leaf_node + variables),
      cardinality_(cardinality, cardinality + variables) {
    for (std::int32_t count : states_) {
        width_.push_back(static_cast<std::int32_t>(padded(static_cast<std::size_t>(count))));
    }
    group_by(parent_, nodes, child_begin_, child_);
    group_by(leaf_node_, nodes, leaf_begin_, leaf_);
}

TreeView Tree::view() const {
    return {nodes(),       variables(),         parent_.data(),     states_.data(),
            width_.data(), child_begin_.data(), child_.data(),      leaf_begin_.data(),
            leaf_.data(),  leaf_node_.data(),   cardinality_.data()};
}

}  // namespace fourfold::pc
