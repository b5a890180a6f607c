"""Visual-RFT: R = sum of IoU over paired boxes / max(n_gold, n_said), and format (arXiv 2503.01785 and its code)."""

from nsrl.rewards import Verdict, boxes, gold_of


def overlap(problem, text, extracted, result):
    """The score of the boxes in a text; None without gold boxes."""
    gold, said = boxes.read(gold_of(problem)), boxes.read(text)
    if not gold:
        return Verdict(None, "no_gold_boxes")
    score = sum(value for _, _, value in boxes.pairs(said, gold)) / max(len(gold), len(said))
    return Verdict(score >= 0.5, "overlap", score)
