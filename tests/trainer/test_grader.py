"""The checks in the Grader's thread: hostile texts hold up neither the loop that samples nor, for long, the end of
the step."""

import statistics
import time

import pytest

from nsrl.answers import mathverify
from nsrl.engines import EnginePool, Limits
from nsrl.trainer.grader import Grader
from nsrl.trainer.step_metrics import engine_metrics
from nsrl.types import Problem
from tests.engines.machine import slowdown

MOST = 0.050  # seconds of the loop's thread that one text may take
HANG = "\\boxed{{\\sum_{{i=1}}^{{99999999}} i^{{{}}}}}"
PROBLEM = Problem("p", "How many?", "7")


@pytest.fixture(scope="module")
def pool():
    with EnginePool(workers=1, limits=Limits(cpu_s=0.3, wall_s=0.6)) as pool:
        yield pool


@pytest.fixture
def grader(pool, monkeypatch):
    pytest.importorskip("math_verify", reason="math-verify is not installed (extra `train`)")
    made = mathverify._Worker()
    monkeypatch.setattr(mathverify, "_worker", lambda: made)
    mathverify.math_verify.cache_clear()
    assert mathverify.math_verify("6", "\\sum_{k=1}^{3} k") is True  # it has started
    grader = Grader(pool)
    yield grader
    grader.checks.shutdown()
    made.stop()
    mathverify.math_verify.cache_clear()


def timed(act, clock):
    start = clock()
    out = act()
    return clock() - start, out


def test_hangs_at_the_end_of_sampling_delay_the_step_by_their_credit(grader, pool):
    before = dict(mathverify.counts)
    texts = [HANG.format(n) for n in range(30)] + ["\\boxed{7}", "<nsl>3+4</nsl>"]
    pending = []
    for text in texts:  # the loop's thread waits for nothing
        wall, group = timed(lambda text=text: grader.submit(PROBLEM, [text]), time.perf_counter)
        assert wall < MOST or wall < MOST * 5 * slowdown(), text
        pending += group
    bound = mathverify.CREDIT_S + len(texts) * mathverify.REFILL_S + 1
    elapsed, graded = timed(lambda: grader.collect(pending), time.perf_counter)
    assert [j.correct for j in graded] == [False] * 30 + [True, True]
    assert elapsed < 2 * bound or elapsed < 2 * bound * slowdown()
    metrics = engine_metrics(pool.stats())
    assert metrics["check/late"] > before["late"] and metrics["check/spared"] > before["spared"]
    assert metrics["check/stalls"] == before["stalls"]


def test_no_text_costs_the_loops_thread_more_than_its_share(grader):
    units = [
        "(",
        "\\frac{",
        "x^",
        "{",
        " ",
        "\ud800",
        "<nsl>",
        "\\boxed{",
        "9!",
        "≈",
        "1:30 ",
        "<wolfram>",
        "```python\n",
        "a, ",
    ]
    for unit in units:
        text = (unit * 6000)[:6000]
        spent = [timed(lambda text=text: grader.submit(PROBLEM, [text]), time.thread_time) for _ in range(3)]
        assert min(cost for cost, _ in spent) < MOST, unit
        assert grader.collect([p for _, group in spent for p in group])
    assert (
        statistics.median(
            [timed(lambda: grader.submit(PROBLEM, ["\\boxed{7}"]), time.thread_time)[0] for _ in range(20)]
        )
        < 0.005
    )
