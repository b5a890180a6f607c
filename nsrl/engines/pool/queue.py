"""The queue knows the programs of a pool: which wait, which run, what is known already, and how it all went.
Thread-safe.

Callers add programs; the manager's thread takes them and finishes them. Nothing here calls that thread: `add` says
whether it must be woken.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from concurrent.futures import Future
from typing import Any

from nsrl.engines import languages
from nsrl.engines.pool.cache import ResultCache
from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.errors import UserError

MAX_PROGRAM = 150_000  # characters
KINDS = ("native", "python")


class Task:
    """One program on its way, and everyone who waits for it."""

    __slots__ = ("attempts", "futures", "key", "language", "limits", "number", "program", "solo", "spent", "stalled")

    def __init__(self, number: int, key: Any, language: str, program: str, limits: Limits, future: Future) -> None:
        self.number, self.key, self.language, self.program = number, key, language, program
        self.limits = limits.in_force()
        self.futures = [(future, time.monotonic())]
        self.attempts = 0
        self.spent = 0.0  # seconds it ran in workers that died of it: they count against its wall clock
        self.solo = False  # it was in a worker that died: alone in the next one
        self.stalled = False  # its wall clock ran out while the machine held it up

    def stall(self) -> None:
        """Give it the patience that a busy machine asks for, once."""
        self.stalled, self.spent, self.limits = True, 0.0, self.limits.patient()


class ProgramQueue:
    """Where callers and the manager meet. `versions`: engine version by language; `cache`: Results kept."""

    def __init__(self, versions: dict[str, str], cache: int) -> None:
        self.versions = versions
        self.closing = False
        self.failure: str | None = None
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._cache = ResultCache(cache)
        self._queues: dict[str, deque[Task]] = {kind: deque() for kind in KINDS}
        self._flying: dict[Any, Task] = {}
        self._counter = 0
        self._statuses: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=20_000)
        self._idle: set[str] = set()  # kinds with nothing queued: a program for one must wake the manager

    def add(self, language: str, program: str, limits: Limits) -> tuple[Future[Result], bool]:
        """A future for the program, and whether the manager must be woken for it. Raises UserError once closed."""
        key = (language, self.versions[language], program, limits)
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self.closing or self.failure is not None:
                raise UserError(f"the engine pool cannot run programs: {self.failure or 'it is closed'}")
            self.counts["submitted"] += 1
            known = self._cache.get(key)
            if known is not None:
                self.counts["cache_hits"] += 1
            elif len(program) > MAX_PROGRAM:
                note = Message("Engine", "size", f"A program has at most {MAX_PROGRAM} characters.")
                known = self.outcome(language, Status.REFUSED, note)
            if known is None:
                task = self._flying.get(key)
                if task is not None:
                    self.counts["joined"] += 1
                    task.futures.append((future, time.monotonic()))
                    return future, False
                self._counter += 1
                self._flying[key] = task = Task(self._counter, key, language, program, limits, future)
                kind = languages.KIND[language]
                self._queues[kind].append(task)
                wake = kind in self._idle
                self._idle.discard(kind)
                return future, wake
            self._statuses[known.status.value] += 1
            self._latencies.append(0.0)
        future.set_result(known)
        return future, False

    def outcome(self, language: str, status: Status, *messages: Message) -> Result:
        """A Result that the pool itself gives."""
        return Result(status, messages=messages, engine=language, version=self.versions[language])

    def mark_idle(self) -> None:
        """The manager is about to wait: from now on a program of an idle kind must wake it."""
        with self._lock:
            self._idle = {kind for kind, queue in self._queues.items() if not queue}

    def waiting(self, kind: str) -> int:
        """How many programs of a kind wait for a worker."""
        return len(self._queues[kind])

    def take(self, kind: str, room: int, alone: bool) -> list[Task]:
        """Up to `room` programs; one that must run alone comes alone, and only if `alone`."""
        chosen: list[Task] = []
        with self._lock:
            queue = self._queues[kind]
            while queue and len(chosen) < room:
                if queue[0].solo and (chosen or not alone):
                    break
                chosen.append(queue.popleft())
                if chosen[-1].solo:
                    break
        return chosen

    def put_back(self, kind: str, tasks: list[Task]) -> None:
        """Programs that a worker did not get to: first in the queue, in their order."""
        with self._lock:
            self._queues[kind].extendleft(reversed(tasks))

    def finish(self, task: Task, result: Result) -> None:
        """Give a program's Result to all who wait for it, and remember it."""
        now = time.monotonic()
        with self._lock:
            if self._flying.pop(task.key, None) is None:
                return
            self._cache.put(task.key, result)
            for _, asked in task.futures:
                self._statuses[result.status.value] += 1
                self._latencies.append(now - asked)
        for future, _ in task.futures:
            future.set_result(result)

    def close(self) -> None:
        """Take no further programs."""
        with self._lock:
            self.closing = True

    def abort(self, failure: str | None) -> None:
        """No more programs: who still waits gets a UserError. failure: why, where nobody has closed the queue."""
        with self._lock:
            self.failure = failure or ("it is closed" if self.closing else "its manager has ended")
            left = list(self._flying.values())
            self._flying.clear()
            for queue in self._queues.values():
                queue.clear()
        for task in left:
            for future, _ in task.futures:
                future.set_exception(UserError(f"the program was given up: the engine pool has ended ({self.failure})"))

    def telemetry(self) -> dict[str, Any]:
        """Counts, fractions by status, latencies in ms from `add` to the Result, queue depth."""
        with self._lock:
            times = sorted(self._latencies)
            statuses, counts = dict(self._statuses), dict(self.counts)
            queued = sum(map(len, self._queues.values()))
            running, kept = len(self._flying) - queued, len(self._cache)
        done = sum(statuses.values())
        pick = lambda share: round(1000 * times[min(len(times) - 1, int(share * len(times)))], 3) if times else 0.0
        names = ("submitted", "cache_hits", "joined", "restarts", "recycled", "killed", "stalls")
        return {
            **{name: counts.get(name, 0) for name in names}, "done": done, "queued": queued, "running": running,
            "cached": kept, "status": {name: count / done for name, count in sorted(statuses.items())},
            "latency_ms": {"p50": pick(0.5), "p95": pick(0.95), "max": pick(1.0)},
        }  # fmt: skip
