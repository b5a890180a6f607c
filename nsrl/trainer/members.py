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

import torch

from nsrl.config.members import ANSWER, GOLD, PLAIN, MemberConfig, entries_of, schedule_of
from nsrl.config.prompts import PromptConfig
from nsrl.data.chat import Chat
from nsrl.data.modes import DEMONSTRATED
from nsrl.errors import UserError
from nsrl.models.chats import chat_for
from nsrl.models.contexts import POLICY, Context
from nsrl.models.pack import Group, PackedBatch
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.vision import altered
from nsrl.models.vlm import VLM
from nsrl.rewards.functions import one_argument
from nsrl.rollout.types import Finish, Sample, SamplingParams
from nsrl.trainer import loss as objective
from nsrl.trainer.advantage import StepAdvantages, advantages
from nsrl.trainer.completions import complete
from nsrl.trainer.grader import Graded
from nsrl.trainer.learner import Learner, MiniBatch, Part, Rollout
from nsrl.trainer.loss import Shaped
from nsrl.types import Problem


@dataclass(frozen=True)
class Put:
    """One way in which a problem is put; paint: what happens to its pictures."""

    problem: Problem
    chat: Chat
    paint: Context | None = None

    def encode(self, vlm: VLM) -> Prompt:
        """Token ids and pixels. Raises `UserError` where a picture cannot be read."""
        with vlm.asked(self.chat):
            prompt = vlm.encode(self.problem)
        return prompt if self.paint is None else painted(prompt, self.paint, vlm.black)


@dataclass(frozen=True)
class _Seat:
    """Completions of one group that are sampled behind one prompt: the prompts (of `_Plan.puts`) that they are sampled
    and learned behind, and their names."""

    put: int
    learned: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """How a group comes about; puts: its prompts, the plain one first; seats: by the prompt they are learned behind."""

    problem: Problem
    puts: list[Put]
    seats: list[_Seat]


Drawn = tuple[list[Prompt], list[list[Sample]], list[list[Graded]], list[tuple[str, Sample, Graded]]]


def painted(prompt: Prompt, context: Context, black: Sequence[float]) -> Prompt:
    """The prompt with its pictures as a context shows them: the same draw, for the same picture."""
    images = tuple(
        PromptImage(
            (image.key, context), image.grid, altered(image.patches, [(image.key, len(image.patches))], context, black)
        )
        for image in prompt.images
    )
    return replace(prompt, images=images)


def rollout(
    learner: Learner, problems: Sequence[Problem], step: int, round_: int, base: int, params: SamplingParams
) -> list[Rollout]:
    """Problems with the completions of all their members, graded, on every rank. Seeds go by the problem and by the way
    it is put, not by who samples it; base: the seed of the first problem's plain prompt. Raises `UserError` where a
    user's function gives something else than it must."""
    world, entries = learner.world, entries_of(learner.config.grouped.members, learner.config.num_generations)
    put = [_way(learner, number, entry, step) for number, entry in enumerate(entries, 1)]
    plans = [_plan(learner, problem, entries, put) for problem in problems]
    drawn = _drawn(learner, world.share(list(enumerate(plans))), (step, round_, base), params)
    with learner.timer("exchange"):
        merged = world.gather_in_order(drawn)
    return [_group(plan, *parts) for plan, parts in zip(plans, merged)]


def _way(learner: Learner, number: int, entry: MemberConfig, step: int) -> Callable[[Problem], Put]:
    """How an entry puts a problem."""
    vlm, where = learner.vlm, f"members.{number}"
    chat = vlm.chat
    if isinstance(entry.prompt, dict):
        chat = chat_for(vlm, PromptConfig(**entry.prompt), entry.prompt)
    change = one_argument(entry.prompt, f"{where}.prompt")[1] if isinstance(entry.prompt, str) else None
    paint = None
    if entry.images != "keep":
        paint = Context(
            images=entry.images, share=entry.patches, sigma=entry.sigma, seed=learner.config.seed, step=step
        )

    def put(problem: Problem) -> Put:
        asked = problem
        if change is not None:
            asked = change(problem)
            if not isinstance(asked, Problem):
                raise UserError(f"{where}.prompt must return a Problem; {entry.prompt!r} gave {type(asked).__name__}")
        if entry.hint is not None and (hint := _text(learner, entry.hint, entry, problem)):
            asked = replace(asked, question=f"{asked.question}\n\nHint: {hint}")
        return Put(asked, chat, paint if asked.images else None)

    return put


def _plan(
    learner: Learner, problem: Problem, entries: Sequence[MemberConfig], ways: Sequence[Callable[[Problem], Put]]
) -> _Plan:
    puts = [Put(problem, learner.vlm.chat)]
    names: dict[tuple[int, int], list[str]] = {}
    for entry, way in zip(entries, ways):
        if entry.n is None:  # given
            continue
        there = schedule_of(entry.share, "share", 1).at(*learner.progress)
        count, own = int(entry.n * there + 0.5), way(problem)
        if own not in puts:
            puts.append(own)
        at = puts.index(own)
        learned = at if entry.score_as == "own" else 0
        name = entry.called if at or not entry.differs else PLAIN
        names.setdefault((at, learned), []).extend([name] * (count if at else entry.n))
        if at and count < entry.n:
            names.setdefault((0, 0), []).extend([PLAIN] * (entry.n - count))
    order = list(dict.fromkeys(learned for _, learned in names))
    seats = [_Seat(at, learned, tuple(called)) for (at, learned), called in names.items() if called]
    return _Plan(problem, puts, sorted(seats, key=lambda seat: order.index(seat.learned)))


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
                vlm, learner.sampler, learner.grader, [plan.problem for _, plan, _ in asked],
                [prompts[index][share[index][1].seats[number].put] for index, number in jobs],
                params, count, seeds, learner.timer,
            )  # fmt: skip
        learner.overlap += done.overlapped
        for (index, number), one, judged in zip(jobs, done.samples, done.graded):
            samples[index][number], graded[index][number] = one, judged
    given = _given(learner, [plan.problem for _, plan in share])
    return list(zip(prompts, samples, graded, given))


