"""Rewards ask the policy again (`ask`, docs/rewards.md), and ReMax's baseline is its greedy answer.

The functions run on the main rank alone; what they ask is answered by all ranks, each its share, with the weights that
sampled the step. Seeds go by (run, step, round, what is asked), so an answer hangs neither on the number of ranks nor
on what else is asked, nor on when.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nsrl.errors import UserError
from nsrl.models.prompt import Prompt
from nsrl.models.vlm import VLM
from nsrl.rewards.asking import NO_ANSWER, Answer, Ask
from nsrl.rewards.batch import RewardBatch
from nsrl.rollout.types import Finish, Sample
from nsrl.trainer.completions import complete, sampling_params
from nsrl.trainer.grader import Graded
from nsrl.trainer.learner import Learner, Rollout
from nsrl.trainer.members import seed_of
from nsrl.trainer.metrics import Timer
from nsrl.trainer.problems import longest_prompt
from nsrl.types import ImageRef, Problem

T = TypeVar("T")
Asked = tuple[
    list[tuple[Problem, tuple[str, ...]]], list[int], int, float, int
]  # pictures by key, seeds, n, temperature, tokens
PLAIN = (str, int, float, bool, list, tuple, dict, type(None))


def from_main(learner: Learner, batch: RewardBatch, round_: int, function: Callable[[Ask | None], T]) -> T:
    """What `function` returns on the main rank; the others answer meanwhile what it asks, where a reward may ask."""
    world = learner.world
    if not learner.rewards.asks:
        return world.from_main(lambda: function(None))
    policy = AskedPolicy(learner, batch, round_)
    if not world.is_main:
        policy.serve()
        return world.from_main(lambda: function(policy))
    found = function(policy)
    policy.end()
    return world.from_main(lambda: found)


class AskedPolicy:
    """`Ask` for one batch of rewards. round_: of dynamic sampling."""

    def __init__(self, learner: Learner, batch: RewardBatch, round_: int) -> None:
        self.learner, self.step, self.round = learner, batch.step, round_
        self._images: dict[str, ImageRef] = {image.key: image for p in batch.problems for image in p.images}
        self._lock = threading.Lock()  # async rewards may ask from threads

    def __call__(
        self, problems: Sequence[Problem], n: int = 1, temperature: float = 0.0, max_tokens: int | None = None
    ) -> list[list[Answer]]:
        """See `Ask`. Raises `UserError` for what is no list of problems, and for numbers out of range."""
        problems = list(problems)
        if not all(isinstance(problem, Problem) for problem in problems):
            odd = next(type(problem).__name__ for problem in problems if not isinstance(problem, Problem))
            raise UserError(f"ask must be given problems (nsrl.types.Problem); got {odd}")
        if n < 1 or (max_tokens is not None and max_tokens < 1):
            raise UserError(f"ask must be given n and max_tokens of at least 1; got {n} and {max_tokens}")
        limit = self.learner.config.max_completion_length if max_tokens is None else max_tokens
        with self._lock:
            if not problems:
                return []
            seeds = self._seeds(problems)
            known = all(image.key in self._images for problem in problems for image in problem.images)
            if not known:  # pictures that the function made: no other rank has them
                return self._told(self._answers(list(zip(problems, seeds)), n, temperature, limit))
            sent = [(_sendable(problem), tuple(i.key for i in problem.images)) for problem in problems]
            asked: Asked = (sent, seeds, n, temperature, limit)
            self.learner.world.from_main(lambda: asked)
            return self._shared(asked)

    def serve(self) -> None:
        """On the other ranks: their share of all that is asked, until nothing more is."""
        while (asked := self.learner.world.from_main(lambda: None)) is not None:
            self._shared(asked)

    def end(self) -> None:
        """On the main rank: nothing more is asked."""
        self.learner.world.from_main(lambda: None)

    def _shared(self, asked: Asked) -> list[list[Answer]]:
        sent, seeds, n, temperature, limit = asked
        problems = [replace(p, images=tuple(self._images[key] for key in keys)) for p, keys in sent]
        mine = self.learner.world.share(list(zip(problems, seeds)))
        return self._told(self.learner.world.gather_in_order(self._answers(mine, n, temperature, limit)))

    def _seeds(self, problems: Sequence[Problem]) -> list[int]:
        """One for each, of the run, the step and what is asked: the same question has the same answers in every call,
        and one that comes again in a call others."""
        before: Counter[str] = Counter()
        found = []
        for p in problems:
            shown = (p.id, p.question, p.options, [i.key for i in p.images], p.chat, p.behind, p.columns.get("system"))
            what = repr(shown)
            found.append(seed_of(self.learner.config.seed, self.step, self.round, "ask", what, before[what]))
            before[what] += 1
        return found

    def _told(self, answers: list[list[Answer]]) -> list[list[Answer]]:
        told = self.learner.told
        told["tokens/ask"] = told.get("tokens/ask", 0.0) + sum(one.tokens for each in answers for one in each)
        return answers

    def _answers(
        self, asked: Sequence[tuple[Problem, int]], n: int, temperature: float, limit: int
    ) -> list[list[Answer]]:
        """This rank's. asked: problems with their seeds."""
        learner = self.learner
        with learner.timer("ask"):
            problems, seeds = [problem for problem, _ in asked], [seed for _, seed in asked]
            found = answers_of(learner, problems, n, temperature, limit, seeds)
        return [[NO_ANSWER] * n if each is None else [_answer(*one) for one in each] for each in found]


