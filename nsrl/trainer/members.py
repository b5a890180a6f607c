"""Members: the completions of a group come about in different ways (`members`, docs/members.md).

Some see noisy pictures, another prompt or a hint; some nobody sampled at all: they are given. All of a group are
compared with each other, or have an advantage of their own. Each distinct prompt is packed once, with the completions
that are learned behind it. Entries that come to the same prompt are one: members that are all alike are the step
without members, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import torch

from nsrl.config import TrainConfig
from nsrl.config.members import PLAIN, MemberConfig, entries_of, schedule_of
from nsrl.config.prompts import PromptConfig
from nsrl.data.chat import Chat
from nsrl.data.source import Source
from nsrl.errors import UserError
from nsrl.models.chats import chat_for
from nsrl.models.contexts import POLICY, Context
from nsrl.models.pack import Group, PackedBatch
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.vision import altered
from nsrl.models.vlm import VLM
from nsrl.rewards.functions import one_argument
from nsrl.rollout.types import Sample, SamplingParams
from nsrl.trainer import loss as objective
from nsrl.trainer.advantage import StepAdvantages, advantages
from nsrl.trainer.completions import complete
from nsrl.trainer.given import Given, Gold, given, looked_at, require_given, text_of
from nsrl.trainer.grader import Graded
from nsrl.trainer.learner import Learner, MiniBatch, Part, Rollout
from nsrl.trainer.loss import Shaped
from nsrl.trainer.problems import longest_prompt
from nsrl.types import Problem
from nsrl_kernels import GroupAdvantage


@dataclass(frozen=True)
class Put:
    """One way in which a problem is put; paint: what happens to its pictures; other: whether it is another problem than
    the group's, which has a right answer of its own, or none."""

    problem: Problem
    chat: Chat
    paint: Context | None = None
    other: bool = False

    def encode(self, vlm: VLM) -> Prompt:
        """Token ids and pixels. Raises `UserError` where a picture cannot be read."""
        with vlm.asked(self.chat):
            prompt = vlm.encode(self.problem)
        return prompt if self.paint is None else painted(prompt, self.paint, vlm.black)

    def never(self, vlm: VLM, longest: int) -> str:
        """Why the model cannot be shown it; "" where it can. longest: tokens of its prompt."""
        with vlm.asked(self.chat):
            (length,) = vlm.prompt_lengths([self.problem])
        if isinstance(length, str):
            return length
        return f"{length} tokens, at most {longest}" if length > longest else ""

    def is_as(self, other: Put) -> bool:
        """Whether both are the same prompt of the same problem; columns are no part of a problem's equality."""
        return self == other and self.problem.columns == other.problem.columns


@dataclass(frozen=True)
class _Seat:
    """Completions of one group that are sampled behind one prompt: the prompts (of `_Plan.puts`) that they are sampled
    and learned behind, and their names."""

    put: int
    learned: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """How a group comes about; puts: its prompts, the plain one first; seats: by the prompt they are learned behind;
    lacking: of each entry with a prompt or a hint its name, and whether the problem is put plainly in its place."""

    problem: Problem
    puts: list[Put]
    seats: list[_Seat]
    lacking: list[tuple[str, bool]]

    def answered(self, seat: _Seat) -> Problem:
        """The problem by which completions are judged, as its source has it."""
        put = self.puts[seat.put]
        return put.problem if put.other else self.problem


Drawn = tuple[list[Prompt], list[list[Sample]], list[list[Graded]], tuple[list[Given], list[tuple[str, bool]]]]
Way = Callable[[Problem], tuple[Put, str]]  # how an entry puts a problem, and why it is put plainly instead


def painted(prompt: Prompt, context: Context, black: Sequence[float]) -> Prompt:
    """The prompt with its pictures as a context shows them: the same draw, for the same picture."""
    images = tuple(
        PromptImage(
            (image.key, context), image.grid, altered(image.patches, [(image.key, len(image.patches))], context, black)
        )
        for image in prompt.images
    )
    return replace(prompt, images=images)


