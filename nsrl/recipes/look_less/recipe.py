"""Look Less, Reason More: whether an operation is needed is read off members that must, and may not, use it.

needed = mean correct(forced) > mean correct(without); a free completion is paid 1 where it is right and uses the
operation if and only if it is needed, else 0. Forced members are paid for being right alone.
Source: arXiv 2510.01681 (two kinds of rollouts in one group; the label guides the adaptive ones).
"""


def decided(batch):
    """1 for a right free completion that decided as the others of its group showed; None for those."""
    out: list[float | None] = [None] * len(batch)
    for rows in batch.groups():
        share = {}
        for name in ("forced", "without"):
            right = [bool(batch.correct[i]) for i in rows if batch.members[i] == name]
            share[name] = sum(right) / max(1, len(right))
        needed = share["forced"] > share["without"]
        for i in rows:
            if batch.members[i] == "free":
                used = batch.extracted[i].language is not None
                out[i] = float(bool(batch.correct[i]) and used == needed)
    return out
