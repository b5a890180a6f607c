"""Curr-ReFT: yes or no 1 or 0; letters 1 for the set, 0.2 for a part of it, 0 with a wrong one; a box 1 above IoU 1/2;
classes |said & gold| / |said | gold|. arXiv 2503.07065, section 3.2."""

from nsrl.rewards import Verdict, boxes, gold_of


def _sets(problem, extracted):
    texts = (str(gold_of(problem) or ""), extracted.answer or "")
    return [{one.strip().lower() for one in text[:1000].split(",") if one.strip()} for text in texts]


def choices(problem, text, extracted, result):
    """Letters with commas between them."""
    gold, said = _sets(problem, extracted)
    return Verdict(said == gold if gold else None, "letters", 1.0 if said == gold else 0.2 * (set() < said < gold))


def classes(problem, text, extracted, result):
    """Names with commas between them."""
    gold, said = _sets(problem, extracted)
    return Verdict(said == gold if gold else None, "classes", len(said & gold) / max(1, len(said | gold)))


def found(problem, text, extracted, result):
    """The first box."""
    gold, said = boxes.read(gold_of(problem)), boxes.read(text)
    right = bool(gold and said) and boxes.iou(said[0], gold[0]) > 0.5
    return Verdict(right if gold else None, "overlap", float(right))
