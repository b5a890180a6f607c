"""Step-GRPO: after a turn the site is built and graded; its tokens have A = (r - mean) / (std + 1e-6), r its grade,
over all turns of a problem's completions; a turn without has the last one's. arXiv 2509.22644 and its core_algos.py."""

from statistics import mean, stdev

from nsrl.data.turns import Observation
from nsrl.rewards import post

URL = "http://127.0.0.1:8000/site"  # builds what turns wrote: {said} ends in `grade N`, for looks and for function
marks = lambda turn: [int(grade) for grade in turn.seen.rpartition("grade ")[2:] if grade.isdecimal()]
graded = lambda batch: [mean([mark for turn in turns for mark in marks(turn)] or [0.0]) for turns in batch.turns]


def observe(problem, extracted, result, history):
    """What is said of the site, and its grade; None behind a turn that changes no file."""
    site = {"id": problem.id, "turns": [turn.text for turn in history]}
    return Observation(post(URL, site)["said"]) if "<boltAction" in history[-1].text else None


def by_turn(step):
    """An advantage for each turn, 0 where nothing was graded so far."""
    for group in step.batch.groups():
        seen = [mark for i in group for turn in step.batch.turns[i] for mark in marks(turn)]
        for i in group:
            value = 0.0
            for tokens, turn in zip(step.turns(i), step.batch.turns[i]):
                value = next(((m - mean(seen)) / (stdev(seen) + 1e-6 if seen[1:] else 1) for m in marks(turn)), value)
                step.advantage_N[tokens] = value
