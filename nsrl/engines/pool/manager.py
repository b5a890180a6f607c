"""The thread of a pool runs here: messages of the processes come in, what is to be done to them goes out.

    queue <-> scheduler <- manager -> supervisor <-> zygotes and workers

The supervisor reports and the scheduler decides; neither calls the other, nor back.
"""

from __future__ import annotations

import threading
import time

from nsrl.engines import languages
from nsrl.engines.pool.processes import Worker
from nsrl.engines.pool.protocol import BadFrame
from nsrl.engines.pool.queue import KINDS, ProgramQueue
from nsrl.engines.pool.scheduler import Scheduler
from nsrl.engines.pool.supervisor import Exited, Frame, Lost, Supervisor

_LONGEST_WAIT_S = 0.5


class Manager:
    """The loop that keeps workers at work: `run` is the thread's whole life.

    workers: of a kind, at once; allow_unsandboxed: as `Supervisor`'s; recycle: as `Scheduler`'s.
    """

    def __init__(self, queue: ProgramQueue, workers: int, allow_unsandboxed: bool, recycle: int) -> None:
        self.queue = queue
        self.supervisor = Supervisor(list(queue.versions), workers, allow_unsandboxed, queue.counts)
        self.scheduler = Scheduler(queue, workers, recycle)
        self.started = threading.Event()  # the first worker can run programs, or none ever will
        kinds = {languages.KIND[language] for language in queue.versions}
        self.kinds = [kind for kind in KINDS if kind in kinds]

    def run(self) -> None:
        """Start the first kind of worker and run programs until the queue is closed, or no worker will start."""
        try:
            if self.kinds:
                self.supervisor.start(self.kinds[0])
            else:
                self.started.set()
            while not self.queue.closing and self.supervisor.failure is None:
                self._turn()
                if self.supervisor.sandbox and self.supervisor.failure is None:
                    self.started.set()
        finally:
            self.queue.abort(self.supervisor.failure)
            self.started.set()
            self.supervisor.stop()

    def _turn(self) -> None:
        """One turn of the loop: wait for what comes first, handle it, then watch times and feed workers."""
        self.queue.mark_idle()
        workers = list(self.supervisor.workers.values())
        deadline = min(self.supervisor.next_deadline(), self.scheduler.next_deadline(workers))
        for message in self.supervisor.poll(min(max(deadline - time.monotonic(), 0.0), _LONGEST_WAIT_S)):
            self._handle(message)
        now = time.monotonic()
        for worker in [w for w in self.supervisor.workers.values() if self.scheduler.deadline(w) <= now]:
            if (verdict := self.scheduler.overdue(worker)) != "extended":
                self.supervisor.replace(worker)
                self.scheduler.release(worker, timed_out=verdict == "timeout")
        for kind in self.kinds:
            self._dispatch(kind)

    def _handle(self, message: Frame | Exited | Lost) -> None:
        if isinstance(message, Lost):
            self.supervisor.restart(message.zygote)
            return
        worker = message.worker
        if worker.number not in self.supervisor.workers:
            return  # it was replaced because of an earlier message
        try:
            if isinstance(message, Exited):
                self._bury(worker, message.status)
            elif not self.scheduler.on_frame(worker, message.number, message.payload):
                self._recycle(worker)
        except BadFrame:
            self._bury(worker, 0)

    def _bury(self, worker: Worker, status: int) -> None:
        """Replace a worker that ended by itself, or must."""
        self.supervisor.replace(worker, exited=True)
        self.scheduler.on_exit(worker, status)

    def _recycle(self, worker: Worker) -> None:
        """Replace a worker that has done nothing wrong lately; another one gets what it had not begun."""
        self.queue.counts["recycled"] += 1
        self.supervisor.replace(worker)
        self.scheduler.release(worker)

    def _dispatch(self, kind: str) -> None:
        """Give what waits to the workers of a kind."""
        if kind not in self.supervisor.zygotes and self.queue.waiting(kind):
            self.supervisor.start(kind)  # SymPy takes most of a second to import: only who has a program for it waits
        for worker in self.supervisor.able(kind):
            if self.scheduler.is_worn(worker) and not worker.pipe and not worker.cancelling:
                self._recycle(worker)
        for worker, data in self.scheduler.assign(kind, self.supervisor.able(kind)):
            self.supervisor.send(worker, data)

    def wake(self) -> None:
        """Called by other threads: there is something to do."""
        self.supervisor.waker.wake()

    def release(self) -> None:
        """Close what woke the thread, after its end."""
        self.supervisor.waker.close()
