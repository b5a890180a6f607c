"""80/20: advantages of tokens below the step's 80th percentile of entropy become 0.

A_t *= 1[H_t >= tau], tau the 0.8 quantile of H over all tokens of the step, H the entropy of the policy before the
update; the loss is still divided by all tokens.
Source: arXiv 2506.01939, where tau is a micro-batch's: here it is the step's, whatever fits into memory.
"""

SHARE = 0.2


def forks(step):
    """Leave the tokens out at which the policy hardly chooses."""
    entropy = step.entropies["policy"]
    kept = max(1, round(SHARE * len(entropy)))
    threshold = entropy.topk(kept).values[-1]
    step.advantage_N *= (entropy >= threshold).float()
    step.metrics["threshold"] = float(threshold)
