"""GRiP: R = correct + format + salience-weighted IoU: sum of w IoU / sum of w over the gold boxes, each with the box
that is said for it (0 without one), w its salience. arXiv 2511.22172: mission-critical objects before trivial ones."""

from nsrl.rewards import boxes


def salient(batch):
    """The weighted overlap of the boxes said; None where a row has none."""
    out = []
    for problem, text in zip(batch.problems, batch.completions):
        gold, said = boxes.read(problem.columns.get("boxes") or []), boxes.read(text)
        weights = [float(w) for w in problem.columns.get("salience") or [1.0] * len(gold)]
        found = sum(weights[g] * value for _, g, value in boxes.pairs(said, gold))
        out.append(found / sum(weights) if gold else None)
    return out
