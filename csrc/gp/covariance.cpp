#include "gp/covariance.hpp"

#include <algorithm>
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

// A chunk's lags and results stay in the first-level cache while every component passes over them.
constexpr std::size_t kChunk = 512;

// Below this many evaluations of an envelope a second thread costs more than it brings.
constexpr std::size_t kWorthAThread = 1 << 14;

template <class J>
J from(const J& jet, std::size_t at) {
    J moved = jet;
    for (auto& pointer : moved.order) {
        if (pointer != nullptr) pointer += at;
    }
    return moved;
}

int threads_for(const Mixture& mixture, std::size_t n, int threads) {
    return n * mixture.components < kWorthAThread ? 1 : threads;
}

}  // namespace

void evaluate(const Mixture& mixture, const double* lag, std::size_t n, const Jet& out, int threads) {
    parallel_for((n + kChunk - 1) / kChunk, threads_for(mixture, n, threads), [&](std::size_t chunk, int) {
        const std::size_t at = chunk * kChunk;
        kernels().evaluate(mixture, lag + at, std::min(kChunk, n - at), from(out, at));
    });
}

void pull_back(const Mixture& mixture, const double* lag, std::size_t n, const ConstJet& cotangent, double* gradient,
               int threads) {
    const std::size_t chunks = (n + kChunk - 1) / kChunk, width = 3 * mixture.components;
    std::vector<double> partial(chunks * width);
    parallel_for(chunks, threads_for(mixture, n, threads), [&](std::size_t chunk, int) {
        const std::size_t at = chunk * kChunk;
        kernels().pull_back(mixture, lag + at, std::min(kChunk, n - at), from(cotangent, at),
                            partial.data() + chunk * width);
    });
    std::fill(gradient, gradient + width, 0.0);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        for (std::size_t i = 0; i < width; ++i) gradient[i] += partial[chunk * width + i];
    }
}

}  // namespace fourfold::gp