def seed_of(*names: int | str) -> int:
    """A seed of 62 bits by what the draw is for: requests that are not of plain prompts have such."""
    return int.from_bytes(hashlib.blake2b(repr(names).encode(), digest_size=8).digest(), "big") >> 2


def _group(
    plan: _Plan,
    prompts: list[Prompt],
    samples: list[list[Sample]],
    graded: list[list[Graded]],
    given: list[tuple[str, Sample, Graded]],
) -> Rollout:
    """The group of a plan: its completions by the prompt they are learned behind, the given ones behind the plain
    one."""
    made = Rollout(plan.problem, prompts[0], [], [])
    foreign: set[int] = set()
    learned = list(dict.fromkeys([seat.learned for seat in plan.seats] + [0] * bool(given)))
    for at in learned:
        begin = len(made.samples)
        for seat, drawn, judged in zip(plan.seats, samples, graded):
            if seat.learned == at:
                if seat.put != at:
                    foreign |= set(range(len(made.samples), len(made.samples) + len(drawn)))
                made.members += seat.names
                made.heads += [plan.puts[seat.put].chat.prefill] * len(drawn)
                made.samples += drawn
                made.graded += judged
        if at == 0:
            made.given = frozenset(range(len(made.samples), len(made.samples) + len(given)))
            made.members += [name for name, _, _ in given]
            made.heads += [plan.puts[0].chat.prefill] * len(given)
            made.samples += [sample for _, sample, _ in given]
            made.graded += [judged for _, _, judged in given]
        made.parts.append(Part(prompts[at], partial(Put.encode, plan.puts[at]), range(begin, len(made.samples))))
    made.foreign = frozenset(foreign | made.given)
    return made


# -- what nobody sampled -----------------------------------------------------------------------------------------------


def _given(learner: Learner, problems: Sequence[Problem]) -> list[list[tuple[str, Sample, Graded]]]:
    """Per problem its given completions as if they had been sampled: (name, sample, graded).

    The text is written as the policy writes: without the head of its turn, in the delimiters in force, with the end of
    the turn. One that is too long, or holds a token that the policy may not sample, is left out.
    """
    vlm, config = learner.vlm, learner.config
    banned, found = {*vlm.banned_ids()}, []
    entries = [entry for entry in entries_of(config.grouped.members, config.num_generations) if entry.given is not None]
    for problem in problems if entries else ():
        waiting = []
        for entry in entries:
            for text in _texts(learner, entry, problem):
                ids = vlm.learned_ids(text)
                if len(ids) > config.max_completion_length or banned.intersection(ids):
                    continue
                written = vlm.chat.prefill + vlm.decode(list(ids))
                pending = learner.grader.submit(problem, [written], [vlm.chat.read(written, True)])
                sample = Sample.single(ids, [float("nan")] * len(ids), Finish.STOP)
                waiting.append((entry.called, sample, pending))
        found.append(waiting)
    if not entries:
        return [[] for _ in problems]
    with learner.timer("engine"):
        return [[(name, s, learner.grader.collect(pending)[0]) for name, s, pending in each] for each in found]


def _texts(learner: Learner, entry: MemberConfig, problem: Problem) -> list[str]:
    spec = entry.given or ""
    if ".py:" in spec:
        texts = one_argument(spec, "members.given")[1](problem)
        texts = [] if texts is None else [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"members.given must return a text, several or None; {spec!r} gave {str(texts)[:60]!r}")
        return [text for text in texts if text.strip()]
    text = _text(learner, spec, entry, problem)
    return [text] if text else []


def _text(learner: Learner, name: str, entry: MemberConfig, problem: Problem) -> str | None:
    """The text that a name stands for: `gold`, `answer`, or a column."""
    if name == ANSWER:
        return problem.answer
    if name == GOLD:
        mode = learner.vlm.chat.mode
        language = entry.language or (DEMONSTRATED[mode] if mode != "any" else "nsl")
        return learner.problems.gold(problem, language)
    value = problem.columns.get(name)
    return value if isinstance(value, str) and value.strip() else None


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
    """members/NAME/n (per group), /reward and /pass@1 of what was sampled and of what was given. reward: (S,)."""
    names = [name for g in groups for name in g.members]
    verdicts = [j.correct for g in groups for j in g.graded]
    found: dict[str, float] = {}
    for name in dict.fromkeys(names):
        rows = [i for i, other in enumerate(names) if other == name]
        scored = [right for right in (verdicts[i] for i in rows) if right is not None]
        found[f"members/{name}/n"] = len(rows) / len(groups)
        found[f"members/{name}/reward"] = float(reward[rows].nanmean())
        found[f"members/{name}/pass@1"] = sum(scored) / max(1, len(scored))
    return found


def budget_for(learner: Learner, groups: Sequence[Group]) -> int:
    """Rows of a micro-batch: a member's prompt may be longer than any that was tried, and no completion may end a
    run."""
    if not learner.config.grouped.members:
        return learner.token_budget
    return max([learner.token_budget, *(len(g.prompt.ids) + max(map(len, g.completions)) for g in groups)])
