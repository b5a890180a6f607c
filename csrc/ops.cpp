// Every native op of nsrl_kernels: the schemas on this page, then what each checks before it launches.
// Written against torch's stable ABI: one build serves the torch versions from 2.10 on, and loads on CPU builds.
// An op is called name_cuda and writes into tensors that its caller made (kernels/nsrl_kernels/ops/*/op.py); the fakes are in
// kernels/nsrl_kernels/_native.py.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include "check.h"
#include "launch.h"

STABLE_TORCH_LIBRARY_FRAGMENT(nsrl, m) {
  m.def(
      "pack_plan_cuda(Tensor token_ids, Tensor cu_seqlens, Tensor parent, Tensor cu_images, Tensor image_grid, "
      "Tensor image_key, int image_token_id, int merge, Tensor(a!) row_map, Tensor(b!) positions, Tensor(c!) cu_k, "
      "Tensor(d!) kv_index, Tensor(e!) visual_rows, Tensor(f!) visual_src, Tensor(g!) image_slot, "
      "Tensor(h!) image_table) -> ()");
  m.def("pack_gather_cuda(Tensor table, Tensor visual, Tensor row_map, Tensor(a!) out) -> ()");
  m.def("deepstack_add_cuda(Tensor(a!) hidden, Tensor feature, Tensor visual_rows, Tensor visual_src) -> ()");
  m.def("kv_gather_backward_cuda(Tensor grad, Tensor cu_q, Tensor cu_k, Tensor parent, Tensor(a!) out) -> ()");
  m.def(
      "group_advantage_cuda(Tensor rewards, Tensor weights, Tensor cu_groups, int mode, float epsilon, "
      "Tensor(a!) advantages, Tensor(b!) reward, Tensor(c!) mean, Tensor(d!) std, Tensor(e!) count, Tensor(f!) live, "
      "Tensor(g!) live_groups, Tensor(h!) n_live, Tensor(i!) batch_std) -> ()");
}

