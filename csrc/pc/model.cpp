#include "pc/model.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "pc/draw.hpp"
#include "support/flush.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::pc {

Model::Model(Tree tree, const std::int64_t* offsets, const float* packed)
    : tree_(std::move(tree)), tables_(tree_, offsets), packed_(packed) {
    tables_.load(packed);
}

void Model::for_blocks(const Codes& codes, std::size_t count, bool posteriors, int threads,
                       const BlockWork& work) const {
    std::vector<std::unique_ptr<Batch>> batches(static_cast<std::size_t>(std::max(threads, 1)));
    const std::size_t size = block_size(count, threads);
    parallel_for((count + size - 1) / size, threads, [&](std::size_t block, int worker) {
        std::unique_ptr<Batch>& batch = batches[static_cast<std::size_t>(worker)];
        if (!batch) batch = std::make_unique<Batch>(tree_, std::min(size, count), posteriors, 1);
        const std::size_t begin = block * size, here = std::min(size, count - begin);
        batch->pass_block(tree_, tables_, codes, begin, 0, here, nullptr, 0);
        work(*batch, begin, here);
    });
}

void Model::log_prob(const Codes& codes, std::size_t count, double* out, int threads) const {
    for_blocks(codes, count, false, threads, [&](Batch& batch, std::size_t begin, std::size_t here) {
        std::copy_n(batch.view().log_prob, here, out + begin);
    });
}

void Model::posteriors(const Codes& codes, std::size_t count, const std::vector<std::int64_t>& nodes, float* out,
                       double* log_prob, int threads) const {
    std::size_t row = 0;
    for (std::int64_t v : nodes) row += tree_.states(static_cast<std::size_t>(v));
    for_blocks(codes, count, true, threads, [&](Batch& batch, std::size_t begin, std::size_t here) {
        const BatchView view = batch.view();
        std::copy_n(view.log_prob, here, log_prob + begin);
        std::size_t at = 0;
        for (std::int64_t node : nodes) {
            const auto v = static_cast<std::size_t>(node);
            for (std::size_t b = 0; b < here; ++b) {
                std::copy_n(view.posterior[v] + b * tree_.width(v), tree_.states(v), out + (begin + b) * row + at);
            }
            at += tree_.states(v);
        }
    });
}

void Model::sample(const Codes& codes, std::size_t count, std::size_t repeats, const double* uniforms,
                   std::int32_t* values, double* log_prob, int threads) const {
    const std::size_t nodes = tree_.nodes(), variables = tree_.variables();
    const auto draw_one = [&](const BatchView& view, std::size_t b, const double* u, std::size_t* state,
                              std::int32_t* out) {
        for (std::size_t v = 0; v < nodes; ++v) {
            const float* below = view.likelihood[v] + b * tree_.width(v);
            const float* prior = v == 0 ? tables_.table(0) : tables_.down(v) + state[tree_.parent(v)] * tree_.width(v);
            state[v] = draw(tree_.states(v), u[v], [&](std::size_t m) {
                return static_cast<double>(prior[m]) * static_cast<double>(below[m]);
            });
        }
        for (std::size_t i = 0; i < variables; ++i) {
            const std::int32_t code = view.codes[i * view.stride + b];
            const std::size_t values_of_i = tree_.cardinality(i);
            if (static_cast<std::size_t>(code) < values_of_i) {
                out[i] = code;
                continue;
            }
            const float* row = packed_ + tables_.offsets()[nodes + i] +
                               static_cast<std::ptrdiff_t>(state[tree_.leaf_node(i)] * values_of_i);
            out[i] = static_cast<std::int32_t>(
                draw(values_of_i, u[nodes + i], [&](std::size_t k) { return static_cast<double>(row[k]); }));
        }
    };
    for_blocks(codes, count, false, threads, [&](Batch& batch, std::size_t begin, std::size_t here) {
        const BatchView view = batch.view();
        std::vector<std::size_t> state(nodes);
        std::copy_n(view.log_prob, here, log_prob + begin);
        for (std::size_t b = 0; b < here; ++b) {
            if (!is_possible(view.log_prob[b])) continue;
            for (std::size_t r = 0; r < repeats; ++r) {
                const std::size_t at = (begin + b) * repeats + r;
                draw_one(view, b, uniforms + at * (nodes + variables), state.data(), values + at * variables);
            }
        }
    });
}

void Model::gradient(const Codes& codes, std::size_t count, const float* weight, float* out, int threads) const {
    // Images of one chunk pass together, then every table sums over them, chunk after chunk.
    constexpr std::size_t kChunk = 512;
    if (count == 0) return;
    Batch batch(tree_, std::min(kChunk, count), true, threads);
    const BatchView view = batch.view();
    const std::size_t all = tables_.shapes().size();
    std::vector<AlignedBuffer<float>> flows(static_cast<std::size_t>(std::max(threads, 1)));
    AlignedBuffer<float> sums(tables_.size());
    for (std::size_t begin = 0; begin < count; begin += kChunk) {
        const std::size_t here = std::min(kChunk, count - begin);
        batch.pass(tree_, tables_, codes, begin, here, weight + begin, threads);
        parallel_for(all, threads, [&](std::size_t t, int worker) {
            const DenormalsAreZero mode;
            const Tables::Shape& shape = tables_.shapes()[t];
            float* sum = sums.data() + shape.start;
            auto& flow = flows[static_cast<std::size_t>(worker)];
            if (flow.size() == 0) flow = AlignedBuffer<float>(tables_.largest());
            if (t == 0) {
                for (std::size_t b = 0; b < here; ++b) {
                    for (std::size_t m = 0; m < shape.states; ++m) sum[m] += view.posterior[0][b * shape.width + m];
                }
            } else if (t < tree_.nodes()) {
                pass_kernels().edge_flow(tree_.view(), view, t, here, flow.data());
                for (std::size_t k = 0; k < shape.values * shape.width; ++k) sum[k] += flow[k];
            } else {
                pass_kernels().leaf_flow(tree_.view(), view, t - tree_.nodes(), here, sum);
            }
        });
    }
    // Counts of the root and the leaves become derivatives by division.
    for (std::size_t t = 0; t < all; ++t) {
        const Tables::Shape& shape = tables_.shapes()[t];
        float* sum = sums.data() + shape.start;
        if (t == 0 || t >= tree_.nodes()) {
            for (std::size_t k = 0; k < shape.values * shape.width; ++k) {
                const float p = tables_.table(t)[k];
                sum[k] = p > 0.0f ? sum[k] / p : 0.0f;
            }
        }
        tables_.store_table(t, sum, out);
    }
}

}  // namespace fourfold::pc
