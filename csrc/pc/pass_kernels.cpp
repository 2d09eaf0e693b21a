// Compiled once per ISA level. Only the function table at the end is visible outside.
#include <cmath>

#include "pc/factors.hpp"
#include "pc/matmul.hpp"
#include "pc/passes.hpp"
#include "pc/rows.hpp"
#include "pc/update_formulas.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

constexpr double kLn2 = 0.693147180559945309417232121458176568;

std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

// likelihood of node v, up to a power of two: the product of its leaves' rows and its children's messages.
void node_likelihood(const TreeView& tree, const TableView& tables, const BatchView& batch, std::size_t v,
                     std::size_t first, std::size_t count, std::int32_t* scratch) {
    const std::size_t width = index(tree.width[v]);
    float* out = batch.likelihood[v] + first * width;
    const std::int32_t leaves = tree.leaf_begin[v + 1] - tree.leaf_begin[v];
    const std::int32_t children = tree.child_begin[v + 1] - tree.child_begin[v];
    const bool plain = index(leaves + children) <= kPlainFactors;
    if (!plain) zero_exponents(scratch, count * width);
    bool begun = false;
    const auto after_a_factor = [&] {
        if (!plain) take_exponents(out, scratch, count * width);
        begun = true;
    };
    for (std::int32_t at = tree.leaf_begin[v]; at < tree.leaf_begin[v + 1]; ++at) {
        const std::size_t i = index(tree.leaf[at]);
        const std::int32_t* codes = batch.codes + i * batch.stride + first;
        if (begun) {
            take_rows<true>(tables.leaf[i], codes, width, count, out);
        } else {
            take_rows<false>(tables.leaf[i], codes, width, count, out);
        }
        after_a_factor();
    }
    for (std::int32_t at = tree.child_begin[v]; at < tree.child_begin[v + 1]; ++at) {
        const float* message = batch.message[index(tree.child[at])] + first * width;
        if (begun) {
            multiply_into(message, count * width, out);
        } else {
            copy_to(message, count * width, out);
        }
        after_a_factor();
    }
    if (!begun) fill_ones(index(tree.states[v]), width, count, out);
    if (!plain) apply_exponents(out, scratch, width, count, batch.exponent + first);
    take_common_exponent(out, width, count, batch.exponent + first);
}

void up(const TreeView& tree, const TableView& tables, const BatchView& batch, std::size_t first, std::size_t count,
        std::int32_t* scratch) {
    for (std::size_t b = first; b < first + count; ++b) batch.exponent[b] = 0;
    for (std::size_t v = tree.nodes; v-- > 0;) {
        node_likelihood(tree, tables, batch, v, first, count, scratch);
        if (v == 0) break;
        const std::size_t width = index(tree.width[v]);
        const std::size_t above = index(tree.width[tree.parent[v]]);
        multiply(batch.likelihood[v] + first * width, width, 1, tables.up[v], above, batch.message[v] + first * above,
                 above, count, above, index(tree.states[v]));
    }
    const std::size_t width = index(tree.width[0]);
    for (std::size_t b = first; b < first + count; ++b) {
        const float* row = batch.likelihood[0] + b * width;
        double sum = 0.0;
        for (std::size_t m = 0; m < index(tree.states[0]); ++m) {
            sum += static_cast<double>(tables.root[m]) * static_cast<double>(row[m]);
        }
        batch.log_prob[b] = std::log(sum) + kLn2 * batch.exponent[b];
    }
}

