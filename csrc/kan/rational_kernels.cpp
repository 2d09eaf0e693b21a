// Compiled once per ISA level. Only the table at the end is visible outside.
#include "kan/rational_kernels.hpp"

#include <algorithm>

#include "kan/rational_far.hpp"
#include "kan/rational_near.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class T>
using Prepared = PreparedRational<T>;

template <class Int>
FOURFOLD_INLINE bool any(Int mask) {
    std::uint64_t words[sizeof(Int) / sizeof(std::uint64_t)], all = 0;
    std::memcpy(words, &mask, sizeof mask);
    for (std::uint64_t word : words) all |= word;
    return all != 0;
}

// Calls work(at, from, to) for the vectors of `count` elements; the last one may lie in copies padded with zeros.
// `from` holds N arrays to read.
template <class S, int N, class Work>
FOURFOLD_INLINE void for_vectors(std::size_t count, const S* const (&from)[N], S* to, Work work) {
    constexpr std::size_t lanes = Vector<S>::lanes;
    std::size_t at = 0;
    for (; at + lanes <= count; at += lanes) {
        const S* here[N];
        for (int k = 0; k < N; ++k) here[k] = from[k] + at;
        work(at, here, to + at);
    }
    if (at == count) return;
    S padded[N][lanes] = {}, result[lanes];
    const S* here[N];
    for (int k = 0; k < N; ++k) {
        std::memcpy(padded[k], from[k] + at, (count - at) * sizeof(S));
        here[k] = padded[k];
    }
    work(at, here, result);
    std::memcpy(to + at, result, (count - at) * sizeof(S));
}

// Coefficients of one group, the same in every lane. Copied: the compiler could not know that what is stored to the
// result does not change them.
template <class S, int M, int N>
struct OfGroup {
    using T = typename Vector<S>::T;
    using Vec = typename Vector<S>::type;
    Vec a[Degrees<M, N>::m_size], c[Degrees<M, N>::n_size], limit;

    OfGroup(const Prepared<T>& rational, Degrees<M, N> degrees, std::size_t group)
        : limit(splat<S>(rational.limit[group])) {
        const T* from = rational.a + group * static_cast<std::size_t>(degrees.m + 1);
#pragma GCC unroll 16
        for (int i = 0; i <= degrees.m; ++i) a[i] = splat<S>(from[i]);
        from = rational.c + group * static_cast<std::size_t>(degrees.n + 1);
#pragma GCC unroll 16
        for (int j = 0; j <= degrees.n; ++j) c[j] = splat<S>(from[j]);
    }

    FOURFOLD_INLINE auto numerator(std::size_t) const {
        return [this](int i) { return a[i]; };
    }
    FOURFOLD_INLINE auto denominator(std::size_t) const {
        return [this](int j) { return c[j]; };
    }
    FOURFOLD_INLINE Vec limit_at(std::size_t) const { return limit; }
};

// Coefficients that differ from place to place in a row.
template <class S>
struct OfPlace {
    using T = typename Vector<S>::T;
    using Vec = typename Vector<S>::type;
    const Prepared<T>& rational;

    auto row(int k, std::size_t at) const { return load<Vec>(rational.by_place + k * rational.stride + at); }
    auto numerator(std::size_t at) const {
        return [this, at](int i) { return row(i, at); };
    }
    auto denominator(std::size_t at) const {
        return [this, at](int j) { return row(rational.shape.m + 1 + j, at); };
    }
    auto limit_at(std::size_t at) const { return load<Vec>(rational.limit_by_place + at); }
};

// Returns whether any of the elements is far.
template <class S, int M, int N, bool Absolute, class Coefficients>
FOURFOLD_INLINE typename Vector<S>::Integers forward_strip(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                                           const Coefficients& coefficients, std::size_t count,
                                                           const S* x, S* out) {
    typename Vector<S>::Integers far{};
    const S* const inputs[] = {x};
    for_vectors<S>(count, inputs, out, [&](std::size_t at, const S* const(&from)[1], S* to) {
        const auto v = load_as(from[0]);
        far |= formula.magnitude(v) > coefficients.limit_at(at);
        store_as(to, value_of<S, M, N>(formula, degrees, v, coefficients.numerator(at), coefficients.denominator(at)));
    });
    return far;
}

