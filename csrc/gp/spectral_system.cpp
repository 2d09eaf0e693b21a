// A Kronecker product with noise in one call each way. Small and batched systems take tens of microseconds: here every
// item stays on one thread and in its caches from the first product to the last.
#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "gp/algebra.hpp"
#include "gp/cuts.hpp"

namespace fourfold::gp {
namespace {

using Index = std::ptrdiff_t;

// Memory that is not set to zero.
template <class T>
std::unique_ptr<T[]> scratch(Index count) {
    return std::unique_ptr<T[]>(new T[static_cast<std::size_t>(count)]);
}

// Where the parts of the packed vectors begin.
struct Layout {
    explicit Layout(const SpectralSystem& s) {
        for (int k = 0; k < s.d; ++k) {
            basis.push_back(basis_count);
            values.push_back(values_count);
            basis_count += s.items[k] * s.sizes[k] * s.sizes[k];
            values_count += s.batch * s.sizes[k];
            total *= s.sizes[k];
        }
    }
    std::vector<Index> basis, values;
    Index basis_count = 0, values_count = 0, total = 1;
};

// The matrices of item b of a packed vector, as modes; transposed or not.
template <class T>
std::vector<Mode<T>> modes_of(const SpectralSystem& s, const Layout& at, const T* basis, Index b, bool transposed) {
    std::vector<Mode<T>> modes;
    for (int k = 0; k < s.d; ++k) {
        const Index n = s.sizes[k];
        const T* matrix = basis + at.basis[static_cast<std::size_t>(k)] + (s.items[k] > 1 ? b * n * n : 0);
        modes.push_back({n, n, matrix, 0, transposed ? 1 : n, transposed ? n : 1});
    }
    return modes;
}

// For mode_products.
template <class T>
std::unique_ptr<T[]> work_of(const SpectralSystem& s, Index count) {
    return *std::max_element(s.sizes, s.sizes + s.d) <= kSmallMode ? scratch<T>(count) : nullptr;
}

template <class T>
std::vector<const T*> values_of(const SpectralSystem& s, const Layout& at, const T* values, Index b) {
    std::vector<const T*> all;
    for (int k = 0; k < s.d; ++k) all.push_back(values + at.values[static_cast<std::size_t>(k)] + b * s.sizes[k]);
    return all;
}

// Eigenvalues of shared factors for every item of the batch.
template <class T>
void spread(const SpectralSystem& s, const Layout& at, T* values) {
    for (int k = 0; k < s.d; ++k) {
        T* first = values + at.values[static_cast<std::size_t>(k)];
        for (Index b = 1; s.items[k] == 1 && b < s.batch; ++b) std::copy_n(first, s.sizes[k], first + b * s.sizes[k]);
    }
}

bool decompose(const SpectralSystem& s, const Layout& at, const double* const* factors, double limit, double* basis,
               double* values, int threads) {
    std::vector<EighJob> jobs;
    for (int k = 0; k < s.d; ++k) {
        const auto i = static_cast<std::size_t>(k);
        jobs.push_back({s.items[k], s.sizes[k], factors[k], values + at.values[i], basis + at.basis[i]});
    }
    return eigh(jobs, limit, threads);
}

// Single precision is decomposed in double, too.
bool decompose(const SpectralSystem& s, const Layout& at, const float* const* factors, double limit, float* basis,
               float* values, int threads) {
    const auto wide = scratch<double>(at.basis_count), wide_basis = scratch<double>(at.basis_count);
    const auto wide_values = scratch<double>(at.values_count);
    std::fill_n(wide_values.get(), at.values_count, 0.0);
    std::vector<const double*> wide_factors;
    for (int k = 0; k < s.d; ++k) {
        double* to = wide.get() + at.basis[static_cast<std::size_t>(k)];
        std::copy_n(factors[k], s.items[k] * s.sizes[k] * s.sizes[k], to);
        wide_factors.push_back(to);
    }
    if (!decompose(s, at, wide_factors.data(), limit, wide_basis.get(), wide_values.get(), threads)) return false;
    for (Index i = 0; i < at.basis_count; ++i) basis[i] = static_cast<float>(wide_basis[static_cast<std::size_t>(i)]);
    for (Index i = 0; i < at.values_count; ++i)
        values[i] = static_cast<float>(wide_values[static_cast<std::size_t>(i)]);
    return true;
}

// V' middle V of one mode, for a symmetric middle: of the second product one half is enough.
template <class T>
void sandwich(Index n, const T* v, const T* middle, T* out) {
    const auto work = scratch<T>(n * n), pack = scratch<T>(static_cast<Index>(kPackCount<T>));
    const auto gemm = algebra_kernels<T>().gemm;
    gemm({n, n, n, middle, v, nullptr, n, 1, n, 1, work.get(), n, Update::set, false}, pack.get());
    gemm({n, n, n, v, work.get(), nullptr, 1, n, n, 1, out, n, Update::set, true}, pack.get());
    for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < i; ++j) out[i * n + j] = out[j * n + i];
    }
}

}  // namespace

