"""Turns around any sampler: behind a stretch of its completion the policy is shown something, and goes on.

A further turn is a further request, whose prompt is the whole conversation so far: ids alone, nothing is tokenised
again across a border. All conversations that go on are sampled in one call, in the order of their samples, so that a
run that goes on draws the same as one that was never stopped; what is shown to some is made while others are still
being sampled. An engine that keeps prefixes (vLLM) computes only what is new of a conversation.

Knows nothing of tokenizers, engines or problems: a `Partner` hands in what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nsrl.errors import UserError
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.rollout.rng import sample_key
from nsrl.rollout.types import Finish, OnGroup, Request, Sample, SamplingParams, StopTexts, Turn


@dataclass(frozen=True)
class Shown:
    """What the policy is shown: token ids, the same with one placeholder per picture, the pictures, and the ids without
    them."""

    ids: list[int]
    template_ids: list[int]
    images: tuple[PromptImage, ...] = ()
    blind_ids: Sequence[int] = ()


Later = Callable[[], Shown | None]  # waits for what is shown, in the caller's thread; None: nothing, the end
Sampling = Callable[[Sequence[Request], SamplingParams, OnGroup | None], list[list[Sample]]]  # `Sampler.sample`
Place = tuple[int, int]  # a request, and which of its completions


class Partner(Protocol):
    """Who answers the policy. Both are called on the sampling thread, as turns end: hand work over, don't do it."""

    def heard(self, place: Place, sample: Sample, asked: bool) -> Later | None:
        """A turn ended, the last one of `sample`. asked: something may be shown now; None: nothing is."""
        ...

    def ended(self, place: Place, sample: Sample) -> None:
        """The conversation is over."""
        ...


@dataclass(frozen=True)
class Rules:
    """most: turns of a completion; stop_ids, stop_texts: what ends a turn before the last one, beside the stops of the
    completion itself; on_length: shown when the tokens for all turns are used up, behind which `reserve` of them are
    left for an answer."""

    most: int
    stop_ids: tuple[int, ...] = ()
    stop_texts: StopTexts | None = None
    on_length: Shown | None = None
    reserve: int = 0


def converse(
    sample: Sampling, requests: Sequence[Request], params: SamplingParams, rules: Rules, partner: Partner
) -> list[list[Sample]]:
    """Completions of up to `rules.most` turns for each request, in the order of the requests.

    sample: `Sampler.sample`. `params.max_tokens` is of all turns together, and counts what the policy wrote alone.
    """
    budget = params.max_tokens - (rules.reserve if rules.on_length else 0)
    if budget < 1:
        raise UserError(f"turns: reserve must be below the tokens of a completion ({params.max_tokens}); got "
                        f"{rules.reserve}")  # fmt: skip
    stopping = replace(params, stop_ids=(*params.stop_ids, *rules.stop_ids), stop_texts=rules.stop_texts)
    whole: dict[Place, Sample] = {}
    later: dict[Place, Later] = {}
    forced: list[Place] = []

    def heard(place: Place, drawn: Sample, asked: bool, forces: bool) -> None:
        before = whole[place].turns if place in whole else ()
        now = whole[place] = Sample((*before, *drawn.turns), drawn.finish)
        cut = drawn.finish is Finish.LENGTH
        wait = partner.heard(place, now, asked and not cut and written(now) < budget)
        if wait is not None:
            later[place] = wait
        elif cut and forces:
            forced.append(place)
        else:
            partner.ended(place, now)

    def said(asked: Sequence[Request], places: Sequence[Sequence[Place]], last: bool, forces: bool) -> None:
        def on_group(index: int, drawn: list[Sample]) -> None:
            for place, one in zip(places[index], drawn):
                heard(place, one, not last, forces)

        most = max((one.max_tokens or budget for one in asked), default=budget)
        sample(asked, replace(params if last else stopping, max_tokens=most), on_group)

    forces = rules.on_length is not None
    first = [[(i, g) for g in range(request.n)] for i, request in enumerate(requests)]
    said(requests, first, rules.most == 1, forces)
    for turn in range(2, rules.most + 1):
        if not later:
            break
        answers = {place: wait() for place, wait in sorted(later.items())}
        later.clear()
        shown = {place: what for place, what in answers.items() if what is not None}
        for place in answers.keys() - shown.keys():
            partner.ended(place, whole[place])
        further = [_further(requests, whole, place, what, turn, budget) for place, what in shown.items()]
        if further:
            said(further, [[place] for place in shown], turn == rules.most, forces)
    if forced and rules.on_length is not None:
        places, turn, budget = sorted(forced), rules.most + 1, params.max_tokens
        further = [_further(requests, whole, place, rules.on_length, turn, budget) for place in places]
        said(further, [[place] for place in places], True, False)
    return [[whole[place] for place in places] for places in first]


def written(sample: Sample) -> int:
    """Tokens that the policy wrote of a conversation."""
    return sum(len(turn.token_ids) for turn in sample.turns if turn.logps is not None)


def _further(
    requests: Sequence[Request], whole: dict[Place, Sample], place: Place, shown: Shown, turn: int,
    budget: int,
) -> Request:  # fmt: skip
    """The request of one more turn; what is shown before it becomes part of the conversation. A draw depends on the
    request's seed, the sample and the turn alone."""
    of, number = requests[place[0]], place[1]
    so_far = whole[place]
    behind = Turn(shown.ids, None, shown.images, shown.template_ids, shown.blind_ids)
    whole[place] = Sample((*so_far.turns, behind), so_far.finish)
    seed = sample_key(of.seed, (turn << 20) | number)
    left = max(1, budget - written(so_far))
    return Request(conversation(of.prompt, whole[place].turns), 1, seed, of.problem, left)


def conversation(prompt: Prompt, turns: Sequence[Turn]) -> Prompt:
    """A prompt and what was written and shown behind it, as one prompt."""
    ids, templates, images = list(prompt.ids), list(prompt.template_ids or prompt.ids), list(prompt.images)
    for turn in turns:
        ids += turn.token_ids
        templates += turn.token_ids if turn.logps is not None else (turn.template_ids or turn.token_ids)
        images += turn.images
    return Prompt(ids, templates, tuple(images), prompt.name)
