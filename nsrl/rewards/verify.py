"""A verifier says whether a completion is right; which one is asked, a row says.

`verify(problem, text, extracted, result) -> Verdict(correct, reason, score)`, sync or async: the problem, what the
model wrote, what stands in it, and what the engine made of its program (None without one). `correct` None: it cannot be
scored. What a verifier raises is raised, as of a reward: a bug never becomes a wrong answer.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nsrl.answers import Verdict
from nsrl.data.sources import is_made
from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result
from nsrl.errors import UserError, did_you_mean
from nsrl.rewards.batch import verdict
from nsrl.rewards.registry import exit_named
from nsrl.types import Problem
from nsrl.userfiles import load

Verify = Callable[[Problem, str, Extracted, Result | None], Any]
ANSWER, DEFAULT, COLUMN = "answer", "default", "verifier"
GOLDS = ("answer", "solution", "ground_truth", "final_answer", "gold", "target", "label")


class Verifiers:
    """Verifiers by name. specs: name to `answer` (the answer check), `file.py:function`, or a callable.

    A problem is judged by the one that its column `verifier` names, else by the one of its source, else of its
    category, else by `default`, which is the answer check where none is said. Raises `UserError` for what is no
    verifier.
    """

    def __init__(self, specs: Mapping[str, str | Verify] | None = None) -> None:
        self.said, self.specs = bool(specs), dict(specs or {})
        own = {name: _resolved(name, spec) for name, spec in (specs or {}).items()}
        self.functions: dict[str, Callable[..., Any]] = {ANSWER: verdict, DEFAULT: verdict} | own

    def name_of(self, problem: Problem) -> str:
        """Which verifier judges a problem. Raises `UserError` where its row names one that there is not."""
        named = problem.columns.get(COLUMN) if self.said else None
        if named in (None, ""):
            return next((n for n in (problem.source, problem.category) if n in self.functions), DEFAULT)
        if named not in self.functions and is_made(str(named)):
            return ANSWER  # a source that judges its own, which the answer check asks
        if named not in self.functions:
            near = did_you_mean(str(named), self.functions)
            raise UserError(
                f"verifiers has no {named!r}, which the column {COLUMN!r} of problem {problem.id} names; it has "
                f"{', '.join(self.functions)}{near}"
            )
        return str(named)

    def require(self, problems: Iterable[Problem]) -> None:
        """Raise `UserError` for a problem whose row names a verifier that there is not."""
        for problem in problems if self.said else ():
            self.name_of(problem)

    def settings(self) -> dict[str, Any]:
        """What verdicts depend on, in JSON: nothing where it is the answer check."""
        return {"verifiers": {name: str(spec) for name, spec in self.specs.items()}} if self.said else {}

    def waits(self, problem: Problem) -> bool:
        """Whether its verifier is async."""
        return inspect.iscoroutinefunction(self.functions[self.name_of(problem)])

    def judge(self, problem: Problem, text: str, extracted: Extracted, result: Result | None) -> Verdict:
        """The verdict of a verifier that is not async."""
        name = self.name_of(problem)
        with exit_named(f"verifier {name!r}"):
            return _checked(name, self.functions[name](problem, text, extracted, result))

    async def wait(self, problem: Problem, text: str, extracted: Extracted, result: Result | None) -> Verdict:
        """The verdict of an async one."""
        name = self.name_of(problem)
        with exit_named(f"verifier {name!r}"):
            return _checked(name, await self.functions[name](problem, text, extracted, result))


def gold_of(problem: Problem) -> Any:
    """The gold as the row has it: a text, or what its JSON says (a list of boxes, a mapping); None without one."""
    columns = {str(name).strip().lower(): value for name, value in problem.columns.items()}
    gold = problem.answer if problem.answer is not None else next((columns[n] for n in GOLDS if n in columns), None)
    if not isinstance(gold, str):
        return gold
    try:
        return json.loads(gold)
    except (ValueError, RecursionError):
        return gold


def number_of(value: Any) -> float | None:
    """A value, a text too, as a finite number; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _resolved(name: str, spec: str | Verify) -> Callable[..., Any]:
    key = f"verifiers.{name}"
    if spec == ANSWER:
        return verdict
    if isinstance(spec, str) and ":" not in spec:
        raise UserError(f"{key} must be {ANSWER}, or file.py:function; got {spec!r}")
    function = load(spec, key)[1] if isinstance(spec, str) else spec
    if inspect.isclass(function):
        raise UserError(f"{key} must be a function; got a class")
    signature = inspect.signature(function)
    try:
        signature.bind(None, None, None, None)
    except TypeError:
        raise UserError(f"{key} must take problem, text, extracted and result; it takes {signature}") from None
    return function


def _checked(name: str, found: Any) -> Verdict:
    """A verifier's answer. Raises `UserError` for what is no verdict: who wrote it can mend it."""
    score = found.score if isinstance(found, Verdict) else None
    sound = isinstance(found, Verdict) and (found.correct is None or isinstance(found.correct, bool))
    if score is not None:
        sound = sound and isinstance(score, int | float) and math.isfinite(score)
    if not sound:
        raise UserError(
            f"verifier {name!r} must return a Verdict of correct (True, False or None), reason and score (a finite "
            f"number or None); got {' '.join(repr(found).split())[:80]}"
        )
    return found
