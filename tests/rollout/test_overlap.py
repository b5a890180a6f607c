"""Programs run while other groups are still being sampled; a slow or dead worker never holds sampling up."""

import os
import signal
import time

import pytest

from nsrl.engines import EnginePool, Limits
from nsrl.errors import UserError
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import SamplingParams
from tests.rollout import tiny

PARAMS = SamplingParams(max_tokens=60, stop_ids=tuple(range(10, 25)), banned_ids=tiny.BANNED)
REQUESTS = [tiny.request(i, (2, 2), n=4, problem=i) for i in range(16)]


@pytest.fixture
def others():
    """Processes that were here before the pool: not ours to end."""
    return set(children())


@pytest.fixture
def pool(others):
    try:
        made = EnginePool(1, Limits(cpu_s=30.0, wall_s=4.0))
    except UserError as error:
        pytest.skip(f"no sandbox here: {error}")
    with made:
        yield made


def sample(model, pool, program):
    """Sample, submitting program(i) for each group; when each group came, the futures, and the seconds it all took."""
    futures, came = {}, {}
    start = time.perf_counter()

    def on_group(index, samples):
        came[index] = time.perf_counter() - start
        futures[index] = pool.submit("sympy", program(index))

    groups = NativeSampler(model).sample(REQUESTS, PARAMS, on_group)
    assert len(groups) == len(futures) == 16
    return futures, came, time.perf_counter() - start


def test_fast_programs_are_done_before_sampling_is(model, pool):
    pool.submit("sympy", "print(1)").result()  # the worker is up
    slow = SamplingParams(max_tokens=400, stop_ids=(10, 11), banned_ids=tiny.BANNED)
    for attempt in range(3):  # a busy machine may keep the worker waiting
        done = []

        def on_group(index, samples):
            done.append(pool.submit("sympy", f"print({index} + 1 + {attempt})"))  # noqa: B023

        NativeSampler(model).sample(REQUESTS, slow, on_group)
        ready = sum(f.done() for f in done)
        if ready:
            break
    assert ready >= 1, "no program was run while others were sampled"
    assert {f.result().text for f in done} == {str(i + 1 + attempt) for i in range(16)}


def test_a_hanging_program_does_not_hold_sampling_up(model, pool):
    futures, came, seconds = sample(model, pool, lambda i: f"while True: pass  # {i}" if i % 4 == 0 else f"print({i})")
    assert any(not f.done() for f in futures.values()), "sampling waited for a program that hangs for 4 seconds"
    assert max(came.values()) <= seconds


def test_a_killed_worker_does_not_hold_sampling_up(model, others, pool):
    pool.submit("sympy", "print(1)").result()

    def program(index):
        return "import os, time\ntime.sleep(1)\nprint(7)" if index == 0 else f"print({index})"

    futures, _, seconds = sample(model, pool, program)
    for pid in set(children()) - others:
        os.kill(pid, signal.SIGKILL)
    results = {i: f.result(timeout=60) for i, f in futures.items()}
    assert seconds < 4 and len(results) == 16
    assert sum(r.has_value for r in results.values()) >= 1, "the pool goes on with a new worker"


def children():
    """Direct children of this process."""
    me = os.getpid()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == me:
                found.append(int(entry))
    return found
