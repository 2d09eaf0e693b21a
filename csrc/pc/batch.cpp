#include "pc/batch.hpp"

#include <algorithm>

#include "support/flush.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::pc {
namespace {

// Transposes rows of values into codes[variables][stride], a few variables at a time so that both sides stay in L1.
template <class T>
void transpose(const Codes& codes, std::size_t variables, std::size_t begin, std::size_t count, std::size_t stride,
               std::int32_t* out) {
    constexpr std::size_t kTogether = 64;
    const T* data = static_cast<const T*>(codes.data);
    for (std::size_t from = 0; from < variables; from += kTogether) {
        const std::size_t to = std::min(variables, from + kTogether);
        for (std::size_t k = 0; k < count; ++k) {
            const std::size_t row =
                codes.order == nullptr ? begin + k : static_cast<std::size_t>(codes.order[begin + k]);
            for (std::size_t i = from; i < to; ++i) {
                out[i * stride + k] = static_cast<std::int32_t>(data[row * variables + i]);
            }
        }
    }
}

}  // namespace

Batch::Batch(const Tree& tree, std::size_t capacity, bool posteriors, int workers)
    : capacity_(capacity),
      variables_(tree.variables()),
      posteriors_(posteriors),
      codes_(tree.variables() * capacity),
      exponent_(capacity),
      log_prob_(capacity),
      likelihood_(tree.nodes()),
      message_(tree.nodes(), nullptr),
      posterior_(tree.nodes(), nullptr) {
    std::size_t size = 0, widest = 0;
    for (std::size_t v = 0; v < tree.nodes(); ++v) {
        size += (posteriors ? 2 : 1) * tree.width(v) + (v > 0 ? tree.width(tree.parent(v)) : 0);
        widest = std::max(widest, tree.width(v));
    }
    floats_ = LargeBuffer<float>(size * capacity);
    scratch_size_ = widest * std::min(capacity, kLargestBlock);
    scratch_ = AlignedBuffer<std::int32_t>(scratch_size_ * static_cast<std::size_t>(std::max(workers, 1)));
    float* at = floats_.data();
    const auto next = [&](std::size_t width) {
        float* here = at;
        at += width * capacity;
        return here;
    };
    for (std::size_t v = 0; v < tree.nodes(); ++v) {
        likelihood_[v] = next(tree.width(v));
        if (v > 0) message_[v] = next(tree.width(tree.parent(v)));
        if (posteriors) posterior_[v] = next(tree.width(v));
    }
}

BatchView Batch::view() {
    return {capacity_,         codes_.data(),    likelihood_.data(), message_.data(),
            posterior_.data(), exponent_.data(), log_prob_.data()};
}

void Batch::take(const Codes& codes, std::size_t begin, std::size_t first, std::size_t count) {
    std::int32_t* out = codes_.data() + first;
    switch (codes.bytes) {
        case 1: transpose<std::uint8_t>(codes, variables_, begin, count, capacity_, out); break;
        case 2: transpose<std::uint16_t>(codes, variables_, begin, count, capacity_, out); break;
        default: transpose<std::int32_t>(codes, variables_, begin, count, capacity_, out); break;
    }
}

void Batch::pass_block(const Tree& tree, const Tables& tables, const Codes& codes, std::size_t begin, std::size_t first,
                       std::size_t count, const float* weight, int worker) {
    const DenormalsAreZero mode;
    take(codes, begin, first, count);
    std::int32_t* scratch = scratch_.data() + scratch_size_ * static_cast<std::size_t>(worker);
    pass_kernels().up(tree.view(), tables.view(), view(), first, count, scratch);
    if (posteriors_) pass_kernels().down(tree.view(), tables.view(), view(), weight, first, count);
}

void Batch::pass(const Tree& tree, const Tables& tables, const Codes& codes, std::size_t begin, std::size_t count,
                 const float* weight, int threads) {
    const std::size_t size = block_size(count, threads);
    parallel_for((count + size - 1) / size, threads, [&](std::size_t block, int worker) {
        const std::size_t first = block * size;
        pass_block(tree, tables, codes, begin + first, first, std::min(size, count - first), weight, worker);
    });
}

}  // namespace fourfold::pc
