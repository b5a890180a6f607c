"""Hypervolume-guided weights: R = (w . r) (0.5 + 1.5 tanh(HV(points + now) - HV(points))); points are the means of each
reward in the steps that pushed the front, HV the volume they dominate above the first one. arXiv 2509.11452, section
4.1, and hypervolumn_contribution.py of its code. It scales a whole step, so it acts without scale_rewards=group."""

import math


def volume(points, reference):
    """What points dominate above a reference, in as many dimensions as it has: slices of the first one."""
    if len(reference) == 1:
        return max((p[0] - reference[0] for p in points), default=0.0)
    total, below = 0.0, reference[0]
    for edge in sorted({p[0] for p in points if p[0] > below}):
        total += (edge - below) * max(0.0, volume([p[1:] for p in points if p[0] >= edge], reference[1:]))
        below = edge
    return total


def pushed(components, batch):
    """The weighted sum, more where this step's means push the front."""
    columns = [[v for v in column if not math.isnan(v)] for column in zip(*components)]
    now = [sum(column) / max(1, len(column)) for column in columns]
    front = batch.state.setdefault("front", [now])
    gain = max(0.0, volume([*front[1:], now], front[0]) - volume(front[1:], front[0]))
    if gain > 0:
        front.append(now)
    scale = 0.5 + 1.5 * math.tanh(gain)
    rows = [[w * v for w, v in zip(batch.weights, row) if not math.isnan(v)] for row in components]
    return [scale * sum(row) if row else None for row in rows]
