"""`Learner` is what a GRPO step works with, `Rollout` what it makes of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from nsrl.config import TrainConfig
from nsrl.models.contexts import POLICY, Context
from nsrl.models.pack import Group, PackedBatch
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt
from nsrl.models.vlm import VLM
from nsrl.rewards import RewardBatch, Rewards
from nsrl.rollout.types import Finish, Sample, Sampler
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.grader import Graded, Grader
from nsrl.trainer.metrics import Timer
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.shape import ShapeFunctions
from nsrl.trainer.step_metrics import waiting
from nsrl.types import Problem


@dataclass
class Rollout:
    """One problem with its G completions, as it goes through the rooms."""

    problem: Problem
    prompt: Prompt
    samples: list[Sample]
    graded: list[Graded]
    learns: list[int] = field(default_factory=list)  # the samples that the update learns from
    correct: list[bool | None] = field(default_factory=list)  # the verdicts as rewards were told them

    @property
    def size(self) -> int:
        """Rows of the update's stream: the prompt once and every completion that is learned from."""
        return len(self.prompt.ids) + sum(len(self.samples[i].token_ids) for i in self.learns)

    def to_pack(self, vlm: VLM, prompt: Prompt | None = None) -> Group:
        """What the update's stream has of it; prompt: another one in front."""
        return Group(
            vlm.with_pixels(self.prompt, self.problem) if prompt is None else prompt,
            [self.samples[i].token_ids for i in self.learns],
            [self.samples[i].mask for i in self.learns],
        )


Taken = tuple[Rollout, list[int]]  # a group, and which rows of the step its learned completions are


@dataclass
class MiniBatch:
    """The groups of one optimiser step.

    learning: those with a gradient; tokens, sequences: of all its groups, for the divisor of the loss; right: tokens
    of right completions among them; own: which of `learning` are this rank's; batches: those, packed.
    """

    learning: list[Taken]
    tokens: int
    sequences: int
    right: int
    own: list[int]
    batches: list[PackedBatch]

    @property
    def mine(self) -> list[Taken]:
        """This rank's share of `learning`."""
        return [self.learning[i] for i in self.own]


@dataclass
class Learner:
    """What a step needs; made once by `stages.py`.

    reference: scores, under its context, as the start of GRPO did (beta > 0); None: the policy with its adapter off
    does.
    shapes: what changes what tokens count.
    world: problems are sampled and groups learned from in shares; everything in between is the whole batch on every
    rank.
    """

    config: TrainConfig
    vlm: VLM
    policy: Policy
    sampler: Sampler
    grader: Grader
    rewards: Rewards
    optimizer: Optimizer
    problems: ProblemStream
    token_budget: int
    reference: Policy | None = None
    reference_context: Context = POLICY
    world: World = ALONE
    timer: Timer = field(init=False)
    shapes: ShapeFunctions = field(default_factory=ShapeFunctions)
    progress: tuple[int, int] = (0, 1)  # steps done before this one, and steps of what shares its schedules
    overlap: list[bool] = field(default_factory=list)  # per program of the step: done before the sampler was

    def __post_init__(self) -> None:
        self.timer = Timer(waiting(self.policy.device))

    @property
    def banned(self) -> torch.Tensor:
        """(banned,) int64 ids on the policy's device: outside the softmax, in sampling and in the update."""
        return torch.tensor(self.vlm.banned_ids(), device=self.policy.device)

    def batch_of(self, groups: Sequence[Rollout], step: int) -> RewardBatch:
        """The completions of graded groups as rewards and shape functions see them."""
        samples, graded = [s for g in groups for s in g.samples], [j for g in groups for j in g.graded]
        return RewardBatch(
            problems=[g.problem for g in groups for _ in g.samples],
            completions=[j.text for j in graded],
            completion_ids=[s.token_ids for s in samples],
            masks=[s.mask for s in samples],
            extracted=[j.extracted for j in graded],
            results=[j.result for j in graded],
            correct=[verdict for g in groups for verdict in g.correct],
            scores=[j.score for j in graded],
            truncated=[s.finish is Finish.LENGTH for s in samples],
            group_sizes=[len(g.samples) for g in groups],
            step=step,
            templates=self.config.spans,
            decode=self.vlm.decode,
            head=self.vlm.chat.prefill,
        )
