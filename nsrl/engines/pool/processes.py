"""`Zygote` and `Worker` are the parent's side of one process each: start it, write to it, kill it. Stdlib only."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from nsrl.engines.pool import protocol

_BOOT = "import sys; sys.path[:] = {path!r}; from nsrl.engines.pool.worker import main; main()"


class Zygote:
    """One forking process of a kind (native, python), started by fork and exec: nothing of this process is in it.

    Start it from the thread that lives as long as it should: it dies with that thread.
    """

    def __init__(self, kind: str, languages: list[str]) -> None:
        self.kind = kind
        self.ready = False
        self.buffer = bytearray()
        self.started = time.monotonic()
        self.control, theirs = socket.socketpair()
        setup = {"control": theirs.fileno(), "kind": kind, "languages": languages, "parent": os.getpid()}
        # The same packages as here, and this very copy of them; nothing from the working directory.
        path = [str(Path(__file__).resolve().parents[3]), *(entry for entry in sys.path if os.path.isabs(entry))]
        command = [sys.executable, "-P", "-X", "utf8", "-c", _BOOT.format(path=path), json.dumps(setup)]
        if sys.platform.startswith("linux"):
            command = [sys.executable, "-S", str(Path(__file__).with_name("launch.py")), *command]
        null = subprocess.DEVNULL
        # A session of its own: Ctrl-C in the terminal is for the trainer, which may want to run programs still.
        self.process = subprocess.Popen(
            command, stdin=null, stdout=null, env={"PYTHONHASHSEED": "0"}, cwd="/", pass_fds=[theirs.fileno()],
            start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self.control.setblocking(False)

    def fork(self, number: int) -> socket.socket:
        """Order a worker; it will answer on the socket returned. Raises OSError when the zygote has died."""
        ours, theirs = socket.socketpair()
        try:
            self.control.setblocking(True)
            socket.send_fds(self.control, [number.to_bytes(8, "little")], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            self.control.setblocking(False)
            theirs.close()
        ours.setblocking(False)
        return ours

    def read(self) -> list[dict[str, Any]] | None:
        """Its messages; None when it has died."""
        try:
            data = self.control.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self.buffer += data
        return [json.loads(payload) for _number, payload in protocol.unpack(self.buffer)]

    def stop(self) -> None:
        """End the process and wait for it."""
        self.control.close()
        self.process.kill()
        self.process.wait()


class Worker:
    """One worker as the parent sees it: the programs in its pipe, oldest first, and since when it has been at it."""

    def __init__(self, kind: str, number: int, sock: socket.socket) -> None:
        self.kind, self.number, self.sock = kind, number, sock
        self.pid = 0
        self._handle = -1
        self.hello = False
        self.closed = False  # its socket has ended: it is dying
        self.suspended = False  # the machine stood still while its oldest program ran
        self.cancelling = False  # told to drop what it has not begun, and not yet done so
        self.since = time.monotonic()
        self.served = 0
        self.pipe: OrderedDict[int, Any] = OrderedDict()
        self._in = bytearray()
        self._out = bytearray()

    def attach(self, pid: int) -> None:
        """Take note of the process, by a handle that no later process can inherit."""
        self.pid = pid
        if hasattr(os, "pidfd_open"):
            try:
                self._handle = os.pidfd_open(pid)
            except OSError:
                self._handle = -1

    def activity(self) -> str:
        """What the worker's processes are at: `busy` (one has or wants a CPU), `waits` (all wait for something, of
        their own will), `stopped` (the system holds one up, or it is not known)."""
        states, process = "", self.pid
        try:
            while process:  # each has one child at most: process 1 of the namespace, the server, who runs the program
                with open(f"/proc/{process}/stat") as file:
                    states += file.read().rpartition(") ")[2][:1]
                with open(f"/proc/{process}/task/{process}/children") as file:
                    process = int((file.read().split() or [0])[-1])
        except OSError:
            return "stopped"
        if set(states) <= set("RSZ") and states:
            return "busy" if "R" in states else "waits"
        return "stopped"

    def kill(self) -> None:
        """SIGKILL, through a handle that cannot mean another process."""
        try:
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            elif self.pid:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def terminate(self) -> None:
        """Kill the process and give back its descriptors."""
        self.kill()
        self.sock.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def write(self, data: bytes = b"") -> bool:
        """Send what the socket takes now. True: more is waiting."""
        self._out += data
        try:
            while self._out:
                sent = self.sock.send(self._out)
                del self._out[:sent]
        except BlockingIOError:
            return True
        except OSError:
            self._out.clear()
        return False

    def read(self) -> list[tuple[int, bytes]]:
        """The frames it sent; sets `closed` at its end. Raises BadFrame."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.closed = True
        self._in += data
        return protocol.unpack(self._in)
