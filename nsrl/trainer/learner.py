"""`Learner` is what a GRPO step works with, `Rollout` what it makes of a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

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
from nsrl.trainer.talk import Talk
from nsrl.types import Problem


@dataclass(frozen=True)
class Part:
    """Completions of a group that are learned behind one prompt, where not all stand behind the same (`members.py`).

    encode: makes the prompt again with its pixels; rows: the completions, one after the other.
    """

    prompt: Prompt
    encode: Callable[[VLM], Prompt]
    rows: range


@dataclass
class Rollout:
    """One problem with its G completions, as it goes through the rooms.

    Where they are not alike (`members.py`): parts: all of them by the prompt that they are learned behind, in order
    (none: all behind `prompt`); members: what each is called; heads: what the text of each begins with that is not
    among its ids; given: those that nobody sampled, which are in no statistic; foreign: those whose log-probs are not
    those of a sampler behind the prompt that they are learned behind; others: those that answer another problem, and
    which; lacking: of each entry that wants a text or another prompt its name, and whether this problem had none.
    """

    problem: Problem
    prompt: Prompt
    samples: list[Sample]
    graded: list[Graded]
    learns: list[int] = field(default_factory=list)  # the samples that the update learns from
    correct: list[bool | None] = field(default_factory=list)  # the verdicts as rewards were told them
    parts: list[Part] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    given: frozenset[int] = frozenset()
    foreign: frozenset[int] = frozenset()
    others: dict[int, Problem] = field(default_factory=dict)
    lacking: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Rows of the update's stream: each prompt once and every completion that is learned from."""
        learned = [part for part in self.parts if any(i in part.rows for i in self.learns)]
        prompts = [part.prompt for part in learned] or [self.prompt]
        again = sum(bool(self.samples[i].images) for i in self.learns)  # with the prompt in front of each
        tokens = sum(len(self.samples[i].token_ids) for i in self.learns)
        return sum(len(p.ids) for p in prompts) + again * len(self.prompt.ids) + tokens

    @property
    def counted(self) -> list[int]:
        """The samples that statistics are of: all that were sampled."""
        return [i for i in range(len(self.samples)) if i not in self.given]

    def problem_of(self, sample: int) -> Problem:
        """The problem that a completion answers, and by which it is judged."""
        return self.others.get(sample, self.problem)

    def as_counted(self, sample: int) -> Graded:
        """A completion as statistics of the problem see it: without a verdict where it answers another one."""
        graded = self.graded[sample]
        return replace(graded, correct=None) if sample in self.others else graded

    def prompt_of(self, sample: int) -> Prompt:
        """The prompt that a completion is learned behind."""
        return next((part.prompt for part in self.parts if sample in part.rows), self.prompt)

    def to_pack(self, vlm: VLM, prompt: Prompt | None = None, blind: bool = False) -> list[Group]:
        """What the update's stream has of it, the completions in their order; prompt: another one in front of all;
        blind: without the pictures that were shown between turns."""
        if prompt is not None or not self.parts:
            shown = vlm.with_pixels(self.prompt, self.problem) if prompt is None else prompt
            return [self._group(shown, self.learns, blind)]
        found = []
        for part in self.parts:
            if rows := [i for i in self.learns if i in part.rows]:
                found.append(self._group(part.prompt if part.prompt.has_pixels else part.encode(vlm), rows, blind))
        return found

    def _group(self, prompt: Prompt, rows: Sequence[int], blind: bool) -> Group:
        samples = [self.samples[i].blind if blind else self.samples[i] for i in rows]
        images = [s.images for s in samples]
        ids, masks = [s.token_ids for s in samples], [s.mask for s in samples]
        return Group(prompt, ids, masks, images if any(images) else ())


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
    told: dict[str, float] = field(default_factory=dict)  # metrics of the step from before its update
    overlap: list[bool] = field(default_factory=list)  # per program of the step: done before the sampler was
    talk: Talk | None = None  # how completions go on behind their first turn

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
            problems=[g.problem_of(i) for g in groups for i in range(len(g.samples))],
            completions=[j.text for j in graded],
            completion_ids=[s.token_ids for s in samples],
            masks=[s.mask for s in samples],
            turns=[j.history for j in graded],
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
            heads=[head for g in groups for head in g.heads],
            members=[name for g in groups for name in g.members],
            given=[i in g.given for g in groups for i in range(len(g.samples))],
        )
