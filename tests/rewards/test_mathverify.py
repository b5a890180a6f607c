"""math-verify's worker: it answers, it is killed and asked once more when it hangs, and the check goes on without it."""

import os
import signal
import time

import pytest

from nsrl.rewards import mathverify
from nsrl.rewards.answer import check
from tests.engines.machine import slowdown

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
    assert elapsed < 2 or elapsed < 2 * slowdown()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)  # killed and reaped
    monkeypatch.setattr(mathverify, "WALL_S", 10.0)
    assert mathverify.math_verify("3", "3.0") is True  # a new worker
    os.killpg(worker.process.pid, signal.SIGKILL)
    assert mathverify.math_verify("4", "5") is False  # it died in between: no answer, no exception
    assert mathverify.math_verify("4", "4.0") is True


def test_the_check_asks_it_last_and_lives_without_it(worker, monkeypatch):
    asked = []
    monkeypatch.setattr("nsrl.rewards.answer.math_verify", lambda gold, text: asked.append((gold, text)) or True)
    assert check("\\boxed{5}", "5").reason == "same_text" and not asked
    verdict = check("\\boxed{\\sum_{k=1}^{3} k}", "6")
    assert verdict == (True, "math_verify") and len(asked) == 1
    assert check("\\boxed{\\sum_{k=1}^{3} k \\%}", "6").correct is False and len(asked) == 1  # never with a declared percent
    monkeypatch.setattr("nsrl.rewards.answer.math_verify", lambda gold, text: False)
    assert check("\\boxed{\\sum_{k=1}^{3} k}", "6").correct is False


def test_absent_package_is_no_answer(monkeypatch):
    mathverify._worker.cache_clear()
    monkeypatch.setattr(mathverify.importlib.util, "find_spec", lambda name: None)
    mathverify.math_verify.cache_clear()
    assert mathverify.math_verify("7", "7.00") is False
    mathverify._worker.cache_clear()
    mathverify.math_verify.cache_clear()
