// Symmetric eigenproblems of several matrices of one size at once, each in a lane of the SIMD registers: Householder
// reduction from the last row on and accumulation in place (Martin, Reinsch and Wilkinson, Numer. Math. 11, 1968), then
// implicit QL steps in step: all lanes work on the same eigenvalue, and a lane that is done, or whose matrix splits
// earlier, turns by nothing. What a lane computes does not depend on the others. Included by kernel sources only.
#pragma once

#include <cmath>
#include <limits>

#if defined(__AVX512DQ__)
#include <immintrin.h>
#endif

#include "gp/gemm.hpp"
#include "gp/tridiagonal.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

inline constexpr int kMatrices = kLanes<double>;
using Many = Lanes<double, kMatrices>;
using Mask = Lanes<std::int64_t, kMatrices>;

FOURFOLD_INLINE Many all_of(double value) { return Many{} + value; }

FOURFOLD_INLINE Many root(Many x) {
    Many y;
#pragma GCC unroll 8
    for (int l = 0; l < kMatrices; ++l) y[l] = std::sqrt(x[l]);
    return y;
}

FOURFOLD_INLINE Many size_of(Many x) { return x < 0 ? -x : x; }

FOURFOLD_INLINE Many with_sign(Many size, Many sign) { return sign < 0 ? -size : size; }

FOURFOLD_INLINE bool any(Mask mask) {
#if defined(__AVX512DQ__)
    return _mm512_movepi64_mask(reinterpret_cast<__m512i>(mask)) != 0;
#else
    std::int64_t some = 0;
#pragma GCC unroll 8
    for (int l = 0; l < kMatrices; ++l) some |= mask[l];
    return some != 0;
#endif
}

// Everything in vectors, one lane a matrix.
struct LanesWork {
    Index n, ld;          // ld is odd, so that a column of a meets all sets of the caches
    Many* a;              // [n][ld]; the lower triangle at first, at the end the eigenvectors in rows
    Many *d, *e, *tau;    // [n]
    Many *v, *w, *u, *y;  // [n]
    Many* rotations;      // cosine and sine, in the order in which they act
    Index used, capacity;
    Index* sweeps;  // first row and number of rotations of every QL step
    Index sweep_count;
};

// As many vectors as fit the first-level cache: beyond, rotations are kept and applied to strips of columns.
inline constexpr Index kAtOnce = 36;
inline constexpr int kLaneStrip = 4;

Index lanes_rotations(Index n) { return n <= kAtOnce ? 1 : 8 * n; }

FOURFOLD_INLINE Index odd(Index n) { return n | 1; }

// In doubles.
Index lanes_work_count(Index n) {
    const Index kept = lanes_rotations(n);
    return (n * odd(n) + 7 * n + 2 * kept) * kMatrices + 2 * kept + 8;
}

LanesWork lanes_work(Index n, double* work) {
    LanesWork t{};
    t.n = n;
    t.ld = odd(n);
    Many* next = reinterpret_cast<Many*>(work);
    const auto take = [&next](Index count) {
        Many* start = next;
        next += count;
        return start;
    };
    t.a = take(n * t.ld);
    for (Many** vector : {&t.d, &t.e, &t.tau, &t.v, &t.w, &t.u, &t.y}) *vector = take(n);
    t.capacity = lanes_rotations(n);
    t.rotations = take(2 * t.capacity);
    t.sweeps = reinterpret_cast<Index*>(next);
    return t;
}

// R rows of a[..][columns] <- a - v w' - w v', and y += a u for these rows and, transposed, for their columns.
template <int R>
FOURFOLD_INLINE void lanes_update(const LanesWork& t, Index row, Index columns) {
    Many* __restrict a = t.a + row * t.ld;
    const Many* __restrict v = t.v;
    const Many* __restrict w = t.w;
    const Many* __restrict u = t.u;
    Many* __restrict y = t.y;
    Many vi[R], wi[R], ui[R], sum[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
        vi[r] = v[row + r];
        wi[r] = w[row + r];
        ui[r] = u[row + r];
        sum[r] = Many{};
    }
    for (Index c = 0; c < columns; ++c) {
        const Many vc = v[c], wc = w[c], uc = u[c];
        Many below = y[c];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            const Many value = a[r * t.ld + c] - vi[r] * wc - wi[r] * vc;
            a[r * t.ld + c] = value;
            sum[r] += value * uc;
            below += value * ui[r];
        }
        y[c] = below;
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) y[row + r] += sum[r];
    // The triangle on the diagonal.
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int s = 0; s <= r; ++s) {
            Many& entry = a[r * t.ld + columns + s];
            entry = entry - vi[r] * wi[s] - wi[r] * vi[s];
            y[row + r] += entry * ui[s];
            if (s < r) y[columns + s] += entry * ui[r];
        }
    }
}

