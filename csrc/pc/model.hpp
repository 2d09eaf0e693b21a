// A circuit ready for queries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "pc/batch.hpp"
#include "pc/tables.hpp"
#include "pc/tree.hpp"

namespace fourfold::pc {

class Model {
public:
    // `packed` is not copied and must outlive the model; see Tables.
    Model(Tree tree, const std::int64_t* offsets, const float* packed);

    // out[count] = log p(observed values).
    void log_prob(const Codes& codes, std::size_t count, double* out, int threads) const;

    // out[count][sum of states of these nodes] = p(z_v | observed values), in the order of `nodes`; log_prob[count].
    void posteriors(const Codes& codes, std::size_t count, const std::vector<std::int64_t>& nodes, float* out,
                    double* log_prob, int threads) const;

    // For each row of codes `repeats` draws of what is missing in it. uniforms[count][repeats][nodes + variables] in
    // [0, 1); values[count][repeats][variables]; log_prob[count] of the evidence, whose draws are left unset where
    // it is -inf.
    void sample(const Codes& codes, std::size_t count, std::size_t repeats, const double* uniforms,
                std::int32_t* values, double* log_prob, int threads) const;

    // out (laid out like packed) = sum over images of weight times the derivative of log p(x) with respect to every
    // entry of the tables, taken as free numbers. Entries of leaf tables must be positive.
    void gradient(const Codes& codes, std::size_t count, const float* weight, float* out, int threads) const;

    // The most probable values[count][variables] and states[count][nodes] given what is observed, jointly, and the
    // logarithm of their joint probability. Ties go to the lowest state and value.
    void most_probable(const Codes& codes, std::size_t count, std::int32_t* values, std::int32_t* states,
                       double* log_joint, int threads) const;

    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

private:
    using BlockWork = std::function<void(Batch& batch, std::size_t begin, std::size_t count)>;
    // Calls work for blocks of images that have passed up the tree, each worker with a batch of its own.
    void for_blocks(const Codes& codes, std::size_t count, bool posteriors, int threads, const BlockWork& work) const;

    Tree tree_;
    Tables tables_;
    const float* packed_;
};

}  // namespace fourfold::pc
