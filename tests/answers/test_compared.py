"""What a value is compared with: regions of conditions, equations that name what is asked, counts, orders and nouns."""

import math
import random

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

BOTH = "(-\\infty,-2)\\cup(3,\\infty)"
PRINTED = [  # gold, printed, whether it is right
    (BOTH, "((-oo < x) & (x < -2)) | ((3 < x) & (x < oo))", True), ("x<-2 \\text{ or } x>3",
    "((-oo < x) & (x < -2)) | ((3 < x) & (x < oo))", True),
    (BOTH, "((-oo < x) & (x <= -2)) | ((3 < x) & (x < oo))", False), (BOTH,
    "((-oo < x) & (x < -2)) | ((4 < x) & (x < oo))", False),
    (BOTH, "((-oo < x) & (x < -2)) & ((3 < x) & (x < oo))", False), (BOTH,
    "((-oo < x) & (x < -2)) | ((3 < y) & (y < oo))", False),
    ("x \\le -1 \\text{ or } x \\ge 2", "((2 <= x) & (x < oo)) | ((x <= -1) & (-oo < x))", True),
    ("(1,2)\\cup(3,\\infty)", "((1 < x) & (x < 2)) | ((3 < x) & (x < oo))", True), ("[2,5]",
    "(x >= 2) & (x >= 1) & (x <= 5)", True), ("[1,5]", "(x >= 2) & (x >= 1) & (x <= 5)", False),
    ("x \\neq 0", "(x > -oo) & (x < oo) & Ne(x, 0)", True), ("x \\neq 0", "(x > -oo) & (x < oo)", False), ("x \\neq 1",
    "(x > -oo) & (x < oo) & Ne(x, 0)", False),
    ("(-\\infty,0)\\cup(0,\\infty)", "(x > -oo) & (x < oo) & Ne(x, 0)", True), ("[0,1)\\cup(1,2]",
    "(0 <= x) & (x <= 2) & Ne(x, 1)", True),
    ("x \\neq 0", "Complement(Reals, {0})", True), ("\\mathbb{R} \\setminus \\{0\\}", "Complement(Reals, {0})", True),
    ("\\mathbb{R} \\setminus \\{0,1\\}", "Complement(Reals, {0})", False),
    ("\\mathbb{R} \\setminus \\{0\\}", "(-oo, 0) | (0, oo)", True), ("[0,1)\\cup(1,2]",
    "Complement(Interval(0, 2), {1})", True), ("A \\setminus B", "A, B", False),
    ("[1,3]", "Union(Interval(1, 2), Interval(2, 3))", True), ("[1,3]",
    "Union(Interval.Ropen(1, 2), Interval.Lopen(2, 3))", False), ("\\{1\\}\\cup[2,3]", "Union({1}, Interval(2, 3))",
    True),
    ("x > 0 \\text{ and } x \\neq 1", "(0 < x) & Ne(x, 1)", True), ("x > 0, x \\neq 1", "Reals", False),
    ("x > 0 \\text{ and } x \\neq 1", "0 < x", False),
    ("x \\neq 0, x \\neq 1", "Ne(x, 0) & Ne(x, 1)", True), ("x \\neq 0, y \\neq 1", "Ne(x, 0) & Ne(x, 1)", False),
    ("\\emptyset", "(x < 1) & (x > 2)", True), ("\\emptyset", "(x < 3) & (x > 2)", False),
    ("y = e^x", "{{y[x] -> E^x}}", True), ("y = e^x", "{{y -> Function[{x}, E^x]}}", True), ("y = e^x",
    "Eq(y(x), exp(x))", True),
    ("y = e^x", "{{y[x] -> E^(2*x)}}", False), ("y = e^x", "Eq(y(x), exp(2*x))", False), ("x = 5", "Eq(y(x), 5)", True),
    ("5", "f[5]", False),
    ("60", "Pi/(3*Degree)", True), ("180", "Pi/Degree", True), ("\\frac{\\pi}{3}", "Pi/(3*Degree)", False),
    ("(1,3)", "Matrix([[1], [3]])", True), ("(1,3)", "Matrix([[3], [1]])", False), ("(1,3)", "[1, 3]", False), ("3+4i",
    "(3+4j)", True), ("3+4i", "(4+3j)", False),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "MatrixForm[{{1, 2}, {3, 4}}]", True),
    ("12", "The area is 12", True), ("12", "Answer: 12", True), ("12", "Area = 12", True), ("12",
    "working\nThe total area: 12 cm", True), ("12", "n is 12", True), ("\\{1,2\\}", "The roots are {1, 2}", True),
    *(("12", p, False) for p in ("The area is 13", "The area is not 12", "It is at least 12", "Not the answer: 12",
    "Area: 12, Perimeter: 14", "Answer: 12 or 13", "Maximum = 12 at x = 3", "The answer is 12 = 13")),
]  # fmt: skip


