"""What SymPy, NumPy and the Wolfram Language print for regions, points, units and arrays; each with what it is not."""

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

BOTH = "(-\\infty,2)\\cup(3,\\infty)"
ROWS = [  # gold, printed, whether it is right
    ("(1,2)", "Interval.open(1, 2)", True), ("(1,2]", "Interval.Lopen(1, 2)", True), ("[1,2)", "Interval.Ropen(1, 2)",
    True),
    ("[1,2]", "Interval(1, 2)", True), ("[1,2)", "Interval.Lopen(1, 2)", False), ("(1,2)", "Interval(1, 2)", False),
    ("[1,\\infty)", "Interval(1, oo)", True), ("(1,\\infty)", "Interval(1, oo)", False), ("\\mathbb{R}",
    "Interval(-oo, oo)", True),
    ("[0,2\\pi]", "Interval(0, 2*pi)", True), ("[1,2]\\cup[3,4]", "Interval[{1, 2}, {3, 4}]", True), ("[1,2]",
    "Interval[{1, 2}]", True),
    ("(1,2)", "Interval[{1, 2}]", False), ("\\{1,2\\}", "Interval[{1, 2}]", False),
    (BOTH, "(3 < x) | (x < 2)", True), (BOTH, "(3 <= x) | (x < 2)", False), (BOTH, "(x < 2) | (x > 4)", False),
    (BOTH, "Union(Interval.open(-oo, 2), Interval.open(3, oo))", True), (BOTH,
    "Union(Interval.open(-oo, 2), Interval(3, oo))", False),
    (BOTH, "Or(And(-oo < x, x < 2), And(3 < x, x < oo))", True), (BOTH, "And(-oo < x, x < 2)", False),
    ("|x|<3", "(-3 < x) & (x < 3)", True), ("|x|<3", "(-3 < x) & (x < 4)", False), ("|x-1| \\le 2", "Interval(-1, 3)",
    True),
    ("(-\\infty,-3)\\cup(3,\\infty)", "|x| > 3", True), ("(-3,3)", "|x| > 3", False), ("(-3,3)", "|x| < 3", True),
    ("(-3,3)", "|x| <= 3", False),
    ("\\emptyset", "EmptySet", True), ("\\emptyset", "S.EmptySet", True), ("\\mathbb{R}", "S.Reals", True),
    ("\\mathbb{R}", "EmptySet", False),
    ("\\frac{1}{2}", "Fraction(1, 2)", True), ("\\frac{1}{2}", "Fraction(1, 3)", False), ("\\{\\frac12,1\\}",
    "{Fraction(1, 2), 1}", True),
    ("n!", "factorial(n)", True), ("n!", "factorial(m)", False), ("n!", "n", False),
    ("\\frac{1+\\sqrt5}{2}", "GoldenRatio", True), ("1+\\frac{1+\\sqrt5}{2}", "1 + GoldenRatio", True),
    ("5 cm", 'Quantity[5, "Centimeters"]', True), ("5 cm", 'Quantity[5, "Meters"]', False), ("0.05 m",
    'Quantity[5, "Centimeters"]', True),
    ("4 m^2", 'Quantity[4, "SquareMeters"]', True), ("4 m", 'Quantity[4, "SquareMeters"]', False),
    ("5 cm", "5*centimeter", True), ("5 cm", "5*meter", False), ("9 m/s^2", "9*meter/second**2", True), ("9 m/s",
    "9*meter/second**2", False),
    ("A,C", "['A', 'C']", True), ("A,C", "['A', 'B']", False), ("A,C", '{"A", "C"}', True),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "[[1 2]\n [3 4]]", True), ("\\begin{pmatrix}1&3\\\\2&4\\end{pmatrix}",
    "[[1 2]\n [3 4]]", False),
    ("\\begin{pmatrix}1\\\\-2\\end{pmatrix}", "[1. -2.]", True), ("\\begin{pmatrix}1\\\\-2\\end{pmatrix}", "[-2. 1.]",
    False),
]  # fmt: skip


@pytest.mark.parametrize("gold,printed,right", ROWS)
def test_a_printed_value(gold, printed, right):
    assert check(Result(Status.OK, printed), gold).correct is right


@pytest.mark.parametrize("text,point,other", [
    ("y=2, x=1", "(1,2)", "(2,1)"), ("y=1, x=2", "(2,1)", "(1,2)"), ("x = 1 and y = 2", "(1,2)", "(2,1)"),
    ("z=3, x=1, y=2", "(1,2,3)", "(3,1,2)"), ("{y -> 2, x -> 1}", "(1,2)", "(2,1)"), ("{1, 2}", "(1,2)", "(2,1)"),
    ("1, 2", "(1,2)", "(2,1)"),
])  # fmt: skip
def test_a_point_is_ordered_and_by_name(text, point, other):
    for form in (text, Result(Status.OK, text), f"\\boxed{{{text}}}"):
        assert check(form, point).correct is True
        assert check(form, other).correct is False


@pytest.mark.parametrize(
    "text", ["1 or 2", "x = 1 or x = 2", "1 and 2", "\\{1,2\\}", "FiniteSet(1, 2)", "2 or 1", "\\pm 1"]
)
def test_a_set_and_alternatives_are_no_point(text):
    for gold in ("(1,2)", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", "(1,-1)"):
        assert check(text, gold).correct is check(Result(Status.OK, text), gold).correct is False
