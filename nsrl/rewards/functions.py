"""Users' functions that are called with one argument: those of `shape_funcs`, and prompts of contexts. No torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from nsrl.errors import UserError
from nsrl.userfiles import load


def one_argument(spec: str, key: str) -> tuple[str, Callable[..., Any]]:
    """(name, function) of `file.py:function` that is called with one argument; key: what names it. Raises
    `UserError`."""
    if ":" not in spec:
        raise UserError(f"{key} must name file.py:function; got {spec!r}")
    name, function = load(spec, key)
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        raise UserError(f"{key}: {name!r} must be a function of one argument (from {spec!r})") from None
    return name, function


def shape_functions(specs: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """The functions of `shape_funcs` by name. Raises `UserError`."""
    pairs = [one_argument(spec, "shape_funcs") for spec in specs]
    if len(dict(pairs)) != len(pairs):
        raise UserError(f"shape_funcs must have different names; got {', '.join(name for name, _ in pairs)}")
    return dict(pairs)