// a = Q T Q', Q = H_{n-1} ... H_1, H_i = 1 - tau_i u_i u_i' with u_i left in row i; T: diagonal d, e[i] at (i, i + 1).
void lanes_reduce(LanesWork& t) {
    constexpr int R = kMatrices >= 8 ? 4 : 2;
    const Index n = t.n;
    for (Index c = 0; c < n; ++c) t.v[c] = t.w[c] = Many{};
    for (Index i = n - 1; i >= 0; --i) {
        Many* row = t.a + i * t.ld;
        const Many vi = t.v[i], wi = t.w[i];
        Many rest = Many{};
        for (Index c = 0; c <= i; ++c) {
            row[c] = row[c] - vi * t.w[c] - wi * t.v[c];
            if (c < i - 1) rest += row[c] * row[c];
        }
        t.d[i] = row[i];
        if (i == 0) break;
        const Many alpha = row[i - 1];
        const Mask nothing = rest <= kNothing;
        const Many beta = nothing ? alpha : -with_sign(root(alpha * alpha + rest), alpha);
        const Many tau = nothing ? Many{} : (beta - alpha) / (nothing ? all_of(1) : beta);
        const Many scale = nothing ? Many{} : 1 / (nothing ? all_of(1) : alpha - beta);
        t.e[i - 1] = beta;
        t.tau[i] = tau;
        for (Index c = 0; c < i - 1; ++c) t.u[c] = row[c] * scale;
        t.u[i - 1] = all_of(1);
        for (Index c = 0; c < i; ++c) t.y[c] = Many{};
        Index r = 0;
        for (; r + R <= i; r += R) lanes_update<R>(t, r, r);
        for (; r < i; ++r) lanes_update<1>(t, r, r);
        Many product = Many{};
        for (Index c = 0; c < i; ++c) product += t.y[c] * t.u[c];
        const Many half = 0.5 * tau * tau * product;
        for (Index c = 0; c < i; ++c) {
            const Many value = t.u[c];
            t.v[c] = value;
            t.w[c] = tau * t.y[c] - half * value;
            row[c] = value;
        }
    }
}

// R rows of P <- P H_i H_{i+1}; u: t.u and t.w, `columns` long; `cross` = tau_{i+1} u_i'u_{i+1}.
template <int R>
FOURFOLD_INLINE void lanes_reflect(const LanesWork& t, Index row, Index columns, Many first_tau, Many second_tau,
                                   Many cross) {
    Many* __restrict a = t.a + row * t.ld;
    const Many* __restrict u = t.u;
    const Many* __restrict w = t.w;
    Many first[R], second[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) first[r] = second[r] = Many{};
    for (Index c = 0; c < columns; ++c) {
        const Many uc = u[c], wc = w[c];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            first[r] += a[r * t.ld + c] * uc;
            second[r] += a[r * t.ld + c] * wc;
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
        first[r] = first[r] * first_tau;
        second[r] = second[r] * second_tau - first[r] * cross;
    }
    for (Index c = 0; c < columns; ++c) {
        const Many uc = u[c], wc = w[c];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) a[r * t.ld + c] = a[r * t.ld + c] - first[r] * uc - second[r] * wc;
    }
}

// a <- Q' = H_1 H_2 ... H_{n-1}, in place: P = H_1 ... H_{i-1} stands in the first i - 1 rows and columns when u_i is
// taken from row i.
void lanes_accumulate(LanesWork& t) {
    constexpr int R = 4;
    const Index n = t.n;
    const Index ld = t.ld;
    const auto unit_row = [&t, ld](Index i) {
        for (Index c = 0; c < i; ++c) t.a[i * ld + c] = t.a[c * ld + i] = Many{};
        t.a[i * ld + i] = all_of(1);
    };
    unit_row(0);
    for (Index i = 1; i < n; i += 2) {
        const bool pair = i + 1 < n;
        const Index columns = pair ? i + 1 : i;
        for (Index c = 0; c < columns; ++c) {
            t.u[c] = c < i ? t.a[i * ld + c] : Many{};
            t.w[c] = pair ? t.a[(i + 1) * ld + c] : Many{};
        }
        Many cross = Many{};
        for (Index c = 0; c < columns; ++c) cross += t.u[c] * t.w[c];
        const Many first_tau = t.tau[i], second_tau = pair ? t.tau[i + 1] : Many{};
        cross = cross * second_tau;
        unit_row(i);
        Index r = 0;
        for (; r + R <= columns; r += R) lanes_reflect<R>(t, r, columns, first_tau, second_tau, cross);
        for (; r < columns; ++r) lanes_reflect<1>(t, r, columns, first_tau, second_tau, cross);
        if (pair) unit_row(i + 1);
    }
}

