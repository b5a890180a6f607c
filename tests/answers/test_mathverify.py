"""math-verify's worker: it answers, it is killed and asked once more when it hangs, and the check goes on without
it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nsrl.answers import mathverify
from nsrl.answers.checker import check
from tests.engines.machine import slowdown

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("math_verify", reason="math-verify is not installed (extra `train`)")


@pytest.fixture
def worker(monkeypatch):
    made = mathverify._Worker()
    monkeypatch.setattr(mathverify, "_worker", lambda: made)
    mathverify.math_verify.cache_clear()
    yield made
    made.stop()
    mathverify.math_verify.cache_clear()


def test_it_answers_and_survives_a_hang(worker, monkeypatch):
    assert mathverify.math_verify("\\frac{1}{2}", "0.5") is True
    assert mathverify.math_verify("\\frac{1}{2}", "0.6") is False
    first = worker.process.pid
    monkeypatch.setattr(mathverify, "WALL_S", 0.3)
    os.killpg(first, signal.SIGSTOP)  # as if the question never ended
    start = time.perf_counter()
    assert mathverify.math_verify("1", "2") is False
    elapsed = time.perf_counter() - start
    assert elapsed < 4 or elapsed < 4 * slowdown()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)  # killed and reaped
    monkeypatch.setattr(mathverify, "WALL_S", 10.0)
    assert mathverify.math_verify("3", "3.0") is True  # a new worker
    os.killpg(worker.process.pid, signal.SIGKILL)
    assert mathverify.math_verify("4", "5") is False  # it died in between: no answer, no exception
    assert mathverify.math_verify("4", "4.0") is True


def test_a_hang_costs_its_cpu_time_and_no_restart(worker):
    assert mathverify.math_verify("6", "\\sum_{k=1}^{3} k") is True
    first = worker.process.pid
    for gold in ("7", "8"):
        assert mathverify.math_verify(gold, "\\sum_{i=1}^{99999999} i^{99}") is False
    assert mathverify.math_verify("6", "\\prod_{k=1}^{3} k") is True and worker.process.pid == first


def test_who_writes_only_hangs_waits_for_a_credit_and_no_more(worker):
    assert mathverify.math_verify("6", "\\sum_{k=1}^{3} k") is True
    before, start = dict(mathverify.counts), time.perf_counter()
    for n in range(40):
        assert mathverify.math_verify(str(n), "\\sum_{i=1}^{99999999} i^{99}") is False
    elapsed, bound = time.perf_counter() - start, mathverify.CREDIT_S + 40 * mathverify.REFILL_S + 5
    late, spared = (mathverify.counts[name] - before[name] for name in ("late", "spared"))
    assert late + spared >= 38  # some golds are refused at sight
    assert 4 <= late <= (mathverify.CREDIT_S + 40 * mathverify.REFILL_S) / mathverify.CPU_S and spared >= 20
    assert elapsed < bound or elapsed < bound * slowdown()
    for n in range(100, 120):
        mathverify.math_verify(str(n), "x")  # each gives a little back
    assert mathverify.math_verify("6", "\\prod_{k=1}^{3} k") is True


def test_it_dies_with_the_process_that_asked(tmp_path):
    """SIGKILL while a question hangs: nothing of it is left running."""
    code = (
        "import os, signal, threading\nfrom nsrl.answers import mathverify as m\nm.math_verify('1', '1.0')\n"
        "print(m._worker().process.pid, flush=True)\nthreading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
        "m.math_verify('7', '\\\\sum_{i=1}^{99999999} i^{99}')"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": "kernels:."},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    group = int(told.stdout)
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("a process of the group is left")


def test_the_check_asks_it_last_and_lives_without_it(worker, monkeypatch):
    asked = []
    monkeypatch.setattr("nsrl.answers.checker.math_verify", lambda gold, text: asked.append((gold, text)) or True)
    assert check("\\boxed{5}", "5").reason == "same_text" and not asked
    verdict = check("\\boxed{\\sum_{k=1}^{3} k}", "6")
    assert verdict == (True, "math_verify") and len(asked) == 1
    assert (
        check("\\boxed{\\sum_{k=1}^{3} k \\%}", "6").correct is False and len(asked) == 1
    )  # never with a declared percent
    monkeypatch.setattr("nsrl.answers.checker.math_verify", lambda gold, text: False)
    assert check("\\boxed{\\sum_{k=1}^{3} k}", "6").correct is False


def test_absent_package_is_no_answer(monkeypatch):
    mathverify._worker.cache_clear()
    monkeypatch.setattr(mathverify.importlib.util, "find_spec", lambda name: None)
    mathverify.math_verify.cache_clear()
    assert mathverify.math_verify("7", "7.00") is False
    mathverify._worker.cache_clear()
    mathverify.math_verify.cache_clear()
