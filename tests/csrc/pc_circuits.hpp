// Random circuits for tests: trees of any shape, tables from smooth to nearly deterministic.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "pc/codec_plan.hpp"

namespace fourfold::pc {

class RandomCircuit {
public:
    static constexpr int kWide = 1000;     // a few rows have 2^18 raw bits
    static constexpr int kMixture = 1001;  // hundreds of factors a node

    // Probabilities are down to e^-sharpness; 0: of any kind, up to nearly deterministic, maybe with zeros.
    RandomCircuit(std::mt19937_64& random, int turn, double sharpness = 0) {
        const bool wide = turn == kWide, mixture = turn == kMixture;
        const auto below = [&](std::uint64_t n) { return static_cast<std::int32_t>(random() % n); };
        const std::int32_t nodes = wide ? 5 : 1 + below(mixture ? 3 : 12);
        const std::int32_t variables = wide || mixture ? 330 : 1 + below(14);
        const std::int32_t most_states = wide ? 3 : std::vector<std::int32_t>{2, 9, 16, 33, 70}[random() % 5];
        const std::int32_t most_values = wide ? 65536 : std::vector<std::int32_t>{2, 5, 40, 256, 1100}[random() % 5];
        const std::int32_t shape = below(3);
        for (std::int32_t v = 0; v < nodes; ++v) {
            parent_.push_back(v == 0 ? -1 : shape == 0 ? v - 1 : shape == 1 ? 0 : below(static_cast<std::uint64_t>(v)));
            states_.push_back(1 + below(static_cast<std::uint64_t>(most_states)));
        }
        for (std::int32_t i = 0; i < variables; ++i) {
            leaf_node_.push_back(below(static_cast<std::uint64_t>(nodes)));
            cardinality_.push_back(1 + below(static_cast<std::uint64_t>(wide ? 40 : most_values)));
        }
        if (wide) cardinality_[0] = most_values;
        if (wide) std::fill(cardinality_.begin() + 1, cardinality_.end(), 65536 / 128);
        sharpness_ = sharpness > 0 ? sharpness : std::vector<double>{1, 8, 60, 140}[random() % 4];
        zeros_ = !mixture && random() % 3 == 0;
        for (std::int32_t v = 0; v < nodes; ++v) {
            add_table(v == 0 ? 1 : states_[index(parent_[index(v)])], states_[index(v)], random);
        }
        for (std::int32_t i = 0; i < variables; ++i) {
            add_table(states_[index(leaf_node_[index(i)])], cardinality_[index(i)], random);
        }
    }

    CircuitView view() const {
        return {static_cast<int>(parent_.size()),
                static_cast<int>(leaf_node_.size()),
                parent_.data(),
                states_.data(),
                leaf_node_.data(),
                cardinality_.data(),
                packed_.data(),
                offsets_.data()};
    }
    int nodes() const { return static_cast<int>(parent_.size()); }
    std::int32_t parent(int v) const { return parent_[index(v)]; }
    std::int32_t states(int v) const { return states_[index(v)]; }
    std::int32_t leaf_node(int i) const { return leaf_node_[index(i)]; }
    // Table t, nodes and then variables: the probability of `column` in `row`.
    float probability(int t, int row, int column) const {
        const std::int32_t columns = t < nodes() ? states(t) : cardinality(t - nodes());
        return packed_[static_cast<std::size_t>(offsets_[index(t)]) + index(row) * index(columns) + index(column)];
    }
    int variables() const { return static_cast<int>(leaf_node_.size()); }
    std::int32_t cardinality(int i) const { return cardinality_[index(i)]; }
    std::int32_t most_values() const { return *std::max_element(cardinality_.begin(), cardinality_.end()); }
    // So many rows that a block has that many streams, and one that is left over.
    std::int64_t rows_of_streams(int streams) const {
        std::int64_t bits = 0;
        for (const std::int32_t values : cardinality_) bits += std::bit_width(static_cast<std::uint32_t>(values - 1));
        return ((std::int64_t{streams} << 18) + bits - 1) / bits + 1;
    }
    std::string description() const {
        return std::to_string(parent_.size()) + " nodes, " + std::to_string(variables()) + " variables, up to " +
               std::to_string(*std::max_element(states_.begin(), states_.end())) + " states, " +
               std::to_string(most_values()) + " values, e^" + std::to_string(sharpness_) + (zeros_ ? ", zeros" : "");
    }

private:
    static std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

    void add_table(std::int32_t rows, std::int32_t columns, std::mt19937_64& random) {
        std::uniform_real_distribution<double> uniform;
        offsets_.push_back(static_cast<std::int64_t>(packed_.size()));
        for (std::int32_t r = 0; r < rows; ++r) {
            std::vector<double> row(index(columns));
            for (double& p : row) p = zeros_ && random() % 3 == 0 ? 0 : std::exp(-sharpness_ * uniform(random));
            row[random() % row.size()] += 0.01;
            double sum = 0;
            for (const double p : row) sum += p;
            for (const double p : row) packed_.push_back(static_cast<float>(p / sum));
        }
        while (packed_.size() % 16 != 0) packed_.push_back(0.0f);
    }

    std::vector<std::int32_t> parent_, states_, leaf_node_, cardinality_;
    std::vector<float> packed_;
    std::vector<std::int64_t> offsets_;
    double sharpness_;
    bool zeros_;
};

// Rows of values; of four bytes some are missing.
template <class T>
std::vector<T> draw_cells(const RandomCircuit& circuit, std::int64_t rows, bool may_miss, std::mt19937_64& random) {
    std::vector<T> cells;
    for (std::int64_t r = 0; r < rows; ++r) {
        for (int i = 0; i < circuit.variables(); ++i) {
            const bool missing = may_miss && random() % 4 == 0;
            cells.push_back(static_cast<T>(
                missing ? -1
                        : static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(circuit.cardinality(i)))));
        }
    }
    return cells;
}

}  // namespace fourfold::pc
