"""What mixed precision and sharded parameters make of an op's operands. Knows no op.

Autocast lowers what enters a matrix product and leaves its result alone. Here the products are inside an op, which says
itself what is multiplied in which dtype: so the op's operands are lowered, as `torch.nn.functional.linear`'s are, and
nothing inside is.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch

from . import _check


def autocasts(kind: str) -> bool:
    """Whether autocast is on for a type of device; some, as "meta", have none."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def head_operands(
    op: str, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """(hidden, weight, bias) as a head is multiplied: gathered where they are sharded, of one dtype under autocast.

    Under autocast hidden and weight are of its dtype (fp64 stays), with gradients in the dtypes that they had; the
    bias, which is added in fp32, is left as it is.

    Raises:
        ValueError: sharded hidden states, or a sharded head that trains: nothing says whether the gradients of its
            shards are of one batch or of many.
    """
    if hasattr(hidden, "full_tensor"):
        _check.fail(op, "hidden", "a plain tensor, this process's rows", "a DTensor")
    weight, bias = _whole(op, "weight", weight), None if bias is None else _whole(op, "bias", bias)
    kind = hidden.device.type
    if autocasts(kind) and torch.float64 not in (hidden.dtype, weight.dtype):
        lower = torch.get_autocast_dtype(kind)
        if hidden.is_floating_point() and weight.is_floating_point():
            hidden, weight = hidden.to(lower), weight.to(lower)
    return hidden, weight, bias


def _whole(op: str, argument: str, parameter: torch.Tensor) -> torch.Tensor:
    """A parameter of which this process may hold a shard (a DTensor, as FSDP2 leaves them), as a plain tensor."""
    gather = getattr(parameter, "full_tensor", None)
    if gather is None:
        return parameter
    if parameter.requires_grad and torch.is_grad_enabled():
        _check.fail(
            op, argument, "a plain tensor where it trains (call this inside the forward of the module that FSDP wraps)",
            f"a DTensor placed as {parameter.placements}",  # pyright: ignore
        )  # fmt: skip
    return gather()


def without_autocast(body: Callable[..., Any]) -> Callable[..., Any]:
    """The body of a custom op, run as it is written wherever it is called; its first argument is a tensor."""

    @functools.wraps(body)
    def run(*flat):
        kind = flat[0].device.type
        if not autocasts(kind):
            return body(*flat)
        with torch.autocast(kind, enabled=False):
            return body(*flat)

    return run
