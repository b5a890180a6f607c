"""`BackendPool` is an `EnginePool` whose Wolfram programs go to an engine of others; nsl and SymPy stay embedded.

Mathics3 takes seconds to load, so it is served: each worker is a process of its interpreter that has loaded everything
and forks for each program (`mathics_server.py`). The others are started for each program.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nsrl.engines import external
from nsrl.engines.pool.pool import EnginePool, check_limits
from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.errors import MissingBackend, UserError

SERVER = Path(__file__).with_name("mathics_server.py")
LOADING = 300.0  # seconds that a server may take to load
KEPT = 50_000  # Results
GRACE = 10.0  # seconds
_PATIENCE = 12  # times the wall clock: the server itself ends a program within 11
_AGAIN = (Status.TIMEOUT, Status.CRASH)  # never kept: another time may be another outcome


class Server:
    """One process of Mathics3's interpreter, started when it is first needed, and again after it has died."""

    def __init__(self, command: list[str]) -> None:
        self.command = [*command, "-I", str(SERVER)]
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def start(self) -> None:
        """Start it and wait until it has loaded. Raises MissingBackend with what it said where it cannot."""
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True, env={**os.environ, **one_thread}, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise MissingBackend(f"{self.command[0]} cannot be started: {error}") from error
        hello = self._line(LOADING)
        if hello is None:
            said = self.stop().strip().splitlines()
            raise MissingBackend(
                f"{self.command[0]} cannot load Mathics3: {said[-1][:200] if said else 'it said nothing'}; it needs "
                f"{external.EXTERNAL['mathics'].wanted}"
            )
        self.version = str(hello["version"])
        threading.Thread(target=_drain, args=(self._process.stderr,), daemon=True).start()

    def run(self, program: str, limits: Limits) -> Result:
        """One program, with the limits in force. Whatever it does, there is a Result."""
        self.start()
        assert self._process is not None and self._process.stdin is not None
        asked = {"program": external.asked_for(program), "cpu_s": limits.cpu_s, "wall_s": limits.wall_s,
                 "memory_mb": limits.memory_mb, "output_bytes": limits.output_bytes}  # fmt: skip
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._line(_PATIENCE * limits.wall_s + GRACE)
        except BrokenPipeError:
            answer = None
        if answer is None:
            self.stop()
            return Result(Status.CRASH, engine="mathics", version=self.version)
        return replace(_read(answer, limits), version=self.version).writable()

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """What it answers within so many seconds; None where it does not."""
        assert self._process is not None and self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([pipe], [], [], seconds)[0]:
                return None
            data = os.read(pipe, 1 << 16)
            if not data:
                return None
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        try:
            answer = json.loads(line)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None

    def stop(self) -> str:
        """End it and what it started; what it said on standard error where nobody has read it."""
        process, self._process, self._unread = self._process, None, b""
        if process is None:
            return ""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said = b"" if process.stderr is None or self.version else process.stderr.read()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        return said.decode("utf-8", "replace")


def _read(answer: dict[str, Any], limits: Limits) -> Result:
    """The Result that a server's line says; a crash where it is none of its lines (a program broke out)."""
    ended = {status.value: status for status in (Status.TIMEOUT, Status.MEMORY)}.get(answer.get("status", ""))
    if ended is not None:
        return Result(ended, engine="mathics")
    text, said, lines = (answer.get(name) for name in ("text", "messages", "printed"))
    if not isinstance(text, str) or not isinstance(said, list) or not isinstance(lines, list):
        return Result(Status.CRASH, engine="mathics")
    if not all(isinstance(one, list) and len(one) == 3 for one in said):
        return Result(Status.CRASH, engine="mathics")
    printed = "".join(f"{line}\n" for line in lines)
    if len(text) + len(printed) > limits.output_bytes:
        return Result(Status.MEMORY, engine="mathics")
    messages = tuple(Message(*map(str, one)) for one in said)
    return external.judged("mathics", text or (str(lines[-1]) if lines else ""), messages, printed)


def _drain(pipe: Any) -> None:
    with pipe:
        while pipe.read(1 << 16):
            pass


class Backend:
    """Programs to futures on an engine of others, `workers` at once; identical ones run once. Raises UserError."""

    def __init__(self, name: str, command: str | None, workers: int, limits: Limits) -> None:
        engine = external.external(name, command)
        self.name, self.command, self.limits = name, command, limits
        self._known: dict[tuple[str, Limits], Future[Result]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(workers, f"nsrl-{name}")
        self._servers = [] if engine.arguments else [Server(engine.find(command) or []) for _ in range(workers)]
        self._free: SimpleQueue[Server] = SimpleQueue()
        for server in self._servers[:1]:
            server.start()  # what is wrong with it is said now
        for server in self._servers:
            self._free.put(server)

    def submit(self, program: str, limits: Limits | None = None) -> Future[Result]:
        """Queue a program and return at once."""
        limits = (self.limits if limits is None else limits).in_force()
        with self._lock:
            if (known := self._known.get((program, limits))) is not None:
                return known
            if len(self._known) >= KEPT:
                self._known.clear()
            future = self._known[program, limits] = self._threads.submit(self._run, program, limits)
        return future

    def _run(self, program: str, limits: Limits) -> Result:
        if not self._servers:
            result = external.evaluate(self.name, program, limits, self.command)
        elif (refused := external.unfit(program, self.name)) is not None:
            result = refused
        else:
            server = self._free.get()
            try:
                result = server.run(program, limits)
            finally:
                self._free.put(server)
        if result.status in _AGAIN:
            with self._lock:
                self._known.pop((program, limits), None)
        return result

    def close(self) -> None:
        """End every process; programs that wait are given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for server in self._servers:
            server.stop()
        self._threads.shutdown()


class BackendPool(EnginePool):
    """As an `EnginePool`; `backend` runs what is written in wolfram. Its telemetry is of the embedded engines."""

    def __init__(
        self, backend: str, command: str | None = None, workers: int = 2, limits: Limits = Limits(),
        allow_unsandboxed: bool = False,
    ) -> None:  # fmt: skip
        if not allow_unsandboxed:
            raise UserError(external.UNSANDBOXED.format(backend))
        self.backend = Backend(backend, command, workers, check_limits(limits))
        try:
            super().__init__(workers, limits, languages=("nsl", "sympy"), allow_unsandboxed=allow_unsandboxed)
        except UserError:
            self.backend.close()
            raise

    def submit(self, language: str, program: str, limits: Limits | None = None) -> Future[Result]:
        """As `EnginePool.submit`."""
        if language != "wolfram":
            return super().submit(language, program, limits)
        return self.backend.submit(program, None if limits is None else check_limits(limits))

    def close(self) -> None:
        """As `EnginePool.close`."""
        self.backend.close()
        super().close()
