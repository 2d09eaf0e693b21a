// The probability tables in the layout of the passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/large_buffer.hpp"
#include "pc/passes.hpp"
#include "pc/tree.hpp"
#include "support/aligned.hpp"

namespace fourfold::pc {

// `packed` is what the model is outside: float32 tables root[M_0], edge v[M_parent][M_v], leaf i[M][K_i], table t at
// packed + offsets[t], t = 0 (root), v, nodes + i. Here all but the root are transposed and padded, see TableView.
class Tables {
public:
    // One distribution per lane: values x width floats. The tables that learning changes, in the order of `offsets`.
    struct Shape {
        std::size_t start, values, states, width;
    };

    Tables(const Tree& tree, const std::int64_t* offsets);

    void load(const float* packed);
    void store(float* packed) const;
    // After a change of up(v).
    void refresh_down(std::size_t v);

    TableView view() const;
    const std::vector<Shape>& shapes() const { return shapes_; }
    const std::vector<std::int64_t>& offsets() const { return offsets_; }
    float* table(std::size_t t) { return data_.data() + shapes_[t].start; }
    const float* table(std::size_t t) const { return data_.data() + shapes_[t].start; }
    const float* down(std::size_t v) const { return down_[v]; }
    std::size_t size() const { return size_; }        // floats of all tables, without down
    std::size_t largest() const { return largest_; }  // floats of the largest of them
    const Tree& tree() const { return *tree_; }

    // Between one table in this layout, `size` values of type T, and its place in a packed buffer.
    void store_table(std::size_t t, const float* from, float* packed) const;
    void load_table(std::size_t t, const float* packed, float* to) const;

private:
    const Tree* tree_;
    std::vector<std::int64_t> offsets_;
    std::vector<Shape> shapes_;
    std::size_t size_ = 0, largest_ = 0;
    LargeBuffer<float> data_, down_data_;
    std::vector<const float*> up_, down_, leaf_;
};

}  // namespace fourfold::pc
