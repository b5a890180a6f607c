"""A zygote and the workers it forks run the programs. They run without torch, in an empty environment.

The parent starts one zygote per kind by fork and exec. A zygote imports and warms everything, then forks a worker each
time the parent asks, and tells the parent when one dies. Two kinds of worker:

- native (nsl, wolfram): one process evaluates many programs in turn, each in a fresh context;
- python (sympy): a server forks one child per program and waits for it; the child ends when its CPU time is over.

The wall clock is the parent's: it sees what these processes cannot, whether one waits or the machine stands still.
Every frame is handled as soon as its program is done: results are never held back behind a program that hangs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import time
from typing import Any

from nsrl.engines import languages
from nsrl.engines.pool import protocol, sandbox
from nsrl.engines.result import Limits, Message, Result, Status

_FD = 3  # where a worker's socket lies; 0, 1 and 2 are /dev/null
_LEAF = 4  # where a leaf's pipe lies
_RECURSION = 6000
_SIGNALLED = 64  # exit code of a namespace's process 1 whose child a signal ended, less the signal


def main() -> None:
    """Entry of a zygote. Its one argument is JSON: control socket, kind, languages, expected parent."""
    gc.disable()  # what is imported stays: looking for garbage in it is a tenth of the start
    setup = json.loads(sys.argv[1])
    sandbox.die_with_parent()
    if os.getppid() != setup["parent"]:
        os._exit(0)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the parent has closed the pool already
        _Zygote(setup).serve()
    os._exit(0)


def _send_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class _Zygote:
    def __init__(self, setup: dict[str, Any]) -> None:
        self.parent = setup["parent"]
        self.kind = setup["kind"]
        self.languages: list[str] = setup["languages"]
        self.control = socket.socket(fileno=setup["control"])
        self.children: dict[int, int] = {}  # process -> the parent's number for it
        sandbox.roomy_stack()
        sys.setrecursionlimit(_RECURSION)
        self.adopts = sandbox.adopt_orphans()
        self.evaluators: dict[str, Any] = {}
        if self.kind == "native":
            self.evaluators = languages.evaluators(tuple(self.languages))
            warm_native(self.evaluators)
        else:
            from nsrl.engines.sympy import namespace, run

            namespace.prepare(run.refuse)
        self.filters = [sandbox.build_filter(name) for name in ("native", "server", "leaf")]
        gc.freeze()
        gc.enable()
        wake, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.woken = wake

    def tell(self, message: dict[str, Any]) -> None:
        self.control.sendall(protocol.pack(0, json.dumps(message).encode()))

    def serve(self) -> None:
        self.tell({"ready": self.kind})
        while os.getppid() == self.parent:
            ready, _, _ = select.select([self.control, self.woken], [], [], 0.5)
            if self.woken in ready:
                os.read(self.woken, 4096)
            self.reap()
            if self.control in ready and not self.request():
                break
        os._exit(0)  # the workers die with this process

    def request(self) -> bool:
        data, handles, _flags, _address = socket.recv_fds(self.control, 8, 1)
        if len(data) < 8 or not handles:
            return False
        number = int.from_bytes(data, "little")
        process = self.spawn(handles[0])
        os.close(handles[0])
        self.children[process] = number
        self.tell({"spawned": number, "pid": process})
        return True

    def reap(self) -> None:
        while self.children:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            number = self.children.pop(process, None)
            if number is not None:
                self.tell({"died": number, "status": status})

    def spawn(self, handle: int) -> int:
        """Fork a worker: an in-between process leaves the namespaces, its child is process 1 of a new one."""
        if not self.adopts:  # no namespaces either: not Linux
            process = os.fork()
            if process == 0:
                self.enter(handle, {"user": sandbox.drop_user(), "namespaces": False})
                os._exit(0)
            return process
        told, tell = os.pipe()
        wait, go = os.pipe()
        between = os.fork()
        if between == 0:
            user, apart = sandbox.drop_user(), sandbox.new_namespaces()
            process = os.fork()
            if process:
                os.write(tell, process.to_bytes(4, "little"))
                os._exit(0)
            os.close(go)
            os.close(tell)
            os.read(wait, 1)  # until the zygote has become this process's parent
            if apart and self.kind == "native":
                _stand_first()
            self.enter(handle, {"user": user, "namespaces": apart})
            os._exit(0)
        os.close(tell)
        os.close(wait)
        process = int.from_bytes(os.read(told, 4), "little")
        os.close(told)
        os.waitpid(between, 0)
        os.close(go)
        return process

    def enter(self, handle: int, layers: dict[str, bool]) -> None:
        """Become a worker: its socket and nothing else, the walls, the self-test, then programs until the socket
        closes."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        sandbox.die_with_parent()
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        handle = os.dup(handle) if handle < 10 else handle
        copy = os.dup2(handle, 100)
        for target in (0, 1, 2):
            os.dup2(null, target)
        os.dup2(copy, _FD)
        os.closerange(_FD + 1, 4096)
        base = sandbox.address_space()
        layers["chroot"] = layers["namespaces"] and sandbox.empty_root()
        layers["no_new_privs"] = sandbox.no_new_privileges()
        layers["capabilities"] = sandbox.drop_capabilities()
        sandbox.hide_from_debuggers()
        native, server, leaf = self.filters
        if self.kind == "native":
            layers["landlock"] = sandbox.landlock()
            layers["rlimits"] = sandbox.rlimits(files=_FD + 1, processes=0)
            layers["seccomp"] = sandbox.seccomp(native)
            broken = sandbox.probe() if sandbox.LINUX else []
            _hello(layers, broken)
            _native(self.evaluators, base)
        else:
            layers["rlimits"] = sandbox.rlimits(files=16, processes=None)
            layers["landlock"] = sandbox.landlock()
            layers["seccomp"] = sandbox.seccomp(server)
            server = _Server(base, leaf, layers["namespaces"])
            broken = server.self_test() if sandbox.LINUX else []
            _hello(layers, broken)
            server.serve()


