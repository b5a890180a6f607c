"""RLCR: R = 0.5 format + 0.5 c + 0.5 (1 - (q - c)^2), c right or wrong, q the confidence that is stated; 0 for the
last where none is. arXiv 2507.16806, section 3 and its code: c - (q - c)^2 up to a constant, a proper scoring rule."""

from nsrl.report.calibration import confidence


def brier(batch):
    """1 minus the squared distance of the stated confidence from the truth; 0 without one."""
    spans = [batch.span(i, "confidence") for i in range(len(batch))]
    stated = [None if span is None else confidence(span.text) for span in spans]
    return [
        None if right is None else 0.0 if q is None else 1 - (q - float(right)) ** 2
        for q, right in zip(stated, batch.correct)
    ]
