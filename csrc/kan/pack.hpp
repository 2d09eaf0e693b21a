// Several numbers or SIMD vectors that go through the same operations side by side: in program order the operations of
// one stand between those of the other, so that the latency of each is hidden by the other within the processor's
// scheduler. Internal linkage: included by kernel sources only, of the CPU's levels and of the GPU.
#pragma once

#include "support/host_device.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class Vec, int K>
struct Pack {
    Vec v[K];
};

template <int K, class F>
FOURFOLD_INLINE auto each(F f) {
    Pack<decltype(f(0)), K> result;
    FOURFOLD_UNROLL(4)
    for (int k = 0; k < K; ++k) result.v[k] = f(k);
    return result;
}

template <class Vec, int K>
FOURFOLD_INLINE Pack<Vec, K> operator*(Pack<Vec, K> a, Pack<Vec, K> b) {
    return each<K>([&](int k) { return a.v[k] * b.v[k]; });
}
// a b + c in one expression, so that every compiler makes one operation of it.
template <class Vec, int K>
FOURFOLD_INLINE Pack<Vec, K> multiply_add(Pack<Vec, K> a, Pack<Vec, K> b, Pack<Vec, K> c) {
    return each<K>([&](int k) { return a.v[k] * b.v[k] + c.v[k]; });
}
template <class Vec, int K>
FOURFOLD_INLINE Pack<Vec, K> multiply_add(Pack<Vec, K> a, Pack<Vec, K> b, Vec c) {
    return each<K>([&](int k) { return a.v[k] * b.v[k] + c; });
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
