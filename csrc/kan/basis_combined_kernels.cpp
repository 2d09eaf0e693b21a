// Combinations c(s(x - low), s(high - x)) of two activations, the functions of AF-KAN. Compiled once per ISA level.
#include "kan/activations.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

using kan::Activation;
using kan::Basis;
using kan::Combination;

// Vectors along the features, the last of which may be shorter, in each of the planes.
template <class T, class F>
FOURFOLD_INLINE void for_places(const Basis<T>& b, F f) {
    constexpr std::size_t V = kWidest<T>;
    for (int j = 0; j < b.functions; ++j) {
        const std::size_t plane = static_cast<std::size_t>(j) * b.features;
        std::size_t d = 0;
        for (; d + V <= b.features; d += V) f(plane + d, d, V);
        if (d < b.features) f(plane + d, d, b.features - d);
    }
}

template <class T, Activation S>
void expand_with(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    const Combination how = kan::combination_of(b.function);
    for (std::size_t row = 0; row < rows; ++row, x += b.features, out += b.features * b.functions) {
        for_places(b, [&](std::size_t place, std::size_t d, std::size_t n) {
            const Pair<T, kWidest<T>, S> pair(how, load_some(x + d, n), load_some(b.centre + place, n),
                                              load_some(b.scale + place, n));
            store_some(out + place, pair.value, n);
        });
    }
}

template <class T, Activation S>
void contract_with(const Basis<T>& b, const T* grad, const T* x, T* dx, T* dlow, T* dhigh, std::size_t rows) {
    const Combination how = kan::combination_of(b.function);
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t d = 0; d < b.features; ++d) dx[d] = T(0);
        for_places(b, [&](std::size_t place, std::size_t d, std::size_t n) {
            const Pair<T, kWidest<T>, S> pair(how, load_some(x + d, n), load_some(b.centre + place, n),
                                              load_some(b.scale + place, n));
            const auto g = load_some(grad + place, n);
            const auto by_low = g * pair.by_low, by_high = g * pair.by_high;
            store_some(dx + d, load_some(dx + d, n) - (by_low + by_high), n);
            if (dlow != nullptr) {
                store_some(dlow + place, load_some(dlow + place, n) + by_low, n);
                store_some(dhigh + place, load_some(dhigh + place, n) + by_high, n);
            }
        });
        x += b.features;
        dx += b.features;
        grad += b.features * b.functions;
    }
}

template <class T>
void expand(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    with_activation(kan::activation_of(b.function), [&]<Activation S>() { expand_with<T, S>(b, x, out, rows); });
}

template <class T>
void contract(const Basis<T>& b, const T* grad, const T* x, T* dx, T* dlow, T* dhigh, std::size_t rows) {
    with_activation(kan::activation_of(b.function),
                    [&]<Activation S>() { contract_with<T, S>(b, grad, x, dx, dlow, dhigh, rows); });
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL

namespace fourfold::kan::FOURFOLD_LEVEL {

extern const FunctionKernels<float> combined_float;
extern const FunctionKernels<double> combined_double;
const FunctionKernels<float> combined_float = {fourfold::FOURFOLD_LEVEL::expand<float>,
                                               fourfold::FOURFOLD_LEVEL::contract<float>};
const FunctionKernels<double> combined_double = {fourfold::FOURFOLD_LEVEL::expand<double>,
                                                 fourfold::FOURFOLD_LEVEL::contract<double>};

}  // namespace fourfold::kan::FOURFOLD_LEVEL
