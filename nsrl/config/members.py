"""The key of groups whose completions are not alike: `members` (docs/members.md).

An entry is a mapping with keys of its own (`MemberConfig`), as an entry of `contexts` is. What entries must be to each
other and to the rest of a run stands here too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from nsrl.config.contexts import PROMPT, prompt_of, values_of_keys
from nsrl.config.schedules import Schedule, parse_schedule
from nsrl.config.values import as_text
from nsrl.errors import UserError, did_you_mean
from nsrl_kernels.options import Bound

PLAIN = "plain"
GOLD, ANSWER = "gold", "answer"  # where a text comes from that is no column: the source, the problem's own answer
LANGUAGES = ("direct", "prose", "sympy", "wolfram", "nsl")  # that a source demonstrates in
SAMPLED = ("n", "images", "sigma", "patches", "share", PROMPT, "hint", "score_as")  # not of given members
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_FUNCTION = re.compile(r".+\.py:\w+")


@dataclass(frozen=True)
class MemberConfig:
    """Some completions of every group, and how they come about: what is not said is as in a group of equals."""

    n: Annotated[int | None, Bound(least=1, most=4096)] = None
    """completions that are sampled so (one entry may leave it out: all that num_generations leaves)."""

    name: str | None = None
    """in metrics and for rewards (`batch.members`) (null: plain, noise, black, prompt, hint or given)."""

    images: Literal["keep", "black", "noise"] = "keep"
    """black paints patches black, noise adds Gaussian noise to them, in sampling and in the update."""

    sigma: Annotated[float, Bound(above=0, most=100)] = 0.4
    """standard deviation of the noise, where pixels are as the image processor normalised them."""

    patches: Annotated[float, Bound(above=0, most=1)] = 1.0
    """share of the patches that are painted or noisy; which, is drawn by (seed, step, picture, patch)."""

    share: str = "1"
    """share of these n that are so in a step, rounded; the others are put plainly, and called as the plain entry is. A
    number, or a schedule: linear 1 0."""

    prompt: str | dict[str, Any] | None = None
    """another prompt: keys of `prompt` (what is not said is as the run's), or FILE.py:function, from a problem to the
    problem that is put, the same one or another, with an answer of its own."""

    hint: str | None = None
    """a column whose text stands behind the question, or `answer`, or `gold` (a demonstration of the source); a problem
    without it is put plainly."""

    score_as: Literal["own", "plain"] = "own"
    """plain: sampled so, but learned behind the plain prompt, whose log-probs are then the old ones."""

    given: str | None = None
    """one completion that nobody sampled, in place of n: `gold` (a demonstration of the source), a column's text, or
    FILE.py:function, from a problem to a text, several, or None."""

    language: str | None = None
    """of gold (null: that of prompt.mode, nsl where that is any)."""

    advantage: str | None = None
    """a number or a schedule: these completions have this advantage and are not compared with their group (null: they
    are)."""

    @property
    def differs(self) -> bool:
        """Whether it is put otherwise than plainly."""
        return self.images != "keep" or self.prompt is not None or self.hint is not None

    @property
    def called(self) -> str:
        """Its name, said or not."""
        kind = "hint" if self.hint else "prompt" if self.prompt is not None else PLAIN
        return self.name or ("given" if self.given else self.images if self.images != "keep" else kind)


@dataclass
class MembersConfig:
    """What a group is made of."""

    members: list[dict[str, Any]] = field(default_factory=list)
    """groups whose completions are not alike, a list of {n, images, prompt, hint, score_as, share, given, advantage}:
    [{n: 5}, {n: 5, images: noise, share: linear 1 0}, {given: gold}] (members.md; none: all are alike)."""

    no_keys: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        self.members = [_entry(f"members.{number}", entry) for number, entry in enumerate(self.members, 1)]


def entries_of(members: Sequence[Mapping[str, Any]], generations: int) -> list[MemberConfig]:
    """The entries with every value in its place, the open n too. generations: completions that a group samples."""
    entries = [MemberConfig(**entry) for entry in members]
    left = generations - sum(entry.n or 0 for entry in entries)
    return [
        entry if entry.given is not None or entry.n is not None else MemberConfig(**{**vars(entry), "n": left})
        for entry in entries
    ]


def schedule_of(text: str, name: str, most: float) -> Schedule:
    """A share's or an advantage's. Raises `UserError` for a value beyond -most or most; a share's are from 0."""
    schedule = parse_schedule(text, name)
    least = 0.0 if most == 1 else -most
    if any(not least <= value <= most for value in schedule.values):
        raise UserError(f"{name} must lie between {least:,.0f} and {most:,.0f}; got {text!r}")
    return schedule


def require_members(values: Mapping[str, Any]) -> None:
    """The entries fit each other and the run's other keys (`values`, by name). Raises `UserError`."""
    members, generations = [MemberConfig(**entry) for entry in values["members"]], values["num_generations"]
    if not members:
        return
    sampled = [entry for entry in members if entry.given is None]
    open_, said = [entry for entry in sampled if entry.n is None], sum(entry.n or 0 for entry in sampled)
    if not sampled or len(open_) > 1:
        raise UserError(f"members must have an entry that is sampled, and at most one of them without n; got "
                        f"{len(sampled)} and {len(open_)}")  # fmt: skip
    if said + len(open_) > generations or (not open_ and said != generations):
        raise UserError(f"members must have n that add up to num_generations ({generations}), or leave one entry's to "
                        f"what is left; got {' + '.join(str(entry.n) for entry in sampled if entry.n)}")  # fmt: skip
    for number, entry in enumerate(members, 1):
        if any(other.called == entry.called and other.advantage != entry.advantage for other in members):
            raise UserError(f"members.{number}.name must be its own, for another entry called {entry.called} has "
                            f"another advantage; got {entry.name or 'none'}")  # fmt: skip
        if entry.given is None:
            if values["rollout"] == "vllm" and entry.images == "noise":
                raise UserError(f"members.{number}.images must be keep or black with rollout=vllm, which takes pictures"
                                f" of 8 bits; got noise")  # fmt: skip
        elif values["shuffle_rewards"]:
            raise UserError(f"members.{number}.given must not be said with shuffle_rewards, or the control learns from "
                            f"what is right; got {entry.given!r}")  # fmt: skip
        elif values["scale_rewards"] == "passk" and entry.advantage is None:
            raise UserError(f"members.{number}.advantage must be said of a given member with scale_rewards=passk, whose"
                            f" only winner it would be; got null")  # fmt: skip


def _entry(where: str, entry: Any) -> dict[str, Any]:
    """An entry with values of its keys' types. Raises `UserError`."""
    if not isinstance(entry, Mapping):
        raise UserError(f"members must be a list of mappings such as {{n: 5, images: noise}}; got {str(entry)[:60]!r}")
    values = values_of_keys(MemberConfig, where, {key: value for key, value in entry.items() if key != PROMPT})
    if (prompt := prompt_of(f"{where}.{PROMPT}", entry.get(PROMPT))) is not None:
        values[PROMPT] = prompt
    values = {key: value for key, value in values.items() if value is not None}
    made = MemberConfig(**values)
    if made.name is not None and not _NAME.fullmatch(made.name):
        raise UserError(f"{where}.name must be of small letters, digits and underscores, at most 60; got {made.name!r}")
    for key, needed, there in (
        ("sigma", "images: noise", made.images == "noise"),
        ("patches", "images: black or noise", made.images != "keep"),
        ("score_as", "prompt, hint or images", made.differs),
        ("share", "prompt, hint or images", made.differs),
        ("language", "gold", GOLD in (made.given, made.hint)),
    ):
        if key in values and not there:
            raise UserError(f"{where}.{key} is for a member with {needed}; got {key}: {as_text(values[key])}")
    if made.given is not None and (odd := next((key for key in SAMPLED if key in values), None)):
        raise UserError(f"{where}.{odd} is for members that are sampled, and this one is given; got {odd}: "
                        f"{as_text(values[odd])}")  # fmt: skip
    for key in ("given", "hint"):
        said = values.get(key)
        if said is not None and (not said.strip() or (key == "hint" and _FUNCTION.fullmatch(said))):
            raise UserError(f"{where}.{key} must be gold, a column{'' if key == 'hint' else ' or FILE.py:function'}; "
                            f"got {said!r}")  # fmt: skip
    if made.language is not None and made.language not in LANGUAGES:
        raise UserError(f"{where}.language must be one of {', '.join(LANGUAGES)}; got {made.language!r}"
                        + did_you_mean(made.language, LANGUAGES))  # fmt: skip
    if made.score_as == "plain" and isinstance(made.prompt, Mapping) and made.prompt.get("prefill"):
        raise UserError(f"{where}.score_as must be own with a prompt.prefill, which the plain prompt does not have; "
                        f"got plain")  # fmt: skip
    schedule_of(made.share, f"{where}.share", 1)
    if made.advantage is not None:
        schedule_of(made.advantage, f"{where}.advantage", 1e6)
    return values
