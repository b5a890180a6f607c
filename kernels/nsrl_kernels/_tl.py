"""What every Triton kernel here shares: small device functions and the launch-side helpers. Knows no op."""

import functools

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

# whether kernels here are the interpreter's: they then take CPU tensors, and a dot needs fp32 operands
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


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
