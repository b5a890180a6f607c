"""VisualQuality-R1: with q the scores of a picture's completions, p = Phi((q_k(i) - mean q(j)) / sqrt(var q(i) + var
q(j) + 1e-6)) that i is better than j, t = 1, 1/2 or 0 by the opinions: R = mean over the other pictures j of
sqrt(t p) + sqrt((1 - t)(1 - p)), the fidelity of Thurstone's model. arXiv 2505.14460, section 3."""

import re
from statistics import NormalDist, mean, variance

from nsrl.rewards import gold_of

_NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,6})?(?![\w.]*\d)")


def ranked(batch):
    """The fidelity of a completion's score to the order of the opinions; None without one."""
    said = [float(n[-1]) if (n := _NUMBER.findall(text[-300:])) else None for text in batch.completions]
    golds, known = [problem.columns.get("mos", gold_of(problem)) for problem in batch.problems], {}
    for rows in batch.groups():  # of a picture: mean, variance, opinion
        scores = [said[i] for i in rows if said[i] is not None]
        if scores and golds[rows[0]] is not None:
            known[rows] = (mean(scores), variance(scores) if len(scores) > 1 else 0.0, float(golds[rows[0]]))
    out = [None if gold is None else 0.0 for gold in golds]
    for rows, (_, own, mos) in known.items():
        others = [other for further, other in known.items() if further != rows]
        for i in rows if others else ():
            out[i] = mean(_fidelity(said[i], own, mos, *o) for o in others) if said[i] is not None else 0.0
    return out


def _fidelity(score, own, mos, middle, spread, other):
    p, t = NormalDist().cdf((score - middle) / (own + spread + 1e-6) ** 0.5), (1 + (mos > other) - (mos < other)) / 2
    return (t * p) ** 0.5 + ((1 - t) * (1 - p)) ** 0.5
