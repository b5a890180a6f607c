"""Ours and the rivals on the same inputs: agreement first, then time, rate and memory. One row per contender.

Knows nothing of how rows are printed. A contender that does not agree is reported with its error and never timed.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from nsrl_kernels import linear_logp, policy_loss

from . import measure
from .rivals import LOGP, OBJECTIVE
from .shapes import BF16_FLOPS, HeadShape

TORCH_BACKEND, TORCH_ROWS = "nsrl torch", 256


def head_inputs(shape: HeadShape, device: str, dtype: torch.dtype):
    """hidden, weight, target with logits of standard deviation 3."""
    g = torch.Generator(device=device).manual_seed(0)
    draw = lambda *size: torch.randn(*size, generator=g, device=device, dtype=torch.float32)
    hidden = (draw(shape.n, shape.n_hidden) * 3).to(dtype)
    weight = (draw(shape.n_vocab, shape.n_hidden) / shape.n_hidden**0.5).to(dtype)
    target = torch.randint(0, shape.n_vocab, (shape.n,), generator=g, device=device)
    return hidden, weight, target


def exact_rows(hidden, weight, target, rows):
    """fp64 log-probs of a few rows."""
    picked, w = hidden[rows].double(), weight
    total = torch.full((len(rows),), -torch.inf, dtype=torch.float64, device=hidden.device)
    for start in range(0, w.shape[0], 16_384):
        total = torch.logaddexp(total, (picked @ w[start : start + 16_384].double().T).logsumexp(1))
    return (picked * w[target[rows]].double()).sum(1) - total


class Trial(NamedTuple):
    """A contender at a shape: its row so far, and what to time unless it is absent or disagrees."""

    row: dict
    shape: HeadShape
    device: str
    forward: Callable[[], None] | None = None
    step: Callable[[], None] | None = None


def timed(trial: Trial, budget_ms: float = 300.0) -> dict:
    """The trial's row with its time, rate and memory, where there is a call to time."""
    row, shape, device = trial.row, trial.shape, trial.device
    if trial.forward is None:
        return row
    gemm_ms = shape.gemm_flop / BF16_FLOPS * 1e3
    for part, gemms, call in (("forward", 1, trial.forward), ("step", 2, trial.step)):
        ms = row[f"{part}_ms"] = measure.milliseconds(call, device=device, budget_ms=budget_ms)
        row[f"{part}_tflops"] = gemms * shape.gemm_flop / ms / 1e9  # of the work that is needed, not of what was done
        row[f"{part}_share_of_bound"] = gemms * gemm_ms / ms if device == "cuda" else None
        extra = measure.extra_bytes(call, device=device)
        row[f"{part}_extra_mb"] = None if extra is None else extra / 1e6
    return row


def _entered(op: str, contender, shape: HeadShape, device: str, absent: str | None = None) -> Trial:
    """A trial before anything is run, with why the contender is absent."""
    row = {"op": op, "contender": contender.name, "shape": shape.name, "ours": contender.ours}
    absent = absent or contender.missing(device)
    return Trial(row | {"absent": absent} if absent else row, shape, device)


