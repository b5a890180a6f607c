"""The walls, one by one: what still holds when a system lacks some of them, and the refusal when it lacks them all."""

import os
import subprocess
import sys
import time

import pytest

from nsrl.engines import EnginePool, Limits, Status
from nsrl.engines.pool import processes, sandbox
from nsrl.errors import UserError
from tests.engines.hostile import BY_NAME, ESCAPE, RAW, SECRET, SYMPY

pytestmark = pytest.mark.skipif(not sandbox.LINUX, reason="the kernel's walls are Linux's")

BOOT = """import sys; sys.path[:] = {path!r}
from nsrl.engines import languages
from nsrl.engines.pool import sandbox, worker
from nsrl.engines.sympy import namespace
from nsrl.engines.sympy import run as arm
from nsrl.engines.result import Result, Status
import ctypes, mmap, resource, signal, socket, subprocess, time, _thread
def run(program, limits):
    space = {{}}
    try:
        exec(program, space)
    except (Exception, SystemExit) as error:
        return Result(Status.REFUSED, text=repr(space.get("out")), stdout=repr(error)[:200])
    return Result(Status.OK, text=repr(space.get("out")))
arm.run = run
namespace.prepare = lambda refuse: None
languages.evaluators = lambda languages: {{"nsl": run}}
worker.warm_native = lambda evaluators: None
for name in {without!r}:
    setattr(sandbox, name, lambda *_, **__: False)
worker.main()"""


@pytest.fixture
def raw(monkeypatch):
    """Makes pools whose workers run raw Python, on a system that lacks the layers named."""
    monkeypatch.setattr("nsrl.engines.pool.pool.present", lambda language: language in ("nsl", "sympy"))

    def make(*without, language="sympy", **options):
        monkeypatch.setattr(processes, "_BOOT", BOOT.replace("{without!r}", repr(without)))
        options = {"limits": Limits(cpu_s=0.3, wall_s=0.6), **options}
        return EnginePool(workers=1, languages=[language], cache=0, **options)

    return make


@pytest.mark.parametrize("language", ["nsl", "sympy"])
def test_every_layer_is_in_force_here_or_named(raw, language):
    with raw(language=language) as pool:
        (told,) = pool.sandbox.values()
    assert {"no_new_privs", "rlimits"} <= set(told["layers"])
    if "seccomp" in told["layers"]:
        assert told["allowed"] == []


@pytest.mark.parametrize("language", ["nsl", "sympy"])
def test_the_filter_alone_holds(raw, language):
    with raw("new_namespaces", "landlock", "drop_user", "empty_root", language=language) as pool:
        if "seccomp" not in next(iter(pool.sandbox.values()))["layers"]:
            pytest.skip("no system-call filter on this system")
        through = {name: result for name, result in ((n, pool.run(language, p)) for n, p in RAW.items())
                   if result.text not in ("None", "") and not (language == "nsl" and name in ("more memory",
                   "more time"))}  # fmt: skip
        assert pool.run(language, "out = 6 * 7").text == "42"
    assert not through


MADE_BY = {  # layer: the function that makes it
    "user": "drop_user", "namespaces": "new_namespaces", "chroot": "empty_root", "no_new_privs": "no_new_privileges",
    "capabilities": "drop_capabilities", "rlimits": "rlimits", "landlock": "landlock", "seccomp": "seccomp",
}  # fmt: skip
NEEDED_BY = {"namespaces": {"chroot"}, "no_new_privs": {"landlock", "seccomp"}}  # layers that cannot be had without it
# What the filter alone forbids: calls that lead nowhere behind the other walls (the processes seen are its own).
_FILTER_ONLY = {
    "socket",
    "unix socket",
    "kill parent",
    "kill process 1",
    "no timer",
    "executable memory",
    "memfd",
    "more memory",
    "new session",
}
LOST = {"seccomp": _FILTER_ONLY, "no_new_privs": _FILTER_ONLY}
NATIVE = {"more memory", "more time"}  # a reused worker moves its own limits; its programs are not Python


