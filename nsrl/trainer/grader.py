"""A grader cuts the program out of each completion, runs it while others are sampled, and checks its value."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from nsrl.answers import Verdict
from nsrl.config import EngineConfig
from nsrl.data.turns import Said
from nsrl.engines import EnginePool, Extracted, Limits, Result, extract
from nsrl.engines.backend import BackendPool
from nsrl.engines.external import EMBEDDED
from nsrl.rewards.batch import verdict
from nsrl.rewards.verify import Verifiers
from nsrl.types import Problem


@dataclass(frozen=True)
class Graded:
    """One completion after the engine. correct: None when the problem cannot be scored (no readable gold answer).

    verifier: by which it was judged, "" where a run has none of its own; score: what that said beside right and wrong;
    history: its turns, where a completion can have several: `extracted` and `result` are of the last one.
    """

    text: str
    extracted: Extracted
    result: Result | None
    correct: bool | None
    reason: str
    verifier: str = ""
    score: float | None = None
    history: tuple[Said, ...] = ()

    @property
    def language(self) -> str:
        """The language of its program, of the last one of several turns; without one `direct` (the answer alone) or
        `prose`."""
        for cut in (self.extracted, *(said.extracted for said in reversed(self.history))):
            if cut.language is not None:
                return cut.language
        text = self.history[-1].text if self.history else self.text
        return "direct" if len(text.split()) <= 2 else "prose"

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
    verifiers: who checks; async ones wait for all completions at once, in a loop of their own.
    """

    def __init__(self, pool: EnginePool, verifiers: Verifiers | None = None) -> None:
        self.pool = pool
        self.verifiers = verifiers or Verifiers()
        self.checks = ThreadPoolExecutor(1, "answer-check")

    def submit(self, problem: Problem, texts: Sequence[str], cuts: Sequence[Extracted] | None = None) -> list[Pending]:
        """Start the programs of one group; never blocks. cuts: what stands in the texts (None: between tags)."""
        return [self._submit(problem, text, cut) for text, cut in zip(texts, cuts or map(extract, texts))]

    def _submit(self, problem: Problem, text: str, cut: Extracted) -> Pending:
        program = None if cut.language is None else self.pool.submit(cut.language, cut.program)
        return self.follow(problem, text, cut, program)

    def follow(self, problem: Problem, text: str, cut: Extracted, program: Future | None) -> Pending:
        """A completion whose program (None: it has none) was submitted already."""
        judged, check = Future(), self._check(problem, text, cut)
        if program is None:
            judged.set_result(check(None))
            return Pending(None, judged)

        def check_it(ended: Future) -> None:
            if ended.cancelled():
                judged.cancel()
            elif (error := ended.exception()) is not None:
                judged.set_exception(error)
            else:
                judged.set_result(check(ended.result()))

        program.add_done_callback(check_it)
        return Pending(program, judged)

    def judged(self, problem: Problem, text: str, cut: Extracted, result: Result | None) -> Graded:
        """A completion whose program was run elsewhere; waits for its verdict."""
        return self._check(problem, text, cut)(result).result()

    def _check(self, problem: Problem, text: str, cut: Extracted) -> Callable[[Result | None], Future]:
        """What begins the check of a completion, given its Result."""
        name = self.verifiers.name_of(problem)
        if not self.verifiers.waits(problem):
            judge = lambda result: self.verifiers.judge(problem, text, cut, result)
            return lambda result: self.checks.submit(
                lambda: graded(self.verifiers, name, text, cut, result, judge(result))
            )

        async def wait(result: Result | None) -> Graded:
            found = await self.verifiers.wait(problem, text, cut, result)
            return graded(self.verifiers, name, text, cut, result, found)

        return lambda result: asyncio.run_coroutine_threadsafe(wait(result), _loop())

    def finished(self, groups: Iterable[Sequence[Pending]]) -> list[bool]:
        """For each program submitted, whether it is done; asked when sampling ends, this is the overlap of the two."""
        return [p.program.done() for group in groups for p in group if p.program is not None]

    def collect(self, pending: Sequence[Pending]) -> list[Graded]:
        """The verdicts, in the order submitted."""
        return [p.verdict.result().result() for p in pending]


def graded(verifiers: Verifiers, name: str, text: str, cut: Extracted, result: Result | None, found: Verdict) -> Graded:
    """A completion with its verdict, by the verifier of that name. Where the answer check got no value, the engine's
    status is the reason."""
    reason, checked = found.reason, verifiers.functions[name] is verdict
    if checked and found.correct is not None and result is not None and not result.has_value:
        reason = result.status.value
    return Graded(text, cut, result, found.correct, reason, name if verifiers.said else "", found.score)


@lru_cache(1)
def _loop() -> asyncio.AbstractEventLoop:
    """The loop in which async verifiers wait, in a thread that ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="verifiers", daemon=True).start()
    return loop


def open_pool(engine: EngineConfig) -> EnginePool:
    """The pool as configured, in a `with`."""
    limits = Limits(cpu_s=engine.cpu_s, wall_s=engine.wall_s, memory_mb=engine.memory_mb)
    if engine.backend != EMBEDDED:
        return BackendPool(engine.backend, engine.command, engine.workers, limits, engine.allow_unsandboxed)
    return EnginePool(engine.workers, limits, allow_unsandboxed=engine.allow_unsandboxed)
