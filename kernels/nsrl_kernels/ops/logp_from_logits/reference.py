"""The definition of `logp_from_logits`. Its autograd is what every backend's gradient is held against."""

import torch


def logp_from_logits(logits_NV, target_N, *, temperature=1.0, softcap=None, banned=None):
    """(logp_N, entropy_N) of `target` under softmax(logits / temperature), in the dtype of `logits`."""
    if softcap is not None:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    temperature = torch.as_tensor(temperature, dtype=logits_NV.dtype, device=logits_NV.device).reshape(-1, 1)
    shut_V = torch.zeros(logits_NV.shape[1], dtype=torch.bool, device=logits_NV.device)
    if banned is not None:
        shut_V = shut_V.index_fill(0, banned, True)
    logp_NV = (logits_NV / temperature).masked_fill(shut_V, float("-inf")).log_softmax(-1)
    entropy_N = -(logp_NV.exp() * logp_NV.masked_fill(shut_V, 0)).sum(-1)
    return logp_NV.gather(1, target_N[:, None])[:, 0], entropy_N
