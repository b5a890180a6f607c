"""OpenVLThinker: 1 for a right answer, 1/2 where nothing stands between </think> and <answer>, 0 else.
arXiv 2503.17352 and train/easyr1/examples/reward_function/r1v.py of its code; the format is not paid."""


def accuracy(batch):
    """What a completion is paid."""
    out = []
    for text, right in zip(batch.completions, batch.correct):
        between = text.rpartition("</think>")[2].partition("<answer>")[0]
        bare = "</think>" in text and "<answer>" in text and not between.strip()
        out.append(None if right is None else float(right) * (0.5 if bare else 1.0))
    return out
