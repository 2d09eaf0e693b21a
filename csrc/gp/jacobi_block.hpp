// The eigenproblem of one small symmetric matrix by one block of GPU threads: Jacobi's method, cyclic, in parallel.
//
// A sweep is m - 1 steps (m = n, or n + 1 if n is odd: a row of zeros that nothing rotates). In a step the m indices
// form m/2 pairs (a round-robin tournament), and every pair is rotated such that its entry off the diagonal vanishes.
// The pairs' rotations touch disjoint 2 x 2 blocks of the matrix, so all of them are applied at once, in place, and
// what comes out does not depend on the order of the threads. Only the blocks above the diagonal are computed: the
// matrix stays symmetric to the bit.
//
// A pair is left alone where |a_ij| <= 2^-54 sqrt|a_ii a_jj|, which for positive definite matrices leaves the small
// eigenvalues accurate, too (Demmel and Veselic 1992), or where |a_ij| is below 2^-100 of the largest entry. A sweep
// that rotates nothing is the last.
#pragma once

#include <cmath>
#include <cstring>

#include "gp/small_system.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

// What a block says of its work: 0 is well.
enum Trouble : int { kFine = 0, kNotFinite = 1, kNotSymmetric = 2, kNotConverged = 3, kNotPositive = 4 };

inline constexpr int kMostSweeps = 40;

// 2^k such that number times it is of the order of one, for a finite number >= 0.
FOURFOLD_INLINE double scale_for(double number) {
    std::uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    std::uint64_t exponent = 2046 - (bits >> 52);
    if (exponent < 1) exponent = 1;
    bits = exponent << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

struct Extremes {
    double largest = 0, difference = 0;
};

// The pair p of step r among m indices, the smaller one first.
struct IndexPair {
    int i, j;
};
FOURFOLD_INLINE IndexPair index_pair(int m, int r, int p) {
    const int one = p == 0 ? m - 1 : (r + p) % (m - 1), other = (r + m - 1 - p) % (m - 1);
    return one < other ? IndexPair{one, other} : IndexPair{other, one};
}

// The pair w of different numbers among `count`, 0 <= w < count (count - 1)/2.
FOURFOLD_INLINE IndexPair unordered(int count, int w) {
    const int a = w % count, b = (a + 1 + w / count) % count;
    return {a, b};
}

struct JacobiMemory {
    double *a, *v;                 // [m][m + 1]
    double *cosine, *sine;         // [m/2]
    double *largest, *difference;  // [threads]
    int *first, *second, *turned;  // [m/2]
    int* any;                      // [2]

    FOURFOLD_INLINE JacobiMemory(unsigned char* shared, int m, int threads) {
        a = reinterpret_cast<double*>(shared);
        v = a + m * (m + 1);
        cosine = v + m * (m + 1);
        sine = cosine + m / 2;
        largest = sine + m / 2;
        difference = largest + threads;
        first = reinterpret_cast<int*>(difference + threads);
        second = first + m / 2;
        turned = second + m / 2;
        any = turned + m / 2;
    }
};

// Scales the symmetric part of a[n, n] to the order of one; returns what is wrong with it. `scale` is the factor.
template <class T, class Block>
FOURFOLD_INLINE int load_symmetric(Block& block, const JacobiMemory& at, int n, const T* __restrict__ a, double limit,
                                   double& scale) {
    const int threads = static_cast<int>(block.threads()), m = n + n % 2;
    block.each([&](unsigned thread) {
        Extremes own;
        for (int e = static_cast<int>(thread); e < n * n; e += threads) {
            const double one = static_cast<double>(a[e]), other = static_cast<double>(a[e % n * n + e / n]);
            const double size = fabs(one), difference = fabs(one - other);
            if (!(size <= 1.79769313486231570815e308)) {
                own.largest = HUGE_VAL;
            } else if (size > own.largest) {
                own.largest = size;
            }
            if (difference > own.difference) own.difference = difference;
        }
        at.largest[thread] = own.largest;
        at.difference[thread] = own.difference;
    });
    for (int half = threads / 2; half > 0; half /= 2) {
        block.each([&](unsigned thread) {
            const int t = static_cast<int>(thread);
            if (t >= half) return;
            if (at.largest[t + half] > at.largest[t]) at.largest[t] = at.largest[t + half];
            if (at.difference[t + half] > at.difference[t]) at.difference[t] = at.difference[t + half];
        });
    }
    const double largest = at.largest[0];
    if (!(largest <= 1.79769313486231570815e308)) return kNotFinite;
    if (at.difference[0] > limit * largest) return kNotSymmetric;
    scale = scale_for(largest);
    const double half_scale = 0.5 * scale;
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < m * m; e += threads) {
            const int i = e / m, j = e % m;
            const bool inside = i < n && j < n;
            at.a[i * (m + 1) + j] =
                inside ? half_scale * static_cast<double>(a[i * n + j]) + half_scale * static_cast<double>(a[j * n + i])
                       : 0.0;
            at.v[i * (m + 1) + j] = i == j ? 1.0 : 0.0;
        }
        for (int p = static_cast<int>(thread); p < m / 2; p += threads) at.turned[p] = 0;
    });
    return kFine;
}

