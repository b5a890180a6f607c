"""The supervisor owns the processes of a pool, from the start of each to its end: zygotes, and the workers that they
fork.

`poll` reports what the processes did, and changes nothing that a program depends on; whoever asked answers with
`replace`, `restart` and `send`. Nothing here looks into a program.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

from nsrl.engines.pool import protocol, sandbox
from nsrl.engines.pool.processes import Worker, Zygote

_SPARE = {"native": 1, "python": 0}  # workers that stand by: a killed one is replaced at no cost in time
_START_S = 60.0
_LINGER_S = 1.0  # for the zygote to report the end of a worker whose socket has ended
_SUSPENDED_S = 1.0
_FAILURES = 5  # starts in a row that may fail before the pool gives up


@dataclass(frozen=True)
class Frame:
    """What a worker sent: the number of a program or CANCEL, and bytes that nobody has checked."""

    worker: Worker
    number: int
    payload: bytes


@dataclass(frozen=True)
class Exited:
    """A worker is dead, with its wait status, or must be (status 0): it does not keep to the protocol or to its times.

    Frames that it sent before stand before this in `poll`'s list.
    """

    worker: Worker
    status: int


@dataclass(frozen=True)
class Lost:
    """A zygote is dead or does not start. Its workers die with it: their `Exited` stand before this."""

    zygote: Zygote


class Waker:
    """Ends a wait in a selector from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        os.set_blocking(self._in, False)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._out

    def wake(self) -> None:
        """End the wait, now or when the next one begins. Any thread may call it, also after `close`."""
        with self._lock:  # never into a number that `close` has let go
            if self._in >= 0:
                with contextlib.suppress(BlockingIOError):  # it is being woken already
                    os.write(self._in, b"x")

    def clear(self) -> None:
        """The wait has ended: the next one is a new one."""
        os.read(self._out, 4096)

    def close(self) -> None:
        """Give the descriptors back. Twice is once."""
        with self._lock:
            if self._in >= 0:
                os.close(self._in)
                os.close(self._out)
                self._in = self._out = -1


