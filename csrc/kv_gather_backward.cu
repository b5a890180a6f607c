// Gradient of the shared prompts' keys and values: each stream row gathers what its copies received and sums in fp32,
// in a fixed order, where index_add would use atomics in 16 bits. A warp per row; most rows have one copy.
#include "device.cuh"
#include "launch.h"
#include "vec.cuh"

namespace nsrl {
namespace {

constexpr int kWarps = 8;

// N elements of a row at once: 16 bytes of them, or one.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};

template <typename T, int N>
__global__ void __launch_bounds__(kWarps * 32)
    kv_backward_kernel(const T* __restrict__ grad, const int32_t* __restrict__ cu_q, const int32_t* __restrict__ cu_k,
                       const int32_t* __restrict__ parent, T* __restrict__ out, int64_t rows, int32_t sequences,
                       int64_t packs) {
  using P = Pack<T, N>;
  const int lane = threadIdx.x % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  int32_t s = 0;  // the last sequence that starts at or before the row
  for (int32_t high = sequences; high - s > 1;) {
    const int32_t middle = s + (high - s) / 2;
    if (cu_q[middle] <= row) {
      s = middle;
    } else {
      high = middle;
    }
  }
  const int64_t offset = row - cu_q[s];
  const auto* from = reinterpret_cast<const P*>(grad);
  const P* own = from + (cu_k[s + 1] - (cu_q[s + 1] - row)) * packs;
  P* to = reinterpret_cast<P*>(out) + row * packs;
  int32_t end = s + 1;  // behind the last completion
  while (end < sequences && parent[end] == s) ++end;
  for (int64_t i = lane; i < packs; i += 32) {
    float sum[N];
    const P mine = own[i];
#pragma unroll
    for (int u = 0; u < N; ++u) sum[u] = to_float(mine.v[u]);
    for (int32_t c = s + 1; c < end; ++c) {
      const P theirs = from[(cu_k[c] + offset) * packs + i];
#pragma unroll
      for (int u = 0; u < N; ++u) sum[u] += to_float(theirs.v[u]);
    }
    P result;
#pragma unroll
    for (int u = 0; u < N; ++u) result.v[u] = from_float<T>(sum[u]);
    to[i] = result;
  }
}

template <typename T>
void run(const void* grad, const int32_t* cu_q, const int32_t* cu_k, const int32_t* parent, void* out, int64_t rows,
         int32_t sequences, int64_t width, cudaStream_t stream) {
  constexpr int kSize = Vec16<T>::size;
  const auto* g = static_cast<const T*>(grad);
  auto* o = static_cast<T*>(out);
  const auto blocks = static_cast<unsigned>((rows + kWarps - 1) / kWarps);
  if (width % kSize == 0 && aligned16(grad) && aligned16(out)) {
    const auto kernel = kv_backward_kernel<T, kSize>;
    kernel<<<blocks, kWarps * 32, 0, stream>>>(g, cu_q, cu_k, parent, o, rows, sequences, width / kSize);
  } else {
    const auto kernel = kv_backward_kernel<T, 1>;
    kernel<<<blocks, kWarps * 32, 0, stream>>>(g, cu_q, cu_k, parent, o, rows, sequences, width);
  }
}

}  // namespace

int launch_kv_gather_backward(const void* grad, const int32_t* cu_q, const int32_t* cu_k, const int32_t* parent,
                              void* out, int64_t rows, int32_t sequences, int64_t width, Dtype dtype, int device,
                              void* stream) {
  if (rows == 0 || width == 0) return cudaSuccess;
  DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  auto s = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case Dtype::f32: run<float>(grad, cu_q, cu_k, parent, out, rows, sequences, width, s); break;
    case Dtype::f16: run<__half>(grad, cu_q, cu_k, parent, out, rows, sequences, width, s); break;
    case Dtype::bf16: run<__nv_bfloat16>(grad, cu_q, cu_k, parent, out, rows, sequences, width, s); break;
  }
  return cudaGetLastError();
}

}  // namespace nsrl
