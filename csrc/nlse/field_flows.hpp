// The flows of fields that are in global memory: one pass each, between transforms that are somebody else's. A thread
// has kColumns points of a row, as far apart as a row of threads is wide, and goes down the rows with what the rows
// share in registers. Internal linkage.
#pragma once

#include <algorithm>
#include <cstdint>

#include "nlse/ensemble_call.hpp"
#include "nlse/point_flow.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

inline constexpr unsigned kThreadsOfFlow = 256;

// 32 bytes of each array in flight.
template <class T>
inline constexpr unsigned kColumns = 16 / sizeof(T);

// A block is (256 / width) rows of `width` threads; blocks lie side by side until a row is covered.
struct FieldShape {
    std::uint64_t n, rows;
    unsigned log2_width, blocks_of_row, blocks_of_column;
};

// At most about so many blocks: what is left of the rows is done by the same threads.
template <class T>
FieldShape field_shape(std::uint64_t n, std::uint64_t rows, std::uint64_t most_blocks) {
    FieldShape shape{n, rows, 0, 0, 0};
    while (shape.log2_width < 8 && (std::uint64_t{kColumns<T>} << shape.log2_width) < n) ++shape.log2_width;
    const std::uint64_t columns = std::uint64_t{kColumns<T>} << shape.log2_width;
    const std::uint64_t high = kThreadsOfFlow >> shape.log2_width;
    const std::uint64_t across = (n + columns - 1) / columns;
    const std::uint64_t down =
        std::min<std::uint64_t>({(rows + high - 1) / high, std::max<std::uint64_t>(1, most_blocks / across), 65535});
    shape.blocks_of_row = static_cast<unsigned>(across);
    shape.blocks_of_column = static_cast<unsigned>(down);
    return shape;
}

// Where a thread is: its first column and row, and how far it is to the next ones.
struct FieldPlace {
    std::uint64_t column, row, rows_on;
    unsigned width;
};

template <class T>
FOURFOLD_INLINE FieldPlace field_place(const FieldShape& shape, unsigned across, unsigned down, unsigned thread) {
    const unsigned width = 1u << shape.log2_width, high = kThreadsOfFlow >> shape.log2_width;
    return {static_cast<std::uint64_t>(across) * kColumns<T> * width + (thread & (width - 1)),
            static_cast<std::uint64_t>(down) * high + (thread >> shape.log2_width),
            static_cast<std::uint64_t>(shape.blocks_of_column) * high, width};
}

template <class T>
struct FieldKinetic {
    FieldShape shape;
    const Point<T>* table;  // [n], in the order of the FFT
    Point<T>* psi;          // [rows][n], a spectrum
};

// The flow, or that of the adjoint; `look` sees each point before it.
template <bool Adjoint, class T, class Look>
FOURFOLD_INLINE void field_kinetic(const FieldKinetic<T>& flow, unsigned across, unsigned down, unsigned thread,
                                   Look look) {
    const FieldPlace at = field_place<T>(flow.shape, across, down, thread);
    const std::uint64_t n = flow.shape.n;
    const T high = T(1) / static_cast<T>(n);
    Complex<T> factor[kColumns<T>], z[kColumns<T>];
    FOURFOLD_UNROLL(4)
    for (unsigned e = 0; e < kColumns<T>; ++e) {
        if (at.column + at.width * e >= n) continue;
        factor[e] = loaded(flow.table + at.column + at.width * e);
        if constexpr (Adjoint) factor[e].im = -factor[e].im;
    }
    FOURFOLD_ROLLED
    for (std::uint64_t row = at.row; row < flow.shape.rows; row += at.rows_on) {
        Point<T>* psi = flow.psi + row * n + at.column;
        FOURFOLD_UNROLL(4)
        for (unsigned e = 0; e < kColumns<T>; ++e) {
            if (at.column + at.width * e < n) z[e] = loaded(psi + at.width * e);
        }
        FOURFOLD_UNROLL(4)
        for (unsigned e = 0; e < kColumns<T>; ++e) {
            if (at.column + at.width * e >= n) continue;
            look(row * n + at.column + at.width * e, z[e]);
            stored(psi + at.width * e, times_kinetic(z[e], factor[e], high));
        }
    }
}

template <class T>
FOURFOLD_INLINE void field_kinetic(const FieldKinetic<T>& flow, unsigned across, unsigned down, unsigned thread) {
    field_kinetic<false>(flow, across, down, thread, [](std::uint64_t, Complex<T>) {});
}

// Null: none. Strides between rows are n, or 0 where all rows share one.
template <class T>
struct FieldPotential {
    FieldShape shape;
    T tau;
    const Point<T>* in;  // [rows][n]
    Point<T>* out;       // [rows][n]; may be `in`
    const T* nonlinearity;
    const T* potential;
    const Point<T>* decay;  // amplitude, effective time
    std::uint64_t nonlinearity_stride, potential_stride, decay_stride;
};

template <bool Plain, class T>
FOURFOLD_INLINE void field_potential(const FieldPotential<T>& flow, unsigned across, unsigned down, unsigned thread) {
    const FieldPlace at = field_place<T>(flow.shape, across, down, thread);
    const std::uint64_t n = flow.shape.n;
    const bool has_potential = !Plain && flow.potential != nullptr, lossy = !Plain && flow.decay != nullptr;
    Complex<T> z[kColumns<T>], decay[kColumns<T>];
    T potential[kColumns<T>];
    FOURFOLD_ROLLED
    for (std::uint64_t row = at.row; row < flow.shape.rows; row += at.rows_on) {
        const std::uint64_t first = row * n + at.column;
        const bool anew = row == at.row;
        FOURFOLD_UNROLL(4)
        for (unsigned e = 0; e < kColumns<T>; ++e) {
            const std::uint64_t column = at.column + at.width * e;
            if (column >= n) continue;
            z[e] = loaded(flow.in + first + at.width * e);
            if (has_potential && (anew || flow.potential_stride > 0)) {
                potential[e] = flow.potential[row * flow.potential_stride + column];
            }
            if (lossy && (anew || flow.decay_stride > 0)) {
                decay[e] = loaded(flow.decay + row * flow.decay_stride + column);
            }
        }
        const T g = flow.nonlinearity[row * flow.nonlinearity_stride];
        FOURFOLD_UNROLL(4)
        for (unsigned e = 0; e < kColumns<T>; ++e) {
            if (at.column + at.width * e >= n) continue;
            if constexpr (Plain) {
                z[e] = flow_of_point(z[e], g * flow.tau);
            } else {
                z[e] = flow_of_point(
                    z[e], g, flow.tau, has_potential, [&] { return potential[e]; }, lossy, [&] { return decay[e]; });
            }
            stored(flow.out + first + at.width * e, z[e]);
        }
    }
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
