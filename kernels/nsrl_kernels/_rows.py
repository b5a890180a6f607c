"""Rows of scores: what `linear_logp` and `logp_from_logits` share on every backend.

The arguments that come one per row, and the sums over a row's vocabulary that become its log-prob, entropy and Jacobian
(the odds form of docs/kernels.md). Knows nothing of tiles or launches.
"""

import math
from typing import NamedTuple

import torch

from . import _check

LEAST_ODDS = 1e-30  # R below which an fp16 row has no gradient: 1 - p is smaller still


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of what is summed and returned: fp64 for fp64 inputs, else fp32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def checked_rows(op: str, like: str, x: torch.Tensor, target, temperature, **tensors) -> tuple[dict, float]:
    """Checks the arguments given per row of x, [..., H or V], and flattens them.

    Args:
        op, like: names for the errors: the op's, and x's.
        target: integers of x's leading shape. temperature: a positive number, or a tensor of that shape or of ().
        tensors: other arguments of the leading shape, or None; masks must be bool.

    Returns:
        ({"temperature_rows" and each name of `tensors`: [N] or None}, the number that divides every row).

    Raises:
        ValueError, TypeError: an argument's shape, dtype or device is wrong.
    """
    lead = x.shape[:-1]
    _check.tensors(op, target=target, **tensors)
    _check.integer(op, "target", target)
    if target.shape != lead:
        _check.fail(op, "target", f"{tuple(lead)} like the rows of {like}", tuple(target.shape))
    for name in ("row_mask", "grad_rows"):
        if tensors.get(name) is not None:
            _check.boolean(op, name, tensors[name])
    number, rows = temperature, None
    if isinstance(temperature, torch.Tensor):
        number, rows = 1.0, temperature
    elif isinstance(temperature, (list, tuple, str)):
        raise TypeError(f"{op}: temperature must be a number or a tensor; got {temperature!r:.60}")
    elif not temperature > 0:
        _check.fail(op, "temperature", "positive", temperature)
    for name, value in {"temperature": rows, **tensors}.items():
        if value is not None and value.shape != lead and not (name == "temperature" and value.dim() == 0):
            _check.fail(op, name, f"{tuple(lead)} like the rows of {like}", tuple(value.shape))
    _check.same_device(op, x.device, target=target, temperature=rows, **tensors)
    flat = {"temperature_rows": rows, **tensors}
    one_by_one = lambda v: None if v is None else v.detach().expand(lead).reshape(-1).contiguous()
    return {k: one_by_one(v) for k, v in flat.items()}, float(number)


def inverse_temperature(like: torch.Tensor, temperature_rows: torch.Tensor | None, temperature: float) -> torch.Tensor:
    """1/T of each row of `like`, [N] fp64."""
    if temperature_rows is not None:
        return temperature_rows.double().reciprocal()
    return torch.full((like.shape[0],), 1.0 / temperature, dtype=torch.float64, device=like.device)


def chosen(target: torch.Tensor, *masks: torch.Tensor | None) -> torch.Tensor:
    """[N] bool: rows with a target that no mask leaves out."""
    keep = target >= 0
    for mask in masks:
        keep = keep if mask is None else keep & mask
    return keep


class Saved(NamedTuple):
    """What a backward takes of the forward and from autograd, [N] each; g_entropy None without its gradient."""

    logp: torch.Tensor
    entropy_value: torch.Tensor
    lse: torch.Tensor  # log-sum-exp of z/T
    g_logp: torch.Tensor
    g_entropy: torch.Tensor | None


class RowStats(NamedTuple):
    """Sums of a row over a vocabulary shard, [N] fp64 each: exp is taken of z/T - level."""

    level: torch.Tensor
    total: torch.Tensor  # R: sum of exp over the shard, the target's own column left out
    first: torch.Tensor  # Q: sum of exp * (z/T - level), the same columns
    target: torch.Tensor  # z_y / T where this shard owns the target, else 0
    slope: torch.Tensor  # d(capped)/d(raw) logit of the target; 1 without softcap
    spare: torch.Tensor  # sum of what D was summed of, less sum of exp * slope: what storing exp in 16 bits rounded


def finish(stats: RowStats):
    """(logp, entropy, whole) of each row, [N] fp64; whole = e^s + R with s = z_y/T - level."""
    s = stats.target - stats.level
    log_odds = stats.total.log() - s
    logp = -torch.logaddexp(torch.zeros_like(s), log_odds)
    logp = torch.where(torch.isneginf(s), -math.inf, logp)
    own = s.exp()
    whole = own + stats.total
    mean = (stats.first + own * s.clamp(min=-1e4)) / whole
    return logp, whole.log() - mean, whole


def by_odds(dtype: torch.dtype) -> bool:
    """Whether J is kept as ∂logp/∂h / (1 - p), in hidden's dtype.

    In fp16, whose least number is 6e-8, ∂logp/∂h of a likely token would be 0 before a loss scale could save it.
    """
    return dtype == torch.float16


def weight_of_rows(g_logp: torch.Tensor, logp: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """[N]: what the backward multiplies each row of J by."""
    return g_logp * -torch.expm1(logp) if by_odds(dtype) else g_logp


def jacobian(stats: RowStats, whole, d_rows, target_rows, inv_t, dtype: torch.dtype, softcap: float = 0.0):
    """J [N, H], ∂logp/∂h (see `by_odds`) from the sums and D [N, H] (which is used up).

    target_rows: W_y, [N, H] (zero where another shard owns it). dtype: of J when it is kept.
    """
    known = stats.total > LEAST_ODDS
    if by_odds(dtype):
        whole = torch.where(known, stats.total, math.inf)
    column = lambda x: torch.where(torch.isneginf(stats.target), 0.0, x)[:, None].to(d_rows.dtype)
    weight, scale = stats.total * stats.slope + stats.spare, inv_t / whole
    if not softcap:  # what D was summed of adds up to R + spare, and should to R
        scale = scale * torch.where(known, stats.total / (stats.total + stats.spare), 1)
    return (target_rows * column(weight)).sub_(d_rows).mul_(column(scale))