def _stand_first() -> None:
    """Be process 1 of a namespace for a child that returns from here: process 1 itself ignores the timer's signal."""
    child = os.fork()
    if child == 0:
        return
    signal.set_wakeup_fd(-1)
    sandbox.die_with_parent()
    os.setsid()
    os.closerange(3, 4096)
    _, status = os.waitpid(child, 0)
    os._exit(_SIGNALLED + os.WTERMSIG(status) if os.WIFSIGNALED(status) else 1)


def ended_by(status: int) -> int:
    """The signal that ended a worker, from the wait status of its outermost process; 0 for none."""
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
    return max(0, code - _SIGNALLED)


def _hello(layers: dict[str, bool], broken: list[str]) -> None:
    _send_all(_FD, protocol.pack(protocol.HELLO, json.dumps({"layers": layers, "broken": broken}).encode()))


class _Inbox:
    """The tasks in a worker's socket. A cancel frame drops all but the one it names."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.tasks: list[tuple[int, bytes]] = []
        self.poll = select.poll()
        self.poll.register(_FD, select.POLLIN)

    def next(self) -> tuple[int, bytes] | None:
        """The next task; blocks for it. None when the parent has gone."""
        while True:
            while not self.tasks or self.poll.poll(0):
                data = os.read(_FD, 1 << 16)
                if not data:
                    return None
                self.buffer += data
                for number, payload in protocol.unpack(self.buffer):
                    if number == protocol.CANCEL:
                        # The oldest may not be begun yet, when the machine is busy: the parent still waits for it.
                        kept = int.from_bytes(payload, "little")
                        self.tasks = [task for task in self.tasks if task[0] == kept]
                        _send_all(_FD, protocol.pack(protocol.CANCEL, b""))
                    else:
                        self.tasks.append((number, payload))
            if self.tasks:
                return self.tasks.pop(0)


def warm_native(evaluators: dict[str, Any]) -> None:
    """Load what the engines load late: afterwards no file can be read."""
    if not evaluators:
        return
    from nsrl.engines.sympy import namespace

    if languages.present("sympy"):
        namespace.preload(warm=False)
    for language, evaluate in evaluators.items():
        for program in _WARM[language]:
            evaluate(program, Limits())


_WARM = {
    "nsl": ("1+1", "2a+3p=13;4a+p=11;p", "w(w+2)=48;w>0;w", "sqrt 2"),
    "wolfram": (
        "1+1", "Solve[x^2-3x+2==0,x]", "Integrate[x Exp[x],x]", "Simplify[Sin[x]^2+Cos[x]^2]", "N[Pi,30]",
        "Reduce[x^2<4&&x>0,x]", "Limit[Sin[x]/x,x->0]", "Series[Exp[x],{x,0,3}]", "Minimize[x^2,x]",
        "FactorInteger[360]",
    ),
}  # fmt: skip


def _seed() -> None:
    random.seed(0)
    core = sys.modules.get("sympy.core.random")
    if core is not None:
        core.rng.seed(0)


def _native(evaluators: dict[str, Any], base: int) -> None:
    inbox = _Inbox()
    memory = 0
    while (task := inbox.next()) is not None:
        number, payload = task
        language, program, limits = protocol.decode_task(payload)
        if limits.memory_mb != memory:
            memory = limits.memory_mb
            sandbox.limit_memory(base + (memory << 20))
        _seed()
        # The profiling timer counts CPU time and its signal ends the process, whatever C code is running. Not SIGALRM.
        signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
        started = time.thread_time_ns()  # while the timer runs, the process's own clock moves by whole ticks
        result = _evaluated(evaluators[language], program, limits)
        spent = (time.thread_time_ns() - started) / 1e6
        answer = protocol.encode_result(protocol.bounded(result, limits), spent)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send_all(_FD, protocol.pack(number, answer))


def _evaluated(evaluate: Any, program: str, limits: Limits) -> Result:
    """The engine's Result; an exception it let through is a bug of ours, told as one."""
    result = Result(Status.CRASH)
    with _Bugs() as bugs:
        result = evaluate(program, limits)
    if bugs.error is None:
        return result
    if isinstance(bugs.error, MemoryError):
        return Result(Status.MEMORY)
    if isinstance(bugs.error, RecursionError):
        note = Message("Engine", "depth", "The program nests deeper than the engine can go.")
        return Result(Status.MEMORY, messages=(note,))
    return Result(Status.CRASH, messages=(Message("Engine", "bug", bugs.told()),))


