// Combinations c(s(x - low), s(high - x)) of two activations, the functions of AF-KAN. Compiled once per ISA level.
#include "kan/activations.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

using kan::Activation;
using kan::Basis;
using kan::Combination;

template <class T>
Combination combination_of(const Basis<T>& b) {
    return static_cast<Combination>((static_cast<int>(b.function) - kan::kFirstCombined) % kan::kCombinations);
}

// Both activations at one vector of inputs, and what they combine to.
template <class T, Activation S>
struct Pair {
    using Vec = Lanes<T, kWidest<T>>;
    Vec value, by_low, by_high;  // derivatives with respect to low and high; that to x is -(by_low + by_high)

    FOURFOLD_INLINE Pair(Combination how, Vec x, Vec low, Vec high) {
        Vec a, a_slope, b, b_slope, by_a, by_b;
        activate<T, kWidest<T>, S>(x - low, a, a_slope);
        activate<T, kWidest<T>, S>(high - x, b, b_slope);
        combine(how, a, b, value, by_a, by_b);
        by_low = -by_a * a_slope;
        by_high = by_b * b_slope;
    }
};

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
    const Combination how = combination_of(b);
    for (std::size_t row = 0; row < rows; ++row, x += b.features, out += b.features * b.functions) {
        for_places(b, [&](std::size_t place, std::size_t d, std::size_t n) {
            const Pair<T, S> pair(how, load_some(x + d, n), load_some(b.centre + place, n),
                                  load_some(b.scale + place, n));
            store_some(out + place, pair.value, n);
        });
    }
}

template <class T, Activation S>
void contract_with(const Basis<T>& b, const T* grad, const T* x, T* dx, T* dlow, T* dhigh, std::size_t rows) {
    const Combination how = combination_of(b);
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t d = 0; d < b.features; ++d) dx[d] = T(0);
        for_places(b, [&](std::size_t place, std::size_t d, std::size_t n) {
            const Pair<T, S> pair(how, load_some(x + d, n), load_some(b.centre + place, n),
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

// Calls f<S>() for the activation of the basis.
template <class T, class F>
void with_activation(const Basis<T>& b, F f) {
    switch (static_cast<Activation>((static_cast<int>(b.function) - kan::kFirstCombined) / kan::kCombinations)) {
        case Activation::softplus: return f.template operator()<Activation::softplus>();
        case Activation::sigmoid: return f.template operator()<Activation::sigmoid>();
        case Activation::silu: return f.template operator()<Activation::silu>();
        case Activation::relu: return f.template operator()<Activation::relu>();
        case Activation::leaky_relu: return f.template operator()<Activation::leaky_relu>();
        case Activation::elu: return f.template operator()<Activation::elu>();
        case Activation::gelu: return f.template operator()<Activation::gelu>();
        case Activation::selu: return f.template operator()<Activation::selu>();
        case Activation::tanh: return f.template operator()<Activation::tanh>();
    }
}

template <class T>
void expand(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    with_activation(b, [&]<Activation S>() { expand_with<T, S>(b, x, out, rows); });
}

template <class T>
void contract(const Basis<T>& b, const T* grad, const T* x, T* dx, T* dlow, T* dhigh, std::size_t rows) {
    with_activation(b, [&]<Activation S>() { contract_with<T, S>(b, grad, x, dx, dlow, dhigh, rows); });
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
