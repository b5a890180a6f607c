"""Pixel Reasoner: R = right + 0.5 max(H - RaPR, 0) where an operation is used + 0.05 min(N - operations, 0); RaPR is
the share of a problem's completions that use one, H 0.3, N 1. arXiv 2505.15966; verl-tool's pixel_reasoner.py."""


def curious(batch, least=0.3, most=1, alpha=0.5, beta=0.05):
    """What looking closer earns while few do, and costs where it is done more than once."""
    looks = [sum(turn.shown is not None and bool(turn.shown.images) for turn in turns) for turns in batch.turns]
    paid = []
    for rows in batch.groups():
        missing = max(0.0, least - sum(looks[i] > 0 for i in rows) / len(rows))
        paid += [alpha * missing * (looks[i] > 0) + beta * min(0, most - looks[i]) for i in rows]
    return paid