def is_other(asked: Problem, problem: Problem) -> bool:
    """Whether what is right for one need not be right for the other: answer, options or columns differ. How a problem
    is put (its question, its pictures, a system text) makes no other one of it."""
    judged = lambda p: (p.answer, p.options, {name: value for name, value in p.columns.items() if name != "system"})
    return judged(asked) != judged(problem)


def require_members(config: TrainConfig, source: Source, vlm: VLM) -> None:
    """Raise `UserError` for an entry of `members` that would do nothing in the whole run: no training problem has its
    hint or its given text, or can be shown to the model as it puts it. vlm: asked as the run is."""
    for number, said in enumerate(config.grouped.members, 1):
        entry, where = MemberConfig(**said), f"members.{number}"
        if entry.given is not None:
            require_given(f"{where}.given", entry, source, vlm, config.max_completion_length)
        elif entry.hint is not None or entry.prompt is not None:
            put = _way(config, vlm, source.gold, number, entry, 0)
            problems, which = looked_at(source)
            why = ""
            if all(why := put(problem)[1] for problem in problems):
                raise UserError(f"{where} must put a training problem otherwise than plainly; it does so with none of "
                                f"{which} (last: {problems[-1].id}: {why})")  # fmt: skip


def rollout(
    learner: Learner, problems: Sequence[Problem], step: int, round_: int, base: int, params: SamplingParams
) -> list[Rollout]:
    """Problems with the completions of all their members, graded, on every rank. Seeds go by the problem and by the way
    it is put, not by who samples it; base: the seed of the first problem's plain prompt. Raises `UserError` where a
    user's function gives something else than it must."""
    config, world = learner.config, learner.world
    entries = entries_of(config.grouped.members, config.num_generations)
    ways = [
        _way(config, learner.vlm, learner.problems.gold, number, entry, step) for number, entry in enumerate(entries, 1)
    ]
    plans = [_plan(learner, problem, entries, ways) for problem in problems]
    drawn = _drawn(learner, world.share(list(enumerate(plans))), (step, round_, base), params)
    with learner.timer("exchange"):
        merged = world.gather_in_order(drawn)
    return [_group(plan, *parts) for plan, parts in zip(plans, merged)]


def _way(config: TrainConfig, vlm: VLM, gold: Gold, number: int, entry: MemberConfig, step: int) -> Way:
    """How an entry puts a problem in a step."""
    where, longest, chat = f"members.{number}", longest_prompt(config, vlm, config.max_completion_length), vlm.chat
    if isinstance(entry.prompt, dict):
        chat = chat_for(vlm, PromptConfig(**entry.prompt), entry.prompt)
    change = one_argument(entry.prompt, f"{where}.prompt")[1] if isinstance(entry.prompt, str) else None
    paint = None
    if entry.images != "keep":
        paint = Context(images=entry.images, share=entry.patches, sigma=entry.sigma, seed=config.seed, step=step)

    def put(problem: Problem) -> tuple[Put, str]:
        asked, why = problem, ""
        if change is not None:
            asked = change(problem)
            if not isinstance(asked, Problem):
                raise UserError(f"{where}.prompt must return a Problem; {entry.prompt!r} gave {type(asked).__name__}")
        if entry.hint is not None and (hint := text_of(entry.hint, entry, problem, vlm.chat.mode, gold)):
            asked = replace(asked, question=f"{asked.question}\n\nHint: {hint}")
        elif entry.hint is not None:
            why = f"it has no {entry.hint}"
        made = Put(asked, chat, paint if asked.images else None, change is not None and is_other(asked, problem))
        if (entry.prompt is not None or entry.hint is not None) and (never := made.never(vlm, longest)):
            return Put(problem, vlm.chat), never
        return made, why

    return put


