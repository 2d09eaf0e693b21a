#include "kan/rational.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "kan/rational_kernels.hpp"
#include "kan/rational_limit.hpp"
#include "support/aligned.hpp"
#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::kan {

#define FOURFOLD_KERNELS_OF(level_name)            \
    namespace level_name {                         \
    extern const RationalKernels rational_kernels; \
    }
FOURFOLD_KERNELS_OF(baseline)
#if FOURFOLD_X86_LEVELS
FOURFOLD_KERNELS_OF(v3)
FOURFOLD_KERNELS_OF(v4)
#endif

namespace {

const RationalKernels& kernels() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::rational_kernels;
    if (isa::level() == isa::Level::v3) return v3::rational_kernels;
#endif
    return baseline::rational_kernels;
}

// About how many elements one work item has; one row at least, 32 rows if groups are many, because every item leaves
// sums for all of them.
constexpr std::size_t kItem = 32768;
constexpr std::size_t kLongestPiece = 16384;
constexpr std::size_t kManyGroups = 64;

// How x is cut into parts. This depends on the shape alone, so that results do not depend on the threads.
struct Plan {
    std::size_t rows_per_item = 0;  // 0: each run is cut into pieces
    std::size_t pieces = 1;
    std::size_t items = 0;

    explicit Plan(const RationalShape& shape) {
        if (shape.run > kLongestPiece) {
            pieces = (shape.run + kLongestPiece - 1) / kLongestPiece;
            items = shape.rows * shape.groups * pieces;
        } else {
            rows_per_item = std::max<std::size_t>(kItem / (shape.groups * shape.run), 1);
            if (shape.groups >= kManyGroups) rows_per_item = std::max<std::size_t>(rows_per_item, 32);
            items = (shape.rows + rows_per_item - 1) / rows_per_item;
        }
    }

    RationalPart part(const RationalShape& shape, std::size_t item) const {
        if (rows_per_item > 0) {
            const std::size_t first = item * rows_per_item;
            return {first, std::min(rows_per_item, shape.rows - first), 0, shape.groups, 0, shape.run};
        }
        const std::size_t segment = item / pieces, offset = item % pieces * kLongestPiece;
        return {
            segment / shape.groups, 1, segment % shape.groups, 1, offset, std::min(kLongestPiece, shape.run - offset)};
    }
    std::size_t groups_per_item(const RationalShape& shape) const { return rows_per_item > 0 ? shape.groups : 1; }
};

// Of the magnitudes; NaN counts as the largest.
template <class T>
T largest(const T* from, const T* end) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    Bits found = 0;
    for (; from != end; ++from) found = std::max(found, std::bit_cast<Bits>(*from) << 1 >> 1);
    return std::bit_cast<T>(found);
}

// Whether coefficients of these sizes restrict no group's limit.
template <class T>
bool all_small(T largest_a, int m, T largest_c, int n) {
    using E = LimitExponents<T>;
    const int exponent = E::of_limit(m, n), of_a = exponent_of(largest_a), of_c = exponent_of(largest_c);
    return E::numerator - of_a >= exponent * m && E::denominator - of_c >= exponent * n && of_a + of_c <= E::both;
}

// Owns what PreparedRational points to.
template <class T>
class Preparation {
public:
    Preparation(const RationalShape& shape, const T* numerator, const T* denominator, std::size_t lanes) {
        const auto m1 = static_cast<std::size_t>(shape.m + 1), n1 = static_cast<std::size_t>(shape.n + 1);
        const bool by_place = shape.groups > 1 && shape.run < lanes;
        const std::size_t stride = by_place ? (shape.groups * shape.run + lanes - 1) / lanes * lanes : 0;
        memory_.resize(shape.groups * (m1 + n1 + 1) + stride * (m1 + n1));
        T* a = memory_.data();
        T* c = a + shape.groups * m1;
        T* limit = c + shape.groups * n1;
        const std::size_t columns = static_cast<std::size_t>(shape.denominator_columns());
        for (std::size_t g = 0; g < shape.groups; ++g) {
            std::copy_n(numerator + (shape.shared_numerator ? 0 : g * m1), m1, a + g * m1);
            const T* from = denominator + (shape.shared_denominator ? 0 : g * columns);
            T* to = c + g * n1 + (n1 - columns);
            if (shape.variant == Variant::A) {
                c[g * n1] = 1;
                for (std::size_t j = 0; j < columns; ++j) to[j] = std::fabs(from[j]);
            } else {
                std::copy_n(from, columns, to);
            }
        }
        // Group by group takes longer than all the rest of a small call, and is needed for huge coefficients only.
        if (all_small(largest(a, c), shape.m, largest(c, limit), shape.n)) {
            std::fill_n(limit, shape.groups, power_of_two<T>(LimitExponents<T>::of_limit(shape.m, shape.n)));
        } else {
            for (std::size_t g = 0; g < shape.groups; ++g) {
                const T* own_a = a + g * m1;
                const T* own_c = c + g * n1;
                limit[g] =
                    safe_limit<T>([=](int i) { return own_a[i]; }, shape.m, [=](int j) { return own_c[j]; }, shape.n);
            }
        }
        // Rounding to bfloat16 relies on it; see storage.hpp.
        std::replace_if(a, limit, [](T value) { return std::isnan(value); }, std::numeric_limits<T>::quiet_NaN());
        const bool folded = shape.variant == Variant::B || shape.variant == Variant::C;
        const T constant = shape.variant == Variant::A ? T(0) : shape.variant == Variant::C ? T(0.1) : T(1);
        T* places = by_place ? limit + shape.groups : nullptr;
        for (std::size_t g = 0; by_place && g < shape.groups; ++g) {
            T* const place = places + g * shape.run;
            for (std::size_t i = 0; i < m1; ++i) std::fill_n(place + i * stride, shape.run, a[g * m1 + i]);
            for (std::size_t j = 0; j < n1; ++j) std::fill_n(place + (m1 + j) * stride, shape.run, c[g * n1 + j]);
        }
        const T lowest_limit = *std::min_element(limit, limit + shape.groups);
        prepared_ = {shape, a, c, limit, lowest_limit, constant, folded, places, stride};
    }
    const PreparedRational<T>& operator*() const { return prepared_; }

private:
    std::vector<T> memory_;
    PreparedRational<T> prepared_;
};

