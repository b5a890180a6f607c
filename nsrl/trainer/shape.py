"""Shape functions change what single tokens count, between normalised advantages and the objective.

A function sees the whole step: whole groups, what the engine said, spans of the texts, and the log-probs in every
context. To leave a token out, set its advantage to 0: weights multiply the KL and the terms of the loss as well.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch

from nsrl.config.schema import OTB
from nsrl.errors import UserError
from nsrl.rewards.batch import RewardBatch
from nsrl.rewards.functions import shape_functions
from nsrl.rewards.registry import exit_named, through_json
from nsrl.trainer.contexts import Scored, k3
from nsrl.trainer.loss import AS_IT_IS, Shaped
from nsrl.trainer.token_baseline import otb

if TYPE_CHECKING:
    from nsrl.trainer.learner import Learner, MiniBatch, Rollout


@dataclass
class Step:
    """One step as a shape function sees it: R completions that are learned from, N tokens of them one completion after
    the other. The same on every rank and for any number of ranks; all tensors on the CPU.

    batch: the R completions, group after group; whole: all S that were sampled, those that are not learned from (cut
    off, of groups left out) too; row_R: where each of the R stands in it. components: (R, K) float64, NaN where one
    does not apply; reward_R: their weighted sum. offsets: (R + 1,) where each completion's tokens begin. advantage_N,
    weight_N: float32, what a token's surrogate and all of its loss is multiplied by: change these. sampled_N: log-probs
    under the policy that sampled; scored, entropies: (N,) float32 of the same tokens, by context. progress: share of
    the stage's steps that are done. state: kept across steps, JSON, saved in checkpoints; metrics: numbers for
    metrics.jsonl, as shape/NAME.
    """

    batch: RewardBatch
    whole: RewardBatch
    row_R: list[int]
    components: torch.Tensor
    reward_R: torch.Tensor
    offsets: torch.Tensor
    advantage_N: torch.Tensor
    weight_N: torch.Tensor
    sampled_N: torch.Tensor
    scored: dict[str, torch.Tensor]
    entropies: dict[str, torch.Tensor]
    step: int = 1
    progress: float = 0.0
    state: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def rows(self) -> list[slice]:
        """The tokens of each completion."""
        bounds = self.offsets.tolist()
        return [slice(begin, end) for begin, end in pairwise(bounds)]

    def groups(self) -> Iterator[tuple[range, range]]:
        """(rows of `batch`, rows of `whole`) of each group: what is learned from of it, and all of it."""
        every = list(self.whole.groups())
        of = {row: group for group in every for row in group}
        for group in self.batch.groups():
            yield group, of[self.row_R[group.start]]

    def per_row(self, value_R: torch.Tensor) -> torch.Tensor:
        """(N,): a value of each completion, for each of its tokens."""
        return value_R.to(torch.float32).repeat_interleave(self.offsets.diff())

    def mean_R(self, value_N: torch.Tensor) -> torch.Tensor:
        """(R,): the mean over each completion's tokens."""
        counts = self.offsets.diff()
        row = torch.arange(len(counts)).repeat_interleave(counts)
        return torch.zeros(len(counts), dtype=value_N.dtype).index_add(0, row, value_N) / counts.clamp(min=1)

    def k3(self, context: str, of: str | None = None) -> torch.Tensor:
        """(N,): k3 of the policy that sampled (or of another context) against a context, clamped as in `terms`."""
        return k3(self.sampled_N if of is None else self.scored_in(of), self.scored_in(context))

    def scored_in(self, context: str) -> torch.Tensor:
        """(N,): log-probs in a context. Raises `UserError` for one that `contexts` does not have."""
        if context not in self.scored:
            raise UserError(f"contexts has no {context!r}; it has {', '.join(self.scored) or 'none'}")
        return self.scored[context]

    def tokens(self, row: int, chars: tuple[int, int]) -> slice:
        """Which of the N tokens hold the characters chars[0] to chars[1] of completion `row` (those that the policy
        wrote)."""
        within, begin = self.batch.tokens(row, *chars), int(self.offsets[row])
        return slice(begin + within.start, begin + within.stop)

    def turns(self, row: int) -> list[slice]:
        """Which of the N tokens each turn of completion `row` is, those shown between them left out."""
        begin, end, mask = int(self.offsets[row]), int(self.offsets[row + 1]), self.batch.masks[row]
        if mask is None:
            return [slice(begin, end)]
        starts = [sum(mask[:at]) for at, own in enumerate(mask) if own and (at == 0 or not mask[at - 1])]
        return [slice(begin + a, begin + b) for a, b in pairwise([*starts, sum(mask)])]