void root_posterior(const TreeView& tree, const TableView& tables, const BatchView& batch, const float* weight,
                    std::size_t first, std::size_t count) {
    const std::size_t width = index(tree.width[0]), states = index(tree.states[0]);
    for (std::size_t b = first; b < first + count; ++b) {
        const float* row = batch.likelihood[0] + b * width;
        float* out = batch.posterior[0] + b * width;
        double sum = 0.0;
        for (std::size_t m = 0; m < states; ++m) {
            sum += static_cast<double>(tables.root[m]) * static_cast<double>(row[m]);
        }
        // Evidence of probability 0 has no posterior; its rows are 0 and so add nothing to any count.
        const double scale = sum > 0.0 ? (weight == nullptr ? 1.0 : static_cast<double>(weight[b])) / sum : 0.0;
        for (std::size_t m = 0; m < width; ++m) {
            out[m] = m < states
                         ? static_cast<float>(static_cast<double>(tables.root[m]) * static_cast<double>(row[m]) * scale)
                         : 0.0f;
        }
    }
}

void down(const TreeView& tree, const TableView& tables, const BatchView& batch, const float* weight, std::size_t first,
          std::size_t count) {
    root_posterior(tree, tables, batch, weight, first, count);
    for (std::size_t v = 1; v < tree.nodes; ++v) {
        const std::size_t p = index(tree.parent[v]);
        const std::size_t width = index(tree.width[v]), above = index(tree.width[p]);
        float* ratio = batch.message[v] + first * above;
        float* out = batch.posterior[v] + first * width;
        divide_by(batch.posterior[p] + first * above, ratio, count * above, kSmallestMessage);
        multiply(ratio, above, 1, tables.down[v], width, out, width, count, width, index(tree.states[p]));
        multiply_into(batch.likelihood[v] + first * width, count * width, out);
    }
}

void edge_flow(const TreeView& tree, const BatchView& batch, std::size_t v, std::size_t count, float* out) {
    const std::size_t width = index(tree.width[v]), above = index(tree.width[tree.parent[v]]);
    multiply(batch.likelihood[v], 1, width, batch.message[v], above, out, above, index(tree.states[v]), above, count);
}

void leaf_flow(const TreeView& tree, const BatchView& batch, std::size_t i, std::size_t count, float* out) {
    const std::size_t v = index(tree.leaf_node[i]);
    add_rows(batch.posterior[v], batch.codes + i * batch.stride, index(tree.width[v]), count, out);
}

// flow <- what the rule makes of this batch's counts and of those before it.
void average_flow(const UpdateRule& given, std::size_t size, float* flow, float* average) {
    const UpdateRule rule = given;
#pragma omp simd
    for (std::size_t k = 0; k < size; ++k) {
        average[k] = moved_average(rule, average[k], flow[k]);
        flow[k] = corrected(rule, average[k]);
    }
}

void update(const UpdateRule& rule, std::size_t values, std::size_t width, float* table, float* flow, float* average,
            const float* weight, float* scratch) {
    if (average != nullptr) average_flow(rule, values * width, flow, average);
    const Moves moves = moves_of(rule, values);
    float* total = scratch;
    float* keep = scratch + width;
    for (std::size_t m = 0; m < width; ++m) {
        total[m] = 0.0f;
        keep[m] = rule.rescaled ? kept_of(rule, weight[m]) : 0.0f;
    }
    for (std::size_t k = 0; k < values; ++k) {
        const float* old = table + k * width;
        float* counts = flow + k * width;
#pragma omp simd
        for (std::size_t m = 0; m < width; ++m) {
            counts[m] = posterior_count(keep[m], old[m], moves, counts[m]);
            total[m] += counts[m];
        }
    }
    for (std::size_t m = 0; m < width; ++m) {
        const Share share = share_of(moves, total[m]);
        total[m] = share.scale;
        keep[m] = share.keep;
    }
    for (std::size_t k = 0; k < values; ++k) {
        float* row = table + k * width;
        const float* counts = flow + k * width;
#pragma omp simd
        for (std::size_t m = 0; m < width; ++m) row[m] = new_probability(keep[m], total[m], row[m], counts[m]);
    }
}

}  // namespace

extern const PassKernels pass_kernels_table;
const PassKernels pass_kernels_table = {up, down, edge_flow, leaf_flow, update};

}  // namespace fourfold::pc::FOURFOLD_LEVEL
