"""What a reward that has a parameter `ask` is given: the policy, asked again, and its answers. No torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nsrl.engines.extract import Extracted, extract
from nsrl.engines.result import Result
from nsrl.types import Problem

ASK = "ask"  # the parameter's name


@dataclass(frozen=True)
class Answer:
    """One completion of a problem that was asked: what stands in it, what the engine said (None without a program), and
    whether it is right (None: the problem cannot be scored, or could not be shown to the model); tokens: how many the
    policy wrote; truncated: cut at the limit; score: of a verifier that gives one."""

    text: str
    extracted: Extracted
    result: Result | None
    correct: bool | None
    tokens: int
    truncated: bool
    score: float | None = None

    @property
    def value(self) -> str:
        """What was checked: the engine's value, or the direct answer."""
        return self.result.text if self.result is not None else self.extracted.answer or ""


NO_ANSWER = Answer("", extract(""), None, None, 0, False)


class Ask(Protocol):
    """The policy before the update, as a reward may ask it."""

    def __call__(
        self, problems: Sequence[Problem], n: int = 1, temperature: float = 0.0, max_tokens: int | None = None
    ) -> list[list[Answer]]:
        """`n` answers to each problem, graded against the problem's own gold. temperature: 0 is greedy; max_tokens: of
        each (None: max_completion_length). A problem that cannot be shown to the model has answers without text."""
        ...


def asks(function: Callable[..., Any]) -> bool:
    """Whether a function wants to ask."""
    return ASK in inspect.signature(function).parameters
