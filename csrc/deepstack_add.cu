// DeepStack in place by index: hidden[rows[i]] += feature[src[i]]. No mask, no clone, no gathered copy; rows are
// distinct, so no two threads touch one element. A block column per 16-byte vector of a row.
#include "device.cuh"
#include "launch.h"
#include "vec.cuh"

namespace nsrl {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    add_vectors(T* __restrict__ hidden, const T* __restrict__ feature, const int32_t* __restrict__ rows,
                const int32_t* __restrict__ src, int64_t n, int64_t vectors) {
  using V = Vec16<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n * vectors) return;
  const int64_t row = i / vectors, at = i % vectors;
  V* to = reinterpret_cast<V*>(hidden) + rows[row] * vectors + at;
  const V add = reinterpret_cast<const V*>(feature)[src[row] * vectors + at];
  V x = *to;
#pragma unroll
  for (int u = 0; u < V::size; ++u) x.v[u] = from_float<T>(to_float(x.v[u]) + to_float(add.v[u]));
  *to = x;
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    add_elements(T* __restrict__ hidden, const T* __restrict__ feature, const int32_t* __restrict__ rows,
                 const int32_t* __restrict__ src, int64_t n, int64_t width) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n * width) return;
  const int64_t row = i / width, at = i % width;
  T* to = hidden + rows[row] * width + at;
  *to = from_float<T>(to_float(*to) + to_float(feature[src[row] * width + at]));
}

template <typename T>
void run(void* hidden, const void* feature, const int32_t* rows, const int32_t* src, int64_t n, int64_t width,
         cudaStream_t stream) {
  auto* h = static_cast<T*>(hidden);
  const auto* f = static_cast<const T*>(feature);
  constexpr int kSize = Vec16<T>::size;
  const bool wide = width % kSize == 0 && aligned16(hidden) && aligned16(feature);
  const int64_t work = n * (wide ? width / kSize : width);
  const auto blocks = static_cast<unsigned>((work + kThreads - 1) / kThreads);
  if (wide) {
    add_vectors<T><<<blocks, kThreads, 0, stream>>>(h, f, rows, src, n, width / kSize);
  } else {
    add_elements<T><<<blocks, kThreads, 0, stream>>>(h, f, rows, src, n, width);
  }
}

}  // namespace

int launch_deepstack_add(void* hidden, const void* feature, const int32_t* rows, const int32_t* src, int64_t n,
                         int64_t width, Dtype dtype, int device, void* stream) {
  if (n == 0 || width == 0) return cudaSuccess;
  DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  auto s = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case Dtype::f32: run<float>(hidden, feature, rows, src, n, width, s); break;
    case Dtype::f16: run<__half>(hidden, feature, rows, src, n, width, s); break;
    case Dtype::bf16: run<__nv_bfloat16>(hidden, feature, rows, src, n, width, s); break;
  }
  return cudaGetLastError();
}

}  // namespace nsrl