def answers_of(
    learner: Learner, problems: Sequence[Problem], n: int, temperature: float, limit: int, seeds: Sequence[int]
) -> list[list[tuple[Sample, Graded]] | None]:
    """This rank's `n` graded completions of each problem; None for one that cannot be shown to the model: it may hold
    what the model wrote."""
    vlm = learner.vlm
    longest = longest_prompt(learner.config, vlm, limit)
    prompts = [_encoded(vlm, problem, longest) for problem in problems]
    shown = [i for i, prompt in enumerate(prompts) if prompt is not None]
    done = complete(
        vlm, learner.sampler, learner.grader, [problems[i] for i in shown],
        [prompt for prompt in prompts if prompt is not None], sampling_params(vlm, limit, temperature), n,
        [seeds[i] for i in shown], Timer(),
    )  # fmt: skip
    found: list[list[tuple[Sample, Graded]] | None] = [None] * len(problems)
    for i, samples, graded in zip(shown, done.samples, done.graded):
        found[i] = list(zip(samples, graded))
    return found


def greedy(learner: Learner, groups: Sequence[Rollout]) -> list[Rollout]:
    """Of each group's problem a group of one: the policy's greedy completion, graded, on every rank."""
    share = learner.world.share([group.problem for group in groups])
    with learner.timer("ask"):
        mine = answers_of(learner, share, 1, 0.0, learner.config.max_completion_length, [0] * len(share))
    merged = learner.world.gather_in_order(mine)
    made = []
    for group, found in zip(groups, merged):
        if found is None:
            raise UserError(f"problem {group.problem.id} could be shown to the model, and cannot be any more")
        ((sample, graded),) = found
        made.append(Rollout(group.problem, group.prompt, [sample], [graded]))
    told, tokens = learner.told, sum(len(g.samples[0].written_ids) for g in made)
    told["tokens/ask"] = told.get("tokens/ask", 0.0) + tokens
    return made


def _encoded(vlm: VLM, problem: Problem, longest: int) -> Prompt | None:
    try:
        prompt = vlm.encode(problem)
    except UserError:  # what the model wrote stands in it: a marker of pictures, or a picture that cannot be read
        return None
    assert vlm.chat.shown(problem).images or vlm.family.image_token_id not in prompt.ids
    return prompt if len(prompt.ids) <= longest else None


def _sendable(problem: Problem) -> Problem:
    """Without pictures, which every rank has, and without columns of other kinds than a file of rows has."""
    columns: dict[str, Any] = {name: value for name, value in problem.columns.items() if isinstance(value, PLAIN)}
    return replace(problem, images=(), columns=columns, groups=dict(problem.groups))


def _answer(sample: Sample, graded: Graded) -> Answer:
    tokens, cut = len(sample.written_ids), sample.finish is Finish.LENGTH
    return Answer(graded.text, graded.extracted, graded.result, graded.correct, tokens, cut, graded.score)
