// The stages of the transform whose tables are in FftPlan, and the two fused sweeps that callers build on:
//   outer_sweep   [last inverse stage] -> pointwise operation in x -> [first forward stage]
//   spectral      all that lies between: inner stages, the register-blocked centre with a table over k, inner stages
// A transform alone is the same sweeps with a side left out.
#pragma once

#include "support/butterflies.hpp"
#include "support/fft_plan.hpp"
#include "support/simd.hpp"

namespace fourfold::FOURFOLD_LEVEL {
namespace {

enum class Side { both, forward, inverse };

// What multiplies the spectrum in the centre: nothing (null), or base + a complex table in the plan's order.
template <class T>
struct SpectralTable {
    const T* re;
    const T* im;
    T base;
};

template <int R, class T, class Vec>
FOURFOLD_INLINE void twiddle(Complex<Vec>* x, const FftStage<T>& stage, std::size_t j) {
    const T* re = stage.twiddle_re + j * (R - 1);
    const T* im = stage.twiddle_im + j * (R - 1);
#pragma GCC unroll 8
    for (int p = 1; p < R; ++p) x[p] = times(x[p], re[p - 1], im[p - 1]);
}

template <int R, class T, class Vec>
FOURFOLD_INLINE void untwiddle(Complex<Vec>* x, const FftStage<T>& stage, std::size_t j) {
    const T* re = stage.twiddle_re + j * (R - 1);
    const T* im = stage.twiddle_im + j * (R - 1);
#pragma GCC unroll 8
    for (int p = 1; p < R; ++p) x[p] = times_conjugate(x[p], re[p - 1], im[p - 1]);
}

// One stage on the block at (re, im), with a pointwise operation before (forward) or after (inverse) it. `operation(z,
// i)` changes the V points from x index i on; used on the outermost stage only, where the block is the whole field.
template <class T, int V, int R, bool Inverse, bool Forward, class Operation>
void stage_sweep(const FftStage<T>& stage, T* re, T* im, Operation operation) {
    using Vec = Lanes<T, V>;
    const std::size_t part = stage.rows / R;
    for (std::size_t j = 0; j < part; ++j) {
        Complex<Vec> x[R];
#pragma GCC unroll 8
        for (int q = 0; q < R; ++q) x[q] = load_complex<Vec>(re, im, (j + q * part) * V);
        if constexpr (Inverse) {
            untwiddle<R>(x, stage, j);
            inverse_dft<R, T>(x);
        }
#pragma GCC unroll 8
        for (int q = 0; q < R; ++q) operation(x[q], (j + q * part) * V);
        if constexpr (Forward) {
            dft<R, T>(x);
            twiddle<R>(x, stage, j);
        }
#pragma GCC unroll 8
        for (int q = 0; q < R; ++q) store_complex(re, im, (j + q * part) * V, x[q]);
    }
}

struct NoOperation {
    template <class Vec>
    FOURFOLD_INLINE void operator()(Complex<Vec>&, std::size_t) const {}
};

template <class T, int V, bool Inverse, bool Forward, class Operation>
FOURFOLD_INLINE void sweep_of_radix(const FftStage<T>& stage, T* re, T* im, Operation operation) {
    switch (stage.radix) {
        case 2: return stage_sweep<T, V, 2, Inverse, Forward>(stage, re, im, operation);
        case 3: return stage_sweep<T, V, 3, Inverse, Forward>(stage, re, im, operation);
        case 4: return stage_sweep<T, V, 4, Inverse, Forward>(stage, re, im, operation);
        case 5: return stage_sweep<T, V, 5, Inverse, Forward>(stage, re, im, operation);
        default: return stage_sweep<T, V, 8, Inverse, Forward>(stage, re, im, operation);
    }
}

// V x V points in registers, from the row `row` on.
template <class T, int V, Side side>
FOURFOLD_INLINE void centre(const FftPlan<T>& plan, SpectralTable<T> table, std::size_t row, T* re, T* im) {
    using Vec = Lanes<T, V>;
    const std::size_t base = row * V;
    Complex<Vec> x[V];
#pragma GCC unroll 16
    for (int p = 0; p < V; ++p) x[p] = load_complex<Vec>(re, im, p * V);
    if constexpr (side != Side::inverse && V > 1) {
        dft<V, T>(x);
#pragma GCC unroll 16
        for (int p = 0; p < V; ++p) {
            const auto w = load_complex<Vec>(plan.lane_re.data(), plan.lane_im.data(), base + p * V);
            x[p] = times(x[p], w.re, w.im);
        }
        transpose<V>(x);
        dft<V, T>(x);
    }
    if (table.re != nullptr) {
#pragma GCC unroll 16
        for (int p = 0; p < V; ++p) {
            const auto w = load_complex<Vec>(table.re, table.im, base + p * V);
            const Complex<Vec> z = x[p];
            x[p] = {z.re * table.base + (z.re * w.re - z.im * w.im), z.im * table.base + (z.re * w.im + z.im * w.re)};
        }
    }
    if constexpr (side != Side::forward && V > 1) {
        inverse_dft<V, T>(x);
        transpose<V>(x);
#pragma GCC unroll 16
        for (int p = 0; p < V; ++p) {
            const auto w = load_complex<Vec>(plan.lane_re.data(), plan.lane_im.data(), base + p * V);
            x[p] = times_conjugate(x[p], w.re, w.im);
        }
        inverse_dft<V, T>(x);
    }
#pragma GCC unroll 16
    for (int p = 0; p < V; ++p) store_complex(re, im, p * V, x[p]);
}

// Depth first, so that a block small enough for a cache is finished while it is there. (re, im) point at the block's
// first row, `row` says which row of the field that is.
template <class T, int V, Side side>
void spectral_block(const FftPlan<T>& plan, std::size_t level, SpectralTable<T> table, std::size_t row,
                    std::size_t rows, T* re, T* im) {
    if (level == plan.stages.size()) {
        for (std::size_t r = 0; r < rows; r += V) centre<T, V, side>(plan, table, row + r, re + r * V, im + r * V);
        return;
    }
    const FftStage<T>& stage = plan.stages[level];
    if constexpr (side != Side::inverse) sweep_of_radix<T, V, false, true>(stage, re, im, NoOperation{});
    const std::size_t part = rows / stage.radix;
    for (std::size_t r = 0; r < rows; r += part) {
        spectral_block<T, V, side>(plan, level + 1, table, row + r, part, re + r * V, im + r * V);
    }
    if constexpr (side != Side::forward) sweep_of_radix<T, V, true, false>(stage, re, im, NoOperation{});
}

// Everything below the outermost stage.
template <class T, int V, Side side>
void spectral(const FftPlan<T>& plan, SpectralTable<T> table, T* re, T* im) {
    if (plan.stages.empty()) return spectral_block<T, V, side>(plan, 0, table, 0, plan.n / V, re, im);
    const std::size_t rows = plan.n / V;
    const std::size_t part = rows / plan.stages[0].radix;
    for (std::size_t r = 0; r < rows; r += part) {
        spectral_block<T, V, side>(plan, 1, table, r, part, re + r * V, im + r * V);
    }
}

template <class T, int V, bool Inverse, bool Forward, class Operation>
void outer_sweep(const FftPlan<T>& plan, T* re, T* im, Operation operation) {
    if (!plan.stages.empty()) return sweep_of_radix<T, V, Inverse, Forward>(plan.stages[0], re, im, operation);
    for (std::size_t i = 0; i < plan.n; i += V) {
        auto z = load_complex<Lanes<T, V>>(re, im, i);
        operation(z, i);
        store_complex(re, im, i, z);
    }
}

}  // namespace
}  // namespace fourfold::FOURFOLD_LEVEL
