"""Length rewards: among right answers the shorter ones are worth more. Lengths are the tokens that the policy
wrote: program, prose and answer, without what it was shown.

Sources: LASER (arXiv 2505.15612) and its official code, the cosine reward of arXiv 2502.03373 as in open-rs, Kimi k1.5
(arXiv 2501.12599, section 2.3.3).
"""

from __future__ import annotations

import math

from nsrl.rewards.batch import RewardBatch

LASER_TARGET = 64  # tokens
COSINE_MAX = 512  # tokens at which the cosine ends
LASER_D_WINDOW = 512  # right completions remembered per difficulty bin


def _of_correct(batch: RewardBatch, values: list[float]) -> list[float | None]:
    return [None if c is None else v if c else 0.0 for c, v in zip(batch.correct, values)]


def short(batch: RewardBatch) -> list[float | None]:
    """What a right answer saves, as a share of the longest right answer of its group: 0 for that one and for wrong
    ones.

    A share, and not a rank between the shortest and the longest: one token of sixteen would count as much as half of
    them, and at a weight of 0.3 a policy gains by saving it even where that is wrong one time in five.
    """
    values = [0.0] * len(batch)
    lengths = batch.lengths
    for rows in batch.groups():
        right = [i for i in rows if batch.correct[i]]
        longest = max((lengths[i] for i in right), default=0)
        for i in right:
            values[i] = (longest - lengths[i]) / max(1, longest)
    return _of_correct(batch, values)


def laser(batch: RewardBatch, target: int = LASER_TARGET, bonus: float = 0.5) -> list[float | None]:
    """LASER's step: `bonus` for a right answer of at most `target` tokens, else 0 (add it to `correct`)."""
    return _of_correct(batch, [bonus * (n <= target) for n in batch.lengths])


def laser_d(batch: RewardBatch, window: int = LASER_D_WINDOW, bonus: float = 0.5) -> list[float | None]:
    """LASER-D: the step with one target per difficulty (group accuracy above 2/3, above 1/3, below).

    A bin's target is the median length of the right completions it has seen lately (`window` of them; the paper
    estimates it on a monitor set). The window is state: it is saved and resumed.
    """
    windows: dict[str, list[int]] = batch.state.setdefault("windows", {"easy": [], "medium": [], "hard": []})
    values = [0.0] * len(batch)
    lengths = batch.lengths
    for rows in batch.groups():
        right = [i for i in rows if batch.correct[i]]
        own = [i for i in rows if not batch.given[i]]  # what nobody sampled says nothing of how hard it is
        sampled = [i for i in right if not batch.given[i]]
        if not sampled:
            continue
        accuracy = len(sampled) / len(own)
        seen = windows["easy" if accuracy > 2 / 3 else "medium" if accuracy > 1 / 3 else "hard"]
        seen.extend(lengths[i] for i in sampled)
        del seen[:-window]
        target = sorted(seen)[(len(seen) - 1) // 2]
        for i in right:
            values[i] = bonus * (lengths[i] <= target)
    return _of_correct(batch, values)


def cosine(batch: RewardBatch, longest: int = COSINE_MAX, least: float = 0.1) -> list[float | None]:
    """1 to `least` with growing length when right, -1 to -`least` when wrong, along half a cosine over `longest`
    tokens.

    It replaces `correct`: wrong answers lose less the longer they think.
    """
    out: list[float | None] = []
    for is_right, n in zip(batch.correct, batch.lengths):
        if is_right is None:
            out.append(None)
            continue
        wave = (1 + math.cos(math.pi * min(n, longest) / longest)) / 2
        out.append((least + (1 - least) * wave) * (1 if is_right else -1))
    return out


def kimi(batch: RewardBatch) -> list[float | None]:
    """Kimi k1.5: 0.4 (0.5 - (L - min) / (max - min)) over the group's lengths when right, at most 0 when wrong."""
    out: list[float | None] = [None] * len(batch)
    lengths = batch.lengths
    for rows in batch.groups():
        low, high = min(lengths[i] for i in rows), max(lengths[i] for i in rows)
        for i in rows:
            if batch.correct[i] is None:
                continue
            share = 0.0 if high == low else 0.4 * (0.5 - (lengths[i] - low) / (high - low))
            out[i] = share if batch.correct[i] else min(0.0, share)
    return out


REWARDS = {
    "short": short,
    "laser": laser,
    "laser_d": laser_d,
    "cosine": cosine,
    "kimi": kimi,
}
