"""Random programs through the worker pool, judged by oracles that share no code with the engines.

A module of this folder that defines `KIND: dict[str, Kind]` adds kinds. A kind makes cases from a random generator: a
program, and a judge of the Result it gives. Each case has a generator of its own, so that one case is repeated by
its kind, seed and number.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nsrl.engines import EnginePool, Limits, Result, Status

RIGHT, WRONG, UNEVALUATED = "right", "wrong", "unevaluated"
PATIENT = Limits(cpu_s=5.0, wall_s=20.0)  # a slow answer is judged too: wrong is worse than late
_BATCH = 64  # cases in flight


class Case(NamedTuple):
    """judge says "right", "wrong" or "unevaluated" of a Result with status ok; it is asked of no other."""

    language: str
    program: str
    judge: Callable[[Result], str]


@dataclass(frozen=True)
class Kind:
    """make: a case from a generator. least: the share of cases that must be right, so that silence does not pass.
    few: the number of cases among the tests; less for kinds that take long."""

    make: Callable[[random.Random], Case]
    least: float = 0.5
    few: int = 12
    limits: Limits = PATIENT


@dataclass
class Tally:
    kind: str
    seed: int
    verdicts: Counter = field(default_factory=Counter)
    statuses: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)  # of wrong cases and of crashes
    silent: list[str] = field(default_factory=list)  # of unevaluated cases

    @property
    def cases(self) -> int:
        return self.verdicts.total()


def kinds() -> dict[str, Kind]:
    """Every kind of this folder by name."""
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name not in ("runner", "__main__") and not module.name.startswith("test_"):
            for name, kind in getattr(importlib.import_module(f"tests.engines.fuzz.{module.name}"), "KIND", {}).items():
                assert name not in found, name
                found[name] = kind
    return found


def case_of(name: str, kind: Kind, seed: int, number: int) -> Case:
    """The case of that number under that seed."""
    return kind.make(random.Random(f"{name}:{seed}:{number}"))


def _batches(name: str, kind: Kind, seed: int, numbers: range) -> Iterator[list[tuple[int, Case]]]:
    for start in range(numbers.start, numbers.stop, _BATCH):
        yield [(i, case_of(name, kind, seed, i)) for i in range(start, min(start + _BATCH, numbers.stop))]


def run(pool: EnginePool, name: str, kind: Kind, seed: int, numbers: range) -> Tally:
    """Run and judge the cases of those numbers."""
    tally = Tally(name, seed)
    for batch in _batches(name, kind, seed, numbers):
        futures = [pool.submit(case.language, case.program, kind.limits) for _, case in batch]
        for (number, case), future in zip(batch, futures, strict=True):
            result = future.result()
            verdict = case.judge(result) if result.status is Status.OK else UNEVALUATED
            if result.status is Status.CRASH:
                verdict = WRONG
            assert verdict in (RIGHT, WRONG, UNEVALUATED), verdict
            tally.verdicts[verdict] += 1
            tally.statuses[result.status.value] += 1
            said = "; ".join(map(str, result.messages))
            line = f"{name} seed {seed} case {number}: {case.program}\n    {result.status.value}: {result.text[:600]} {said}"
            if verdict != RIGHT:
                (tally.failures if verdict == WRONG else tally.silent).append(line)
    return tally
