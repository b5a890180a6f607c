"""`EnginePool` runs programs in killable, sandboxed workers, while other completions are still being sampled.

`submit` never waits: it answers from the cache, joins an identical program that is already running, or queues. One
manager thread owns the processes: it feeds workers, watches the wall clock of each program, kills what overruns, and
puts the programs queued behind a dead worker into another one. No program can raise here; each has a `Result`.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from nsrl.engines.languages import LANGUAGES, check_language, present, require, version
from nsrl.engines.pool import sandbox
from nsrl.engines.pool.manager import Manager
from nsrl.engines.pool.queue import ProgramQueue
from nsrl.engines.result import Limits, Result
from nsrl.errors import UserError


class EnginePool:
    """Workers for the three languages. A context manager; leaving it ends every process.

    workers: processes per kind that run at once (native programs and SymPy programs have their own); limits: bounds
    of a program unless `submit` says otherwise; cache: Results kept, 0 for none; languages: which to start;
    allow_unsandboxed: run although the system gives neither a system-call filter nor namespaces; recycle: programs
    after which a reused worker is replaced. Raises UserError when a sandbox was not to be had and none was waived.
    """

    def __init__(
        self, workers: int = 2, limits: Limits = Limits(), cache: int = 50_000,
        languages: Iterable[str] | None = None, allow_unsandboxed: bool = False, recycle: int = 5_000,
    ) -> None:  # fmt: skip
        if workers < 1:
            raise UserError(f"workers must be at least 1; got {workers}")
        self.limits = check_limits(limits)
        chosen = tuple(LANGUAGES if languages is None else languages)
        for language in chosen:
            check_language(language) if languages is None else require(language)
        self.languages = tuple(language for language in chosen if present(language))
        self.workers = workers
        self._owner = os.getpid()
        self._queue = ProgramQueue({language: version(language) for language in self.languages}, cache)
        self._manager = Manager(self._queue, workers, allow_unsandboxed, recycle)
        # The zygotes die with the thread that starts them: this one lives as long as the pool.
        self._thread = threading.Thread(target=self._manager.run, name="nsrl-engines", daemon=True)
        self._thread.start()
        self._manager.started.wait()
        if self._queue.failure is not None:
            failure = self._queue.failure
            self.close()
            raise UserError(failure)
        if not sandbox.LINUX:
            warnings.warn(
                "nsrl.engines: no kernel sandbox on this system; programs run under rlimits only", stacklevel=2
            )

    @property
    def sandbox(self) -> dict[str, Any]:
        """By kind of worker: `layers` in force, and `allowed`, what the start-up self-test could still do."""
        return dict(self._manager.supervisor.sandbox)

    def submit(self, language: str, program: str, limits: Limits | None = None) -> Future[Result]:
        """Queue a program and return at once; the future always holds a Result, unless the pool is closed first.

        Raises UserError for a language that was not started, a program that is no text, or limits that are none.
        """
        if language not in self.languages:
            require(language)
            raise UserError(f"language {language!r} was not started in this pool; it has {', '.join(self.languages)}")
        if os.getpid() != self._owner:
            raise UserError("the engine pool belongs to the process that made it; make one in the forked process")
        if not isinstance(program, str):
            raise UserError(f"program must be a text; got {type(program).__name__}")
        future, wake = self._queue.add(language, program, self.limits if limits is None else check_limits(limits))
        if wake:
            self._manager.wake()
        return future

    def run(self, language: str, program: str, limits: Limits | None = None) -> Result:
        """Run one program and wait for its Result."""
        return self.submit(language, program, limits).result()

    def map(self, language: str, programs: Iterable[str], limits: Limits | None = None) -> list[Result]:
        """Run programs and wait for all; Results in the order of the programs."""
        futures = [self.submit(language, program, limits) for program in programs]
        for future in reversed(futures):  # the last first: this thread is woken once, not for each program
            future.result()
        return [future.result() for future in futures]

    def stats(self) -> dict[str, Any]:
        """Telemetry: counts, fractions by status, latency percentiles in ms, queue depth, restarts, sandbox."""
        return {**self._queue.telemetry(), "sandbox": self.sandbox}

    def close(self) -> None:
        """End every process. Programs not yet done are given up: their futures raise UserError. Twice is once."""
        self._queue.close()
        if self._thread.is_alive():
            self._manager.wake()
            self._thread.join()
        self._manager.release()

    def __enter__(self) -> EnginePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_limits(limits: Limits) -> Limits:
    """`limits` if every bound is positive. Raises UserError."""
    for name, value in vars(limits).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0 or value == float("inf"):
            raise UserError(f"limits.{name} must be a positive number; got {value!r}")
    return limits
