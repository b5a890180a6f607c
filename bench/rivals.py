"""Everybody who computes what nsrl_kernels computes, behind one signature each. An absent one says what is missing.

A log-prob contender is f(hidden, weight, target) -> logp [N]; an objective contender is
f(hidden, weight, target, advantages, old_logp, length) -> loss, where the N rows are sequences of `length` tokens and
the loss is GRPO's token mean ("dapo"), clip 0.2. Knows nothing of timing.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import torch

import nsrl_kernels


class Contender(NamedTuple):
    name: str
    build: Callable[[], Callable]  # imports happen here
    modules: tuple[str, ...] = ()
    needs_cuda: bool = False
    tolerance: float = 1e-4  # of the mean absolute difference from the exact log-prob, at bf16 inputs
    ours: bool = False

    def missing(self, device: str) -> str | None:
        """Why it can not run here, or None."""
        for module in self.modules:
            try:
                found = importlib.util.find_spec(module)
            except ModuleNotFoundError:
                found = None
            if found is None:
                return f"{module} is not installed"
        if self.needs_cuda and device != "cuda":
            return "needs a CUDA device"
        return None


def _ours(**options):
    def run(hidden, weight, target):
        return nsrl_kernels.linear_logp(hidden, weight, target, **options)[0]

    return lambda: run


def naive(hidden, weight, target):
    """What a trainer writes first: all logits, log-softmax in fp32."""
    logits = (hidden @ weight.T).float()
    return logits.log_softmax(-1).gather(1, target[:, None])[:, 0]


def _trl():
    """What TRL's GRPO runs since 1.16: a head chunked over tokens and vocabulary, no logits (`add_fused_lm_head`)."""
    from trl.kernels import ChunkedLogProbFunction

    options = (
        1.0,
        32768,
        None,
        1.0,
        ("log_probs",),
    )  # temperature, TRL's own vocabulary chunk, softcap, scale, outputs
    return lambda hidden, weight, target: ChunkedLogProbFunction.apply(hidden, weight, None, target, *options)[0]


def _cross_entropy(module: str, name: str):
    """A fused head that returns each row's cross entropy."""

    def build():
        function = getattr(importlib.import_module(module), name)
        return lambda hidden, weight, target: -function(hidden, weight, target, reduction="none").float()

    return build


def _verl():
    from verl.utils.kernel.linear_cross_entropy import linear_cross_entropy

    return lambda hidden, weight, target: linear_cross_entropy(hidden, weight, target, 1.0, "none")[0]


LOGP = (
    Contender("nsrl torch", _ours(backend="torch"), ours=True),
    Contender("nsrl triton", _ours(backend="triton"), ("triton",), True, ours=True),
    Contender("nsrl triton, cuBLAS GEMM 1", _ours(backend="triton", gemm="cublas"), ("triton",), True, ours=True),
    Contender("torch", lambda: naive, tolerance=3e-2),
    Contender("torch.compile", lambda: torch.compile(naive), needs_cuda=True, tolerance=3e-2),
    Contender("TRL fused head", _trl, ("trl.kernels",), tolerance=3e-2),
    Contender(
        "Liger fused CE",
        _cross_entropy("liger_kernel.transformers.functional", "liger_fused_linear_cross_entropy"),
        ("liger_kernel",),
        True,
        tolerance=3e-2,
    ),
    Contender(
        "Apple CCE",
        _cross_entropy("cut_cross_entropy", "linear_cross_entropy"),
        ("cut_cross_entropy",),
        True,
        tolerance=3e-2,
    ),
    Contender("verl linear CE", _verl, ("verl",), True, tolerance=3e-2),
    Contender(
        "quack linear CE",
        _cross_entropy("quack.linear_cross_entropy", "chunked_linear_cross_entropy"),
        ("quack",),
        True,
        tolerance=3e-2,
    ),
)


def _linear_grpo(**options):
    def run(hidden, weight, target, advantages, old_logp, length):
        logp, _ = nsrl_kernels.linear_logp(hidden, weight, target, hint_logp=old_logp, **options)
        offsets = torch.arange(0, len(target) + 1, length, device=hidden.device)
        return nsrl_kernels.policy_loss(logp, advantages, cu_seqlens=offsets, old_logp=old_logp, loss_type="dapo")[0]

    return lambda: run


def _torch_grpo(hidden, weight, target, advantages, old_logp, length):
    logp = naive(hidden, weight, target)
    ratio = (logp - old_logp).exp()
    a = advantages.repeat_interleave(length)
    return -torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()


def _liger_chunked_grpo():
    from liger_kernel.chunked_loss.grpo_loss import LigerFusedLinearGRPOLoss

    loss = LigerFusedLinearGRPOLoss(beta=0.0, compiled=torch.cuda.is_available(), use_ref_model=False, loss_type="dapo")

    def run(hidden, weight, target, advantages, old_logp, length):
        rows = len(advantages)
        square = lambda x: x.view(rows, length, *x.shape[1:])
        mask = torch.ones(rows, length, dtype=torch.long, device=hidden.device)
        return loss(
            square(hidden),
            weight,
            square(target),
            mask,
            advantages.to(hidden.dtype),
            old_per_token_logps=square(old_logp),
        )[0]

    return run


def _liger_triton_grpo():
    from liger_kernel.transformers.grpo_loss import triton_grpo_loss

    def run(hidden, weight, target, advantages, old_logp, length):
        rows = len(advantages)
        logits = (hidden @ weight.T).view(rows, length, -1)
        logits = torch.cat([logits, logits[:, :1]], 1)  # it wants one position more and ignores it
        mask = torch.ones(rows, length, dtype=torch.long, device=hidden.device)
        return triton_grpo_loss(
            logits, old_logp.view(rows, length), None, target.view(rows, length), mask, advantages, 1.0, 0.0, 0.2, 0.2,
            loss_type="dapo",
        )[0]  # fmt: skip

    return run


OBJECTIVE = (
    Contender("nsrl torch", _linear_grpo(backend="torch"), ours=True),
    Contender("nsrl triton", _linear_grpo(backend="triton"), ("triton",), True, ours=True),
    Contender(
        "nsrl triton, cuBLAS GEMM 1", _linear_grpo(backend="triton", gemm="cublas"), ("triton",), True, ours=True
    ),
    Contender("torch", lambda: _torch_grpo, tolerance=3e-2),
    Contender("Liger chunked GRPO", _liger_chunked_grpo, ("liger_kernel",), tolerance=3e-2),
    Contender("Liger Triton grpo_loss", _liger_triton_grpo, ("liger_kernel",), True, tolerance=3e-2),
)
