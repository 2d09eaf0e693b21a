// The jointly most probable values and states: the tree's max-product pass, in logarithms and double precision.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "pc/model.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::pc {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

struct Best {
    double value = kImpossible;
    std::int32_t at = 0;
    void offer(double candidate, std::size_t k) {
        if (candidate > value) {
            value = candidate;
            at = static_cast<std::int32_t>(k);
        }
    }
};

std::size_t code_of(const Codes& codes, std::size_t at) {
    switch (codes.bytes) {
        case 1: return static_cast<const std::uint8_t*>(codes.data)[at];
        case 2: return static_cast<const std::uint16_t*>(codes.data)[at];
        default: return static_cast<std::size_t>(static_cast<const std::int32_t*>(codes.data)[at]);
    }
}

}  // namespace

void Model::most_probable(const Codes& codes, std::size_t count, std::int32_t* values, std::int32_t* states,
                          double* log_joint, int threads) const {
    const std::size_t nodes = tree_.nodes(), variables = tree_.variables();
    const std::int64_t* offsets = tables_.offsets().data();
    // Logarithms of the edges' tables, and each leaf's best value given each state.
    std::vector<std::vector<double>> edge(nodes);
    std::vector<std::vector<Best>> best_value(variables);
    for (std::size_t v = 1; v < nodes; ++v) {
        const std::size_t size = tree_.states(tree_.parent(v)) * tree_.states(v);
        for (std::size_t k = 0; k < size; ++k)
            edge[v].push_back(std::log(static_cast<double>(packed_[offsets[v] + static_cast<std::ptrdiff_t>(k)])));
    }
    const auto leaf_row = [&](std::size_t i, std::size_t m) {
        return packed_ + offsets[nodes + i] + static_cast<std::ptrdiff_t>(m * tree_.cardinality(i));
    };
    for (std::size_t i = 0; i < variables; ++i) {
        best_value[i].resize(tree_.states(tree_.leaf_node(i)));
        for (std::size_t m = 0; m < best_value[i].size(); ++m) {
            Best& best = best_value[i][m];
            for (std::size_t k = 0; k < tree_.cardinality(i); ++k) best.offer(leaf_row(i, m)[k], k);
            best.value = std::log(best.value);
        }
    }
    std::vector<std::size_t> start(nodes + 1, 0);
    for (std::size_t v = 0; v < nodes; ++v) start[v + 1] = start[v] + tree_.states(v);

    parallel_for(count, threads, [&](std::size_t row, int) {
        std::vector<double> score(start[nodes], 0.0);
        std::int32_t* value = values + row * variables;
        std::int32_t* state = states + row * nodes;
        for (std::size_t i = 0; i < variables; ++i) {
            const std::size_t v = tree_.leaf_node(i), code = code_of(codes, row * variables + i);
            for (std::size_t m = 0; m < tree_.states(v); ++m) {
                score[start[v] + m] += code < tree_.cardinality(i) ? std::log(static_cast<double>(leaf_row(i, m)[code]))
                                                                   : best_value[i][m].value;
            }
        }
        const auto best_state = [&](std::size_t v, const double* prior) {
            Best best;
            for (std::size_t m = 0; m < tree_.states(v); ++m) best.offer(prior[m] + score[start[v] + m], m);
            return best;
        };
        for (std::size_t v = nodes; v-- > 1;) {
            const std::size_t p = tree_.parent(v);
            for (std::size_t m = 0; m < tree_.states(p); ++m) {
                score[start[p] + m] += best_state(v, edge[v].data() + m * tree_.states(v)).value;
            }
        }
        std::vector<double> root(tree_.states(0));
        for (std::size_t m = 0; m < root.size(); ++m)
            root[m] = std::log(static_cast<double>(packed_[offsets[0] + static_cast<std::ptrdiff_t>(m)]));
        const Best top = best_state(0, root.data());
        log_joint[row] = top.value;
        state[0] = top.at;
        for (std::size_t v = 1; v < nodes; ++v) {
            const auto above = static_cast<std::size_t>(state[tree_.parent(v)]);
            state[v] = best_state(v, edge[v].data() + above * tree_.states(v)).at;
        }
        for (std::size_t i = 0; i < variables; ++i) {
            const std::size_t code = code_of(codes, row * variables + i);
            value[i] = code < tree_.cardinality(i)
                           ? static_cast<std::int32_t>(code)
                           : best_value[i][static_cast<std::size_t>(state[tree_.leaf_node(i)])].at;
        }
    });
}

}  // namespace fourfold::pc
