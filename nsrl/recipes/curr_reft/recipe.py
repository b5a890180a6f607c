"""Curr-ReFT: yes or no 1 or 0; letters 1 for the set, 0.2 for a part of it, 0 with a wrong one; a box 1 above IoU 1/2;
classes |said & gold| / |said | gold|. arXiv 2503.07065, section 3.2."""

from nsrl.rewards import Verdict, boxes, gold_of


def choices(problem, text, extracted, result, part=lambda said, gold: 0.2 * (set() < said < gold)):
    """Letters with commas between them."""
    texts = (str(gold_of(problem) or ""), extracted.answer or "")
    gold, said = [{one.strip().lower() for one in text[:1000].split(",") if one.strip()} for text in texts]
    return Verdict(said == gold if gold else None, "members", 1.0 if said == gold else part(said, gold))


def classes(problem, text, extracted, result):
    """Names with commas between them."""
    return choices(problem, text, extracted, result, lambda said, gold: len(said & gold) / len(said | gold))


def found(problem, text, extracted, result):
    """The first box."""
    overlap = boxes.first(text, gold_of(problem))
    return Verdict(None if overlap is None else overlap > 0.5, "overlap", float((overlap or 0) > 0.5))
