// The GPU twins of spectral_forward, spectral_backward and eigh (algebra.hpp) for small systems. Pointers are of device
// memory, except for lists of them; work is queued on the stream, and nothing waits for it. Capturable in a graph.
#pragma once

#include <cstddef>

#include "gp/small_system.hpp"
#include "support/cuda_queue.hpp"

namespace fourfold::gp::cuda {

// Whether blocks of this device have the shared memory that such a system needs, for elements of 4 or 8 bytes.
bool fits(const SmallSystem& system, std::size_t element, int device);
bool eigh_fits(int n, int device);

// How many numbers status has: whether anything went wrong, block by block (Trouble of jacobi_block.hpp).
std::size_t status_count(const SmallSystem& system);
// Elements of the backward pass' workspace.
std::size_t workspace_count(const SmallSystem& system);

// Both throw std::runtime_error with CUDA's words for what went wrong. Where a factor or y is not finite, a factor not
// symmetric, or an item's matrix not positive definite, status says so and the results of that item are NaN.
template <class T>
void spectral_forward(const SmallSystem& system, const T* const* factors, const T* noise, const T* y, double asymmetry,
                      T* basis, T* values, T* x, T* quad, T* logdet, int* status, Queue queue);
// grad_y may be null. middles: workspace_count elements, or null if none.
template <class T>
void spectral_backward(const SmallSystem& system, const T* basis, const T* values, const T* noise, const T* x,
                       const T* grad_quad, const T* grad_logdet, T* grad_factors, T* grad_noise, T* grad_y, T* middles,
                       Queue queue);
// Of a[batch, n, n]: values[batch, n], vectors[batch, n, n], status[batch].
void eigh(std::size_t batch, int n, const double* a, double asymmetry, double* values, double* vectors, int* status,
          Queue queue);

}  // namespace fourfold::gp::cuda
