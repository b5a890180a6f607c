// 16-byte accesses: one instruction moves 16 bytes per thread, so a warp moves 512.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace nsrl {

// 16 bytes of T, loaded and stored as one.
template <typename T>
struct alignas(16) Vec16 {
  static constexpr int size = 16 / sizeof(T);
  T v[size];
};

// For data nobody writes during the kernel: the read-only path.
template <typename V>
__device__ __forceinline__ V load_once(const V* p);

template <>
__device__ __forceinline__ uint4 load_once<uint4>(const uint4* p) {
  return __ldg(p);
}
template <>
__device__ __forceinline__ uint32_t load_once<uint32_t>(const uint32_t* p) {
  return __ldg(p);
}
template <>
__device__ __forceinline__ uint16_t load_once<uint16_t>(const uint16_t* p) {
  return __ldg(p);
}

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ __half from_float<__half>(float x) {
  return __float2half(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16(x);
}

inline bool aligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace nsrl
