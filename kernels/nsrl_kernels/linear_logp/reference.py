"""The definition of `linear_logp`, as a reader would write it. Builds [N, V] logits: for tests at small shapes only.

What runs on a CPU is `lean.py`, which gives these numbers without ever holding [N, V].
"""

import torch


def linear_logp(hidden_NH, weight_VH, target_N, *, bias=None, temperature=1.0, softcap=None, banned=None):
    """(logp_N, entropy_N) of `target` under softmax(head(hidden) / temperature), in the dtype of `hidden`."""
    logits_NV = hidden_NH @ weight_VH.T
    shut_V = torch.zeros(weight_VH.shape[0], dtype=torch.bool, device=weight_VH.device)
    if bias is not None:
        shut_V = shut_V | (bias == float("-inf"))
        logits_NV = logits_NV + bias.masked_fill(shut_V, 0)
    if softcap is not None:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    if banned is not None:
        shut_V = shut_V.index_fill(0, banned, True)
    temperature = torch.as_tensor(temperature, dtype=logits_NV.dtype, device=logits_NV.device).reshape(-1, 1)
    logp_NV = (logits_NV / temperature).masked_fill(shut_V, float("-inf")).log_softmax(-1)
    entropy_N = -(logp_NV.exp() * logp_NV.masked_fill(shut_V, 0)).sum(-1)
    return logp_NV.gather(1, target_N[:, None])[:, 0], entropy_N