// sums of one group: [m + 1 + n + 1][lanes]
template <class S, int M, int N, bool Absolute>
FOURFOLD_INLINE typename Vector<S>::Integers backward_strip(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                                            const OfGroup<S, M, N>& coefficients, std::size_t count,
                                                            const S* g, const S* x, S* dx,
                                                            typename Vector<S>::T* scratch) {
    using Vec = typename Vector<S>::type;
    constexpr std::size_t lanes = Vector<S>::lanes;
    Vec sums_a[Degrees<M, N>::m_size], sums_c[Degrees<M, N>::n_size];
#pragma GCC unroll 16
    for (int i = 0; i <= degrees.m; ++i) sums_a[i] = load<Vec>(scratch + i * lanes);
#pragma GCC unroll 16
    for (int j = 0; j <= degrees.n; ++j) sums_c[j] = load<Vec>(scratch + (degrees.m + 1 + j) * lanes);
    struct {
        Vec* sums;
        FOURFOLD_INLINE void operator()(int i, Vec h) const { sums[i] += h; }
        FOURFOLD_INLINE void operator()(int i, Vec h, Vec power) const { sums[i] += h * power; }
    } const add_a{sums_a};
    struct {
        Vec* sums;
        FOURFOLD_INLINE void operator()(int j, Vec k) const { sums[j] -= k; }
        FOURFOLD_INLINE void operator()(int j, Vec k, Vec power) const { sums[j] -= k * power; }
    } const subtract_c{sums_c};
    typename Vector<S>::Integers far{};
    const S* const inputs[] = {g, x};
    for_vectors<S>(count, inputs, dx, [&](std::size_t at, const S* const(&from)[2], S* to) {
        const Vec v = load_as(from[1]);
        const auto beyond = formula.magnitude(v) > coefficients.limit_at(at);
        far |= beyond;
        store_as(to, gradients_of<S, M, N>(formula, degrees, load_as(from[0]), v, beyond, coefficients.numerator(at),
                                           coefficients.denominator(at), add_a, subtract_c));
    });
#pragma GCC unroll 16
    for (int i = 0; i <= degrees.m; ++i) store(scratch + i * lanes, sums_a[i]);
#pragma GCC unroll 16
    for (int j = 0; j <= degrees.n; ++j) store(scratch + (degrees.m + 1 + j) * lanes, sums_c[j]);
    return far;
}

// sums: [m + 1 + n + 1][stride]
template <class S, int M, int N, bool Absolute>
FOURFOLD_INLINE typename Vector<S>::Integers backward_strip(const Formula<S, Absolute>& formula, Degrees<M, N> degrees,
                                                            const OfPlace<S>& coefficients, std::size_t count,
                                                            const S* g, const S* x, S* dx,
                                                            typename Vector<S>::T* scratch) {
    using Vec = typename Vector<S>::type;
    using T = typename Vector<S>::T;
    const std::size_t stride = coefficients.rational.stride;
    typename Vector<S>::Integers far{};
    const S* const inputs[] = {g, x};
    for_vectors<S>(count, inputs, dx, [&](std::size_t at, const S* const(&from)[2], S* to) {
        struct {
            T* sums;
            std::size_t stride;
            FOURFOLD_INLINE void operator()(int i, Vec h) const {
                store(sums + i * stride, load<Vec>(sums + i * stride) + h);
            }
            FOURFOLD_INLINE void operator()(int i, Vec h, Vec power) const {
                store(sums + i * stride, load<Vec>(sums + i * stride) + h * power);
            }
        } const add_a{scratch + at, stride};
        struct {
            T* sums;
            std::size_t stride;
            FOURFOLD_INLINE void operator()(int j, Vec k) const {
                store(sums + j * stride, load<Vec>(sums + j * stride) - k);
            }
            FOURFOLD_INLINE void operator()(int j, Vec k, Vec power) const {
                store(sums + j * stride, load<Vec>(sums + j * stride) - k * power);
            }
        } const subtract_c{scratch + at + static_cast<std::size_t>(degrees.m + 1) * stride, stride};
        const Vec v = load_as(from[1]);
        const auto beyond = formula.magnitude(v) > coefficients.limit_at(at);
        far |= beyond;
        store_as(to, gradients_of<S, M, N>(formula, degrees, load_as(from[0]), v, beyond, coefficients.numerator(at),
                                           coefficients.denominator(at), add_a, subtract_c));
    });
    return far;
}