@pytest.mark.parametrize("gold,printed,right", PRINTED)
def test_a_printed_value(gold, printed, right):
    assert check(Result(Status.OK, printed), gold).correct is right


@pytest.mark.parametrize("printed", ["Answer: B", "The answer is B", "The answer is 12", "Area: 12"])
def test_a_printed_label_before_an_option(printed):
    assert [check(Result(Status.OK, printed), g, ("7", "12", "30")).correct for g in "ABC"] == [False, True, False]


def test_conditions_that_nothing_satisfies_add_nothing():
    text = "((x >= 3) & (x <= 1)) | ((x >= -1) & (x <= -1)) | ((x >= 0) & (x <= -2))"
    assert check(Result(Status.OK, text), "\\left\\{-1\\right\\}").correct is True
    assert check(Result(Status.OK, text), "\\left\\{0\\right\\}").correct is False


@pytest.mark.long
def test_conditions_are_the_set_that_sympy_makes_of_them():
    sympy = pytest.importorskip("sympy", reason="SymPy's sets are the oracle here")
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    x = sympy.Symbol("x", real=True)

    def condition(depth):
        if depth:
            return rng.choice([sympy.And, sympy.Or])(*(condition(depth - 1) for _ in range(rng.randint(2, 3))))
        end = rng.choice(
            [sympy.Integer(rng.randint(-3, 3)), sympy.sqrt(rng.randint(2, 3)), sympy.Rational(rng.randint(-5, 5), 2)]
        )
        return rng.choice([x < end, x <= end, x > end, x >= end])

    last = None
    for _ in range(60):
        written = condition(rng.randint(1, 2))
        if rng.random() < 0.3:
            written = sympy.And(written, sympy.Ne(x, rng.randint(-3, 3)))
        if written in (True, False):
            continue
        region = written.as_set()
        for text in (str(written), str(region)):
            verdict = check(Result(Status.OK, text), sympy.latex(region))
            assert verdict.correct is True, (seed, text, region, verdict)
            assert last in (None, region) or check(Result(Status.OK, text), sympy.latex(last)).correct is False, (
                seed,
                text,
                last,
            )
        last = region


