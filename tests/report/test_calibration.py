"""ECE, Brier score and AUROC of stated confidences: against their definitions counted out, and scikit-learn's."""

import random
from fractions import Fraction

import pytest

from nsrl.report.calibration import CONFIDENCE, calibration, calibration_lines, confidence
from nsrl.report.table import print_table, table
from nsrl.trainer.evaluation import summarise
from nsrl.trainer.evaluations import summary

RNG = random.Random(random.randrange(10**9))


def record(text, correct, **changes):
    return {
        "problem_id": "a", "category": "c", "sample": 0, "correct": correct, "tokens": 3, "language": "direct",
        CONFIDENCE: text,
    } | changes  # fmt: skip


def drawn(count):
    """Confidences of one and two digits, so that the edges of bins and ties come up."""
    return [
        record(str(value := RNG.choice([RNG.randrange(11) / 10, RNG.randrange(101) / 100])), RNG.random() < value)
        for _ in range(count)
    ]


def counted(records):
    """The definitions with fractions: each bin by its bounds, AUROC over every pair."""
    pairs = [(Fraction(r[CONFIDENCE]), int(r["correct"])) for r in records]
    ece = Fraction(0)
    for k in range(10):
        own = [(q, y) for q, y in pairs if Fraction(k, 10) < q <= Fraction(k + 1, 10) or (k == 0 and q == 0)]
        if own:
            gap = Fraction(sum(y for _, y in own), len(own)) - sum(q for q, _ in own) / len(own)
            ece += Fraction(len(own), len(pairs)) * abs(gap)
    right, wrong = ([q for q, y in pairs if y == kind] for kind in (1, 0))
    wins = sum(Fraction(1) if a > b else Fraction(a == b, 2) for a in right for b in wrong)
    auroc = wins / (len(right) * len(wrong)) if right and wrong else None
    return ece, sum((q - y) ** 2 for q, y in pairs) / len(pairs), auroc


def test_the_numbers_are_their_definitions():
    for count in [*range(1, 12), 60, 300]:
        records = drawn(count)
        found, (ece, brier, auroc) = calibration(records), counted(records)
        assert (found["ece"], found["brier"]) == (pytest.approx(float(ece)), pytest.approx(float(brier)))
        assert found["auroc"] == (None if auroc is None else pytest.approx(float(auroc)))
        assert found["stated"] == 1


def test_scikit_learn_says_the_same():
    metrics, curve = pytest.importorskip("sklearn.metrics"), pytest.importorskip("sklearn.calibration")
    for _ in range(20):
        records = drawn(200)
        values, rights = [float(r[CONFIDENCE]) for r in records], [r["correct"] for r in records]
        found = calibration(records)
        assert found["brier"] == pytest.approx(metrics.brier_score_loss(rights, values))
        assert found["auroc"] == pytest.approx(metrics.roc_auc_score(rights, values))
        true, said = curve.calibration_curve(rights, values, n_bins=10)
        held = [0] * 10
        for value in values:
            held[next(k for k in range(10) if value <= (k + 1) / 10)] += 1
        want = sum(n * abs(t - s) for n, t, s in zip([n for n in held if n], true, said)) / len(values)
        assert found["ece"] == pytest.approx(want)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.7", 0.7), (" .25\n", 0.25), ("1", 1), ("0", 0), ("1.0", 1), ("70%", 0.7), ("70 \\%", 0.7), ("100%", 1),
     ("70", None), ("1.2", None), ("101%", None), ("", None), ("high", None), ("0.7 or 0.8", None), ("-0.3", None),
     ("1e-3", None), ("nan", None), ("0." + "3" * 5000, None)],
)  # fmt: skip
def test_what_a_span_states(text, value):
    assert confidence(text) == (None if value is None else pytest.approx(value))


def test_nothing_without_the_span_and_dashes_of_nothing(capsys):
    bare = [{name: value for name, value in one.items() if name != CONFIDENCE} for one in drawn(4)]
    assert calibration(bare) is None and "calibration" not in summarise(bare).numbers()
    assert all("calibration" not in row for row in table(bare))
    print_table(bare)
    assert "ECE" not in capsys.readouterr().out
    none = dict.fromkeys(("confidence", "ece", "brier", "auroc"))
    assert calibration([record("", True), record("0.5", None)]) == {"stated": 0, **none}
    assert calibration([record("0.5", None)]) == {"stated": None, **none}
    assert calibration_lines([{"category": "x", "calibration": {"stated": 0, **none}}])[1] == ["x", "0.0", *["–"] * 4]


def test_it_stands_in_the_numbers_the_table_and_the_summary(capsys):
    records = drawn(30) + [record("0.9", False, sample=-1)]  # greedy ones are not in it
    found = calibration(records[:-1])
    evaluated = summarise(records)
    assert evaluated.numbers()["calibration"] == found == table(records)[-1]["calibration"]
    print_table(records)
    printed = capsys.readouterr().out
    assert f"{found['ece']:.3f}" in printed and f"{found['brier']:.3f}" in printed
    numbers = evaluated.numbers() | {"problems": 1}
    said = summary(numbers | {"calibration": None}, numbers, 0, {}, {})
    assert said["calibration"] == {"before": None, "after": found}
    numbers.pop("calibration")
    assert "calibration" not in summary(numbers, numbers, 0, {}, {})
