"""VLAA-Thinker's mixed reward: exact answers 0 or 1, boxes their IoU, open answers 1 - exp(-beta (f(said) - f(gold)))
where a reward model f likes them better than the gold, else 0 (beta 0.7); and format. arXiv 2504.11468, section 4.1."""

import asyncio
import json
import math
import urllib.request

from nsrl.rewards import Verdict, boxes, gold_of

URL, BETA = "http://127.0.0.1:8000/score", 0.7


def iou(problem, text, extracted, result):
    """The overlap of the first box said with the gold's."""
    gold, said = boxes.read(gold_of(problem)), boxes.read(text)
    score = boxes.iou(said[0], gold[0]) if said and gold else 0.0
    return Verdict(score >= 0.5 if gold else None, "overlap", score)


def liked(question, answer):
    """What the reward model gives an answer."""
    body = json.dumps({"question": question, "answer": answer}).encode()
    with urllib.request.urlopen(urllib.request.Request(URL, body), timeout=120) as reply:
        return float(json.load(reply)["score"])


async def better(problem, text, extracted, result):
    """How much better than the gold the reward model likes a text."""
    own, gold = [await asyncio.to_thread(liked, problem.question, t) for t in (text, str(gold_of(problem)))]
    return Verdict(own > gold, "liked", max(0.0, 1 - math.exp(-BETA * (own - gold))))


def mixed(batch):
    """The verifier's score where it gives one, else right or wrong."""
    return [s if s is not None else None if c is None else float(c) for s, c in zip(batch.scores, batch.correct)]
