"""What rows bring for `members` (docs/members.md): the text of a hint, and completions that nobody sampled.

A given text is written as the policy writes: without the head of its turn, in the delimiters in force, with the end of
the turn. What a row does not have is counted; what no row has is refused before any work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from nsrl.config.members import ANSWER, GOLD, MemberConfig, entries_of
from nsrl.data.modes import DEMONSTRATED
from nsrl.data.source import COMPLETION, Source
from nsrl.errors import UserError
from nsrl.models.vlm import VLM
from nsrl.rewards.functions import one_argument
from nsrl.rollout.types import Finish, Sample
from nsrl.trainer.grader import Graded
from nsrl.trainer.learner import Learner
from nsrl.trainer.problems import unwritable
from nsrl.types import Problem

LOOKED_AT = 64  # problems that are made on the spot, in which one must be found for which an entry acts
Gold = Callable[[Problem, str], str | None]  # `Source.gold`


@dataclass(frozen=True)
class Given:
    """A completion that nobody sampled. name: its entry's."""

    name: str
    sample: Sample
    graded: Graded


def text_of(name: str, entry: MemberConfig, problem: Problem, mode: str, gold: Gold) -> str | None:
    """The text that a name stands for: `gold`, `answer`, or a column; None where the problem has none. mode: of the
    prompt, whose language golds are in."""
    if name == ANSWER:
        return problem.answer or None
    if name == GOLD:
        return gold(problem, entry.language or (DEMONSTRATED[mode] if mode != "any" else "nsl")) or None
    value = problem.columns.get(name)
    return value if isinstance(value, str) and value.strip() else None


def given(learner: Learner, problems: Sequence[Problem]) -> list[tuple[list[Given], list[tuple[str, bool]]]]:
    """Per problem its given completions, graded as if they had been sampled; and of each entry its name, and whether it
    gave none.

    A text is left out that is too long, that does not begin as `prompt.prefill` has it where this opens a program, or
    that holds a token which the policy may not write.
    """
    vlm, config, found = learner.vlm, learner.config, []
    entries = [entry for entry in entries_of(config.grouped.members, config.num_generations) if entry.given is not None]
    if not entries:
        return [([], []) for _ in problems]
    may = _Writable(vlm, config.max_completion_length)
    for problem in problems:
        waiting, lacking = [], []
        for entry in entries:
            before = len(waiting)
            for text in _texts(entry, problem, vlm.chat.mode, learner.problems.gold):
                if (ids := may.ids(text)) is None:
                    continue
                written = vlm.chat.prefill + vlm.decode(list(ids))
                pending = learner.grader.submit(problem, [written], [vlm.chat.read(written, True)])
                sample = Sample.single(ids, [float("nan")] * len(ids), Finish.STOP)
                waiting.append((entry.called, sample, pending))
            lacking.append((entry.called, len(waiting) == before))
        found.append((waiting, lacking))
    with learner.timer("engine"):
        return [
            ([Given(name, sample, learner.grader.collect(pending)[0]) for name, sample, pending in waiting], lacking)
            for waiting, lacking in found
        ]


class _Writable:
    """Texts as the policy would write them. most: tokens of a completion."""

    def __init__(self, vlm: VLM, most: int) -> None:
        self.vlm, self.most = vlm, most
        self.banned = {*vlm.banned_ids()}
        self.ends = {*vlm.stop_ids()}
        self.why = ""  # the last one could not be written

    def ids(self, text: str) -> list[int] | None:
        """What is learned of it, with the end of the turn; None where it cannot be written."""
        ids = self.vlm.learned_ids(text)
        why = unwritable(self.vlm, text, ids, self.most, self.banned, self.ends)
        if why is None:
            return ids
        self.why = f"{why[0]}: {why[1]}"
        return None


def _texts(entry: MemberConfig, problem: Problem, mode: str, gold: Gold) -> list[str]:
    spec = entry.given or ""
    if ".py:" in spec:
        texts = one_argument(spec, "members.given")[1](problem)
        texts = [] if texts is None else [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"members.given must return a text, several or None; {spec!r} gave {str(texts)[:60]!r}")
        return [text for text in texts if text.strip()]
    text = text_of(spec, entry, problem, mode, gold)
    return [text] if text else []


def looked_at(source: Source) -> tuple[list[Problem], str]:
    """(the problems in which one must be found for which an entry acts, what they are in words): all rows of a data
    set, the first ones of problems that are made."""
    problems = list(islice(source.train(), LOOKED_AT if source.size is None else source.size))
    return problems, f"{'the first ' if source.size is None else ''}{len(problems)} training problems"


def require_given(key: str, entry: MemberConfig, source: Source, vlm: VLM, most: int) -> None:
    """Raise `UserError` where no training problem has a given text, or none that can be written: the entry would do
    nothing in the whole run. vlm: asked as the run is; most: tokens of a completion."""
    name, may = entry.given or "", _Writable(vlm, most)
    if ".py:" in name:
        return
    problems, which = looked_at(source)
    texts = (text_of(name, entry, problem, vlm.chat.mode, source.gold) for problem in problems)
    if not any(may.ids(text) is not None for text in texts if text):
        column = " or ".join(COMPLETION) if name == GOLD and source.size is not None else name
        told = f"a text that can be written (last: {may.why})" if may.why else f"a text in {column!r}"
        raise UserError(f"{key} must be what a training problem has; none of {which} has {told}; got {name!r}")
