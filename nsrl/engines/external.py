"""Engines of others for Wolfram Language programs: the Wolfram Engine, Mathics3, Woxi. Never dependencies.

Each runs in processes of its own under the wall clock, CPU, memory and output bounds of ours; a process group is killed
where it stands. There is no kernel sandbox around them: they need their own files and licences, and `Run["…"]` runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.errors import MissingBackend, UserError
from nsrl.userfiles import expanded

_MESSAGE = re.compile(r"^\s*([A-Za-z$][\w$]*)::(\w+)\s*:\s*(.*)$")
_DEFINES_F = re.compile(r"^\s*f\s*:?=(?!=)", re.MULTILINE)
_PRECISION = re.compile(r"(?<=\d)`+\d*\.?\d*|(?<=\d\.)`+\d*\.?\d*")  # 3.14`20. is 3.14
_WRITTEN = str.maketrans({"⇾": "->", "→": "->", "⧴": ":>", "⩵": "==", "≠": "!=", "≤": "<=", "≥": ">=", "∧": "&&",
                          "∨": "||", "¬": "!"})  # fmt: skip
_OUT_OF_MEMORY = re.compile(
    r"memory allocation of \d+ bytes failed|No more memory available|^MemoryError$", re.MULTILINE
)
_MATHICS_VERSION = "-c import importlib.metadata as m; print('Mathics3', m.version('Mathics3'))"
_ERROR = "Error: "  # woxi: no program, or what it cannot do
MAX_READ = 20_000  # characters of a value that is looked at for calls nobody evaluated


@dataclass(frozen=True)
class External:
    """One engine. executable: its name on PATH; arguments: `{file}` is the program's file, `{code}` the program, none:
    it is served (`backend.py`); memory_mb: what it takes by itself; wanted: how to get it."""

    name: str
    executable: str
    arguments: tuple[str, ...]
    version_flag: str
    memory_mb: int
    wanted: str

    def find(self, command: str | None = None) -> list[str] | None:
        """The command to put before the arguments, or None when the engine is not here.

        command: where it is, in place of what PATH has; of a served engine the interpreter, or a script that begins
        with it.
        """
        path = shutil.which(str(expanded(command)) if command else self.executable)
        if path is None or self.arguments:
            return None if path is None else [path]
        with open(path, "rb") as file:
            first = file.readline(400)
        if first.startswith(b"#!"):
            path = first[2:].decode("utf-8", "replace").split()[0] if first[2:].split() else None
        return None if path is None or shutil.which(path) is None else [path]

    def version(self, command: str | None = None) -> str:
        """What it says of itself, one line; "unknown" if it says nothing within 10 s."""
        said = self._says(command)
        return said[0][:80] if said else "unknown"

    def require_loadable(self, command: str | None = None) -> None:
        """Raise MissingBackend where it is to be served by an interpreter that does not have it. One that takes more
        than 10 s to say so is judged when it is started."""
        said = None if self.arguments else self._says(command)
        if said is not None and not (said and said[0].startswith("Mathics3 ")):
            where = f"engine.command={command!r}" if command else self.executable
            raise MissingBackend(
                f"{where} cannot load Mathics3: {said[-1][:200] if said else 'it said nothing'}; it needs {self.wanted}"
            )

    def _says(self, command: str | None) -> list[str] | None:
        """The lines that it answers when asked for its version; None where it is not there or does not end in 10 s."""
        found = self.find(command)
        if found is None:
            return None
        try:
            done = subprocess.run(
                [*found, *self.version_flag.split(" ", 1)], capture_output=True, text=True, timeout=10,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        except (OSError, UnicodeDecodeError) as error:
            return [str(error)]
        return (done.stdout.strip() or done.stderr.strip()).splitlines()


EXTERNAL = {
    engine.name: engine
    for engine in (
        External("wolframscript", "wolframscript", ("-print", "-file", "{file}"), "-version", 4096,
                 "a Wolfram Engine, whose command wolframscript is on PATH or named by engine.command"),
        External("mathics", "mathics3", (), _MATHICS_VERSION, 512, "Mathics3 in an environment of its own: python3 -m "
                 "venv DIR && DIR/bin/pip install Mathics3 packaging, named by engine.command=DIR/bin/python"),
        External("woxi", "woxi", ("eval", "{code}"), "--version", 512,
                 "Woxi: pip install woxi in an environment of its own, named by engine.command=DIR/bin/woxi"),
    )
}  # fmt: skip
EMBEDDED = "embedded"
UNSANDBOXED = (
    "engine.backend={} runs programs without a kernel sandbox: they can read and write your files; "
    "engine.allow_unsandboxed=true takes that on"
)
BACKENDS = (EMBEDDED, *EXTERNAL)


def external(name: str, command: str | None = None) -> External:
    """The engine of that name, if it is on this machine. Raises UserError for an unknown name, MissingBackend else."""
    engine = EXTERNAL.get(name)
    if engine is None:
        raise UserError(f"backend must be one of {', '.join(BACKENDS)}; got {name!r}")
    if engine.find(command) is None:
        where = f"at {command!r}" if command else "on this machine"
        raise MissingBackend(f"backend {name!r} is not {where}: it needs {engine.wanted}")
    return engine


def asked_for(program: str) -> str:
    """The program as an engine of others gets it: where it defines f last, or ends without a value, f is asked for."""
    if not _DEFINES_F.search(program):
        return program
    from nsrl.engines.wolfram.errors import WolframSyntaxError
    from nsrl.engines.wolfram.expr import NULL
    from nsrl.engines.wolfram.parser import parse
    from nsrl.engines.wolfram.run import defines_f

    try:
        last = parse(program)[-1]
    except (WolframSyntaxError, RecursionError, IndexError):
        return program + "\nf"
    silent = getattr(last, "args", ())[-1:] == (NULL,)
    return program + "\nf" if silent or defines_f(last) else program


def evaluate(name: str, program: str, limits: Limits = Limits(), command: str | None = None) -> Result:
    """Run one program in a process of its own. Same Result as ours; `value` stays None."""
    engine = external(name, command)
    if (refused := unfit(program, name)) is not None:
        return refused
    code = asked_for(program)
    with tempfile.TemporaryDirectory(prefix="nsrl-engine-") as folder:
        file = Path(folder) / "program.wls"
        file.write_text(code, encoding="utf-8", errors="replace")
        safe = code.encode("utf-8", "replace").decode()
        filled = [part.replace("{file}", str(file)).replace("{code}", safe) for part in engine.arguments]
        status, output, code_ended = _run([*(engine.find(command) or []), *filled], folder, limits, engine.memory_mb)
    return _read(name, status, output, code_ended)


def unfit(program: str, name: str) -> Result | None:
    """The Result of a program that no engine is given: one with a NUL character, or beyond 120,000 bytes."""
    if "\0" in program:
        message, status = Message("Syntax", "sntx", "The program holds a NUL character."), Status.SYNTAX
    elif len(program.encode("utf-8", "replace")) > 119_000:
        message, status = Message("Engine", "size", "The program is too large."), Status.REFUSED
    else:
        return None
    return Result(status, messages=(message,), engine=name)


def _bounds(limits: Limits, memory_mb: int) -> None:
    """In the child, before its exec."""
    os.setsid()
    seconds = int(limits.cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bytes_ = (limits.memory_mb + memory_mb) << 20
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_, bytes_))


def _run(command: list[str], folder: str, limits: Limits, memory_mb: int) -> tuple[Status, str, int]:
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
            preexec_fn=lambda: _bounds(limits, memory_mb),
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
    process.stdout.close()
    text = bytes(output[: limits.output_bytes]).decode("utf-8", "replace")
    if status is Status.OK and code not in (0, -signal.SIGKILL) and not text.startswith(_ERROR):
        out_of_memory = _OUT_OF_MEMORY.search(text) is not None
        status = Status.TIMEOUT if code == -signal.SIGXCPU else Status.MEMORY if out_of_memory else Status.CRASH
    return status, text, code


def _read(name: str, status: Status, output: str, code: int) -> Result:
    messages, lines = [], []
    for line in output.splitlines():
        found = _MESSAGE.match(line)
        if found:
            messages.append(Message(found[1], found[2], found[3]))
        elif line.strip():
            lines.append(line)
    if status in (Status.TIMEOUT, Status.CRASH, Status.MEMORY):
        return Result(status, engine=name)
    if code > 0 and output.startswith(_ERROR):
        said = Message(name, "error", " ".join(lines)[7:400])
        status = Status.SYNTAX if said.text.startswith("Parse error") else Status.UNEVALUATED
        return Result(status, messages=(*messages, said), stdout=output, engine=name)
    if len(lines) > 1 and lines[-1].strip() == "Null":
        lines.pop()  # what it printed last is the value, as in ours
    return judged(name, lines[-1].strip() if lines else "", tuple(messages), output)


def judged(name: str, text: str, messages: tuple[Message, ...], output: str) -> Result:
    """The Result of a program that came to its end, by the rules of ours: no text or a call that nobody evaluated is
    unevaluated, a message outside the benign set counts, one of syntax without a value is no program."""
    from nsrl.engines.wolfram.run import BENIGN

    text = _PRECISION.sub("", text).translate(_WRITTEN)
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1]  # as the real engine prints it
    text = "" if text == "Null" else text
    if any(m.symbol in ("Syntax", "ToExpression") and m.tag.startswith("sntx") for m in messages):
        status, text = Status.SYNTAX, ""
    elif any((m.symbol, m.tag) not in BENIGN for m in messages):
        status = Status.MESSAGE if text else Status.UNEVALUATED
    else:
        status = Status.UNEVALUATED if not text or text == "$Aborted" or left_over(text) else Status.OK
    return Result(status, text, None, messages, output, engine=name)


def left_over(text: str) -> bool:
    """Whether a printed value is, or is made of, a call that nobody evaluated, by the rule of our own evaluator."""
    from nsrl.engines.wolfram import builtins
    from nsrl.engines.wolfram.errors import WolframSyntaxError
    from nsrl.engines.wolfram.parser import parse
    from nsrl.engines.wolfram.run import is_unevaluated

    if len(text) > MAX_READ or "[" not in text:
        return False
    builtins.load()
    try:
        return any(map(is_unevaluated, parse(text)))
    except (WolframSyntaxError, RecursionError):
        return False  # text as it is printed to be read by people