// The rotation of pair p, and the 2 x 2 block on the diagonal.
FOURFOLD_INLINE void make_rotation(const JacobiMemory& at, int m, int step, int p) {
    const IndexPair pair = index_pair(m, step, p);
    const int row = m + 1;
    at.first[p] = pair.i;
    at.second[p] = pair.j;
    double cosine = 1, sine = 0;
    const double off = at.a[pair.i * row + pair.j];
    const double ii = at.a[pair.i * row + pair.i], jj = at.a[pair.j * row + pair.j];
    // Squares do not underflow: 2^-200 and 2^-108 2^-200.
    if (fabs(off) > 0x1p-100 && off * off > 0x1p-108 * fabs(ii * jj)) {
        // t^2 + 2 theta t = 1 with theta = (jj - ii)/(2 off), the smaller root, with one division.
        const double apart = jj - ii;
        const double tangent = copysign(2.0, apart) * off / (fabs(apart) + sqrt(apart * apart + 4 * off * off));
        cosine = 1 / sqrt(1 + tangent * tangent);
        sine = tangent * cosine;
        at.a[pair.i * row + pair.i] = ii - tangent * off;
        at.a[pair.j * row + pair.j] = jj + tangent * off;
        at.a[pair.i * row + pair.j] = 0;
        at.a[pair.j * row + pair.i] = 0;
        at.turned[p] = 1;
    }
    at.cosine[p] = cosine;
    at.sine[p] = sine;
}

// The 2 x 2 block of two pairs.
FOURFOLD_INLINE void rotate_block(const JacobiMemory& at, int m, IndexPair pairs) {
    const int row = m + 1;
    const int i0 = at.first[pairs.i], i1 = at.second[pairs.i], j0 = at.first[pairs.j], j1 = at.second[pairs.j];
    const double ca = at.cosine[pairs.i], sa = at.sine[pairs.i], cb = at.cosine[pairs.j], sb = at.sine[pairs.j];
    const double x00 = at.a[i0 * row + j0], x01 = at.a[i0 * row + j1];
    const double x10 = at.a[i1 * row + j0], x11 = at.a[i1 * row + j1];
    const double y00 = cb * x00 - sb * x01, y01 = sb * x00 + cb * x01;
    const double y10 = cb * x10 - sb * x11, y11 = sb * x10 + cb * x11;
    const double z00 = ca * y00 - sa * y10, z10 = sa * y00 + ca * y10;
    const double z01 = ca * y01 - sa * y11, z11 = sa * y01 + ca * y11;
    at.a[i0 * row + j0] = at.a[j0 * row + i0] = z00;
    at.a[i0 * row + j1] = at.a[j1 * row + i0] = z01;
    at.a[i1 * row + j0] = at.a[j0 * row + i1] = z10;
    at.a[i1 * row + j1] = at.a[j1 * row + i1] = z11;
}

FOURFOLD_INLINE void rotate_vectors(const JacobiMemory& at, int m, int p, int column) {
    const double c = at.cosine[p], s = at.sine[p];
    double* one = at.v + at.first[p] * (m + 1) + column;
    double* other = at.v + at.second[p] * (m + 1) + column;
    const double x = *one, y = *other;
    *one = c * x - s * y;
    *other = s * x + c * y;
}

// Eigenvalues values[n], in no order, and eigenvectors in the rows of vectors[n, n], of the symmetric part of a[n, n];
// NaN where something is wrong. shared: eigh_shared(n) bytes.
template <class T, class Block>
FOURFOLD_INLINE int eigh_block(Block& block, unsigned char* shared, int n, const T* __restrict__ a, double limit,
                               T* __restrict__ values, T* __restrict__ vectors) {
    const int threads = static_cast<int>(block.threads()), m = n + n % 2, pairs = m / 2;
    const JacobiMemory at(shared, m, threads);
    double scale = 1;
    int trouble = load_symmetric(block, at, n, a, limit, scale);
    if (trouble == kFine) {
        trouble = kNotConverged;
        const int blocks = pairs * (pairs - 1) / 2, work = blocks + pairs * n;
        for (int sweep = 0; sweep < kMostSweeps && trouble != kFine; ++sweep) {
            for (int step = 0; step < m - 1; ++step) {
                block.each([&](unsigned thread) {
                    if (static_cast<int>(thread) < pairs) make_rotation(at, m, step, static_cast<int>(thread));
                });
                block.each([&](unsigned thread) {
                    for (int w = static_cast<int>(thread); w < work; w += threads) {
                        if (w < blocks) {
                            rotate_block(at, m, unordered(pairs, w));
                        } else {
                            rotate_vectors(at, m, (w - blocks) / n, (w - blocks) % n);
                        }
                    }
                });
            }
            // Two places in turn: who reads one is not overtaken by who writes the next.
            block.each([&](unsigned thread) {
                if (thread > 0) return;
                int any = 0;
                for (int p = 0; p < pairs; ++p) {
                    any |= at.turned[p];
                    at.turned[p] = 0;
                }
                at.any[sweep % 2] = any;
            });
            if (at.any[sweep % 2] == 0) trouble = kFine;
        }
    }
    block.each([&](unsigned thread) {
        for (int e = static_cast<int>(thread); e < n * n; e += threads) {
            const int i = e / n, j = e % n;
            vectors[e] = trouble == kFine ? static_cast<T>(at.v[i * (m + 1) + j]) : static_cast<T>(NAN);
            if (i == j) {
                values[i] = trouble == kFine ? static_cast<T>(at.a[i * (m + 1) + i] / scale) : static_cast<T>(NAN);
            }
        }
    });
    return trouble;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
