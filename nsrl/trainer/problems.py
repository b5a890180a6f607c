"""Problems come from the data set of a run; training takes them from a stream of it.

One position counts what was drawn, so a resumed run draws the same ones. Every rank reads and draws alike; counting
tokens and opening pictures is shared out.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Sequence, Set
from typing import Any

from nsrl.config import DataConfig, TrainConfig
from nsrl.data import Problems, load_problems
from nsrl.data.dedup import content_key, without
from nsrl.data.demonstrations import load_demonstrations
from nsrl.data.source import Demonstration, Source
from nsrl.data.sources import is_made
from nsrl.data.split import split_off
from nsrl.errors import UserError
from nsrl.models.vlm import VLM
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.draw import SEEDS, Draw, digest
from nsrl.trainer.metrics import Progress
from nsrl.types import Problem

MANY = 4096  # rows from which on progress is shown
TOGETHER = 1024  # prompts counted at once


def read_data(
    config: DataConfig, vlm: VLM, world: World = ALONE, refused: Set[str] = frozenset()
) -> tuple[Problems, Problems, list[Problem], dict[str, str]]:
    """(train, test, training problems from the longest prompt down, `split_digests`) of a data set that is not
    `shapes`.

    No picture of test occurs in train; prompts longer than max_prompt_length, and those that cannot be shown to the
    model at all, are dropped from both with a printed count. refused: picture keys that no test problem may have.
    Raises `UserError` where nothing is left.
    """
    with _Rows("read rows", world) as rows:
        train, test = load_problems(config, progress=rows, refused=refused)
    if world.is_main and train.origin:
        print(f"trains on {train.origin}; tests on {test.origin}", flush=True)
    whole, digests = [*train, *test], split_digests(train, test)
    with _Rows("count tokens", world) as rows:
        mine, counted = world.share(whole), []
        for start in range(0, len(mine), TOGETHER):
            counted += vlm.prompt_lengths(mine[start : start + TOGETHER])
            rows(min(len(counted) * world.size, len(whole)), len(whole))
        lengths = world.gather_in_order(counted)
    train_lengths, test_lengths = lengths[: len(train)], lengths[len(train) :]
    by_id = {p.id: length for p, length in zip(train, train_lengths)}
    train = _fitting(train, train_lengths, "training", config.max_prompt_length, world)
    test = _fitting(test, test_lengths, "test", config.max_prompt_length, world)
    if not train.items:
        last = train.skipped[-1]
        raise UserError(
            f"data: no training problem fits data.max_prompt_length {config.max_prompt_length} (last: {last.id}: "
            f"{last.detail})"
        )
    if not test.items and test.skipped:  # all of few; others are held out, for without any no accuracy says anything
        train, test = split_off(train, config.eval_size, 0.1, refused)
    return train, test, sorted(train, key=lambda p: -int(by_id[p.id])), digests


def split_digests(train: Sequence[Problem], test: Sequence[Problem]) -> dict[str, str]:
    """A digest of the questions, options, pictures and answers of each part of a split as it was read, in any order."""
    digest = lambda part: hashlib.sha256(
        "".join(sorted(f"{content_key(p)} {p.answer}\n" for p in part)).encode("utf-8", "surrogatepass")
    ).hexdigest()
    return {"training": digest(train), "held-out": digest(test)}


def _fitting(problems: Problems, lengths: Sequence[int | str], name: str, longest: int, world: World) -> Problems:
    kept = problems.fitting(lengths, longest)
    dropped: dict[str, list[Any]] = {}
    for skipped in kept.skipped[len(problems.skipped) :]:
        dropped.setdefault(skipped.reason, []).append(skipped)
    for reason, rows in dropped.items() if world.is_main else ():
        why = f"prompt longer than {longest} tokens" if reason == "over-long prompt" else reason
        print(f"{len(rows)} {name} problems dropped: {why} (first: {rows[0].id}: {rows[0].detail})", flush=True)
    return kept


def read_demonstrations(
    config: TrainConfig, held_out: Sequence[Problem], vlm: VLM, world: World = ALONE
) -> list[Demonstration]:
    """What supervised steps learn from rows. Raises `UserError` where nothing is left.

    Dropped with a printed count are rows without a completion, those with a picture (without pictures: the content) of
    a held-out problem, prompts above data.max_prompt_length, completions above max_completion_length, their end
    included, those that do not begin with the program that prompt.prefill opens, and what the model can be shown or
    write in no way.
    """
    with _Rows("read demonstrations", world) as rows:
        try:
            found, skipped = load_demonstrations(config.teacher, rows)
        except UserError as error:
            if config.demonstrations.source is not None or config.demonstrations.path is not None:
                raise UserError(re.sub(r"^data\.(?=path|split)", "demonstrations.", str(error))) from None
            raise UserError(
                f"{error}; warm_start.steps=0 goes without, demonstrations.source=shapes learns those of shapes"
            ) from None
    free = {id(problem) for problem in without((one.problem for one in found), held_out)}
    problems = [one.problem for one in found]
    prompts = vlm.prompt_lengths(problems)
    ids = [vlm.learned_ids(one.text) for one in found]
    banned, ends, longest, most = (
        set(vlm.banned_ids()),
        set(vlm.stop_ids()),
        config.data.max_prompt_length,
        config.max_completion_length,
    )
    kept: list[Demonstration] = []
    dropped = [(one.reason, one.id, one.detail) for one in skipped]
    for one, prompt, completion in zip(found, prompts, ids):
        why = None
        if id(one.problem) not in free:
            why = "held out", "it has a picture or the content of a held-out problem"
        elif isinstance(prompt, str):
            why = "impossible prompt", prompt
        elif prompt > longest:
            why = f"prompt longer than data.max_prompt_length {longest} tokens", f"{prompt} tokens"
        else:
            why = unwritable(vlm, one.text, completion, most, banned, ends)
        if why is None:
            kept.append(one)
        else:
            dropped.append((why[0], one.problem.id, why[1]))
    reasons: dict[str, list[tuple[str, str]]] = {}
    for reason, name, detail in dropped:
        reasons.setdefault(reason, []).append((name, detail))
    said = [
        f"{len(of)} demonstrations dropped: {reason} (first: {of[0][0]}: {of[0][1]})" for reason, of in reasons.items()
    ]
    for line in said if world.is_main else ():
        print(line, flush=True)
    if not kept:
        raise UserError(f"demonstrations: none is left to learn from; {'; '.join(said)}")
    return kept


def unwritable(
    vlm: VLM, text: str, ids: Sequence[int], most: int, banned: set[int], ends: set[int]
) -> tuple[str, str] | None:
    """Why the policy could not have written a completion, and the detail; None where it could.

    ids: of the text, with its end; most: of them; banned: tokens that it may not sample; ends: those that end a turn.
    """
    if len(ids) > most:
        return f"completion longer than max_completion_length {most} tokens", f"{len(ids)} with its end"
    if not vlm.chat.goes_on(text):
        return f"completion that does not begin with {vlm.chat.prefill!r}, as prompt.prefill has it", text[:40]
    if never := banned.intersection(ids) | ends.intersection(ids[:-1]):
        return "control token in the completion", vlm.tokenizer.decode(sorted(never))
    return None


def longest_prompt(config: TrainConfig, vlm: VLM, most: int) -> int:
    """Tokens that a prompt may have before completions of `most`: what the model has positions for, and no more than
    data.max_prompt_length, which is not of problems that are made on the spot (vLLM takes no longer ones of these)."""
    room = vlm.family.positions - most
    free = is_made(config.data.source) and config.rollout == "native"
    return room if free else min(room, config.data.max_prompt_length)


class ProblemStream:
    """The training problems of a source as a run takes them.

    position: problems drawn so far; recent: the problems taken since it was last emptied, by id; vlm: reads pictures
    ahead and says which cannot be read: such a problem is named, and the next one takes its place; chooser: what draws
    them instead (`draw`), after what the step before showed, so that none of the next step is read ahead.
    """

    def __init__(
        self,
        source: Source,
        position: int = 0,
        vlm: VLM | None = None,
        world: World = ALONE,
        chooser: Draw | None = None,
    ) -> None:
        self.position, self.chooser = position, chooser
        self.recent: dict[str, Problem] = {}
        self.unreadable: dict[str, str] = {}  # ids of problems that were passed over, and why
        self._source, self._size = source, source.size
        self._vlm = None if source.size is None else vlm  # what is made on the spot needs no reading
        self._world = world
        self._next: deque[Problem] = deque()  # drawn from the source already, to be taken next
        self._together = 0  # the most that were taken at once
        self._step = 0  # that problems are taken for
        self._stream = source.train(position)

    def wanted(self, count: int) -> int:
        """Problems to sample where `count` groups are to be learned from."""
        return count if self.chooser is None else max(1, min(self.chooser.wanted(count), SEEDS))

    def take(self, count: int, step: int = 0) -> list[Problem]:
        """The next `count` problems; pictures of as many behind them begin to be read. All ranks must call it alike."""
        self._step = step
        problems = self._draw(count)
        if self._vlm is not None:
            self._replace_unreadable(problems, self._vlm)
        if self.chooser is not None:
            self._world.require_same("the problems drawn", digest(problems))
        elif self._vlm is not None:
            self._together = max(self._together, count)
            self._next.extend(next(self._stream) for _ in range(self._together - len(self._next)))
            self._vlm.read_ahead(self._world.share(list(self._next)))
        self.recent |= {p.id: p for p in problems}
        return problems

    def gold(self, problem: Problem, language: str) -> str | None:
        """See `Source.gold`."""
        return (self._source if self.chooser is None else self.chooser.streams).gold(problem, language)

    def _draw(self, count: int) -> list[Problem]:
        self.position += count
        if self.chooser is not None:
            return self.chooser.take(count, self._step)
        return [self._next.popleft() if self._next else next(self._stream) for _ in range(count)]

    def _replace_unreadable(self, problems: list[Problem], vlm: VLM) -> None:
        """Put the next readable problems where one cannot be read; a place stays with the rank that opens its
        pictures."""
        places, failures = list(range(len(problems))), 0
        while places:
            mine = [i for i in places if i % self._world.size == self._world.rank]
            vlm.read_ahead(problems[i] for i in mine)
            found = {i: why for i in mine if (why := vlm.unreadable(problems[i])) is not None}
            reasons = dict(sorted((i, why) for part in self._world.gather(found) for i, why in part.items()))
            for i, why in reasons.items():
                if problems[i].id not in self.unreadable and self._world.is_main:
                    print(
                        f"problem {problems[i].id} passed over ({len(self.unreadable) + 1} so far): {why}", flush=True
                    )
                self.unreadable[problems[i].id] = why
            failures = failures + len(reasons) if len(reasons) == len(places) else 0
            if self._size is not None and failures > 2 * self._size:  # in a row: more than an epoch
                raise UserError(f"data: no picture of the {self._size} training problems can be read any more ({why})")
            places = list(reasons)
            for i, problem in zip(places, self._draw(len(places))):
                problems[i] = problem


def worst_problems(
    sources: Sequence[Source], vlm: VLM, longest: list[Problem], taught: Sequence[Problem] = ()
) -> list[Problem]:
    """Among which the worst step of the run is: the longest prompt that can be shown, or 64 of each source that makes
    them on the spot.

    longest: training problems from the longest prompt down, where a source has a size; taught: so of demonstrations.
    """
    worst = [next((p for p in rows if vlm.unreadable(p) is None), rows[0]) for rows in (longest, taught) if rows]
    return worst if longest else [p for source in sources for p in ProblemStream(source).take(64)] + worst


class _Rows:
    """Progress over rows, shown on the main rank where there are many of them."""

    def __init__(self, title: str, world: World) -> None:
        self._title, self._main = title, world.is_main
        self._bar: Progress | None = None

    def __enter__(self) -> _Rows:
        return self

    def __call__(self, done: int, total: int | None) -> None:
        if not self._main or total is None or total < MANY:
            return
        if self._bar is None:
            self._bar = Progress(self._title, total, every=MANY).__enter__()
        if done > self._bar.done:
            self._bar.step(count=done - self._bar.done)

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*error)
