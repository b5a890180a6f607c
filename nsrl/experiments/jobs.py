"""Commands that wait for each other run a few at a time, each in a process and with a log of its own.

A job that is done has left its files, so an experiment that is begun again does what is missing; one that was cut off
goes on from its checkpoint.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nsrl.engines.pool.sandbox import die_with_parent
from nsrl.errors import UserError, sigterm_raises
from nsrl.trainer.folder import LOCK, RunFolder, write
from nsrl.trainer.metrics import clock

PAUSE_S = 0.1  # between two looks at what runs
SAYS_S = 120.0  # between two lines of progress, at most
PATIENCE_S = 30.0  # for a job to save what it has, after which it is killed
LAST = 12  # lines of a log that are shown
GOES_ON = "what was learned is saved, and the same command goes on with it"


@dataclass(frozen=True)
class Job:
    """A command of nsrl.

    name: unique, as progress shows it, KIND/…: jobs of one kind take about as long; words: module and arguments; file:
    what it leaves last, in its folder; log: what it says; after: names of the jobs whose files it needs; cost: seconds
    it takes on a quiet core, about; resumes: further words where it was begun before; also: what must be there besides
    when it is done; keys: files that are written before it begins, and their texts; run: the folder of its run, where
    that is not the file's.
    """

    name: str
    words: tuple[str, ...]
    file: Path
    log: Path
    after: tuple[str, ...] = ()
    cost: float = 1.0
    resumes: tuple[str, ...] = ()
    also: tuple[Path, ...] = ()
    keys: tuple[tuple[Path, str], ...] = ()
    run: Path | None = None

    @property
    def done(self) -> bool:
        """Whether it has left its files."""
        return all(file.exists() for file in (self.file, *self.also))

    @property
    def kind(self) -> str:
        """What jobs have in common that take about as long."""
        return self.name.partition("/")[0]

    def spent(self) -> float | None:
        """Seconds that a run says it took; None of anything else."""
        if self.file.name != "summary.json":
            return None
        return sum(json.loads(self.file.read_text())["seconds"].values())


def _say(line: str) -> None:
    print(line, flush=True)


def run(
    jobs: Sequence[Job],
    together: int,
    threads: int | None,
    say: Callable[[str], None] = _say,
    ended: Callable[[Job, float], None] | None = None,
    patient: bool = False,
) -> None:
    """Run what is not done, `together` at a time, in order as far as they may; threads: of the CPU for each (None: as
    it takes them); ended: told of each that ended well, and its seconds.

    Raises `UserError` where one ends otherwise than well, behind the end of its log; the others are ended before, and
    have saved what they had; patient: but those that need it all run first. Ctrl-C and SIGTERM end them too.
    """
    finished = {job.name for job in jobs if job.done}
    waiting = [job for job in jobs if job.name not in finished]
    took = {job.name: spent for job in jobs if job.name in finished and (spent := job.spent()) is not None}
    running: dict[str, tuple[Job, subprocess.Popen[bytes], float]] = {}
    start, said = time.monotonic(), [0.0]
    failed: list[str] = []

    def told(what: str) -> None:
        elapsed = {name: time.monotonic() - began for name, (_, _, began) in running.items()}
        missing = [job for job in jobs if job in waiting or job.name in running]
        left = clock(expected(missing, elapsed, took, jobs, together))
        so_far = f"{len(finished)} of {len(jobs)} parts done"
        rest = f"about {left} left" + ("" if took else " on a quiet machine") if waiting or running else ""
        say(", ".join(filter(None, [what, so_far, f"{clock(time.monotonic() - start)} spent", rest])))
        said[0] = time.monotonic()

    if waiting:
        told(f"{together} at a time")
    with sigterm_raises(f"ended by SIGTERM; {GOES_ON}"):
        try:
            while waiting or running:
                free = together - len(running)
                for job in [job for job in waiting if set(job.after) <= finished][:free]:
                    waiting.remove(job)
                    running[job.name] = (job, _start(job, threads), time.monotonic())
                    say(f"begun: {job.name}")
                time.sleep(PAUSE_S)
                if time.monotonic() - said[0] > SAYS_S:
                    told(f"at work: {', '.join(running)}")
                for name, (job, process, began) in list(running.items()):
                    code = process.poll()
                    if code is None:
                        continue
                    del running[name]
                    if code != 0 or not job.done:
                        why = f"{name} ended with exit code {code} ({GOES_ON}); the end of {job.log}:\n{_end(job.log)}"
                        if not patient:
                            raise UserError(why)
                        failed.append(name)
                        waiting = _without(waiting, {name})
                        say(why)
                        continue
                    finished.add(name)
                    took[name] = time.monotonic() - began
                    told(f"done: {name} in {clock(took[name])}")
                    if ended is not None:
                        ended(job, took[name])
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; {GOES_ON}") from None
        finally:
            _stop([process for _, process, _ in running.values()])
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} parts failed, whose logs are above ({', '.join(failed)}); the "
                        f"same command goes on")  # fmt: skip


def _without(waiting: Sequence[Job], failed: set[str]) -> list[Job]:
    """The jobs that need none of the failed ones, not by others either."""
    lost = {job.name for job in waiting if set(job.after) & failed}
    return _without([job for job in waiting if job.name not in lost], lost) if lost else list(waiting)


def expected(
    left: Sequence[Job], elapsed: Mapping[str, float], took: Mapping[str, float], jobs: Sequence[Job], together: int
) -> float:
    """Seconds until the jobs that are left are done, as they would be begun in order. elapsed: of those that run;
    took: seconds of those that are done, by which the costs of their kind (of any kind, where there is none) are
    scaled; one that runs for longer than that says as much."""
    scale: dict[str, list[float]] = {}

    def measured(job: Job, spent: float) -> None:
        for kind in (job.kind, ""):
            seconds, cost = scale.setdefault(kind, [0.0, 0.0])
            scale[kind] = [seconds + spent, cost + job.cost]

    def estimate(job: Job) -> float:
        seconds, cost = scale.get(job.kind) or scale.get("") or (1.0, 1.0)
        return job.cost * seconds / cost

    for job in jobs:
        if job.name in took:
            measured(job, took[job.name])
    for job, spent in [(job, elapsed[job.name]) for job in left if elapsed.get(job.name, 0.0) > estimate(job)]:
        measured(job, spent)
    ends: dict[str, float] = {job.name: 0.0 for job in jobs if job not in left}
    slots = [0.0] * together
    waiting = sorted(left, key=lambda job: job.name not in elapsed)
    while waiting:
        slots.sort()
        ready = [job for job in waiting if ends.keys() >= set(job.after)]
        job = min(ready, key=lambda job: max([slots[0], *(ends[name] for name in job.after)]))
        waiting.remove(job)
        begins = max([slots[0], *(ends[name] for name in job.after)])
        slots[0] = ends[job.name] = begins + max(0.0, estimate(job) - elapsed.get(job.name, 0.0))
    return max(slots)


def _start(job: Job, threads: int | None) -> subprocess.Popen[bytes]:
    folder = RunFolder(job.run or job.file.parent)
    begun = bool(job.resumes) and folder.has_begun()
    job.log.parent.mkdir(parents=True, exist_ok=True)
    if begun:
        _wait_for(folder.path / LOCK)
        job.file.unlink(missing_ok=True)  # it says that all is done, which it is not
    for file, text in job.keys:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, text)
    words = [sys.executable, "-m", *job.words, *(job.resumes if begun else ())]
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    with job.log.open("ab") as log:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the others
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
        )  # fmt: skip


def _wait_for(lock: Path) -> None:
    """A run whose experiment was killed is told so, and saves; that takes a moment."""
    if not lock.is_file():
        return
    end = time.monotonic() + PATIENCE_S
    with lock.open() as file:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:  # the run itself says who holds it
                    return None
                time.sleep(PAUSE_S)


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM, upon which a run saves its state; what has not ended in `PATIENCE_S` is killed."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    end = time.monotonic() + PATIENCE_S
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LAST:])
