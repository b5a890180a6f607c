"""Visionary-R1: R = correct + format + 0.1 [the question is answered from the caption alone], beta on a cosine to 0.

Source: arXiv 2505.14677, section 3 (caption reward by the policy's language model; alpha 0.1, beta_1 0.04).
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