@pytest.mark.parametrize("language", ["nsl", "sympy"])
@pytest.mark.parametrize("layer", sandbox.LAYERS)
def test_the_others_hold_when_one_is_off(raw, layer, language):
    with raw(language=language) as whole:
        here = set(next(iter(whole.sandbox.values()))["layers"])
    if layer not in here:
        pytest.skip(f"no {layer} on this system")
    with raw(MADE_BY[layer], language=language, allow_unsandboxed=True) as pool:
        assert here - set(next(iter(pool.sandbox.values()))["layers"]) == {layer} | (NEEDED_BY.get(layer, set()) & here)
        texts = {name: pool.run(language, program).text for name, program in RAW.items()}
        through = {name for name, text in texts.items() if text not in ("None", "")}
        assert through <= LOST.get(layer, set()) | (NATIVE if language == "nsl" else set())
        assert pool.run(language, "out = 6 * 7").text == "42"  # and no signal of theirs reached anybody


# The SymPy engine's own walls on a system without any of the kernel's: the reader of programs, then what Python itself
# raises when a program got past the reader.
BARE = BOOT.replace("arm.run = run\nnamespace.prepare = lambda refuse: None\n", "")
DOORS = BOOT.replace(
    "    space = {{}}\n", "    from nsrl.engines.sympy import guards\n    guards.close_doors()\n    space = {{}}\n"
)
SYSTEM = {
    "read a file", "write a file", "list a folder", "proc", "run a command", "exec", "spawn", "fork", "socket",
    "unix socket",
    "kill parent", "kill all", "kill process 1", "unlink", "chdir", "unshare", "ptrace", "mount", "executable memory",
    "more memory",
    "more time", "fork bomb",
}  # fmt: skip


@pytest.mark.parametrize("boot", [BARE, DOORS], ids=["the reader", "the doors"])
def test_the_inner_walls_hold_alone(raw, monkeypatch, boot):
    monkeypatch.setitem(globals(), "BOOT", boot)
    monkeypatch.setenv("NSRL_TEST_SECRET", SECRET)
    assert not os.path.exists(ESCAPE)
    with raw(*MADE_BY.values(), allow_unsandboxed=True) as pool:
        assert not set(next(iter(pool.sandbox.values()))["layers"])
        if boot is BARE:
            programs = {p: p for p in SYMPY if "touch" in p or "import" in p or "__" in p or "etc" in p}
            assert len(programs) > 100 and set(BY_NAME) <= set(programs)
        else:
            programs = {name: RAW[name] for name in SYSTEM}
        for name, program in programs.items():
            result = pool.run("sympy", program)
            told = f"{result.text} {result.stdout} {result.messages}"
            assert "root:" not in told and SECRET not in told, name
            assert boot is BARE or result.text in ("None", ""), name
            assert not os.path.exists(ESCAPE), name
        assert pool.run("sympy", "out = 6 * 7; print(out)" if boot is BARE else "out = 42").text == "42"
        assert pool.stats()["restarts"] == 0


def test_without_filter_and_namespaces_it_refuses(raw):
    with pytest.raises(UserError, match="needs seccomp or namespaces, and this system gives neither"):
        raw("seccomp", "new_namespaces")
    with raw("seccomp", "new_namespaces", allow_unsandboxed=True) as pool:
        assert pool.run("sympy", "out = 1").text == "1"
        assert "seccomp" not in pool.sandbox["python"]["layers"]


def test_a_system_without_any_of_it_is_announced(raw, monkeypatch):
    """As on macOS: no system call of Linux's is made, programs run under rlimits, and a warning says so."""
    monkeypatch.setattr(sandbox, "LINUX", False)
    boot = BOOT.replace("worker.main()", "sandbox.LINUX = False\nsandbox._libc = None\nworker.main()")
    monkeypatch.setitem(globals(), "BOOT", boot)
    for language in ("sympy", "nsl"):
        with pytest.warns(UserWarning, match="no kernel sandbox on this system"):
            pool = raw(language=language)
        with pool:
            (told,) = pool.sandbox.values()
            assert not {"seccomp", "landlock", "namespaces", "no_new_privs"} & set(told["layers"])
            assert pool.run(language, "out = 2").text == "2"
            assert pool.run(language, "while True: pass").status is Status.TIMEOUT
            assert pool.run(language, "out = 3").text == "3"


