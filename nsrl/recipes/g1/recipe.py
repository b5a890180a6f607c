"""G1: 1 for the very value, 0 else; of a set |said & gold| / |said | gold|. arXiv 2505.18499, section 3.2. What its
programs check there (a shortest path) is one value here."""

import re

from nsrl.rewards import Verdict, gold_of

_MEMBER = re.compile(r"\w{1,30}")


def jaccard(problem, text, extracted, result):
    """Of the members of the answer; right is the very set."""
    gold, answer = gold_of(problem), result.text if result is not None else extracted.answer
    if not isinstance(gold, list):
        return Verdict(None, "no_gold_set")
    said, wanted = set(_MEMBER.findall((answer or "")[-1000:])), {str(one) for one in gold}
    score = len(said & wanted) / len(said | wanted) if said | wanted else 1.0
    return Verdict(said == wanted, "set", score)