class Supervisor:
    """Owns zygotes and workers.

    languages: what the workers evaluate; count: workers of a kind that run programs at once; allow_unsandboxed: go on
    where the system gives no walls; counts: telemetry, where restarts are counted. `failure` is the sentence for
    everyone who waits once there is no going on; `sandbox` has, by kind, the walls that the first worker reported.
    """

    def __init__(self, languages: list[str], count: int, allow_unsandboxed: bool, counts: Counter[str]) -> None:
        self.languages, self.count, self.allow, self.counts = languages, count, allow_unsandboxed, counts
        self.sandbox: dict[str, dict[str, list[str]]] = {}
        self.failure: str | None = None
        self.zygotes: dict[str, Zygote] = {}
        self.workers: dict[int, Worker] = {}
        self.waker = Waker()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.waker, selectors.EVENT_READ, None)
        self._numbers = 0
        self._failures = 0  # starts that failed, in a row
        self._awake = time.monotonic()

    # What the processes did.

    def poll(self, timeout: float) -> list[Frame | Exited | Lost]:
        """What zygotes and workers did, in order; waits at most `timeout` seconds for something."""
        events = self._selector.select(timeout)
        now = time.monotonic()
        overslept, self._awake = now - self._awake - timeout, now
        if overslept > _SUSPENDED_S:  # the machine stood still, and the programs with it
            for worker in self.workers.values():
                worker.since += overslept
                worker.suspended = bool(worker.pipe)
        found: list[Frame | Exited | Lost] = []
        for key, mask in events:
            owner = key.data
            if owner is None:
                self.waker.clear()
            elif isinstance(owner, Zygote):
                found += self._hear(owner)
            elif not owner.closed:  # its zygote may have reported its end just now
                if mask & selectors.EVENT_WRITE:
                    self.send(owner)
                if mask & selectors.EVENT_READ:
                    found += self._receive(owner)
        for worker in self.workers.values():
            if self._start_or_end_by(worker) <= now:
                found.append(Exited(worker, 0))
        for zygote in self.zygotes.values():
            if not zygote.ready and now - zygote.started > _START_S:
                found += self._lost(zygote)
        return found

    def next_deadline(self) -> float:
        """When a process will be late to start or to end, on the monotonic clock."""
        return min(map(self._start_or_end_by, self.workers.values()), default=float("inf"))

    def _start_or_end_by(self, worker: Worker) -> float:
        if not worker.hello:
            return worker.since + _START_S
        return worker.since + _LINGER_S if worker.closed else float("inf")

    def _hear(self, zygote: Zygote) -> list[Frame | Exited | Lost]:
        messages = zygote.read()
        if messages is None:
            return self._lost(zygote)
        found: list[Frame | Exited | Lost] = []
        for message in messages:
            if "ready" in message:
                zygote.ready = True
                for _ in range(self.count + _SPARE[zygote.kind]):
                    self._spawn(zygote.kind)
            elif "spawned" in message:
                worker = self.workers.get(message["spawned"])
                if worker is not None:
                    worker.attach(message["pid"])
                else:  # it was given up before it was forked
                    os.kill(message["pid"], signal.SIGKILL)
            elif (worker := self.workers.get(message["died"])) is not None:
                found += [*self._receive_all(worker), Exited(worker, message["status"])]
        return found

    def _lost(self, zygote: Zygote) -> list[Frame | Exited | Lost]:
        workers = [worker for worker in self.workers.values() if worker.kind == zygote.kind]
        return [*(Exited(worker, 0) for worker in workers), Lost(zygote)]

    def _receive_all(self, worker: Worker) -> list[Frame | Exited | Lost]:
        """What a dead worker said last."""
        found: list[Frame | Exited | Lost] = []
        while not worker.closed and not any(isinstance(message, Exited) for message in found):
            found += self._receive(worker)
        return found

    def _receive(self, worker: Worker) -> list[Frame | Exited | Lost]:
        try:
            frames = worker.read()
        except protocol.BadFrame:
            return [Exited(worker, 0)]
        if worker.closed:
            self._selector.unregister(worker.sock)
            worker.since = time.monotonic()
        found: list[Frame | Exited | Lost] = []
        for number, payload in frames:
            if number == protocol.HELLO and not worker.hello:  # before any program
                self._greet(worker, payload)
            else:
                found.append(Frame(worker, number, payload))
        return found

    def _greet(self, worker: Worker, payload: bytes) -> None:
        """Take note of the walls that a new worker reports. Without any the pool ends."""
        hello = json.loads(payload)
        worker.hello = True
        worker.since = time.monotonic()
        self._failures = 0
        layers = [name for name in sandbox.LAYERS if hello["layers"].get(name)]
        self.sandbox[worker.kind] = {"layers": layers, "allowed": hello["broken"]}
        if sandbox.LINUX and not self.allow and not {"seccomp", "namespaces"} & set(layers):
            self.failure = (
                "the engine's sandbox needs seccomp or namespaces, and this system gives neither; "
                "pass allow_unsandboxed=True (--allow-unsandboxed) to run programs without"
            )

    # What is done to them.

    def start(self, kind: str) -> None:
        """Start the zygote of a kind of worker; it forks `count` of them, and the spare ones, when it is ready."""
        zygote = self.zygotes[kind] = Zygote(kind, self.languages)
        self._selector.register(zygote.control, selectors.EVENT_READ, zygote)

    def restart(self, zygote: Zygote) -> None:
        """Start a zygote in the place of one that is lost. Its workers must have been replaced."""
        if self.zygotes.get(zygote.kind) is not zygote:
            return
        self._selector.unregister(zygote.control)
        zygote.stop()
        del self.zygotes[zygote.kind]
        self._count_failure()
        if self.failure is None:
            self.start(zygote.kind)

    def replace(self, worker: Worker, exited: bool = False) -> None:
        """Kill a worker if it lives and order another one. exited: it ended by itself, which is counted."""
        del self.workers[worker.number]
        if not worker.closed:
            self._selector.unregister(worker.sock)
        worker.terminate()
        if exited and not worker.hello:
            self._count_failure()
        elif exited:
            self.counts["restarts"] += 1
        self._spawn(worker.kind)

    def send(self, worker: Worker, data: bytes = b"") -> None:
        """Write to a worker, and listen for room while something is left to write."""
        more = worker.write(data)
        if not worker.closed:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0)
            self._selector.modify(worker.sock, events, worker)

    def able(self, kind: str) -> list[Worker]:
        """Workers of a kind that can run programs, the oldest first."""
        return [w for w in self.workers.values() if w.kind == kind and w.hello and not w.closed]

    def stop(self) -> None:
        """End every process. The waker is left to its owner: other threads may still call it."""
        for worker in self.workers.values():
            worker.terminate()
        for zygote in self.zygotes.values():
            zygote.stop()
        self._selector.close()

    def _spawn(self, kind: str) -> None:
        """Order a further worker from the zygote of its kind."""
        zygote = self.zygotes.get(kind)
        if zygote is None or not zygote.ready:
            return  # its workers are ordered when it is ready
        self._numbers += 1
        try:
            sock = zygote.fork(self._numbers)
        except OSError:
            return  # it is dead: `poll` hears of it, and a new one forks its own
        worker = self.workers[self._numbers] = Worker(kind, self._numbers, sock)
        self._selector.register(sock, selectors.EVENT_READ, worker)

    def _count_failure(self) -> None:
        """Count a process that did not start; too many in a row end the pool."""
        self._failures += 1
        self.counts["restarts"] += 1
        if self._failures > _FAILURES:
            self.failure = "the engine's workers do not start here; see the messages on standard error"