namespace nsrl {
namespace {

void pack_plan(const Tensor& token_ids, const Tensor& cu_seqlens, const Tensor& parent, const Tensor& cu_images,
               const Tensor& image_grid, const Tensor& image_key, int64_t image_token_id, int64_t merge,
               const Tensor& row_map, const Tensor& positions, const Tensor& cu_k, const Tensor& kv_index,
               const Tensor& visual_rows, const Tensor& visual_src, const Tensor& image_slot,
               const Tensor& image_table) {
  constexpr const char* op = "pack_plan";
  PackPlanArgs a{};
  const int64_t T = token_ids.numel(), S = parent.numel(), I = image_key.numel();
  a.token_ids = ints(op, "token_ids", token_ids, {T});
  a.cu_seqlens = ints(op, "cu_seqlens", cu_seqlens, {S + 1});
  a.parent = ints(op, "parent", parent, {S});
  a.cu_images = ints(op, "cu_images", cu_images, {S + 1});
  a.image_grid = ints(op, "image_grid", image_grid, {I, 3});
  a.image_key = ints(op, "image_key", image_key, {I});
  if (merge < 1) fail(op, "merge", "at least 1; got ", merge);
  a.row_map = ints(op, "row_map", row_map, {T});
  a.positions = ints(op, "positions", positions, {3, T});
  a.cu_k = ints(op, "cu_k", cu_k, {S + 1});
  a.kv_index = ints(op, "kv_index", kv_index, {-1});
  a.visual_rows = ints(op, "visual_rows", visual_rows, {-1});
  a.visual_src = ints(op, "visual_src", visual_src, {visual_rows.numel()});
  a.image_slot = ints(op, "image_slot", image_slot, {I});
  a.image_table = ints(op, "image_table", image_table, {I, 2});
  a.T = static_cast<int32_t>(T);
  a.S = static_cast<int32_t>(S);
  a.I = static_cast<int32_t>(I);
  a.image_token_id = static_cast<int32_t>(image_token_id);
  a.merge = static_cast<int32_t>(merge);
  a.total_visual = static_cast<int32_t>(visual_rows.numel());
  a.total_kv = static_cast<int32_t>(kv_index.numel());
  const int device = check_device(
      op, {{"token_ids", &token_ids}, {"cu_seqlens", &cu_seqlens}, {"parent", &parent}, {"cu_images", &cu_images},
           {"image_grid", &image_grid}, {"image_key", &image_key}, {"row_map", &row_map}, {"positions", &positions},
           {"cu_k", &cu_k}, {"kv_index", &kv_index}, {"visual_rows", &visual_rows}, {"visual_src", &visual_src},
           {"image_slot", &image_slot}, {"image_table", &image_table}});
  check_launch(op, launch_pack_plan(a, device, current_stream(op, device)));
}

void pack_gather(const Tensor& table, const Tensor& visual, const Tensor& row_map, const Tensor& out) {
  constexpr const char* op = "pack_gather";
  check_shape(op, "table", table, {-1, -1});
  const int64_t width = table.size(1), rows = row_map.numel();
  check_float(op, "table", table);
  check_shape(op, "visual", visual, {-1, width});
  check_dtype(op, "visual", visual, table.scalar_type());
  const int32_t* map = ints(op, "row_map", row_map, {rows});
  check_shape(op, "out", out, {rows, width});
  check_dtype(op, "out", out, table.scalar_type());
  check_contiguous(op, "table", table);
  check_contiguous(op, "visual", visual);
  check_contiguous(op, "out", out);
  const int device =
      check_device(op, {{"table", &table}, {"visual", &visual}, {"row_map", &row_map}, {"out", &out}});
  const int64_t bytes = width * static_cast<int64_t>(table.element_size());
  check_launch(op, launch_pack_gather(table.data_ptr(), visual.data_ptr(), map, out.data_ptr(), rows, bytes, device,
                                      current_stream(op, device)));
}

void deepstack_add(const Tensor& hidden, const Tensor& feature, const Tensor& visual_rows, const Tensor& visual_src) {
  constexpr const char* op = "deepstack_add";
  check_shape(op, "hidden", hidden, {-1, -1});
  const Dtype dtype = check_float(op, "hidden", hidden);
  check_shape(op, "feature", feature, {-1, hidden.size(1)});
  check_dtype(op, "feature", feature, hidden.scalar_type());
  check_contiguous(op, "hidden", hidden);
  check_contiguous(op, "feature", feature);
  const int32_t* rows = ints(op, "visual_rows", visual_rows, {-1});
  const int32_t* src = ints(op, "visual_src", visual_src, {visual_rows.numel()});
  const int device = check_device(op, {{"hidden", &hidden}, {"feature", &feature}, {"visual_rows", &visual_rows},
                                       {"visual_src", &visual_src}});
  check_launch(op, launch_deepstack_add(hidden.data_ptr(), feature.data_ptr(), rows, src, visual_rows.numel(),
                                        hidden.size(1), dtype, device, current_stream(op, device)));
}

void kv_gather_backward(const Tensor& grad, const Tensor& cu_q, const Tensor& cu_k, const Tensor& parent,
                        const Tensor& out) {
  constexpr const char* op = "kv_gather_backward";
  check_shape(op, "grad", grad, {-1, -1});
  const Dtype dtype = check_float(op, "grad", grad);
  const int64_t S = parent.numel(), width = grad.size(1);
  const int32_t* p = ints(op, "parent", parent, {S});
  const int32_t* q = ints(op, "cu_q", cu_q, {S + 1});
  const int32_t* k = ints(op, "cu_k", cu_k, {S + 1});
  check_shape(op, "out", out, {-1, width});
  check_dtype(op, "out", out, grad.scalar_type());
  check_contiguous(op, "grad", grad);
  check_contiguous(op, "out", out);
  const int device =
      check_device(op, {{"grad", &grad}, {"cu_q", &cu_q}, {"cu_k", &cu_k}, {"parent", &parent}, {"out", &out}});
  check_launch(op, launch_kv_gather_backward(grad.data_ptr(), q, k, p, out.data_ptr(), out.size(0),
                                             static_cast<int32_t>(S), width, dtype, device, current_stream(op, device)));
}

float* floats(const char* op, const char* argument, const Tensor& t, std::initializer_list<int64_t> shape) {
  check_dtype(op, argument, t, ScalarType::Float);
  check_shape(op, argument, t, shape);
  check_contiguous(op, argument, t);
  return static_cast<float*>(t.data_ptr());
}

void group_advantage(const Tensor& rewards, const Tensor& weights, const Tensor& cu_groups, int64_t mode,
                     double epsilon, const Tensor& advantages, const Tensor& reward, const Tensor& mean,
                     const Tensor& std, const Tensor& count, const Tensor& live, const Tensor& live_groups,
                     const Tensor& n_live, const Tensor& batch_std) {
  constexpr const char* op = "group_advantage";
  GroupAdvantageArgs a{};
  a.rewards = floats(op, "rewards", rewards, {-1, -1});
  const int64_t S = rewards.size(0), K = rewards.size(1);
  a.weights = floats(op, "weights", weights, {K});
  a.cu_groups = ints(op, "cu_groups", cu_groups, {-1});
  if (cu_groups.numel() < 1) fail(op, "cu_groups", "of shape (groups + 1,); got ", shape_of(cu_groups));
  const int64_t B = cu_groups.numel() - 1;
  if (mode < 0 || mode > 4) fail(op, "mode", "0 to 4; got ", mode);
  a.S = S;
  a.B = B;
  a.K = static_cast<int32_t>(K);
  a.mode = static_cast<AdvantageMode>(mode);
  a.epsilon = static_cast<float>(epsilon);
  a.advantages = floats(op, "advantages", advantages, {S});
  a.reward = floats(op, "reward", reward, {S});
  a.mean = floats(op, "mean", mean, {B});
  a.std = floats(op, "std", std, {B});
  a.count = ints(op, "count", count, {B});
  check_dtype(op, "live", live, ScalarType::Bool);
  check_shape(op, "live", live, {B});
  check_contiguous(op, "live", live);
  a.live = static_cast<bool*>(live.data_ptr());
  a.live_groups = ints(op, "live_groups", live_groups, {B});
  a.n_live = ints(op, "n_live", n_live, {1});
  a.batch_std = floats(op, "batch_std", batch_std, {1});
  const int device = check_device(
      op, {{"rewards", &rewards}, {"weights", &weights}, {"cu_groups", &cu_groups}, {"advantages", &advantages},
           {"reward", &reward}, {"mean", &mean}, {"std", &std}, {"count", &count}, {"live", &live},
           {"live_groups", &live_groups}, {"n_live", &n_live}, {"batch_std", &batch_std}});
  check_launch(op, launch_group_advantage(a, device, current_stream(op, device)));
}

// One function for both keys: the CPU one exists so that a CPU tensor gets a sentence and not a dispatcher dump.
template <class Library>
void implement(Library& m) {
  m.impl("pack_plan_cuda", TORCH_BOX(&pack_plan));
  m.impl("pack_gather_cuda", TORCH_BOX(&pack_gather));
  m.impl("deepstack_add_cuda", TORCH_BOX(&deepstack_add));
  m.impl("kv_gather_backward_cuda", TORCH_BOX(&kv_gather_backward));
  m.impl("group_advantage_cuda", TORCH_BOX(&group_advantage));
}

}  // namespace
}  // namespace nsrl

STABLE_TORCH_LIBRARY_IMPL(nsrl, CUDA, m) { nsrl::implement(m); }
STABLE_TORCH_LIBRARY_IMPL(nsrl, CPU, m) { nsrl::implement(m); }
