"""The keys of which problems a step of GRPO takes, and of which of their groups it learns from (docs/draw.md)."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from nsrl.data.sources import FILE, is_file, is_made, made_of
from nsrl.errors import UserError, did_you_mean
from nsrl.userfiles import load
from nsrl_kernels.options import Bound, OneOf

if TYPE_CHECKING:
    from nsrl.config.schema import DataConfig

PLAIN = "plain"
KEYS_OF = {  # what acts beside `kind` and `gate`
    PLAIN: (),
    "mixture": ("by", "weights"),
    "tiers": ("by", "weights", "tiers", "column", "pass_at", "decay"),
    "variance": ("by", "column", "pass_at", "decay", "least"),
    "promote": ("by", "order", "threshold", "window", "pass_at"),
    "rlcs": ("by", "weights", "tiers", "column", "pass_at", "decay", "most"),
}
MEASURING = ("tiers", "variance", "rlcs")  # what goes by pass rates
OF_A_FILE = ("by", "order", "arguments")
METHODS = ("wanted", "take", "keep", "report", "state_dict", "load_state_dict")
SHARE = Bound(least=0, most=1)
_RANGE = re.compile(r"\s*(-?[\d.]+(?:e[-+]?\d+)?)\s+to\s+(-?[\d.]+(?:e[-+]?\d+)?|inf)\s*", re.IGNORECASE)


@dataclass
class DrawConfig:
    """Which problems a step of GRPO takes, and which of their groups it learns from."""

    kind: Annotated[str, OneOf(tuple(KEYS_OF), "draw.md", "FILE.py:Class", FILE)] = PLAIN
    """the stream as it comes, or parts of it mixed, chosen by pass rate, one after the other, or oversampled; or a
    class of your own."""

    by: str | None = None
    """what problems are divided by: level, source, category, id, or a column (null: level of problems that are made,
    else category; where pass rates are measured, rows by id and problems that are made by category)."""

    weights: Annotated[dict[str, float], Bound(least=0, most=1e6, why="they are relative to each other")] = field(
        default_factory=dict
    )
    """mixture: the share of each part, {1: 1, 2: 3} ({}: all parts alike); tiers, rlcs: how likely a problem of a tier
    is taken, against the others (not named: as the likeliest)."""

    tiers: dict[str, str] = field(default_factory=dict)
    """tiers, rlcs: pass rates (or numbers of draw.column) by name, `A to B`: {hard: 0 to 0.3, middle: 0.3 to 0.8}; on a
    border the first one has it; what is in none is not taken."""

    column: str | None = None
    """tiers, variance, rlcs: the column that has a problem's pass rate (null: what is measured in this run)."""

    pass_at: Annotated[int, Bound(least=1, most=4096)] = 1
    """tiers, variance, rlcs, promote: k of the pass@k that is measured."""

    decay: Annotated[float, Bound(least=0, below=1)] = 0.5
    """how much of a running mean a new value leaves: of measured pass rates (tiers, variance, rlcs), and of how many
    times as many problems are sampled (rlcs)."""

    least: Annotated[float, Bound(above=0, most=1, why="what is never taken is never measured again")] = 0.05
    """variance: how likely a problem is taken at least, where 4p(1 - p) of its pass rate p is less."""

    order: list[str] = field(default_factory=list)
    """promote: the parts one after the other ([]: levels in order; columns, sources and categories have none)."""

    threshold: Annotated[float, SHARE] = 0.75
    """promote: the next part comes when the pass@k of draw.window problems is above it."""

    window: Annotated[int, Bound(least=1, most=1_000_000)] = 128
    """promote: problems of a check; each is graded before it is learned from."""

    most: Annotated[float, Bound(least=1, most=64)] = 4.0
    """rlcs: problems that are sampled, at most, as a multiple of prompts_per_step."""

    gate: str | None = None
    """a reward component: groups in which it is 0 throughout are not learned from (null: none)."""

    arguments: dict[str, str] = field(default_factory=dict)
    """of FILE.py:Class, as texts: `self.config.arguments`."""

    def __post_init__(self) -> None:
        for name, text in self.tiers.items():
            low, high = range_of(name, text)
            if low > high:
                raise UserError(f"draw.tiers.{name} must be `A to B` with A at most B; got {text!r}")
        if self.kind == "tiers" and not self.tiers:
            raise UserError("draw.tiers must name a tier at least with draw.kind=tiers; got none")
        if self.kind in ("tiers", "rlcs") and self.tiers:
            for name in self.weights:
                if name not in self.tiers:
                    near = did_you_mean(name, self.tiers)
                    raise UserError(f"draw.weights must be of tiers ({', '.join(self.tiers)}); got {name!r}{near}")
            if not any(self.weight(name) for name in self.tiers):
                raise UserError(f"draw.weights must be above 0 for one tier at least; got {self.weights}")
        if self.kind == "mixture" and self.weights and not any(self.weights.values()):
            raise UserError(f"draw.weights must be above 0 for one part at least; got {self.weights}")
        if len(set(self.order)) != len(self.order):
            raise UserError(f"draw.order must name each part once; got {', '.join(self.order)}")

    @property
    def is_on(self) -> bool:
        """Whether a step does anything for it."""
        return self.kind != PLAIN or self.gate is not None

    @property
    def moves(self) -> bool:
        """Whether problems are chosen by how well they go, so that the accuracy of training is no accuracy."""
        return self.measures or self.kind == "promote" or is_file(self.kind)

    @property
    def measures(self) -> bool:
        """Whether problems are passed over by their pass rates."""
        return self.kind in ("tiers", "variance") or (self.kind == "rlcs" and bool(self.tiers))

    @property
    def divides(self) -> bool:
        """Whether it draws from parts that are streams of their own."""
        return self.kind in ("mixture", "promote") or (is_file(self.kind) and self.by is not None)

    def weight(self, tier: str) -> float:
        """How likely a problem of a tier is taken, against the others."""
        return self.weights.get(tier, max(self.weights.values(), default=1.0))

    def by_of(self, made: bool) -> str:
        """`by`, or what it is where nothing is said; made: whether problems are made."""
        if self.kind in MEASURING:
            return self.by or ("category" if made else "id")
        return self.by or ("level" if made else "category")


