// Half precision for the emulator: the compiler's own conversions.
#pragma once
struct __half {
  _Float16 bits;
};
inline float __half2float(__half x) { return static_cast<float>(x.bits); }
inline __half __float2half(float x) { return {static_cast<_Float16>(x)}; }
