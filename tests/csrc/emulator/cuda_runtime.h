// Enough of CUDA to run csrc's kernels on a CPU, one block at a time, every thread a fiber of its own.
// Barriers and shuffles really wait, so a missing barrier or a divergent one shows. For the tests only.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __restrict__

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint4 {
  uint32_t x, y, z, w;
};
using cudaStream_t = void*;
using cudaError_t = int;
constexpr int cudaSuccess = 0;

namespace emulator {

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  dim3 thread;
  enum { ready, at_block, at_warp, done } state = ready;
};

constexpr size_t kStack = 64 << 10;
inline std::vector<std::unique_ptr<Fiber>> fibers;
inline ucontext_t scheduler;
inline Fiber* current = nullptr;
inline dim3 block_index, block_size, grid_size;
inline unsigned char exchange[32][32][8];  // per warp, per lane
inline const std::function<void()>* body = nullptr;

inline void wait(int state) {
  current->state = static_cast<decltype(Fiber::state)>(state);
  swapcontext(&current->context, &scheduler);
}

inline void enter() {
  (*body)();
  current->state = Fiber::done;
  swapcontext(&current->context, &scheduler);
}

inline void release(size_t begin, size_t end, int state) {
  bool any = false;
  for (size_t i = begin; i < end; ++i) {
    if (fibers[i]->state == Fiber::done) continue;
    if (fibers[i]->state != state) return;
    any = true;
  }
  for (size_t i = begin; any && i < end; ++i) {
    if (fibers[i]->state == state) fibers[i]->state = Fiber::ready;
  }
}

inline void run_block(const std::function<void()>& kernel) {
  body = &kernel;
  const size_t n = block_size.x;
  while (fibers.size() < n) {
    fibers.push_back(std::make_unique<Fiber>());
    fibers.back()->stack = std::make_unique<char[]>(kStack);
  }
  for (size_t i = 0; i < n; ++i) {
    Fiber& f = *fibers[i];
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = kStack;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
    f.thread = dim3(static_cast<unsigned>(i), 0, 0);
    f.state = Fiber::ready;
  }
  for (;;) {
    bool ran = false, alive = false;
    for (size_t i = 0; i < n; ++i) {
      if (fibers[i]->state == Fiber::ready) {
        current = fibers[i].get();
        swapcontext(&scheduler, &current->context);
        ran = true;
      }
      alive = alive || fibers[i]->state != Fiber::done;
    }
    if (!alive) return;
    for (size_t w = 0; w < n; w += 32) release(w, std::min(w + 32, n), Fiber::at_warp);
    release(0, n, Fiber::at_block);
    if (!ran && std::none_of(fibers.begin(), fibers.begin() + n, [](auto& f) { return f->state == Fiber::ready; })) {
      std::fprintf(stderr, "emulator: deadlock, threads wait at different barriers\n");
      std::abort();
    }
  }
}

template <typename Kernel, typename... Args>
void launch(Kernel kernel, dim3 grid, dim3 block, Args... args) {
  grid_size = grid;
  block_size = block;
  const std::function<void()> call = [=] { kernel(args...); };
  for (unsigned b = 0; b < grid.x; ++b) {
    block_index = dim3(b, 0, 0);
    run_block(call);
  }
}

template <typename T>
T shuffle(T x, int from) {
  const unsigned warp = current->thread.x / 32, lane = current->thread.x % 32;
  std::memcpy(exchange[warp][lane], &x, sizeof(T));
  wait(Fiber::at_warp);
  T out;
  std::memcpy(&out, exchange[warp][from], sizeof(T));
  wait(Fiber::at_warp);
  return out;
}

}  // namespace emulator

#define threadIdx (emulator::current->thread)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

inline void __syncthreads() { emulator::wait(emulator::Fiber::at_block); }
template <typename T>
T __shfl_xor_sync(unsigned, T x, int step) {
  return emulator::shuffle(x, static_cast<int>(threadIdx.x % 32) ^ step);
}
template <typename T>
T __shfl_up_sync(unsigned, T x, int step) {
  const int lane = threadIdx.x % 32;
  return emulator::shuffle(x, lane >= step ? lane - step : lane);
}
template <typename T>
T __ldg(const T* p) {
  return *p;
}
using std::isnan;
using std::max;
using std::min;

inline cudaError_t cudaGetDevice(int* device) { return *device = 0; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
