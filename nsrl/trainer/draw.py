"""Which problems a step takes, and which of their groups it learns from: `draw` of the configuration (docs/draw.md).

Every rank asks the same questions and gets the same answers: what is drawn depends on (seed, how many were drawn) and
on what was reported alone, so a resumed run and any number of processes take the same problems. No torch.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

from nsrl.config.draw import DrawConfig, range_of
from nsrl.data.source import Source
from nsrl.data.sources import is_file
from nsrl.errors import UserError
from nsrl.rewards.registry import through_json
from nsrl.rewards.verify import number_of
from nsrl.types import Problem
from nsrl.userfiles import load

if TYPE_CHECKING:
    import torch

    from nsrl.trainer.learner import Learner, Rollout
    from nsrl.trainer.scoring import Scores

SEEDS = 65_536  # prompts that a step has seeds for
PASSED_OVER = 10_000  # problems that are made and refused in a row, until one is taken all the same
SHOWN = 20  # parts that have metrics of their own, at most


@dataclass(frozen=True)
class Outcome:
    """What became of one problem: its group, as rewards saw it.

    correct: verdict of each completion (None: nothing is said); rewards: of each; components: of each, by name, NaN
    where one does not apply; tokens: of each; part: where the problem came from.
    """

    problem: Problem
    correct: list[bool | None]
    rewards: list[float]
    components: Mapping[str, list[float]] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    part: str = ""

    @property
    def accuracy(self) -> float | None:
        """The share of right completions; None where nothing is said of any."""
        said = [right for right in self.correct if right is not None]
        return sum(said) / len(said) if said else None

    @property
    def mean(self) -> float:
        """Of the rewards."""
        return sum(self.rewards) / len(self.rewards)

    @property
    def std(self) -> float:
        """Of the rewards, with n - 1; 0 of a group of one."""
        squares = sum((value - self.mean) ** 2 for value in self.rewards)
        return math.sqrt(squares / (len(self.rewards) - 1)) if len(self.rewards) > 1 else 0.0

    @property
    def is_valid(self) -> bool:
        """Neither all right nor all wrong; where nothing is said of right, rewards differ."""
        return 0 < self.accuracy < 1 if self.accuracy is not None else max(self.rewards) > min(self.rewards)

    def pass_at(self, k: int) -> float | None:
        """The chance that one of k completions is right, without bias (Chen et al. 2021, arXiv 2107.03374); of fewer
        than k: of as many as there are."""
        said = [right for right in self.correct if right is not None]
        n, wrong = len(said), said.count(False)
        return 1 - math.comb(wrong, min(k, n)) / math.comb(n, min(k, n)) if n else None


class Streams:
    """The training problems of each part as an endless stream; positions say how many were taken of each."""

    def __init__(self, sources: Mapping[str, Source], named: bool = False) -> None:
        """named: ids get the part behind them, for those of different parts may be the same."""
        self.sources, self._named = dict(sources), named
        self.positions = dict.fromkeys(self.sources, 0)
        self._open: dict[str, Iterator[Problem]] = {}

    @property
    def names(self) -> list[str]:
        """The parts."""
        return [*self.sources]

    def next(self, part: str = "") -> Problem:
        """The next problem of a part."""
        if part not in self._open:
            self._open[part] = self.sources[part].train(self.positions[part])
        self.positions[part] += 1
        problem = next(self._open[part])
        return replace(problem, id=f"{problem.id}@{part}") if self._named else problem

    def gold(self, problem: Problem, language: str) -> str | None:
        """See `Source.gold`: of the source that the problem is of."""
        if not self._named:
            (source,) = self.sources.values()
            return source.gold(problem, language)
        own, _, part = problem.id.rpartition("@")
        return self.sources[part].gold(replace(problem, id=own), language)

    def go_to(self, positions: Mapping[str, int]) -> None:
        """Go on behind so many of each part."""
        self.positions |= {name: count for name, count in positions.items() if name in self.positions}
        self._open = {}


class Draw:
    """Takes the stream as it comes; learns from the groups that the gate lets through. Your own begins with this class.

    streams: the problems; config: the keys of `draw`; seed: the run's. `metrics`: numbers of the step, as draw/NAME.
    Must do the same on every rank: randomness comes from `self.random()`.
    """

    def __init__(self, streams: Streams, config: DrawConfig, seed: int = 0) -> None:
        self.streams, self.config, self.seed = streams, config, seed
        self.drawn = 0
        self.metrics: dict[str, float] = {}
        self.came_from: dict[str, str] = {}  # the part of each problem of the step

    def random(self) -> Random:
        """What is random about the problem that is drawn now."""
        return Random(f"draw/{self.seed}/{self.drawn}")

    def wanted(self, count: int) -> int:
        """How many problems to sample where `count` groups are to be learned from."""
        return count

    def take(self, count: int, step: int) -> list[Problem]:
        """The next `count` problems."""
        return [self.draw(self.choose()) for _ in range(count)]

    def choose(self) -> str:
        """The part from which the next problem comes."""
        return self.streams.names[0]

    def draw(self, part: str) -> Problem:
        """The next problem of a part."""
        problem = self.streams.next(part)
        self.drawn += 1
        self.came_from[problem.id] = part
        return problem

    def keep(self, outcomes: Sequence[Outcome], count: int) -> list[int]:
        """Which groups are learned from, of all that were sampled so far in the step; `count` are wanted. May be asked
        several times in a step (`dynamic_sampling`)."""
        gate = self.config.gate
        if gate is None:
            return [*range(len(outcomes))]
        closed = lambda one: (said := [v for v in one.components[gate] if not math.isnan(v)]) and not any(said)
        return [i for i, one in enumerate(outcomes) if not closed(one)]

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """What became of all problems of the step."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, in JSON."""
        return {"drawn": self.drawn, "positions": dict(self.streams.positions)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse."""
        self.drawn = state["drawn"]
        self.streams.go_to(state["positions"])


class Mixture(Draw):
    """Each problem is of a part that is drawn by `weights`."""

    def choose(self) -> str:
        """By weight."""
        names = self.streams.names
        weights = [self.config.weights.get(name, 0.0) if self.config.weights else 1.0 for name in names]
        return self.random().choices(names, weights)[0]

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """Shares and accuracies of the parts."""
        for name in self.streams.names[:SHOWN]:
            mine = [one for one in outcomes if one.part == name]
            self.metrics[f"share/{name}"] = len(mine) / len(outcomes)
            if (accuracy := mean_of(one.accuracy for one in mine)) is not None:
                self.metrics[f"pass@1/{name}"] = accuracy


class Refusing(Draw):
    """Passes problems of the stream over, by what is known of them: the column's number, or the running pass@k of the
    run. What nothing is known of yet is taken; so is the last one where a whole epoch would be passed over."""

    def __init__(self, streams: Streams, config: DrawConfig, seed: int = 0) -> None:
        super().__init__(streams, config, seed)
        (self.source,) = streams.sources.values()
        self.by = config.by_of(self.source.size is None)
        self.rates: dict[str, float] = {}
        self.accuracies: dict[str, float] = {}  # the same of pass@1, where rates are of pass@k
        self.refused: list[float | None] = []  # the accuracy of those passed over in this step, as far as it is known
        self.forced = 0
        rows: Sequence[Problem] | None = getattr(self.source, "rows", None)
        if config.column is not None and rows is not None:
            if not any(self.chance(problem) > 0 for problem in rows):
                raise UserError(f"draw.column={config.column}: no training problem of {len(rows)} can be taken by it "
                                f"(draw.kind={config.kind})")  # fmt: skip
        told = [] if config.column is None or rows is None else [number_of(p.columns.get(config.column)) for p in rows]
        said = [rate for rate in told if rate is not None]
        self.of_rates = bool(said) and all(0 <= rate <= 1 for rate in said)  # a column: whether it has pass rates

    def known(self, problem: Problem) -> float | None:
        """Its rate, where one is known."""
        if self.config.column is not None:
            return number_of(problem.columns.get(self.config.column))
        return self.rates.get(value_of(problem, self.by))

    def accuracy_of(self, problem: Problem) -> float | None:
        """Its pass@1, where it is known: of a column with a number beyond 0 to 1 nothing is."""
        if self.config.column is not None:
            return self.known(problem) if self.of_rates else None
        return (self.rates if self.config.pass_at == 1 else self.accuracies).get(value_of(problem, self.by))

    def chance(self, problem: Problem) -> float:
        """How likely it is taken, 0 to 1."""
        rate = self.known(problem)
        if rate is None:
            return 0.0 if self.config.column is not None else 1.0
        return self.chance_at(rate)

    def chance_at(self, rate: float) -> float:
        """The same by a rate that is known."""
        raise TypeError(f"{type(self).__name__} must have a method chance_at(rate)")

    def draw(self, part: str) -> Problem:
        """The next one that is taken."""
        most = 2 * self.source.size if self.source.size is not None else PASSED_OVER
        for number in range(most):
            random = self.random()
            problem = super().draw(part)
            if random.random() < self.chance(problem):
                return problem
            if number == most - 1:
                self.forced += 1
                return problem
            del self.came_from[problem.id]
            self.refused.append(self.accuracy_of(problem))
        raise AssertionError("a source has a problem at least")

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """Measure, where no column says the rates."""
        accuracies = [one.accuracy for one in outcomes]
        if None not in self.refused and (accuracy := mean_of([*accuracies, *self.refused])) is not None:
            self.metrics["unfiltered_pass@1"] = accuracy
        self.metrics |= {"refused": len(self.refused) / len(outcomes), "forced": self.forced}
        self.refused, self.forced = [], 0
        if self.config.column is not None:
            return
        self._measure(self.rates, outcomes, self.config.pass_at)
        if self.config.pass_at > 1:
            self._measure(self.accuracies, outcomes, 1)

    def _measure(self, into: dict[str, float], outcomes: Sequence[Outcome], k: int) -> None:
        """The running means of the groups' pass@k."""
        measured: dict[str, list[float]] = {}
        for one in outcomes:
            if (rate := one.pass_at(k)) is not None:
                measured.setdefault(value_of(one.problem, self.by), []).append(rate)
        for name, rates in measured.items():
            now, before = sum(rates) / len(rates), into.get(name)
            into[name] = now if before is None else self.config.decay * before + (1 - self.config.decay) * now

    def state_dict(self) -> dict[str, Any]:
        """See `Draw`."""
        measured = {"accuracies": dict(self.accuracies)} if self.accuracies else {}
        return super().state_dict() | {"rates": dict(self.rates), **measured}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Draw`."""
        super().load_state_dict(state)
        self.rates, self.accuracies = dict(state["rates"]), dict(state.get("accuracies", {}))


class Tiers(Refusing):
    """A problem is taken as likely as its tier's weight says, against the heaviest; one that is in none is not."""

    def tier_of(self, rate: float) -> str | None:
        """The first tier that has this rate."""
        bounds = {name: range_of(name, text) for name, text in self.config.tiers.items()}
        return next((name for name, (low, high) in bounds.items() if low <= rate <= high), None)

    def chance_at(self, rate: float) -> float:
        """By its tier's weight."""
        tier = self.tier_of(rate)
        heaviest = max(map(self.config.weight, self.config.tiers))
        return 0.0 if tier is None else self.config.weight(tier) / heaviest

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """Shares of the tiers, before they are measured anew."""
        for name in [*self.config.tiers][:SHOWN]:
            of = [rate for one in outcomes if (rate := self.known(one.problem)) is not None]
            self.metrics[f"share/{name}"] = sum(self.tier_of(rate) == name for rate in of) / len(outcomes)
        super().report(outcomes)


class Variance(Refusing):
    """A problem is taken with the chance 4p(1 - p) of its pass rate p: as the variance of its verdicts says."""

    def chance_at(self, rate: float) -> float:
        """4p(1 - p), 0 for what is no rate; where p is measured, `least` at least."""
        if not 0 <= rate <= 1:
            return 0.0
        return max(self.config.least, 4 * rate * (1 - rate)) if self.config.column is None else 4 * rate * (1 - rate)


class Promote(Draw):
    """One part after the other: the next comes when the pass@k of `window` problems is above `threshold` (SATURN, arXiv
    2505.16368, algorithm 1; there the check is of a validation set). Problems are fresh: each is graded before it is
    learned from. At the last part it stays."""

    def __init__(self, streams: Streams, config: DrawConfig, seed: int = 0) -> None:
        super().__init__(streams, config, seed)
        self.at = 0
        self.checked: list[float] = []

    def choose(self) -> str:
        """The part that it is at."""
        return self.streams.names[self.at]

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """Check, when the window is full."""
        here = [one for one in outcomes if one.part == self.choose()]
        self.checked += [rate for one in here if (rate := one.pass_at(self.config.pass_at)) is not None]
        self.metrics["part"] = self.at + 1
        if len(self.checked) >= self.config.window:
            self.metrics["check"] = check = sum(self.checked) / len(self.checked)
            self.checked = []
            if check > self.config.threshold and self.at + 1 < len(self.streams.names):
                self.at += 1

    def state_dict(self) -> dict[str, Any]:
        """See `Draw`."""
        return super().state_dict() | {"at": self.at, "checked": [*self.checked]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Draw`."""
        super().load_state_dict(state)
        self.at, self.checked = min(state["at"], len(self.streams.names) - 1), [*state["checked"]]


class Oversampled(Tiers):
    """RLCS (GLM-4.1V-Thinking, arXiv 2507.01006, section 5.3): `ratio` times as many problems are sampled, the running
    mean of 1 / (1 - share of groups that are all right or all wrong), and those nearest to one half right are learned
    from. Where tiers are named, problems are passed over by them first."""

    def __init__(self, streams: Streams, config: DrawConfig, seed: int = 0) -> None:
        super().__init__(streams, config, seed)
        self.ratio = 1.0

    def chance(self, problem: Problem) -> float:
        """1 where no tier is named."""
        return super().chance(problem) if self.config.tiers else 1.0

    def wanted(self, count: int) -> int:
        """`ratio` times as many."""
        return math.ceil(count * self.ratio - 1e-9)

    def keep(self, outcomes: Sequence[Outcome], count: int) -> list[int]:
        """Those nearest to one half right; where nothing is said of right, those with spread."""

        def distance(i: int) -> float:
            accuracy = outcomes[i].accuracy
            return abs(accuracy - 0.5) if accuracy is not None else 0.0 if outcomes[i].is_valid else 0.5

        return sorted(sorted(super().keep(outcomes, count), key=distance)[:count])

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """Update `ratio`."""
        if self.config.tiers:
            super().report(outcomes)
        valid, decay = sum(one.is_valid for one in outcomes) / len(outcomes), self.config.decay
        now = min(self.config.most, 1 / valid) if valid else self.config.most
        self.ratio = decay * self.ratio + (1 - decay) * now
        self.metrics |= {"invalid": 1 - valid, "ratio": self.ratio}

    def state_dict(self) -> dict[str, Any]:
        """See `Draw`."""
        return super().state_dict() | {"ratio": self.ratio}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Draw`."""
        super().load_state_dict(state)
        self.ratio = state["ratio"]


CLASSES: dict[str, type[Draw]] = {
    "plain": Draw, "mixture": Mixture, "tiers": Tiers, "variance": Variance, "promote": Promote, "rlcs": Oversampled,
}  # fmt: skip


def opened(config: DrawConfig, streams: Streams, seed: int, state: dict[str, Any]) -> Draw | None:
    """What `draw` asks for, as it stood in `state` ({}: at its beginning; of another kind: the streams go on, all else
    begins anew); None where it asks for nothing."""
    if not config.is_on:
        return None
    kind = load(config.kind, "draw.kind")[1] if is_file(config.kind) else CLASSES[config.kind]
    draw = kind(streams, config, seed)
    if state and state["kind"] == config.kind:
        draw.load_state_dict(copy.deepcopy(state["state"]))
    elif state:
        streams.go_to(state["state"].get("positions", {}))
    return draw


def state_of(draw: Draw | None) -> dict[str, Any]:
    """The inverse: what a checkpoint keeps. Raises `UserError` for what JSON would bring back as something else."""
    if draw is None:
        return {}
    state = draw.state_dict()
    return {"kind": draw.config.kind, "state": through_json("draw", state) if is_file(draw.config.kind) else state}


def digest(problems: Sequence[Problem]) -> str:
    """Of their ids: ranks must have drawn the same."""
    return hashlib.sha256("\n".join(p.id for p in problems).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def value_of(problem: Problem, by: str) -> str:
    """What a problem is divided by, as text."""
    own = {"id": problem.id, "category": problem.category, "source": problem.source}
    return own[by] if by in own else str(problem.columns.get(by))


def mean_of(values: Any) -> float | None:
    """Of those that are known; None of none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


# -- in a step ---------------------------------------------------------------------------------------------------------


def outcomes_of(learner: Learner, groups: Sequence[Rollout], scores: Scores, reward: Sequence[float]) -> list[Outcome]:
    """Every group of the step, by what was sampled of it; of a completion that answers another problem nothing is said.
    reward: of each completion, group after group."""
    draw, components, found, first = learner.problems.chooser, scores.components.tolist(), [], 0
    for group in groups:
        rows = [first + i for i in group.counted]
        parts = {name: [components[i][k] for i in rows] for k, name in enumerate(learner.rewards.names)}
        lengths = [len(group.samples[i].written_ids) for i in group.counted]
        values = [0.0 if math.isnan(reward[i]) else reward[i] for i in rows]
        part = draw.came_from.get(group.problem.id, "") if draw is not None else ""
        verdicts = [None if i in group.others else group.correct[i] for i in group.counted]
        found.append(Outcome(group.problem, verdicts, values, parts, lengths, part))
        first += len(group.samples)
    return found


def keeper(learner: Learner, groups: Sequence[Rollout], scores: Scores) -> Callable[[torch.Tensor], list[int]] | None:
    """Of the rewards (R,) of all completions: the groups that are learned from. None where all are."""
    draw = learner.problems.chooser
    if draw is None:
        return None
    count = learner.config.prompts_per_step

    def kept(reward_R: torch.Tensor) -> list[int]:
        if learner.config.grouped.members:  # of which some are compared with nobody, and have their reward all the same
            reward_R = scores.sums(learner.rewards.weights)
        found = draw.keep(outcomes_of(learner, groups, scores, reward_R.tolist()), count)
        if not isinstance(found, list | tuple) or any(type(i) is not int or not 0 <= i < len(groups) for i in found):
            raise UserError(
                f"draw.kind={draw.config.kind}: keep must return a list of places, 0 to {len(groups) - 1}; got "
                f"{' '.join(repr(found).split())[:60]}"
            )
        return list(found)

    return kept


def draw_metrics(
    learner: Learner, groups: Sequence[Rollout], scores: Scores, reward: Sequence[float], chosen: Sequence[bool]
) -> dict[str, float]:
    """Metrics of what was drawn; it is reported to the draw. chosen: which groups the update has."""
    draw, config = learner.problems.chooser, learner.config
    ratio = {"perf/rollout_ratio": len(groups) / config.prompts_per_step}
    if draw is None:
        return ratio if config.dynamic_sampling else {}
    outcomes = outcomes_of(learner, groups, scores, reward)
    draw.metrics["kept"] = sum(chosen) / max(1, len(groups))
    kept = mean_of(one.accuracy for one, on in zip(outcomes, chosen) if on)
    if kept is not None:
        draw.metrics["kept_pass@1"] = kept
    draw.report(outcomes)
    told = {f"draw/{name}": float(value) for name, value in draw.metrics.items()}
    draw.came_from, draw.metrics = {}, {}
    return ratio | told
