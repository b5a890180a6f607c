"""Problems become graded completions: encoded, sampled, their programs run as they come, their values checked.

The step's rollout, the evaluation and `nsrl.solve` all go this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nsrl.models.prompt import Prompt
from nsrl.models.vlm import VLM
from nsrl.rollout.turns import converse
from nsrl.rollout.types import Finish, OnGroup, Request, Sample, Sampler, SamplingParams
from nsrl.trainer.grader import Graded, Grader, Pending
from nsrl.trainer.metrics import Timer
from nsrl.trainer.talk import Dialogue, Talk
from nsrl.types import Problem


@dataclass(frozen=True)
class Completions:
    """Per problem its completions and what they are worth; overlapped: for each program, whether it was done before the
    sampler was."""

    samples: list[list[Sample]]
    graded: list[list[Graded]]
    overlapped: list[bool]


def sampling_params(
    vlm: VLM, max_tokens: int, temperature: float, top_p: float = 1.0, top_k: int = 0
) -> SamplingParams:
    """How to sample from this model: its own stops and bans."""
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        stop_ids=tuple(vlm.stop_ids()),
        banned_ids=tuple(vlm.banned_ids()),
    )


def complete(
    vlm: VLM,
    sampler: Sampler,
    grader: Grader,
    problems: Sequence[Problem],
    prompts: Sequence[Prompt],
    params: SamplingParams,
    n: int,
    seeds: Sequence[int],
    timer: Timer,
    talk: Talk | None = None,
) -> Completions:
    """`n` completions of each prompt, sampled and graded; programs run while other groups are still being sampled.

    prompts: of the problems, in their order (`VLM.encode`); seeds: of each. timer: gets the seconds of `rollout`, and
    of `engine`, which are those waited for when sampling has ended. talk: how they go on behind their first turn; None:
    they do not.
    """
    requests = [Request(prompt, n, seed, i) for i, (prompt, seed) in enumerate(zip(prompts, seeds))]
    if talk is not None:
        return _in_turns(talk, sampler, grader, problems, requests, params, timer)
    pending: dict[int, list[Pending]] = {}

    def on_group(index: int, samples: list[Sample]) -> None:
        texts = [vlm.chat.prefill + vlm.decode(list(s.written_ids)) for s in samples]
        cuts = [vlm.chat.read(text, s.finish is Finish.STOP) for text, s in zip(texts, samples)]
        pending[index] = grader.submit(problems[index], texts, cuts)

    with timer("rollout"):
        sampled = sampler.sample(requests, params, on_group)
    overlapped = grader.finished(pending.values())
    with timer("engine"):
        graded = [grader.collect(pending[index]) for index in range(len(requests))]
    return Completions(sampled, graded, overlapped)


def _in_turns(
    talk: Talk,
    sampler: Sampler,
    grader: Grader,
    problems: Sequence[Problem],
    requests: Sequence[Request],
    params: SamplingParams,
    timer: Timer,
) -> Completions:
    """`complete` in turns. Each call of the sampler counts as `rollout`, what is waited for between them as
    `observe`."""
    talk.require_positions([request.prompt for request in requests], params.max_tokens)
    dialogue = Dialogue(talk, grader, problems, timer)

    def sample(asked: Sequence[Request], how: SamplingParams, on_group: OnGroup | None) -> list[list[Sample]]:
        with timer("rollout"):
            return sampler.sample(asked, how, on_group)

    sampled = converse(sample, requests, params, talk.rules, dialogue)
    overlapped = dialogue.finished()
    with timer("engine"):
        graded = dialogue.graded(sampled)
    return Completions(sampled, graded, overlapped)
