"""Calculus where a careless rule gives another value: points, relations, pieces, series; and silence where it is not
known."""

import random
from fractions import Fraction

import pytest

from nsrl.engines.result import Limits
from nsrl.engines.wolfram import evaluate

PATIENT = Limits(cpu_s=20.0, steps=2_000_000)  # the first call of SymPy counts its import
ODE, STEP = "{y'[x] == 2x, y[0] == 1}", "{a[n+1] == 2a[n], a[0] == 3}"


@pytest.mark.parametrize(
    "program,text",
    [
        ("DSolveValue[{y'[x] == -y[x], y[0] == 5}, y[2], x]", "5/E^2"), (f"DSolveValue[{ODE}, y, x][3]", "10"),
        (f"DSolveValue[{ODE}, y'[x] + y[1], x]", "2 + 2*x"), (f"DSolveValue[{ODE}, {{y[x]}}, x]", "{1 + x^2}"),
        (f"DSolve[{ODE}, {{y}}, x]", "{{y -> Function[{x}, 1 + x^2]}}"), (f"y[3] /. DSolve[{ODE}, y, x]", "{10}"),
        (f"RSolveValue[{STEP}, a[5], n]", "96"), (f"RSolveValue[{STEP}, a, n]", "Function[{n}, 3*2^n]"),
        (f"RSolveValue[{STEP}, {{a[1], a[n + 1]}}, n]", "{6, 3*2^(1 + n)}"), (f"RSolve[{STEP}, a[n], n]",
        "{{a[n] -> 3*2^n}}"),
        ("Dt[x^2 + y^2 == 1, x]", "2*x + 2*y*Dt[y, x] == 0"), ("Dt[x y == 1]", "y*Dt[x] + x*Dt[y] == 0"),
        ("Dt[{x^2, y}, x]", "{2*x, Dt[y, x]}"), ("Dt[a x^2, x, Constants -> {a}]", "2*a*x"),
        ("Dt[a y, x, Constants -> a]", "a*Dt[y, x, Constants -> a]"), ("Dt[Pi]", "0"), ("Dt[x^2 y]",
        "2*x*y*Dt[x] + x^2*Dt[y]"),
        ("D[Piecewise[{{x^2, x < 0}, {x, x >= 0}}], x]", "Piecewise[{{2*x, x < 0}, {1, x > 0}}, Indeterminate]"),
        ("D[Piecewise[{{x^2, x < 0}, {x^3, x >= 0}}], x]", "Piecewise[{{2*x, x < 0}, {3*x^2, x >= 0}}, 0]"),
        ("D[Piecewise[{{1, x < 0}}, 0], x] /. {{x -> 0}, {x -> 1}}", "{Indeterminate, 0}"),
        ("f[x_] := Piecewise[{{x^2, x < 1}, {2x - 1, x >= 1}}]; {f'[0], f'[1], f''[1]}", "{0, 2, Indeterminate}"),
        ("D[Piecewise[{{x, x != 0}, {1, x == 0}}], x] /. x -> 0", "Indeterminate"),
        ("D[Piecewise[{{x^2, x != 1}, {1, x == 1}}], x] /. x -> 1", "2"),
        ("D[Piecewise[{{Sin[x]/x, x != 0}, {1, x == 0}}], x] /. x -> 0", "0"),
        ("D[Piecewise[{{Sqrt[x], x > 0}}, 0], x] /. x -> 0", "Indeterminate"),
        ("D[Piecewise[{{a x, x < 1}, {x^2, x >= 1}}], x]", "Piecewise[{{a, x < 1}, {2*x, x >= 1}}, 0]"),
        ("FromDigits[{{3, 1, 4}, 1}]", "157/50"), ("FromDigits[RealDigits[1/7]]", "1/7"), ("FromDigits[{{1, 1}, 0}, 2]",
        "3/4"),
        ("FromDigits[{{1, 2}, 4}]", "1200"), ("FromDigits[{{1, {3}}, -1}]", "1/75"), ("FromDigits[{{a, b}, 1}, x]",
        "(b + a*x)/x"),
        ("Coefficient[Series[Exp[x], {x, 0, 5}], x, 3]", "1/6"), ("Coefficient[Series[Cos[x], {x, 0, 5}], x^2]",
        "-1/2"),
        ("CoefficientList[Series[Exp[x], {x, 0, 3}], x]", "{1, 1, 1/2, 1/6}"), ("1 + x + O[x]^3",
        "SeriesData[x, 0, {1, 1}, 0, 3, 1]"),
        ("D[Series[Cos[x]/x, {x, 0, 3}], x]", "SeriesData[x, 0, {-1, 0, -1/2, 0, 1/8}, -2, 3, 1]"),
        ("N[Series[Exp[x], {x, 0, 2}]]", "SeriesData[x, 0, {1., 1., 0.5}, 0, 3, 1]"), ("Normal[(1 + x + O[x]^3)^2]",
        "1 + 2*x + x^2"),
        ("Series[Sin[x], {x, 0, 5}]/Series[Cos[x], {x, 0, 5}]", "SeriesData[x, 0, {1, 0, 1/3, 0, 2/15}, 1, 6, 1]"),
        ("Series[Exp[x], {x, 1, 2}] x", "SeriesData[x, 1, {E, 2*E, (3*E)/2}, 0, 3, 1]"),
        ("Normal[{Series[Exp[x], {x, 0, 1}], 2}]", "{1 + x, 2}"), ("SeriesCoefficient[Series[Exp[x], {x, 0, 3}], 3]",
        "1/6"),
        ("Integrate[Sin[m x] Sin[n x], {x, 0, 2Pi}] /. {m -> 1/2, n -> 1/3}", "(9*Sqrt[3])/5"),
        ("Sum[Binomial[n, k], {k, 0, n}]", "2^n"), ("Limit[Binomial[2n, n]/4^n, n -> Infinity]", "0"),
        ("Limit[2^n/n!, n -> Infinity]", "0"),
        ('DateDifference[{2020, 1, 1}, {2021, 3, 1}, "Day"]', "Quantity[425, Days]"),
    ],
)  # fmt: skip
def test_values(program, text):
    result = evaluate(program, PATIENT)
    assert (result.text, result.status.value) == (text, "ok")