def _plan(learner: Learner, problem: Problem, entries: Sequence[MemberConfig], ways: Sequence[Way]) -> _Plan:
    puts = [Put(problem, learner.vlm.chat)]
    sampled = [(entry, way) for entry, way in zip(entries, ways) if entry.n is not None]  # the others are given
    plain = next((entry.called for entry, _ in sampled if not entry.differs), PLAIN)
    names: dict[tuple[int, int], list[str]] = {}
    lacking: list[tuple[str, bool]] = []
    for entry, way in sampled:
        there, size = schedule_of(entry.share, "share", 1).at(*learner.progress), entry.n or 0
        count, (own, why) = int(size * there + 0.5), way(problem)
        if entry.prompt is not None or entry.hint is not None:
            lacking.append((entry.called, bool(why)))
        at = next((i for i, put in enumerate(puts) if put.is_as(own)), len(puts))
        puts += [own] if at == len(puts) else []
        learned = at if entry.score_as == "own" else 0
        name = entry.called if at or not entry.differs else plain
        names.setdefault((at, learned), []).extend([name] * (count if at else size))
        if at and count < size:
            names.setdefault((0, 0), []).extend([plain] * (size - count))
    order = list(dict.fromkeys(learned for _, learned in names))
    seats = [_Seat(at, learned, tuple(called)) for (at, learned), called in names.items() if called]
    return _Plan(problem, puts, sorted(seats, key=lambda seat: order.index(seat.learned)), lacking)


def _drawn(
    learner: Learner, share: Sequence[tuple[int, _Plan]], where: tuple[int, int, int], params: SamplingParams
) -> list[Drawn]:
    """What this rank samples and grades for its groups: one call of the sampler for all that differ in their pictures
    alone."""
    vlm, (step, round_, base) = learner.vlm, where
    with learner.timer("pack"):
        prompts = [[put.encode(vlm) for put in plan.puts] for _, plan in share]
    samples = [[[] for _ in plan.seats] for _, plan in share]
    graded = [[[] for _ in plan.seats] for _, plan in share]
    calls: list[tuple[Chat, int, list[tuple[int, int]]]] = []
    for index, (_, plan) in enumerate(share):
        for number, seat in enumerate(plan.seats):
            chat, count = plan.puts[seat.put].chat, len(seat.names)
            call = next((jobs for c, n, jobs in calls if c == chat and n == count), None)
            if call is None:
                calls.append((chat, count, call := []))
            call.append((index, number))
    for chat, count, jobs in calls:
        asked = [(share[index][0], share[index][1], number) for index, number in jobs]
        seeds = []
        for i, plan, number in asked:
            put = plan.seats[number].put
            again = sum(seat.put == put for seat in plan.seats[:number])  # the same prompt, learned behind another one
            plain = put == 0 == again
            seeds.append(base + i if plain else seed_of(learner.config.seed, step, round_, i, "member", put, again))
        with vlm.asked(chat):
            done = complete(
                vlm, learner.sampler, learner.grader, [plan.answered(plan.seats[number]) for _, plan, number in asked],
                [prompts[index][share[index][1].seats[number].put] for index, number in jobs],
                params, count, seeds, learner.timer,
            )  # fmt: skip
        learner.overlap += done.overlapped
        for (index, number), one, judged in zip(jobs, done.samples, done.graded):
            samples[index][number], graded[index][number] = one, judged
    return list(zip(prompts, samples, graded, given(learner, [plan.problem for _, plan in share])))


def seed_of(*names: int | str) -> int:
    """A seed of 62 bits by what the draw is for: requests that are not of plain prompts have such."""
    return int.from_bytes(hashlib.blake2b(repr(names).encode(), digest_size=8).digest(), "big") >> 2


