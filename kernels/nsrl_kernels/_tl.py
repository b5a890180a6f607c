"""What every Triton kernel here shares: small device functions and the launch-side helpers. Knows no op."""

import functools

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

# whether kernels here are the interpreter's: they then take CPU tensors, and a dot needs fp32 operands
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def exp2(x):
    """2^x in fp32 by the one instruction there is for it; 0 where the result is below 2^-126."""
    if INTERPRETED:
        return tl.exp2(x)
    else:
        code: tl.constexpr = "ex2.approx.ftz.f32 $0, $1;"
        return tl.inline_asm_elementwise(code, "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def rounded(x, dtype: tl.constexpr):
    """(fp32 in `dtype`, bf16 or fp32, to nearest even; that in fp32 again), two elements at a time."""
    if INTERPRETED or dtype != tl.bfloat16:
        kept = narrow(x, dtype)
        return kept, kept.to(tl.float32)
    else:
        return tl.inline_asm_elementwise(
            "cvt.rn.bf16x2.f32 $0, $4, $3; shl.b32 $1, $0, 16; and.b32 $2, $0, 0xffff0000;", "=r,=f,=f,f,f", [x],
            dtype=(tl.bfloat16, tl.float32), is_pure=True, pack=2,
        )  # fmt: skip


@triton.jit
def log1p64(x):
    """log(1 + x) in fp64 without cancellation (the quotient repairs the rounding of 1 + x)."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.where(x < 1e300, tl.log(u) * (x / tl.where(u == 1.0, 1.0, u - 1.0)), tl.log(u)))


@triton.jit
def fast_tanh(x):
    """tanh in fp32 from exp, accurate to a few ulp on both sides."""
    e = tl.exp(-2.0 * tl.abs(x))
    t = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def narrow(x, dtype: tl.constexpr):
    """fp32 to `dtype`, to nearest even. The interpreter would truncate bf16, so there the bits are rounded first."""
    if INTERPRETED and dtype == tl.bfloat16:
        bits = x.to(tl.int32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & -65536
        x = tl.where(x == x, bits.to(tl.float32, bitcast=True), x)
    return x.to(dtype)


def multiprocessors(device: torch.device) -> int:
    """How many programs run at once, one each: a launch over more work loops."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count
    return 4


def on_its_device(launcher):
    """`launcher`, whose kernels run on the device of its first tensor, whichever device is the current one.

    Triton launches on the current device: kernels that are given another's addresses would fail, or wait for nobody.
    """

    @functools.wraps(launcher)
    def run(*args, **options):
        with torch.cuda.device_of(_first_tensor(args)):
            return launcher(*args, **options)

    return run


def _first_tensor(args) -> torch.Tensor:
    """The first tensor of a call's arguments, or of the tuples among them."""
    for value in args:
        if isinstance(value, torch.Tensor):
            return value
        if isinstance(value, tuple):
            return _first_tensor(value)
    raise TypeError("a launcher takes a tensor")


def descriptor(tensor: torch.Tensor, block: list[int]):
    """A TMA descriptor of a 2-D tensor, or None where the hardware's rules of alignment are not met."""
    aligned = tensor.data_ptr() % 16 == 0 and tensor.stride(1) == 1
    aligned = aligned and tensor.stride(0) * tensor.element_size() % 16 == 0 and tensor.shape[0] > 0
    if not aligned or tensor.dtype not in (torch.bfloat16, torch.float16, torch.float32):
        return None
    return TensorDescriptor(tensor, list(tensor.shape), list(tensor.stride()), block)
