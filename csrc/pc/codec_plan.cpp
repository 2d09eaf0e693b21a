#include "pc/codec_plan.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

#include "pc/float_environment.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::pc {
namespace {

using Kind = Operation::Kind;

// Memory of state vectors in a worker's scratch, given back when a vector is no longer read.
class Slots {
public:
    std::size_t take(int states) {
        const std::size_t need = static_cast<std::size_t>(padded(states)) * kLanes;
        auto best = free_.end();
        for (auto it = free_.begin(); it != free_.end(); ++it) {
            if (it->size >= need && (best == free_.end() || it->size < best->size)) best = it;
        }
        if (best == free_.end()) {
            taken_.push_back({total_, need});
            total_ += need;
        } else {
            taken_.push_back(*best);
            free_.erase(best);
        }
        return taken_.back().offset;
    }
    void give_back(std::size_t offset) {
        const auto it = std::find_if(taken_.begin(), taken_.end(), [&](const Slot& s) { return s.offset == offset; });
        free_.push_back(*it);
        taken_.erase(it);
    }
    std::size_t total() const { return total_; }

private:
    struct Slot {
        std::size_t offset, size;
    };
    std::vector<Slot> free_, taken_;
    std::size_t total_ = 0;
};

struct Tree {
    std::vector<std::vector<int>> children;  // that have a variable below them, in the order in which they are visited
    std::vector<std::vector<int>> variables;
};

// The child with the deepest subtree last, so that the final path of the walk never returns; of equal ones the lower
// number first. Subtrees without a variable say nothing about any and are left out.
Tree order_tree(const CircuitView& c) {
    Tree tree{std::vector<std::vector<int>>(c.nodes), std::vector<std::vector<int>>(c.nodes)};
    for (int i = 0; i < c.variables; ++i) tree.variables[c.leaf_node[i]].push_back(i);
    std::vector<int> height(c.nodes, -1);  // -1: no variable in the subtree
    for (int v = c.nodes - 1; v >= 0; --v) {
        if (!tree.variables[v].empty()) height[v] = std::max(height[v], 0);
        if (v > 0 && height[v] >= 0) height[c.parent[v]] = std::max(height[c.parent[v]], height[v] + 1);
    }
    for (int v = 1; v < c.nodes; ++v) {
        if (height[v] >= 0) tree.children[c.parent[v]].push_back(v);
    }
    for (auto& children : tree.children) {
        std::stable_sort(children.begin(), children.end(), [&](int a, int b) { return height[a] < height[b]; });
    }
    return tree;
}

std::size_t whole_lines(std::size_t floats) { return (floats + 15) / 16 * 16; }

// Writes the operations in the order of the walk, and says where every table will be.
class Compiler {
public:
    Compiler(const CircuitView& circuit, Plan& plan) : c_(circuit), plan_(plan), tree_(order_tree(circuit)) {
        nodes_.resize(c_.nodes);
        leaf_tables.resize(c_.variables);
        edge_tables.resize(c_.nodes);
        // Recursion would need a stack as deep as the tree.
        std::vector<int> path;
        arrive(0);
        path.push_back(0);
        while (!path.empty()) {
            const int v = path.back();
            if (nodes_[v].visited < tree_.children[v].size()) {
                const int child = tree_.children[v][nodes_[v].visited++];
                arrive(child);
                path.push_back(child);
            } else {
                path.pop_back();
                if (v > 0) leave(v);
            }
        }
        plan_.state_floats = slots_.total();
    }

    std::vector<int> below_root;  // nodes visited, without the root
    std::vector<std::size_t> leaf_tables, edge_tables, ones_tables;
    std::vector<int> ones_states;
    std::size_t table_floats = 0;

private:
    struct Node {
        std::size_t belief, evidence, ones;
        std::size_t visited = 0;  // children
        bool returns = false;     // the walk has something left to do above when it leaves
        bool has_evidence = false;
    };

    std::size_t new_table(std::size_t floats) {
        const std::size_t at = table_floats;
        table_floats += whole_lines(floats);
        return at;
    }

    bool is_last_child(int v) const { return tree_.children[c_.parent[v]].back() == v; }

