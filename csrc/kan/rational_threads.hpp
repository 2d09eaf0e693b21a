// What each GPU thread does, phase by phase; between the phases all threads of a block wait for each other. Functions
// of the place of a thread and of pointers, so that tests run them on the host. Internal linkage.
//
// Partial sums: double [block][m + 1 + n + 1][kLanes], of g/Q x^i and then of -g F/Q dQ/dc_j, for each column of a
// block.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kan/gpu_column.hpp"
#include "kan/gpu_formula.hpp"
#include "kan/rational_blocks.hpp"
#include "kan/rational_far.hpp"
#include "kan/rational_formula.hpp"
#include "kan/rational_limit.hpp"
#include "kan/scaled.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

// One call. T is what is computed in.
template <class T>
struct RationalCall {
    RationalBlocks blocks;
    const T* numerator;    // [groups, or 1 if shared][m + 1]
    const T* denominator;  // [groups, or 1 if shared][n + 1 - first]: c_first, c_first+1, ..
    int m, n, first;
    T constant;
    bool shared_numerator, shared_denominator, absolute, folded;

    FOURFOLD_HOST_DEVICE int columns() const { return n + 1 - first; }
    FOURFOLD_HOST_DEVICE int terms() const { return m + 1 + n + 1; }
};

// The coefficients of one group, in memory.
template <class Number>
struct GroupCoefficients {
    using T = Number;
    const T *numerator, *denominator;
    int m, n, first;
    T constant;
    bool absolute, folded;

    FOURFOLD_HOST_DEVICE GroupCoefficients(const RationalCall<T>& call, std::uint32_t group)
        : numerator(call.numerator + (call.shared_numerator ? 0 : group * static_cast<std::size_t>(call.m + 1))),
          denominator(call.denominator +
                      (call.shared_denominator ? 0 : group * static_cast<std::size_t>(call.columns()))),
          m(call.m),
          n(call.n),
          first(call.first),
          constant(call.constant),
          absolute(call.absolute),
          folded(call.folded) {}

    FOURFOLD_HOST_DEVICE T a(int i) const { return numerator[i]; }
    FOURFOLD_HOST_DEVICE T c(int j) const {
        if (j < first) return absolute ? T(1) : T(0);
        const T value = denominator[j - first];
        return absolute ? std::fabs(value) : value;
    }
    FOURFOLD_HOST_DEVICE T limit() const {
        return safe_limit<T>([this](int i) { return a(i); }, m, [this](int j) { return c(j); }, n);
    }
};

// A type of a wider range than T.
template <class T>
using WiderOf = std::conditional_t<sizeof(T) == 4, double, Scaled>;
template <class T>
using Far = FarPoint<WiderOf<T>, GroupCoefficients<T>>;

// The coefficients in registers. M and N are the degrees of the kernel, which are at least those of the call: what is
// above them is zero.
template <class T, int M, int N>
struct HeldCoefficients {
    T a[M + 1], c[N + 1], limit;

    FOURFOLD_INLINE explicit HeldCoefficients(const GroupCoefficients<T>& from) {
        FOURFOLD_UNROLL(16)
        for (int i = 0; i <= M; ++i) a[i] = i <= from.m ? from.a(i) : T(0);
        FOURFOLD_UNROLL(16)
        for (int j = 0; j <= N; ++j) c[j] = j <= from.n ? from.c(j) : T(0);
        limit = from.limit();
    }
};

// Degrees that make so much code that the pairs of a column go through the same.
template <int M, int N>
inline constexpr bool is_long = M + N > 10;

// Whether some number of a column is beyond the limit; NaN is not.
template <class S, int V, class T>
FOURFOLD_INLINE bool any_beyond(const Column<S, V>& x, T limit) {
    T largest = 0;
    FOURFOLD_UNROLL(8)
    for (int k = 0; k < V; ++k) largest = std::fmax(largest, std::fabs(widened(element_of(x, k))));
    return largest > limit;
}

