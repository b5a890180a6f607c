"""Hostile programs: none escapes, none hangs, none costs another program its result, nothing is left behind."""

import contextlib
import gc
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nsrl.engines import LANGUAGES, EnginePool, Limits, Status, languages
from nsrl.engines.pool import processes
from nsrl.engines.pool.sandbox import LINUX
from tests.engines.hostile import ESCAPE, HOSTILE, RAW, RAW_DEADLY, SECRET
from tests.engines.machine import slowdown

LIMITS = Limits(cpu_s=0.2, wall_s=0.5)
HERE = [language for language in LANGUAGES if languages.present(language)]
SIMPLE = {"nsl": "{}+1", "wolfram": "{}+1", "sympy": "{}+1"}


@pytest.fixture
def psutil():
    return pytest.importorskip("psutil")


@pytest.fixture(autouse=True)
def no_escape(monkeypatch):
    monkeypatch.setenv("NSRL_TEST_SECRET", SECRET)
    if os.path.exists(ESCAPE):
        os.unlink(ESCAPE)
    signals = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM):
        monkeypatch.setattr(signal, "_kept", signal.signal(number, lambda n, _f: signals.append(n)), raising=False)
    yield
    assert not os.path.exists(ESCAPE), "a program made a file"
    assert not signals, "a program sent this process a signal"
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


def told(result):
    return f"{result.text} {result.stdout} {result.value} {result.messages}"


def test_there_are_enough_of_them():
    assert len(set(HOSTILE)) >= 300
    assert all(sum(language == wanted for language, _ in HOSTILE) >= 50 for wanted in LANGUAGES)


def test_each_returns_in_time_and_none_escapes():
    programs = [item for item in HOSTILE if item[0] in HERE]
    late, loud = [], []

    def run(share):
        with EnginePool(workers=1, limits=LIMITS, languages=sorted({language for language, _ in share})) as pool:
            for language in pool.languages:
                pool.run(language, "1")  # it has warmed up
            for language, program in share:
                for attempt in range(2):  # late twice is late: a busy machine may hold one up
                    started = time.perf_counter()
                    result = pool.run(language, program)
                    elapsed = time.perf_counter() - started
                    if elapsed <= LIMITS.wall_s + 0.5 or elapsed <= (LIMITS.wall_s + 0.5) * slowdown():
                        break
                    if attempt:
                        late.append((language, program[:60], elapsed))
                if SECRET in told(result) or "root:" in told(result):
                    loud.append((language, program[:60]))
                assert len(result.text) + len(result.stdout) <= LIMITS.output_bytes

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, [programs[0::2], programs[1::2]]))
    assert not late
    assert not loud


def test_programs_queued_among_them_keep_their_results():
    bad = [item for item in HOSTILE if item[0] in HERE][::4]
    limits = Limits(cpu_s=0.1, wall_s=0.2)
    with EnginePool(workers=2) as pool:
        futures = []
        for number, (language, program) in enumerate(bad):
            hostile = pool.submit(language, program, limits)
            futures.append((hostile, None))
            for again in range(4):
                value = 10 * number + again
                futures.append((pool.submit(language, SIMPLE[language].format(value)), str(value + 1)))
        for future, expected in futures:
            result = future.result(timeout=120)
            assert expected is None or (result.status, result.text) == (Status.OK, expected)
        assert pool.stats()["queued"] == pool.stats()["running"] == 0


def test_hostile_members_cost_their_timeouts_and_no_more():
    limits = Limits(cpu_s=0.3, wall_s=0.6)
    loops = {"sympy": "while True: {}", "wolfram": "While[True,{}]", "nsl": "while True: {}"}
    language = "wolfram" if "wolfram" in HERE else "sympy"
    good = [SIMPLE[language].format(n) for n in range(100)]
    with EnginePool(workers=2, limits=limits, languages=[language], cache=0) as pool:
        pool.map(language, good)
        started = time.perf_counter()
        pool.map(language, good)
        alone = time.perf_counter() - started
        mixed = [p for n, g in enumerate(good) for p in ([g, loops[language].format(n)] if n % 10 == 0 else [g])]
        started = time.perf_counter()
        results = pool.map(language, mixed)
        together = time.perf_counter() - started
    assert sum(r.status is Status.TIMEOUT for r in results) == 10
    # 10 timeouts on 2 workers, and for each the price of a new process on a busy machine.
    assert together < 2 * alone + 10 * (limits.wall_s + 0.15) / 2 + 0.5


RAW_BOOT = """import sys; sys.path[:] = {path!r}
from nsrl.engines.pool import worker
from nsrl.engines.sympy import namespace
from nsrl.engines.sympy import run as arm
from nsrl.engines.result import Result, Status
import ctypes, mmap, multiprocessing, resource, select, signal, socket, subprocess, time, _thread
def run(program, limits):
    space = {{}}
    try:
        exec(program, space)
    except (Exception, SystemExit) as error:
        return Result(Status.REFUSED, text=repr(space.get("out")), stdout=repr(error)[:200])
    return Result(Status.OK, text=repr(space.get("out")))
arm.run = run
namespace.prepare = lambda refuse: None
worker.main()"""


