"""A real Mathics3, where NSRL_MATHICS names the Python of an environment that has it; and a server that dies."""

import os
import sys
import time

import pytest

from nsrl.engines import Limits, Status
from nsrl.engines import backend as backends
from nsrl.engines.__main__ import main
from nsrl.engines.backend import Backend, BackendPool
from nsrl.errors import MissingBackend, UserError

MATHICS = os.environ.get("NSRL_MATHICS")
real = pytest.mark.skipif(not MATHICS, reason="NSRL_MATHICS names no Python with Mathics3 (docs/engines.md)")


@real
def test_programs_on_mathics():
    said = {
        "1+1": ("ok", "2"), "1/0": ("message", "ComplexInfinity"), "{1,": ("syntax", ""), "Foo[3]": ("unevaluated",
        "Foo[3]"),
        "f := Module[{x, s},\n s = Solve[3 x + 7 == 22, x];\n x /. s[[1]]\n];": ("ok", "5"), "f = 3; f + 1": ("ok",
        "4"),
        '"abc"': ("ok", "abc"), "a -> b": ("ok", "a -> b"), "N[Pi, 20]": ("ok", "3.14159265358979323846"),
        "Print[7];": ("ok", "7"), "While[True, 1]": ("timeout", ""), "Pause[60]": ("timeout", ""), "Quit[]": ("crash",
        ""),
        "x = 5;": ("unevaluated", ""), "x": ("ok", "x"), "\0": ("syntax", ""),
    }  # fmt: skip
    with BackendPool("mathics", MATHICS, 1, Limits(cpu_s=2, wall_s=3), allow_unsandboxed=True) as pool:
        found = pool.map("wolfram", said)
        assert [(r.status.value, r.text) for r in found] == list(said.values())
        assert [(m.symbol, m.tag) for m in found[1].messages] == [("Power", "infy")]
        assert found[0].engine == "mathics" and found[0].version[0].isdigit()
        big = pool.run("wolfram", 'StringLength[StringRepeat["a", 2*10^9]]', Limits(cpu_s=5, wall_s=9, memory_mb=64))
        assert big.status in (Status.MEMORY, Status.TIMEOUT, Status.CRASH)
        assert pool.run("nsl", "2+3").text == "5" and pool.run("sympy", "print(4)").text == "4"


@real
def test_agreement_with_mathics(tmp_path, capsys):
    file = tmp_path / "p.jsonl"
    file.write_text('{"program": "1/2+1/3", "expected": "5/6"}\n{"program": "{1,"}\n')
    assert main(["agree", str(file), "--backends", f"embedded,mathics={MATHICS}", "--workers", "1"]) == 0
    assert "2 programs: agreed 1, differ 0, only the first 0, only the second 0, neither 1" in capsys.readouterr().out


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Puts a file of Python in the place of the one that Mathics3's interpreter runs."""

    def put(text):
        file = tmp_path / "server.py"
        file.write_text(text)
        monkeypatch.setattr(backends, "SERVER", file)

    return put


HELLO = 'import sys, json\nprint(json.dumps({"version": "0"}), flush=True)\nfor line in sys.stdin:\n'


def test_a_server_that_dies_costs_the_program_it_had(server):
    server(HELLO + '    p = json.loads(line)["program"]\n    if p == "die": sys.exit()\n'
           '    print(json.dumps({"status": "ok", "text": None if p == "odd" else p, "messages": [], "printed": []}), '
           'flush=True)\n')  # fmt: skip
    engine = Backend("mathics", sys.executable, 1, Limits())
    try:
        results = [engine.submit(p).result() for p in ("7", "die", "8", "7", "odd")]
        assert [(r.status.value, r.text) for r in results] == [
            ("ok", "7"), ("crash", ""), ("ok", "8"), ("ok", "7"), ("crash", ""),
        ]  # fmt: skip
        assert engine.submit("7") is engine.submit("7")  # identical programs run once
    finally:
        engine.close()


def test_a_server_that_hangs_or_cannot_load(server, monkeypatch):
    monkeypatch.setattr(backends, "GRACE", 0.2)
    server(HELLO + "    import time; time.sleep(60)\n")
    started, engine = time.perf_counter(), Backend("mathics", sys.executable, 1, Limits(cpu_s=0.05, wall_s=0.1))
    assert engine.submit("1").result().status is Status.CRASH and time.perf_counter() - started < 20
    engine.close()
    server("raise ImportError('no mathics here')")
    with pytest.raises(
        MissingBackend, match="cannot load Mathics3: ImportError: no mathics here; it needs Mathics3 in"
    ):
        Backend("mathics", sys.executable, 1, Limits())
    with pytest.raises(UserError, match="without a kernel sandbox"):
        BackendPool("mathics", sys.executable)
