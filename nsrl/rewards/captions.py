"""Rewards of a caption, the span of that name: that there is one, and that the policy answers from it alone.

Sources: Visionary-R1 (arXiv 2505.14677, section 3), Vision-SR1 (arXiv 2508.19652, section 3).
"""

from __future__ import annotations

from dataclasses import replace

from nsrl.data.chat import options_text
from nsrl.rewards.asking import Ask
from nsrl.rewards.batch import RewardBatch
from nsrl.types import MARK, Problem

CAPTION = "caption"  # the span that they look at
ALONE = "Answer from this description alone, for the picture is not shown. Write the answer in \\boxed{}."


def captioned(batch: RewardBatch) -> list[float]:
    """1 where there is a caption, else 0."""
    return [float(batch.span(i, CAPTION) is not None) for i in range(len(batch))]


def from_caption(batch: RewardBatch, ask: Ask) -> list[float]:
    """1 where the policy answers right, greedily, from the caption without the picture; 0 where it does not, and
    without a caption."""
    spans = [batch.span(i, CAPTION) for i in range(len(batch))]
    asked = [told(problem, span.text) for problem, span in zip(batch.problems, spans) if span is not None]
    answers = iter(ask(asked))
    return [float(bool(next(answers)[0].correct)) if span is not None else 0.0 for span in spans]


def told(problem: Problem, caption: str) -> Problem:
    """A problem with a caption in place of its pictures, as a chat of its own: the run's system text may ask for a
    description of what is not there."""
    question = f"{caption}\n{problem.question.replace(MARK, '')}"
    listed = "" if problem.options_pictured else options_text(problem.options)
    text = "\n\n".join(part for part in (question, listed, ALONE) if part)
    said = {"role": "user", "content": [{"type": "text", "text": text}]}
    return replace(problem, images=(), question=question, chat=(said,), behind=())


REWARDS = {"captioned": captioned, "from_caption": from_caption}