def range_of(name: str, text: str) -> tuple[float, float]:
    """The bounds of a tier, both of it. Raises `UserError`."""
    found = _RANGE.fullmatch(text)
    try:
        low, high = map(float, found.groups()) if found is not None else (math.nan, math.nan)
    except ValueError:
        low = high = math.nan
    if math.isnan(low):
        raise UserError(f"draw.tiers.{name} must be `A to B`, two numbers (or inf); got {text!r}")
    return low, high


def divided(draw: DrawConfig, data: DataConfig) -> dict[str, DataConfig]:
    """The data of each part of a source that makes its problems, by part: in the order of `order`, `weights` or levels.
    {"": data} where nothing is divided."""
    if not draw.divides or not is_made(data.source):
        return {"": data}
    said = [*(draw.order if draw.kind != "mixture" else draw.weights)]
    if draw.by_of(True) == "source":
        return {name: replace(data, source=name) for name in said or [data.source]}
    levels = said or [str(level) for level in range(1, made_of(data.source).levels + 1)]
    return {name: replace(data, level=int(name)) for name in levels}


def require_drawn(draw: DrawConfig, data: DataConfig, components: Mapping[str, Any]) -> None:
    """Raises `UserError` where parts are none of this data, and for a gate that is no component."""
    if draw.gate is not None and draw.gate not in components:
        near = did_you_mean(draw.gate, components)
        raise UserError(f"draw.gate must be a reward component ({', '.join(components)}); got {draw.gate!r}{near}")
    if is_file(draw.kind):
        _, kind = load(draw.kind, "draw.kind")
        missing = [name for name in METHODS if not callable(getattr(kind, name, None))]
        if not inspect.isclass(kind) or missing:
            what = f"without {', '.join(missing)}" if missing else repr(kind)
            raise UserError(f"draw.kind: {draw.kind!r} must be a class of nsrl.trainer.draw.Draw; got one {what}")
    if not is_made(data.source):
        if draw.kind == "promote" and not draw.order:
            raise UserError("draw.order must name the parts one after the other where problems are rows; got none")
        return
    by, said = draw.by_of(True), [*(draw.order if draw.kind != "mixture" else draw.weights)]
    if draw.column is not None and (known := made_of(data.source).columns) is not None and draw.column not in known:
        raise UserError(f"draw.column must be a column of {data.source} ({', '.join(sorted(known))}); got "
                        f"{draw.column!r}")  # fmt: skip
    if not draw.divides:
        if draw.measures and draw.column is None and by == "id":
            raise UserError("draw.by must not be id where problems are made, for none comes again; got id")
        return
    if by == "source":
        for name in said:
            if not is_made(name):
                raise UserError(f"draw.by=source mixes sources that make their problems; got {name!r}")
            if data.level > (most := made_of(name).levels):
                raise UserError(f"data.level must be at most {most}, for {name}, with draw.by=source; got {data.level}")
        if not said:
            raise UserError("draw.weights (promote: draw.order) must name the sources with draw.by=source; got none")
    elif by == "level":
        most = made_of(data.source).levels
        for name in said:
            if not re.fullmatch(r"[1-9]", name) or int(name) > most:
                raise UserError(f"draw.by=level: parts must be levels of {data.source}, 1 to {most}; got {name!r}")
    else:
        raise UserError(f"draw.by must be level or source where problems are made and drawn by parts; got {by!r}")
