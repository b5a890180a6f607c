"""The check is total: whatever stands on either side, it answers."""

import random

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

ATOMS = ("1", "2", "3/4", "0.5", "x", "i", "I", "\\pi", "Pi", "e", "-7", "\\infty", "30°", "5%", "12 cm")
FUNCTIONS = ("Max", "Min", "\\max", "Sqrt", "\\sqrt", "Factorial", "GCD", "LCM", "Mod", "Floor", "Ceiling", "ln", "log", "Abs",
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


def test_wrappers_that_only_show_are_seen_through():
    assert check(Result(Status.OK, "InputForm[HoldForm[2/3]]"), "2/3").correct
