"""VOGUE's bonus for visual uncertainty: A += min(alpha U, |A| / beta) for what was sampled under noise.

Half of each group sees noisy pictures, a share that falls to 0. U_t = (k3(raw, noisy) + k3(noisy, raw)) / 2 on the
sampled token: an estimate where VOGUE sums over the vocabulary. alpha 0.5 and beta 2 are ours: the bonus is at most
half of |A|, so that no sign changes. Source: arXiv 2510.01444.
"""

import torch

ALPHA, BETA = 0.5, 2.0


def bonus(step):
    """Add the bonus of each token of the noisy branch."""
    uncertainty = (step.k3("noisy", "raw") + step.k3("raw", "noisy")) / 2
    noisy = step.per_row(torch.tensor([float(name == "noise") for name in step.batch.members]))
    step.advantage_N += noisy * (ALPHA * uncertainty).minimum(step.advantage_N.abs() / BETA)
    step.metrics["uncertainty"] = float((noisy * uncertainty).sum() / noisy.sum().clamp(min=1))
