"""RPR: min(1, phrases found / 20), less the share of 20-word runs that repeat, at least 0 (arXiv 2505.22653, section 3,
and think_reward of its code); beside a verdict of which 40% are turned round."""

from collections import Counter

PHRASES = (
    "i need to", "we need to", "wait", "alternatively", "let me check", "let me see", "let's focus on", "we know that",
    "we can see", "let me try", "let us try", "first,", "next,", "finally,", "not correct", "doesn't work", "since we",
    "as a result", "therefore", "so that",
)  # fmt: skip


def repeated(text, n=20):
    """The share of runs of n words that are there more than once."""
    words = text.split()
    runs = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return sum(count > 1 for count in runs.values()) / max(1, runs.total())


def patterns(batch, full=20):
    """What a text earns by its phrases alone, right or wrong."""
    texts = [text.lower() for text in batch.completions]
    return [max(0.0, min(1.0, sum(p in t for p in PHRASES) / full) - repeated(t)) for t in texts]
