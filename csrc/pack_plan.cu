// The plan of a packed stream in two launches, no host synchronisation: one block for the images and the key bounds,
// then one block per sequence. Nothing depends on another block, so the order of blocks does not matter.
#include "device.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace nsrl {
namespace {

constexpr int kImageThreads = 1024;
constexpr int kSequenceThreads = 256;

__device__ __forceinline__ int merged_tokens(const PackPlanArgs& a, int image) {
  const int* g = a.image_grid + 3 * image;
  return g[0] * (g[1] / a.merge) * (g[2] / a.merge);
}

// image_slot, image_table and cu_k. A thread per image, tiles of a block's size, running totals carried over.
__global__ void __launch_bounds__(kImageThreads) images_kernel(PackPlanArgs a) {
  __shared__ int scratch[32];
  int slots = 0, tower_rows = 0, ranks = 0;
  for (int tile = 0; tile < a.I; tile += kImageThreads) {
    const int i = tile + threadIdx.x;
    int first = i, tokens = 0;
    if (i < a.I) {
      const int key = a.image_key[i];
      for (int j = 0; j < i; ++j) {
        if (a.image_key[j] == key) {
          first = j;
          break;
        }
      }
      tokens = merged_tokens(a, i);
    }
    const bool fresh = i < a.I && first == i;
    int new_slots, new_rows, new_ranks;
    const int slot = slots + block_inclusive_scan<kImageThreads>(fresh, scratch, new_slots) - 1;
    const int row = tower_rows + block_inclusive_scan<kImageThreads>(fresh ? tokens : 0, scratch, new_rows) - tokens;
    const int end = ranks + block_inclusive_scan<kImageThreads>(tokens, scratch, new_ranks);
    if (i < a.I) a.image_table[2 * i + 1] = end;
    if (fresh) {
      a.image_slot[i] = slot;
      a.image_table[2 * i] = row;
    }
    __syncthreads();  // what the first occurrence wrote (in this tile or an earlier one) is read by the others
    if (i < a.I && !fresh) {
      a.image_slot[i] = a.image_slot[first];
      a.image_table[2 * i] = a.image_table[2 * first];
    }
    __syncthreads();
    slots += new_slots;
    tower_rows += new_rows;
    ranks += new_ranks;
  }
  int keys = 0;
  for (int tile = 0; tile < a.S; tile += kImageThreads) {
    const int s = tile + threadIdx.x;
    int length = 0;
    if (s < a.S) {
      const int p = a.parent[s];
      length = a.cu_seqlens[s + 1] - a.cu_seqlens[s];
      if (p != s) length += a.cu_seqlens[p + 1] - a.cu_seqlens[p];
    }
    int added;
    const int end = keys + block_inclusive_scan<kImageThreads>(length, scratch, added);
    if (s < a.S) a.cu_k[s + 1] = end;
    keys += added;
  }
  if (threadIdx.x == 0) a.cu_k[0] = 0;
}

// Where text resumes after the images [begin, end) minus the tokens they hold.
__device__ __forceinline__ int position_shift(const PackPlanArgs& a, int begin, int end) {
  int shift = 0;
  for (int i = begin; i < end; ++i) {
    const int* g = a.image_grid + 3 * i;
    shift += max(g[1], g[2]) / a.merge - merged_tokens(a, i);
  }
  return shift;
}

__global__ void __launch_bounds__(kSequenceThreads) sequences_kernel(PackPlanArgs a) {
  __shared__ int scratch[32];
  const int s = blockIdx.x, p = a.parent[s];
  const int start = a.cu_seqlens[s], length = a.cu_seqlens[s + 1] - start;
  const int prompt = a.cu_seqlens[p], prompt_length = p != s ? a.cu_seqlens[p + 1] - prompt : 0;

  int* kv = a.kv_index + a.cu_k[s];
  for (int j = threadIdx.x; j < prompt_length; j += kSequenceThreads) kv[j] = prompt + j;
  kv += prompt_length;

  if (p != s) {  // a completion: text behind the whole prompt
    const int base = prompt_length + position_shift(a, a.cu_images[p], a.cu_images[p + 1]);
    for (int j = threadIdx.x; j < length; j += kSequenceThreads) {
      const int row = start + j;
      kv[j] = row;
      a.row_map[row] = a.token_ids[row];
      a.positions[row] = a.positions[a.T + row] = a.positions[2 * a.T + row] = base + j;
    }
    return;
  }

  const int images_begin = a.cu_images[s], images_end = a.cu_images[s + 1];
  const int first_rank = images_begin > 0 ? a.image_table[2 * (images_begin - 1) + 1] : 0;
  int seen = first_rank;  // visual rows before this tile, counted through the stream
  for (int tile = 0; tile < length; tile += kSequenceThreads) {
    const int j = tile + threadIdx.x, row = start + j;
    const int id = j < length ? a.token_ids[row] : 0;
    const bool visual = j < length && id == a.image_token_id && images_end > images_begin;
    int here;
    const int rank = seen + block_inclusive_scan<kSequenceThreads>(visual, scratch, here) - visual;
    if (j < length) {
      int base = j - (rank - first_rank), t = 0, h = 0, w = 0, mapped = id;
      for (int i = images_begin; i < images_end; ++i) {
        const int end = a.image_table[2 * i + 1];
        const int* g = a.image_grid + 3 * i;
        const int gh = g[1] / a.merge, gw = g[2] / a.merge;
        if (end <= rank) {
          base += max(gh, gw);  // an image that lies before
          continue;
        }
        if (visual) {
          const int offset = rank - (end - g[0] * gh * gw);
          t = offset / (gh * gw);
          h = offset / gw % gh;
          w = offset % gw;
          mapped = -1 - (a.image_table[2 * i] + offset);
        }
        break;
      }
      kv[j] = row;
      a.row_map[row] = mapped;
      a.positions[row] = base + t;
      a.positions[a.T + row] = base + h;
      a.positions[2 * a.T + row] = base + w;
      if (visual && rank < a.total_visual) {
        a.visual_rows[rank] = row;
        a.visual_src[rank] = -1 - mapped;
      }
    }
    seen += here;
  }
}

}  // namespace

int launch_pack_plan(const PackPlanArgs& args, int device, void* stream) {
  DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  auto s = static_cast<cudaStream_t>(stream);
  images_kernel<<<1, kImageThreads, 0, s>>>(args);
  if (args.S > 0) sequences_kernel<<<args.S, kSequenceThreads, 0, s>>>(args);
  return cudaGetLastError();
}

const char* error_string(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

}  // namespace nsrl
