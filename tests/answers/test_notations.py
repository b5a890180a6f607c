"""One expression in the notations of LaTeX, Wolfram and Python is one answer; a changed one is another."""

import random

import pytest

from nsrl.answers.checker import check

sympy = pytest.importorskip("sympy", reason="SymPy's printers are the oracle here")
x, y = sympy.symbols("x y", positive=True)


def expression(rng, depth, leaves):
    if depth == 0:
        return rng.choice(leaves)(rng)
    pick = rng.randrange(7)
    a, b = expression(rng, depth - 1, leaves), expression(rng, depth - 1, leaves)
    if pick < 2:
        return a + b
    if pick < 4:
        return a * b
    if pick == 4:
        return a / (b + 7)
    if pick == 5:
        return sympy.sqrt(sympy.Abs(a) + 2)
    return a ** rng.randint(2, 3) - b


NUMBERS = [lambda r: sympy.Integer(r.randint(-9, 9)), lambda r: sympy.Rational(r.randint(1, 9), r.randint(2, 9)),
lambda r: sympy.pi,
           lambda r: sympy.sqrt(r.choice([2, 3, 5, 6])), lambda r: sympy.sin(sympy.pi / 5),
           lambda r: sympy.log(r.randint(2, 5))]  # fmt: skip
SYMBOLS = [*NUMBERS[:2], lambda r: x, lambda r: y, lambda r: x**2, lambda r: sympy.cos(x), lambda r: sympy.exp(-y)]


@pytest.mark.parametrize("leaves", [NUMBERS, SYMBOLS], ids=["numbers", "symbols"])
def test_notations_agree(leaves):
    rng = random.Random(1)
    for _ in range(80):
        value = expression(rng, rng.randint(1, 3), leaves)
        if value.has(sympy.zoo, sympy.nan) or value == 0:
            continue
        gold = sympy.latex(value)
        for text in (
            sympy.latex(sympy.expand(value)),
            sympy.mathematica_code(value),
            str(value),
            "\\boxed{" + gold + "}",
        ):
            verdict = check(text, gold)
            assert verdict.correct is True, (text, gold, verdict)
        assert check(str(value + sympy.Rational(1, 97)), gold).correct is False, gold
        assert check(sympy.latex(value * sympy.Rational(98, 97)), gold).correct is False, gold


def test_sets_intervals_and_relations_as_sympy_prints_them():
    interval = sympy.Interval.Lopen(0, 2)
    assert check(sympy.latex(interval), "(0, 2]").correct is True
    union = sympy.Union(sympy.Interval.open(-sympy.oo, 1), sympy.Interval(2, sympy.oo))
    assert check(sympy.latex(union), "x<1 \\text{ or } x \\ge 2").correct is True
    assert check(str(sympy.FiniteSet(1, sympy.sqrt(2))), "\\{\\sqrt{2}, 1\\}").correct is True
    assert check(str(sympy.solve(x**2 - 2, x)), "\\sqrt{2}").correct is True
    assert check(sympy.latex(sympy.Eq(y, 2 * x + 1)), "y = 1 + 2x").correct is True
    assert check(sympy.latex(sympy.Matrix([[1, 2], [3, 4]])), "{{1, 2}, {3, 4}}").correct is True
