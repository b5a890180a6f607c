"""The watchdog ends a run of several processes together: when one of them ends, the others end too, with one sentence.

Every rank beats into the rendezvous store and looks at the others about once a second, in a thread that goes on while
the main thread waits inside a collective. A rank on this machine is dead as soon as its process is; one elsewhere (or
one that is stopped) when it has not beaten for `STALE_S`. torchrun ends the survivors with SIGTERM within a fraction of
a second of a death, so that signal is caught and answered by the same thread.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from nsrl.errors import UserError

TICK_S = 1.0
STALE_S = 40.0  # without a beat: well under a minute in all, well above a pause of the interpreter
START_S = 300  # for all ranks to import and arrive
LINGER_S = 2.0  # a rank that spoke stays so long, for the others to see that someone did

_STORE_ERRORS = (RuntimeError, OSError)  # torch.distributed raises subclasses of RuntimeError when the store is gone


class Watchdog:
    """Start with `start()`, after which `trouble` may end the process at any time; `stop()` ends the watch, not the
    process.

    store: a connection of its own (a connection that another thread waits on would block the beats).
    """

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size
        self.others = [r for r in range(size) if r != rank]
        self.people: dict[int, dict[str, Any]] = {}  # rank → pid, host, machine
        self._seen: dict[int, tuple[bytes, float]] = {}  # rank → last beat, and when it was new
        self._store_lost = False
        self._ending = threading.Lock()
        self._stopping = False
        self._leaving = False
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._thread = threading.Thread(target=self._loop, name="nsrl-watch", daemon=True)

    def start(self) -> None:
        """Wait until every rank is there, then watch. Call from the main thread. Raises `UserError` if one never
        comes."""
        me = {"pid": os.getpid(), "host": socket.gethostname(), "machine": _machine()}
        self.store.set_timeout(timedelta(seconds=START_S))
        self.store.set(f"who/{self.rank}", json.dumps(me))
        self.store.set(f"beat/{self.rank}", "0")
        for rank in range(self.size):
            try:
                self.people[rank] = json.loads(self.store.get(f"who/{rank}"))
            except _STORE_ERRORS:
                raise UserError(f"rank {rank} of {self.size} did not start within {START_S} s") from None
        self.store.set_timeout(timedelta(seconds=10))
        signal.signal(signal.SIGTERM, lambda *_: None)  # the byte in the pipe is what counts
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        self._thread.start()

    @property
    def local_rank(self) -> int:
        """This rank's place among those of its machine."""
        return self._neighbours().index(self.rank)

    @property
    def local_size(self) -> int:
        """Ranks on this machine."""
        return len(self._neighbours())

    def _neighbours(self) -> list[int]:
        host = self.people[self.rank]["host"]
        return [rank for rank in sorted(self.people) if self.people[rank]["host"] == host]

    def stop(self) -> None:
        """End the watch: this rank is done, and its end is no failure to the others."""
        self._stopping = True
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.write(self._wake_out, b"x")
        self._thread.join(timeout=15)

    def done(self) -> None:
        """From here on the end of this rank is no failure, and neither is that of a rank 0 that holds the store."""
        self._leaving = True
        self.store.set(f"done/{self.rank}", "1")

    def fail(self, sentence: str, code: int, trace: str = "") -> NoReturn:
        """End this process because of its own error: trace and sentence are printed if no rank has spoken yet."""
        self._end(sentence, code, trace)

    def explain(self, wait_s: float) -> str | None:
        """Why a collective broke: the sentence on the rank that ended; None when all are well after `wait_s`
        seconds."""
        until = time.monotonic() + wait_s
        while True:
            sentence = self.trouble()
            if sentence is not None or time.monotonic() >= until:
                return sentence
            time.sleep(0.2)

    def trouble(self) -> str | None:
        """One sentence on the first rank found dead or failed; "" when another rank has already said it; None: none."""
        if self._said():
            return ""
        if self._store_lost and self._leaving:
            return None
        for rank in self.others:
            if self._is_done(rank):
                continue
            who = f"rank {rank} (pid {self.people[rank]['pid']} on {self.people[rank]['host']})"
            rest = "the other ranks stop; --resume continues from the latest checkpoint"
            if self._process_gone(rank):
                return f"{who} ended without an error of its own (killed, or out of memory): {rest}"
            if self._stale(rank):
                return f"{who} has given no sign of life for {STALE_S:.0f} s: {rest}"
        if self._store_lost:
            return "the process that started this run, or rank 0, cannot be reached any more: this rank stops"
        return None

    # --- the thread -------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        beat, last = 0, time.monotonic()
        while not self._stopping:
            ready, _, _ = select.select([self._wake_in], [], [], TICK_S)
            told = bool(ready) and bytes([signal.SIGTERM]) in os.read(self._wake_in, 64)
            if self._stopping:
                return
            now = time.monotonic()
            if now - last > 10:  # this process was stopped itself: others may well have beaten meanwhile
                self._seen.clear()
            last = now
            beat += 1
            self._ask(lambda beat=beat: self.store.set(f"beat/{self.rank}", str(beat)))
            sentence = self.explain(2.0) if told else self.trouble()
            if sentence is not None:
                self._end(sentence, 1)
            if told:  # asked to go, and everybody is well
                self._end("ended by SIGTERM; --resume continues from the latest checkpoint", 128 + signal.SIGTERM)

    def _end(self, sentence: str, code: int, trace: str = "") -> NoReturn:
        with self._ending:  # never released: the main thread and the watch may both come here
            speaks = bool(sentence) and self._claim()
            sys.stdout.flush()
            if speaks:
                print(f"{trace}error: {sentence}", file=sys.stderr, flush=True)
                if self._store_lost:
                    time.sleep(LINGER_S)
            os._exit(code)

    def _claim(self) -> bool:
        """Whether this rank is the one to speak: the first to ask, or without a store the lowest one alive here."""
        first = self._ask(lambda: self.store.add("said", 1))
        if first is not None:
            return first == 1
        return not any(rank < self.rank and not self._process_gone(rank) for rank in self.others)

    def _said(self) -> bool:
        return bool(self._ask(lambda: self.store.check(["said"])))

    def _is_done(self, rank: int) -> bool:
        return bool(self._ask(lambda: self.store.check([f"done/{rank}"])))

    def _stale(self, rank: int) -> bool:
        beat = self._ask(lambda: self.store.get(f"beat/{rank}"))
        now = time.monotonic()
        if beat is None:
            return False
        known = self._seen.get(rank)
        if known is None or known[0] != beat:
            self._seen[rank] = beat, now
            return False
        return now - known[1] > STALE_S

    def _process_gone(self, rank: int) -> bool:
        """Whether a rank of this machine has no process any more (False for one elsewhere: only its beats tell)."""
        person, me = self.people[rank], self.people[self.rank]
        if person["machine"] != me["machine"] or not me["machine"]:
            return False
        try:
            state = Path(f"/proc/{person['pid']}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return True
        return state in "ZX"

    def _ask(self, question: Any) -> Any:
        if self._store_lost:
            return None
        try:
            return question()
        except _STORE_ERRORS:
            self._store_lost = True
            return None


def _machine() -> str:
    """What tells machines and process-id namespaces apart; empty where there is no /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
