"""Where completions of the native sampler end: at a stop token, behind a stop text, at the most tokens it may have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nsrl.rollout.types import Finish, Request, Sample, SamplingParams


class Ends:
    """The ends of a wave's samples. request_of: the request of each; vocabulary: entries of a row of logits."""

    def __init__(
        self, params: SamplingParams, request_of: Sequence[Request], vocabulary: int, device: torch.device
    ) -> None:
        self.stop_ids, self.texts = frozenset(params.stop_ids), params.stop_texts
        self.stops = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        self.stops[[i for i in params.stop_ids if i < vocabulary]] = True
        self.most = [min(params.max_tokens, r.max_tokens or params.max_tokens) for r in request_of]
        shorter = any(most < params.max_tokens for most in self.most)  # the last row is of the holes of the grid
        self.most_S = torch.tensor([*self.most, params.max_tokens], device=device) if shorter else None

    def go_on(self, ids: Tensor, samples: Tensor, step: int) -> Tensor:
        """(slots,) bool: whether a sample goes on behind these ids (slots,), the tokens number `step` of samples."""
        on = ~self.stops[ids]
        return on if self.most_S is None else on & (self.most_S[samples] > step + 1)

    def by_text(self, running: Sequence[int], out_ids: Tensor, step: int, latest: int) -> set[int]:
        """Of the `running` samples those that a stop text ended in their `latest` tokens, up to number `step`."""
        assert self.texts is not None, "asked for texts where there are none"
        first = max(0, step + 1 - latest - self.texts.longest)
        rows = out_ids[list(running), first : step + 1].tolist()
        behind = max(0, step + 1 - latest) - first
        return {s for s, ids in zip(running, rows) if self.texts.end(ids, behind) is not None}

    def collect(self, members: Sequence[int], out_ids: Tensor, out_logps: Tensor) -> list[Sample]:
        """The finished samples of one group, cut behind their first end."""
        collected = []
        rows = zip(members, out_ids[list(members)].tolist(), out_logps[list(members)].tolist())
        for member, ids, logps in rows:
            ids = ids[: self.most[member]]
            end = next((i + 1 for i, token in enumerate(ids) if token in self.stop_ids), None)
            if self.texts is not None:
                text = self.texts.end(ids[:end])
                end = end if text is None else text
            finish = Finish.LENGTH if end is None else Finish.STOP
            stop = len(ids) if end is None else end
            collected.append(Sample.single(ids[:stop], logps[:stop], finish))
        return collected
