"""Klear-Reasoner's -0.1 log p of right completions, as an advantage: A += 0.1 where the answer is right.

In the first update of a rollout -A ratio has the gradient of -A log p, so the two are one; in later ones GPPO's band
bounds it. Groups that are all right learn by it too (`dead_groups: keep`).
Source: arXiv 2508.07629; core_algos.py of Kwai-Klear/KlearReasoner, where GPPO beside it has a dual clip of 10.
"""

COEFFICIENT = 0.1


def likely(step):
    """Raise the advantages of right completions."""
    right = [float(bool(correct)) for correct in step.batch.correct]
    step.advantage_N += COEFFICIENT * step.per_row(step.reward_R.new_tensor(right))
