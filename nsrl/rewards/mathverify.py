"""math-verify as the last test, in a worker process that can be killed. Optional: absent, it answers False.

The worker starts on first use, gets no environment, may write no file and start no process, and is killed when one
question takes longer than `WALL_S`. Model text never reaches SymPy's parsers in this process.
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

WALL_S = 1.0
START_S = 30.0
MEMORY_MB = 2048

_WORKER = f"""
import json, sys
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
    try:
        answer = ask(gold, text)
    except (Exception, RecursionError) as error:
        answer = False
    sys.stdout.write("true\\n" if answer else "false\\n"); sys.stdout.flush()
"""


class _Worker:
    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.lock = threading.Lock()

    def ask(self, gold: str, text: str) -> bool:
        question = (json.dumps([gold, text]) + "\n").encode()
        with self.lock:
            for _ in range(2):  # a worker that died while idle is replaced once
                if self.process is None or self.process.poll() is not None:
                    self._start()
                if self.process is None or self.process.stdin is None:
                    return False
                try:
                    self.process.stdin.write(question)
                    self.process.stdin.flush()
                    break
                except BrokenPipeError:
                    self.stop()
            line = self._line(WALL_S)
            if not line:  # it hung, or died of the question
                self.stop()
            return line == b"true\n"

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

    def _line(self, wall_s: float) -> bytes:
        """One line of the worker, or b"" after killing it because it took too long."""
        process = self.process
        if process is None or process.stdout is None:
            return b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if selector.select(wall_s):
                return process.stdout.readline()
        self.stop()
        return b""

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


@lru_cache(maxsize=4096)
def math_verify(gold: str, text: str) -> bool:
    """Whether math-verify takes `text` for `gold`; False if it does not know, takes too long, or is not installed."""
    worker = _worker()
    return worker is not None and worker.ask(gold, text)