template <class T>
bool spectral_forward(const SpectralSystem& s, const T* const* factors, const T* noise, const T* y, double limit,
                      T* basis, T* values, T* x, T* quad, T* logdet, int threads) {
    const Layout at(s);
    if (!decompose(s, at, factors, limit, basis, values, threads)) return false;
    spread(s, at, values);
    std::vector<char> good(static_cast<std::size_t>(s.batch));
    over_batch(s.batch, threads, [&](Index b) {
        const T* from = y + b * s.count * at.total;
        T* to = x + b * s.count * at.total;
        const std::vector<const T*> lists = values_of(s, at, values, b);
        double log = 0, inverse = 0, smallest = 0;
        spectral_sums<T>(1, s.d, s.sizes, lists.data(), noise + b, &log, &inverse, &smallest, nullptr, threads);
        logdet[b] = static_cast<T>(log);
        good[static_cast<std::size_t>(b)] = smallest > 0;
        if (s.count == 0) return;
        if (!all_finite(s.count, at.total, from, threads)) good[static_cast<std::size_t>(b)] = false;
        const auto work = work_of<T>(s, s.count * at.total);
        mode_products<T>(1, s.count, s.d, modes_of(s, at, basis, b, false).data(), from, to, work.get(), threads);
        std::vector<double> sums(static_cast<std::size_t>(s.count));
        spectral_divide<T>(1, s.count, s.d, s.sizes, lists.data(), noise + b, to, sums.data(), threads);
        for (Index c = 0; c < s.count; ++c) quad[b * s.count + c] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
    });
    return std::all_of(good.begin(), good.end(), [](char ok) { return ok != 0; });
}

template <class T>
void spectral_backward(const SpectralSystem& s, const T* basis, const T* values, const T* noise, const T* x,
                       const T* grad_quad, const T* grad_logdet, const std::vector<bool>& wanted, T* grad_factors,
                       T* grad_noise, T* grad_y, int threads) {
    const Layout at(s);
    const Index points = s.count * at.total;
    // Of factors that all items share: V' (sum of the middles) V.
    std::vector<std::unique_ptr<T[]>> middles(static_cast<std::size_t>(s.d));
    const auto shared = [&s](int k) { return s.items[k] < s.batch; };
    for (int k = 0; k < s.d; ++k) {
        if (shared(k)) middles[static_cast<std::size_t>(k)] = scratch<T>(s.batch * s.sizes[k] * s.sizes[k]);
    }
    over_batch(s.batch, threads, [&](Index b) {
        const T* one = x + b * points;
        const T* weight = grad_quad + b * s.count;
        const std::vector<const T*> lists = values_of(s, at, values, b);
        const std::vector<Mode<T>> modes = modes_of(s, at, basis, b, true);
        std::vector<std::vector<double>> traces;
        std::vector<double*> to;
        for (int k = 0; k < s.d; ++k) to.push_back(traces.emplace_back(static_cast<std::size_t>(s.sizes[k])).data());
        double log = 0, inverse = 0, smallest = 0;
        spectral_sums<T>(1, s.d, s.sizes, lists.data(), noise + b, &log, &inverse, &smallest, to.data(), threads);
        std::vector<double> norms(static_cast<std::size_t>(s.count));
        row_dots(s.count, at.total, one, one, norms.data(), threads);
        double noise_slope = static_cast<double>(grad_logdet[b]) * inverse;
        for (Index c = 0; c < s.count; ++c) {
            noise_slope -= static_cast<double>(weight[c]) * norms[static_cast<std::size_t>(c)];
        }
        grad_noise[b] = static_cast<T>(noise_slope);
        if (grad_y != nullptr && points > 0) {
            T* out = grad_y + b * points;
            const auto work = work_of<T>(s, points);
            mode_products<T>(1, s.count, s.d, modes.data(), one, out, work.get(), threads);
            std::vector<T> twice;
            for (Index c = 0; c < s.count; ++c) twice.push_back(2 * weight[c]);
            scale_rows(s.count, at.total, twice.data(), out, out, threads);
        }
        for (int k = 0; k < s.d; ++k) {
            const auto i = static_cast<std::size_t>(k);
            if (!wanted[i]) continue;
            const Index n = s.sizes[k];
            const auto own = scratch<T>(shared(k) ? 0 : n * n);
            T* middle = shared(k) ? middles[i].get() + b * n * n : own.get();
            std::fill_n(middle, n * n, T(0));
            if (points > 0) mode_gram<T>(1, s.count, s.d, s.sizes, k, one, one, lists.data(), weight, middle, threads);
            for (Index j = 0; j < n * n; ++j) middle[j] = -middle[j];
            for (Index j = 0; j < n; ++j) {
                middle[j * n + j] +=
                    static_cast<T>(static_cast<double>(grad_logdet[b]) * traces[i][static_cast<std::size_t>(j)]);
            }
            if (!shared(k)) sandwich(n, modes[i].matrix, middle, grad_factors + at.basis[i] + b * n * n);
        }
    });
    for (int k = 0; k < s.d; ++k) {
        const auto i = static_cast<std::size_t>(k);
        if (!wanted[i] || !shared(k)) continue;
        const Index n = s.sizes[k], size = n * n;
        T* sum = middles[i].get();
        for (Index b = 1; b < s.batch; ++b) {
            for (Index j = 0; j < size; ++j) sum[j] += sum[b * size + j];
        }
        sandwich(n, basis + at.basis[i], sum, grad_factors + at.basis[i]);
    }
}

#define FOURFOLD_GP_INSTANTIATE(T)                                                                                    \
    template bool spectral_forward<T>(const SpectralSystem&, const T* const*, const T*, const T*, double, T*, T*, T*, \
                                      T*, T*, int);                                                                   \
    template void spectral_backward<T>(const SpectralSystem&, const T*, const T*, const T*, const T*, const T*,       \
                                       const T*, const std::vector<bool>&, T*, T*, T*, int);
FOURFOLD_GP_INSTANTIATE(float)
FOURFOLD_GP_INSTANTIATE(double)

}  // namespace fourfold::gp
