"""The scheduler decides which worker runs which program, for how long, and what becomes of the programs of one that
ended.

Programs in a worker's pipe run in order, so the oldest one is the one that runs: its clock starts when it became the
oldest. What a worker did not get to goes back to the queue and to another worker. Nothing here touches a process: what
is to be done to one is returned.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from nsrl.engines.pool import protocol
from nsrl.engines.pool.processes import Worker
from nsrl.engines.pool.queue import ProgramQueue, Task
from nsrl.engines.pool.worker import ended_by
from nsrl.engines.result import Result, Status

_DEPTH = {"native": 24, "python": 3}  # programs in one worker's pipe at most
_STEAL_S = 0.03  # a program that runs longer than this no longer holds up those queued behind it
_CANCEL_S = 1.0  # for a worker without a program to answer that it dropped what it had not begun


class Scheduler:
    """Moves programs between the queue and workers.

    count: workers of a kind that run programs at once; recycle: programs after which a worker gets no more.
    """

    def __init__(self, queue: ProgramQueue, count: int, recycle: int) -> None:
        self.queue, self.count, self.recycle = queue, count, recycle

    # Times.

    def deadline(self, worker: Worker) -> float:
        """When a worker is over its time, on the monotonic clock."""
        if not worker.hello or worker.closed:
            return float("inf")  # the supervisor's
        if worker.pipe:
            return worker.since + _oldest(worker).limits.wall_s - _oldest(worker).spent
        return worker.since + _CANCEL_S if worker.cancelling else float("inf")

    def next_deadline(self, workers: Sequence[Worker]) -> float:
        """When the next worker is over its time, or may be relieved of what it has not begun."""
        steals = [w.since + _STEAL_S for w in workers if len(w.pipe) > 1 and not w.cancelling]
        soonest = time.monotonic() + 0.005
        return min([*map(self.deadline, workers), *(max(at, soonest) for at in steals)], default=float("inf"))

    def overdue(self, worker: Worker) -> Literal["extended", "retry", "timeout"]:
        """What a worker over its time deserves. CPU time decides who is to blame, and the kernel keeps that.

        extended: the machine is, the worker works slowly and has got more time; retry: the machine stopped it, another
        worker does the program again; timeout: the program is to blame, or there is none. But for `extended` it must
        be killed, and then `release`d.
        """
        if not worker.pipe:
            return "timeout"
        # While a worker is told to drop the others nothing is added: the oldest still is the one that runs.
        head, activity = _oldest(worker), worker.activity()
        if head.stalled or activity == "waits":
            return "timeout"
        self.queue.counts["stalls"] += 1
        head.stall()
        if activity == "busy":
            return "extended"
        head.solo = True
        return "retry"

    def _excused(self, worker: Worker, task: Task, status: Status) -> bool:
        """Is the program out of time because the machine stood still while it ran? Some charge that to its CPU time."""
        suspended, worker.suspended = worker.suspended, False
        if not suspended or status is not Status.TIMEOUT or task.stalled:
            return False
        self.queue.counts["stalls"] += 1
        task.stall()
        return True

    # From workers to the queue.

    def on_frame(self, worker: Worker, number: int, payload: bytes) -> bool:
        """Finish the program that a frame holds the Result of. False: the worker is in doubt, and must be replaced.

        Raises `BadFrame` where the frame is not as agreed.
        """
        if number == protocol.CANCEL and worker.cancelling:  # said unasked it would only win time
            worker.cancelling = False
            worker.since = time.monotonic()
        task = worker.pipe.get(number)
        if task is None:
            return True
        if task is not _oldest(worker):
            raise protocol.BadFrame("a Result of a program that another one precedes")
        result = protocol.decode_result(payload, task.language, self.queue.versions[task.language], task.limits)
        del worker.pipe[number]
        worker.served += 1
        worker.since = time.monotonic()
        if self._excused(worker, task, result.status):
            self.queue.put_back(worker.kind, [task])
        else:
            self.queue.finish(task, result)
        return worker.kind != "native" or not _in_doubt(result)

    def on_exit(self, worker: Worker, status: int) -> None:
        """A worker ended by itself, with this wait status: its oldest program is to blame, or nobody."""
        if worker.pipe:
            head = _oldest(worker)
            head.attempts += 1
            head.spent += time.monotonic() - worker.since
            timed_out = ended_by(status) in (signal.SIGPROF, signal.SIGXCPU)
            if timed_out and self._excused(worker, head, Status.TIMEOUT):
                head.attempts -= 1
            elif timed_out:
                self._finish_oldest(worker, Status.TIMEOUT)
            elif head.attempts > 1:
                self._finish_oldest(worker, Status.CRASH)
            else:
                head.solo = True
        self.release(worker)

    def release(self, worker: Worker, timed_out: bool = False) -> None:
        """Put back what a worker that is gone had in its pipe. timed_out: but for the oldest, whose time is over."""
        if timed_out and worker.pipe:
            self.queue.counts["killed"] += 1
            self._finish_oldest(worker, Status.TIMEOUT)
        self.queue.put_back(worker.kind, list(worker.pipe.values()))
        worker.pipe.clear()

    def _finish_oldest(self, worker: Worker, status: Status) -> None:
        _, task = worker.pipe.popitem(last=False)
        self.queue.finish(task, self.queue.outcome(task.language, status))

    # From the queue to workers.

    def assign(self, kind: str, able: Sequence[Worker]) -> Iterator[tuple[Worker, bytes]]:
        """What to send to which worker of a kind: programs that wait, the emptiest worker first.

        Where none waits and one has nothing to do, another is told to drop what it has not begun, which then waits.
        able: the workers that can run programs, the oldest first; those past `count` stand by.
        """
        free = [worker for worker in able[: self.count] if not worker.cancelling and not self.is_worn(worker)]
        if not self.queue.waiting(kind) and any(not worker.pipe for worker in free):
            yield from self._steal(kind, able)
        for worker in sorted(free, key=lambda w: len(w.pipe)):
            if not worker.cancelling and (data := self._fill(worker)):
                yield worker, data

    def is_worn(self, worker: Worker) -> bool:
        """Whether a worker has run so many programs that it gets no more: one without any left is to be replaced."""
        return worker.served >= self.recycle

    def _fill(self, worker: Worker) -> bytes:
        """Put a worker's share of what waits into its pipe: what to send it."""
        if any(task.solo for task in worker.pipe.values()):
            return b""
        # An even share of what waits, so that no worker ends long after the others.
        share = min(_DEPTH[worker.kind], self.queue.waiting(worker.kind) // (2 * self.count) + 1)
        if len(worker.pipe) > share // 2:
            return b""  # it has enough to do; several programs at once cost one write and one read
        chosen = self.queue.take(worker.kind, share - len(worker.pipe), not worker.pipe)
        if chosen and not worker.pipe:
            worker.since = time.monotonic()
        worker.pipe.update((task.number, task) for task in chosen)
        return b"".join(
            protocol.pack(task.number, protocol.encode_task(task.language, task.program, task.limits))
            for task in chosen
        )

    def _steal(self, kind: str, able: Sequence[Worker]) -> Iterator[tuple[Worker, bytes]]:
        """Free the programs behind a slow one, now that another worker has nothing to do."""
        now = time.monotonic()
        for worker in able:
            if len(worker.pipe) > 1 and now - worker.since > _STEAL_S and not worker.cancelling:
                head, *rest = worker.pipe.values()
                worker.pipe.clear()
                worker.pipe[head.number] = head
                worker.cancelling = True
                self.queue.put_back(kind, rest)
                yield worker, protocol.pack(protocol.CANCEL, head.number.to_bytes(8, "little"))
                return


def _oldest(worker: Worker) -> Task:
    return next(iter(worker.pipe.values()))


def _in_doubt(result: Result) -> bool:
    """Did the program leave its worker in doubt: out of memory in earnest, or stopped by a bug?"""
    return result.status is Status.CRASH or (result.status is Status.MEMORY and not result.messages)
