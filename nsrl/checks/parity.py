"""The parity self-check holds that the model that samples and the one that learns are the same function of the same
inputs.

Run before step 1 and by `python -m nsrl.check`. It samples a few completions, scores the same tokens with the trainer,
and compares; blanks the images and wants both to notice; nudges what is trainable, syncs, and compares again, so that
a sync which does nothing or an adapter which is lost shows before the first step, when the two still agree by accident.
When they disagree, `parity_faults` finds out which of the two is wrong and names the likely cause.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from nsrl.checks import parity_faults
from nsrl.checks.parity_faults import blanked
from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt
from nsrl.rollout.types import Request, Sample, Sampler, SamplingParams

Score = Callable[[Sequence[Request], Sequence[Sequence[Sample]]], list[Tensor]]
"""Trainer log-probs of given completions: per request (sum of its completions' tokens,) fp32, sample after sample."""


class ParityError(UserError):
    """Sampler and trainer disagree; the message names the likely cause."""


@dataclass(frozen=True)
class Tolerance:
    """Most |Δ log-prob| allowed: on any token, and on average. Below `effect`, blanking the images counts as
    nothing."""

    most: float
    mean: float
    effect: float

    @classmethod
    def of(cls, dtype: torch.dtype) -> Tolerance:
        """fp32: measured 4e-6 (native) and 7e-6 (vLLM) on the small model; half precision rounds at every layer."""
        if dtype in (torch.float32, torch.float64):
            return cls(most=2e-4, mean=2e-5, effect=1e-3)
        return cls(most=0.5, mean=0.05, effect=0.02)


@dataclass(frozen=True)
class ParityReport:
    """Numbers of a passed check, in nats. most/mean: sampler against trainer; nudged_*: after a nudge and a sync;
    trainer_effect/sampler_effect: what blanking the images changes, most on any token (inf: other tokens were drawn).
    """

    tokens: int
    most: float
    mean: float
    nudged_most: float | None
    trainer_effect: float | None
    sampler_effect: float | None
    tolerance: Tolerance
    seconds: float

    def __str__(self) -> str:
        parts = [f"parity: {self.tokens} tokens, max |Δ| {self.most:.1e} (allowed {self.tolerance.most:.0e})"]
        if self.nudged_most is not None:
            parts.append(f"after nudge and sync {self.nudged_most:.1e}")
        if self.trainer_effect is not None:
            drew = "draws others" if self.sampler_effect == float("inf") else f"{self.sampler_effect:.2g}"
            parts.append(f"blanked images: trainer {self.trainer_effect:.2g}, sampler {drew}")
        return ", ".join(parts) + f" ({self.seconds:.2f} s)"


def self_check(
    policy: Policy,
    sampler: Sampler,
    requests: Sequence[Request],
    params: SamplingParams,
    *,
    tokenizer: Any = None,
    tolerance: Tolerance | None = None,
    nudge: bool = True,
    score: Score | None = None,
) -> ParityReport:
    """Compare sampler and trainer on `requests` (a handful, some with images); raise ParityError if they disagree.

    params: the run's own temperature, bans and stops (top_p 1, top_k 0; few tokens are enough). tokenizer: checked
    against the model's configuration when given. nudge: also after changing every trainable weight a little and syncing
    (put back bit for bit, and synced again). score: another way to score than `policy_score` (tests inject faults
    here).
    """
    start = time.perf_counter()
    params.for_training()
    if tokenizer is not None:
        parity_faults.require_tokenizer(tokenizer, policy.family, params, requests)
    tolerance = tolerance or Tolerance.of(policy.dtype)
    score = score or policy_score(policy, params)
    groups, delta = _agree(policy, sampler, requests, params, tolerance, score, nudged=False)
    effects: tuple[float | None, float | None] = (None, None)
    pictured = [i for i, r in enumerate(requests) if r.prompt.images and not _is_flat(r.prompt)]
    if pictured:
        shown, drawn = [requests[i] for i in pictured], [groups[i] for i in pictured]
        effects = _images_matter(sampler, params, tolerance, score, shown, drawn)
    nudged = None
    if nudge:
        before = sampler.sync(policy.model).checksum
        with _nudged(policy.model):
            sampler.sync(policy.model)
            _, moved = _agree(policy, sampler, requests, params, tolerance, score, nudged=True)
            nudged = float(moved.abs().max())
        if sampler.sync(policy.model).checksum != before:
            raise RuntimeError("parity: the trainable weights were not put back bit for bit")
    return ParityReport(
        delta.numel(),
        float(delta.abs().max()),
        float(delta.abs().mean()),
        nudged,
        *effects,
        tolerance,
        time.perf_counter() - start,
    )


def require_agreement(
    most: float, mean: float, policy: Policy, sampler: Sampler, tolerance: Tolerance | None = None
) -> None:
    """For the loop, before each update: raise ParityError if this step's |Δ| (max and mean) is out of tolerance.

    most, mean: of sampler log-probs against the trainer's at the same weights (the first of the inner iterations).
    """
    dtype = policy.dtype
    tolerance = tolerance or Tolerance.of(dtype)
    # In half precision one token among thousands may be far off; then the mean alone speaks.
    far = most > tolerance.most and dtype in (torch.float32, torch.float64)
    if not far and mean <= tolerance.mean:
        return
    raise ParityError(f"{_gap(most, mean, tolerance)}: {parity_faults.weights_cause(policy.model, sampler)}")


def policy_score(policy: Policy, params: SamplingParams) -> Score:
    """Scoring by the trainer's own packed forward, at the sampling temperature and without the banned tokens."""
    banned = torch.tensor([i for i in params.banned_ids if i < policy.family.vocabulary], device=policy.device)

    def score(requests: Sequence[Request], groups: Sequence[Sequence[Sample]]) -> list[Tensor]:
        packed = [
            Group(r.prompt, [s.token_ids for s in group], [s.mask for s in group]) for r, group in zip(requests, groups)
        ]
        budget = max(group.tokens for group in packed)
        total = [sum(len(s.logps) for s in group) for group in groups]
        flat = torch.empty(sum(total), device=policy.device)
        for batch in policy.pack(packed, max(budget, 4096)):
            scored = policy.score(batch, temperature=params.temperature, banned=banned, grad=False)
            flat[batch.token_rows.to(policy.device)] = scored.logp
        return list(flat.cpu().split(total))

    return score


def _is_flat(prompt: Prompt) -> bool:
    return all(
        bool((p.view(len(p), 3, -1) == p[0].view(3, -1)[:, :1]).all())
        for p in (image.patches for image in prompt.images)
    )


def _agree(policy, sampler, requests, params, tolerance, score, *, nudged) -> tuple[list[list[Sample]], Tensor]:
    """Sample, score, compare; a disagreement beyond tolerance is explained and raised."""
    groups = sampler.sample(requests, params)
    sampled = [torch.tensor([p for s in group for p in s.logps]) for group in groups]
    scored = score(requests, groups)
    delta = torch.cat(sampled) - torch.cat(scored)
    most, mean = float(delta.abs().max()), float(delta.abs().mean())
    if most <= tolerance.most and mean <= tolerance.mean:
        return groups, delta
    cause = parity_faults.explain(policy, sampler, requests, groups, sampled, scored, params, tolerance.most, nudged)
    raise ParityError(f"{_gap(most, mean, tolerance)}: {cause}")


def _gap(most: float, mean: float, tolerance: Tolerance) -> str:
    return (
        f"sampler and trainer disagree on the same tokens by up to {most:.2g} nats, {mean:.2g} on average "
        f"(allowed {tolerance.most:.0e} and {tolerance.mean:.0e})"
    )


def _images_matter(sampler, params, tolerance, score, requests, groups) -> tuple[float, float]:
    """How much blanking the pictures changes the trainer and the sampler; too little in either is an error."""
    blank = [blanked(r) for r in requests]
    real, without = score(requests, groups), score(blank, groups)
    trainer = float((torch.cat(real) - torch.cat(without)).abs().max())
    drawn = sampler.sample(blank, params)
    sampler_effect = 0.0
    for a, b in ((x, y) for g, h in zip(groups, drawn) for x, y in zip(g, h)):
        for token, other, p, q in zip(a.written_ids, b.written_ids, a.logps, b.logps):
            if token != other:  # the draw itself went another way
                sampler_effect = float("inf")
                break
            sampler_effect = max(sampler_effect, abs(p - q))
    for who, effect in (("trainer", trainer), ("sampler", sampler_effect)):
        if effect < tolerance.effect:
            raise ParityError(
                f"blanking the images changes the {who}'s log-probs by {effect:.1e} nats at most (wanted "
                f"{tolerance.effect:.0e}): the {who}'s image path is dead; are the pixels, their grid and the "
                "image placeholders reaching the model?"
            )
    return trainer, sampler_effect


@contextlib.contextmanager
def _nudged(model: nn.Module) -> Iterator[None]:
    """Every trainable weight changed a little, without random numbers, and put back exactly."""
    # of a sharded model each process moves its own shard
    trainable = [p.to_local() if isinstance(p, DTensor) else p for p in model.parameters() if p.requires_grad]
    kept = [p.detach().clone() for p in trainable]
    try:
        with torch.no_grad():
            for p in trainable:
                flat = p.view(-1)
                step = 0.05 * float(p.detach().float().std()) if p.numel() > 1 else 0.0
                step = step or 0.02  # a fresh adapter's B is all zeros
                flat[::2] += step
                flat[1::2] -= step
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(trainable, kept):
                p.copy_(old)