@pytest.mark.parametrize(
    "program",
    [
        f"DSolve[{ODE}, y[2], x]", f"RSolve[{STEP}, a[4], n]", f"DSolveValue[{ODE}, y[x] + z[x], x]", "Dt[x < 1, x]",
        "Dt[x > 1 && y < 2]",
        "Dt[x^2, 2]", "D[x < 1, x]", "D[If[x > 0, x^2, -x], x]", "D[Which[x < 0, 1, True, x], x]",
        "D[DigitCount[x], x]",
        "Derivative[0, 1][Max][2, 3]", "Abs'[0]", "1 + Sign'[2]", "D[Piecewise[{{Floor[x], x < 1}, {x, x >= 1}}], x]",
        "Interval[{1, 2}] + Interval[{3, 4}]", "2 Interval[{1, 2}]", "Interval[{1, 2}] < 3",
        "DateObject[{2020, 1, 1}] < DateObject[{2021, 1, 1}]",
        "Sum[(-1)^k Binomial[n, k], {k, 0, n}]", "Sum[(-1)^k k Binomial[n, k], {k, 0, n}]",
        "Integrate[ArcSin[Sin[x]], x]",
        "Integrate[ArcCos[Cos[x]], {x, 0, 2Pi}]", "Integrate[x ArcTan[Tan[x]], {x, 0, 2Pi}]",
        "Exponent[Series[Exp[x], {x, 0, 5}], x]", "Length[Series[Exp[x], {x, 0, 5}]]",
        "Variables[Series[Exp[x], {x, 0, 5}]]",
        "Sin[Series[Exp[x], {x, 0, 3}]]", "Sqrt[Series[Exp[x], {x, 0, 3}]]",
        "Series[Exp[x], {x, 0, 3}] + Series[Exp[y], {y, 0, 3}]",
        "Coefficient[Series[Exp[x], {x, 0, 5}], x, 6]", "SeriesCoefficient[Series[Exp[x], {x, 0, 3}], 4]",
        "Series[Exp[x], {x, 0, 2}] == 1",
        "Series[Exp[x], {x, 0, 5}] /. x -> 1", "Integrate[Series[Exp[x], {x, 0, 3}], x]",
        'DateDifference[{2020, 1, 1}, {2021, 3, 1}, "Month"]',
        'DateDifference[{2020, 1, 1}, {2021, 3, 1}, {"Month", "Day"}]',
        "DateDifference[{2020, 1, 1, 12}, {2020, 1, 2}]", "DatePlus[{2020, 1, 1, 12, 0, 0}, 1]",
        "FromDigits[{{1, 2}, {3, 4}}]",
    ],
)  # fmt: skip
def test_no_value(program):
    result = evaluate(program, PATIENT)
    assert result.status.value == "unevaluated", result.text


def test_digits_there_and_back():
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(200):
        q = f"{rng.randint(1, 10 ** rng.randint(1, 6))}/{rng.randint(1, 10 ** rng.randint(1, 3))}"
        assert evaluate(f"FromDigits[RealDigits[{q}]] == {q}").text == "True", f"seed {seed}: {q}"
        base, ds, n = rng.randint(2, 16), [rng.randint(0, 1) for _ in range(rng.randint(1, 9))], rng.randint(-5, 9)
        value = sum(d * Fraction(base) ** (n - 1 - i) for i, d in enumerate(ds))
        found = evaluate(f"FromDigits[{{{{{', '.join(map(str, ds))}}}, {n}}}, {base}]").text
        assert Fraction(found) == value, f"seed {seed}: {ds} {n} {base}"


def test_series_compute_as_what_they_are_of():
    """The series of f op g is the series of f op that of g."""
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    parts = ("Exp[{} x]", "Cos[{} x]", "1/(2 + {} x)", "(3 + x)^{}", "1 + x^{}", "Sin[x] + {}", "2 + Log[1 + {} x]")
    for _ in range(30):
        f, g = (rng.choice(parts).format(rng.randint(1, 4)) for _ in range(2))
        n, op = rng.randint(2, 6), rng.choice("+-*/")
        right = f"Series[({f}) {op} ({g}), {{x, 0, {n}}}]"
        program = f"Expand[Normal[{right}] - Normal[Series[{f}, {{x, 0, {n}}}] {op} Series[{g}, {{x, 0, {n}}}]]]"
        assert evaluate(program, PATIENT).text == "0", f"seed {seed}: {program}"


def test_slopes_where_pieces_meet():
    """Two cubics at a point: the derivative there is a number exactly when values and slopes agree."""
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(40):
        p, (a, b, c, d) = rng.randint(-3, 3), (rng.randint(-3, 3) for _ in range(4))
        left = f"({a} + {b} (x - {p}) + {c} (x - {p})^2 + {d} (x - {p})^3)"
        jump, turn = rng.choice((0, 0, 1)), rng.choice((0, 0, 2))
        program = (
            f"D[Piecewise[{{{{{left}, x < {p}}}}}, {left} + {jump} + {turn} (x - {p}) + 7 (x - {p})^2], x] /. x -> {p}"
        )
        assert evaluate(program).text == ("Indeterminate" if jump or turn else str(b)), f"seed {seed}: {program}"