class _Bugs:
    """Holds the exception that an engine let through."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> _Bugs:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self.error = error
        return isinstance(error, Exception)

    def told(self) -> str:
        """Which exception, and where."""
        trace = self.error.__traceback__ if self.error else None
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
        return f"{type(self.error).__name__} at {where}: {self.error}"[:500]


class _Server:
    """The Python engine: one forked child per program, watched by this process."""

    def __init__(self, base: int, leaf: Any, alone: bool) -> None:
        from nsrl.engines.sympy import run as engine

        self.base, self.filter, self.alone, self.engine = base, leaf, alone, engine

    def self_test(self) -> list[str]:
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            self.wall_in(into, Limits())
            _send_all(_LEAF, json.dumps(sandbox.probe()).encode())
            os._exit(0)
        os.close(into)
        told = os.read(out, 4096)
        os.close(out)
        os.waitpid(child, 0)
        return json.loads(told or b'["leaf"]')

    def wall_in(self, into: int, limits: Limits) -> None:
        """The child's own walls, on top of those it was born with."""
        os.setsid()
        sandbox.die_with_parent()
        os.dup2(into, _LEAF)
        os.close(_FD)
        os.closerange(_LEAF + 1, 16)
        sandbox.limit_memory(self.base + (limits.memory_mb << 20))
        sandbox.limit_cpu(int(limits.cpu_s) + 2)
        sandbox.rlimits(files=_LEAF + 1, processes=0)
        signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
        sandbox.seccomp(self.filter)

    def serve(self) -> None:
        gc.collect()
        gc.freeze()
        inbox = _Inbox()
        while (task := inbox.next()) is not None:
            number, payload = task
            _language, program, limits = protocol.decode_task(payload)
            answer = self.one(program, limits)
            _send_all(_FD, protocol.pack(number, answer))

    def one(self, program: str, limits: Limits) -> bytes:
        told, ended = self.attempt(program, limits)
        if ended == signal.SIGKILL and not told:  # by somebody outside: not the program's doing
            told, ended = self.attempt(program, limits)
        if told and _is_result(told, limits):
            return bytes(told)
        if ended in (signal.SIGPROF, signal.SIGXCPU):
            return protocol.encode_result(Result(Status.TIMEOUT))
        return protocol.encode_result(Result(Status.CRASH))

    def attempt(self, program: str, limits: Limits) -> tuple[bytearray, int]:
        """Fork a child for the program: what it told, and the signal that ended it by itself."""
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            self.child(into, program, limits)
        os.close(into)
        told = bytearray()
        while len(told) <= protocol.MAX_FRAME and (data := os.read(out, 1 << 16)):
            told += data
        os.close(out)
        status = 0
        if not told:  # it is ending: let it, to know of what
            for _ in range(20):
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    child = 0
                    break
                select.select([], [], [], 0.005)
        if child:
            _kill(child)
            os.waitpid(child, 0)
        if self.alone and os.getpid() == 1:
            _kill(-1)  # nothing else lives in this namespace
        return told, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

    def child(self, into: int, program: str, limits: Limits) -> None:
        """The whole life of the process that runs one program. Never returns into the server's code."""
        try:
            gc.disable()
            self.wall_in(into, limits)
            _seed()
            _send_all(_LEAF, protocol.encode_result(protocol.bounded(self.engine.run(program, limits), limits)))
        except MemoryError:
            _send_all(_LEAF, protocol.encode_result(Result(Status.MEMORY)))
        finally:
            os._exit(0)


def _is_result(told: bytearray, limits: Limits) -> bool:
    """Did the child send a Result? It may be another program by now."""
    try:
        protocol.decode_result(bytes(told), "", "", limits)
    except protocol.BadFrame:
        return False
    return len(told) <= protocol.MAX_FRAME


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:
        return  # it has ended by itself
