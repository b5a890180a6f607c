"""VLM-R1: IoU of the first box for grounding; mAP@50 * min(1, n_gold / n_said) for detection (odLength), mean over the
gold's labels, every box equally sure. arXiv 2504.07615, section 3.3, and grpo_jsonl.py of its code."""

import re

from nsrl.rewards import Verdict, boxes, gold_of

_ITEM = re.compile(r"\{[^{}]{1,400}\}")
_LABEL = re.compile(r"['\"]label['\"]\s*:\s*['\"]([^'\"]{1,100})['\"]")


def rec(problem, text, extracted, result):
    """The overlap of the first box said with the first of the gold."""
    gold, said = boxes.read(gold_of(problem)), boxes.read(text)
    score = boxes.iou(said[0], gold[0]) if said and gold else 0.0
    return Verdict(score >= 0.5 if gold else None, "overlap", score)


def labelled(text):
    """(label, box) of each mapping in a text that has one of each."""
    found = [(_LABEL.search(item), boxes.read(item)) for item in _ITEM.findall(text[-20_000:])[: boxes.MOST]]
    return [(label[1], own[0]) for label, own in found if label and own]


def ovd(problem, text, extracted, result):
    """Mean average precision at an overlap of 1/2, less for more boxes than there are."""
    gold, said = labelled(str(gold_of(problem))), labelled(text)
    if not gold:
        return Verdict(None, "no_gold_boxes")
    of = lambda pairs, name: [box for label, box in pairs if label == name]
    names = dict.fromkeys(name for name, _ in gold)
    each = [boxes.average_precision(of(said, n), [1.0] * len(of(said, n)), of(gold, n), 0.5) for n in names]
    score = sum(each) / len(each) * min(1.0, len(gold) / max(1, len(said)))
    return Verdict(score >= 0.5, "precision", score)
