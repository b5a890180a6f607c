"""What running a program gives: `Result`, its `Status`, and the `Limits` it ran under. Stdlib only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

_LONE = re.compile("[\ud800-\udfff]")


def writable(text: str) -> str:
    """`text` with U+FFFD for each lone surrogate: those have no UTF-8, and no file, table or page takes them."""
    return text if text.isascii() else _LONE.sub("\ufffd", text)


def _writable_value(value: Any) -> Any:
    if isinstance(value, str):
        return writable(value)
    return [_writable_value(item) for item in value] if isinstance(value, list | tuple) else value


class Status(str, Enum):
    """How a program ended. Exactly one holds."""

    OK = "ok"  # a value, and no message outside the benign set
    MESSAGE = "message"  # a value, but the engine complained on the way
    UNEVALUATED = "unevaluated"  # the value still is a call the engine could not evaluate
    AMBIGUOUS = "ambiguous"  # nsl: the system has several solutions, none of them singled out
    NO_SOLUTION = "no_solution"  # nsl: the system has no solution
    LEFTOVER = "leftover"  # nsl: a constraint is left over, or unknowns remain free
    SYNTAX = "syntax"  # the text is no program
    TIMEOUT = "timeout"  # steps, CPU or wall clock
    MEMORY = "memory"  # memory, list length, integer digits or output size
    CRASH = "crash"  # the worker died (a bug or a hostile program)
    REFUSED = "refused"  # the program asks for what it may not have


# share of the wall clock that a program gets as CPU time at most: on a quiet machine the CPU limit strikes first
_QUIET = 0.8
_PATIENCE = 10  # times the wall clock, for a program that a busy machine holds up


@dataclass(frozen=True)
class Limits:
    """Bounds of one program. Units are in the names; steps, depth and sizes are deterministic.

    CPU time decides how long a program may run; `wall_s` ends one that waits, and is longer when the machine is busy.
    """

    steps: int = 200_000
    depth: int = 512
    integer_digits: int = 100_000
    list_length: int = 1_000_000
    cpu_s: float = 1.0
    wall_s: float = 3.0
    memory_mb: int = 512
    output_bytes: int = 65_536

    def in_force(self) -> Limits:
        """These limits; a CPU limit that the wall clock would forestall is lowered so that it comes first."""
        cpu_s = min(self.cpu_s, _QUIET * self.wall_s)
        return self if cpu_s == self.cpu_s else replace(self, cpu_s=cpu_s)

    def patient(self) -> Limits:
        """For limits in force: the same CPU time on a machine 10 times slower."""
        return replace(self, wall_s=_PATIENCE * self.wall_s)


@dataclass(frozen=True)
class Message:
    """One message of an engine, as `symbol::tag: text`."""

    symbol: str
    tag: str
    text: str

    def __str__(self) -> str:
        return f"{self.symbol}::{self.tag}: {self.text}"


@dataclass(frozen=True)
class Result:
    """The outcome of one program. Plain data: it crosses process borders and is what the cache keeps.

    text: the value as the engine prints it (InputForm); value: the same value as JSON-able nested lists
    (`["List", 1, 2]`, integers as int, reals as float, strings as `["String", s]`), or None.
    cpu_ms is the only field that differs between two runs of a program; `to_json` leaves it out unless asked.
    """

    status: Status
    text: str = ""
    value: Any = None
    messages: tuple[Message, ...] = ()
    stdout: str = ""
    steps: int = 0
    cpu_ms: float = field(default=0.0, compare=False)
    repairs: tuple[str, ...] = ()
    engine: str = ""
    version: str = ""

    def writable(self) -> Result:
        """This Result with every text `writable`."""
        if (
            self.text.isascii()
            and self.stdout.isascii()
            and not self.messages
            and not self.repairs
            and self.value is None
        ):
            return self
        messages = tuple(Message(writable(m.symbol), writable(m.tag), writable(m.text)) for m in self.messages)
        return replace(
            self, text=writable(self.text), value=_writable_value(self.value), messages=messages,
            stdout=writable(self.stdout), repairs=tuple(map(writable, self.repairs)),
        )  # fmt: skip

    @property
    def has_value(self) -> bool:
        """Whether there is a value, with a message or without."""
        return self.status in (Status.OK, Status.MESSAGE)

    @property
    def no_error(self) -> bool:
        """The project's No Error %: a value, no message outside the benign set, nothing left unevaluated."""
        return self.status is Status.OK

    def to_json(self, timing: bool = False) -> dict[str, Any]:
        """A dictionary that json can write; timing: with the CPU time, which differs from run to run."""
        out = dict(vars(self))  # the value is not copied: it may nest deep
        out["status"] = self.status.value
        out["messages"] = [[m.symbol, m.tag, m.text] for m in self.messages]
        out["repairs"] = list(self.repairs)
        if not timing:
            del out["cpu_ms"]
        return out