@pytest.mark.parametrize("apart", [True, False])
def test_cpu_time_ends_a_native_program_whatever_runs(raw, apart):
    """The timer must work in process 1 of a namespace too, and while C code runs."""
    limits = Limits(cpu_s=0.2, wall_s=20)
    with raw(*([] if apart else ["new_namespaces"]), language="nsl", limits=limits) as pool:
        pool.run("nsl", "out = 1")
        started = time.perf_counter()
        assert pool.run("nsl", "while True: pass").status is Status.TIMEOUT
        assert pool.run("nsl", "sum(range(10**12))").status is Status.TIMEOUT
        assert time.perf_counter() - started < 5
        assert pool.run("nsl", "out = 3").text == "3"


def test_wall_clock_ends_a_native_program_that_sleeps(raw):
    with raw(language="nsl") as pool:
        started = time.perf_counter()
        assert pool.run("nsl", "time = __import__('time')\ntime.sleep(60)").status is Status.TIMEOUT
        assert time.perf_counter() - started < 0.6 + 0.5


def test_two_tries_share_one_wall_clock(raw):
    limits = Limits(cpu_s=5, wall_s=0.8)
    with raw(language="nsl", limits=limits) as pool:
        pool.run("nsl", "out = 1")
        started = time.perf_counter()
        result = pool.run("nsl", "__import__('time').sleep(0.5); __import__('os')._exit(3)")
        assert result.status in (Status.CRASH, Status.TIMEOUT)
        assert time.perf_counter() - started < limits.wall_s + 0.5


def test_memory_of_a_native_program_is_bounded(raw):
    with raw(language="nsl", limits=Limits(cpu_s=5, wall_s=20)) as pool:
        assert pool.run("nsl", "out = len(bytearray(1 << 28))").text == str(1 << 28)
        assert pool.run("nsl", "out = len(bytearray(1 << 30))").text in ("None", "")
        small = Limits(memory_mb=64, cpu_s=5, wall_s=20)
        assert pool.run("nsl", "out = len(bytearray(1 << 27))", small).text in ("None", "")
        assert pool.run("nsl", "out = len(bytearray(1 << 27)) + 0").text == str(1 << 27)


def test_a_native_worker_that_crashes_is_tried_once_more(raw):
    with raw(language="nsl") as pool:
        futures = [pool.submit("nsl", "import os; os._exit(3)"), *(pool.submit("nsl", f"out = {n}") for n in range(50))]
        assert futures[0].result().status is Status.CRASH
        assert [f.result().text for f in futures[1:]] == [str(n) for n in range(50)]
        assert pool.stats()["restarts"] == 2


def test_no_layer_raises_where_it_is_absent():
    code = (
        "from nsrl.engines.pool import sandbox\n"
        "sandbox._libc = None\n"
        "assert not any([sandbox.die_with_parent(), sandbox.adopt_orphans(), sandbox.new_namespaces(), sandbox.landlock(),\n"
        "    sandbox.no_new_privileges(), sandbox.drop_capabilities(), sandbox.seccomp(None)])\n"
        "print('fine')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "fine\n"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_well_formed(machine, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    for kind in ("native", "server", "leaf"):
        code = sandbox._program(kind)
        lines = len(code) // 8
        assert len(code) % 8 == 0 and 4 < lines <= 4096
        for at in range(lines):
            op, jt, jf = int.from_bytes(code[8 * at : 8 * at + 2], "little"), code[8 * at + 2], code[8 * at + 3]
            if op & 7 == 5:
                assert at + 1 + max(jt, jf) < lines
        assert code[-8:-6] == b"\x06\x00"  # what no line allows is denied