def _group(
    plan: _Plan,
    prompts: list[Prompt],
    samples: list[list[Sample]],
    graded: list[list[Graded]],
    brought: tuple[list[Given], list[tuple[str, bool]]],
) -> Rollout:
    """The group of a plan: its completions by the prompt they are learned behind, the given ones behind the plain
    one."""
    golds, lacking = brought
    made = Rollout(plan.problem, prompts[0], [], [], lacking=[*plan.lacking, *lacking])
    foreign: set[int] = set()
    learned = list(dict.fromkeys([seat.learned for seat in plan.seats] + [0] * bool(golds)))
    for at in learned:
        begin = len(made.samples)
        for seat, drawn, judged in zip(plan.seats, samples, graded):
            if seat.learned == at:
                rows = range(len(made.samples), len(made.samples) + len(drawn))
                if seat.put != at:
                    foreign |= {*rows}
                if plan.puts[seat.put].other:
                    made.others |= dict.fromkeys(rows, plan.puts[seat.put].problem)
                made.members += seat.names
                made.heads += [plan.puts[seat.put].chat.prefill] * len(drawn)
                made.samples += drawn
                made.graded += judged
        if at == 0:
            made.given = frozenset(range(len(made.samples), len(made.samples) + len(golds)))
            made.members += [one.name for one in golds]
            made.heads += [plan.puts[0].chat.prefill] * len(golds)
            made.samples += [one.sample for one in golds]
            made.graded += [one.graded for one in golds]
        made.parts.append(Part(prompts[at], partial(Put.encode, plan.puts[at]), range(begin, len(made.samples))))
    made.foreign = frozenset(foreign | made.given)
    return made


# -- their log-probs ---------------------------------------------------------------------------------------------------


def fill(learner: Learner, parts: Sequence[MiniBatch], batches: Sequence[PackedBatch]) -> None:
    """Log-probs for completions that no sampler has any of, behind the prompt that they are learned behind: the
    policy's own, from one pass without dropout. Every rank gets those of all."""
    if not any(group.foreign for part in parts for group, _ in part.learning):
        return
    mine = [one for part in parts for one in part.mine]
    count = sum(len(g.samples[i].logps) for g, _ in mine for i in g.learns)
    with learner.timer("forward"):
        own_N = objective.score_all(
            learner.policy, batches, count, learner.config, learner.banned, POLICY, learner.world
        ).tolist()
    first, found = 0, {}
    for group, rows in mine:
        for i, row in zip(group.learns, rows):
            after = first + len(group.samples[i].logps)
            if i in group.foreign:
                found[row] = own_N[first:after]
            first = after
    known = {row: logps for part in learner.world.gather(found) for row, logps in part.items()}
    for group, rows in (one for part in parts for one in part.learning):
        for i, row in zip(group.learns, rows):
            if row in known:
                group.samples[i] = with_logps(group.samples[i], known[row])


def with_logps(sample: Sample, logps: Sequence[float]) -> Sample:
    """The sample with other log-probs of the tokens that the policy wrote."""
    turns, at = [], 0
    for turn in sample.turns:
        count = 0 if turn.logps is None else len(turn.logps)
        turns.append(turn if turn.logps is None else replace(turn, logps=list(logps[at : at + count])))
        at += count
    return replace(sample, turns=tuple(turns))


def counting(learner: Learner, shaped: Shaped, parts: Sequence[MiniBatch]) -> Shaped:
    """With which of this rank's tokens the update's metrics are of: not those whose log-probs no sampler has."""
    if not any(group.foreign for part in parts for group, _ in part.learning):
        return shaped
    mine = [(g, i) for part in parts for g, _ in part.mine for i in g.learns]
    counted = [i not in g.foreign for g, i in mine for _ in g.samples[i].logps]
    return replace(shaped, counted_N=torch.tensor(counted, dtype=torch.bool, device=learner.policy.device))


# -- what they are compared with ---------------------------------------------------------------------------------------


def _own_advantages(learner: Learner, groups: Sequence[Rollout]) -> dict[int, float]:
    """The rows of the step that have an advantage of their own, and which."""
    made = [MemberConfig(**entry) for entry in learner.config.grouped.members]
    said = {entry.called: entry.advantage for entry in made if entry.advantage is not None}
    values = {name: schedule_of(text, "advantage", 1e6).at(*learner.progress) for name, text in said.items()}
    names = [name for group in groups for name in group.members]
    return {row: values[name] for row, name in enumerate(names) if name in values}