template <class S, int V, bool Absolute, int M, int N>
FOURFOLD_INLINE void forward_thread(const RationalCall<typename ComputeOf<S>::type>& call, std::uint64_t block,
                                    std::uint32_t warp, std::uint32_t lane, const S* x, S* out) {
    using T = typename ComputeOf<S>::type;
    const RationalColumns own = columns_of(call.blocks, block, warp, lane);
    if (own.first >= own.end) return;
    const GroupCoefficients<T> coefficients(call, own.group);
    const HeldCoefficients<T, M, N> held(coefficients);
    const Formula<T, Absolute> formula{call.constant, call.folded};
    std::uint64_t at = own.first;
    Column<S, V> next = load_column<S, V>(x + at, own.limit - at);
    while (true) {
        // The next column is on its way while this one is computed.
        const Column<S, V> here = next;
        const std::uint64_t following = at + own.step;
        if (following < own.end) next = load_column<S, V>(x + following, own.limit - following);
        Column<S, V> result;
        Column<S, V> given = here;
        for_pairs<is_long<M, N>, V>(
            [&](int k) {
                set_numbers(result, k,
                            value_of(
                                formula, Degrees<M, N>{}, numbers_of(given, k), [&](int i) { return held.a[i]; },
                                [&](int j) { return held.c[j]; }));
            },
            given, result);
        store_column(out + at, own.limit - at, result);
        if (any_beyond(here, held.limit)) {
            FOURFOLD_ROLLED
            for (std::uint64_t k = at; k < at + V && k < own.limit; ++k) {
                const T value = widened(x[k]);
                if (std::fabs(value) > held.limit) {
                    out[k] = narrowed<S>(static_cast<T>(Far<T>(coefficients, value).value()));
                }
            }
        }
        if (following >= own.end) return;
        at = following;
    }
}

// What a thread of the backward pass has found when it has walked down its column.
template <class T, int M, int N>
struct BackwardSums {
    T a[M + 1] = {}, c[N + 1] = {};
    bool far = false;  // some number was beyond the limit
};

template <class T, int K>
struct AddTerms {
    T* sums;
    FOURFOLD_INLINE void operator()(int i, Pack<T, K> h) const {
        FOURFOLD_UNROLL(2)
        for (int k = 0; k < K; ++k) sums[i] += h.v[k];
    }
    FOURFOLD_INLINE void operator()(int i, Pack<T, K> h, Pack<T, K> power) const {
        FOURFOLD_UNROLL(2)
        for (int k = 0; k < K; ++k) sums[i] = std::fma(h.v[k], power.v[k], sums[i]);
    }
};
template <class T, int K>
struct SubtractTerms {
    T* sums;
    FOURFOLD_INLINE void operator()(int j, Pack<T, K> s) const {
        FOURFOLD_UNROLL(2)
        for (int k = 0; k < K; ++k) sums[j] -= s.v[k];
    }
    FOURFOLD_INLINE void operator()(int j, Pack<T, K> s, Pack<T, K> power) const {
        FOURFOLD_UNROLL(2)
        for (int k = 0; k < K; ++k) sums[j] = std::fma(-s.v[k], power.v[k], sums[j]);
    }
};

// Phase 1. Numbers beyond the limit count as x = 0 with the gradient 0, which leaves the sums as they are.
template <class S, int V, bool Absolute, int M, int N>
FOURFOLD_INLINE void backward_thread(const RationalCall<typename ComputeOf<S>::type>& call, std::uint64_t block,
                                     std::uint32_t warp, std::uint32_t lane, const S* g, const S* x, S* dx,
                                     BackwardSums<typename ComputeOf<S>::type, M, N>& sums) {
    using T = typename ComputeOf<S>::type;
    constexpr int K = V == 1 ? 1 : 2;
    const RationalColumns own = columns_of(call.blocks, block, warp, lane);
    if (own.first >= own.end) return;
    const HeldCoefficients<T, M, N> held(GroupCoefficients<T>(call, own.group));
    const Formula<T, Absolute> formula{call.constant, call.folded};
    std::uint64_t at = own.first;
    Column<S, V> next_g = load_column<S, V>(g + at, own.limit - at), next_x = load_column<S, V>(x + at, own.limit - at);
    while (true) {
        Column<S, V> here_g = next_g, here_x = next_x;
        const std::uint64_t following = at + own.step;
        if (following < own.end) {
            next_g = load_column<S, V>(g + following, own.limit - following);
            next_x = load_column<S, V>(x + following, own.limit - following);
        }
        if (any_beyond(here_x, held.limit)) {
            sums.far = true;
            FOURFOLD_UNROLL(8)
            for (int k = 0; k < V; ++k) {
                if (!(std::fabs(widened(element_of(here_x, k))) > held.limit)) continue;
                clear(here_x, k);
                clear(here_g, k);
            }
        }
        Column<S, V> result;
        for_pairs<is_long<M, N>, V>(
            [&](int k) {
                set_numbers(result, k,
                            gradients_of(
                                formula, Degrees<M, N>{}, numbers_of(here_g, k), numbers_of(here_x, k),
                                [&](int i) { return held.a[i]; }, [&](int j) { return held.c[j]; },
                                AddTerms<T, K>{sums.a}, SubtractTerms<T, K>{sums.c}));
            },
            here_g, here_x, result);
        store_column(dx + at, own.limit - at, result);
        if (following >= own.end) return;
        at = following;
    }
}

