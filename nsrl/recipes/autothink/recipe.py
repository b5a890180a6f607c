"""AutoThink: right 1 and wrong 0 with thoughts, 2 and -1 without; then, with z the length's z-score among the right
(wrong) ones of a group, + exp(-a z) - 1 (+ 1 - exp(-a z)); then of whichever way is over a share g of the batch, by
d = min(1, 2 (share - g)), towards one less than the first of these. arXiv 2505.10832, section 3, and its code."""

import math
import statistics


def thinking(batch, balance=1.0, alpha=0.0):
    """The reward of a stage: g = 1/2 and a = 0, then g = 1, then a = 0.05."""
    parts = [text.partition("...")[2].partition("</think>") for text in batch.completions]
    ways = [(bool(thought.strip()), bool(end and right)) for (thought, end, _), right in zip(parts, batch.correct)]
    base = [float(right) if thought else 3.0 * right - 1 for thought, right in ways]
    paid = [worth if end else 0.0 for worth, (_, end, _) in zip(base, parts)]  # cut off: nothing
    for group in batch.groups():
        for sign in (1, -1):
            rows = [i for i in group if ways[i][1] == (sign > 0)]
            lengths = [batch.lengths[i] for i in rows]
            for i in rows if len(rows) > 1 else []:
                z = (batch.lengths[i] - statistics.mean(lengths)) / max(statistics.stdev(lengths), 1e-6)
                paid[i] += sign * (math.exp(-alpha * z) - 1)
    for kind in (True, False):
        d = min(1.0, max(0.0, 2 * (sum(way[0] == kind for way in ways) / len(ways) - balance)))
        paid = [(1 - d) * p + d * (b - 1) if way[0] == kind else p for p, b, way in zip(paid, base, ways)]
    return [None if right is None else p for p, right in zip(paid, batch.correct)]
