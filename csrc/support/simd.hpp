// SIMD vectors of the compiler's own kind. Included by kernel sources only: everything has internal linkage, because
// each ISA level must keep its own copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "support/numbers.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

// A vector of V lanes; for V = 1 the scalar itself, so that every kernel also exists for lengths that no lane count
// fits.
template <class T, int V>
struct LanesOf {
    typedef T type __attribute__((vector_size(sizeof(T) * V)));
};
template <class T>
struct LanesOf<T, 1> {
    typedef T type;
};
template <class T, int V>
using Lanes = typename LanesOf<T, V>::type;

template <class Vec, class T>
FOURFOLD_INLINE Vec load(const T* from) {
    Vec v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

template <class Vec, class T>
FOURFOLD_INLINE void store(T* to, Vec v) {
    std::memcpy(to, &v, sizeof v);
}

template <class Vec, class T>
FOURFOLD_INLINE Complex<Vec> load_complex(const T* re, const T* im, std::size_t at) {
    return {load<Vec>(re + at), load<Vec>(im + at)};
}
template <class Vec, class T>
FOURFOLD_INLINE void store_complex(T* re, T* im, std::size_t at, Complex<Vec> z) {
    store(re + at, z.re);
    store(im + at, z.im);
}

#if !defined(__CUDACC__)  // nvcc knows no shuffles
// One exchange of a V x V transpose: the S-th bit of the lane number changes places with that of the vector number.
template <int S, class Vec, int... L>
FOURFOLD_INLINE void exchange(Vec& a, Vec& b, std::integer_sequence<int, L...>) {
    constexpr int V = sizeof...(L);
    const Vec low = __builtin_shufflevector(a, b, ((L & S) != 0 ? V + L - S : L)...);
    const Vec high = __builtin_shufflevector(a, b, ((L & S) != 0 ? V + L : L + S)...);
    a = low;
    b = high;
}

template <int S, int V, class Vec>
FOURFOLD_INLINE void transpose_from(Vec* x) {
    if constexpr (S < V) {
#pragma GCC unroll 16
        for (int i = 0; i < V; ++i) {
            if ((i & S) == 0) exchange<S>(x[i], x[i + S], std::make_integer_sequence<int, V>{});
        }
        transpose_from<2 * S, V>(x);
    }
}

// Lane l of x[v] becomes lane v of x[l].
template <int V, class Vec>
FOURFOLD_INLINE void transpose(Complex<Vec>* x) {
    if constexpr (V > 1) {
        Vec re[V], im[V];
#pragma GCC unroll 16
        for (int i = 0; i < V; ++i) re[i] = x[i].re;
        transpose_from<1, V>(re);
#pragma GCC unroll 16
        for (int i = 0; i < V; ++i) im[i] = x[i].im;
        transpose_from<1, V>(im);
#pragma GCC unroll 16
        for (int i = 0; i < V; ++i) x[i] = {re[i], im[i]};
    }
}
#endif

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