def compared(learner: Learner, groups: Sequence[Rollout], rewards: torch.Tensor) -> torch.Tensor:
    """(S, K) rewards, NaN for members that have an advantage of their own: they are in no group's mean."""
    own = _own_advantages(learner, groups)
    if not own:
        return rewards
    rewards = rewards.clone()
    rewards[list(own)] = torch.nan
    return rewards


def with_own(
    learner: Learner, groups: Sequence[Rollout], gain: StepAdvantages, rewards: torch.Tensor, weights: Sequence[float]
) -> StepAdvantages:
    """With the advantages that some members have of their own; their groups are live by them. rewards: (S, K) of
    all."""
    own = _own_advantages(learner, groups)
    if not own:
        return gain
    sizes = torch.tensor([len(g.samples) for g in groups])
    chosen = gain.chosen.repeat_interleave(sizes)
    values = gain.advantages.clone()
    rows = torch.tensor(list(own))
    values[rows] = torch.tensor(list(own.values()), dtype=values.dtype) * chosen[rows]
    bounds = [0, *accumulate(sizes.tolist())]
    live = torch.tensor([bool((values[a:b] != 0).any()) for a, b in pairwise(bounds)])
    reward = advantages(rewards, sizes.tolist(), weights, "none").reward
    return replace(gain, advantages=values, drawn=gain.drawn._replace(live=gain.drawn.live | live, reward=reward))


def metrics_of(groups: Sequence[Rollout], reward: torch.Tensor) -> dict[str, float]:
    """members/NAME/n (per group), /reward and /pass@1 of what was sampled and of what was given, each by the problem
    that it answers; /missing of entries with a prompt, a hint or a given text: the share of problems for which it had
    none, or none that could be put or written. reward: (S,)."""
    names = [name for g in groups for name in g.members]
    verdicts = [j.correct for g in groups for j in g.graded]
    found: dict[str, float] = {}
    for name in dict.fromkeys(names):
        rows = [i for i, other in enumerate(names) if other == name]
        scored = [right for right in (verdicts[i] for i in rows) if right is not None]
        found[f"members/{name}/n"] = len(rows) / len(groups)
        found[f"members/{name}/reward"] = float(reward[rows].nanmean())
        found[f"members/{name}/pass@1"] = sum(scored) / max(1, len(scored))
    lacking = [one for g in groups for one in g.lacking]
    for name in dict.fromkeys(name for name, _ in lacking):
        own = [lacks for called, lacks in lacking if called == name]
        found[f"members/{name}/missing"] = sum(own) / len(own)
    return found


def sampled(
    learner: Learner, groups: Sequence[Rollout], gain: StepAdvantages, rewards: torch.Tensor, weights: Sequence[float]
) -> GroupAdvantage:
    """The statistics of the step, of what was sampled: reward (S',) without what was given, and the spread of these
    rewards within each group. rewards: (S, K) of all."""
    bounds = [0, *accumulate(len(g.samples) for g in groups)]
    rows = [first + i for g, first in zip(groups, bounds) for i in g.counted]
    drawn = gain.drawn._replace(reward=gain.drawn.reward[rows])
    if len(rows) == bounds[-1] and not _own_advantages(learner, groups):
        return drawn
    return drawn._replace(std=advantages(rewards[rows], [len(g.counted) for g in groups], weights, "none").std)


def columns_of(learner: Learner, group: Rollout, sample: int) -> dict[str, Any]:
    """What a kept completion says of its member; other_problem, where a function of the user's puts problems: whether
    it answers another one than its group's."""
    if not group.members:
        return {}
    puts = any(isinstance(entry.get("prompt"), str) for entry in learner.config.grouped.members)
    return {"member": group.members[sample], **({"other_problem": sample in group.others} if puts else {})}


def budget_for(learner: Learner, groups: Sequence[Group]) -> int:
    """Rows of a micro-batch: a member's prompt may be longer than any that was tried, and no completion may end a
    run."""
    if not learner.config.grouped.members:
        return learner.token_budget
    return max([learner.token_budget, *(len(g.prompt.ids) + max(map(len, g.completions)) for g in groups)])
