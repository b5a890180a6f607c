"""A grader cuts the program out of each completion, runs it while others are sampled, and checks its value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from nsrl.config import EngineConfig
from nsrl.engines import EnginePool, Extracted, Limits, Result, extract
from nsrl.engines.backend import BackendPool
from nsrl.engines.external import EMBEDDED
from nsrl.rewards.batch import verdict
from nsrl.types import Problem


@dataclass(frozen=True)
class Graded:
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


@dataclass(frozen=True)
class Pending:
    """One completion on its way. program: its engine Result to come, None without a program; verdict: the check's
    Future, once the program has ended."""

    program: Future | None
    verdict: Future


class Grader:
    """Submits programs as completions arrive, and checks values in a thread of its own as programs end; `collect`
    waits.

    The loop's thread checks nothing: a check that asks math-verify waits for another process, whatever the text is.
    """

    def __init__(self, pool: EnginePool) -> None:
        self.pool = pool
        self.checks = ThreadPoolExecutor(1, "answer-check")

    def submit(self, problem: Problem, texts: Sequence[str], cuts: Sequence[Extracted] | None = None) -> list[Pending]:
        """Start the programs of one group; never blocks. cuts: what stands in the texts (None: between tags)."""
        return [self._submit(problem, text, cut) for text, cut in zip(texts, cuts or map(extract, texts))]

    def _submit(self, problem: Problem, text: str, cut: Extracted) -> Pending:
        verdict = Future()
        if cut.language is None:
            verdict.set_result(self.checks.submit(graded, problem, text, cut, None))
            return Pending(None, verdict)
        program = self.pool.submit(cut.language, cut.program)

        def check_it(ended: Future) -> None:
            if ended.cancelled():
                verdict.cancel()
            elif (error := ended.exception()) is not None:
                verdict.set_exception(error)
            else:
                verdict.set_result(self.checks.submit(graded, problem, text, cut, ended.result()))

        program.add_done_callback(check_it)
        return Pending(program, verdict)

    def finished(self, groups: Iterable[Sequence[Pending]]) -> list[bool]:
        """For each program submitted, whether it is done; asked when sampling ends, this is the overlap of the two."""
        return [p.program.done() for group in groups for p in group if p.program is not None]

    def collect(self, pending: Sequence[Pending]) -> list[Graded]:
        """The verdicts, in the order submitted."""
        return [p.verdict.result().result() for p in pending]


def graded(problem: Problem, text: str, cut: Extracted, result: Result | None) -> Graded:
    """Check a program's value, or what the text answers where there is no program, against the gold answer."""
    found = verdict(problem, text, cut, result)
    if found.correct is not None and result is not None and not result.has_value:
        return Graded(text, cut, result, found.correct, result.status.value)
    return Graded(text, cut, result, found.correct, found.reason)


def open_pool(engine: EngineConfig) -> EnginePool:
    """The pool as configured, in a `with`."""
    limits = Limits(cpu_s=engine.cpu_s, wall_s=engine.wall_s, memory_mb=engine.memory_mb)
    if engine.backend != EMBEDDED:
        return BackendPool(engine.backend, engine.command, engine.workers, limits, engine.allow_unsandboxed)
    return EnginePool(engine.workers, limits, allow_unsandboxed=engine.allow_unsandboxed)
