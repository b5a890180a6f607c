"""The keys of what is right and what is paid: verifiers, rewards, how they are combined. They have no prefix.

An entry of `rewards` is a mapping: keys of its own (`RewardConfig`), and any argument of that reward. A bare name is an
entry too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from nsrl.config.keys import keys
from nsrl.config.values import check_value, value_of
from nsrl.errors import UserError
from nsrl_kernels.options import Bound

SHARE = Bound(least=0, most=1)
WEIGHT = Bound(least=-1e6, most=1e6, why="weights are relative to each other")


@dataclass
class RewardConfig:
    """A reward's own keys; all others of its entry are arguments of it."""

    name: str
    """of nsrl.rewards, or file.py:function."""

    weight: Annotated[float, WEIGHT] = 1.0
    """of the reward in the sum."""

    gate: str | None = None
    """the component that must be above 0 for this one to count (null: it always does)."""


@dataclass
class PaidConfig:
    """What is right, and what a completion is paid."""

    verifiers: dict[str, str] = field(default_factory=dict)
    """who says what is right: answer (the answer check) or file.py:function, by what a row's column `verifier` says,
    else by its source or category, else `default` (rewards.md; none: the answer check)."""

    shuffle_rewards: bool = False
    """control run: rewards are permuted within each group before advantages."""

    reward_noise: Annotated[float, SHARE] = 0.0
    """robustness check: this share of right/wrong verdicts is turned round, 0 to 1."""

    reward_funcs: list[str] = field(default_factory=lambda: ["correct", "executes", "short"])
    """names of nsrl.rewards or file.py:function."""

    reward_weights: Annotated[list[float], WEIGHT] = field(default_factory=lambda: [1.0, 0.1, 0.6])
    """one per reward function."""

    rewards: list[dict[str, Any]] = field(default_factory=list)
    """in place of both, a list of {name, weight, gate, …arguments of that reward}: [{name: correct}, {name: laser,
    target: 128, gate: format}] (rewards.md)."""

    combine: str = "sum"
    """how components become a reward: sum (weighted), gdpo (each is normalised in its group first), by_member (sums
    are, among those of the group that are called alike), or file.py:function."""

    no_keys: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        self.rewards = entries_of(self.rewards)

    def named(self) -> dict[str, float]:
        """The weights by component."""
        specs = [entry["name"] for entry in self.rewards] or self.reward_funcs
        weights = [entry["weight"] for entry in self.rewards] if self.rewards else self.reward_weights
        return {component(spec): weight for spec, weight in zip(specs, weights)}

    def asked(self) -> dict[str, Any]:
        """What `nsrl.rewards.Rewards` is made with."""
        if not self.rewards:
            return {"specs": self.reward_funcs, "weights": self.reward_weights, "combined": self.combine}
        return {
            "specs": [entry["name"] for entry in self.rewards],
            "weights": [entry["weight"] for entry in self.rewards],
            "gates": [entry.get("gate") for entry in self.rewards],
            "arguments": [{k: v for k, v in entry.items() if k not in keys(RewardConfig)} for entry in self.rewards],
            "combined": self.combine,
            "key": "rewards",
        }


def component(spec: str) -> str:
    """What a reward's component is called."""
    return spec.rpartition(":")[2]


def entries_of(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """`rewards` with values of their keys' types, from texts or values. Raises `UserError`."""
    own, done = keys(RewardConfig), []
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, str):
            entry = {"name": entry}
        if not isinstance(entry, Mapping):
            raise UserError(f"rewards must be a list of mappings with name; got {str(entry)[:60]!r}")
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"rewards: name of entry {number} must be given; got {name!r}")
        made: dict[str, Any] = {"name": name, "weight": 1.0}
        for key, value in entry.items():
            if key not in own:
                made[str(key)] = argument_of(value)
                continue
            try:
                made[key] = value_of(own[key], value) if isinstance(value, str) else value
                check_value(own[key], made[key])
            except UserError as error:
                raise UserError(f"rewards.{component(name)}.{error}") from None
        if made.get("gate", "") is None:
            del made["gate"]
        done.append(made)
    return done


def argument_of(said: Any) -> Any:
    """An argument's value: true and false, numbers, null and texts, as YAML reads them; lists and mappings of such."""
    if isinstance(said, Mapping):
        return {str(name): argument_of(value) for name, value in said.items()}
    if isinstance(said, list | tuple):
        return [argument_of(value) for value in said]
    if not isinstance(said, str):
        return said
    words = {"true": True, "false": False, "null": None, "~": None}
    if (word := said.strip().lower()) in words:
        return words[word]
    for kind in (int, float):
        try:
            return kind(said)
        except ValueError:
            continue
    return said
