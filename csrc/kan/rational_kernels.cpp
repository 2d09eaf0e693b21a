// Compiled once per ISA level. Only the table at the end is visible outside.
#include "kan/rational_kernels.hpp"

#include <algorithm>
#include <type_traits>

#include "kan/rational_far.hpp"
#include "kan/rational_near.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class T>
using Prepared = PreparedRational<T>;

// A type of a wider range than T.
template <class T>
using WiderOf = std::conditional_t<sizeof(T) == 4, double, long double>;

// What FarPoint sees of one group.
template <class Number>
struct CoefficientsOfGroup {
    using T = Number;
    const T *of_p, *of_w;
    int m, n;
    T constant;
    bool folded, absolute;

    CoefficientsOfGroup(const Prepared<T>& rational, std::size_t group)
        : of_p(rational.a + group * static_cast<std::size_t>(rational.shape.m + 1)),
          of_w(rational.c + group * static_cast<std::size_t>(rational.shape.n + 1)),
          m(rational.shape.m),
          n(rational.shape.n),
          constant(rational.constant),
          folded(rational.folded),
          absolute(rational.shape.variant == Variant::A) {}
    T a(int i) const { return of_p[i]; }
    T c(int j) const { return of_w[j]; }
};

template <class Int>
FOURFOLD_INLINE bool any(Int mask) {
    std::uint64_t words[sizeof(Int) / sizeof(std::uint64_t)], all = 0;
    std::memcpy(words, &mask, sizeof mask);
    for (std::uint64_t word : words) all |= word;
    return all != 0;
}

// Fetches `count` elements from kAhead bytes further on, which may lie beyond the end. The hardware's own prefetchers
// begin anew at every page of 4 KiB, and look no further in the time that an element's arithmetic takes.
constexpr std::size_t kAhead = 2048;

template <std::size_t count, class S>
FOURFOLD_INLINE void prefetch(const S* from) {
#pragma GCC unroll 8
    for (std::size_t byte = 0; byte < count * sizeof(S); byte += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(from) + kAhead + byte);
    }
}

// Calls work.template operator()<K>(at, from, to) for packs of K vectors of the `count` elements and then, K = 1, for
// what is left; the last vector may lie in copies padded with zeros. `from` holds N arrays to read.
template <class S, int K, int N, class Work>
FOURFOLD_INLINE void for_packs(std::size_t count, const S* const (&from)[N], S* to, Work work) {
    constexpr std::size_t lanes = Vector<S>::lanes;
    const S* here[N];
    std::size_t at = 0;
    for (; K > 1 && at + K * lanes <= count; at += K * lanes) {
        for (int k = 0; k < N; ++k) {
            here[k] = from[k] + at;
            prefetch<K * lanes>(here[k]);
        }
        prefetch<K * lanes>(to + at);
        work.template operator()<K>(at, here, to + at);
    }
    for (; at < count; at += lanes) {
        const std::size_t left = std::min(count - at, lanes);
        S padded[N][lanes], result[lanes];
        for (int k = 0; k < N; ++k) {
            here[k] = from[k] + at;
            if (left == lanes) continue;
            std::memset(padded[k], 0, sizeof padded[k]);
            std::memcpy(padded[k], here[k], left * sizeof(S));
            here[k] = padded[k];
        }
        work.template operator()<1>(at, here, left == lanes ? to + at : result);
        if (left < lanes) std::memcpy(to + at, result, left * sizeof(S));
    }
}

// Coefficients of one group, the same in every lane. Copied: the compiler could not know that what is stored to the
// result does not change them.
template <class S, int M, int N>
struct OfGroup {
    using T = typename Vector<S>::T;
    using Vec = typename Vector<S>::type;
    // With degrees of the run time all this is in memory, and a second vector gains nothing.
    static constexpr int pack = Degrees<M, N>::fixed ? 2 : 1;
    Vec a[Degrees<M, N>::m_size], c[Degrees<M, N>::n_size];

