// Several SIMD vectors that go through the same operations side by side: in program order the operations of one stand
// between those of the other, so that the latency of each is hidden by the other within the CPU's scheduler. Internal
// linkage: included by kernel sources only.
#pragma once

#include "kan/storage.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

template <class Vec, int K>
struct Pack {
    Vec v[K];
};

template <int K, class F>
FOURFOLD_INLINE auto each(F f) {
    Pack<decltype(f(0)), K> result;
#pragma GCC unroll 4
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

template <int K, class S>
FOURFOLD_INLINE auto load_pack(const S* from) {
    return each<K>([&](int k) { return load_as(from + k * Vector<S>::lanes); });
}
template <int K, class S>
FOURFOLD_INLINE void store_pack(S* to, Pack<typename Vector<S>::type, K> values) {
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k) store_as(to + k * Vector<S>::lanes, values.v[k]);
}

// Two vectors of bfloat16 are read and written as the even and the odd places of one: a shift or a mask each, and
// nothing is moved from lane to lane. Elementwise work does not see the order.
template <int K>
    requires(K == 2)
FOURFOLD_INLINE Pack<Floats, 2> load_pack(const BFloat16* from) {
    const Words words = load<Words>(&from->bits);
    return {{same_bits<Floats>(words << 16), same_bits<Floats>(words & 0xffff0000u)}};
}
template <int K>
    requires(K == 2)
FOURFOLD_INLINE void store_pack(BFloat16* to, Pack<Floats, 2> values) {
    store(&to->bits, (rounded_to_bfloat16(values.v[0]) >> 16) | (rounded_to_bfloat16(values.v[1]) & 0xffff0000u));
}

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