// What the threads of a block tell each other. `largest` is at least M + 1 and N + 1.
template <class T, int largest>
struct BackwardShared {
    T sums[largest][kWarps][kLanes];
};

// Phase 2 for P, then for W: a thread's sums go to the others.
template <class T, int largest, int size>
FOURFOLD_INLINE void share_sums(BackwardShared<T, largest>& shared, std::uint32_t warp, std::uint32_t lane,
                                const T (&sums)[size]) {
    FOURFOLD_UNROLL(16)
    for (int k = 0; k < size; ++k) shared.sums[k][warp][lane] = sums[k];
}

// Phase 3: the sums of `count` terms over the warps, in their order; `part` is that of these terms of this block.
template <class T, int largest>
FOURFOLD_INLINE void add_warps(const BackwardShared<T, largest>& shared, std::uint32_t warp, std::uint32_t lane,
                               int count, double* part) {
    FOURFOLD_ROLLED
    for (int term = static_cast<int>(warp); term < count; term += kWarps) {
        double sum = 0;
        FOURFOLD_UNROLL(8)
        for (std::uint32_t k = 0; k < kWarps; ++k) sum += static_cast<double>(shared.sums[term][k][lane]);
        part[static_cast<std::uint32_t>(term) * kLanes + lane] = sum;
    }
}

// The second kernel, where a block of the first one found numbers beyond the limit. For each column of each warp: from
// which of its walk's steps to which such numbers are; none if first > last.
struct FarRanges {
    std::uint64_t first[kWarps][kLanes], last[kWarps][kLanes];
};

// Phase 1
template <class S>
FOURFOLD_HOST_DEVICE void find_far(const RationalCall<typename ComputeOf<S>::type>& call, std::uint64_t block,
                                   std::uint32_t warp, std::uint32_t lane, const S* x, FarRanges& ranges) {
    using T = typename ComputeOf<S>::type;
    const RationalColumns own = columns_of(call.blocks, block, warp, lane);
    const T limit = GroupCoefficients<T>(call, own.group).limit();
    std::uint64_t first = ~std::uint64_t{0}, last = 0;
    FOURFOLD_ROLLED
    for (std::uint64_t at = own.first; at < own.end; at += own.step) {
        FOURFOLD_ROLLED
        for (std::uint64_t k = at; k < at + call.blocks.elements && k < own.limit; ++k) {
            if (!(std::fabs(widened(x[k])) > limit)) continue;
            if (first > at) first = at;
            last = at;
        }
    }
    ranges.first[warp][lane] = first;
    ranges.last[warp][lane] = last;
}