    OfGroup(const Prepared<T>& rational, Degrees<M, N> degrees, std::size_t group) {
        const T* from = rational.a + group * static_cast<std::size_t>(degrees.m + 1);
        degrees.repeat(degrees.m + 1, [&](int i) { a[i] = splat<S>(from[i]); });
        from = rational.c + group * static_cast<std::size_t>(degrees.n + 1);
        degrees.repeat(degrees.n + 1, [&](int j) { c[j] = splat<S>(from[j]); });
    }

    FOURFOLD_INLINE auto numerator(std::size_t) const {
        return [this](int i) { return a[i]; };
    }
    FOURFOLD_INLINE auto denominator(std::size_t) const {
        return [this](int j) { return c[j]; };
    }
};

// Coefficients that differ from place to place, from `first` on in a row.
template <class S>
struct OfPlace {
    using T = typename Vector<S>::T;
    using Vec = typename Vector<S>::type;
    static constexpr int pack = 1;
    const Prepared<T>& rational;
    std::size_t first;

    auto row(int k, std::size_t at) const { return load<Vec>(rational.by_place + k * rational.stride + first + at); }
    auto numerator(std::size_t at) const {
        return [this, at](int i) { return row(i, at); };
    }
    auto denominator(std::size_t at) const {
        return [this, at](int j) { return row(rational.shape.m + 1 + j, at); };
    }
};

template <class S, int M, int N, bool Absolute, class Coefficients>
FOURFOLD_INLINE void forward_strip(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                   const Coefficients& coefficients, std::size_t count, const S* x, S* out) {
    const S* const inputs[] = {x};
    for_packs<S, Coefficients::pack>(count, inputs, out, [&]<int K>(std::size_t at, const S* const(&from)[1], S* to) {
        store_pack<K>(to, value_of(formula, degrees, load_pack<K>(from[0]), coefficients.numerator(at),
                                   coefficients.denominator(at)));
    });
}

// sums of one group: [m + 1 + n + 1][lanes]
template <class S, int M, int N, bool Absolute>
FOURFOLD_INLINE void backward_strip(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                    const OfGroup<S, M, N>& coefficients, std::size_t count, const S* g, const S* x,
                                    S* dx, typename Vector<S>::T* scratch) {
    using Vec = typename Vector<S>::type;
    using T = typename Vector<S>::T;
    constexpr std::size_t lanes = Vector<S>::lanes;
    Vec sums_a[Degrees<M, N>::m_size], sums_c[Degrees<M, N>::n_size];
    T* const scratch_c = scratch + static_cast<std::size_t>(degrees.m + 1) * lanes;
    degrees.repeat(degrees.m + 1, [&](int i) { sums_a[i] = load<Vec>(scratch + i * lanes); });
    degrees.repeat(degrees.n + 1, [&](int j) { sums_c[j] = load<Vec>(scratch_c + j * lanes); });
    const S* const inputs[] = {g, x};
    for_packs<S, OfGroup<S, M, N>::pack>(
        count, inputs, dx, [&]<int K>(std::size_t at, const S* const(&from)[2], S* to) {
            struct {
                Vec* sums;
                FOURFOLD_INLINE void operator()(int i, Pack<Vec, K> h) const {
#pragma GCC unroll 4
                    for (int k = 0; k < K; ++k) sums[i] += h.v[k];
                }
                FOURFOLD_INLINE void operator()(int i, Pack<Vec, K> h, Pack<Vec, K> power) const {
#pragma GCC unroll 4
                    for (int k = 0; k < K; ++k) sums[i] += h.v[k] * power.v[k];
                }
            } const add_a{sums_a};
            struct {
                Vec* sums;
                FOURFOLD_INLINE void operator()(int j, Pack<Vec, K> s) const {
#pragma GCC unroll 4
                    for (int k = 0; k < K; ++k) sums[j] -= s.v[k];
                }
                FOURFOLD_INLINE void operator()(int j, Pack<Vec, K> s, Pack<Vec, K> power) const {
#pragma GCC unroll 4
                    for (int k = 0; k < K; ++k) sums[j] -= s.v[k] * power.v[k];
                }
            } const subtract_c{sums_c};
            store_pack<K>(to,
                          gradients_of(formula, degrees, load_pack<K>(from[0]), load_pack<K>(from[1]),
                                       coefficients.numerator(at), coefficients.denominator(at), add_a, subtract_c));
        });
    degrees.repeat(degrees.m + 1, [&](int i) { store(scratch + i * lanes, sums_a[i]); });
    degrees.repeat(degrees.n + 1, [&](int j) { store(scratch_c + j * lanes, sums_c[j]); });
}

