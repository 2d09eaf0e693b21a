#include "pc/likelihood_gpu_program.hpp"

#include <algorithm>

#include "pc/factors.hpp"

namespace fourfold::pc {
namespace {

using Kind = UpOperation::Kind;

std::size_t size(int n) { return static_cast<std::size_t>(n); }

// Places of vectors in a warp's memory, given back when they are no longer read.
class Places {
public:
    std::int32_t take(std::int32_t floats) {
        auto best = free_.end();
        for (auto it = free_.begin(); it != free_.end(); ++it) {
            if (it->floats >= floats && (best == free_.end() || it->floats < best->floats)) best = it;
        }
        Place place{total_, floats};
        if (best == free_.end()) {
            total_ += floats;
        } else {
            place = *best;
            free_.erase(best);
        }
        taken_.push_back(place);
        return place.at;
    }
    void give_back(std::int32_t at) {
        const auto it = std::find_if(taken_.begin(), taken_.end(), [&](const Place& p) { return p.at == at; });
        free_.push_back(*it);
        taken_.erase(it);
    }
    std::int32_t total() const { return total_; }

private:
    struct Place {
        std::int32_t at, floats;
    };
    std::vector<Place> free_, taken_;
    std::int32_t total_ = 0;
};

}  // namespace

UpProgramBuilder::UpProgramBuilder(const CircuitView& circuit)
    : circuit_(circuit), edge_tables_(size(circuit.nodes)), leaf_tables_(size(circuit.variables)) {
    for (int v = 0; v < circuit.nodes; ++v) {
        const int rows = v == 0 ? 1 : padded(circuit.states[v]);
        const int columns = padded(circuit.states[v == 0 ? 0 : circuit.parent[v]]);
        edge_tables_[size(v)] = new_table(size(rows) * size(columns));
    }
    for (int i = 0; i < circuit.variables; ++i) {
        leaf_tables_[size(i)] =
            new_table(size(circuit.cardinality[i] + 1) * size(padded(circuit.states[circuit.leaf_node[i]])));
    }
    plan();
}

std::int64_t UpProgramBuilder::new_table(std::size_t floats) {
    const std::size_t at = table_floats_;
    table_floats_ += floats;  // widths are whole lines
    return static_cast<std::int64_t>(at);
}

void UpProgramBuilder::plan() {
    const CircuitView& c = circuit_;
    struct Node {
        std::vector<int> children, variables;
        int need = 1;  // vectors at a time below it
        std::size_t visited = 0;
        bool begun = false, spread = false;
        std::int32_t vector = 0, exponents = 0;
    };
    std::vector<Node> nodes(size(c.nodes));
    for (int i = 0; i < c.variables; ++i) nodes[size(c.leaf_node[i])].variables.push_back(i);
    for (int v = c.nodes - 1; v >= 0; --v) {
        Node& node = nodes[size(v)];
        std::reverse(node.children.begin(), node.children.end());
        std::stable_sort(node.children.begin(), node.children.end(),
                         [&](int a, int b) { return nodes[size(a)].need > nodes[size(b)].need; });
        for (std::size_t k = 0; k < node.children.size(); ++k) {
            // From the first child's message on the node has a vector of its own.
            node.need = std::max({node.need, nodes[size(node.children[k])].need + (k > 0 ? 1 : 0), 2});
        }
        node.spread = node.children.size() + node.variables.size() > kPlainFactors;
        if (v > 0) nodes[size(c.parent[v])].children.push_back(v);
    }
    Places places;
    const auto begin = [&](int v) {
        Node& node = nodes[size(v)];
        if (node.begun) return false;
        node.begun = true;
        node.vector = places.take(kImages * padded(c.states[v]));
        if (node.spread) node.exponents = places.take(kImages * padded(c.states[v]));
        return true;
    };
    const auto operation = [&](Kind kind, int v, bool first) {
        const Node& node = nodes[size(v)];
        UpOperation op{};
        op.kind = kind;
        op.first = first;
        op.spread = node.spread;
        op.states = c.states[v];
        op.vector = node.vector;
        op.exponents = node.exponents;
        return op;
    };
    // Recursion would need a stack as deep as the tree.
    std::vector<int> path{0};
    while (!path.empty()) {
        const int v = path.back();
        Node& node = nodes[size(v)];
        if (node.visited < node.children.size()) {
            path.push_back(node.children[node.visited++]);
            continue;
        }
        path.pop_back();
        for (const int i : node.variables) {
            const bool first = begin(v);
            UpOperation op = operation(Kind::leaf, v, first);
            op.variable = i;
            op.above_states = c.cardinality[i];
            op.table = leaf_tables_[size(i)];
            operations_.push_back(op);
        }
        if (begin(v)) operations_.push_back(operation(Kind::ones, v, true));
        UpOperation op = operation(v == 0 ? Kind::end : Kind::finish, v, false);
        op.table = edge_tables_[size(v)];
        if (v > 0) {
            const int p = c.parent[v];
            op.above_first = begin(p);
            op.above_states = c.states[p];
            op.above_spread = nodes[size(p)].spread;
            op.above_vector = nodes[size(p)].vector;
            op.above_exponents = nodes[size(p)].exponents;
        }
        operations_.push_back(op);
        places.give_back(node.vector);
        if (node.spread) places.give_back(node.exponents);
    }
    warp_floats_ = places.total();
}

UpProgram UpProgramBuilder::view() const {
    return {nullptr, nullptr, static_cast<std::int64_t>(operations_.size()), circuit_.variables, warp_floats_};
}

void UpProgramBuilder::write(UpOperation* operations, float* tables) const {
    const CircuitView& c = circuit_;
    std::copy(operations_.begin(), operations_.end(), operations);
    std::fill_n(tables, table_floats_, 0.0f);
    std::copy_n(c.packed + c.offsets[0], c.states[0], tables + edge_tables_[0]);
    for (int v = 1; v < c.nodes; ++v) {
        const int rows = c.states[c.parent[v]], columns = c.states[v];
        const float* from = c.packed + c.offsets[v];
        float* to = tables + edge_tables_[size(v)];
        for (int r = 0; r < rows; ++r) {
            for (int z = 0; z < columns; ++z)
                to[size(z) * size(padded(rows)) + size(r)] = from[size(r) * size(columns) + size(z)];
        }
    }
    for (int i = 0; i < c.variables; ++i) {
        const int states = c.states[c.leaf_node[i]], values = c.cardinality[i];
        const float* from = c.packed + c.offsets[c.nodes + i];
        float* to = tables + leaf_tables_[size(i)];
        for (int z = 0; z < states; ++z) {
            for (int x = 0; x < values; ++x)
                to[size(x) * size(padded(states)) + size(z)] = from[size(z) * size(values) + size(x)];
            to[size(values) * size(padded(states)) + size(z)] = 1.0f;
        }
    }
}

}  // namespace fourfold::pc
