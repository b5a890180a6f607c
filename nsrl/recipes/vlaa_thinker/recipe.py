"""VLAA-Thinker's mixed reward: exact answers 0 or 1, boxes their IoU, open answers 1 - exp(-beta (f(said) - f(gold)))
where a reward model f likes them better than the gold, else 0 (beta 0.7); and format. arXiv 2504.11468, section 4.1."""

import math

from nsrl.rewards import Verdict, boxes, gold_of, posted

URL, BETA = "http://127.0.0.1:8000/score", 0.7


def iou(problem, text, extracted, result):
    """The overlap of the first box said with the gold's."""
    score = boxes.first(text, gold_of(problem))
    return Verdict(None if score is None else score >= 0.5, "overlap", score or 0.0)


async def better(problem, text, extracted, result):
    """How much better than the gold the reward model behind URL likes a text."""
    asked = [{"question": problem.question, "answer": answer} for answer in (text, str(gold_of(problem)))]
    own, gold = [float(reply["score"]) for reply in await posted(URL, asked)]
    return Verdict(own > gold, "liked", max(0.0, 1 - math.exp(-BETA * (own - gold))))


def mixed(batch):
    """The verifier's score where it gives one, else right or wrong."""
    return [s if s is not None else None if c is None else float(c) for s, c in zip(batch.scores, batch.correct)]
