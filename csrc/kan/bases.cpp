#include "kan/bases.hpp"

#include <algorithm>
#include <vector>

#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::kan {

#define FOURFOLD_BASES_OF(level)                           \
    namespace level {                                      \
    extern const SplineKernels<float> spline_float;        \
    extern const SplineKernels<double> spline_double;      \
    extern const FunctionKernels<float> functions_float;   \
    extern const FunctionKernels<double> functions_double; \
    extern const FunctionKernels<float> combined_float;    \
    extern const FunctionKernels<double> combined_double;  \
    }
FOURFOLD_BASES_OF(baseline)
#if FOURFOLD_X86_LEVELS
FOURFOLD_BASES_OF(v3)
FOURFOLD_BASES_OF(v4)
#define FOURFOLD_CHOOSE(table) \
    (isa::level() == isa::Level::v4 ? v4::table : isa::level() == isa::Level::v3 ? v3::table : baseline::table)
#else
#define FOURFOLD_CHOOSE(table) baseline::table
#endif

namespace {

template <class T>
const SplineKernels<T>& splines() {
    if constexpr (sizeof(T) == 4)
        return FOURFOLD_CHOOSE(spline_float);
    else
        return FOURFOLD_CHOOSE(spline_double);
}

template <class T>
const FunctionKernels<T>& kernels_of(Function function) {
    const bool combined = is_combined(function);
    if constexpr (sizeof(T) == 4)
        return combined ? FOURFOLD_CHOOSE(combined_float) : FOURFOLD_CHOOSE(functions_float);
    else
        return combined ? FOURFOLD_CHOOSE(combined_double) : FOURFOLD_CHOOSE(functions_double);
}

// Rows per item; fixed, because sums over rows are taken item by item.
constexpr std::size_t kRows = 64;
// Features per item of the layer's backward: their weights and gradients for 64 outputs fill half of L1.
constexpr std::size_t kFeatures = 8;

template <class F>
void for_rows(std::size_t rows, int threads, F work) {
    const std::size_t items = (rows + kRows - 1) / kRows;
    parallel_for(items, threads, [&](std::size_t item, int) {
        const std::size_t begin = item * kRows;
        work(item, begin, std::min(kRows, rows - begin));
    });
}

}  // namespace

template <class T>
void Bases<T>::spline(const Spline<T>& s, int derivative, const T* x, T* out, std::size_t rows, int threads) {
    const std::size_t d = s.features, size = d * s.functions();
    for_rows(rows, threads, [&](std::size_t, std::size_t begin, std::size_t count) {
        splines<T>().expand(s, derivative, x + begin * d, out + begin * size, count);
    });
}

template <class T>
void Bases<T>::spline_contract(const Spline<T>& s, int derivative, const T* grad, const T* x, T* dx, std::size_t rows,
                               int threads) {
    const std::size_t d = s.features, size = d * s.functions();
    for_rows(rows, threads, [&](std::size_t, std::size_t begin, std::size_t count) {
        splines<T>().contract(s, derivative, grad + begin * size, x + begin * d, dx + begin * d, count);
    });
}

template <class T>
void Bases<T>::spline_linear(const Spline<T>& s, std::size_t outputs, const T* x, const T* w, T* y, std::size_t rows,
                             int threads) {
    for_rows(rows, threads, [&](std::size_t, std::size_t begin, std::size_t count) {
        splines<T>().linear(s, outputs, x + begin * s.features, w, y + begin * outputs, count);
    });
}

template <class T>
void Bases<T>::spline_linear_backward(const Spline<T>& s, std::size_t outputs, const T* grad, const T* x, const T* w,
                                      T* dx, T* dw, std::size_t rows, int threads) {
    const std::size_t items = (s.features + kFeatures - 1) / kFeatures;
    parallel_for(items, threads, [&](std::size_t item, int) {
        const std::size_t first = item * kFeatures;
        splines<T>().linear_backward(s, outputs, grad, x, w, dx, dw, rows, first,
                                     std::min(kFeatures, s.features - first));
    });
}

template <class T>
void Bases<T>::basis(const Basis<T>& b, const T* x, T* out, std::size_t rows, int threads) {
    const std::size_t d = b.features, size = d * b.functions;
    for_rows(rows, threads, [&](std::size_t, std::size_t begin, std::size_t count) {
        kernels_of<T>(b.function).expand(b, x + begin * d, out + begin * size, count);
    });
}

template <class T>
void Bases<T>::basis_contract(const Basis<T>& b, const T* grad, const T* x, T* dx, T* dcentre, T* dscale,
                              std::size_t rows, int threads) {
    const std::size_t d = b.features, size = d * b.functions;
    const bool wanted = dcentre != nullptr;
    // partial[item][dcentre, dscale][size]
    const std::size_t items = (rows + kRows - 1) / kRows;
    std::vector<T> partial(wanted ? items * 2 * size : 0);
    for_rows(rows, threads, [&](std::size_t item, std::size_t begin, std::size_t count) {
        T* const mine = partial.data() + item * 2 * size;
        kernels_of<T>(b.function)
            .contract(b, grad + begin * size, x + begin * d, dx + begin * d, wanted ? mine : nullptr,
                      wanted ? mine + size : nullptr, count);
    });
    if (!wanted) return;
    for (int which = 0; which < 2; ++which) {
        std::vector<double> sum(size);
        for (std::size_t item = 0; item < items; ++item) {
            const T* const from = partial.data() + (2 * item + which) * size;
            for (std::size_t i = 0; i < size; ++i) sum[i] += static_cast<double>(from[i]);
        }
        T* const to = which == 0 ? dcentre : dscale;
        for (std::size_t i = 0; i < size; ++i) to[i] = static_cast<T>(sum[i]);
    }
}

template struct Bases<float>;
template struct Bases<double>;

}  // namespace fourfold::kan
