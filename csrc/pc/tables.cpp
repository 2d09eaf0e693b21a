#include "pc/tables.hpp"

#include <algorithm>

namespace fourfold::pc {

Tables::Tables(const Tree& tree, const std::int64_t* offsets)
    : tree_(&tree), offsets_(offsets, offsets + tree.nodes() + tree.variables()) {
    const std::size_t nodes = tree.nodes();
    std::size_t down_size = 0;
    const auto add = [&](std::size_t values, std::size_t states, std::size_t rows) {
        const std::size_t width = padded(states);
        shapes_.push_back({size_, values, states, width});
        largest_ = std::max(largest_, rows * width);
        size_ += rows * width;
    };
    add(1, tree.states(0), 1);
    for (std::size_t v = 1; v < nodes; ++v) {
        add(tree.states(v), tree.states(tree.parent(v)), tree.states(v));
        down_size += tree.states(tree.parent(v)) * tree.width(v);
    }
    for (std::size_t i = 0; i < tree.variables(); ++i) {
        add(tree.cardinality(i), tree.states(tree.leaf_node(i)), tree.cardinality(i) + 1);
    }
    data_ = LargeBuffer<float>(size_);
    down_data_ = LargeBuffer<float>(down_size);
    up_.assign(nodes, nullptr);
    down_.assign(nodes, nullptr);
    std::size_t at = 0;
    for (std::size_t v = 1; v < nodes; ++v) {
        up_[v] = table(v);
        down_[v] = down_data_.data() + at;
        at += tree.states(tree.parent(v)) * tree.width(v);
    }
    for (std::size_t i = 0; i < tree.variables(); ++i) {
        leaf_.push_back(table(nodes + i));
        const Shape& shape = shapes_[nodes + i];
        float* missing = table(nodes + i) + shape.values * shape.width;
        std::fill(missing, missing + shape.states, 1.0f);
    }
}

void Tables::load_table(std::size_t t, const float* packed, float* to) const {
    const Shape& shape = shapes_[t];
    const float* from = packed + offsets_[t];
    if (t == 0) {
        std::copy(from, from + shape.states, to);
        return;
    }
    for (std::size_t k = 0; k < shape.values; ++k) {
        for (std::size_t m = 0; m < shape.states; ++m) to[k * shape.width + m] = from[m * shape.values + k];
    }
}

void Tables::store_table(std::size_t t, const float* from, float* packed) const {
    const Shape& shape = shapes_[t];
    float* to = packed + offsets_[t];
    if (t == 0) {
        std::copy(from, from + shape.states, to);
        return;
    }
    for (std::size_t m = 0; m < shape.states; ++m) {
        for (std::size_t k = 0; k < shape.values; ++k) to[m * shape.values + k] = from[k * shape.width + m];
    }
}

void Tables::load(const float* packed) {
    for (std::size_t t = 0; t < shapes_.size(); ++t) load_table(t, packed, table(t));
    for (std::size_t v = 1; v < tree_->nodes(); ++v) refresh_down(v);
}

void Tables::store(float* packed) const {
    for (std::size_t t = 0; t < shapes_.size(); ++t) store_table(t, table(t), packed);
}

void Tables::refresh_down(std::size_t v) {
    const Shape& shape = shapes_[v];
    const std::size_t width = tree_->width(v);
    const float* from = table(v);
    float* to = down_data_.data() + (down_[v] - down_data_.data());
    for (std::size_t m = 0; m < shape.states; ++m) {
        for (std::size_t k = 0; k < shape.values; ++k) to[m * width + k] = from[k * shape.width + m];
    }
}

TableView Tables::view() const { return {table(0), up_.data(), down_.data(), leaf_.data()}; }

}  // namespace fourfold::pc
