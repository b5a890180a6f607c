"""STAR-R1: +5 for a triplet (index, attribute, value) that is right, 1.5 for index and attribute, 0.5 for the index, -1
for a wrong one, and -(n_gold - n_said) where fewer are said than there are. arXiv 2505.15804, section 3.2."""

import re

from nsrl.rewards import Verdict, gold_of

_TRIPLET = re.compile(r"(\d{1,4})\s*[,.]\s*['\"]?([A-Za-z]\w{0,30})['\"]?\s*[,.]\s*['\"]?(\w{1,30})['\"]?")
_WORTH = (-1.0, 0.5, 1.5, 5.0)  # by how much of it is in the gold, from the left


def score_of(said, gold):
    """The score of triplets, all of texts."""
    total, seen = 0.0, set()
    for one in said:
        known = max(next((n for n in (3, 2, 1) if one[:n] == other[:n]), 0) for other in gold)
        total += _WORTH[0 if one in seen else known]
        seen.add(one)
    return total - max(0, len(gold) - len(said))


def changes(problem, text, extracted, result):
    """Right is the very set of changes."""
    gold = [tuple(str(part).lower() for part in one) for one in gold_of(problem) or []]
    said = [tuple(part.lower() for part in one) for one in _TRIPLET.findall(text[-6000:])]
    if not gold:
        return Verdict(None, "no_gold_changes")
    return Verdict(set(said) == set(gold) and len(said) == len(gold), "changes", score_of(said, gold))
