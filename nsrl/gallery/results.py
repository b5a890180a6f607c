"""What a row of the gallery came to, by one protocol.

Arms are compared on the same held-out problems of each seed; the interval is a bootstrap over problems, then seeds
(`nsrl.report.statistics`). A difference matters only if all of three seeds or more agree in sign and the interval
excludes none; else no difference was found.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsrl.report.calibration import CONFIDENCE, confidence
from nsrl.report.statistics import (
    Key,
    Paired,
    Record,
    ballot,
    maj_at_k,
    paired_difference,
    paired_ratio,
    pass_at_k,
    problem_means,
    right_tokens,
    same_problem,
    scored_samples,
)

Records = Sequence[Record]
FEWEST = 3  # seeds with which a difference can matter
MATTERS, NOTHING, TOO_FEW = "matters", "no difference found", "too few seeds to tell"


@dataclass(frozen=True)
class Measure:
    """title: as a table has it; of: values by problem of the records of a seed; ratio: arms are compared by the ratio
    of its sums on the problems that both have, else by the difference of its means."""

    title: str
    of: Callable[[Records], dict[Key, float]]
    ratio: bool = False


def voted(records: Records) -> dict[Key, float]:
    """By problem, the chance that the most frequent answer of its samples is right."""
    found = {}
    for problem, samples in _by_problem(records).items():
        votes, right = ballot(samples)
        found[problem] = maj_at_k(votes, right, len(samples))
    return found


def passed(records: Records) -> dict[Key, float]:
    """By problem, whether any of its samples is right."""
    return {
        problem: pass_at_k(len(samples), sum(bool(r["correct"]) for r in samples), len(samples))
        for problem, samples in _by_problem(records).items()
    }


def _by_problem(records: Records) -> dict[Key, list[Record]]:
    found: dict[Key, list[Record]] = defaultdict(list)
    for r in scored_samples(records):
        found[same_problem(r)].append(r)
    return found


def sureness(records: Records) -> dict[Key, float]:
    """By problem, the mean squared distance of the stated confidence from the truth: 1 where none is stated. Nothing of
    records without the span."""
    return {
        problem: statistics.fmean(
            1.0 if (stated := confidence(str(r.get(CONFIDENCE) or ""))) is None else (stated - bool(r["correct"])) ** 2
            for r in samples
        )
        for problem, samples in _by_problem([r for r in records if CONFIDENCE in r]).items()
    }


MEASURES: dict[str, Measure] = {
    "accuracy": Measure("right samples", problem_means),
    "greedy": Measure("right greedy answers", lambda records: problem_means(records, greedy=True)),
    "vote": Measure("right by majority of the samples", voted),
    "pass": Measure("problems with a right sample", passed),
    "brier": Measure("Brier score of the stated confidence", sureness),
    "tokens": Measure("tokens of right samples", lambda records: right_tokens(records, "tokens"), ratio=True),
}
BESIDE = ("accuracy", "greedy", "tokens")  # what is told of every pair


def numbers(seeds: Sequence[Records]) -> dict[str, list[float | None]]:
    """Each measure of an arm, seed by seed: means over problems."""
    return {name: [_mean(measure.of(records)) for records in seeds] for name, measure in MEASURES.items()}


def _mean(values: Mapping[Any, float]) -> float | None:
    return statistics.fmean(values.values()) if values else None


def compared(arm: Sequence[Records], other: Sequence[Records], measure: str, others: str = "") -> dict[str, Any] | None:
    """What an arm has more than another one: value (a difference, or a ratio), low and high of its interval, by_seed,
    problems, seeds, ratio, verdict; None where they have no problem in common, or no ratio. others: the other's
    measure, where that is another one."""
    mine, its = MEASURES[measure], MEASURES[others or measure]
    pair = paired_ratio if mine.ratio else paired_difference
    a, b = [mine.of(records) for records in arm], [its.of(records) for records in other]
    found = pair(a, b)
    if found is None:
        return None
    by_seed = [_of_a_seed(one, two, mine.ratio) for one, two in zip(a, b)]
    return {
        "value": found.value, "low": found.low, "high": found.high, "by_seed": by_seed, "problems": found.problems,
        "seeds": found.seeds, "ratio": mine.ratio, "verdict": verdict(found, by_seed, 1.0 if mine.ratio else 0.0),
    }  # fmt: skip


def _of_a_seed(a: Mapping[Key, float], b: Mapping[Key, float], ratio: bool) -> float | None:
    """The value on the problems that both have; None where there are none, or the other's come to 0 of a ratio."""
    shared = sorted(a.keys() & b.keys())
    mine, its = (sum(one[problem] for problem in shared) for one in (a, b))
    if not shared or (ratio and its == 0):
        return None
    return mine / its if ratio else (mine - its) / len(shared)


def verdict(found: Paired, by_seed: Iterable[float | None], none: float) -> str:
    """What the protocol says; none: the value of no difference."""
    signs = [None if value is None else (value > none) - (value < none) for value in by_seed]
    if len(signs) < FEWEST:
        return TOO_FEW
    agree = None not in signs and 0 not in signs and len(set(signs)) == 1
    return MATTERS if agree and not found.low <= none <= found.high else NOTHING


def direction(found: Mapping[str, Any]) -> str:
    """more or less, where it matters, else none: what a prediction is held against."""
    if found["verdict"] != MATTERS:
        return "none"
    return "more" if found["value"] > (1.0 if found["ratio"] else 0.0) else "less"
