"""`RewardBatch`: everything a reward may look at, for the completions of whole groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nsrl.answers import Verdict, check
from nsrl.data.made import verified
from nsrl.engines.result import Result
from nsrl.errors import UserError
from nsrl.rewards import spans
from nsrl.rewards.spans import Decode, Offsets, Span
from nsrl.types import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nsrl.data.turns import Said
    from nsrl.engines.extract import Extracted

_PER_COMPLETION = (
    "problems", "completions", "completion_ids", "extracted", "results", "correct", "scores", "truncated", "masks",
    "prompts", "turns", "members", "given", "heads",
)  # fmt: skip


@dataclass
class RewardBatch:
    """R completions, group after group. Every list has R entries but `group_sizes`, which sums to R.

    completion_ids: token ids; masks: for each completion which of them the policy wrote (None: all), the only measure
    of length; extracted: what stands in the completion (program, prose, answer, span); results: what the engine said,
    None without a program; correct: None where the gold cannot be scored (filled in by the answer check when left
    empty); truncated: cut at the token limit; prompts: the prompt texts, where the caller has them; turns: what was
    said in each completion, where there can be several turns: extracted, results and correct are then of the last one,
    completions and spans of all that the policy wrote, without what it was shown. state: kept across steps by the
    rewards that need memory, and saved in checkpoints. templates: of named spans; decode: ids to text; head: what the
    completions begin with that is no part of their ids; heads: of each, where they differ. members: which entry of the
    key `members` each is of, "" without one; given: whether nobody sampled it.
    """

    problems: Sequence[Problem]
    completions: Sequence[str]
    completion_ids: Sequence[Sequence[int]]
    extracted: Sequence[Extracted]
    results: Sequence[Result | None]
    group_sizes: Sequence[int]
    correct: Sequence[bool | None] = ()
    truncated: Sequence[bool] = ()
    masks: Sequence[Sequence[bool] | None] = ()
    prompts: Sequence[str] = ()
    turns: Sequence[Sequence[Said]] = ()
    step: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    decode: Decode | None = None
    head: str = ""
    scores: Sequence[float | None] = ()
    members: Sequence[str] = ()
    given: Sequence[bool] = ()
    heads: Sequence[str] = ()
    names: Sequence[str] = ()
    weights: Sequence[float] = ()
    _offsets: dict[int, Offsets] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.completions)
        if not self.truncated:
            self.truncated = [False] * count
        if not self.masks:
            self.masks = [None] * count
        if not self.prompts:
            self.prompts = [p.question for p in self.problems]
        if not self.turns:
            self.turns = [()] * count
        if len(self.correct) == 0:
            self.correct = [
                verdict(p, c, e, r).correct
                for p, c, e, r in zip(self.problems, self.completions, self.extracted, self.results)
            ]
        if not self.scores:
            self.scores = [None] * count
        self.members = self.members or [""] * count
        self.given = self.given or [False] * count
        self.heads = self.heads or [self.head] * count
        for name in _PER_COMPLETION:
            if len(getattr(self, name)) != count:
                raise ValueError(
                    f"RewardBatch: {name} must have {count} entries, one per completion; got {len(getattr(self, name))}"
                )
        if sum(self.group_sizes) != count:
            raise ValueError(f"RewardBatch: group_sizes must sum to {count} completions; got {sum(self.group_sizes)}")

    def __len__(self) -> int:
        return len(self.completions)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each completion that the policy wrote."""
        return [len(ids) if mask is None else sum(mask) for ids, mask in zip(self.completion_ids, self.masks)]

    def groups(self) -> Iterator[range]:
        """The rows of each group."""
        start = 0
        for size in self.group_sizes:
            yield range(start, start + size)
            start += size

    def part(self, rows: Sequence[int], group_sizes: Sequence[int]) -> RewardBatch:
        """Some of the completions, in the groups of these sizes."""
        pick = {name: [getattr(self, name)[i] for i in rows] for name in _PER_COMPLETION}
        return replace(self, **pick, group_sizes=list(group_sizes))

    def span(self, i: int, name: str) -> Span | None:
        """The last whole span of that name in completion i; None without one.

        `program` is a span of every completion that has one. Raises `UserError` for a name that `spans` does not have.
        """
        if name == spans.PROGRAM:
            return spans.of_program(self.extracted[i])
        if name not in self.templates:
            raise UserError(f"spans has no {name!r}; it has {', '.join([spans.PROGRAM, *self.templates])}")
        return spans.find(self.completions[i], self.templates[name])

    def tokens(self, i: int, start: int, end: int) -> slice:
        """Which of the tokens that the policy wrote in completion i hold characters start to end of it."""
        if self.decode is None:
            raise ValueError("RewardBatch: tokens of a span need decode; got none")
        if i not in self._offsets:
            ids, mask = self.completion_ids[i], self.masks[i]
            written = ids if mask is None else [token for token, own in zip(ids, mask) if own]
            self._offsets[i] = Offsets(self.decode, written, len(self.heads[i]))
        return self._offsets[i].tokens(start, end)

    def columns(self) -> dict[str, list[Any]]:
        """The data set's columns, one list per name (None where a problem has none), as TRL hands them to a reward."""
        names = {"answer", "category", "source", "problem_id"} | {n for p in self.problems for n in p.columns}
        out: dict[str, list[Any]] = {n: [p.columns.get(n) for p in self.problems] for n in sorted(names)}
        out["answer"] = [p.columns.get("answer") if p.answer is None else p.answer for p in self.problems]
        out["category"] = [p.category for p in self.problems]
        out["source"] = [p.source for p in self.problems]
        out["problem_id"] = [p.id for p in self.problems]
        return out


def verdict(problem: Problem, completion: str, extracted: Extracted | None, result: Result | None) -> Verdict:
    """What the source of the problem says, where its column `verifier` names one; else whether the engine's value is
    right, and without a program whether the direct answer is."""
    own = verified(problem, completion, extracted, result)
    if own is not None:
        return own
    never_run = result is None and extracted is not None and extracted.language is not None
    stated = "" if never_run else completion if result is None else result
    return check(stated, problem.answer, problem.options)
