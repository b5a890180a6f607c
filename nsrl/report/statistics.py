"""What records of completions come to: pass@k, maj@k, intervals, and two sets of them on the same problems.

A record is what the table takes: problem_id, sample (-1 for greedy), correct, value_text, tokens. Everything is a
function of its arguments: what is drawn is drawn from a fixed seed. Numpy alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nsrl.answers import check

if TYPE_CHECKING:
    import numpy as np

Record = Mapping[str, Any]
Key = tuple[str, str, str]
Z95 = 1.959964
FEW = 10  # right or wrong ones: with fewer the normal interval of a proportion is not to be trusted
RESAMPLES = 4000
LOST = 0.025  # of the draws of a ratio may have none: as many as lie behind an end of its interval


# -- one set -------------------------------------------------------------------------------------------------------


def wilson(mean: float, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion of n."""
    centre = (mean + Z95 * Z95 / (2 * n)) / (1 + Z95 * Z95 / n)
    half = Z95 / (1 + Z95 * Z95 / n) * math.sqrt(mean * (1 - mean) / n + Z95 * Z95 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Mean of values in 0..1 and its 95% interval, (None, None, None) of nothing.

    Normal, or Wilson's where the values do not spread, or are all 0 or 1 with fewer than `FEW` of either.
    """
    n = len(values)
    if n == 0:
        return None, None, None
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values) / (n - 1) if n > 1 else 0.0
    if variance == 0 or (n * min(mean, 1 - mean) < FEW and set(values) <= {0.0, 1.0}):
        return mean, *wilson(mean, n)
    half = Z95 * math.sqrt(variance / n)
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that k of n samples, of which so many are right, hold a right one: 1 - C(n - c, k) / C(n, k)."""
    return 1 - math.comb(n - right, k) / math.comb(n, k)


def maj_at_k(votes: Sequence[int | None], right: Iterable[int], k: int) -> float:
    """The chance that the most frequent answer of k of the samples is right, exactly; a tie is shared.

    votes: for each sample the number of its answer, None where it has none and does not vote (nobody votes: wrong);
    right: the numbers that are right.
    """
    counts: dict[int | None, int] = defaultdict(int)
    for vote in votes:
        counts[vote] += 1
    silent, good = counts.pop(None, 0), set(right)
    total = 0
    for top in range(1, k + 1):  # votes of the winner
        ways = {(0, 0, 0): 1}  # (samples drawn, answers with `top` votes, right ones of these): number of draws
        for answer, count in counts.items():
            after: dict[tuple[int, int, int], int] = defaultdict(int)
            for (drawn, tied, won), number in ways.items():
                for taken in range(min(count, top, k - drawn) + 1):
                    first = taken == top
                    key = (drawn + taken, tied + first, won + (first and answer in good))
                    after[key] += number * math.comb(count, taken)
            ways = after
        total += sum(
            number * math.comb(silent, k - drawn) * won / tied for (drawn, tied, won), number in ways.items() if won
        )
    return total / math.comb(len(votes), k)


def at_k(records: Iterable[Record], ks: Sequence[int]) -> dict[str, dict[int, float]]:
    """`{"pass": {k: mean over problems}, "maj": {…}}` of the samples; for each k the problems with that many.

    Problems that could not be scored are left out. An answer of maj@k is a value: texts that the answer check takes for
    the same are one.
    """
    groups: dict[Key, list[Record]] = defaultdict(list)
    for r in scored_samples(records):
        groups[same_problem(r)].append(r)
    found: dict[str, dict[int, float]] = {"pass": {}, "maj": {}}
    ballots = [(group, *ballot(group)) for group in groups.values()]
    for k in ks:
        enough = [b for b in ballots if len(b[0]) >= k]
        if enough:
            hits = [pass_at_k(len(group), sum(bool(r["correct"]) for r in group), k) for group, _, _ in enough]
            wins = [maj_at_k(votes, right, k) for _, votes, right in enough]
            found["pass"][k], found["maj"][k] = sum(hits) / len(hits), sum(wins) / len(wins)
    return found


def scored_samples(records: Iterable[Record]) -> list[Record]:
    """Those that are no greedy answers and have a verdict."""
    return [r for r in records if r.get("sample", 0) >= 0 and r.get("correct") is not None]


def powers(n: int) -> list[int]:
    """1, 2, 4, … and n: the k worth showing of n samples."""
    return sorted({n, *(2**i for i in range(n.bit_length()) if 2**i <= n)})


def ballot(records: Sequence[Record]) -> tuple[list[int | None], list[int]]:
    """(the number of each sample's answer, those that are right) of one problem.

    Right samples are one answer. Wrong ones are told apart by the answer check: one that answers the other is the same.
    """
    texts: list[str] = []
    votes: list[int | None] = []
    for r in records:
        text = " ".join(str(r.get("value_text") or "").split())
        if r["correct"]:
            votes.append(0)
        elif not text or text == "$Failed":  # what an engine may say of a program that is none
            votes.append(None)
        else:
            same = next((i for i, other in enumerate(texts, 1) if other == text or check(text, other).correct), None)
            if same is None:
                texts.append(text)
            votes.append(same or len(texts))
    return votes, [0]


# -- two sets on the same problems -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paired:
    """What a is more than b on the problems that both have: a difference (or ratio) and its 95% interval."""

    value: float
    low: float
    high: float
    problems: int
    seeds: int


def same_problem(r: Record) -> Key:
    """What two records have in common that are of one problem: ids alone may be numbers of two data sets."""
    return str(r.get("problem_id")), str(r.get("question") or ""), str(r.get("answer") or "")


def problem_means(records: Iterable[Record], greedy: bool = False) -> dict[Key, float]:
    """Share of right samples (or of greedy answers) by problem; those that could not be scored are left out."""
    found: dict[Key, list[float]] = defaultdict(list)
    for r in records:
        if (r.get("sample", 0) < 0) == greedy and r.get("correct") is not None:
            found[same_problem(r)].append(float(r["correct"]))
    return {problem: sum(values) / len(values) for problem, values in found.items()}


def right_tokens(records: Iterable[Record], *columns: str) -> dict[Key, float]:
    """Mean tokens of the right samples by problem, of those that have one; columns: which tokens, added up."""
    found: dict[Key, list[float]] = defaultdict(list)
    for r in records:
        if r.get("sample", 0) >= 0 and r.get("correct") and all(r.get(name) is not None for name in columns):
            found[same_problem(r)].append(float(sum(r[name] for name in columns)))
    return {problem: sum(values) / len(values) for problem, values in found.items()}


def paired_difference(a: Sequence[Mapping[Key, float]], b: Sequence[Mapping[Key, float]]) -> Paired | None:
    """Mean over seeds and problems of a - b, 0 to 1; None where no problem is in both.

    a, b: values by problem (`problem_means`), one mapping per seed, seed i of the one against seed i of the other. The
    interval is that of a bootstrap over problems, then over seeds. Where nothing differs it is Wilson's bound on the
    share of problems that could.
    """
    import numpy as np

    shared = [sorted(one.keys() & other.keys()) for one, other in zip(a, b, strict=True)]
    pairs = [
        np.array([[one[p] - other[p], 1.0] for p in names]) for one, other, names in zip(a, b, shared) if names
    ]  # fmt: skip
    if not pairs:
        return None
    count, value = sum(map(len, pairs)), float(np.mean([p[:, 0].mean() for p in pairs]))
    if all((p[:, 0] == pairs[0][0, 0]).all() for p in pairs):
        edge = wilson(0.0, count)[1]
        return Paired(value, max(-1.0, value - edge), min(1.0, value + edge), count, len(pairs))
    low, high = _bootstrap(pairs, _crossed(shared))
    return Paired(value, low, high, count, len(pairs))


def mean_over_seeds(values: Sequence[Mapping[Key, float]]) -> Paired | None:
    """Mean over seeds and problems of values in 0..1 by problem, one mapping per seed; its interval is that of
    `paired_difference`."""
    found = paired_difference(values, [dict.fromkeys(one, 0.0) for one in values])
    return found and replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def paired_ratio(a: Sequence[Mapping[Key, float]], b: Sequence[Mapping[Key, float]]) -> Paired | None:
    """Sum of a over sum of b on the problems in both, the mean over seeds, with its interval.

    a, b: values of 0 or more by problem, one mapping per seed (`right_tokens`: the problems that both solve). None
    where no problem is in both, where those of a seed have a sum of 0 in b, and where the interval has no end because
    that is so of more than `LOST` of the draws; fewer such draws are left out.
    """
    import numpy as np

    shared = [sorted(one.keys() & other.keys()) for one, other in zip(a, b, strict=True)]
    pairs = [np.array([[one[p], other[p]] for p in names]) for one, other, names in zip(a, b, shared) if names]
    if not pairs or not all(p[:, 1].any() for p in pairs):
        return None
    value = float(np.mean([p[:, 0].sum() / p[:, 1].sum() for p in pairs]))
    low, high = _bootstrap(pairs, _crossed(shared))
    return Paired(value, low, high, sum(map(len, pairs)), len(pairs)) if math.isfinite(high - low) else None


def _crossed(shared: Sequence[Sequence[Key]]) -> bool:
    """Whether every seed has the same problems: what a problem brings is then common to them."""
    return all(names == shared[0] for names in shared)


def _bootstrap(pairs: Sequence[np.ndarray], crossed: bool, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95% percentile interval of the mean over seeds of sum(first column) / sum(second) over problems.

    pairs: (problems, 2) for each seed. Seeds are drawn with replacement, and problems within each: the same ones for
    all seeds where those have the same (crossed). Draws without a ratio, whose second column comes to 0, are left out;
    (nan, nan) where these are more than `LOST` of all: an end of the interval would be among them.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    seeds = len(pairs)
    chosen = rng.integers(seeds, size=(resamples, seeds))
    together = _resampled(rng, np.concatenate(pairs, axis=1), resamples) if crossed else None
    ratios = np.full((resamples, seeds), np.nan)
    for place in range(seeds):
        for seed in range(seeds):
            rows = np.flatnonzero(chosen[:, place] == seed)
            if together is not None:
                sums = together[rows, 2 * seed : 2 * seed + 2]
            else:
                sums = _resampled(rng, pairs[seed], len(rows))
            there = sums[:, 1] != 0
            ratios[rows[there], place] = sums[there, 0] / sums[there, 1]
    means = ratios.mean(axis=1)
    found = means[~np.isnan(means)]
    if len(found) < (1 - LOST) * resamples:
        return math.nan, math.nan
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def _resampled(rng: np.random.Generator, values: np.ndarray, times: int) -> np.ndarray:
    """(times, columns): sums of the rows drawn, as many as there are, with replacement."""
    import numpy as np

    n = len(values)
    out = np.empty((times, values.shape[1]))
    for first in range(0, times, 256):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(256, times - first))
        out[first : first + len(drawn)] = drawn @ values
    return out


def difference_text(a: str, b: str, found: Paired) -> str:
    """The difference in a sentence."""
    points, low, high = (100 * v for v in (found.value, found.low, found.high))
    which = "no difference can be told" if found.low <= 0 <= found.high else f"{a if points > 0 else b} is better"
    return f"{a} against {b}: {points:+.2f} points [{low:+.2f}, {high:+.2f}] on {_same(found)}; {which}"


def ratio_text(a: str, b: str, what: str, found: Paired) -> str:
    """The ratio in a sentence; what: of which tokens."""
    less = 100 * (found.value - 1)
    return (
        f"{a} takes {found.value:.2f} [{found.low:.2f}, {found.high:.2f}] of the {what} of {b} ({less:+.0f}%) on "
        f"{_same(found)} that both solve"
    )


def _same(found: Paired) -> str:
    return f"the same {found.problems} problems" + (f" (of {found.seeds} seeds together)" if found.seeds > 1 else "")
