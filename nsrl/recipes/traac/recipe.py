"""TRAAC's rewards: R = 4 right + 1/2 format + length. A right answer of L tokens to a problem of pass rate p earns s
max((L_max - L) / (L_max - L_min), 1 / (1 + exp((L - median) / (0.1 median)))), the first at most 1, over the right
lengths of problems as hard in the last ten steps; easy is p >= 0.8, s 1, medium p >= 0.3, s 0.75, hard the rest, s 0.5.
arXiv 2510.01581, section 3; reward_manager/sumLinear.py of joykirat18/TRAAC."""

import math
from statistics import mean, median

LEVELS = (("easy", 0.8, 1.0), ("medium", 0.3, 0.75), ("hard", 0.0, 0.5))


def short(batch):
    """The length reward; 0 for wrong answers."""
    paid, of, now = [0.0] * len(batch), {}, {name: [] for name, _, _ in LEVELS}
    for rows in batch.groups():
        rate = mean(bool(batch.correct[i]) for i in rows)
        of[rows] = next((name, scale) for name, least, scale in LEVELS if rate >= least)
        now[of[rows][0]] += [batch.lengths[i] for i in rows if batch.correct[i]]
    last = batch.state["last"] = [*batch.state.get("last", []), now][-10:]
    for rows, (name, scale) in of.items():
        seen = [length for step in last for length in step[name]]
        for i in [i for i in rows if batch.correct[i]]:
            saved = (max(seen) - batch.lengths[i]) / max(max(seen) - min(seen), 1e-6)
            beyond = (batch.lengths[i] - median(seen)) / (0.1 * median(seen))
            paid[i] = scale * max(min(1.0, saved), 1 / (1 + math.exp(min(beyond, 700))))
    return paid
