"""Reason-RFT: 1 or 0; a number 1 within 5% of the gold, 0 beyond 20%, half a cosine between; calls f(object, value) 1
each, 1/2 for f and one other, 1/4 for f, by the larger count, times the share not said again. arXiv 2503.20752, 3.2."""

import math
import re

from nsrl.rewards import Verdict, gold_of, number_of


def near(problem, text, extracted, result):
    """A number; right within 5%."""
    said, gold = number_of(result.text if result is not None else extracted.answer), number_of(gold_of(problem))
    if said is None or gold is None:
        return Verdict(False, "no_number", 0.0)
    part = min(1.0, max(0.0, (abs(said - gold) - 0.05 * abs(gold)) / (0.15 * abs(gold) or 1e-9)))
    return Verdict(part == 0, "near", (math.cos(math.pi * part) + 1) / 2)


def changed(problem, text, extracted, result, call=r"(\w{1,40})\((\w{1,40}),\s{0,9}'?(\w{1,40})'?\)"):
    """Calls; right are the very ones."""
    calls, gold = re.findall(call, text[-6000:]), sorted(set(re.findall(call, str(gold_of(problem)))))
    said, mine, theirs, found = set(calls), sorted(set(calls)), list(gold), 0.0
    for worth, places in ((1, (0, 1, 2)), (0.5, (0, 1)), (0.5, (0, 2)), (0.25, (0,))):  # of a call that agree
        for one in list(mine):
            for other in [o for o in theirs if all(o[p] == one[p] for p in places)][:1]:
                found, _, _ = found + worth, mine.remove(one), theirs.remove(other)
    score = found * len(said) / max(1, len(calls)) / max(1, len(said), len(gold))
    return Verdict(sorted(said) == gold if gold else None, "calls", score)
