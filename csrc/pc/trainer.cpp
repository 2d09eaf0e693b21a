#include "pc/trainer.hpp"

#include <algorithm>
#include <utility>

#include "support/flush.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::pc {

Trainer::Trainer(Tree tree, const std::int64_t* offsets, std::size_t capacity, bool keep_average, bool keep_totals,
                 int threads)
    : tree_(std::move(tree)),
      tables_(tree_, offsets),
      batch_(tree_, capacity, true, threads),
      threads_(std::max(threads, 1)),
      average_(keep_average ? tables_.size() : 0),
      totals_(keep_totals ? tables_.size() : 0) {
    std::size_t size = 0, widest = 1;
    for (std::size_t v = 0; v < tree_.nodes(); ++v) {
        expected_start_.push_back(size);
        size += tree_.width(v);
        widest = std::max(widest, tree_.width(v));
    }
    expected_ = AlignedBuffer<float>(size);
    for (int w = 0; w < threads_; ++w) worker_.emplace_back(tables_.largest() + 2 * widest);
}

void Trainer::pass(const Codes& codes, std::size_t count, double* log_prob) {
    batch_.pass(tree_, tables_, codes, 0, count, nullptr, threads_);
    std::copy_n(batch_.view().log_prob, count, log_prob);
}

// The expected counts of table t over the images of the batch, in flow[].
const float* Trainer::counts_of(std::size_t t, std::size_t images, float* flow) {
    const Tables::Shape& shape = tables_.shapes()[t];
    const std::size_t size = shape.values * shape.width;
    const BatchView view = batch_.view();
    if (t == 0) {
        std::fill_n(flow, shape.width, 0.0f);
        for (std::size_t b = 0; b < images; ++b) {
            for (std::size_t m = 0; m < shape.states; ++m) flow[m] += view.posterior[0][b * shape.width + m];
        }
    } else if (t < tree_.nodes()) {
        pass_kernels().edge_flow(tree_.view(), view, t, images, flow);
        const float* table = tables_.table(t);
        for (std::size_t k = 0; k < size; ++k) flow[k] *= table[k];
    } else {
        std::fill_n(flow, size + shape.width, 0.0f);
        pass_kernels().leaf_flow(tree_.view(), view, t - tree_.nodes(), images, flow);
    }
    return flow;
}

void Trainer::change(std::size_t t, const UpdateRule& rule, float count, float* flow, int worker) {
    const Tables::Shape& shape = tables_.shapes()[t];
    float* scratch = worker_[static_cast<std::size_t>(worker)].data() + tables_.largest();
    float* average = average_.size() > 0 && rule.momentum > 0.0f ? average_.data() + shape.start : nullptr;
    if (t == 0) {
        pass_kernels().update(rule, shape.states, 1, tables_.table(0), flow, average, &count, scratch);
        return;
    }
    const std::size_t above = t < tree_.nodes() ? tree_.parent(t) : tree_.leaf_node(t - tree_.nodes());
    const float* expected = expected_.data() + expected_start_[above];
    pass_kernels().update(rule, shape.values, shape.width, tables_.table(t), flow, average, expected, scratch);
    // The padding has no counts but a pseudocount.
    float* table = tables_.table(t);
    for (std::size_t k = 0; k < shape.values; ++k) {
        for (std::size_t m = shape.states; m < shape.width; ++m) table[k * shape.width + m] = 0.0f;
    }
    if (t < tree_.nodes()) tables_.refresh_down(t);
}

void Trainer::expect_states(const UpdateRule& rule, float count) {
    if (!rule.rescaled) return;
    for (std::size_t m = 0; m < tree_.width(0); ++m) expected_[m] = count * tables_.table(0)[m];
    for (std::size_t v = 1; v < tree_.nodes(); ++v) {
        const float* above = expected_.data() + expected_start_[tree_.parent(v)];
        float* here = expected_.data() + expected_start_[v];
        const std::size_t width = tree_.width(v);
        std::fill_n(here, width, 0.0f);
        for (std::size_t m = 0; m < tree_.states(tree_.parent(v)); ++m) {
            const float* row = tables_.down(v) + m * width;
            for (std::size_t k = 0; k < width; ++k) here[k] += above[m] * row[k];
        }
    }
}

void Trainer::step(const Codes& codes, std::size_t count, const UpdateRule& rule, double* log_prob) {
    pass(codes, count, log_prob);
    expect_states(rule, static_cast<float>(count));
    parallel_for(tables_.shapes().size(), threads_, [&](std::size_t t, int worker) {
        const DenormalsAreZero mode;
        float* flow = worker_[static_cast<std::size_t>(worker)].data();
        counts_of(t, count, flow);
        change(t, rule, static_cast<float>(count), flow, worker);
    });
}

void Trainer::accumulate(const Codes& codes, std::size_t count, double* log_prob) {
    pass(codes, count, log_prob);
    parallel_for(tables_.shapes().size(), threads_, [&](std::size_t t, int worker) {
        const DenormalsAreZero mode;
        const Tables::Shape& shape = tables_.shapes()[t];
        const float* flow = counts_of(t, count, worker_[static_cast<std::size_t>(worker)].data());
        double* total = totals_.data() + shape.start;
        for (std::size_t k = 0; k < shape.values * shape.width; ++k) total[k] += static_cast<double>(flow[k]);
    });
}

void Trainer::finish(const UpdateRule& rule, double count) {
    expect_states(rule, static_cast<float>(count));
    parallel_for(tables_.shapes().size(), threads_, [&](std::size_t t, int worker) {
        const DenormalsAreZero mode;
        const Tables::Shape& shape = tables_.shapes()[t];
        float* flow = worker_[static_cast<std::size_t>(worker)].data();
        double* total = totals_.data() + shape.start;
        for (std::size_t k = 0; k < shape.values * shape.width; ++k) {
            flow[k] = static_cast<float>(total[k]);
            total[k] = 0.0;
        }
        change(t, rule, static_cast<float>(count), flow, worker);
    });
}

void Trainer::load_average(const float* packed) {
    for (std::size_t t = 0; t < tables_.shapes().size(); ++t) {
        tables_.load_table(t, packed, average_.data() + tables_.shapes()[t].start);
    }
}

void Trainer::store_average(float* packed) const {
    for (std::size_t t = 0; t < tables_.shapes().size(); ++t) {
        tables_.store_table(t, average_.data() + tables_.shapes()[t].start, packed);
    }
}

void Trainer::store_totals(float* packed) const {
    std::vector<float> table(tables_.largest());
    for (std::size_t t = 0; t < tables_.shapes().size(); ++t) {
        const Tables::Shape& shape = tables_.shapes()[t];
        for (std::size_t k = 0; k < shape.values * shape.width; ++k) {
            table[k] = static_cast<float>(totals_[shape.start + k]);
        }
        tables_.store_table(t, table.data(), packed);
    }
}

}  // namespace fourfold::pc
