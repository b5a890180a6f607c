// Rows of the embedding table and of the vision tower's output into one packed stream: a copy, whatever the dtype.
// A warp per row; each lane keeps four 16-byte loads in flight before its first store.
#include "device.cuh"
#include "launch.h"
#include "vec.cuh"

namespace nsrl {
namespace {

constexpr int kWarps = 8;
constexpr int kInFlight = 4;

template <typename V>
__global__ void __launch_bounds__(kWarps * 32)
    gather_kernel(const V* __restrict__ table, const V* __restrict__ visual, const int32_t* __restrict__ row_map,
                  V* __restrict__ out, int64_t rows, int64_t width) {
  const int lane = threadIdx.x % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const int32_t from = row_map[row];
  const V* src = from >= 0 ? table + from * width : visual + (-1 - static_cast<int64_t>(from)) * width;
  V* dst = out + row * width;
  int64_t i = lane;
  for (; i + 32 * (kInFlight - 1) < width; i += 32 * kInFlight) {
    V x[kInFlight];
#pragma unroll
    for (int u = 0; u < kInFlight; ++u) x[u] = load_once(src + i + 32 * u);
#pragma unroll
    for (int u = 0; u < kInFlight; ++u) dst[i + 32 * u] = x[u];
  }
  for (; i < width; i += 32) dst[i] = load_once(src + i);
}

template <typename V>
void run(const void* table, const void* visual, const int32_t* row_map, void* out, int64_t rows, int64_t row_bytes,
         cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((rows + kWarps - 1) / kWarps);
  gather_kernel<V><<<blocks, kWarps * 32, 0, stream>>>(static_cast<const V*>(table), static_cast<const V*>(visual),
                                                        row_map, static_cast<V*>(out), rows, row_bytes / sizeof(V));
}

}  // namespace

int launch_pack_gather(const void* table, const void* visual, const int32_t* row_map, void* out, int64_t rows,
                       int64_t row_bytes, int device, void* stream) {
  if (rows == 0 || row_bytes == 0) return cudaSuccess;
  DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  auto s = static_cast<cudaStream_t>(stream);
  if (row_bytes % 16 == 0 && aligned16(table) && aligned16(visual) && aligned16(out)) {
    run<uint4>(table, visual, row_map, out, rows, row_bytes, s);
  } else if (row_bytes % 4 == 0) {
    run<uint32_t>(table, visual, row_map, out, rows, row_bytes, s);
  } else {
    run<uint16_t>(table, visual, row_map, out, rows, row_bytes, s);
  }
  return cudaGetLastError();
}

}  // namespace nsrl
