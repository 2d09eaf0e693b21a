// 1/q and p/q for q from 1 to 2^70 (double: 2^520), without a division where this level has an estimate of 1/q to 14
// bits, and v sgn(x).
//
// With r0 = (1 + d)/q, |d| <= 2^-14, and e = 1 - q r0 = -d, exact but for the rounding of one fused operation:
//   r1 = r0 + r0 e = (1 - d^2)/q                  so 1/q is wrong by 2^-28 and one rounding: 0.57 units of 2^-23
//   f = p r0, f + r0 (p - q f) = (1 - d^2) p/q    the same for p/q
// A second step for double makes 2^-56 of 2^-28. Neither q nor 1/q comes near the end of the range, so no step
// overflows; p - q f may be denormal only where p/q is, to whose last place it is exact. Infinity and NaN in p or q
// give NaN or what is not used (they are far from the origin). Internal linkage: included by kernel sources only.
#pragma once

#include "kan/storage.hpp"

namespace fourfold::kan::FOURFOLD_LEVEL {
namespace {

#if FOURFOLD_LEVEL_INDEX == 2

// With an explicit mask: see storage.hpp.
FOURFOLD_INLINE __m512 estimate(__m512 q) { return _mm512_maskz_rcp14_ps(0xffff, q); }
FOURFOLD_INLINE __m512d estimate(__m512d q) { return _mm512_maskz_rcp14_pd(0xff, q); }

FOURFOLD_INLINE __m512 improved(__m512 r, __m512 q) {
    return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(q, r, _mm512_set1_ps(1)), r);
}
FOURFOLD_INLINE __m512d improved(__m512d r, __m512d q) {
    return _mm512_fmadd_pd(r, _mm512_fnmadd_pd(q, r, _mm512_set1_pd(1)), r);
}

FOURFOLD_INLINE Floats reciprocal(Floats q) {
    const __m512 divisor = same_bits<__m512>(q);
    return same_bits<Floats>(improved(estimate(divisor), divisor));
}
FOURFOLD_INLINE Doubles reciprocal(Doubles q) {
    const __m512d divisor = same_bits<__m512d>(q);
    return same_bits<Doubles>(improved(improved(estimate(divisor), divisor), divisor));
}
FOURFOLD_INLINE Floats quotient(Floats p, Floats q) {
    const __m512 above = same_bits<__m512>(p), divisor = same_bits<__m512>(q);
    const __m512 r = estimate(divisor), f = _mm512_mul_ps(above, r);
    return same_bits<Floats>(_mm512_fmadd_ps(r, _mm512_fnmadd_ps(divisor, f, above), f));
}
FOURFOLD_INLINE Doubles quotient(Doubles p, Doubles q) {
    const __m512d above = same_bits<__m512d>(p), divisor = same_bits<__m512d>(q);
    const __m512d r = improved(estimate(divisor), divisor), f = _mm512_mul_pd(above, r);
    return same_bits<Doubles>(_mm512_fmadd_pd(r, _mm512_fnmadd_pd(divisor, f, above), f));
}

// v sgn(x), where zero counts as positive; -0, too, so the sign bit alone does not tell.
FOURFOLD_INLINE Floats signed_as(Floats v, Floats x) {
    const __m512 zero{}, magnitude = same_bits<__m512>(v);
    const __mmask16 negative = _mm512_cmp_ps_mask(same_bits<__m512>(x), zero, _CMP_LT_OQ);
    return same_bits<Floats>(_mm512_mask_sub_ps(magnitude, negative, zero, magnitude));
}
FOURFOLD_INLINE Doubles signed_as(Doubles v, Doubles x) {
    const __m512d zero{}, magnitude = same_bits<__m512d>(v);
    const __mmask8 negative = _mm512_cmp_pd_mask(same_bits<__m512d>(x), zero, _CMP_LT_OQ);
    return same_bits<Doubles>(_mm512_mask_sub_pd(magnitude, negative, zero, magnitude));
}

#else

template <class Vec>
FOURFOLD_INLINE Vec signed_as(Vec v, Vec x) {
    return x < 0 ? -v : v;
}
template <class Vec>
FOURFOLD_INLINE Vec reciprocal(Vec q) {
    return 1 / q;
}
template <class Vec>
FOURFOLD_INLINE Vec quotient(Vec p, Vec q) {
    return p / q;
}

#endif

}  // namespace
}  // namespace fourfold::kan::FOURFOLD_LEVEL
