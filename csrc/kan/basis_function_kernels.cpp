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

// T_0 .. T_(functions - 1) of x by T_(j+1) = 2 x T_j - T_(j-1).
template <class T>
void expand_chebyshev(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    for (std::size_t row = 0; row < rows; ++row, x += b.features, out += b.features * b.functions) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            const Vec z = load_some(x + d, n);
            Vec before = z, now = Vec{} + T(1);  // T_(-1) = T_1
            for (int j = 0; j < b.functions; ++j) {
                store_some(out + j * b.features + d, now, n);
                const Vec next = T(2) * z * now - before;
                before = now;
                now = next;
            }
        });
    }
}

// dT_j/dx = j U_(j-1), and U has the recurrence of T from U_(-1) = 0, U_0 = 1.
template <class T>
void contract_chebyshev(const Basis<T>& b, const T* grad, const T* x, T* dx, T*, T*, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    for (std::size_t row = 0; row < rows; ++row) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            const Vec z = load_some(x + d, n);
            Vec before{}, now = Vec{} + T(1), sum = T(0) * z;
            for (int j = 1; j < b.functions; ++j) {
                sum += static_cast<T>(j) * now * load_some(grad + j * b.features + d, n);
                const Vec next = T(2) * z * now - before;
                before = now;
                now = next;
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

// cos(j x), j = 1 .. functions / 2, then sin(j x): turned by x once more each time.
template <class T>
void expand_fourier(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    using Vec = Lanes<T, kWidest<T>>;
    const int terms = b.functions / 2;
    const std::size_t sines = terms * b.features;
    for (std::size_t row = 0; row < rows; ++row, x += b.features, out += 2 * sines) {
        for_vectors<T>(b.features, [&](std::size_t d, std::size_t n) {
            Vec c1, s1;
            cosine_and_sine<T>(load_some(x + d, n), c1, s1);
            Vec c = c1, s = s1;
            for (int j = 0; j < terms; ++j) {
                store_some(out + j * b.features + d, c, n);
                store_some(out + sines + j * b.features + d, s, n);
                const Vec turned = c * c1 - s * s1;
                s = c * s1 + s * c1;
                c = turned;
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
            Vec c1, s1;
            cosine_and_sine<T>(load_some(x + d, n), c1, s1);
            Vec c = c1, s = s1, sum{};
            for (int j = 0; j < terms; ++j) {
                const T* const g = grad + j * b.features + d;
                sum += static_cast<T>(j + 1) * (c * load_some(g + sines, n) - s * load_some(g, n));
                const Vec turned = c * c1 - s * s1;
                s = c * s1 + s * c1;
                c = turned;
            }
            store_some(dx + d, sum, n);
        });
    }
}

template <class T>
void expand(const Basis<T>& b, const T* x, T* out, std::size_t rows) {
    switch (b.function) {
        case Function::gaussian: return expand_family<T, Function::gaussian>(b, x, out, rows);
        case Function::mexican_hat: return expand_family<T, Function::mexican_hat>(b, x, out, rows);
        case Function::morlet: return expand_family<T, Function::morlet>(b, x, out, rows);
        case Function::dog: return expand_family<T, Function::dog>(b, x, out, rows);
        case Function::bump: return expand_family<T, Function::bump>(b, x, out, rows);
        case Function::chebyshev: return expand_chebyshev(b, x, out, rows);
        case Function::fourier: return expand_fourier(b, x, out, rows);
    }
}

template <class T>
void contract(const Basis<T>& b, const T* g, const T* x, T* dx, T* dcentre, T* dscale, std::size_t rows) {
    switch (b.function) {
        case Function::gaussian: return contract_family<T, Function::gaussian>(b, g, x, dx, dcentre, dscale, rows);
        case Function::mexican_hat:
            return contract_family<T, Function::mexican_hat>(b, g, x, dx, dcentre, dscale, rows);
        case Function::morlet: return contract_family<T, Function::morlet>(b, g, x, dx, dcentre, dscale, rows);
        case Function::dog: return contract_family<T, Function::dog>(b, g, x, dx, dcentre, dscale, rows);
        case Function::bump: return contract_family<T, Function::bump>(b, g, x, dx, dcentre, dscale, rows);
        case Function::chebyshev: return contract_chebyshev(b, g, x, dx, dcentre, dscale, rows);
        case Function::fourier: return contract_fourier(b, g, x, dx, dcentre, dscale, rows);
    }
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
