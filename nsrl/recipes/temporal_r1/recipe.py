"""Temporal-R1: R = tIoU of the stretch said last with the gold's, and format; shared seconds / seconds of both."""

import re

from nsrl.rewards import Verdict, boxes, gold_of

_STRETCH = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*s?(?:econds)?\s*(?:to|and|-|,)\s*(\d{1,6}(?:\.\d{1,3})?)")


def stretch(problem, text, extracted, result):
    """Right is an overlap of 1/2 or more."""
    gold, said = gold_of(problem), _STRETCH.findall(text[-6000:])
    if not isinstance(gold, list) or len(gold) != 2:
        return Verdict(None, "no_gold_stretch")
    begin, end = map(float, said[-1]) if said else (0.0, 0.0)
    score = boxes.interval_iou((begin, end), tuple(map(float, gold))) if end > begin else 0.0
    return Verdict(score >= 0.5, "overlap", score)
