// Argument checks of the native ops. Each throws one sentence naming the op, the argument, what was expected and what
// came; Python sees a RuntimeError. Shapes, dtypes and devices only: a value would have to come from the device.
#pragma once

#include <dlfcn.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>

#include "launch.h"

namespace nsrl {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <typename... Parts>
[[noreturn]] void fail(const char* op, const char* argument, const Parts&... parts) {
  std::ostringstream out;
  out << op << ": " << argument << " must be ";
  (out << ... << parts);
  throw std::runtime_error(out.str());
}

inline std::string shape_of(const Tensor& t) {
  std::ostringstream out;
  out << '(';
  for (int64_t i = 0; i < t.dim(); ++i) out << (i ? ", " : "") << t.size(i);
  out << (t.dim() == 1 ? ",)" : ")");
  return out.str();
}

// Sizes of -1 match anything.
inline void check_shape(const char* op, const char* argument, const Tensor& t, std::initializer_list<int64_t> want) {
  bool same = t.dim() == static_cast<int64_t>(want.size());
  int64_t axis = 0;
  for (int64_t size : want) {
    same = same && (size < 0 || t.size(axis) == size);
    ++axis;
    if (!same) break;
  }
  if (same) return;
  std::ostringstream out;
  out << '(';
  for (auto it = want.begin(); it != want.end(); ++it) {
    if (it != want.begin()) out << ", ";
    if (*it < 0) out << "any"; else out << *it;
  }
  out << (want.size() == 1 ? ",)" : ")");
  fail(op, argument, "of shape ", out.str(), "; got ", shape_of(t));
}

inline const char* name_of(ScalarType type) {
  switch (type) {
    case ScalarType::Int: return "int32";
    case ScalarType::Long: return "int64";
    case ScalarType::Float: return "float32";
    case ScalarType::Double: return "float64";
    case ScalarType::Half: return "float16";
    case ScalarType::BFloat16: return "bfloat16";
    case ScalarType::Bool: return "bool";
    default: return "another dtype";
  }
}

inline void check_dtype(const char* op, const char* argument, const Tensor& t, ScalarType want) {
  if (t.scalar_type() != want) fail(op, argument, name_of(want), "; got ", name_of(t.scalar_type()));
}

inline Dtype check_float(const char* op, const char* argument, const Tensor& t) {
  switch (t.scalar_type()) {
    case ScalarType::Float: return Dtype::f32;
    case ScalarType::Half: return Dtype::f16;
    case ScalarType::BFloat16: return Dtype::bf16;
    default: fail(op, argument, "float32, float16 or bfloat16; got ", name_of(t.scalar_type()));
  }
}

inline void check_contiguous(const char* op, const char* argument, const Tensor& t) {
  if (!t.is_contiguous()) fail(op, argument, "contiguous; got a strided view of shape ", shape_of(t));
}

// An int32 vector of `size` elements (-1: any), contiguous.
inline int32_t* ints(const char* op, const char* argument, const Tensor& t, std::initializer_list<int64_t> shape) {
  check_dtype(op, argument, t, ScalarType::Int);
  check_shape(op, argument, t, shape);
  check_contiguous(op, argument, t);
  return static_cast<int32_t*>(t.data_ptr());
}

// The last check of every op: where its work goes. Index of the CUDA device all tensors are on.
inline int check_device(const char* op, std::initializer_list<std::pair<const char*, const Tensor*>> tensors) {
  int device = -1;
  for (const auto& [argument, t] : tensors) {
#ifndef NSRL_EMULATED  // the tests run the kernels on a CPU, see tests/csrc/emulator
    if (!t->is_cuda()) fail(op, argument, "a CUDA tensor; got one on another device (the CPU path is the torch backend)");
#endif
    const int index = t->get_device_index();
    if (device >= 0 && index != device) fail(op, argument, "on cuda:", device, " like the first argument; got cuda:", index);
    device = index;
  }
  return device;
}

// torch's current stream. Looked up at run time: a CPU build of torch has no such symbol, and loads this library too.
inline void* current_stream(const char* op, int device) {
#ifdef NSRL_EMULATED
  return nullptr;
#endif
  using Get = int32_t (*)(int32_t, void**);
  static const Get get = [] {
    void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_NOLOAD);  // there only in a CUDA build
    return reinterpret_cast<Get>(dlsym(torch_cuda ? torch_cuda : RTLD_DEFAULT, "aoti_torch_get_current_cuda_stream"));
  }();
  void* stream = nullptr;
  if (get == nullptr || get(device, &stream) != 0) {
    throw std::runtime_error(std::string(op) + ": this build of torch has no CUDA streams");
  }
  return stream;
}

inline void check_launch(const char* op, int error) {
  if (error != 0) throw std::runtime_error(std::string(op) + ": CUDA launch failed: " + error_string(error));
}

}  // namespace nsrl