class ShapeFunctions:
    """The functions of `shape_funcs` with what they remember. Raises `UserError` for what is none."""

    def __init__(self, specs: Sequence[str] = ()) -> None:
        self.functions = shape_functions(specs)
        self._state: dict[str, dict[str, Any]] = {}

    def __call__(self, view: Step) -> None:
        """Each in turn, on what the one before left. Raises `UserError` where one leaves something else than finite
        numbers of the same shape."""
        metrics: dict[str, float] = {}
        for name, function in self.functions.items():
            view.state, view.metrics = self._state.setdefault(name, {}), metrics
            with exit_named(f"shape function {name!r}"):
                function(view)
            for of in ("advantage_N", "weight_N"):
                values = getattr(view, of)
                if not isinstance(values, torch.Tensor) or values.shape != view.sampled_N.shape:
                    found = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
                    raise UserError(
                        f"shape function {name!r} must leave {of} of shape {tuple(view.sampled_N.shape)}; got {found}"
                    )
                if not bool(torch.isfinite(values).all()):
                    raise UserError(f"shape function {name!r} must leave finite numbers in {of}; got NaN or infinity")
        view.metrics = {f"shape/{name}": _number(name, value) for name, value in metrics.items()}

    def state_dict(self) -> dict[str, Any]:
        """A copy of what they remember. Raises `UserError` for what JSON would bring back as something else."""
        return {
            name: through_json(f"shape function {name!r}", dict(values))
            for name, values in self._state.items()
            if values
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse. A function that is new, or had nothing to remember, begins afresh."""
        self._state = copy.deepcopy(state)


def _number(name: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise UserError(f"shape functions must leave finite numbers in metrics; got {number} for {name!r}")
    return number


def shaped(
    learner: Learner,
    step: int,
    groups: Sequence[Rollout],
    mini_batches: Sequence[MiniBatch],
    values: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    scored: Scored,
) -> tuple[Shaped, dict[str, float]]:
    """(what this rank's tokens count, metrics of it).

    groups: all that were sampled; mini_batches: those of the update, one after the other; values: components (S, K),
    rewards (S,) and advantages (S,) of all completions. The functions run once, on the main rank: what they draw or
    remember is the same for all.
    """
    by_token = learner.config.scale_rewards == OTB
    if not learner.shapes.functions and not by_token:
        return (Shaped(terms=scored.terms) if scored.terms else AS_IT_IS), scored.metrics
    learning = [one for part in mini_batches for one in part.learning]
    before = accumulate((len(part.learning) for part in mini_batches), initial=0)
    own = [first + i for first, part in zip(before, mini_batches) for i in part.own]
    rows = [row for _, part in learning for row in part]
    logps = [group.samples[i].logps for group, _ in learning for i in group.learns]
    sizes = [sum(len(group.samples[i].logps) for i in group.learns) for group, _ in learning]
    begins = [sum(sizes[:index]) for index in range(len(sizes))]
    mine = torch.cat([torch.arange(begins[i], begins[i] + sizes[i]) for i in own] or [torch.zeros(0, dtype=torch.long)])
    here = {kind: {name: x.cpu() for name, x in getattr(scored, kind).items()} for kind in ("logp", "entropy")}
    parts = learner.world.gather((mine, here))

    def run() -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        every: dict[str, dict[str, torch.Tensor]] = {"logp": {}, "entropy": {}}
        for kind, found in every.items():
            for name in here[kind]:
                found[name] = torch.zeros(sum(sizes))
                for places, theirs in parts:
                    found[name][places] = theirs[kind][name]
        components, reward_S, advantage_S = values
        counts = torch.tensor([len(p) for p in logps])
        whole = learner.batch_of(groups, step)
        done, total = learner.progress
        view = Step(
            whole.part(rows, [len(part) for _, part in learning]),
            whole,
            rows,
            components[rows],
            reward_S[rows],
            torch.nn.functional.pad(counts.cumsum(0), (1, 0)),
            advantage_S[rows].float().repeat_interleave(counts),
            torch.ones(sum(sizes)),
            torch.tensor([p for part in logps for p in part], dtype=torch.float32),
            every["logp"],
            every["entropy"],
            step,
            done / max(1, total),
        )
        if by_token:
            otb(view)
        learner.shapes(view)
        return view.advantage_N.detach().float(), view.weight_N.detach().float(), view.metrics

    with learner.timer("shape"):
        advantage_N, weight_N, told = learner.world.from_main(run)
    device = learner.policy.device
    weight = None if bool((weight_N == 1).all()) else weight_N[mine].to(device)
    return Shaped(advantage_N[mine].to(device), weight, scored.terms), scored.metrics | told