    void arrive(int v) {
        Node& node = nodes_[v];
        const int states = c_.states[v];
        plan_.most_states = std::max(plan_.most_states, padded(states));
        Operation op{};
        op.states = states;
        op.belief = node.belief = slots_.take(states);
        if (v == 0) {
            op.kind = Kind::start;
            op.table = edge_tables[0] = new_table(padded(states));
        } else {
            const int p = c_.parent[v];
            op.kind = Kind::down;
            op.parent_states = c_.states[p];
            op.parent_belief = nodes_[p].belief;
            op.table = edge_tables[v] = new_table(static_cast<std::size_t>(blocked(c_.states[p])) * blocked(states));
            node.returns = !is_last_child(v) || nodes_[p].returns;
            below_root.push_back(v);
        }
        plan_.operations.push_back(op);
        if (v > 0 && is_last_child(v)) slots_.give_back(nodes_[c_.parent[v]].belief);
        if (node.returns) node.evidence = slots_.take(states);
        if (!tree_.variables[v].empty()) {
            node.ones = new_table(padded(states));
            ones_tables.push_back(node.ones);
            ones_states.push_back(states);
        }
        for (const int i : tree_.variables[v]) code(v, i);
        if (tree_.children[v].empty()) slots_.give_back(node.belief);
    }

    void code(int v, int i) {
        Node& node = nodes_[v];
        Operation op{};
        op.kind = Kind::code;
        op.states = c_.states[v];
        op.variable = i;
        op.cardinality = c_.cardinality[i];
        op.belief = node.belief;
        op.evidence = node.evidence;
        op.update_belief = i != tree_.variables[v].back() || !tree_.children[v].empty();
        op.update_evidence = node.returns;
        op.first_evidence = !node.has_evidence;
        node.has_evidence = true;
        op.ones = node.ones;
        op.table = leaf_tables[i] =
            new_table((static_cast<std::size_t>(op.cardinality) + 1) * static_cast<std::size_t>(padded(op.states)));
        plan_.operations.push_back(op);
        plan_.order.push_back(i);
    }

    void leave(int v) {
        if (!nodes_[v].returns) return;
        Node& parent = nodes_[c_.parent[v]];
        Operation op{};
        op.kind = Kind::finish;
        op.states = c_.states[v];
        op.parent_states = c_.states[c_.parent[v]];
        op.table = edge_tables[v];
        op.evidence = nodes_[v].evidence;
        op.parent_belief = parent.belief;
        op.parent_evidence = parent.evidence;
        op.update_belief = !is_last_child(v);
        op.update_evidence = parent.returns;
        op.first_evidence = !parent.has_evidence;
        parent.has_evidence = true;
        plan_.operations.push_back(op);
        slots_.give_back(op.evidence);
    }

    const CircuitView& c_;
    Plan& plan_;
    Tree tree_;
    std::vector<Node> nodes_;
    Slots slots_;
};

void fill_edge(const CircuitView& c, int v, float* to) {
    const int rows = c.states[c.parent[v]], columns = c.states[v], stride = blocked(columns);
    const float* from = c.packed + c.offsets[v];
    for (int r = 0; r < rows; ++r) std::copy_n(from + std::size_t(r) * columns, columns, to + std::size_t(r) * stride);
}

// Not inlined: arithmetic must not move across the change of the environment.
__attribute__((noinline)) void fill_leaf(const CircuitView& c, int i, float* to) {
    const int states = c.states[c.leaf_node[i]], values = c.cardinality[i];
    const std::size_t stride = padded(states);
    const float* from = c.packed + c.offsets[c.nodes + i];
    for (int x = 0; x < values; ++x) {
        const float* above = to + x * stride;
        float* here = to + (x + 1) * stride;
        for (int z = 0; z < states; ++z) here[z] = above[z] + from[std::size_t(z) * values + x];
    }
    const float* total = to + values * stride;
    for (int z = 0; z < states; ++z) {
        if (!(total[z] > 0.5f && total[z] < 2.0f)) {
            throw std::invalid_argument("leaves[" + std::to_string(i) + "]: row " + std::to_string(z) + " sums to " +
                                        std::to_string(total[z]) + " in single precision, expected 1");
        }
    }
}

}  // namespace

Plan::Plan(const CircuitView& circuit, int threads)
    : variables(circuit.variables), cardinality(circuit.cardinality, circuit.cardinality + circuit.variables) {
    for (const std::int32_t values : cardinality) {
        most_values = std::max(most_values, values);
        bits_per_row += std::bit_width(static_cast<std::uint32_t>(values - 1));
    }
    const Compiler compiled(circuit, *this);
    tables = AlignedBuffer<float>(compiled.table_floats);
    std::copy_n(circuit.packed + circuit.offsets[0], circuit.states[0], tables.data() + compiled.edge_tables[0]);
    for (std::size_t k = 0; k < compiled.ones_tables.size(); ++k) {
        std::fill_n(tables.data() + compiled.ones_tables[k], compiled.ones_states[k], 1.0f);
    }
    for (const int v : compiled.below_root) fill_edge(circuit, v, tables.data() + compiled.edge_tables[v]);
    parallel_for(order.size(), threads, [&](std::size_t k, int) {
        const StandardFloats pinned;
        fill_leaf(circuit, order[k], tables.data() + compiled.leaf_tables[order[k]]);
    });
}

}  // namespace fourfold::pc
