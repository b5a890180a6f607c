"""Argument checks: each raises one sentence naming the op, the argument, what was expected and what came.

Looks at shapes, dtypes and devices only, never at values: a check must not synchronise with the device.
"""

from collections.abc import Collection
from typing import NoReturn

import torch


def fail(op: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raises the ValueError of every check: what the argument must be, and what came."""
    raise ValueError(f"{op}: {argument} must be {expected}; got {got}")


def shape(op: str, argument: str, tensor: torch.Tensor, expected: tuple, why: str = "") -> None:
    """Raises unless the tensor has the shape `expected`: ints, or names that match any size."""
    if tensor.dim() != len(expected) or any(
        isinstance(want, int) and have != want for have, want in zip(tensor.shape, expected)
    ):
        want = "(" + ", ".join(str(e) for e in expected) + (",)" if len(expected) == 1 else ")")
        fail(op, argument, want + (f" {why}" if why else ""), tuple(tensor.shape))


def tensors(op: str, **values: object) -> None:
    """Raises TypeError for what is given and is no tensor: a list has no device, and to copy one to it would wait."""
    for argument, value in values.items():
        if value is not None and not isinstance(value, torch.Tensor):
            raise TypeError(f"{op}: {argument} must be a tensor; got the {type(value).__name__} {value!r:.60}")


def floating(op: str, argument: str, tensor: torch.Tensor) -> None:
    """Raises TypeError unless the tensor is of a floating-point dtype."""
    if not tensor.is_floating_point():
        raise TypeError(f"{op}: {argument} must be a floating-point tensor; got {tensor.dtype}")


def integer(op: str, argument: str, tensor: torch.Tensor) -> None:
    """Raises TypeError unless the tensor holds int32 or int64."""
    if tensor.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{op}: {argument} must be int32 or int64; got {tensor.dtype}")


def boolean(op: str, argument: str, tensor: torch.Tensor) -> None:
    """Raises TypeError unless the tensor is a mask."""
    if tensor.dtype != torch.bool:
        raise TypeError(f"{op}: {argument} must be a bool tensor; got {tensor.dtype}")


def one_of(op: str, argument: str, value: object, allowed: Collection) -> None:
    """Raises unless `value` is one of `allowed`."""
    if value not in allowed:
        fail(op, argument, "one of " + ", ".join(map(repr, allowed)), repr(value))


def same_device(op: str, device: torch.device, **tensors: torch.Tensor | None) -> None:
    """Raises unless every tensor given is on `device`."""
    for argument, tensor in tensors.items():
        if tensor is not None and tensor.device != device:
            fail(op, argument, f"on {device} like the first argument", f"a tensor on {tensor.device}")
