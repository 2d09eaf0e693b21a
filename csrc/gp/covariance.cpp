#include "gp/covariance.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::gp {

namespace baseline {
extern const CovarianceKernels covariance_kernels;
}
#if FOURFOLD_X86_LEVELS
namespace v3 {
extern const CovarianceKernels covariance_kernels;
}
namespace v4 {
extern const CovarianceKernels covariance_kernels;
}
#endif

namespace {

const CovarianceKernels& kernels() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::covariance_kernels;
    if (isa::level() == isa::Level::v3) return v3::covariance_kernels;
#endif
    return baseline::covariance_kernels;
}

// A chunk's lags and the jets of all steps there stay in the caches of a core.
constexpr std::size_t kChunk = 512;

// Below this many evaluations of a component a second thread costs more than it brings.
constexpr std::size_t kWorthAThread = 1 << 14;

template <class J>
J from(const J& jet, std::size_t at) {
    J moved = jet;
    for (auto& pointer : moved.order) {
        if (pointer != nullptr) pointer += at;
    }
    return moved;
}

ConstJet constant(const Jet& jet) {
    ConstJet same;
    std::copy(jet.order, jet.order + kOrders, same.order);
    return same;
}

template <class J>
int top_of(const J& jet) {
    int top = kOrders - 1;
    while (top > 0 && jet.order[top] == nullptr) --top;
    return top;
}

// The tree that the steps stand for. The last step is its root.
struct Tree {
    explicit Tree(const std::vector<Step>& given) : steps(given), first(given.size()), inner(given.size()) {
        std::vector<std::size_t> begin, stack;  // where the subtree that a step ends begins; the steps not yet used
        for (std::size_t i = 0; i < steps.size(); ++i) {
            if (steps[i].kind == Step::Kind::leaf) {
                begin.push_back(i);
                offset.push_back(width);
                width += 3 * steps[i].leaf.components;
                components += steps[i].leaf.components;
            } else {
                if (stack.size() < 2) throw std::invalid_argument("a sum or product of less than two kernels");
                first[i] = begin[i - 1] - 1;
                begin.push_back(begin[first[i]]);
                offset.push_back(0);
                stack.resize(stack.size() - 2);
            }
            stack.push_back(i);
        }
        if (stack.size() != 1) throw std::invalid_argument("steps that are not one kernel");
        for (std::size_t i = steps.size(); i-- > 0;) {
            if (steps[i].kind == Step::Kind::leaf) continue;
            inner[first[i]] = inner[i - 1] = inner[i] || steps[i].kind == Step::Kind::product;
        }
    }

    const std::vector<Step>& steps;
    std::vector<std::size_t> first;   // the first operand of a sum or product; the second is the step before it
    std::vector<char> inner;          // whether a product needs the step's jet for its pull-back
    std::vector<std::size_t> offset;  // of a leaf's gradient
    std::size_t width = 0, components = 0;

    int threads_for(std::size_t n, int threads) const { return n * components < kWorthAThread ? 1 : threads; }
};

// Jets of a chunk, a worker's own: orders 0 to top for each step.
class Jets {
public:
    Jets(std::size_t steps, int top) : top_(top), numbers_(steps * static_cast<std::size_t>(top + 1) * kChunk) {}

    Jet at(std::size_t step) {
        Jet jet{};
        for (int r = 0; r <= top_; ++r) {
            jet.order[r] = numbers_.data() + (step * static_cast<std::size_t>(top_ + 1) + std::size_t(r)) * kChunk;
        }
        return jet;
    }

private:
    int top_;
    std::vector<double> numbers_;
};

void evaluate_step(const Tree& tree, std::size_t i, const double* lag, std::size_t n, Jets& jets, const Jet& out) {
    const Step& step = tree.steps[i];
    if (step.kind == Step::Kind::leaf) {
        kernels().evaluate(step.leaf, lag, n, out);
        return;
    }
    const auto combine = step.kind == Step::Kind::sum ? kernels().add : kernels().multiply;
    combine(constant(jets.at(tree.first[i])), constant(jets.at(i - 1)), n, out);
}

// `jets` and `cotangents` have a place for each step; gradient[tree.width].
void pull_back_chunk(const Tree& tree, const double* lag, std::size_t n, const ConstJet& cotangent, Jets& jets,
                     Jets& cotangents, std::vector<ConstJet>& by_step, double* gradient) {
    const std::size_t root = tree.steps.size() - 1;
    for (std::size_t i = 0; i < root; ++i) {
        if (tree.inner[i]) evaluate_step(tree, i, lag, n, jets, jets.at(i));
    }
    by_step[root] = cotangent;
    for (std::size_t i = root + 1; i-- > 0;) {
        const Step& step = tree.steps[i];
        if (step.kind == Step::Kind::leaf) {
            kernels().pull_back(step.leaf, lag, n, by_step[i], gradient + tree.offset[i]);
            continue;
        }
        const std::size_t one = tree.first[i], other = i - 1;
        if (step.kind == Step::Kind::sum) {
            by_step[one] = by_step[other] = by_step[i];
            continue;
        }
        kernels().multiply_pull_back(constant(jets.at(other)), by_step[i], n, cotangents.at(one));
        kernels().multiply_pull_back(constant(jets.at(one)), by_step[i], n, cotangents.at(other));
        by_step[one] = constant(cotangents.at(one));
        by_step[other] = constant(cotangents.at(other));
    }
}

}  // namespace

void evaluate(const std::vector<Step>& kernel, const double* lag, std::size_t n, const Jet& out, int threads) {
    const Tree tree(kernel);
    const std::size_t root = kernel.size() - 1;
    threads = tree.threads_for(n, threads);
    std::vector<Jets> jets(static_cast<std::size_t>(threads), Jets(root, top_of(out)));
    parallel_for((n + kChunk - 1) / kChunk, threads, [&](std::size_t chunk, int worker) {
        const std::size_t at = chunk * kChunk, count = std::min(kChunk, n - at);
        Jets& mine = jets[static_cast<std::size_t>(worker)];
        for (std::size_t i = 0; i < root; ++i) evaluate_step(tree, i, lag + at, count, mine, mine.at(i));
        evaluate_step(tree, root, lag + at, count, mine, from(out, at));
    });
}

void pull_back(const std::vector<Step>& kernel, const double* lag, std::size_t n, const ConstJet& cotangent,
               double* gradient, int threads) {
    const Tree tree(kernel);
    const std::size_t steps = kernel.size(), chunks = (n + kChunk - 1) / kChunk;
    threads = tree.threads_for(n, threads);
    std::vector<double> partial(chunks * tree.width);
    const Jets empty(steps - 1, top_of(cotangent));
    std::vector<Jets> jets(static_cast<std::size_t>(threads), empty), cotangents = jets;
    std::vector<std::vector<ConstJet>> by_step(static_cast<std::size_t>(threads), std::vector<ConstJet>(steps));
    parallel_for(chunks, threads, [&](std::size_t chunk, int worker) {
        const std::size_t at = chunk * kChunk, mine = static_cast<std::size_t>(worker);
        pull_back_chunk(tree, lag + at, std::min(kChunk, n - at), from(cotangent, at), jets[mine], cotangents[mine],
                        by_step[mine], partial.data() + chunk * tree.width);
    });
    std::fill(gradient, gradient + tree.width, 0.0);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        for (std::size_t i = 0; i < tree.width; ++i) gradient[i] += partial[chunk * tree.width + i];
    }
}

}  // namespace fourfold::gp
