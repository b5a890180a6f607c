// Group advantages of GRPO, segmented: a warp per group, all statistics in fp32 and in a fixed order. NaN components do
// not apply; a row without any is unscorable: left out, advantage 0. A group without spread is exactly 0 and not live.
#include <math_constants.h>

#include "device.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace nsrl {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// Weighted sum of the components that apply; NaN where none does.
__device__ __forceinline__ float combined(const GroupAdvantageArgs& a, int64_t row) {
  float sum = 0.f;
  bool any = false;
  for (int k = 0; k < a.K; ++k) {
    const float x = a.rewards[row * a.K + k];
    if (!isnan(x)) {
      sum += x * a.weights[k];
      any = true;
    }
  }
  return any ? sum : CUDART_NAN_F;
}

// Sum over the block's threads, in every thread; fixed order. `shared` holds 32 floats.
__device__ __forceinline__ float block_sum(float x, float* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  x = warp_sum(x);
  __syncthreads();
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  return warp_sum(lane < kWarps ? shared[lane] : 0.f);
}

// One block: the standard deviation of the whole batch, mean first, then squares.
__global__ void __launch_bounds__(kThreads) batch_std_kernel(GroupAdvantageArgs a) {
  __shared__ float scratch[32];
  float sum = 0.f, n = 0.f;
  for (int64_t r = threadIdx.x; r < a.S; r += kThreads) {
    const float x = combined(a, r);
    if (!isnan(x)) {
      sum += x;
      n += 1.f;
    }
  }
  n = block_sum(n, scratch);
  const float mean = block_sum(sum, scratch) / fmaxf(n, 1.f);
  float squares = 0.f;
  for (int64_t r = threadIdx.x; r < a.S; r += kThreads) {
    const float x = combined(a, r);
    if (!isnan(x)) squares += (x - mean) * (x - mean);
  }
  squares = block_sum(squares, scratch);
  if (threadIdx.x == 0) *a.batch_std = sqrtf(squares / fmaxf(n - 1.f, 1.f));
}

__global__ void __launch_bounds__(kThreads) groups_kernel(GroupAdvantageArgs a) {
  const int lane = threadIdx.x % 32;
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (group >= a.B) return;  // a whole warp
  const int64_t begin = a.cu_groups[group], end = a.cu_groups[group + 1];
  float sum = 0.f, n = 0.f, low = CUDART_INF_F, high = -CUDART_INF_F;
  for (int64_t r = begin + lane; r < end; r += 32) {
    const float x = combined(a, r);
    a.reward[r] = x;
    if (!isnan(x)) {
      sum += x;
      n += 1.f;
      low = fminf(low, x);
      high = fmaxf(high, x);
    }
  }
  n = warp_sum(n);
  const float mean = warp_sum(sum) / fmaxf(n, 1.f);
#pragma unroll
  for (int step = 16; step > 0; step >>= 1) {
    low = fminf(low, __shfl_xor_sync(kWholeWarp, low, step));
    high = fmaxf(high, __shfl_xor_sync(kWholeWarp, high, step));
  }
  float squares = 0.f;
  for (int64_t r = begin + lane; r < end; r += 32) {  // each lane reads back what it wrote
    const float x = a.reward[r];
    if (!isnan(x)) squares += (x - mean) * (x - mean);
  }
  const bool spread = high > low;
  const float std = spread ? sqrtf(warp_sum(squares) / fmaxf(n - 1.f, 1.f)) : 0.f;
  float scale = spread ? 1.f : 0.f;
  if (a.mode == AdvantageMode::grpo) scale /= std + a.epsilon;
  if (a.mode == AdvantageMode::batch_std) scale /= *a.batch_std + a.epsilon;
  if (a.mode == AdvantageMode::rloo) scale *= n / fmaxf(n - 1.f, 1.f);
  float lives = 0.f;
  for (int64_t r = begin + lane; r < end; r += 32) {
    const float x = a.reward[r];
    float out = 0.f;
    if (!isnan(x)) out = a.mode == AdvantageMode::none ? x : (x - mean) * scale;
    a.advantages[r] = out;
    if (out != 0.f) lives = 1.f;
  }
  lives = warp_sum(lives);
  if (lane == 0) {
    a.mean[group] = mean;
    a.std[group] = std;
    a.count[group] = static_cast<int32_t>(n);
    a.live[group] = lives > 0.f;
  }
}

// One block: the live groups' numbers in order, then -1, and how many there are.
__global__ void __launch_bounds__(kThreads) list_kernel(GroupAdvantageArgs a) {
  __shared__ int scratch[32];
  int listed = 0;
  for (int64_t tile = 0; tile < a.B; tile += kThreads) {
    const int64_t g = tile + threadIdx.x;
    const int live = g < a.B && a.live[g];
    int added;
    const int at = listed + block_inclusive_scan<kThreads>(live, scratch, added) - 1;
    if (live) a.live_groups[at] = static_cast<int32_t>(g);
    listed += added;
  }
  for (int64_t g = listed + threadIdx.x; g < a.B; g += kThreads) a.live_groups[g] = -1;
  if (threadIdx.x == 0) *a.n_live = listed;
}

}  // namespace

int launch_group_advantage(const GroupAdvantageArgs& args, int device, void* stream) {
  DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  auto s = static_cast<cudaStream_t>(stream);
  if (args.mode == AdvantageMode::batch_std) batch_std_kernel<<<1, kThreads, 0, s>>>(args);
  const auto blocks = static_cast<unsigned>((args.B + kWarps - 1) / kWarps);
  if (blocks > 0) groups_kernel<<<blocks, kThreads, 0, s>>>(args);
  list_kernel<<<1, kThreads, 0, s>>>(args);
  return cudaGetLastError();
}

}  // namespace nsrl
