"""ViRL: c is 1 for a turn's box with an IoU of 1/2 with a part of the rationale that no earlier box had, -1/2 for one
with a part that was had, -1 for others; c is paid, and A += (c - mean c of the group) / 2. arXiv 2511.23031."""

from nsrl.rewards import boxes


def credits(problem, turns):
    """Of each turn; None for one that was shown no picture."""
    gold, had, out = boxes.read(problem.columns.get("rationale") or []), set(), []
    for turn in turns:
        shown, said = turn.shown is not None and turn.shown.images, boxes.read(turn.extracted.prose)
        near = {k for k, part in enumerate(gold) if shown and said and boxes.iou(said[-1], part) >= 0.5}
        out.append(None if not shown else -1.0 if not near else -0.5 if near <= had else 1.0)
        had |= near
    return out


grounded = lambda batch: [sum(c or 0.0 for c in credits(*one)) for one in zip(batch.problems, batch.turns)]


def by_turn(step):
    """Add to each turn what its look was above those of its group."""
    for group in step.batch.groups():
        each = {i: credits(step.batch.problems[i], step.batch.turns[i]) for i in group}
        known = [credit for own in each.values() for credit in own if credit is not None]
        for i, own in each.items():
            for tokens, credit in zip(step.turns(i), own):
                step.advantage_N[tokens] += 0.0 if credit is None else 0.5 * (credit - sum(known) / len(known))
