"""Where a model looks: attention of chosen tokens over everything before them, from the decoder's own queries and keys.

The forward is the policy's packed one, on whatever backend it has; beside each layer's attention the chosen rows' is
written out as softmax(q·k). Nothing of it is in a forward that does not ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsrl.errors import UserError
from nsrl.models.attention import Attention, Sequences
from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt


@dataclass(frozen=True, eq=False)
class Looks:
    """Attention of n tokens of a completion, in fp32 on the host.

    weights: (layers, n, L) on each token of prompt and completion, 0 on those that come later; columns: (v,) the
    visual tokens among the L, picture after picture; visible: (n,) how many tokens each one sees.
    """

    weights: Tensor
    columns: Tensor
    visible: Tensor

    @property
    def on_pictures(self) -> Tensor:
        """(layers, n, v): the part of it on visual tokens."""
        return self.weights[:, :, self.columns]

    @property
    def even(self) -> Tensor:
        """(n,): that part in sum, if a token attended to all it sees alike."""
        return len(self.columns) / self.visible


def look(policy: Policy, prompt: Prompt, completion: Sequence[int], *, head: int | None = None) -> Looks:
    """Attention with which each token of the completion was written: that of the row that predicts it, as when it was
    sampled. head: one head of every layer, or None for their mean. Raises `UserError` where there is no such head."""
    (batch,) = policy.pack([Group(prompt, [list(completion)])], len(prompt.ids) + len(completion))
    rows = torch.arange(len(prompt.ids) - 1, len(prompt.ids) - 1 + len(completion))
    watching = _Watching(policy.attention, rows, head)
    policy.attention = watching
    try:
        with torch.no_grad():
            policy.hidden(batch)
    finally:
        policy.attention = watching.inner
    ids = torch.tensor(list(prompt.ids))
    columns = (ids == policy.family.image_token_id).nonzero().flatten()
    return Looks(torch.stack(watching.found), columns, rows + 1)


class _Watching:
    """A backend of attention that also writes out what some rows attend to, layer after layer."""

    def __init__(self, inner: Attention, rows: Tensor, head: int | None) -> None:
        self.inner, self.rows, self.head, self.name = inner, rows, head, inner.name
        self.found: list[Tensor] = []

    def prepare(self, seqs: Sequences, dtype: torch.dtype) -> object:
        """See `Attention.prepare`."""
        return self.inner.prepare(seqs, dtype)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: Any, scale: float) -> Tensor:
        """See `Attention`. One prompt and one completion are one causal sequence in a stream."""
        self.found.append(self._weights(q, k, scale).cpu())
        return self.inner(q, k, v, state, scale)

    def _weights(self, q: Tensor, k: Tensor, scale: float) -> Tensor:
        """(n, L) of q (T, Hq, d) and k (T, Hkv, d): softmax in fp32, mean over heads or one of them."""
        heads, rows = q.shape[1], self.rows.to(q.device)
        q, k = q[rows].float(), k.float().repeat_interleave(heads // k.shape[1], 1)
        if self.head is not None:
            if self.head >= heads:
                raise UserError(f"head must be 0 to {heads - 1} or mean; got {self.head}")
            q, k = q[:, self.head, None], k[:, self.head, None]
        scores = torch.einsum("nhd,lhd->hnl", q, k) * scale
        later = torch.arange(k.shape[0], device=k.device) > rows[:, None]
        return scores.masked_fill(later, -torch.inf).softmax(-1).mean(0)