NAMED = [  # text, golds it answers, golds it does not
    ("f(3) = 42", ["42", "f(3)=42"], ["3", "14", "126", "f(4)=42", "g(3)=42", "f(6)=84", "f(42)=3"]),
    ("Thus $f(3)=42$.", ["42"], ["3"]), ("f(f(3)) = 42", ["42"], ["f(3)=42"]),
    ("f'(3)=42", ["42"], ["f(3)=42", "f''(3)=42"]), ("f^{-1}(3)=42", ["42"], ["f(3)=42"]), ("P(5)=42", ["42"],
    ["P(6)=42"]), ("\\phi(12) = 4", ["4"], ["12", "48"]),
    ("f(3) = 6 \\cdot 7 = 42", ["42"], ["6", "7"]), ("f(3) = 41", [], ["42"]), ("3f = 42", [], ["42"]), ("k(3) = 42",
    [], ["42"]), ("f(3)g(2) = 42", [], ["42"]), ("2f(3) = 42", [], ["42"]),
    ("x+y=42", ["42", "x+y=42"], ["x=42", "x+2y=42", "21"]), ("x^2+y^2=42", ["42", "x^2+y^2=42"], ["x^2-y^2=42"]),
    ("a+b+c=42", ["42"], ["a+b=42"]), ("x_1+x_2=42", ["42"], []),
    ("ab+bc+ca=42", ["42"], []), ("\\frac1x+\\frac1y=42", ["42"], []), ("2x+y=42", [], ["42"]), ("x^2-4=0", [], ["0",
    "4"]), ("x^2-x=0", [], ["0"]), ("x^2+y=42", [], ["42"]), ("x+x=42", [], ["42"]), ("x-y=0", ["y=x"], ["0"]),
    ("\\frac{dy}{dx}=6x^2", ["6x^2", "dy/dx = 6x^2"], ["y = 6x^2", "6x", "\\frac{dx}{dy}=6x^2"]), ("42", ["f(3)=42",
    "x=42"], ["x+y=42", "x^2+y^2=42"]),
    ("Ans: 12", ["12"], ["1"]), ("Sum: 12", ["12"], []), ("n: 12", ["12", "n=12"], []), ("Max: 12", ["12"], []),
    ("**Sum:** 12", ["12"], []), ("3:4", ["3:4"], ["4", "3"]), ("C: 3", ["C"], ["3"]),
    ("\\angle ABC", ["\\angle CBA", "∠ABC", "\\angle{ABC}"], ["\\angle ACB", "∠BAC", "\\angle ABD"]), ("∠ACB = 40°",
    ["\\angle BCA = 40^\\circ", "\\angle C = 40^\\circ", "40"], ["\\angle ABC = 40^\\circ", "\\angle B = 40^\\circ"]),
    ("\\overrightarrow{AB}", ["\\vec{AB}", "-\\vec{BA}", "\\vec{AC}+\\vec{CB}"], ["\\overrightarrow{BA}", "\\vec{AC}"]),
    ("\\vec{AB} = (1,2)", ["(1,2)", "\\vec{AB}=(1,2)"], ["\\vec{BA}=(1,2)"]),
    ("\\overline{AB}", ["\\overline{BA}"], ["\\overline{AC}"]), ("BA = 5", ["AB = 5", "5"], ["AC = 5"]),
    ("\\triangle BCA", ["\\triangle ABC"], ["\\triangle ABD"]), ("2\\vec{a}-\\vec{b}", ["2\\vec{a} - \\vec{b}"],
    ["\\vec{a}"]),
    ("50!+1", [], ["50!"]), ("50!", ["50!", str(math.factorial(50))], ["50!+1", str(math.factorial(50) + 1)]),
    ("100!/98!", ["9900"], ["9901"]), ("x + 10^{-60}", [], ["x"]),
    ("\\binom{200}{100}+1", [], ["\\binom{200}{100}"]), (str(math.comb(200, 100)), ["\\binom{200}{100}"],
    ["\\binom{200}{101}"]),
    ("A, B, C, D", ["A, B, C, D"], ["B, D, A, C", "D, C, B, A"]), ("BDAC", ["B, D, A, C"], ["B, A, D, C"]), ("C, A",
    ["A, C"], []), ("A, B", [], ["B, A"]),
    ("3 red, 4 green", [], ["3 red, 4 blue"]), ("4 blue, 3 red", ["3 red, 4 blue"], ["4 red, 3 blue"]),
    ("3 box and 4 penny", ["3 boxes, 4 pennies"], []), ("3, 4", ["3 red, 4 blue"], []),
    ("66 2/3 %", ["66\\frac{2}{3}\\%"], ["66\\%"]), ("\\frac{200}{3}\\%", ["66\\frac{2}{3}\\%"], []),
    ("100 degrees Celsius", ["100^\\circ C"], ["100^\\circ F"]), ("2.5 ohms", ["2.5 \\Omega"], ["2.5 V"]), ("2.5",
    ["2.5 \\Omega"], []),
    ("\\frac ab", ["\\frac{a}{b}"], ["\\frac{b}{a}"]), ("\\left(\\frac12\\right)^n", ["\\frac{1}{2^n}"],
    ["\\frac{1}{2n}"]), ("10C3", ["120"], ["30"]), ("10!/(3!7!)", ["120"], []), ("\\pi*9", ["9\\pi"], ["\\pi^9"]),
    ("The roots are $1$, $2$, and $3$.", ["\\{1,2,3\\}"], ["\\{1,2\\}", "1", "3"]), ("Sunday, and 2^n", [], ["2"]),
    ("<1,2>", ["\\langle 1,2\\rangle"], ["\\langle 2,1\\rangle"]), ("seven twelfths", ["7/12"], ["7"]),
    ("The solutions are 1, 2, and 3.", ["\\{1,2,3\\}"], ["\\{1,2\\}"]),
]  # fmt: skip


@pytest.mark.parametrize("text,right,wrong", NAMED)
def test_a_text(text, right, wrong):
    assert [check(text, g).correct for g in right] == [True] * len(right)
    assert [check(text, g).correct for g in wrong] == [False] * len(wrong)


def test_letters_of_options_are_a_set():
    assert check("B, D", "DB", ("1", "2", "3", "4")).correct is True


def test_an_equation_that_an_engine_leaves_standing_says_nothing_of_its_sides():
    for text in ("f(3) == 42", "x + y == 42", "Eq(x + y, 42)"):
        assert check(Result(Status.OK, text), "42").correct is False, text


def test_neighbours_of_a_long_integer_are_told_apart():
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    for _ in range(40):
        n = rng.randint(40, 150)
        gold, value = rng.choice(
            [
                (f"{n}!", math.factorial(n)),
                (f"\\binom{{{n + 80}}}{{{n}}}", math.comb(n + 80, n)),
                (f"{n}^{{{n // 2}}}", n ** (n // 2)),
            ]
        )
        gap = rng.choice([-1, 1]) * 10 ** rng.randint(0, 8)
        for text in (str(value + gap), f"{gold} + {gap}", f"{gold} - {gap}"):
            assert check(text, gold).correct is check(Result(Status.OK, text), gold).correct is False, (
                seed,
                gold,
                text,
            )
        assert check(Result(Status.OK, str(value)), gold).correct is True, (seed, gold)
