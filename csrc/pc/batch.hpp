// What a batch of images needs while it passes through the tree.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pc/large_buffer.hpp"
#include "pc/passes.hpp"
#include "pc/tables.hpp"
#include "pc/tree.hpp"
#include "support/aligned.hpp"

namespace fourfold::pc {

// Rows of values in the memory of the caller: codes[rows][variables], each of 1, 2 or 4 bytes.
struct Codes {
    const void* data;
    int bytes;
    const std::int64_t* order;  // row of the k-th image, or null: k
};

class Batch {
public:
    // Room for `capacity` images, and scratch for so many workers. With `posteriors`, down() can be called as well.
    Batch(const Tree& tree, std::size_t capacity, bool posteriors, int workers);

    BatchView view();
    std::size_t capacity() const { return capacity_; }
    // Image first + k of this batch becomes image begin + k of `codes`, k < count.
    void take(const Codes& codes, std::size_t begin, std::size_t first, std::size_t count);
    // Takes count images from `begin` on and passes them up and, with posteriors, down the tree, block by block.
    // weight: see PassKernels::down.
    void pass(const Tree& tree, const Tables& tables, const Codes& codes, std::size_t begin, std::size_t count,
              const float* weight, int threads);
    // The same for one block of at most kLargestBlock images, first ... first + count - 1 of this batch, on this
    // thread.
    void pass_block(const Tree& tree, const Tables& tables, const Codes& codes, std::size_t begin, std::size_t first,
                    std::size_t count, const float* weight, int worker);

private:
    std::size_t capacity_, variables_, scratch_size_;
    bool posteriors_;
    LargeBuffer<float> floats_;
    AlignedBuffer<std::int32_t> codes_, exponent_, scratch_;
    AlignedBuffer<double> log_prob_;
    std::vector<float*> likelihood_, message_, posterior_;
};

// Images that go through the tree together, so many that a table which comes from memory serves all of them, and so few
// that what they hold at one node fits L1 and all threads have blocks. No result depends on it.
inline constexpr std::size_t kSmallestBlock = 32, kLargestBlock = 128;

inline std::size_t block_size(std::size_t count, int threads) {
    const std::size_t fair = count / (2 * static_cast<std::size_t>(threads < 1 ? 1 : threads));
    return std::clamp((fair + kSmallestBlock - 1) / kSmallestBlock * kSmallestBlock, kSmallestBlock, kLargestBlock);
}

}  // namespace fourfold::pc
