"""LASER-D: R = C + 0.5 C [L <= L_d], targets L_d by difficulty from a monitor that is answered again every 20 steps.

A problem is easy with 6 or more of 8 right, middling with 3 to 5, hard with 1 or 2 (none: no bin). L_d is the smallest
length of a right answer with P(L <= L_d) |C_d| >= 1, P over the right answers of the bin, |C_d| its bound 6, 3 or 1
(expected correct responses). Source: arXiv 2505.15612, section 4."""

EVERY, K, BOUNDS = 20, 8, (6, 3, 1)


def bin_of(right, count):
    """Which of the bounds a share of right answers reaches; None for none."""
    return next((str(bound) for bound in BOUNDS if right * K >= bound * count), None)


def laser(batch, ask):
    """The step, by the targets of the last monitoring."""
    state, groups = batch.state, list(batch.groups())
    if batch.step >= state.get("next", 0):
        lengths = {}
        for answers in ask([batch.problems[rows.start] for rows in groups], n=K, temperature=1.0):
            right = [a.tokens for a in answers if a.correct]
            lengths.setdefault(bin_of(len(right), K), []).extend(right)
        state["next"] = batch.step + EVERY
        lengths.pop(None, None)
        enough = lambda own, key: (n for n in sorted(own) if sum(m <= n for m in own) * int(key) >= len(own))
        state["targets"] = {key: next(enough(own, key)) for key, own in lengths.items()}
    out = []
    for rows in groups:
        key = bin_of(sum(bool(batch.correct[i]) for i in rows), len(rows))
        out += [0.5 * (batch.lengths[i] <= state["targets"].get(key, 0)) for i in rows]
    return out
