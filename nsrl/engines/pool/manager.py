"""The manager of a pool's processes: one loop in one thread. It feeds workers, watches the clock, replaces the dead.

Programs in a worker's pipe run in order, so the oldest one is the one that runs: its clock starts when it became the
oldest. What a worker did not get to goes back to the queue and to another worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import threading
import time
from typing import Any

from nsrl.engines import languages
from nsrl.engines.pool import protocol, sandbox
from nsrl.engines.pool.processes import Worker, Zygote
from nsrl.engines.pool.queue import KINDS, ProgramQueue, Task
from nsrl.engines.pool.worker import ended_by
from nsrl.engines.result import Result, Status

_DEPTH = {"native": 24, "python": 3}  # programs in one worker's pipe at most
_SPARE = {"native": 1, "python": 0}  # workers that stand by: a killed one is replaced at no cost in time
_STEAL_S = 0.03  # a program that runs longer than this no longer holds up those queued behind it
_START_S = 60.0
_SUSPENDED_S = 1.0
_FAILURES = 5  # starts in a row that may fail before the pool gives up


class Manager:
    """The loop that owns zygotes and workers."""

    def __init__(self, queue: ProgramQueue, workers: int, allow_unsandboxed: bool, recycle: int) -> None:
        self.queue, self.count, self.allow, self.recycle = queue, workers, allow_unsandboxed, recycle
        self.sandbox: dict[str, Any] = {}  # by kind: the layers in force, and what the self-test could still do
        self.started = threading.Event()  # the first worker can run programs, or none ever will
        self.wake_out, self.wake_in = os.pipe()
        os.set_blocking(self.wake_in, False)
        os.set_blocking(self.wake_out, False)
        self.pipe_lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.zygotes: dict[str, Zygote] = {}
        self.workers: dict[int, Worker] = {}
        self.numbers = 0
        self.failures = 0
        self.awake = time.monotonic()
        kinds = {languages.KIND[language] for language in queue.versions}
        self.kinds = [kind for kind in KINDS if kind in kinds]

    def wake(self) -> None:
        """Called by other threads: there is something to do."""
        with self.pipe_lock:  # never into a number that `release` has let go
            if self.wake_in >= 0:
                with contextlib.suppress(BlockingIOError):  # it is being woken already
                    os.write(self.wake_in, b"x")

    def run(self) -> None:
        """The thread's whole life: until the queue is closed, or no worker will start."""
        try:
            if self.kinds:
                self.start(self.kinds[0])
            else:
                self.started.set()
            self.selector.register(self.wake_out, selectors.EVENT_READ, None)
            while not self.queue.closing and self.queue.failure is None:
                self.turn()
        finally:
            self.queue.give_up()
            self.started.set()
            for worker in self.workers.values():
                worker.dispose()
            for zygote in self.zygotes.values():
                zygote.stop()
            self.selector.close()

    def turn(self) -> None:
        """One turn of the loop: wait for what comes first, hear it, then watch times and feed workers."""
        self.queue.rest()
        allowed = self.timeout()
        events = self.selector.select(allowed)
        awake = time.monotonic()
        overslept, self.awake = awake - self.awake - allowed, awake
        if overslept > _SUSPENDED_S:  # the machine stood still, and the programs with it
            for worker in self.workers.values():
                worker.since += overslept
                worker.suspended = bool(worker.pipe)
        for key, mask in events:
            owner = key.data
            if owner is None:
                os.read(self.wake_out, 4096)
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
        """Seconds until the next deadline, at most half a second."""
        now = time.monotonic()
        waits = [0.5]
        for worker in self.workers.values():
            waits.append(self.deadline(worker) - now)
            if len(worker.pipe) > 1 and not worker.cancelling:
                waits.append(max(worker.since + _STEAL_S - now, 0.005))
        return max(0.0, min(waits))

    def deadline(self, worker: Worker) -> float:
        """When a worker is over its time, on the monotonic clock."""
        if not worker.hello:
            return worker.since + _START_S
        if worker.closed or (worker.cancelling and not worker.pipe):
            return worker.since + 1.0
        if not worker.pipe:
            return float("inf")
        head = next(iter(worker.pipe.values()))
        return worker.since + head.limits.wall_s - head.spent

    def release(self) -> None:
        """Close what woke the thread, after its end."""
        with self.pipe_lock:
            if self.wake_in >= 0:
                os.close(self.wake_in)
                os.close(self.wake_out)
                self.wake_in = self.wake_out = -1

    # Starting and ending.

    def start(self, kind: str) -> None:
        """Start the zygote of a kind of worker."""
        zygote = Zygote(kind, list(self.queue.versions))
        self.zygotes[kind] = zygote
        self.selector.register(zygote.control, selectors.EVENT_READ, zygote)

    def fail(self, sentence: str) -> None:
        """End the pool with a sentence that every caller gets."""
        self.queue.failure = sentence
        self.started.set()

    def spawn(self, kind: str) -> None:
        """Order a further worker from the zygote of its kind."""
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
        """Read what a zygote says: that it is ready, that a worker was born or has died."""
        messages = zygote.read()
        if messages is None:
            self.lost(zygote)
            return
        for message in messages:
            if "ready" in message:
                zygote.ready = True
                for _ in range(self.count + _SPARE[zygote.kind]):
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
        if self.queue.failure is None:
            self.start(zygote.kind)

    def setback(self) -> None:
        """Count a worker that did not start; too many in a row end the pool."""
        self.failures += 1
        self.queue.counts["restarts"] += 1
        if self.failures > _FAILURES:
            self.fail("the engine's workers do not start here; see the messages on standard error")

    def remove(self, worker: Worker) -> list[Task]:
        """Take a worker away, kill it if it lives, and return what was in its pipe."""
        del self.workers[worker.number]
        if not worker.closed:
            self.selector.unregister(worker.sock)
        worker.dispose()
        return list(worker.pipe.values())

    def retire(self, worker: Worker) -> None:
        """Replace a worker that has done nothing wrong lately; another one gets what it had not begun."""
        self.queue.counts["recycled"] += 1
        self.queue.put_back(worker.kind, self.remove(worker))
        self.spawn(worker.kind)

    def died(self, worker: Worker, status: int) -> None:
        """A worker ended by itself: its oldest program is to blame, or nobody."""
        tasks = self.remove(worker)
        if not worker.hello:
            self.setback()
        else:
            self.queue.counts["restarts"] += 1
        if tasks:
            head = tasks[0]
            head.attempts += 1
            head.spent += time.monotonic() - worker.since
            timed_out = ended_by(status) in (signal.SIGPROF, signal.SIGXCPU)
            if timed_out and self.excused(worker, head, Status.TIMEOUT):
                head.attempts -= 1
            elif timed_out:
                self.queue.finish(head, self.queue.outcome(head.language, Status.TIMEOUT))
                tasks = tasks[1:]
            elif head.attempts > 1:
                self.queue.finish(head, self.queue.outcome(head.language, Status.CRASH))
                tasks = tasks[1:]
            else:
                head.solo = True
        self.queue.put_back(worker.kind, tasks)
        self.spawn(worker.kind)

    # Programs.

    def excused(self, worker: Worker, task: Task, status: Status) -> bool:
        """Is the program out of time because the machine stood still while it ran? Some charge that to its CPU time."""
        suspended, worker.suspended = worker.suspended, False
        if not suspended or status is not Status.TIMEOUT or task.stalled:
            return False
        self.queue.counts["stalls"] += 1
        task.stall()
        return True

    def receive(self, worker: Worker) -> None:
        """Read the Results of a worker and finish their programs; a frame that is not as agreed ends the worker."""
        try:
            received = worker.read()
            for number, payload in received:
                if number == protocol.HELLO and not worker.hello:  # before any program
                    self.greet(worker, json.loads(payload))
                elif number == protocol.CANCEL and worker.cancelling:  # said unasked it would only win time
                    worker.cancelling = False
                    worker.since = time.monotonic()
                elif (task := worker.pipe.get(number)) is not None:
                    if number != next(iter(worker.pipe)):
                        raise protocol.BadFrame("a Result of a program that another one precedes")
                    result = protocol.decode_result(
                        payload, task.language, self.queue.versions[task.language], task.limits
                    )
                    del worker.pipe[number]
                    worker.served += 1
                    worker.since = time.monotonic()
                    if self.excused(worker, task, result.status):
                        self.queue.put_back(worker.kind, [task])
                    else:
                        self.queue.finish(task, result)
                    if worker.kind == "native" and _spent(result):
                        self.retire(worker)
                        return
        except protocol.BadFrame:
            self.died(worker, 0)
            return
        if worker.closed:
            self.selector.unregister(worker.sock)
            worker.since = time.monotonic()
            if worker.kind not in self.zygotes:
                self.died(worker, 0)

    def greet(self, worker: Worker, hello: dict[str, Any]) -> None:
        """Take note of the walls that a new worker reports. Without any the pool ends."""
        worker.hello = True
        worker.since = time.monotonic()
        self.failures = 0
        layers = [name for name in sandbox.LAYERS if hello["layers"].get(name)]
        self.sandbox[worker.kind] = {"layers": layers, "allowed": hello["broken"]}
        if sandbox.LINUX and not self.allow and not {"seccomp", "namespaces"} & set(layers):
            self.fail(
                "the engine's sandbox needs seccomp or namespaces, and this system gives neither; "
                "pass allow_unsandboxed=True (--allow-unsandboxed) to run programs without"
            )
        if worker.kind == self.kinds[0]:
            self.started.set()

    def watch(self) -> None:
        """Kill what is over its time, unless the machine is to blame: CPU time decides, and the kernel keeps that."""
        now = time.monotonic()
        for worker in [worker for worker in self.workers.values() if self.deadline(worker) <= now]:
            if not worker.hello or worker.closed:
                self.died(worker, 0)
                continue
            # While a worker is told to drop the others nothing is added: the oldest still is the one that runs.
            head, activity = next(iter(worker.pipe.values()), None), worker.activity()
            held_up = head is not None and not head.stalled and activity != "waits"
            if head is not None and held_up:
                self.queue.counts["stalls"] += 1
                head.stall()
                if activity == "busy":  # it works, slowly: its time is only longer now
                    continue
                head.solo = True  # it is stopped: another worker does it again
            tasks = self.remove(worker)
            if head is not None and not held_up:
                self.queue.counts["killed"] += 1
                self.queue.finish(head, self.queue.outcome(head.language, Status.TIMEOUT))
                tasks = tasks[1:]
            self.queue.put_back(worker.kind, tasks)
            self.spawn(worker.kind)
        for kind in self.kinds:
            zygote = self.zygotes.get(kind)
            if zygote is not None and not zygote.ready and now - zygote.started > _START_S:
                self.lost(zygote)

    def dispatch(self, kind: str) -> None:
        """Give what waits to the workers of a kind, the emptiest first."""
        if kind not in self.zygotes and self.queue.waiting(kind):
            self.start(kind)  # SymPy takes most of a second to import: only who has a program for it waits
        able = [
            worker for worker in self.workers.values() if worker.kind == kind and worker.hello and not worker.closed
        ]
        free = [worker for worker in able[: self.count] if not worker.cancelling]  # the youngest stands by
        for worker in free:
            if worker.served >= self.recycle and not worker.pipe:
                self.retire(worker)
        free = [worker for worker in free if worker.served < self.recycle]
        if self.queue.waiting(kind):
            for worker in sorted(free, key=lambda w: len(w.pipe)):
                self.feed(worker)
        elif any(not worker.pipe for worker in free):
            self.steal(kind)

    def feed(self, worker: Worker) -> None:
        """Fill a worker's pipe up to its share of what waits."""
        if any(task.solo for task in worker.pipe.values()):
            return
        # An even share of what waits, so that no worker ends long after the others.
        share = min(_DEPTH[worker.kind], self.queue.waiting(worker.kind) // (2 * self.count) + 1)
        if len(worker.pipe) > share // 2:
            return  # it has enough to do; several programs at once cost one write and one read
        chosen = self.queue.take(worker.kind, share - len(worker.pipe), not worker.pipe)
        if not chosen:
            return
        if not worker.pipe:
            worker.since = time.monotonic()
        data = bytearray()
        for task in chosen:
            worker.pipe[task.number] = task
            data += protocol.pack(task.number, protocol.encode_task(task.language, task.program, task.limits))
        self.push(worker, bytes(data))

    def push(self, worker: Worker, data: bytes = b"") -> None:
        """Write to a worker, and listen for room while something is left to write."""
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
                self.push(worker, protocol.pack(protocol.CANCEL, head.number.to_bytes(8, "little")))
                self.queue.put_back(kind, rest)
                return


def _spent(result: Result) -> bool:
    """Did the program leave its worker in doubt: out of memory in earnest, or stopped by a bug?"""
    return result.status is Status.CRASH or (result.status is Status.MEMORY and not result.messages)
