"""math-verify as the last test, in a process behind an engine worker's walls. Optional: absent, it answers False.

The process starts on first use and forks a child for each question, which ends when its CPU time is over; that is the
answer no, and such answers have a credit. When `WALL_S` are over without that, the machine is to blame, and the
question is asked once more. Model text never reaches SymPy's parsers in this process. It waits: the trainer asks from a
thread of its own (`Grader`).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
from collections import Counter
from functools import lru_cache
from pathlib import Path

from nsrl.answers.mathverify_worker import CPU_S

WALL_S = 10.0
START_S = 60.0
_BOOT = "import sys; sys.path[:] = {path!r}; from nsrl.answers.mathverify_worker import main; main()"


CREDIT_S = 2.0  # CPU time that questions without an answer may take in a row
REFILL_S = 0.02  # what each question gives back: in the long run none costs more
counts = Counter({"late": 0, "spared": 0, "stalls": 0})  # since the process began: `check/…` in the metrics


class NotAsked(Exception):
    """There is no answer, and the next time there may be one."""


class _Worker:
    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.lock = threading.Lock()
        self.credit = CREDIT_S

    def ask(self, gold: str, text: str) -> bool:
        """What the worker says; no when the question took its CPU time.

        Raises `NotAsked` when the wall clock ran out twice on a question that had CPU time left, and while the credit
        of
        questions that take all of it is used up: whoever writes only such texts holds the trainer up by that much.
        """
        question = (json.dumps([gold, text]) + "\n").encode()
        with self.lock:
            self.credit = min(CREDIT_S, self.credit + REFILL_S)
            if self.credit < CPU_S:
                counts["spared"] += 1
                raise NotAsked
            for _ in range(2):  # a worker that died while idle, or stood still, is replaced once
                if self.process is None or self.process.poll() is not None:
                    self._start()
                if self.process is None or self.process.stdin is None:
                    return False
                try:
                    self.process.stdin.write(question)
                    self.process.stdin.flush()
                    line = self._line(WALL_S)
                except BrokenPipeError:
                    line = None
                if not line:  # it died of the question, before it, or stood still
                    self.stop()
                if line is not None:
                    if line in (b"late\n", b""):
                        counts["late"] += 1
                        self.credit -= CPU_S
                    return line == b"true\n"
            counts["stalls"] += 1
            raise NotAsked

    def _start(self) -> None:
        path = [str(Path(__file__).resolve().parents[2]), *(entry for entry in sys.path if os.path.isabs(entry))]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-X", "utf8", "-c", _BOOT.format(path=path), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            cwd="/",
            start_new_session=True,
        )
        self._line(START_S)

    def _line(self, wall_s: float) -> bytes | None:
        """One line of the worker, b"" if it ended without one, None after killing it because it took too long."""
        process = self.process
        if process is None or process.stdout is None:
            return None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if selector.select(wall_s):
                return process.stdout.readline()
        self.stop()
        return None

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # a question nobody reads any more
                        pipe.close()
            self.process = None


@lru_cache(maxsize=1)
def _worker() -> _Worker | None:
    if importlib.util.find_spec("math_verify") is None:
        return None
    worker = _Worker()
    atexit.register(worker.stop)
    return worker


def math_verify(gold: str, text: str) -> bool:
    """Whether math-verify takes `text` for `gold`; False if it does not know, takes too long, or is not installed."""
    try:
        return _asked(gold, text)
    except NotAsked:  # not kept
        return False


@lru_cache(maxsize=4096)
def _asked(gold: str, text: str) -> bool:
    worker = _worker()
    return worker is not None and worker.ask(gold, text)


math_verify.cache_clear = _asked.cache_clear


_ASKED = frozenset(  # commands that math-verify reads, none of them a relation, a connective or a mark above digits
    [
        "frac",
        "dfrac",
        "tfrac",
        "cfrac",
        "sqrt",
        "cdot",
        "times",
        "div",
        "pm",
        "mp",
        "pi",
        "sum",
        "prod",
        "binom",
        "dbinom",
        "tbinom",
        "left",
        "right",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "ln",
        "log",
        "exp",
        "infty",
        "cup",
        "cap",
        "setminus",
        "mathbb",
        "emptyset",
        "varnothing",
        "begin",
        "end",
        "lfloor",
        "rfloor",
        "lceil",
        "rceil",
        "max",
        "min",
        "gcd",
        "alpha",
        "beta",
        "gamma",
        "delta",
        "theta",
        "lambda",
        "mu",
        "phi",
        "omega",
        "sigma",
        "rho",
    ]
)


def worth_asking(piece: str, gold: str) -> bool:
    """math-verify is asked only about short LaTeX or symbols, never about approximations, percent or degrees."""
    both = piece + gold
    plain = re.sub(r"\\[A-Za-z]+", "", piece)
    words = re.findall(r"[A-Za-z]{2,}", plain)
    if len(words) > 1 or re.search(r"[A-Za-z]{4,}|\n|[\w)}\]] +[A-Z\d]", plain) or not _nested_well(plain):
        return False  # prose, or two things side by side, of which it takes one
    if not _ASKED.issuperset(re.findall(r"\\([A-Za-z]+)", both)) or ".." in both:
        return False  # it drops what it does not know, and then finds the rest equal
    return (
        len(both) <= 400
        and not re.search(r"%|°|circ|percent|degree|≈|approx|\\sim", both)
        and bool(re.search(r"\\[A-Za-z]{2}", piece))
    )


def _nested_well(text: str) -> bool:
    """Whether every bracket has its other; (1,2] and ]1,2[ stand for themselves."""
    depth = 0
    for c in re.sub(r"\][^\[\]]*\[", "", text):
        depth += (c in "([{") - (c in ")]}")
        if depth < 0:
            return False
    return depth == 0
