"""math-verify as the last test, in a worker process that can be killed. Optional: absent, it answers False.

The worker starts on first use, gets no environment, may write no file and start no process, and ends when one question
takes more than `CPU_S` of CPU time. When `WALL_S` are over without that, the machine is to blame, and the question is
asked once more. Model text never reaches SymPy's parsers in this process.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import selectors
import subprocess
import sys
import threading
from functools import lru_cache

CPU_S = 1.0
WALL_S = 10.0
START_S = 30.0
MEMORY_MB = 2048

_WORKER = f"""
import json, signal, sys
from math_verify import parse, verify, LatexExtractionConfig, ExprExtractionConfig
config = [LatexExtractionConfig(), ExprExtractionConfig()]
def ask(gold, text):
    g = parse("$" + gold + "$", extraction_config=config, parsing_timeout=None)
    p = parse("$" + text + "$", extraction_config=config, parsing_timeout=None)
    return bool(g and p and verify(g, p, timeout_seconds=None))
ask("1", "1")
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_MB} << 20, {MEMORY_MB} << 20))
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
sys.stdout.write("ready\\n"); sys.stdout.flush()
for line in sys.stdin:
    gold, text = json.loads(line)
    signal.setitimer(signal.ITIMER_PROF, {CPU_S})  # its signal ends the process, whatever code is running
    try:
        answer = ask(gold, text)
    except (Exception, RecursionError) as error:
        answer = False
    signal.setitimer(signal.ITIMER_PROF, 0)
    sys.stdout.write("true\\n" if answer else "false\\n"); sys.stdout.flush()
"""


class Stalled(Exception):
    """The wall clock ran out twice on a question that had CPU time left."""


class _Worker:
    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.lock = threading.Lock()

    def ask(self, gold: str, text: str) -> bool:
        """What the worker says; False when the question took its CPU time. Raises `Stalled`."""
        question = (json.dumps([gold, text]) + "\n").encode()
        with self.lock:
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
                    return line == b"true\n"
            raise Stalled

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
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
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
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
    except Stalled:  # not kept: the next time the machine may be awake
        return False


@lru_cache(maxsize=4096)
def _asked(gold: str, text: str) -> bool:
    worker = _worker()
    return worker is not None and worker.ask(gold, text)


math_verify.cache_clear = _asked.cache_clear