// One group has one run.
RationalShape merged(RationalShape shape) {
    if (shape.groups == 1) {
        shape.run *= shape.rows;
        shape.rows = 1;
    }
    return shape;
}

template <class T>
void forward(const RationalShape& shape, const void* x, const void* numerator, const void* denominator, void* out,
             int threads) {
    const RationalKernels& kernel = kernels();
    const Preparation<T> preparation(shape, static_cast<const T*>(numerator), static_cast<const T*>(denominator),
                                     static_cast<std::size_t>(kernel.lanes(shape.storage)));
    const Plan plan(shape);
    parallel_for(plan.items, threads,
                 [&](std::size_t item, int) { kernel.forward(&*preparation, plan.part(shape, item), x, out); });
}

template <class T>
void backward(const RationalShape& shape, const void* gradient, const void* x, const void* numerator,
              const void* denominator, void* x_gradient, void* numerator_gradient, void* denominator_gradient,
              int threads) {
    const RationalKernels& kernel = kernels();
    const auto lanes = static_cast<std::size_t>(kernel.lanes(shape.storage));
    const Preparation<T> preparation(shape, static_cast<const T*>(numerator), static_cast<const T*>(denominator),
                                     lanes);
    const Plan plan(shape);
    const std::size_t m1 = static_cast<std::size_t>(shape.m + 1), terms = m1 + static_cast<std::size_t>(shape.n + 1);
    const std::size_t groups = plan.groups_per_item(shape);
    const std::size_t scratch = terms * std::max(groups * lanes, (*preparation).stride);
    std::vector<AlignedBuffer<T>> workers(static_cast<std::size_t>(std::max(threads, 1)));
    std::vector<double> sums(plan.items * groups * terms);
    parallel_for(plan.items, threads, [&](std::size_t item, int worker) {
        AlignedBuffer<T>& mine = workers[static_cast<std::size_t>(worker)];
        if (mine.size() == 0) mine = AlignedBuffer<T>(scratch);
        kernel.backward(&*preparation, plan.part(shape, item), gradient, x, x_gradient, mine.data(),
                        sums.data() + item * groups * terms);
    });

    // In the order of the items, then of the groups.
    std::vector<double> total(shape.groups * terms);
    for (std::size_t item = 0; item < plan.items; ++item) {
        const double* from = sums.data() + item * groups * terms;
        double* to = total.data() + plan.part(shape, item).first_group * terms;
        for (std::size_t k = 0; k < groups * terms; ++k) to[k] += from[k];
    }
    const auto columns = static_cast<std::size_t>(shape.denominator_columns());
    std::vector<double> a(shape.shared_numerator ? m1 : shape.groups * m1),
        b(shape.shared_denominator ? columns : shape.groups * columns);
    for (std::size_t g = 0; g < shape.groups; ++g) {
        double* to_a = a.data() + (shape.shared_numerator ? 0 : g * m1);
        double* to_b = b.data() + (shape.shared_denominator ? 0 : g * columns);
        const double* of_c = total.data() + (g + 1) * terms - columns;
        for (std::size_t i = 0; i < m1; ++i) to_a[i] += total[g * terms + i];
        for (std::size_t j = 0; j < columns; ++j) to_b[j] += of_c[j];
    }
    T* to_a = static_cast<T*>(numerator_gradient);
    T* to_b = static_cast<T*>(denominator_gradient);
    for (std::size_t k = 0; k < a.size(); ++k) to_a[k] = static_cast<T>(a[k]);
    for (std::size_t k = 0; k < b.size(); ++k) {
        const bool flips = shape.variant == Variant::A && static_cast<const T*>(denominator)[k] < 0;
        to_b[k] = static_cast<T>(flips ? -b[k] : b[k]);
    }
}

}  // namespace

void rational_forward(const RationalShape& given, const void* x, const void* numerator, const void* denominator,
                      void* out, int threads) {
    const RationalShape shape = merged(given);
    const auto run = shape.storage == Storage::float64 ? forward<double> : forward<float>;
    run(shape, x, numerator, denominator, out, threads);
}

void rational_backward(const RationalShape& given, const void* gradient, const void* x, const void* numerator,
                       const void* denominator, void* x_gradient, void* numerator_gradient, void* denominator_gradient,
                       int threads) {
    const RationalShape shape = merged(given);
    const auto run = shape.storage == Storage::float64 ? backward<double> : backward<float>;
    run(shape, gradient, x, numerator, denominator, x_gradient, numerator_gradient, denominator_gradient, threads);
}

}  // namespace fourfold::kan
