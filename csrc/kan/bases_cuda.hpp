// The GPU twin of bases.hpp: the same functions, layouts and formulas. (The layer with B-splines is their expansion and
// a matrix product here.) Pointers are of device memory; work is queued on the stream, and nothing waits for it.
// Capturable in a graph. Throws std::runtime_error with CUDA's words for what went wrong.
#pragma once

#include <cstddef>

#include "kan/bases.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::kan::cuda {

template <class T>
struct Splines {
    static void expand(const Spline<T>&, int derivative, const T* x, T* out, std::size_t rows, Queue queue);
    static void contract(const Spline<T>&, int derivative, const T* grad, const T* x, T* dx, std::size_t rows,
                         Queue queue);
};

template <class T>
struct Functions {
    static void expand(const Basis<T>&, const T* x, T* out, std::size_t rows, Queue queue);
    // How many numbers contract needs, if dcentre and dscale are wanted.
    static std::size_t workspace(const Basis<T>&, std::size_t rows, int device);
    // dcentre and dscale are written; null: not wanted.
    static void contract(const Basis<T>&, const T* grad, const T* x, T* dx, T* dcentre, T* dscale, std::size_t rows,
                         T* workspace, Queue queue);
};

}  // namespace fourfold::kan::cuda
