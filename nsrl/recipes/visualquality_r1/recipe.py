"""VisualQuality-R1: with q the scores of a picture's completions, p = Phi((q_k(i) - mean q(j)) / sqrt(var q(i) + var
q(j) + 1e-6)) that i is better than j, t = 1, 1/2 or 0 by the opinions: R = mean over the other pictures j of
sqrt(t p) + sqrt((1 - t)(1 - p)), the fidelity of Thurstone's model. arXiv 2505.14460, section 3."""

import re
from statistics import NormalDist, mean, variance

from nsrl.rewards import gold_of


def ranked(batch, number=r"(?<![\w.])\d{1,3}(?:\.\d{1,6})?(?![\w.]*\d)"):
    """The fidelity of a completion's score, its last number, to the order of the opinions; None without one."""
    said = [[float(n) for n in re.findall(number, text[-300:])[-1:]] for text in batch.completions]
    golds, known = [problem.columns.get("mos", gold_of(problem)) for problem in batch.problems], {}
    for rows in batch.groups():  # of a picture: mean, variance, opinion
        scores = [score for i in rows for score in said[i]]
        if scores and golds[rows[0]] is not None:
            known[rows] = (mean(scores), variance(scores) if len(scores) > 1 else 0.0, float(golds[rows[0]]))
    out = [None if gold is None else 0.0 for gold in golds]
    for rows, (_, own, mos) in known.items():
        others = [other for further, other in known.items() if further != rows]
        for i in [i for i in rows if said[i] and others]:
            p = [NormalDist().cdf((said[i][0] - middle) / (own + spread + 1e-6) ** 0.5) for middle, spread, _ in others]
            t = [(1 + (mos > other) - (mos < other)) / 2 for _, _, other in others]
            out[i] = mean((a * b) ** 0.5 + ((1 - a) * (1 - b)) ** 0.5 for a, b in zip(t, p))
    return out