// Phase 2. A warp takes columns one after another, and goes through what is far in them: each of its lanes adds up one
// term, in the order of the walks, and the last computes dx. `part` holds the sums of what is not far.
template <class S>
FOURFOLD_HOST_DEVICE void far_thread(const RationalCall<typename ComputeOf<S>::type>& call, std::uint64_t block,
                                     std::uint32_t warp, std::uint32_t lane, const FarRanges& ranges, const S* g,
                                     const S* x, S* dx, double* part) {
    using T = typename ComputeOf<S>::type;
    static_assert(2 * (kLargestDegree + 1) < kLanes);
    const auto term = static_cast<int>(lane);
    FOURFOLD_ROLLED
    for (std::uint32_t column = warp; column < kLanes; column += kWarps) {
        const GroupCoefficients<T> coefficients(call, columns_of(call.blocks, block, 0, column).group);
        const T limit = coefficients.limit();
        double sum = 0;
        FOURFOLD_ROLLED
        for (std::uint32_t walk = 0; walk < kWarps; ++walk) {
            const RationalColumns own = columns_of(call.blocks, block, walk, column);
            const std::uint64_t last = ranges.last[walk][column];
            FOURFOLD_ROLLED
            for (std::uint64_t at = ranges.first[walk][column]; at <= last; at += own.step) {
                FOURFOLD_ROLLED
                for (std::uint64_t k = at; k < at + call.blocks.elements && k < own.limit; ++k) {
                    const T value = widened(x[k]);
                    if (!(std::fabs(value) > limit)) continue;
                    const T gradient = widened(g[k]);
                    const Far<T> point(coefficients, value);
                    if (term <= call.m) {
                        sum += static_cast<double>(point.numerator_term(gradient, term));
                    } else if (term < call.terms()) {
                        sum += static_cast<double>(point.denominator_term(gradient, term - call.m - 1));
                    } else if (lane == kLanes - 1) {
                        using Wide = WiderOf<T>;
                        dx[k] = narrowed<S>(static_cast<T>(Wide(gradient) * point.derivative()));
                    }
                }
            }
        }
        if (term < call.terms()) part[lane * kLanes + column] += sum;
    }
}

// The last kernel: one block for each coefficient's gradient, whose threads share the partial sums out.
struct Coefficient {
    std::uint32_t first_group, groups;  // whose sums it has
    int term;
    std::size_t place;  // in the gradients of its table
    bool of_numerator;
};

template <class T>
FOURFOLD_HOST_DEVICE std::uint64_t coefficients_of(const RationalCall<T>& call) {
    const std::uint64_t rows_a = call.shared_numerator ? 1 : call.blocks.groups;
    const std::uint64_t rows_b = call.shared_denominator ? 1 : call.blocks.groups;
    return rows_a * static_cast<std::uint64_t>(call.m + 1) + rows_b * static_cast<std::uint64_t>(call.columns());
}

template <class T>
FOURFOLD_HOST_DEVICE Coefficient coefficient(const RationalCall<T>& call, std::uint64_t index) {
    const auto size_a = static_cast<std::uint64_t>(call.m + 1);
    const std::uint64_t of_numerator = (call.shared_numerator ? 1 : call.blocks.groups) * size_a;
    Coefficient result;
    result.of_numerator = index < of_numerator;
    const std::uint64_t size = result.of_numerator ? size_a : static_cast<std::uint64_t>(call.columns());
    result.place = static_cast<std::size_t>(result.of_numerator ? index : index - of_numerator);
    const bool shared = result.of_numerator ? call.shared_numerator : call.shared_denominator;
    result.first_group = static_cast<std::uint32_t>(result.place / size);
    result.groups = shared ? call.blocks.groups : 1;
    result.term = static_cast<int>(result.place % size) + (result.of_numerator ? 0 : call.m + 1 + call.first);
    return result;
}

// Every `threads`-th of the partial sums of a coefficient.
template <class T>
FOURFOLD_INLINE double sum_of_thread(const RationalCall<T>& call, const Coefficient& wanted, std::uint32_t thread,
                                     std::uint32_t threads, const double* parts) {
    const std::uint64_t places = sum_places(call.blocks), all = places * wanted.groups;
    const auto terms = static_cast<std::uint64_t>(call.terms());
    double sum = 0;
    FOURFOLD_UNROLL(4)
    for (std::uint64_t k = thread; k < all; k += threads) {
        const auto group = static_cast<std::uint32_t>(wanted.first_group + k / places);
        const SumPlace from = sum_place(call.blocks, group, k % places);
        sum += parts[(from.block * terms + static_cast<std::uint64_t>(wanted.term)) * kLanes + from.lane];
    }
    return sum;
}

// |b| decreases where b < 0.
template <class T>
FOURFOLD_HOST_DEVICE T gradient_of(const RationalCall<T>& call, const Coefficient& wanted, double sum) {
    const bool flips = call.absolute && !wanted.of_numerator && call.denominator[wanted.place] < 0;
    return static_cast<T>(flips ? -sum : sum);
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