// Calls work(group of the part, index of the element) for the far elements of the part's row.
template <class S, class Work>
void for_far(const Prepared<typename Vector<S>::T>& rational, const RationalPart& part, std::size_t row, const S* x,
             Work work) {
    using T = typename Vector<S>::T;
    const RationalShape& shape = rational.shape;
    for (std::size_t k = 0; k < part.groups; ++k) {
        const std::size_t group = part.first_group + k;
        const T limit = rational.limit[group];
        const std::size_t begin = (row * shape.groups + group) * shape.run + part.offset;
        for (std::size_t at = begin; at < begin + part.count; ++at) {
            const T value = load_one(x + at);
            if (std::fabs(value) > limit) work(k, at, FarPoint<T>(rational, group, value));
        }
    }
}

template <class S, int M, int N, bool Absolute>
void forward_part(const Prepared<typename Vector<S>::T>& rational, const RationalPart& part, const S* x, S* out) {
    const RationalShape& shape = rational.shape;
    const Formula<S, Absolute> formula(rational);
    const Degrees<M, N> degrees(shape);
    for (std::size_t row = part.first_row; row < part.first_row + part.rows; ++row) {
        typename Vector<S>::Integers far{};
        if (!Degrees<M, N>::fixed && rational.by_place != nullptr) {
            const std::size_t begin = row * shape.groups * shape.run;
            far = forward_strip<S, M, N>(formula, degrees, OfPlace<S>{rational}, shape.groups * shape.run, x + begin,
                                         out + begin);
        } else {
            for (std::size_t k = 0; k < part.groups; ++k) {
                const std::size_t group = part.first_group + k;
                const std::size_t begin = (row * shape.groups + group) * shape.run + part.offset;
                far |= forward_strip<S, M, N>(formula, degrees, OfGroup<S, M, N>(rational, degrees, group), part.count,
                                              x + begin, out + begin);
            }
        }
        if (!any(far)) continue;
        for_far<S>(rational, part, row, x, [&](std::size_t, std::size_t at, const auto& point) {
            store_one(out + at, static_cast<typename Vector<S>::T>(point.value()));
        });
    }
}

template <class S, int M, int N, bool Absolute>
void backward_part(const Prepared<typename Vector<S>::T>& rational, const RationalPart& part, const S* g, const S* x,
                   S* dx, typename Vector<S>::T* scratch, double* sums) {
    using T = typename Vector<S>::T;
    constexpr std::size_t lanes = Vector<S>::lanes;
    const RationalShape& shape = rational.shape;
    const Formula<S, Absolute> formula(rational);
    const Degrees<M, N> degrees(shape);
    const int terms = shape.m + 1 + shape.n + 1;
    const bool by_place = !Degrees<M, N>::fixed && rational.by_place != nullptr;
    std::fill_n(scratch, terms * (by_place ? rational.stride : part.groups * lanes), T(0));
    std::fill_n(sums, part.groups * static_cast<std::size_t>(terms), 0.0);
    for (std::size_t row = part.first_row; row < part.first_row + part.rows; ++row) {
        typename Vector<S>::Integers far{};
        if (by_place) {
            const std::size_t begin = row * shape.groups * shape.run;
            far = backward_strip<S, M, N>(formula, degrees, OfPlace<S>{rational}, shape.groups * shape.run, g + begin,
                                          x + begin, dx + begin, scratch);
        } else {
            for (std::size_t k = 0; k < part.groups; ++k) {
                const std::size_t group = part.first_group + k;
                const std::size_t begin = (row * shape.groups + group) * shape.run + part.offset;
                far |= backward_strip<S, M, N>(formula, degrees, OfGroup<S, M, N>(rational, degrees, group), part.count,
                                               g + begin, x + begin, dx + begin, scratch + k * terms * lanes);
            }
        }
        if (!any(far)) continue;
        for_far<S>(rational, part, row, x, [&](std::size_t k, std::size_t at, const auto& point) {
            const T gradient = load_one(g + at);
            store_one(dx + at, static_cast<T>(gradient * point.derivative()));
            double* here = sums + k * static_cast<std::size_t>(terms);
            for (int i = 0; i <= shape.m; ++i) here[i] += static_cast<double>(point.numerator_term(gradient, i));
            for (int j = 0; j <= shape.n; ++j) {
                here[shape.m + 1 + j] += static_cast<double>(point.denominator_term(gradient, j));
            }
        });
    }
    for (std::size_t k = 0; k < part.groups; ++k) {
        for (int term = 0; term < terms; ++term) {
            const T* from = by_place ? scratch + term * rational.stride + k * shape.run
                                     : scratch + (k * static_cast<std::size_t>(terms) + term) * lanes;
            double sum = 0;
            for (std::size_t l = 0; l < (by_place ? shape.run : lanes); ++l) sum += static_cast<double>(from[l]);
            sums[k * static_cast<std::size_t>(terms) + term] += sum;
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