FOURFOLD_INLINE void turn(Many* lower, Many* upper, Index n, Many c, Many s) {
    for (Index k = 0; k < n; ++k) {
        const Many below = lower[k], above = upper[k];
        upper[k] = s * below + c * above;
        lower[k] = c * below - s * above;
    }
}

// The kept rotations, to W columns.
template <int W>
FOURFOLD_INLINE void lanes_strip(const LanesWork& t, Many* strip) {
    const Many* rotation = t.rotations;
    for (Index s = 0; s < t.sweep_count; ++s) {
        Many* at = strip + t.sweeps[2 * s] * t.ld;
        Many upper[W];
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) upper[k] = at[t.ld + k];
        for (Index count = t.sweeps[2 * s + 1]; count > 0; --count, at -= t.ld, rotation += 2) {
            const Many c = rotation[0], sine = rotation[1];
#pragma GCC unroll 8
            for (int k = 0; k < W; ++k) {
                const Many lower = at[k];
                at[t.ld + k] = sine * lower + c * upper[k];
                upper[k] = c * lower - sine * upper[k];
            }
        }
#pragma GCC unroll 8
        for (int k = 0; k < W; ++k) at[t.ld + k] = upper[k];
    }
}

void lanes_apply(LanesWork& t) {
    Index k = 0;
    for (; k + kLaneStrip <= t.n; k += kLaneStrip) lanes_strip<kLaneStrip>(t, t.a + k);
    for (; k < t.n; ++k) lanes_strip<1>(t, t.a + k);
    t.used = t.sweep_count = 0;
}

// Where a lane works: QL steps on the rows first .. last.
struct Blocks {
    Mask first, last;
    Index lowest, highest;  // of all lanes that work
};

// From the lowest row on: rows below which nothing stands are done, the next small entry ends the block.
bool next_blocks(const LanesWork& t, Many floor, Blocks& blocks) {
    constexpr double eps = std::numeric_limits<double>::epsilon();
    const Index n = t.n;
    const Mask none = Mask{} - 1;
    Mask open = blocks.first < n - 1;
    blocks.last = Mask{} + (n - 1);
    for (Index i = blocks.lowest; i < n - 1; ++i) {
        if (i % 4 == 0 && !any(open)) break;
        const Many off = size_of(t.e[i]);
        const Mask small = (off <= floor) | (off <= eps * (size_of(t.d[i]) + size_of(t.d[i + 1])));
        const Mask at = blocks.first == i, found = small & open & ~at & (blocks.first < i);
        blocks.first = small & at ? blocks.first + 1 : blocks.first;
        blocks.last = found ? Mask{} + i : blocks.last;
        open &= ~found;
    }
    blocks.last = blocks.first < blocks.last ? blocks.last : none;
    blocks.lowest = n - 1;
    blocks.highest = 0;
    for (int l = 0; l < kMatrices; ++l) {
        blocks.lowest = smaller(blocks.lowest, blocks.first[l]);
        blocks.highest = blocks.last[l] > blocks.highest ? blocks.last[l] : blocks.highest;
    }
    return blocks.lowest < n - 1;
}

