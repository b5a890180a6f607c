// Reductions and scans over a warp and over a block, in a fixed order: the same input gives the same bits.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace nsrl {

constexpr unsigned kWholeWarp = 0xffffffffu;

// The sum over a warp, in every lane.
template <typename T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(kWholeWarp, x, step);
  return x;
}

__device__ __forceinline__ int warp_inclusive_scan(int x, int lane) {
#pragma unroll
  for (int step = 1; step < 32; step <<= 1) {
    const int below = __shfl_up_sync(kWholeWarp, x, step);
    if (lane >= step) x += below;
  }
  return x;
}

// Inclusive scan over a block of THREADS (a multiple of 32, at most 1024); `total` is the block's sum. `shared` holds
// 32 ints. Every thread of the block must call it; it begins and ends with a barrier.
template <int THREADS>
__device__ __forceinline__ int block_inclusive_scan(int x, int* shared, int& total) {
  constexpr int kWarps = THREADS / 32;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  x = warp_inclusive_scan(x, lane);
  __syncthreads();
  if (lane == 31) shared[warp] = x;
  __syncthreads();
  if (warp == 0) {
    const int sum = warp_inclusive_scan(lane < kWarps ? shared[lane] : 0, lane);
    shared[lane] = sum;
  }
  __syncthreads();
  total = shared[kWarps - 1];
  const int before = warp > 0 ? shared[warp - 1] : 0;
  __syncthreads();
  return x + before;
}

}  // namespace nsrl
