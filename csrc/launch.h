// The launchers: plain pointers and a stream in, kernels on the device out. No torch in the .cu files, no CUDA headers
// in ops.cpp; this page is all they share. Every launcher returns a cudaError_t as an int, 0 for success.
#pragma once

#include <cstdint>

namespace nsrl {

// Element types the arithmetic kernels are compiled for.
enum class Dtype { f32, f16, bf16 };

// The plan of a packed stream; see PackPlan in kernels/nsrl_kernels/ops/pack_vision/spec.py for the meaning of each output.
struct PackPlanArgs {
  const int32_t* token_ids;   // (T)
  const int32_t* cu_seqlens;  // (S + 1)
  const int32_t* parent;      // (S)
  const int32_t* cu_images;   // (S + 1)
  const int32_t* image_grid;  // (I, 3)
  const int32_t* image_key;   // (I)
  int32_t T, S, I, image_token_id, merge, total_visual, total_kv;
  int32_t* row_map;      // (T)
  int32_t* positions;    // (3, T)
  int32_t* cu_k;         // (S + 1)
  int32_t* kv_index;     // (total_kv)
  int32_t* visual_rows;  // (total_visual)
  int32_t* visual_src;   // (total_visual)
  int32_t* image_slot;   // (I)
  int32_t* image_table;  // (I, 2) scratch: first row in the tower's output, last visual rank + 1 in the stream
};

int launch_pack_plan(const PackPlanArgs& args, int device, void* stream);

// out[t] = row_map[t] >= 0 ? table[row_map[t]] : visual[-1 - row_map[t]], rows of row_bytes bytes.
int launch_pack_gather(const void* table, const void* visual, const int32_t* row_map, void* out, int64_t rows,
                       int64_t row_bytes, int device, void* stream);

// hidden[rows[i]] += feature[src[i]] for i < n; hidden and feature hold `width` elements a row.
int launch_deepstack_add(void* hidden, const void* feature, const int32_t* rows, const int32_t* src, int64_t n,
                         int64_t width, Dtype dtype, int device, void* stream);

// The gradient of gathering keys for every sequence: out[row] = the sum over the copies of a stream row, its own first,
// then its completions' in order, in fp32. cu_q, cu_k hold S + 1 bounds; rows of `width` elements.
int launch_kv_gather_backward(const void* grad, const int32_t* cu_q, const int32_t* cu_k, const int32_t* parent,
                              void* out, int64_t rows, int32_t sequences, int64_t width, Dtype dtype, int device,
                              void* stream);

// In the order of MODES in kernels/nsrl_kernels/ops/group_advantage/reference.py.
enum class AdvantageMode { grpo = 0, no_std = 1, batch_std = 2, rloo = 3, none = 4 };

struct GroupAdvantageArgs {
  const float* rewards;      // (S, K), NaN = does not apply
  const float* weights;      // (K)
  const int32_t* cu_groups;  // (B + 1)
  int64_t S, B;
  int32_t K;
  AdvantageMode mode;
  float epsilon;
  float* advantages;     // (S)
  float* reward;         // (S)
  float* mean;           // (B)
  float* std;            // (B), unbiased
  int32_t* count;        // (B)
  bool* live;            // (B)
  int32_t* live_groups;  // (B)
  int32_t* n_live;       // (1)
  float* batch_std;      // (1) scratch
};

int launch_group_advantage(const GroupAdvantageArgs& args, int device, void* stream);

const char* error_string(int error);

}  // namespace nsrl
