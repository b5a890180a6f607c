"""Reason-RFT: 1 or 0; a number 1 within 5% of the gold, 0 beyond 20%, half a cosine between; calls f(object, value) 1
each, 1/2 for f and one other, 1/4 for f, by the larger count, times the share not said again. arXiv 2503.20752, 3.2."""

import math
import re

from nsrl.rewards import Verdict, gold_of

_CALL = re.compile(r"(\w{1,40})\((\w{1,40}),\s{0,9}'?(\w{1,40})'?\)")


def near(problem, text, extracted, result):
    """A number; right within 5%."""
    try:
        said, gold = float((result.text if result is not None else extracted.answer) or ""), float(gold_of(problem))
    except (TypeError, ValueError):
        return Verdict(False, "no_number", 0.0)
    gap, size = abs(said - gold), abs(gold)
    part = 0.0 if gap <= 0.05 * size else (gap - 0.05 * size) / (0.15 * size) if gap < 0.2 * size else 1.0
    return Verdict(part == 0, "near", (math.cos(math.pi * part) + 1) / 2)


def changed(problem, text, extracted, result):
    """Calls; right are the very ones."""
    calls, gold, found = _CALL.findall(text[-6000:]), sorted(set(_CALL.findall(str(gold_of(problem))))), 0.0
    said, mine, theirs = set(calls), sorted(set(calls)), list(gold)
    for worth, places in ((1, (0, 1, 2)), (0.5, (0, 1)), (0.5, (0, 2)), (0.25, (0,))):  # of a call that agree
        for one in list(mine):
            for other in [o for o in theirs if all(o[p] == one[p] for p in places)][:1]:
                found, _, _ = found + worth, mine.remove(one), theirs.remove(other)
    score = found * len(said) / max(1, len(calls)) / max(1, len(said), len(gold))
    return Verdict(sorted(said) == gold if gold else None, "calls", score)
