// Packs of SIMD vectors from and to memory. Internal linkage: included by kernel sources only.
#pragma once

#include "kan/pack.hpp"
#include "kan/storage.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

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
