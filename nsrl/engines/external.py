"""Engines of others, found at run time: the real Wolfram Engine, woxi, Mathics3. Never dependencies.

Each runs as a subprocess per program, in a directory of its own, under the same wall clock, CPU, memory and output
bounds as ours; its exit is enforced by killing its process group. There is no kernel sandbox around them: they need
their own files and licences, so give them programs you would give to a colleague, not a model in training.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.errors import MissingBackend, UserError

_MESSAGE = re.compile(r"^\s*([A-Za-z$][\w$]*)::(\w+)\s*:\s*(.*)$")
_DEFINES_F = re.compile(r"^\s*f\s*:?=(?!=)", re.MULTILINE)
_CLIENT = """
import sys
from wolframclient.evaluation import WolframLanguageSession
from wolframclient.language import wlexpr
with WolframLanguageSession() as session:
    code = open(sys.argv[1], encoding="utf-8").read()
    quoted = '"' + code.replace(chr(92), chr(92) * 2).replace('"', chr(92) + '"') + '"'
    print(session.evaluate(wlexpr('ToString[ToExpression[' + quoted + '], InputForm]')))
"""


@dataclass(frozen=True)
class External:
    """How one engine is called. executables: names tried on PATH; arguments: `{file}` is the program's file."""

    name: str
    executables: tuple[str, ...]
    arguments: tuple[str, ...]
    version_flag: str | None
    wanted: str

    def find(self) -> list[str] | None:
        """The command to put before the arguments, or None when the engine is not on this machine."""
        if self.name == "wolframclient":
            kernel = shutil.which("WolframKernel") or shutil.which("wolfram") or shutil.which("math")
            here = importlib.util.find_spec("wolframclient") is not None and kernel is not None
            return [sys.executable] if here else None
        for executable in self.executables:
            path = shutil.which(executable)
            if path is not None:
                return [path]
        return None

    def version(self) -> str:
        """What it says of itself, one line; "unknown" if it says nothing within 10 s."""
        command = self.find()
        if command is None or self.version_flag is None:
            return "unknown"
        try:
            done = subprocess.run(
                [*command, self.version_flag], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            return "unknown"
        return (done.stdout.strip() or done.stderr.strip() or "unknown").splitlines()[0][:80]


EXTERNAL = {
    engine.name: engine
    for engine in (
        External("wolframscript", ("wolframscript",), ("-print", "-file", "{file}"), "-version",
                 "the command wolframscript of a Wolfram Engine on PATH"),
        External("wolframclient", (), ("-c", _CLIENT, "{file}"), None,
                 "the Python package wolframclient and a WolframKernel on PATH"),
        External("woxi", ("woxi",), ("eval", "{code}"), "--version", "the command woxi on PATH"),
        External("mathics3", ("mathics3", "mathics"), ("-e", "{code}"), "--version", "the command mathics3 on PATH"),
    )
}  # fmt: skip


def external(name: str) -> External:
    """The engine of that name, if it is on this machine. Raises UserError for an unknown name, MissingBackend else."""
    engine = EXTERNAL.get(name)
    if engine is None:
        raise UserError(f"engine must be one of builtin, {', '.join(EXTERNAL)}; got {name!r}")
    if engine.find() is None:
        raise MissingBackend(f"engine {name!r} is not on this machine: it needs {engine.wanted}")
    return engine


def evaluate(name: str, program: str, limits: Limits = Limits()) -> Result:
    """Run a Wolfram Language program on an engine of others. Same Result as ours; `value` stays None."""
    engine = external(name)
    if "\0" in program:
        return Result(
            Status.SYNTAX, messages=(Message("Syntax", "sntx", "The program holds a NUL character."),), engine=name
        )
    code = program + "\nf" if _DEFINES_F.search(program) else program
    with tempfile.TemporaryDirectory(prefix="nsrl-engine-") as folder:
        file = Path(folder) / "program.wls"
        file.write_text(code, encoding="utf-8", errors="replace")
        safe = code.encode("utf-8", "replace").decode()
        filled = [part.replace("{file}", str(file)).replace("{code}", safe) for part in engine.arguments]
        if any(len(part.encode()) > 120_000 for part in filled):
            return Result(
                Status.REFUSED, messages=(Message("Engine", "size", "The program is too large."),), engine=name
            )
        status, output = _run([*(engine.find() or []), *filled], folder, limits)
    return _read(name, status, output)


def _bounds(limits: Limits) -> None:
    """In the child, before its exec."""
    os.setsid()
    seconds = int(limits.cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(command: list[str], folder: str, limits: Limits) -> tuple[Status, str]:
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder,
            preexec_fn=lambda: _bounds(limits),
        )  # fmt: skip
    except OSError as error:
        raise MissingBackend(f"{command[0]} cannot be started: {error}") from error
    assert process.stdout is not None
    end = time.monotonic() + limits.wall_s
    os.set_blocking(process.stdout.fileno(), False)
    output, status = bytearray(), Status.OK
    while True:
        data = process.stdout.read()
        if data:
            output += data
        elif data == b"":
            break  # its end
        if len(output) > limits.output_bytes:
            status = Status.MEMORY
            break
        if time.monotonic() > end:
            status = Status.TIMEOUT
            break
        if not data:
            time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    if status is Status.OK and code == -signal.SIGXCPU:
        status = Status.TIMEOUT
    elif status is Status.OK and code < 0 and code != -signal.SIGKILL:
        status = Status.CRASH
    return status, bytes(output[: limits.output_bytes]).decode("utf-8", "replace")


def _read(name: str, status: Status, output: str) -> Result:
    messages, lines = [], []
    for line in output.splitlines():
        found = _MESSAGE.match(line)
        if found:
            messages.append(Message(found[1], found[2], found[3]))
        elif line.strip():
            lines.append(line)
    if status in (Status.TIMEOUT, Status.CRASH):
        return Result(status, engine=name)
    text = lines[-1].strip() if lines else ""
    if status is Status.OK and messages:
        syntax = any(m.symbol in ("Syntax", "ToExpression") for m in messages)
        status = Status.SYNTAX if syntax and not text else Status.MESSAGE
    elif status is Status.OK and not text:
        status = Status.UNEVALUATED
    return Result(status, text, None, tuple(messages), output, engine=name)
