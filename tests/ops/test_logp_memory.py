"""Memory counted from allocations: the torch backend while it runs, Triton from the table it allocates from."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from nsrl_kernels import linear_logp
from nsrl_kernels.ops.linear_logp import torch_backend
from nsrl_kernels.ops.linear_logp.spec import Inputs, Options

TWO_B = dict(n=10_240, n_hidden=2_048, n_vocab=151_936)  # Qwen3-VL-2B, 10 x 1,024 completion tokens


def _call(hidden, weight, target):
    """The arguments of a backend's forward that keeps a Jacobian."""
    options = Options(1.0, 0.0, "metric", "jacobian", False, "", 0, backend="", gemm="triton")
    return Inputs(hidden, weight, target, None, None, None, None, None), options


class _Peak(TorchDispatchMode):
    """Bytes of storages that operators create while they live, at their highest. (Inputs are not counted.)"""

    def __init__(self, known):
        super().__init__()
        self.known = {x.untyped_storage().data_ptr() for x in known}
        self.alive, self.peak = WeakTensorKeyDictionary(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for x in torch.utils._pytree.tree_leaves(out):
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in self.known:
                self.alive[x] = True
        storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in self.alive}
        self.peak = max(self.peak, sum(storages.values()))
        return out


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float32))
def test_cpu_peak_is_below_an_eighth_of_the_logits(dtype):
    n, n_vocab, n_hidden = 512, 151_936, 32
    hidden, weight = torch.randn(n, n_hidden).to(dtype), torch.randn(n_vocab, n_hidden).to(dtype)
    target = torch.randint(0, n_vocab, (n,))
    limit = n * n_vocab * 4 / 8
    with _Peak([hidden, weight, target]) as count:
        torch_backend.forward(*_call(hidden, weight, target))
    assert 1e6 < count.peak < limit, f"{count.peak / 1e6:.1f} MB of {limit / 1e6:.1f}"
    hidden.requires_grad_()
    logp, entropy = linear_logp(hidden, weight, target)  # the same call from outside: it runs and is finite
    logp.sum().backward()
    assert logp.isfinite().all() and entropy.isfinite().all() and hidden.grad.isfinite().all()


@pytest.mark.parametrize(
    "gemm,jacobian,limit",
    [("triton", False, 8e6), ("triton", True, 0.7e9), ("cublas", False, 0.35e9), ("cublas", True, 1.0e9)],
)
def test_device_memory_of_the_2b_case(gemm, jacobian, limit):
    """The forward allocates its buffers from `plan` and from nothing else of size; here they are made on `meta`."""
    pytest.importorskip("triton")
    from nsrl_kernels.ops.linear_logp import triton_backend

    total = _bytes(triton_backend.plan(*TWO_B.values(), torch.bfloat16, jacobian=jacobian, gemm=gemm))
    assert total <= limit, f"{total / 1e6:.1f} MB"


def _bytes(table) -> int:
    return sum(torch.empty(shape, dtype=dtype, device="meta").nbytes for shape, dtype in table.values())


def test_the_triton_backend_allocates_its_plan_and_little_else():
    """The plan is the truth: what the interpreted run allocates with it, beyond per-row vectors, is nothing."""
    pytest.importorskip("triton")
    from nsrl_kernels._tl import INTERPRETED
    from nsrl_kernels.ops.linear_logp import triton_backend

    if not INTERPRETED:
        pytest.skip("counts CPU allocations: needs the interpreter")
    n, n_hidden, n_vocab = 200, 16, 6_001  # the interpreter copies its arguments: make them small beside the plan
    hidden, weight = torch.randn(n, n_hidden), torch.randn(n_vocab, n_hidden)
    target = torch.randint(0, n_vocab, (n,))
    with _Peak([hidden, weight, target]) as count:
        triton_backend.forward(*_call(hidden, weight, target))
    planned = _bytes(triton_backend.plan(n, n_hidden, n_vocab, torch.float32, jacobian=True))
    assert planned * 0.9 < count.peak < planned * 1.1 + 64 * n


@pytest.mark.gpu
@pytest.mark.parametrize("gemm,limit", [("triton", 0.7e9), ("cublas", 1.0e9)])
def test_device_memory_measured(gemm, limit):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    n, n_hidden, n_vocab = TWO_B.values()
    hidden = torch.randn(n, n_hidden, device="cuda", dtype=torch.bfloat16).requires_grad_()
    weight = torch.randn(n_vocab, n_hidden, device="cuda", dtype=torch.bfloat16) / n_hidden**0.5
    target = torch.randint(0, n_vocab, (n,), device="cuda")
    forward_limit = 8e6 if gemm == "triton" else 0.35e9
    with torch.no_grad():
        linear_logp(
            hidden, weight, target, backend="triton", gemm=gemm
        )  # compiles, and lets the GEMM library take its workspace
        assert _extra(lambda: linear_logp(hidden, weight, target, backend="triton", gemm=gemm)) <= forward_limit
    step = lambda: torch.autograd.grad(
        linear_logp(hidden, weight, target, backend="triton", gemm=gemm)[0].sum(), hidden
    )
    step()
    assert _extra(step) - hidden.numel() * 2 <= limit


def _extra(step) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
