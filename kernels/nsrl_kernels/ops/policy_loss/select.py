"""Which tokens of a batch are treated apart: bool [T] for `policy_weights` and `drift_weights`, without a host read.

Every function takes the tokens of the whole batch that the choice is of, without padding.
"""

import torch
from torch import Tensor


def high_entropy(entropy: Tensor, share: float) -> Tensor:
    """The tokens whose entropy reaches the (1 - share) quantile of all (linear between two, as torch.quantile).

    Source: arXiv 2506.01939; TRL's top_entropy_quantile.
    """
    if not len(entropy):
        return torch.zeros_like(entropy, dtype=torch.bool)
    ordered = entropy.sort().values
    place = (len(ordered) - 1) * (1 - share)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return entropy >= torch.lerp(ordered[below], ordered[above], place - below)


def covariance(logp: Tensor, advantage: Tensor) -> Tensor:
    """[T]: (logp - its mean) * (advantage - its mean), a token's share of the covariance. Source: arXiv 2505.22617."""
    return (logp - logp.mean()) * (advantage - advantage.mean())


def clip_cov(cov: Tensor, share: float, band: tuple[float, float], draw: Tensor) -> Tensor:
    """max(1, share * T) tokens with band[0] < cov < band[1], those of the smallest `draw` ([T], uniform); fewer where
    there are fewer. Source: arXiv 2505.22617, Clip-Cov."""
    inside = (cov > band[0]) & (cov < band[1])
    return inside & _first(torch.where(inside, draw, torch.inf), max(1, int(share * len(cov))))


def kl_cov(cov: Tensor, share: float) -> Tensor:
    """The max(1, share * T) tokens of the largest covariance. Source: arXiv 2505.22617, KL-Cov."""
    return _first(-cov, max(1, int(share * len(cov))))


def _first(values: Tensor, count: int) -> Tensor:
    """bool: the `count` smallest, of equal ones the earlier."""
    chosen = torch.zeros_like(values, dtype=torch.bool)
    return chosen.index_fill_(0, values.argsort(stable=True)[:count], True)
