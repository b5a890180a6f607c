"""Contexts score the completions of a step once more, elsewhere: blind, in noise, without the adapter, behind another
prompt. What comes of it are terms of the loss (`terms`) and what shape functions look at (`shape.py`).

All of it is without gradient and once per step, before the first update: the term's own gradient is that of the
policy's log-probs in k3(policy, context).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from nsrl.config import PromptConfig, TrainConfig
from nsrl.config.contexts import PROMPT, schedules_of_terms
from nsrl.config.schema import OTB
from nsrl.errors import UserError
from nsrl.models.chats import chat_for
from nsrl.models.contexts import POLICY, Context
from nsrl.models.pack import PackedBatch
from nsrl.models.prompt import Prompt
from nsrl.models.vlm import VLM
from nsrl.rewards.functions import one_argument
from nsrl.trainer import loss as objective
from nsrl.trainer.token_baseline import SHARP
from nsrl.types import Problem

if TYPE_CHECKING:
    from nsrl.trainer.learner import Learner, Rollout

IMAGES: dict[str, Literal["real", "black", "noise"]] = {
    "keep": "real",
    "black": "black",
    "noise": "noise",
}  # of the configuration, and as models call them


@dataclass
class Scored:
    """Log-probs of this rank's tokens by context, (N,) each in the order given to `pack`, on the policy's device.

    entropy: the same of entropies, where there are shape functions to look at them; terms: those in the loss, with
    their coefficients.
    """

    logp: dict[str, torch.Tensor] = field(default_factory=dict)
    entropy: dict[str, torch.Tensor] = field(default_factory=dict)
    terms: tuple[tuple[torch.Tensor, float], ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)


def coefficients(config: TrainConfig, progress: tuple[int, int]) -> dict[str, float]:
    """The terms of a step, those left out that are 0 in it. progress: steps done before it, and steps in all."""
    found = {name: schedule.at(*progress) for name, schedule in schedules_of_terms(config.tokens).items()}
    return {name: value for name, value in found.items() if value}


def keeps_dead(config: TrainConfig, terms: dict[str, float]) -> bool:
    """Whether groups without spread are in the update of a step with these terms."""
    own = config.objective if config.objective.nll_on == "all" else replace(config.objective, nll_coef=0.0)
    alone = own.advantages_alone and not terms  # then such a group has no gradient, or of its right completions alone
    return config.tokens.dead_groups == "keep" or (config.tokens.dead_groups == "auto" and not alone)


def score(
    learner: Learner,
    step: int,
    mine: Sequence[Rollout],
    batches: Sequence[PackedBatch],
    sampled_N: torch.Tensor,
    terms: dict[str, float],
) -> Scored:
    """This rank's tokens in every context that a term or a shape function needs; nothing at all where none does.

    mine: its groups; batches: those packed; sampled_N: the sampler's log-probs of their tokens.
    """
    config, found = learner.config, Scored()
    names = [name for name in config.tokens.contexts if config.tokens.shape_funcs or name in terms]
    sharp = config.scale_rewards == OTB
    if not names and not sharp:
        return found
    own_N = _sampled(mine, sampled_N)
    with learner.timer("contexts"):
        if sharp:
            found.logp[SHARP] = objective.score_all(
                learner.policy, batches, len(sampled_N), config, learner.banned, POLICY, learner.world,
                temperature=config.temperature / 2,
            )  # fmt: skip
        for name in names:
            entry = dict(config.tokens.contexts[name])
            prompt = entry.pop(PROMPT, None)
            images = IMAGES[entry.pop("images", "keep")]
            context = Context(**entry, images=images, seed=config.seed, step=step)
            others = batches if prompt is None else _behind(learner, name, prompt, mine)
            entropy_N = torch.zeros_like(sampled_N) if config.tokens.shape_funcs else None
            logp_N = objective.score_all(
                learner.policy, others, len(sampled_N), config, learner.banned, context, learner.world, entropy_N
            )
            found.logp[name] = logp_N
            if entropy_N is not None:
                found.entropy[name] = entropy_N
            gap_N = k3(sampled_N, logp_N)[own_N]
            total, count = learner.world.all_reduce_sum(float(gap_N.sum()), len(gap_N))
            found.metrics[f"contexts/{name}/k3"] = total / max(1, count)
    found.terms = tuple((found.logp[name], value) for name, value in terms.items())
    found.metrics |= {f"terms/{name}": schedule for name, schedule in terms.items()}
    return found


def _sampled(mine: Sequence[Rollout], sampled_N: torch.Tensor) -> torch.Tensor | slice:
    """Which of the tokens somebody sampled: what is given is in no metric."""
    if not any(group.given for group in mine):
        return slice(None)
    own = [i not in g.given for g in mine for i in g.learns for _ in g.samples[i].logps]
    return torch.tensor(own, dtype=torch.bool, device=sampled_N.device)


def k3(of_N: torch.Tensor, other_N: torch.Tensor) -> torch.Tensor:
    """k3(of, other) = e^d - d - 1 with d = other - of, per token of `of`; d and the value clamped as PAPO's (arXiv
    2507.06448, verl's low_var_kl)."""
    gap = (other_N - of_N).clamp(-objective.LOG_CLAMP, objective.LOG_CLAMP)
    return (torch.expm1(gap) - gap).clamp(max=objective.K3_CLAMP)


def _behind(learner: Learner, name: str, prompt: str | dict[str, Any], mine: Sequence[Rollout]) -> list[PackedBatch]:
    """The same completions, in the same order, behind another prompt.

    A prompt may be longer than the update's, and no completion may end a run: a micro-batch is then as large as it has
    to be, which a pass without gradient can afford. Where it shows no picture, those between the turns are gone too.
    """
    key = f"contexts.{name}.{PROMPT}"
    told, groups = isinstance(prompt, dict) and prompt.get("images") == "none", []
    for group in mine:
        shown = encoded(learner.vlm, key, prompt, group.problem)
        groups += group.to_pack(learner.vlm, shown, not shown.images and (told or bool(group.prompt.images)))
    longest = [len(g.prompt.ids) + max(map(len, g.completions)) for g in groups]
    return learner.policy.pack(groups, max([learner.token_budget, *longest]))


def encoded(vlm: VLM, key: str, prompt: str | dict[str, Any], problem: Problem) -> Prompt:
    """A problem as a context puts it. Raises `UserError` where a function gives no problem."""
    if isinstance(prompt, str):
        other = one_argument(prompt, key)[1](problem)
        if not isinstance(other, Problem):
            raise UserError(f"{key} must return a Problem; {prompt!r} gave {type(other).__name__}")
        return vlm.encode(other)
    with vlm.asked(chat_for(vlm, PromptConfig(**prompt), prompt)):
        return vlm.encode(problem)
