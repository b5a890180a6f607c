"""The definition of `linear_logp`, as a reader would write it. It builds [N, V] logits: for tests at small shapes only.

Its autograd is what every backend's gradient is held against.
"""

import torch

from ..logp_from_logits.reference import logp_from_logits


def linear_logp(hidden_NH, weight_VH, target_N, *, bias=None, temperature=1.0, softcap=None, banned=None):
    """(logp_N, entropy_N) of `target` under softmax(head(hidden) / temperature), in the dtype of `hidden`."""
    logits_NV = hidden_NH @ weight_VH.T
    if bias is not None:  # -inf bans the id
        shut_V = bias == float("-inf")
        logits_NV = logits_NV + bias.masked_fill(shut_V, 0)
        ids = shut_V.nonzero()[:, 0]
        banned = ids if banned is None else torch.cat([ids, banned])
    return logp_from_logits(logits_NV, target_N, temperature=temperature, softcap=softcap, banned=banned)
