"""Room 5: run programs in killable, sandboxed workers, while other completions are still being sampled.

`submit` never waits: it answers from the cache, joins an identical program that is already running, or queues. One
manager thread owns the processes: it feeds workers, watches the wall clock of each program, kills what overruns, and
puts the programs queued behind a dead worker into another one. No program can raise here; each has a `Result`.
Knows nothing of models, rewards or what a program means.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from nsrl.engines import frames, registry, sandbox
from nsrl.engines.cache import ResultCache
from nsrl.engines.extract import LANGUAGES
from nsrl.engines.processes import Worker, Zygote
from nsrl.engines.result import Limits, Result, Status
from nsrl.errors import UserError

_DEPTH = {"native": 24, "python": 3}  # programs in one worker's pipe at most
_STEAL_S = 0.03  # a program that runs longer than this no longer holds up those queued behind it
_GRACE_S = {"native": 0.0, "python": 0.2}  # the Python arm's server keeps the time; the parent is behind it
_START_S = 60.0
_FAILURES = 5  # starts in a row that may fail before the pool gives up


class _Task:
    __slots__ = ("attempts", "began", "futures", "key", "language", "limits", "number", "program", "solo")

    def __init__(self, number: int, key: Any, language: str, program: str, limits: Limits, future: Future) -> None:
        self.number, self.key, self.language, self.program, self.limits = number, key, language, program, limits
        self.futures = [(future, time.monotonic())]
        self.attempts = 0
        self.solo = False  # it was in a worker that died: alone in the next one


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
            registry.check_language(language) if languages is None else registry.require(language)
        self.languages = tuple(language for language in chosen if registry.present(language))
        self.workers = workers
        self.sandbox: dict[str, Any] = {}
        self._versions = {language: registry.version(language) for language in self.languages}
        self._allow, self._recycle = allow_unsandboxed, recycle
        self._lock = threading.Lock()
        self._cache = ResultCache(cache)
        self._queues: dict[str, deque[_Task]] = {"native": deque(), "python": deque()}
        self._flying: dict[Any, _Task] = {}
        self._counter = 0
        self._statuses: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=20_000)
        self._closing = False
        self._asleep = False
        self._failure: str | None = None
        self._started = threading.Event()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._thread = threading.Thread(target=self._manage, name="nsrl-engines", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            failure = self._failure
            self.close()
            raise UserError(failure)
        if not sandbox.LINUX:
            warnings.warn("nsrl.engines: no kernel sandbox on this system; programs run under rlimits only", stacklevel=2)

    # What callers use.

    def submit(self, language: str, program: str, limits: Limits | None = None) -> Future[Result]:
        """Queue a program; the future always holds a Result in the end, unless the pool is closed first."""
        if language not in self.languages:
            registry.require(language)
            raise UserError(f"language {language!r} was not started in this pool; it has {', '.join(self.languages)}")
        if not isinstance(program, str):
            raise UserError(f"program must be a text; got {type(program).__name__}")
        bounds = self.limits if limits is None else check_limits(limits)
        key = (language, self._versions[language], program, bounds)
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closing or self._failure is not None:
                raise UserError(f"the engine pool cannot run programs: {self._failure or 'it is closed'}")
            self._counts["submitted"] += 1
            known = self._cache.get(key)
            if known is None:
                task = self._flying.get(key)
                if task is not None:
                    self._counts["joined"] += 1
                    task.futures.append((future, time.monotonic()))
                    return future
                self._counter += 1
                task = _Task(self._counter, key, language, program, bounds, future)
                self._flying[key] = task
                self._queues[registry.KIND[language]].append(task)
                wake, self._asleep = self._asleep, False
            else:
                self._counts["cache_hits"] += 1
                self._statuses[known.status.value] += 1
                self._latencies.append(0.0)
                wake = False
        if known is not None:
            future.set_result(known)
        elif wake:
            self._wake()
        return future

    def run(self, language: str, program: str, limits: Limits | None = None) -> Result:
        """Run one program and wait for its Result."""
        return self.submit(language, program, limits).result()

    def map(self, language: str, programs: Iterable[str], limits: Limits | None = None) -> list[Result]:
        """Run programs and wait for all; Results in the order of the programs."""
        return [future.result() for future in [self.submit(language, program, limits) for program in programs]]

    def stats(self) -> dict[str, Any]:
        """Telemetry: counts, fractions by status, latency percentiles in ms, queue depth, restarts, sandbox."""
        with self._lock:
            times = sorted(self._latencies)
            statuses, counts = dict(self._statuses), dict(self._counts)
            queued = sum(map(len, self._queues.values()))
            running = len(self._flying) - queued
            kept = len(self._cache)
        done = sum(statuses.values())
        pick = lambda q: round(1000 * times[min(len(times) - 1, int(q * len(times)))], 3) if times else 0.0
        return {
            "submitted": counts.get("submitted", 0), "done": done, "queued": queued, "running": running,
            "status": {name: count / done for name, count in sorted(statuses.items())},
            "latency_ms": {"p50": pick(0.5), "p95": pick(0.95), "max": round(1000 * times[-1], 3) if times else 0.0},
            "cache_hits": counts.get("cache_hits", 0), "joined": counts.get("joined", 0), "cached": kept,
            "restarts": counts.get("restarts", 0), "recycled": counts.get("recycled", 0),
            "killed": counts.get("killed", 0), "sandbox": dict(self.sandbox),
        }  # fmt: skip

    def close(self) -> None:
        """End every process. Programs not yet done are given up: their futures raise UserError."""
        with self._lock:
            self._closing = True
        self._wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        if self._wake_in >= 0:
            os.close(self._wake_in)
            os.close(self._wake_out)
            self._wake_in = self._wake_out = -1

    def __enter__(self) -> EnginePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        if self._wake_in >= 0:
            try:
                os.write(self._wake_in, b"x")
            except BlockingIOError:
                return  # it is being woken already

    # The manager thread: everything below runs in it alone.

    def _manage(self) -> None:
        try:
            _Manager(self).run()
        finally:
            with self._lock:
                self._failure = self._failure or ("it is closed" if self._closing else "its manager has ended")
                left = list(self._flying.values())
                self._flying.clear()
                for queue in self._queues.values():
                    queue.clear()
            for task in left:
                for future, _ in task.futures:
                    future.set_exception(UserError(f"the program was given up: the engine pool has ended ({self._failure})"))
            self._started.set()

    def _finish(self, task: _Task, result: Result) -> None:
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


class _Manager:
    """The loop that owns zygotes and workers."""

    def __init__(self, pool: EnginePool) -> None:
        self.pool = pool
        self.selector = selectors.DefaultSelector()
        self.zygotes: dict[str, Zygote] = {}
        self.workers: dict[int, Worker] = {}
        self.numbers = 0
        self.failures = 0
        kinds = {registry.KIND[language] for language in pool.languages}
        self.kinds = [kind for kind in ("native", "python") if kind in kinds]

    def run(self) -> None:
        if not self.kinds:
            self.pool._started.set()
        else:
            self.start(self.kinds[0])
        self.selector.register(self.pool._wake_out, selectors.EVENT_READ, None)
        try:
            while not self.pool._closing and self.pool._failure is None:
                self.turn()
        finally:
            for worker in self.workers.values():
                worker.dispose()
            for zygote in self.zygotes.values():
                zygote.stop()
            self.selector.close()

    def turn(self) -> None:
        with self.pool._lock:
            # `submit` writes to the pipe only when this is set, so what is queued now is dispatched below or before.
            self.pool._asleep = not any(self.pool._queues.values())
        for key, mask in self.selector.select(self.timeout()):
            owner = key.data
            if owner is None:
                os.read(self.pool._wake_out, 4096)
            elif isinstance(owner, Zygote):
                self.hear(owner)
            elif owner.number in self.workers:
                if mask & selectors.EVENT_WRITE:
                    self.push(owner)
                if mask & selectors.EVENT_READ:
                    self.receive(owner)
        self.watch()
        for kind in self.kinds:
            self.dispatch(kind)

    def timeout(self) -> float:
        now = time.monotonic()
        waits = [0.5]
        for worker in self.workers.values():
            waits.append(self.deadline(worker) - now)
            if len(worker.pipe) > 1 and not worker.cancelling:
                waits.append(max(worker.since + _STEAL_S - now, 0.005))
        return max(0.0, min(waits))

    def deadline(self, worker: Worker) -> float:
        if not worker.hello:
            return worker.since + _START_S
        if worker.closed or (worker.cancelling and not worker.pipe):
            return worker.since + 1.0
        if not worker.pipe:
            return float("inf")
        head = next(iter(worker.pipe.values()))
        return worker.since + head.limits.wall_s + _GRACE_S[worker.kind]

    # Starting and ending.

    def start(self, kind: str) -> None:
        zygote = Zygote(kind, self.pool._versions)
        self.zygotes[kind] = zygote
        self.selector.register(zygote.control, selectors.EVENT_READ, zygote)

    def fail(self, sentence: str) -> None:
        self.pool._failure = sentence
        self.pool._started.set()

    def spawn(self, kind: str) -> None:
        zygote = self.zygotes.get(kind)
        if zygote is None or not zygote.ready:
            return  # its workers are ordered when it is ready
        self.numbers += 1
        try:
            sock = zygote.ask(self.numbers)
        except OSError:
            self.lost(zygote)
            return
        worker = Worker(kind, self.numbers, sock)
        self.workers[worker.number] = worker
        self.selector.register(sock, selectors.EVENT_READ, worker)

    def hear(self, zygote: Zygote) -> None:
        messages = zygote.read()
        if messages is None:
            self.lost(zygote)
            return
        for message in messages:
            if "ready" in message:
                zygote.ready = True
                for _ in range(self.pool.workers):
                    self.spawn(zygote.kind)
            elif "spawned" in message:
                worker = self.workers.get(message["spawned"])
                if worker is not None:
                    worker.born(message["pid"])
                else:  # it was given up before it was born
                    os.kill(message["pid"], signal.SIGKILL)
            elif (worker := self.workers.get(message["died"])) is not None:
                while not worker.closed and worker.number in self.workers:
                    self.receive(worker)  # what it said last
                if worker.number in self.workers:
                    self.died(worker, message["status"])

    def lost(self, zygote: Zygote) -> None:
        """A zygote died, and its workers with it: start over."""
        if self.zygotes.get(zygote.kind) is not zygote:
            return
        self.selector.unregister(zygote.control)
        zygote.stop()
        del self.zygotes[zygote.kind]
        for worker in [worker for worker in self.workers.values() if worker.kind == zygote.kind]:
            self.died(worker, 0)
        self.setback()
        if self.pool._failure is None:
            self.start(zygote.kind)

    def setback(self) -> None:
        self.failures += 1
        self.pool._counts["restarts"] += 1
        if self.failures > _FAILURES:
            self.fail("the engine's workers do not start here; see the messages on standard error")

    def remove(self, worker: Worker) -> list[_Task]:
        """Take a worker away, kill it if it lives, and return what was in its pipe."""
        del self.workers[worker.number]
        if not worker.closed:
            self.selector.unregister(worker.sock)
        worker.dispose()
        return list(worker.pipe.values())

    def died(self, worker: Worker, status: int) -> None:
        """A worker ended by itself: its oldest program is to blame, or nobody."""
        tasks = self.remove(worker)
        if not worker.hello:
            self.setback()
        else:
            self.pool._counts["restarts"] += 1
        if tasks:
            head = tasks[0]
            head.attempts += 1
            signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            if signalled in (signal.SIGPROF, signal.SIGXCPU):
                self.finish(head, Status.TIMEOUT)
                tasks = tasks[1:]
            elif head.attempts > 1:
                self.finish(head, Status.CRASH)
                tasks = tasks[1:]
            else:
                head.solo = True
        self.requeue(worker.kind, tasks)
        self.spawn(worker.kind)

    def finish(self, task: _Task, status: Status) -> None:
        version = self.pool._versions[task.language]
        self.pool._finish(task, Result(status, engine=task.language, version=version))

    def requeue(self, kind: str, tasks: list[_Task]) -> None:
        with self.pool._lock:
            self.pool._queues[kind].extendleft(reversed(tasks))

    # Programs.

    def receive(self, worker: Worker) -> None:
        try:
            received = worker.read()
            for number, payload in received:
                if number == frames.HELLO:
                    self.greet(worker, json.loads(payload))
                elif number == frames.CANCEL:
                    worker.cancelling = False
                    worker.since = time.monotonic()
                elif (task := worker.pipe.get(number)) is not None:
                    result = frames.decode_result(payload)
                    del worker.pipe[number]
                    worker.served += 1
                    worker.since = time.monotonic()
                    if result.status is Status.MEMORY and worker.kind == "native":
                        worker.served += self.pool._recycle  # its heap may be in pieces: a fresh one is cheap
                    self.pool._finish(task, result)
        except frames.BadFrame:
            self.died(worker, 0)
            return
        if worker.closed:
            self.selector.unregister(worker.sock)
            worker.since = time.monotonic()
            if worker.kind not in self.zygotes:
                self.died(worker, 0)

    def greet(self, worker: Worker, hello: dict[str, Any]) -> None:
        worker.hello = True
        worker.since = time.monotonic()
        self.failures = 0
        layers = [name for name in sandbox.LAYERS if hello["layers"].get(name)]
        self.pool.sandbox[worker.kind] = {"layers": layers, "allowed": hello["broken"]}
        if sandbox.LINUX and not self.pool._allow and not {"seccomp", "namespaces"} & set(layers):
            self.fail(
                "the engine's sandbox needs seccomp or namespaces, and this system gives neither; "
                "pass allow_unsandboxed=True (--allow-unsandboxed) to run programs without"
            )
        if worker.kind == self.kinds[0]:
            if len(self.kinds) > 1 and self.kinds[1] not in self.zygotes:
                self.start(self.kinds[1])  # SymPy warms up behind the native workers, which can run already
            self.pool._started.set()

    def watch(self) -> None:
        """Kill what is over its time."""
        now = time.monotonic()
        for worker in [worker for worker in self.workers.values() if self.deadline(worker) <= now]:
            if not worker.hello or worker.closed:
                self.died(worker, 0)
                continue
            tasks = self.remove(worker)
            if tasks and not worker.cancelling:
                self.pool._counts["killed"] += 1
                self.finish(tasks[0], Status.TIMEOUT)
                tasks = tasks[1:]
            self.requeue(worker.kind, tasks)
            self.spawn(worker.kind)
        for kind in self.kinds:
            zygote = self.zygotes.get(kind)
            if zygote is not None and not zygote.ready and now - zygote.started > _START_S:
                self.lost(zygote)

    def dispatch(self, kind: str) -> None:
        queue = self.pool._queues[kind]
        free = [w for w in self.workers.values() if w.kind == kind and w.hello and not w.closed and not w.cancelling]
        for worker in free:
            if worker.served >= self.pool._recycle and not worker.pipe:
                self.pool._counts["recycled"] += 1
                self.remove(worker)
                self.spawn(kind)
        free = [worker for worker in free if worker.served < self.pool._recycle]
        if queue:
            for worker in sorted(free, key=lambda w: len(w.pipe)):
                self.feed(worker, queue)
        elif any(not worker.pipe for worker in free):
            self.steal(kind)

    def feed(self, worker: Worker, queue: deque[_Task]) -> None:
        with self.pool._lock:
            if any(task.solo for task in worker.pipe.values()):
                return
            # An even share of what waits, so that no worker ends long after the others.
            room = min(_DEPTH[worker.kind], len(queue) // (2 * self.pool.workers) + 1) - len(worker.pipe)
            chosen: list[_Task] = []
            while queue and room > 0:
                if queue[0].solo and (worker.pipe or chosen):
                    break
                chosen.append(queue.popleft())
                room = 0 if chosen[-1].solo else room - 1
        if not chosen:
            return
        if not worker.pipe:
            worker.since = time.monotonic()
        data = bytearray()
        for task in chosen:
            worker.pipe[task.number] = task
            data += frames.pack(task.number, frames.encode_task(task.language, task.program, task.limits))
        self.push(worker, bytes(data))

    def push(self, worker: Worker, data: bytes = b"") -> None:
        more = worker.write(data)
        if not worker.closed:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0)
            self.selector.modify(worker.sock, events, worker)

    def steal(self, kind: str) -> None:
        """Free the programs behind a slow one, now that another worker has nothing to do."""
        now = time.monotonic()
        for worker in self.workers.values():
            slow = worker.kind == kind and len(worker.pipe) > 1 and now - worker.since > _STEAL_S
            if slow and not worker.cancelling and not worker.closed:
                (head, *rest) = worker.pipe.values()
                worker.pipe.clear()
                worker.pipe[head.number] = head
                worker.cancelling = True
                self.push(worker, frames.pack(frames.CANCEL, b""))
                self.requeue(kind, rest)
                return


def check_limits(limits: Limits) -> Limits:
    """`limits` if every bound is positive. Raises UserError."""
    for name, value in vars(limits).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0 or value == float("inf"):
            raise UserError(f"limits.{name} must be a positive number; got {value!r}")
    return limits
