"""Custom ops whose arguments are structures: written once there, flattened here for torch.library's flat schemas.

A structure is a NamedTuple or a frozen dataclass. An op is called with the fields of one after those of the other; its
body, fake and autograd get the structures back with `group`.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

from torch import Tensor

_TYPES = {
    Tensor: "Tensor", Tensor | None: "Tensor?", int: "SymInt", bool: "bool", str: "str", str | None: "str?",
    float: "float", float | None: "float?", tuple[float, ...]: "float[]", tuple[float, float]: "float[]",
}  # fmt: skip


def names(part: type) -> tuple[str, ...]:
    """The names of a structure's fields, in order."""
    return getattr(part, "_fields", None) or tuple(field.name for field in dataclasses.fields(part))


def schema(*parts: type, returns: int, mutates: str = "") -> str:
    """The schema of a custom op that takes the fields of `parts` one after the other.

    Args:
        parts: classes whose fields are annotated with a type of the table above.
        returns: how many tensors come back.
        mutates: the field written in place, if any.

    Raises:
        ValueError: two parts have a field of one name.
    """
    hints = [typing.get_type_hints(part) for part in parts]
    fields = [(name, _TYPES[hint[name]]) for part, hint in zip(parts, hints) for name in names(part)]
    if len(dict(fields)) != len(fields):
        raise ValueError(f"an op's arguments must have one name each; got {[name for name, _ in fields]}")
    arguments = [f"{kind}(a!) {name}" if name == mutates else f"{kind} {name}" for name, kind in fields]
    return f"({', '.join(arguments)}) -> ({', '.join(['Tensor'] * returns)})"


def group(flat, *parts: type) -> list:
    """The flat arguments of an op as instances of `parts`."""
    flat = iter(flat)
    return [part(*(next(flat) for _ in names(part))) for part in parts]


def gradients(*parts: type, **found) -> tuple:
    """What the backward of such an op returns: `found` by field, None for every other argument."""
    return tuple(found.get(name) for part in parts for name in names(part))


def signature(function: Callable[..., Any], options: type) -> inspect.Signature:
    """The signature of a function whose `**options` are the fields of a dataclass, with each of them by name."""
    plain, hints = inspect.signature(function), typing.get_type_hints(options)
    own = [p for p in plain.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    named = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in dataclasses.fields(options)
    ]
    return plain.replace(parameters=[*own, *named])
