"""Vision-SR1: R = 0.9 correct + 0.1 format + [the description alone answers the question].

Source: arXiv 2508.19652, section 3: the policy sees its own description and the question, and no picture.
"""

from dataclasses import replace


def captioned(batch):
    """1 where there is a caption."""
    return [float(batch.span(i, "caption") is not None) for i in range(len(batch))]


def from_caption(batch, ask):
    """1 where the policy answers from the caption, without the picture."""
    spans = [batch.span(i, "caption") for i in range(len(batch))]
    asked = [
        replace(p, images=(), chat=(), question=f"{s.text}\n{p.question.replace('<image>', '')}")
        for p, s in zip(batch.problems, spans)
        if s is not None
    ]
    answers = iter(ask(asked))
    return [float(bool(next(answers)[0].correct)) if s is not None else 0.0 for s in spans]
