r"""Fast-Math-R1: R = boxed + cosine + length. boxed: 1 where \boxed{} stands before </think>, so that nothing need
follow; cosine: 1 to 0.1 with the length when right, -1 to -0.1 when wrong; length: 0.5 - (L - min) / (max - min), at
most 0 when wrong (Kimi k1.5's, of which ours is 0.4 times that). arXiv 2507.08267, section 3.2, and its code."""

import re

_BOXED = re.compile(r"oxed\{[^}]{0,500}\}.{0,60000}?</think>", re.DOTALL)


def boxed(batch):
    """1 with an answer before the thoughts end, else 0."""
    return [float(_BOXED.search(text[-60000:]) is not None) for text in batch.completions]
