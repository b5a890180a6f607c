"""Perception-R1: R = a format + b correct + c seen + repetition; seen is the share of a picture's annotated facts that
a judge finds in the text, repetition minus the share of 20-word runs that repeat. arXiv 2506.07218, section 4."""

from collections import Counter

from nsrl.rewards import posted

URL = "http://127.0.0.1:8000/judge"


async def seen(batch):
    """The share of the facts; None where a row has none."""
    facts = [problem.columns.get("annotations") or [] for problem in batch.problems]
    asked = [{"text": text, "fact": fact} for text, own in zip(batch.completions, facts) for fact in own]
    said = iter(await posted(URL, asked))
    return [sum(bool(next(said)["holds"]) for _ in own) / len(own) if own else None for own in facts]


def repeats(batch, n=20):
    """Minus the share of runs of n words that are there before."""
    runs = [Counter(tuple(w[i : i + n]) for i in range(len(w) - n + 1)) for w in map(str.split, batch.completions)]
    return [-(run.total() - len(run)) / max(1, run.total()) for run in runs]