@pytest.fixture
def raw_pool(monkeypatch):
    """A pool whose Python engine checks nothing: whatever stops a program there is the kernel's doing."""
    monkeypatch.setattr(processes, "_BOOT", RAW_BOOT)
    with EnginePool(workers=2, limits=LIMITS, languages=["sympy"], cache=0) as pool:
        if "seccomp" not in pool.sandbox["python"]["layers"]:
            pytest.skip("no system-call filter on this system")
        yield pool


@pytest.mark.skipif(not LINUX, reason="the kernel's walls are Linux's")
def test_behind_the_inner_wall_stands_the_kernel(raw_pool):
    assert raw_pool.run("sympy", "out = 1 + 1").text == "2"
    through = {}
    for name, program in RAW.items():
        result = raw_pool.run("sympy", program)
        if result.text not in ("None", ""):
            through[name] = result
    assert not through


@pytest.mark.skipif(not LINUX, reason="the kernel's walls are Linux's")
def test_a_process_that_dies_loses_its_own_program_only(raw_pool):
    futures = []
    for number, program in enumerate(RAW_DEADLY.values()):
        futures.append((raw_pool.submit("sympy", program), None))
        futures += [(raw_pool.submit("sympy", f"out = {number} + {k}"), str(number + k)) for k in range(3)]
    for future, expected in futures:
        result = future.result(timeout=60)
        if expected is None:
            assert result.status in (Status.CRASH, Status.TIMEOUT, Status.MEMORY, Status.REFUSED), result
        else:
            assert (result.status, result.text) == (Status.OK, expected)
    assert raw_pool.stats()["restarts"] == 0  # the server outlives its children


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_workers_have_nothing_of_this_process(psutil):
    before = set(psutil.Process().children(recursive=True))  # of other tests: a tracker of shared memory
    with EnginePool(workers=1) as pool:
        for language in pool.languages:
            pool.run(language, "1")
        children = set(psutil.Process().children(recursive=True)) - before
        assert len(children) >= 2
        for child in children:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # a step on the way to a worker has ended
                with open(f"/proc/{child.pid}/environ", "rb") as file:
                    assert set(entry.split(b"=")[0] for entry in file.read().split(b"\0") if entry) <= {
                        b"PYTHONHASHSEED"
                    }
                with open(f"/proc/{child.pid}/maps") as file:
                    assert "torch" not in file.read()
                if child.ppid() != os.getpid():  # a worker, not a zygote
                    handles = os.listdir(f"/proc/{child.pid}/fd")
                    assert len(handles) <= 4, [os.readlink(f"/proc/{child.pid}/fd/{h}") for h in handles]


def _footprint(psutil):
    gc.collect()
    me = psutil.Process()
    return len(me.children(recursive=True)), me.num_fds(), threading.active_count(), me.memory_info().rss


@pytest.mark.long
def test_nothing_is_left_after_ten_thousand_programs(psutil):
    with EnginePool(workers=2, cache=0) as warm:
        for language in warm.languages:
            warm.map(language, [SIMPLE[language].format(n) for n in range(200)])
    before = _footprint(psutil)
    others = set(psutil.Process().children(recursive=True))  # of other tests in this process: a fork server
    native = [language for language in HERE if language != "sympy"]
    with EnginePool(workers=2, limits=Limits(cpu_s=0.05, wall_s=1.0), cache=0) as pool:

        def sizes():
            total = 0
            for child in set(psutil.Process().children(recursive=True)) - others:
                with contextlib.suppress(psutil.NoSuchProcess):  # a fork per program: some end while we look
                    total += child.memory_info().rss
            return total

        for language in pool.languages:
            pool.map(language, [SIMPLE[language].format(n) for n in range(100)])
        small, handles = sizes(), psutil.Process().num_fds()
        for language, count in [*((name, 10_000 // len(native)) for name in native), ("sympy", 300)]:
            futures = [pool.submit(language, SIMPLE[language].format(n)) for n in range(count)]
            futures += [pool.submit(language, p) for name, p in HOSTILE if name == language and len(p) < 30][:15]
            for number, future in enumerate(futures[:count]):
                result = future.result(timeout=60)
                assert result.text == str(number + 1), (language, number, result, pool.stats())
            for future in futures[count:]:
                future.result(timeout=60)
        time.sleep(0.1)
        assert psutil.Process().num_fds() <= handles + 2
        # Per kind a zygote and 2 workers; of native ones a third that stands by, each with process 1 of its namespace.
        assert len(set(psutil.Process().children(recursive=True)) - others) <= 2 + 3 * 2 + 2 + 2
        assert sizes() < small * 1.3 + 60e6
    after = _footprint(psutil)
    assert after[0] <= before[0] and after[1] <= before[1] and after[2] <= before[2]
    assert after[3] < before[3] + 60e6


@pytest.mark.skipif(not LINUX, reason="the parent's death reaches workers through Linux's signal or a slow poll")
def test_workers_die_with_their_parent(psutil):
    import subprocess
    import sys

    code = (
        "import sys, time; from nsrl.engines import EnginePool\n"
        "pool = EnginePool(workers=2); [pool.run(l, '1') for l in pool.languages]\n"
        "pool.submit('sympy', 'while True: pass'); print('up', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "up\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 3
    parent.kill()
    parent.wait()
    _gone, alive = psutil.wait_procs(children, timeout=3)
    assert not alive
