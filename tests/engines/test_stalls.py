"""A machine that stands still or is too busy: the verdict is that of a quiet one, and the stall is counted."""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from nsrl.answers import mathverify
from nsrl.engines import EnginePool, Limits, Status
from nsrl.engines.pool import processes, protocol, worker
from nsrl.engines.pool.sandbox import LINUX
from tests.engines.test_hostile import RAW_BOOT

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(not LINUX, reason="stops processes of the pool by signal")

# About a third of a second of CPU time each, and a value that tells whether they ran to their end.
WORK = {
    "wolfram": "x=0;Do[x=Mod[x*x+k,10007],{k,30000}];x",
    "sympy": "x = 0\nfor k in range(4000000): x = (x * x + k) % 10007\nprint(x)",
}
ROOMY = Limits(cpu_s=4, wall_s=2.0, steps=10**8)


@pytest.fixture(scope="module")
def pools():
    with contextlib.ExitStack() as stack:
        yield {language: stack.enter_context(EnginePool(workers=1, languages=[language], cache=0)) for language in WORK}


def family(pool):
    """The pool's own processes: its zygotes (this process's children whose sockets it holds) and what they forked."""
    zygotes = [psutil.Process(zygote.process.pid) for zygote in pool._manager.supervisor.zygotes.values()]
    return [p for z in zygotes for p in (z, *z.children(recursive=True))]


def busiest(pool, used):
    """The process that runs the program: the one whose CPU time has grown most since `used`."""
    found = {}
    for process in family(pool):
        with contextlib.suppress(psutil.NoSuchProcess):
            found[process.pid] = sum(process.cpu_times()[:2])
    return max(found, key=lambda pid: found[pid] - used.get(pid, 0.0))


def cpu_times(pool):
    return {p.pid: sum(p.cpu_times()[:2]) for p in family(pool)}


@pytest.mark.parametrize("language", WORK)
@pytest.mark.parametrize("who", ["the one that runs it, for good", "all of them, for a while"])
def test_a_program_that_was_stopped_has_the_verdict_of_a_quiet_machine(pools, language, who):
    pool = pools[language]
    quiet = pool.run(language, WORK[language], ROOMY)
    assert quiet.status is Status.OK
    before, used = pool.stats()["stalls"], cpu_times(pool)
    future = pool.submit(language, WORK[language], ROOMY)
    joined = pool.submit(language, WORK[language], ROOMY)
    behind = pool.submit(language, "1+1")
    time.sleep(0.12)
    stopped = [busiest(pool, used)] if who.startswith("the one") else [p.pid for p in family(pool)]
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    assert not future.done(), "the test wants to stop it in the middle"
    if len(stopped) > 1:
        time.sleep(1.5 * ROOMY.wall_s)
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert future.result(timeout=30) == quiet == joined.result(timeout=30)
    assert behind.result(timeout=30).text == "2"
    assert pool.stats()["stalls"] > before


SUSPENDED = """
import json, sys
from nsrl.engines import EnginePool, Limits
language, program = sys.argv[1:]
with EnginePool(workers=1, languages=[language], cache=0) as pool:
    pool.run(language, "1")
    print("ready", flush=True)
    for _ in range(2):
        sys.stdin.readline()
        print(json.dumps([pool.run(language, program, Limits(cpu_s=4, wall_s=8, steps=10**8)).status.value, pool.stats()["stalls"]]), flush=True)
"""


