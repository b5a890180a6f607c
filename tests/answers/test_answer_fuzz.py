"""The check is total: whatever stands on either side, it answers."""

import random

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

ATOMS = ("1", "2", "3/4", "0.5", "x", "i", "I", "\\pi", "Pi", "e", "-7", "\\infty", "30°", "5%", "12 cm")
FUNCTIONS = ("Max", "Min", "\\max", "Sqrt", "\\sqrt", "Factorial", "GCD", "LCM", "Mod", "Floor", "Ceiling", "ln", "log",
"Abs",
             "Re", "Im", "Conjugate", "Arg", "Binomial", "ArcSin", "asin", "Exp", "Tan", "ArcTan")  # fmt: skip


def some_maths(rng, depth):
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(ATOMS)
    kind, inner = rng.random(), lambda: some_maths(rng, depth - 1)
    if kind < 0.4:
        return f"{inner()}{rng.choice(['+', '-', '*', '/', '^', ' ', '=', '<', ','])}{inner()}"
    if kind < 0.8:
        opening, closing = rng.choice(("[]", "()", "{}"))
        return f"{rng.choice(FUNCTIONS)}{opening}{inner()}{',' + inner() if rng.random() < 0.4 else ''}{closing}"
    return rng.choice(("({})", "{}!", "|{}|", "{{{0},{0}}}")).format(inner())


def test_no_two_answers_make_it_raise():
    """Complex numbers have no order: max, floor and inequalities of them once ended a run."""
    rng = random.Random(7)
    for _ in range(4000):
        check(some_maths(rng, 3), some_maths(rng, rng.choice((0, 1, 3))))
    assert check("max(1, i)", "3/4").correct is False
    assert check("10 < i", "12 < i").correct is False


MARKS = ["-", "--", "—", "–", "−", "*", "**", "#", "####", "_", "`", "|", "/", "\\", "{", "}", "\\{", "\\}", "(", ")",
"[", "]", "<", ">", "=", ":", ";", ",",
         ".", "!", "?", "'", '"', "%", "°", "^", "~", "&", "$", "\n", " ", "∅", "∞", "±", "√", "∛", "²", "½", "₂", "≈",
         "≠", "∪", "∈", "…", "\\frac", "\\sqrt",
         "\\boxed{", "\\text{", "\\begin{", "\\end{", "answer:", "The answer is ", "1", "x", "A", "B.", "or", "and",
         "not ", "half", "a.m.", "C(", "Eq(",
         "Interval", "\\infty", "\\mathbb", "</think>", "<answer>", "¿", "\u00a0", "\u200b", "\ud800"]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["The answer is --.", "\\boxed{--}", "\\boxed{——}", "**--**", "---\n**Answer:** ---", "--", "-", "—", "- -"]
)
def test_a_text_of_dashes_says_nothing(text):
    for gold, options in (("5", None), ("——", None), ("--", ("--", "5")), ("red", None), ("B", ("--", "——"))):
        for prediction in (text, Result(Status.OK, text)):
            assert check(prediction, gold, options).correct in (True, False, None)
    assert check(text, "5").correct is False


def test_no_text_of_marks_makes_it_raise(monkeypatch):
    monkeypatch.setattr("nsrl.answers.checker.math_verify", lambda gold, text: False)
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    golds = [
        ("5", None),
        ("\\{1,2\\}", None),
        ("red", None),
        ("B", ("--", "½")),
        ("July 4", None),
        ("A,C", None),
        ("x^2+1", None),
    ]
    for _ in range(4000):
        text = "".join(rng.choice(MARKS) for _ in range(rng.randint(1, 6)))
        gold, options = rng.choice(golds)
        print(seed, repr(text), gold, options)  # shown where it fails
        check(text, gold, options)
        check(Result(Status.OK, text), gold, options)
        check("5", text, (text, "5") if rng.random() < 0.3 else None)


def test_wrappers_that_only_show_are_seen_through():
    assert check(Result(Status.OK, "InputForm[HoldForm[2/3]]"), "2/3").correct
