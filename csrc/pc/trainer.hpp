// Learning: expected counts of a batch, and what they change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/batch.hpp"
#include "pc/large_buffer.hpp"
#include "pc/passes.hpp"
#include "pc/tables.hpp"
#include "pc/tree.hpp"
#include "support/aligned.hpp"

namespace fourfold::pc {

// A step has two phases. First blocks of images pass up and down the tree; what they leave at the nodes stays in
// memory. Then every table, edge by edge and leaf by leaf, sums over the whole batch and is changed. Each phase's items
// depend on nothing but the item, so the result is the same bit for bit for any number of threads, and no worker needs
// a copy of the tables.
class Trainer {
public:
    // Batches of at most `capacity` images. keep_average: for rules with momentum; keep_totals: for accumulate().
    Trainer(Tree tree, const std::int64_t* offsets, std::size_t capacity, bool keep_average, bool keep_totals,
            int threads);
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    // One update by the expected counts of these images. log_prob[count], by the tables before the update.
    void step(const Codes& codes, std::size_t count, const UpdateRule& rule, double* log_prob);

    // The same in parts: adds the expected counts of these images, in double precision ...
    void accumulate(const Codes& codes, std::size_t count, double* log_prob);
    // ... and updates by the sum of them since the last finish(). `count` images have been accumulated.
    void finish(const UpdateRule& rule, double count);

    // Buffers laid out like the model's: the tables, the moving averages, the counts accumulated so far.
    void load(const float* packed) { tables_.load(packed); }
    void store(float* packed) const { tables_.store(packed); }
    void load_average(const float* packed);
    void store_average(float* packed) const;
    void store_totals(float* packed) const;

private:
    void pass(const Codes& codes, std::size_t count, double* log_prob);
    const float* counts_of(std::size_t t, std::size_t images, float* flow);
    void change(std::size_t t, const UpdateRule& rule, float count, float* flow, int worker);
    void expect_states(const UpdateRule& rule, float count);

    Tree tree_;
    Tables tables_;
    Batch batch_;
    int threads_;
    LargeBuffer<float> average_;                // like the tables; empty if not kept
    LargeBuffer<double> totals_;                // like the tables; empty if not kept
    AlignedBuffer<float> expected_;             // [nodes] rows of width_v: images expected in each state
    std::vector<std::size_t> expected_start_;   // [nodes]
    std::vector<AlignedBuffer<float>> worker_;  // counts of one table, and scratch of two of its rows
};

}  // namespace fourfold::pc
