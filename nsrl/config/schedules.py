"""Numbers that change over the steps of a stage: `constant 0.1`, `linear 1 0`, `cosine 0.04 0`, `0 until 40 then 0.3`.

With t the share of the stage's steps that are done before a step (0 in the first), linear is A + (B - A) t and cosine
B + (A - B) (1 + cos pi t) / 2. What must stay constant (shapes, counts, seeds, data) has no schedule.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

from nsrl.config.keys import keys
from nsrl.config.values import check_value
from nsrl.errors import UserError, did_you_mean

SCHEDULED = (
    "learning_rate", "beta", "entropy_coef", "epsilon", "epsilon_high", "temperature", "reward_noise",
    "objective.dual_clip", "objective.kl_log_clamp", "objective.kl_clamp", "objective.importance_cap",
    "objective.nll_coef", "objective.drift_coef", "objective.top_entropy", "objective.clip_cov", "objective.kl_cov",
)  # fmt: skip
REWARD = "reward_weights."  # and the name of a reward
_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
_CURVE = re.compile(rf"(linear|cosine)\s+{_NUMBER}\s+{_NUMBER}", re.IGNORECASE)
_FLAT = re.compile(rf"(?:constant\s+)?{_NUMBER}", re.IGNORECASE)
_PIECES = re.compile(rf"{_NUMBER}((?:\s+until\s+\d+\s+then\s+{_NUMBER})+)", re.IGNORECASE)
_PIECE = re.compile(rf"until\s+(\d+)\s+then\s+{_NUMBER}", re.IGNORECASE)


@dataclass(frozen=True)
class Schedule:
    """shape: linear, cosine or steps; values: from and to, or one more than ends; ends: of steps: how many have each
    value, counted from the first."""

    shape: str
    values: tuple[float, ...]
    ends: tuple[int, ...] = ()

    def at(self, done: int, total: int) -> float:
        """The value of a step behind `done` others, of `total`."""
        if self.shape == "steps":
            return self.values[sum(done >= end for end in self.ends)]
        share, (first, last) = min(1.0, done / max(1, total)), self.values
        if self.shape == "linear":
            return first + (last - first) * share
        return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def parse_schedule(text: str, name: str) -> Schedule:
    """The schedule that a text says. Raises `UserError` that begins with the key's name."""
    said = text.strip()
    if found := _CURVE.fullmatch(said):
        return Schedule(found[1].lower(), (float(found[2]), float(found[3])))
    if found := _FLAT.fullmatch(said):
        return Schedule("steps", (float(found[1]),))
    if found := _PIECES.fullmatch(said):
        pieces = _PIECE.findall(found[2])
        ends = tuple(int(end) for end, _ in pieces)
        if list(ends) == sorted(set(ends)):
            return Schedule("steps", (float(found[1]), *(float(value) for _, value in pieces)), ends)
    raise UserError(f"{name} must be `constant A`, `linear A B`, `cosine A B` or `A until STEP then B`; got {text!r}")


def schedules_of(config: Any) -> dict[str, Schedule]:
    """The schedules of a configuration by key. Raises `UserError` for a key that has none, and for a value that the key
    does not take."""
    known, found = keys(type(config)), {}
    rewards = _weights(config)
    for name, text in config.schedules.items():
        if name not in SCHEDULED and name not in rewards:
            choices = [*SCHEDULED, *rewards]
            raise UserError(f"schedules must be of {', '.join(choices)}; got {name!r}" + did_you_mean(name, choices))
        found[name] = schedule = parse_schedule(text, f"schedules.{name}")
        for value in schedule.values:
            if name == "learning_rate" and value == 0 and any(schedule.values):
                continue  # it may end at 0
            if name in rewards:
                check_value(dataclasses.replace(known["reward_weights"], type=float, name=f"schedules.{name}"), value)
            else:
                check_value(dataclasses.replace(known[name], name=f"schedules.{name}"), value)
    return found


def scheduled(config: Any, done: int, total: int) -> tuple[Any, dict[str, float]]:
    """(the configuration of a step behind `done` others of `total`, the values that its schedules have there)."""
    values = {name: schedule.at(done, total) for name, schedule in schedules_of(config).items()}
    return with_values(config, values), values


def with_values(config: Any, values: dict[str, float]) -> Any:
    """The configuration with these values of scheduled keys."""
    if not values:
        return config
    places = _weights(config)
    weights = [values.get(name, weight) for name, weight in zip(places, config.paid.named().values())]
    made = dataclasses.replace(config, schedules={})
    for name, value in values.items():
        if "." in name and name not in places:  # of a group: objective.nll_coef
            group, field = keys(type(config))[name].path
            setattr(made, group, dataclasses.replace(getattr(made, group), **{field: value}))
        elif name not in places:
            setattr(made, name, value)
    if config.rewards:
        made.rewards = [entry | {"weight": weight} for entry, weight in zip(config.rewards, weights)]
    else:
        made.reward_weights = weights
    return made


def _weights(config: Any) -> list[str]:
    """What the schedules of the rewards' weights are called."""
    form = "rewards.{}.weight" if config.rewards else f"{REWARD}{{}}"
    return [form.format(name) for name in config.paid.named()]


def widest(config: Any) -> Any:
    """The configuration with the largest value of each schedule: what memory is asked for, and whether there is a KL
    term at all."""
    return with_values(config, {name: max(schedule.values) for name, schedule in schedules_of(config).items()})