def logp_trial(contender, shape: HeadShape, device: str, dtype: torch.dtype) -> Trial:
    """Log-prob of every row, alone and with ∂hidden."""
    trial = _entered("linear_logp", contender, shape, device)
    if "absent" in trial.row:
        return trial
    hidden, weight, target = head_inputs(shape, device, dtype)
    function = contender.build()
    rows = torch.arange(0, shape.n, max(1, shape.n // 32), device=device)[:32]
    with torch.no_grad():
        error = (function(hidden, weight, target)[rows].double() - exact_rows(hidden, weight, target, rows)).abs()
    row = trial.row
    row["mean_error"], row["max_error"] = float(error.mean()), float(error.max())
    if not row["mean_error"] <= contender.tolerance:
        row["disagrees"] = f"mean |Δlogp| {row['mean_error']:.1e} above {contender.tolerance:.0e}"
        return trial
    leaf = hidden.clone().requires_grad_()

    def forward():
        with torch.no_grad():
            function(hidden, weight, target)

    def step():
        leaf.grad = None
        function(leaf, weight, target).sum().backward()

    return trial._replace(forward=forward, step=step)


def objective_trial(contender, shape: HeadShape, length: int, device: str, dtype: torch.dtype) -> Trial:
    """Hidden states to the GRPO loss, and to ∂hidden."""
    trial = _entered("linear_grpo", contender, shape, device)
    if "absent" in trial.row:
        return trial
    hidden, weight, target = head_inputs(shape, device, dtype)
    with torch.no_grad():
        logp, _ = linear_logp(hidden, weight, target)
        old = logp + 0.05 * torch.randn(shape.n, generator=torch.Generator(device).manual_seed(1), device=device)
    n_seq = shape.n // length
    advantages = torch.where(torch.arange(n_seq, device=device) % 3 == 0, 1.0, -0.5)
    offsets = torch.arange(0, shape.n + 1, length, device=device)
    want, _ = policy_loss(logp, advantages, cu_seqlens=offsets, old_logp=old, loss_type="dapo", backend="torch")
    function = contender.build()
    leaf = hidden.clone().requires_grad_()

    def forward():
        return function(leaf, weight, target, advantages, old, length)

    def step():
        leaf.grad = None
        forward().backward()

    row = trial.row
    row["loss_error"] = float((forward().detach().double() - want.double()).abs())
    if not row["loss_error"] <= contender.tolerance:
        row["disagrees"] = f"|Δloss| {row['loss_error']:.1e} above {contender.tolerance:.0e}"
        return trial
    return trial._replace(forward=forward, step=step)


def too_slow(contender, shape: HeadShape, device: str) -> str | None:
    """Why a contender is not timed at a shape that it would take the whole budget for, or None."""
    if device == "cuda" and contender.name == TORCH_BACKEND and shape.n > TORCH_ROWS:
        return f"not timed above {TORCH_ROWS} rows: 760,000 launches at the 2B case"
    return None


def all_rows(
    shape: HeadShape, length: int | None, device: str, dtype: torch.dtype, budget_ms: float = 300.0, rivals: bool = True
):
    """Every contender at one shape, a row at a time (so a caller with a deadline can stop); rivals: those of others
    too."""
    for op, contenders in (("linear_logp", LOGP), ("linear_grpo", OBJECTIVE if length else ())):
        for contender in contenders:
            if not (rivals or contender.ours or contender.name == "torch"):
                continue
            reason = too_slow(contender, shape, device)
            if reason:
                yield _entered(op, contender, shape, device, reason).row
            elif op == "linear_logp":
                yield timed(logp_trial(contender, shape, device, dtype), budget_ms)
            elif length is not None:
                yield timed(objective_trial(contender, shape, length, device, dtype), budget_ms)
            measure.reclaim()


def table(rows: list[dict]) -> str:
    """Markdown, one line per row; absent and disagreeing contenders are named with the reason."""
    lines = [
        "| op | shape | contender | forward ms | forward + ∂h ms | TFLOP/s | of the bound | extra MB | max error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    number = lambda x, form: "" if x is None else format(x, form)
    for r in rows:
        reason = r.get("absent") or r.get("disagrees")
        if reason:
            lines.append(f"| {r['op']} | {r['shape']} | {r['contender']} | {reason} | | | | | |")
            continue
        memory = " / ".join(number(r[k], ".0f") for k in ("forward_extra_mb", "step_extra_mb"))
        error = r.get("max_error", r.get("loss_error"))
        lines.append(
            f"| {r['op']} | {r['shape']} | {r['contender']} | {r['forward_ms']:.3f} | {r['step_ms']:.3f} | "
            f"{r['forward_tflops']:.0f} / {r['step_tflops']:.0f} | {number(r['forward_share_of_bound'], '.0%')} / "
            f"{number(r['step_share_of_bound'], '.0%')} | {memory} | {error:.1e} |"
        )
    return "\n".join(lines)
