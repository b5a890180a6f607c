"""VLM-R1: IoU of the first box for grounding; mAP@50 * min(1, n_gold / n_said) for detection (odLength), mean over the
gold's labels, every box equally sure. arXiv 2504.07615, section 3.3, and grpo_jsonl.py of its code."""

import re

from nsrl.rewards import Verdict, boxes, gold_of

_ITEM = re.compile(r"\{[^{}]{1,400}\}")
_LABEL = re.compile(r"['\"]label['\"]\s*:\s*['\"]([^'\"]{1,100})['\"]")


def rec(problem, text, extracted, result):
    """The overlap of the first box said with the first of the gold."""
    score = boxes.first(text, gold_of(problem))
    return Verdict(None if score is None else score >= 0.5, "overlap", score or 0.0)


def ovd(problem, text, extracted, result):
    """Mean average precision at an overlap of 1/2, less for more boxes than there are."""
    texts = [t[-20_000:] for t in (str(gold_of(problem)), text)]
    found = [[(_LABEL.search(i), boxes.read(i)) for i in _ITEM.findall(t)[: boxes.MOST]] for t in texts]
    gold, said = [[(label[1], own[0]) for label, own in each if label and own] for each in found]
    of = lambda pairs, name: [box for label, box in pairs if label == name]
    names = dict.fromkeys(name for name, _ in gold)
    each = [boxes.average_precision(of(said, n), [1.0] * len(of(said, n)), of(gold, n), 0.5) for n in names]
    score = sum(each) / max(1, len(each)) * min(1.0, len(gold) / max(1, len(said)))
    return Verdict(score >= 0.5 if gold else None, "precision", score if gold else None)