// sums by place: [m + 1 + n + 1][stride]
template <class S, int M, int N, bool Absolute>
FOURFOLD_INLINE void backward_strip(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                    const OfPlace<S>& coefficients, std::size_t count, const S* g, const S* x, S* dx,
                                    typename Vector<S>::T* scratch) {
    using Vec = typename Vector<S>::type;
    using T = typename Vector<S>::T;
    const std::size_t stride = coefficients.rational.stride;
    const S* const inputs[] = {g, x};
    for_packs<S, 1>(count, inputs, dx, [&]<int K>(std::size_t at, const S* const(&from)[2], S* to) {
        using One = Pack<Vec, 1>;
        struct {
            T* sums;
            std::size_t stride;
            FOURFOLD_INLINE void operator()(int i, One h) const {
                store(sums + i * stride, load<Vec>(sums + i * stride) + h.v[0]);
            }
            FOURFOLD_INLINE void operator()(int i, One h, One power) const {
                store(sums + i * stride, load<Vec>(sums + i * stride) + h.v[0] * power.v[0]);
            }
        } const add_a{scratch + at, stride};
        struct {
            T* sums;
            std::size_t stride;
            FOURFOLD_INLINE void operator()(int j, One s) const {
                store(sums + j * stride, load<Vec>(sums + j * stride) - s.v[0]);
            }
            FOURFOLD_INLINE void operator()(int j, One s, One power) const {
                store(sums + j * stride, load<Vec>(sums + j * stride) - s.v[0] * power.v[0]);
            }
        } const subtract_c{scratch + at + static_cast<std::size_t>(degrees.m + 1) * stride, stride};
        store_pack<1>(to, gradients_of(formula, degrees, load_pack<1>(from[0]), load_pack<1>(from[1]),
                                       coefficients.numerator(at), coefficients.denominator(at), add_a, subtract_c));
    });
}

// Elements that are looked through at once for far ones.
constexpr std::size_t kSpan = 2048;

// Whether some |x| may be above the limit, a power of two or -1. Numbers are compared as the integers of their bits,
// which has the same order and puts NaN above all.
template <class S>
bool any_beyond(typename Vector<S>::T limit, const S* x, std::size_t count) {
    using Bits = typename BitsOf<S>::type;
    constexpr std::size_t lanes = kVectorBytes / sizeof(S);
    using Ints = Lanes<Bits, static_cast<int>(lanes)>;
    S stored;
    store_one(&stored, limit);
    const auto threshold = same_bits<Bits>(stored);
    const auto magnitude = static_cast<Bits>(~(Bits{1} << (sizeof(Bits) * 8 - 1)));
    Ints largest{};
    std::size_t at = 0;
    for (; at + lanes <= count; at += lanes) {
        const Ints here = load<Ints>(x + at) & magnitude;
        largest = here > largest ? here : largest;
    }
    bool found = any(largest > threshold);
    for (; at < count; ++at) found |= (same_bits<Bits>(x[at]) & magnitude) > threshold;
    return found;
}

// Calls work(group, index, point) for the far ones of `count` elements from `begin` on.
template <class S, class Work>
void for_far(const Prepared<typename Vector<S>::T>& rational, std::size_t begin, std::size_t count, const S* x,
             Work work) {
    using T = typename Vector<S>::T;
    for (std::size_t at = begin; at < begin + count; ++at) {
        const std::size_t group = at / rational.shape.run % rational.shape.groups;
        const T value = load_one(x + at);
        if (!(std::fabs(value) > rational.limit[group])) continue;
        const CoefficientsOfGroup<T> coefficients(rational, group);
        work(group, at, FarPoint<WiderOf<T>, CoefficientsOfGroup<T>>(coefficients, value));
    }
}

