"""Rooms 4 and 5 for a batch of completions: cut the program out, run it while others are sampled, check the value.

Knows nothing of tokens' log-probs, advantages or the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from nsrl.engines import EnginePool, Extracted, Result, extract
from nsrl.rewards.answer import check
from nsrl.types import Problem


@dataclass(frozen=True)
class Judged:
    """One completion after the engine. correct: None when the problem cannot be scored (no readable gold answer)."""

    text: str
    extracted: Extracted
    result: Result | None
    correct: bool | None
    reason: str

    @property
    def language(self) -> str:
        """The language of its program; without one `direct` (the answer alone) or `prose`."""
        if self.extracted.language is not None:
            return self.extracted.language
        return "direct" if len(self.text.split()) <= 2 else "prose"

    @property
    def value(self) -> str:
        """What was checked: the engine's value, or the direct answer."""
        return self.result.text if self.result is not None else self.extracted.answer or ""


class Judge:
    """Submits programs as completions arrive; `collect` waits for what is still running."""

    def __init__(self, pool: EnginePool) -> None:
        self.pool = pool

    def submit(self, problem: Problem, texts: Sequence[str]) -> list[tuple[Problem, str, Extracted, Future | None]]:
        """Start the programs of one group; never blocks."""
        pending = []
        for text in texts:
            cut = extract(text)
            future = self.pool.submit(cut.language, cut.program) if cut.language is not None else None
            pending.append((problem, text, cut, future))
        return pending

    def finished(self, groups: Iterable[Sequence[tuple[Problem, str, Extracted, Future | None]]]) -> list[bool]:
        """For each program submitted, whether it is done; asked when sampling ends, this is the overlap of the two."""
        return [future.done() for group in groups for *_, future in group if future is not None]

    def collect(self, pending: Sequence[tuple[Problem, str, Extracted, Future | None]]) -> list[Judged]:
        """The verdicts, in the order submitted."""
        return [judged(problem, text, cut, future.result() if future else None) for problem, text, cut, future in pending]


def judged(problem: Problem, text: str, cut: Extracted, result: Result | None) -> Judged:
    """Check a program's value, or what the text answers where there is no program, against the gold answer."""
    failed = result is not None and not result.has_value
    verdict = check("" if failed else text if result is None else result, problem.answer, problem.options)
    if failed and verdict.correct is not None:
        return Judged(text, cut, result, False, result.status.value)
    return Judged(text, cut, result, verdict.correct, verdict.reason)
