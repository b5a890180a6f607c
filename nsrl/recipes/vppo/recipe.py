"""VPPO: learn from the tokens that depend on the picture, and more from completions that do.

s = min(k3(sampled, masked), 10) per token; a token's advantage is 0 unless it is among the ceil(0.4 T) of its
completion with the largest s; A *= .9 + n (b - .9) with n the completion's mean s, min to max of the step as 0 to 1,
and b = .9 + .1 / mean n, so that the mean scale is 1.
Source: arXiv 2510.09285; dp_actor.py of huaixuheqing/VPPO-RL. There min and max are a mini-batch's and mean n a
micro-batch's: here both are the step's. The masks are of advantages: entropy and KL stay over all tokens, as there.
"""

import math

KEEP, LOW = 0.4, 0.9


def vppo(step):
    """Mask advantages by token, scale them by completion."""
    dependency = step.k3("masked")
    for row in step.rows():
        kept = dependency[row].topk(math.ceil(KEEP * (row.stop - row.start))).indices
        step.advantage_N[row] *= dependency[row].new_zeros(row.stop - row.start).index_fill(0, kept, 1.0)
    score = step.mean_R(dependency)
    span = score.max() - score.min()
    if span > 1e-6:
        n = (score - score.min()) / span
        step.advantage_N *= step.per_row(LOW + n * (1 - LOW) / (n.mean() + 1e-8))
    step.metrics["dependency"] = float(dependency.mean())