// Cuts a part into spans: whole runs of some groups, or a stretch of one run. By place, a row is one run.
// Calls work(first group, runs, places of each, index of the first element).
template <class Work>
FOURFOLD_INLINE void for_spans(const RationalShape& shape, const RationalPart& part, bool by_place, Work work) {
    const std::size_t runs = by_place ? 1 : part.groups, length = by_place ? shape.groups * shape.run : part.count;
    const std::size_t together = std::max<std::size_t>(kSpan / length, 1), longest = std::min(length, kSpan);
    for (std::size_t row = part.first_row; row < part.first_row + part.rows; ++row) {
        for (std::size_t k = 0; k < runs; k += together) {
            const std::size_t group = part.first_group + k;
            for (std::size_t offset = 0; offset < length; offset += longest) {
                work(group, std::min(together, runs - k), std::min(longest, length - offset),
                     (row * shape.groups + group) * shape.run + part.offset + offset);
            }
        }
    }
}

template <class S, int M, int N, bool Absolute>
void forward_part(const Prepared<typename Vector<S>::T>& rational, const RationalPart& part, const S* x, S* out) {
    const RationalShape& shape = rational.shape;
    const Formula<S, Absolute> formula(rational);
    const Degrees<M, N> degrees(shape);
    const bool by_place = !Degrees<M, N>::fixed && rational.by_place != nullptr;
    for_spans(shape, part, by_place, [&](std::size_t first, std::size_t runs, std::size_t count, std::size_t begin) {
        if (by_place) {
            const std::size_t place = begin % (shape.groups * shape.run);
            forward_strip<S, M, N>(formula, degrees, OfPlace<S>{rational, place}, count, x + begin, out + begin);
        } else {
            for (std::size_t k = 0; k < runs; ++k) {
                const std::size_t at = begin + k * count;
                forward_strip<S, M, N>(formula, degrees, OfGroup<S, M, N>(rational, degrees, first + k), count, x + at,
                                       out + at);
            }
        }
        if (!any_beyond<S>(rational.lowest_limit, x + begin, runs * count)) return;
        for_far<S>(rational, begin, runs * count, x, [&](std::size_t, std::size_t at, const auto& point) {
            store_one(out + at, static_cast<typename Vector<S>::T>(point.value()));
        });
    });
}

template <class S, int M, int N, bool Absolute>
void backward_part(const Prepared<typename Vector<S>::T>& rational, const RationalPart& part, const S* g, const S* x,
                   S* dx, typename Vector<S>::T* scratch, double* sums) {
    using T = typename Vector<S>::T;
    constexpr std::size_t lanes = Vector<S>::lanes;
    const RationalShape& shape = rational.shape;
    const Formula<S, Absolute> formula(rational);
    const Degrees<M, N> degrees(shape);
    const auto terms = static_cast<std::size_t>(shape.m + 1 + shape.n + 1);
    const bool by_place = !Degrees<M, N>::fixed && rational.by_place != nullptr;
    std::fill_n(scratch, terms * (by_place ? rational.stride : part.groups * lanes), T(0));
    std::fill_n(sums, part.groups * terms, 0.0);
    for_spans(shape, part, by_place, [&](std::size_t first, std::size_t runs, std::size_t count, std::size_t begin) {
        const S *from_g = g + begin, *from_x = x + begin;
        const bool far = any_beyond<S>(rational.lowest_limit, from_x, runs * count);
        S near_g[kSpan], near_x[kSpan];
        if (far) {  // zeros in the place of far elements leave the sums as they are
            std::memcpy(near_g, from_g, runs * count * sizeof(S));
            std::memcpy(near_x, from_x, runs * count * sizeof(S));
            for_far<S>(rational, begin, runs * count, x, [&](std::size_t, std::size_t at, const auto&) {
                near_g[at - begin] = near_x[at - begin] = S{};
            });
            from_g = near_g;
            from_x = near_x;
        }
        if (by_place) {
            const std::size_t place = begin % (shape.groups * shape.run);
            backward_strip<S, M, N>(formula, degrees, OfPlace<S>{rational, place}, count, from_g, from_x, dx + begin,
                                    scratch + place);
        } else {
            for (std::size_t k = 0; k < runs; ++k) {
                backward_strip<S, M, N>(formula, degrees, OfGroup<S, M, N>(rational, degrees, first + k), count,
                                        from_g + k * count, from_x + k * count, dx + begin + k * count,
                                        scratch + (first + k - part.first_group) * terms * lanes);
            }
        }
        if (!far) return;
        for_far<S>(rational, begin, runs * count, x, [&](std::size_t group, std::size_t at, const auto& point) {
            const T gradient = load_one(g + at);
            store_one(dx + at, static_cast<T>(gradient * point.derivative()));
            double* here = sums + (group - part.first_group) * terms;
            for (int i = 0; i <= shape.m; ++i) here[i] += static_cast<double>(point.numerator_term(gradient, i));
            for (int j = 0; j <= shape.n; ++j) {
                here[shape.m + 1 + j] += static_cast<double>(point.denominator_term(gradient, j));
            }
        });
    });
    for (std::size_t k = 0; k < part.groups; ++k) {
        for (std::size_t term = 0; term < terms; ++term) {
            const T* from =
                by_place ? scratch + term * rational.stride + k * shape.run : scratch + (k * terms + term) * lanes;
            double sum = 0;
            for (std::size_t l = 0; l < (by_place ? shape.run : lanes); ++l) sum += static_cast<double>(from[l]);
            sums[k * terms + term] += sum;
        }
    }
}

