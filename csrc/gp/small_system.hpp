// Small Kronecker systems with noise on a GPU: how they are laid out, and which are small. Everything is packed as
// algebra.hpp says for SpectralSystem.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/host_device.hpp"

namespace fourfold::gp {

inline constexpr int kSmallModes = 8, kSmallSize = 64;

struct SmallSystem {
    int d, total;                                          // total = N, the product of the sizes
    int sizes[kSmallModes];                                // n_k
    std::int64_t batch, count;                             // right-hand sides: [batch, count, N]
    std::int64_t items[kSmallModes];                       // factors of a mode: 1 or batch
    std::int64_t basis[kSmallModes], values[kSmallModes];  // where those of a mode begin in the packed vectors
    bool wanted[kSmallModes];                              // whose gradients are

    FOURFOLD_HOST_DEVICE bool shared(int k) const { return items[k] < batch; }
    FOURFOLD_HOST_DEVICE int after(int k) const {
        int product = 1;
        for (int j = k + 1; j < d; ++j) product *= sizes[j];
        return product;
    }
    FOURFOLD_HOST_DEVICE std::int64_t matrix(int k, std::int64_t b) const {
        return basis[k] + (items[k] > 1 ? b : 0) * sizes[k] * sizes[k];
    }
};

// Of threads that share memory; a power of two.
inline constexpr int kSmallThreads = 256;
inline int eigh_threads(int n) { return n <= 20 ? 128 : 256; }

// Bytes of shared memory of a block: of an eigenproblem, of one right-hand side, of one mode's gradient.
inline std::size_t eigh_shared(int n) {
    const std::size_t even = static_cast<std::size_t>(n + n % 2), matrix = even * (even + 1);
    return (2 * matrix + 2 * (even / 2) + 2 * static_cast<std::size_t>(eigh_threads(n))) * sizeof(double) +
           (3 * (even / 2) + 2) * sizeof(int);
}
inline std::size_t data_shared(const SmallSystem& system, std::size_t element) {
    return 3 * kSmallThreads * sizeof(double) + 2 * static_cast<std::size_t>(system.total) * element;
}
inline std::size_t gradient_shared(const SmallSystem& system, std::size_t element) {
    std::size_t square = 0;
    for (int k = 0; k < system.d; ++k) {
        const auto n = static_cast<std::size_t>(system.sizes[k]);
        square = n * n > square ? n * n : square;
    }
    const auto total = static_cast<std::size_t>(system.total);
    return kSmallThreads * sizeof(double) + (2 * (total > square ? total : square) + square) * element;
}

}  // namespace fourfold::gp
