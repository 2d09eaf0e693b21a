// Families of functions of (x - centre) scale, Chebyshev polynomials and Fourier series. Compiled once per ISA level.
#include <math.h>

#include "kan/basis_functions.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

using kan::Basis;
using kan::Function;

// Calls f(from, count) for the vectors of `features` numbers; the last may be shorter.
template <class T, class F>
FOURFOLD_INLINE void for_vectors(std::size_t features, F f) {
    constexpr std::size_t V = kWidest<T>;
    std::size_t d = 0;
    for (; d + V <= features; d += V) f(d, V);
    if (d < features) f(d, features - d);
}

template <class T, Function F>
void expand_family(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    for (std::size_t row = 0; row < rows; ++row, x += b.features) {
        for (int j = 0; j < b.functions; ++j, out += b.features) {
            const T* const centre = b.centre + j * b.features;
            const T* const scale = b.scale + j * b.features;
            for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
                const Vec u = (load_some(x + d, n) - load_some(centre + d, n)) * load_some(scale + d, n);
                Vec value, slope;
                evaluate<T, kWidest<T>, F>(u, value, slope);
                store_some(out + d, value, n);
            });
        }
    }
}

template <class T, Function F>
void contract_family(const Basis<T>& b, const T* grad, const T* x, T* dx, T* dcentre, T* dscale, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    for (std::size_t row = 0; row < rows; ++row, x += b.features, dx += b.features) {
        for (std::size_t d = 0; d < b.features; ++d) dx[d] = T(0);
        for (int j = 0; j < b.functions; ++j, grad += b.features) {
            const std::size_t plane = j * b.features;
            for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
                const Vec distance = load_some(x + d, n) - load_some(b.centre + plane + d, n);
                const Vec scale = load_some(b.scale + plane + d, n);
                Vec value, slope;
                evaluate<T, kWidest<T>, F>(distance * scale, value, slope);
                const Vec g = load_some(grad + d, n) * slope;
                const Vec along = g * scale;
                store_some(dx + d, load_some(dx + d, n) + along, n);
                if (dcentre != nullptr) {
                    T* const c = dcentre + plane + d;
                    T* const s = dscale + plane + d;
                    store_some(c, load_some(c, n) - along, n);
                    store_some(s, load_some(s, n) + g * distance, n);
                }
            });
        }
    }
}

// T_0 .. T_(functions - 1) of x.
template <class T>
void expand_chebyshev(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    for (std::size_t row = 0; row < rows; ++row, x += b.features, out += b.features * b.functions) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            Chebyshev<Vec> t = Chebyshev<Vec>::first_kind(load_some(x + d, n));
            for (int j = 0; j < b.functions; ++j) {
                store_some(out + j * b.features + d, t.now, n);
                t.advance();
            }
        });
    }
}

// dT_j/dx = j U_(j-1)
template <class T>
void contract_chebyshev(const Basis<T>& b, const T* grad, const T* x, T* dx, T*, T*, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    for (std::size_t row = 0; row < rows; ++row) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            const Vec z = load_some(x + d, n);
            Chebyshev<Vec> u = Chebyshev<Vec>::second_kind(z);
            Vec sum = T(0) * z;
            for (int j = 1; j < b.functions; ++j) {
                sum += static_cast<T>(j) * u.now * load_some(grad + j * b.features + d, n);
                u.advance();
            }
            store_some(dx + d, sum, n);
        });
        x += b.features;
        dx += b.features;
        grad += b.features * b.functions;
    }
}

// Lanes beyond the range of the vector version get the C library's; the others keep theirs, so that an element's
// result does not depend on its neighbours.
template <class T>
FOURFOLD_INLINE void cosine_and_sine(Lanes<T, kWidest<T>> x, Lanes<T, kWidest<T>>& c, Lanes<T, kWidest<T>>& s) {
    constexpr int V = kWidest<T>;
    using Vec = Lanes<T, V>;
    constexpr T limit = SinCosConstants<T>::limit;
    Vec cosine_minus_1;
    sincos<T, V>(x, Vec{}, cosine_minus_1, s);
    c = T(1) + cosine_minus_1;
    T lanes[V];
    store(lanes, x);
    int far = 0;
    for (int i = 0; i < V; ++i) far |= lanes[i] > limit || lanes[i] < -limit;
    if (far == 0) return;
    T cosines[V], sines[V];
    store(cosines, c);
    store(sines, s);
    for (int i = 0; i < V; ++i) {
        if (lanes[i] > limit || lanes[i] < -limit) {
            cosines[i] = static_cast<T>(::cos(static_cast<double>(lanes[i])));
            sines[i] = static_cast<T>(::sin(static_cast<double>(lanes[i])));
        }
    }
    c = load<Vec>(cosines);
    s = load<Vec>(sines);
}

// cos(j x), j = 1 .. functions / 2, then sin(j x).
template <class T>
void expand_fourier(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    const int terms = b.functions / 2;
    const std::size_t sines = terms * b.features;
    for (std::size_t row = 0; row < rows; ++row, x += b.features, out += 2 * sines) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            Turns<Vec> turns;
            cosine_and_sine<T>(load_some(x + d, n), turns.c1, turns.s1);
            turns.begin();
            for (int j = 0; j < terms; ++j) {
                store_some(out + j * b.features + d, turns.c, n);
                store_some(out + sines + j * b.features + d, turns.s, n);
                turns.advance();
            }
        });
    }
}

template <class T>
void contract_fourier(const Basis<T>& b, const T* grad, const T* x, T* dx, T*, T*, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    const int terms = b.functions / 2;
    const std::size_t sines = terms * b.features;
    for (std::size_t row = 0; row < rows; ++row, x += b.features, dx += b.features, grad += 2 * sines) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            Turns<Vec> turns;
            cosine_and_sine<T>(load_some(x + d, n), turns.c1, turns.s1);
            turns.begin();
            Vec sum{};
            for (int j = 0; j < terms; ++j) {
                const T* const g = grad + j * b.features + d;
                sum += static_cast<T>(j + 1) * (turns.c * load_some(g + sines, n) - turns.s * load_some(g, n));
                turns.advance();
            }
            store_some(dx + d, sum, n);
        });
    }
}

template <class T>
void expand(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    if (b.function == Function::chebyshev) return expand_chebyshev(b, x, out, rows);
    if (b.function == Function::fourier) return expand_fourier(b, x, out, rows);
    with_family(b.function, [&]<Function F>() { expand_family<T, F>(b, x, out, rows); });
}

template <class T>
void contract(const Basis<T>& b, const T* g, const T* x, T* dx, T* dcentre, T* dscale, std::size_t rows) {
    if (b.function == Function::chebyshev) return contract_chebyshev(b, g, x, dx, dcentre, dscale, rows);
    if (b.function == Function::fourier) return contract_fourier(b, g, x, dx, dcentre, dscale, rows);
    with_family(b.function, [&]<Function F>() { contract_family<T, F>(b, g, x, dx, dcentre, dscale, rows); });
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL

namespace fourfold::kan::FOURFOLD_LEVEL {

extern const FunctionKernels<float> functions_float;
extern const FunctionKernels<double> functions_double;
const FunctionKernels<float> functions_float = {fourfold::FOURFOLD_LEVEL::expand<float>,
                                                fourfold::FOURFOLD_LEVEL::contract<float>};
const FunctionKernels<double> functions_double = {fourfold::FOURFOLD_LEVEL::expand<double>,
                                                  fourfold::FOURFOLD_LEVEL::contract<double>};

}  // namespace fourfold::kan::FOURFOLD_LEVEL
