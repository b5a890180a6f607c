"""The monitor follows how many completions of each category are right, and says when one of them falls.

A reward can teach a policy to give up one kind of problem (all groups of it wrong: no spread, no gradient, no way
back) while the mean over all hardly moves.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

WINDOW = 50  # problems of a category that its running accuracy remembers (an exponential mean)
CHANCE = 1e-4  # below it a fall is told: in a run one looks some hundred times
OVER = 0.05  # above it the fall is over: what lies between the two is the same fall


class Monitor:
    """Running accuracy by category, from the training rollouts.

    state: what a former one knew (`state_dict`). A problem counts as one trial, whatever its completions: those of one
    problem are not independent.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self._categories: dict[str, dict[str, Any]] = {name: dict(values) for name, values in (state or {}).items()}

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """A copy of what it knows by category, JSON-able: the problems it remembers, how many of them were right (a
        group counts by its share), the same where it was best, and whether it is known to have fallen."""
        return {name: dict(values) for name, values in self._categories.items()}

    def see(self, step: int, records: Iterable[dict[str, Any]]) -> dict[str, float]:
        """Take in a step's records, a row per completion; returns the running accuracies as metrics."""
        groups: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for row in records:
            if row["correct"] is not None:
                groups[row["category"] or "other", row["problem_id"]].append(row["correct"])
        for (category, _), verdicts in groups.items():
            new = {"seen": 0.0, "right": 0.0, "step": 0, "best_seen": 0.0, "best_right": 0.0, "best_step": 0,
                   "fallen": False}  # fmt: skip
            now = self._categories.setdefault(category, new)
            now["step"] = step
            for name, value in (("seen", 1.0), ("right", sum(verdicts) / len(verdicts))):
                now[name] = now[name] * (1 - 1 / WINDOW) + value
        for now in self._categories.values():  # with less behind it, a best is luck
            if now["seen"] >= WINDOW / 2 and now["right"] * now["best_seen"] >= now["best_right"] * now["seen"]:
                now |= {f"best_{name}": now[name] for name in ("seen", "right", "step")}
        return {f"pass@1/{name}": now["right"] / now["seen"] for name, now in sorted(self._categories.items())}

    def fallen(self) -> list[str]:
        """A line for each category that has come to lie significantly below its own best since this was last asked."""
        told = []
        for name, now in sorted(self._categories.items()):
            rate = (now["best_right"] + 1) / (now["best_seen"] + 2)  # a best of all right is not certainty
            if now["best_seen"]:  # and the best of many looks was lucky: taken for a standard error less
                rate -= math.sqrt(rate * (1 - rate) / (2 * now["best_seen"] - 1))
            chance = at_most(int(now["right"]), round(now["seen"]), rate) if now["best_seen"] else 1.0
            now["fallen"] = now["fallen"] and chance < OVER
            if chance < CHANCE and not now["fallen"]:
                now["fallen"] = True
                share, best = (now[f"{of}right"] / now[f"{of}seen"] for of in ("", "best_"))
                told.append(
                    f"warning: {name} has fallen: {share:.0%} right of its latest problems at step {now['step']}, "
                    f"{best:.0%} at step {now['best_step']} (by chance: {chance:.0e})"
                )
        return told

    def accuracy(self) -> float | None:
        """The running accuracy: its mean over the categories; None before any problem was scored."""
        rates = [now["right"] / now["seen"] for now in self._categories.values()]
        return sum(rates) / len(rates) if rates else None


def at_most(successes: int, trials: int, rate: float) -> float:
    """The probability of so few successes or fewer in `trials`: the lower tail of the binomial distribution."""
    log = math.lgamma
    return sum(
        math.exp(
            log(trials + 1) - log(k + 1) - log(trials - k + 1) + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        )
        for k in range(min(successes, trials) + 1)
    )
