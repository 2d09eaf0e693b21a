// What is marked FOURFOLD_INLINE is inlined wherever it is called; compiled by nvcc, it also runs on the device.
// FOURFOLD_UNROLL(at most so often) and FOURFOLD_ROLLED stand before loops.
#pragma once

#if defined(__CUDACC__)
#define FOURFOLD_INLINE __host__ __device__ __forceinline__
#define FOURFOLD_HOST_DEVICE __host__ __device__
// For the device alone: the host's compiler does not know them.
#if defined(__CUDA_ARCH__)
#define FOURFOLD_UNROLL(count) _Pragma("unroll")
#define FOURFOLD_ROLLED _Pragma("unroll 1")
#else
#define FOURFOLD_UNROLL(count)
#define FOURFOLD_ROLLED
#endif
#else
#define FOURFOLD_INLINE inline __attribute__((always_inline))
#define FOURFOLD_HOST_DEVICE
#define FOURFOLD_PRAGMA(text) _Pragma(#text)
#define FOURFOLD_UNROLL(count) FOURFOLD_PRAGMA(GCC unroll count)
#define FOURFOLD_ROLLED
#endif