@pytest.mark.parametrize("language", WORK)
def test_cpu_time_charged_while_the_machine_stood_still_is_no_timeout(language):
    """A suspended machine may charge the pause to whoever ran: its timer ends the program when all wake up."""
    command = [sys.executable, "-c", SUSPENDED, language, WORK[language]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout.readline() == "ready\n"
        found = []
        for pause in (1.8, 0.0):
            used = {p.pid: sum(p.cpu_times()[:2]) for p in psutil.Process(caller.pid).children(recursive=True)}
            caller.stdin.write("\n")
            caller.stdin.flush()
            time.sleep(0.15)
            grown = {}
            for process in psutil.Process(caller.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    grown[process.pid] = sum(process.cpu_times()[:2]) - used.get(process.pid, 0.0)
            os.kill(caller.pid, signal.SIGSTOP)
            os.kill(max(grown, key=grown.get), signal.SIGPROF)
            time.sleep(pause)
            os.kill(caller.pid, signal.SIGCONT)
            found.append(json.loads(caller.stdout.readline()))
        assert found == [["ok", 1], ["timeout", 1]]
        caller.stdin.close()


def test_a_program_not_begun_is_not_dropped_with_those_behind_it(monkeypatch):
    """A worker that got no CPU reads its programs and the order to drop them at once: the oldest is still awaited."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(worker, "_FD", theirs.fileno())
    for number in (1, 2, 3):
        ours.sendall(protocol.pack(number, b"program"))
    ours.sendall(protocol.pack(protocol.CANCEL, (1).to_bytes(8, "little")))
    ours.sendall(protocol.pack(4, b"later"))
    inbox = worker._Inbox()
    assert [inbox.next(), inbox.next()] == [(1, b"program"), (4, b"later")]
    ours.recv(100)  # the answer to the order
    ours.shutdown(socket.SHUT_WR)
    assert inbox.next() is None
    ours.close()
    theirs.close()


def test_programs_taken_from_a_worker_that_stands_still_leave_it_its_own():
    with EnginePool(workers=2, languages=["wolfram"], cache=0) as pool:
        for program in ("1", "2"):
            pool.run("wolfram", program)
        native = [w for w in pool._manager.supervisor.workers.values() if w.hello]
        stopped = [psutil.Process(w.pid).children(recursive=True) or [psutil.Process(w.pid)] for w in native]
        for processes_ in stopped:
            for process in processes_:
                process.suspend()
        futures = [pool.submit("wolfram", f"{n}+1") for n in range(60)]
        time.sleep(0.1)
        for process in stopped[0]:
            process.resume()
        time.sleep(0.3)  # the first is done with its own and takes from the second, which has begun nothing
        for process in (p for processes_ in stopped[1:] for p in processes_):
            process.resume()
        started = time.monotonic()
        assert [future.result(timeout=60).text for future in futures] == [str(n + 1) for n in range(60)]
        assert time.monotonic() - started < 2.5 < pool.limits.wall_s


def spin():
    while True:
        pass


@pytest.mark.parametrize("language", WORK)
def test_a_busy_machine_changes_no_verdict(pools, language):
    pool = pools[language]
    quiet = pool.run(language, WORK[language], ROOMY)
    limits = Limits(cpu_s=2, wall_s=1.0, steps=10**8)
    loops = {"wolfram": "While[True,{}]", "sympy": "while True: pass"}
    hogs = [multiprocessing.get_context("fork").Process(target=spin, daemon=True) for _ in range(6 * os.cpu_count())]
    try:
        for hog in hogs:
            hog.start()
        started = time.monotonic()
        assert pool.run(language, WORK[language], limits) == quiet
        assert pool.run(language, loops[language], Limits(cpu_s=0.2, wall_s=0.25)).status is Status.TIMEOUT
        assert time.monotonic() - started < 11 * (1.0 + 0.25)
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


@pytest.mark.parametrize("language, loop", [("sympy", "while True: {}"), ("wolfram", "While[True,{}]")])
def test_a_loop_is_ended_by_its_cpu_time_and_is_no_stall(pools, language, loop):
    pool, limits = pools[language], Limits(cpu_s=0.3, wall_s=5.0)
    before, started = pool.stats(), time.monotonic()
    assert pool.run(language, loop.format(1), limits).status is Status.TIMEOUT
    assert time.monotonic() - started < 4.0
    assert pool.stats()["stalls"] == before["stalls"] and pool.stats()["killed"] == before["killed"]


def test_a_cpu_limit_beyond_the_wall_clock_is_lowered_below_it():
    assert Limits().in_force() == Limits()
    assert Limits(cpu_s=30, wall_s=1.0).in_force() == Limits(cpu_s=0.8, wall_s=1.0)
    assert Limits(cpu_s=30, wall_s=1.0).in_force().patient() == Limits(cpu_s=0.8, wall_s=10.0)


def test_a_program_that_waits_without_working_has_its_wall_clock_and_no_more(monkeypatch):
    monkeypatch.setattr(processes, "_BOOT", RAW_BOOT)  # no program gets this far: the Python engine knows no sleep
    limits = Limits(cpu_s=0.2, wall_s=0.5)
    with EnginePool(workers=2, limits=limits, languages=["sympy"]) as pool:
        pool.run("sympy", "out = 0")
        started = time.monotonic()
        waits = pool.submit("sympy", "import time; time.sleep(100)")
        blocks = pool.submit("sympy", "import select; select.poll().poll()")
        assert [f.result().text for f in [pool.submit("sympy", f"out = {n}") for n in range(20)]] == [
            str(n) for n in range(20)
        ]
        assert waits.result(timeout=30).status is blocks.result(timeout=30).status is Status.TIMEOUT
        assert time.monotonic() - started < 4 * limits.wall_s
        assert pool.stats()["stalls"] == 0 and pool.stats()["cached"] == 20


@pytest.mark.skipif(mathverify._worker() is None, reason="math-verify is not installed")
def test_math_verify_is_not_wrong_because_its_process_stood_still(monkeypatch):
    monkeypatch.setattr(mathverify, "WALL_S", 0.5)
    worker = mathverify._Worker()
    assert worker.ask("1", "1") is True
    os.kill(worker.process.pid, signal.SIGSTOP)
    assert worker.ask("\\frac{2}{4}", "0.5") is True
    worker.stop()