// Calls work.template operator()<S, M, N, Absolute>() for what the call asks for.
template <class S, class Work>
void with_degrees(const Prepared<typename Vector<S>::T>& rational, Work work) {
    const RationalShape& shape = rational.shape;
    const auto is = [&](int m, int n) { return rational.by_place == nullptr && shape.m == m && shape.n == n; };
    if (shape.variant == Variant::A) {
        if (is(5, 4)) return work.template operator()<S, 5, 4, true>();
        if (is(3, 2)) return work.template operator()<S, 3, 2, true>();
        if (is(7, 6)) return work.template operator()<S, 7, 6, true>();
        return work.template operator()<S, -1, -1, true>();
    }
    if (is(5, 4)) return work.template operator()<S, 5, 4, false>();
    if (is(3, 2)) return work.template operator()<S, 3, 2, false>();
    work.template operator()<S, -1, -1, false>();
}

template <class Work>
void with_storage(const void* prepared, Work work) {
    // The first member is the same whatever T is.
    switch (static_cast<const RationalShape*>(prepared)->storage) {
        case Storage::float64: return work.template operator()<double>(*static_cast<const Prepared<double>*>(prepared));
        case Storage::float32: return work.template operator()<float>(*static_cast<const Prepared<float>*>(prepared));
        case Storage::bfloat16:
            return work.template operator()<BFloat16>(*static_cast<const Prepared<float>*>(prepared));
        case Storage::float16: return work.template operator()<Float16>(*static_cast<const Prepared<float>*>(prepared));
    }
}

void forward(const void* prepared, const RationalPart& part, const void* x, void* out) {
    with_storage(prepared, [&]<class S>(const auto& rational) {
        with_degrees<S>(rational, [&]<class, int M, int N, bool Absolute>() {
            forward_part<S, M, N, Absolute>(rational, part, static_cast<const S*>(x), static_cast<S*>(out));
        });
    });
}

void backward(const void* prepared, const RationalPart& part, const void* gradient, const void* x, void* x_gradient,
              void* scratch, double* sums) {
    with_storage(prepared, [&]<class S>(const auto& rational) {
        with_degrees<S>(rational, [&]<class, int M, int N, bool Absolute>() {
            backward_part<S, M, N, Absolute>(rational, part, static_cast<const S*>(gradient), static_cast<const S*>(x),
                                             static_cast<S*>(x_gradient), static_cast<typename Vector<S>::T*>(scratch),
                                             sums);
        });
    });
}

int lanes(Storage storage) { return storage == Storage::float64 ? Vector<double>::lanes : Vector<float>::lanes; }

}  // namespace

extern const RationalKernels rational_kernels;
const RationalKernels rational_kernels = {lanes, forward, backward};

}  // namespace fourfold::kan::FOURFOLD_LEVEL