// One QL step with an implicit shift in every lane that works.
void lanes_step(LanesWork& t, const Blocks& blocks, bool at_once) {
    Many* d = t.d;
    Many* e = t.e;
    // The eigenvalue of the leading 2 x 2 block that is closer to its first entry.
    Many here = Many{}, after = Many{}, off = all_of(1);
    for (int l = 0; l < kMatrices; ++l) {
        if (blocks.last[l] < 0) continue;
        const Index at = blocks.first[l];
        here[l] = d[at][l];
        after[l] = d[at + 1][l];
        off[l] = e[at][l];
    }
    const Many half = (after - here) / (2 * off);
    const Many shifted = off / (half + with_sign(root(half * half + 1), half)) - here;
    Many g = Many{}, sine = all_of(1), cosine = all_of(1), shift = Many{};
    Mask on = Mask{};
    Many* rotation = t.rotations + 2 * t.used;
    for (Index i = blocks.highest - 1; i >= blocks.lowest; --i) {
        const Mask begins = blocks.last == i + 1;
        on |= begins;
        g = begins ? d[i + 1] + shifted : g;
        const Many f = sine * e[i], b = cosine * e[i];
        const Many square = f * f + g * g;
        const Mask splits = on & (square <= kNothing);
        on &= ~splits;
        // In lanes that are off whatever comes out is not taken.
        const Many length = root(square), inverse = length * (1 / square);
        e[i + 1] = begins | splits ? Many{} : (on ? length : e[i + 1]);
        sine = on ? f * inverse : sine;
        cosine = on ? g * inverse : cosine;
        const Many next = d[i + 1] - shift;
        const Many r = (d[i] - next) * sine + 2 * cosine * b;
        d[i + 1] = splits ? next : d[i + 1];
        shift = on ? sine * r : shift;
        d[i + 1] = on ? next + shift : d[i + 1];
        g = on ? cosine * r - b : g;
        const Many c = on ? cosine : all_of(1), s = on ? sine : Many{};
        const Mask ends = on & (blocks.first == i);
        d[i] = ends ? d[i] - shift : d[i];
        e[i] = ends ? g : e[i];
        on &= ~ends;
        if (at_once) {
            turn(t.a + i * t.ld, t.a + (i + 1) * t.ld, t.n, c, s);
        } else {
            rotation[0] = c;
            rotation[1] = s;
            rotation += 2;
        }
    }
    if (at_once) return;
    t.sweeps[2 * t.sweep_count] = blocks.highest - 1;
    t.sweeps[2 * t.sweep_count + 1] = blocks.highest - blocks.lowest;
    ++t.sweep_count;
    t.used += blocks.highest - blocks.lowest;
}

// False: a lane did not converge.
bool lanes_diagonalise(LanesWork& t) {
    const Index n = t.n;
    const bool at_once = n <= kAtOnce;
    t.e[n - 1] = Many{};
    Many norm = Many{};
    for (Index i = 0; i < n; ++i) {
        const Many size = size_of(t.d[i]) + size_of(t.e[i]);
        norm = size > norm ? size : norm;
    }
    // The reduction left errors of this size anyway.
    const Many floor = 0.25 * std::numeric_limits<double>::epsilon() * norm;
    Blocks blocks{};
    Index steps = 0;
    while (next_blocks(t, floor, blocks)) {
        if (++steps > 30 * n) return false;
        if (!at_once && t.used + n > t.capacity) lanes_apply(t);
        lanes_step(t, blocks, at_once);
    }
    if (!at_once) lanes_apply(t);
    return true;
}

// a, values and vectors of `count` matrices, 1 <= count <= kMatrices; as `eigh` for each.
bool eigh_lanes(Index n, int count, const double* const* a, double* const* values, double* const* vectors,
                double* work) {
    LanesWork t = lanes_work(n, work);
    double* to = work;
    double up[kMatrices];
    for (int l = 0; l < kMatrices; ++l) {
        // A lane without a matrix does as the first.
        const double* from = a[l < count ? l : 0];
        double largest = 0, spoiled = 0;
#pragma omp simd reduction(max : largest) reduction(+ : spoiled)
        for (Index i = 0; i < n * n; ++i) {
            const double size = std::fabs(from[i]);
            largest = size > largest ? size : largest;
            spoiled += from[i] - from[i];
        }
        if (spoiled != 0) return false;
        // To the order of 1, by a power of two: squares neither overflow nor vanish.
        int exponent = 0;
        std::frexp(largest, &exponent);
        const double down = std::ldexp(0.5, largest > 0 ? -exponent : 0);
        up[l] = std::ldexp(1.0, largest > 0 ? exponent : 0);
        for (Index i = 0; i < n; ++i) {
            for (Index j = 0; j <= i; ++j)
                to[(i * t.ld + j) * kMatrices + l] = down * from[i * n + j] + down * from[j * n + i];
        }
    }
    lanes_reduce(t);
    lanes_accumulate(t);
    if (!lanes_diagonalise(t)) return false;
    for (int l = 0; l < count; ++l) {
        for (Index i = 0; i < n; ++i) values[l][i] = t.d[i][l] * up[l];
    }
    for (Index i = 0; i < n; ++i) {
        const Many* row = t.a + i * t.ld;
        Index k = 0;
        for (; k + kMatrices <= n; k += kMatrices) {
            Many square[kMatrices];
            for (int s = 0; s < kMatrices; ++s) square[s] = row[k + s];
            ::fourfold::FOURFOLD_LEVEL::transpose_from<1, kMatrices>(square);
            for (int l = 0; l < count; ++l) store(vectors[l] + i * n + k, square[l]);
        }
        for (; k < n; ++k) {
            for (int l = 0; l < count; ++l) vectors[l][i * n + k] = row[k][l];
        }
    }
    return true;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
