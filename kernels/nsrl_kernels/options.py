"""What an option may be, said where the option stands: `epsilon: Annotated[float, Bound(least=0)] = 0.2`. No torch."""

import math
import re
import types
import typing
from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Bound:
    """least <= value <= most, or above < value < below; or_zero: or 0. why: for the sentence that refuses a value."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    why: str = ""
    or_zero: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return (self.or_zero and value == 0) or (self.least <= value <= self.most and self.above < value < self.below)

    def __str__(self) -> str:
        words = [
            f"{word} {limit:,}" if limit >= 10_000 else f"{word} {limit}"
            for word, limit in (
                ("at least", self.least),
                ("above", self.above),
                ("at most", self.most),
                ("below", self.below),
            )
            if math.isfinite(limit)
        ]
        return ("0, or " if self.or_zero else "") + (" and ".join(words) or "any number")


@dataclass(frozen=True)
class OneOf:
    """The names of a table, which a text must be one of. page: of docs/, which lists them, if one does; also: what may
    stand in place of a name, in words, and matches `pattern`."""

    names: tuple[str, ...]
    page: str = ""
    also: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class Option:
    """A field of a dataclass of options: its type (without None), whether None is allowed, its bound and choices; also,
    pattern: as of `OneOf`."""

    type: Any
    optional: bool
    bound: Bound | None
    choices: tuple[str, ...]
    page: str = ""
    also: str = ""
    pattern: str = ""

    def chosen(self, value: object) -> bool:
        """Whether a value is one of the choices, or what may stand in place of one."""
        other = self.pattern and isinstance(value, str) and re.fullmatch(self.pattern, value)
        return value in self.choices or bool(other)

    def allowed(self) -> tuple[str | None, ...]:
        """The choices, and None where it is one."""
        return (None, *self.choices) if self.optional else self.choices


def options(kind: type[Any]) -> dict[str, Option]:
    """The fields of a dataclass, by name and in order, with what their annotations say."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: _option(hints[field.name]) for field in fields(kind)}


def _option(hint: Any) -> Option:
    said = getattr(hint, "__metadata__", ())
    hint = hint.__origin__ if said else hint
    parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    inner = next(part for part in parts if part is not types.NoneType)
    names = next((item for item in said if isinstance(item, OneOf)), OneOf(()))
    choices = typing.get_args(inner) if typing.get_origin(inner) is Literal else names.names
    bound = next((item for item in said if isinstance(item, Bound)), None)
    return Option(inner, types.NoneType in parts, bound, choices, names.page, names.also, names.pattern)
