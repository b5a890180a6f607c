"""The SymPy engine: programs as models write them, what their value is, and strings read without evaluation."""

import pytest

from nsrl.engines import EnginePool, Limits, Status
from tests.engines.hostile import BY_NAME, SHUT

START = "from sympy import *\nx, y, z, n = symbols('x y z n')\nf = Function('f')\n"

# Programs of models, and small ones over everything SymPy is asked for: none may miss a module inside the walls.
VALUES = [
    ("shapes = ['c', 'c', 's']\nprint(shapes.count('c'))", "2"),
    ("from sympy import Point\nA = Point(0, 0)\nB = Point(10, 0)\nprint(A.midpoint(B).distance(B))", "5"),
    ("import sympy as sp\nx = sp.symbols('x', positive=True)\nprint(sp.solve(sp.Eq(x*(x + 2), 48), x)[0])", "6"),
    ("import math\nprint(f'{math.pi:.2f}')", "3.14"),
    ("import sympy as sp\nsp.geometry.Triangle(sp.Point(0, 0), sp.Point(3, 0), sp.Point(0, 4)).area", "6"),
    ("from sympy.geometry import *\nCircle(Point(0, 0), 2).area", "4*pi"),
    ("def f(n):\n  return 1 if n < 2 else n * f(n - 1)\nprint(f(10))", "3628800"),
    (
        "class P:\n  def __init__(self, a):\n    self.a = a\n  def double(self):\n    return 2 * self.a\nP(4).double()",
        "8",
    ),
    ("total = 0\nfor i in range(5):\n  if i % 2: total += i\ntotal", "4"),
    ("x = 3\nprint('thinking')\nprint(x + 1)\n", "4"),
    ("print([i**2 for i in range(4)])", "[0, 1, 4, 9]"),
    ("'{:.2f} and {}'.format(2.5, 'b')", "2.50 and b"),
    ("'%d%%' % 20", "20%"),
    ("from fractions import Fraction\nFraction(1, 3) + Fraction(1, 6)", "1/2"),
    ("from itertools import permutations\nlen(list(permutations(range(5))))", "120"),
    ("from collections import Counter\nCounter('abca').most_common(1)[0][0]", "a"),
    ("import statistics\nstatistics.mean([1, 2, 3])", "2"),
    ("import mpmath\nprint(mpmath.nstr(mpmath.sqrt(2), 5))", "1.4142"),
    ("try:\n  1/0\nexcept ZeroDivisionError:\n  print('caught')", "caught"),
    ("print(10**50)", "1" + "0" * 50),
    (
        "from enum import Enum, IntEnum, auto\nclass C(Enum):\n  A = 1\n  B = auto()\nclass D(IntEnum):\n  X = 3\nC(1).name, C['B'].value, D.X + 1, len(C)",
        "('A', 2, 4, 2)",
    ),
    (
        "from collections import namedtuple\nP = namedtuple('P', 'x y', defaults=[5])\nclass Q(P):\n  def d(self): return self._asdict()\nQ(1).d()",
        "{'x': 1, 'y': 5}",
    ),
    (
        "import functools\ndef deco(f):\n  @functools.wraps(f)\n  def g(*a): return f(*a) + 1\n  return g\n@deco\ndef h(x): return x\nh(3)",
        "4",
    ),
    (
        "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass A:\n  x: int\n  y: list = field(default_factory=list)\nA(1) < A(2), A(3)",
        "(True, A(x=3, y=[]))",
    ),
    (
        "class Q:\n  def __init__(self): self._v = 3\n  def d(self): return self._twice(2) + self._v\n  def _twice(self, k): return 2*k\nQ().d()",
        "7",
    ),
    ("match (1, 2):\n  case (a, b): print(a + b)", "3"),
    ("def main():\n  print(5)\nif __name__ == '__main__':\n  main()", "5"),
    ("print(type(3).__name__)", "int"),
    (
        "from datetime import date\nprint(date(2024, 3, 1).strftime('%A %d %B %Y'), f'{date(2024, 3, 1):%d/%m}')",
        "Friday 01 March 2024 01/03",
    ),
    ("import time\nprint(time.strftime('%Y', (2024, 1, 1, 0, 0, 0, 0, 1, 0)))", "2024"),
    (
        "from datetime import datetime, timezone\nprint(datetime(2020, 1, 1, tzinfo=timezone.utc).timestamp())",
        "1577836800.0",
    ),
    (
        "import calendar\nprint(calendar.monthrange(2024, 2), calendar.day_name[calendar.weekday(2024, 1, 1)], calendar.isleap(1900))",
        "(3, 29) Monday False",
    ),
    ("import calendar\nprint(calendar.month(2024, 2))", "26 27 28 29"),
    (
        "from decimal import Decimal, getcontext\ngetcontext().prec = 30\nprint(Decimal(2).sqrt())",
        "1.41421356237309504880168872421",
    ),
    (
        "from decimal import *\nwith localcontext() as c:\n  c.prec += 2\n  print(Decimal(1) / 3)",
        "0.333333333333333333333333333333",
    ),
    ("from mpmath import mp\nmp.dps = 30\nprint(mp.sqrt(2))", "1.41421356237309504880168872421"),
    ("import sys\nsys.setrecursionlimit(10**6)\nprint(min(3, sys.maxsize))", "3"),
    ("import warnings\nwarnings.filterwarnings('ignore')\nprint(1)", "1"),
    (
        "from abc import ABC, abstractmethod\nclass A(ABC):\n  @abstractmethod\n  def f(self): ...\nclass B(A):\n  def f(self): return 3\nprint(B().f())",
        "3",
    ),
    (
        "from collections.abc import Iterable\nimport collections\nprint(isinstance([1], Iterable), isinstance({}, collections.abc.Mapping))",
        "True True",
    ),
    (
        "import string, textwrap\nprint(string.capwords('a b'), string.printable[:3], textwrap.shorten('a b c', 1, placeholder='.'))",
        "A B 012 .",
    ),
    (
        "class V:\n  def __init__(self, *a): self.a = list(a)\n  def __matmul__(self, o): return sum(map(lambda x, y: x*y, self.a, o.a))\n  def __setitem__(self, i, v): self.a[i] = v\nv = V(1, 2)\nv[0] = 5\nprint(v @ v)",
        "29",
    ),
    # What a class of the program's says of itself is asked by the program alone.
    (
        "class A:\n  def __init__(self): self.v = 1\n  def __eq__(self, o): return self.v == o.v\n  def __repr__(self): return 'A'\nprint(A())",
        "A",
    ),
    ("import mpmath\nprint(mpmath.matrix([[1, 2]]))", "[1.0  2.0]"),
]
# Dates from texts, and inequalities as school problems ask for them.
READ = "from datetime import datetime, timedelta\n"
DATES = [
    ("datetime.strptime('2024-03-01', '%Y-%m-%d').strftime('%A')", "Friday"),
    ("(datetime.strptime('31/12/2024', '%d/%m/%Y') - datetime.strptime('01/01/2024', '%d/%m/%Y')).days", "365"),
    ("(datetime.strptime('09:45', '%H:%M') + timedelta(minutes=50)).strftime('%H:%M')", "10:35"),
    ("datetime.strptime('March 5, 2021', '%B %d, %Y').date()", "2021-03-05"),
    ("datetime.fromisoformat('2023-05-06').weekday()", "5"),
]
REGIONS = [
    ("solve_univariate_inequality(x**2 - 4 < 0, x)", "(-2 < x) & (x < 2)"),
    ("solve_univariate_inequality(x**2 - 4 < 0, x, relational=False)", "Interval.open(-2, 2)"),
    ("solve_univariate_inequality(sin(x) > 0, x, relational=False, domain=Interval(0, 2*pi))", "Interval.open(0, pi)"),
    ("reduce_inequalities(abs(x - 2) < 3, x)", "(-1 < x) & (x < 5)"),
    ("reduce_inequalities([2*x + 3 > 7], [x])", "(2 < x) & (x < oo)"),
    ("solveset(abs(x - 1) + abs(x + 2) <= 5, x, S.Reals)", "Interval(-3, 2)"),
    ("solveset((x - 1)/(x + 2) > 0, x, S.Reals)", "Union(Interval.open(-oo, -2), Interval.open(1, oo))"),
    ("len(solveset(x**2 - 2*x - 3 <= 0, x, S.Reals).intersect(S.Integers))", "5"),
    ("solveset(sin(x) - Rational(1, 2), x, Interval(0, 2*pi))", "{pi/6, 5*pi/6}"),
    ("solveset(sqrt(x + 1) - x + 1, x, S.Reals)", "{3}"),
    ("sum(solveset(x**2 - 7*x + 10, x, S.Reals))", "7"),
    ("Union(Interval(0, 2), Interval(1, 4)).measure", "4"),
    ("imageset(x, x**2, Interval(-1, 2))", "Interval(0, 4)"),
    ("solve([x**2 < 9, x > 0], x)", "(0 < x) & (x < 3)"),
    ("And(x > 0, x < 5).as_set()", "Interval.open(0, 5)"),
]
ALGEBRA = [
    ("solve(x**2 - 4)", "[-2, 2]"), ("solve('x**2 - 4')", "[-2, 2]"), ("S('1/3') + S(2)/3", "1"), ("sympify('x^2')",
    "x**2"),
    ("x.subs('x', '2*y')", "2*y"), ("simplify('x + x')", "2*x"), ("Rational('1/3')", "1/3"), ("sympify('5!')", "120"),
    ("parse_expr('2 x + 3(x + 1)', transformations='all')", "5*x + 3"), ("sympify('[1, x, {2}]')[1]", "x"),
    ("lambdify(x, x**2 + 1)(3)", "10"), ("lambdify((x, y), [Rational(1, 2)*x, Matrix([[x, y]])])(1, 2)[1][1]", "2.0"),
    ("lambdify((x, y), x*y, 'math')(3, 4)", "12"), ("nsolve(cos(x) - x, 1).round(3)", "0.739"),
    ("integrate(x*exp(x), x)", "(x - 1)*exp(x)"), ("integrate(exp(-x**2), (x, -oo, oo))", "sqrt(pi)"),
    ("limit(sin(x)/x, x, 0)", "1"), ("Sum(1/n**2, (n, 1, oo)).doit()", "pi**2/6"), ("factor(x**4 - 1)",
    "(x - 1)*(x + 1)*(x**2 + 1)"),
    ("dsolve(f(x).diff(x) - f(x), f(x)).rhs", "C1*exp(x)"), ("rsolve(f(n+1) - 2*f(n), f(n), {f(0): 1})", "2**n"),
    ("reduce_inequalities([x**2 < 4, x > 0], x)", "(0 < x) & (x < 2)"), ("Matrix([[1, 2], [3, 4]]).det()", "-2"),
    ("Matrix([[2, 0], [0, 3]]).eigenvals()", "{2: 1, 3: 1}"), ("satisfiable(Symbol('a') & ~Symbol('a'))", "False"),
    ("diophantine(3*x + 5*y - 7) and 1", "1"), ("factorint(360)", "{2: 3, 3: 2, 5: 1}"), ("Poly(x**2 - 2).nroots(n=3)",
    "[-1.41, 1.41]"),
    ("maximum(x*(4 - x), x, Interval(0, 4))", "4"), ("linsolve([x + y - 1, x - y], [x, y])", "{(1/2, 1/2)}"),
    ("laplace_transform(exp(-x), x, y)[0]", "1/(y + 1)"), ("fourier_series(x, (x, -pi, pi)).truncate(1)", "2*sin(x)"),
    ("minimal_polynomial(sqrt(2) + sqrt(3), x)", "x**4 - 10*x**2 + 1"), ("interpolate([(1, 2), (3, 8)], x)", "3*x - 1"),
    ("groebner([x*y - 1, x + y], x, y).exprs", "[x + y, y**2 + 1]"), ("latex(x**2/3)", "\\frac{x^{2}}{3}"),
    ("N(pi, 20)", "3.1415926535897932385"),
    ("RegularPolygon(Point(0, 0), 1, 6).area", "3*sqrt(3)/2"),
    ("Plane(Point3D(0, 0, 0), normal_vector=(1, 1, 1)).distance(Point3D(1, 2, 3))", "2*sqrt(3)"),
    ("refine(sqrt(x**2), Q.positive(x))", "x"), ("solve(sqrt(x) - x + 2, x)", "[4]"),
    ("from sympy.stats import Die, P\nP(Die('X', 6) > 3)", "1/2"),
    ("from sympy.physics.units import *\nconvert_to(3*kilometer, meter)", "3000*meter"),
    ("from sympy.calculus.util import minimum\nminimum(x**2, x, S.Reals)", "0"),
    ("from sympy.abc import a, b\nexpand((a + b)**2)", "a**2 + 2*a*b + b**2"),
    ("from sympy.utilities.iterables import multiset_permutations\nlen(list(multiset_permutations([1, 1, 2])))", "3"),
    ("var('q')\nq + 1", "q + 1"), ("init_printing()\nx", "x"),
    ("pretty(x**2/3)", "x**2/3"), ("solve", "<function solve>"),
]  # fmt: skip


@pytest.fixture(scope="module")
def pool():
    with EnginePool(workers=2, limits=Limits(cpu_s=5, wall_s=20), languages=["sympy"]) as running:
        yield running


NAMES = [
    ("from sympy.stats import E, Die\nprint(E(Die('X', 6)))", "7/2"),  # not the number e
    ("import sympy.stats as st\nprint(st.E(st.Die('X', 6)))", "7/2"),
    ("from sympy.physics.units import degree\nprint(degree)", "degree"),  # not that of a polynomial
    ("from sympy import *\nvar('x y')\nprint(solve([x + y - 3, x - y - 1]))", "{x: 2, y: 1}"),
    ("from sympy import *\npprint(Symbol('x')**2/3, use_unicode=False)", "x**2/3"),  # not the 3 below a bar
    ("from sympy.printing.pretty import pprint\nfrom sympy.abc import x\npprint(x/3)", "x/3"),
    ("from sympy.core.symbol import var\nvar('a:3')\nprint(a0 + a2)", "a0 + a2"),
    ("import sympy\nq = sympy.var('q', positive=True)\nprint(sympy.sqrt(q**2))", "q"),
]


@pytest.mark.parametrize(
    "program, text",
    [
        *VALUES,
        *NAMES,
        *((START + body, text) for body, text in ALGEBRA + REGIONS),
        *((READ + body, text) for body, text in DATES),
    ],
)
def test_value(pool, program, text):
    result = pool.run("sympy", program)
    assert (result.status, result.text) == (Status.OK, text), result.messages


def test_recorded_programs_give_what_sympy_gave(pool, shared_data):
    import json

    problems = json.loads((shared_data / "token_problems.json").read_text())["problems"]
    for problem in problems:
        for arm in ("sympy", "sympy_min"):
            assert pool.run("sympy", problem[arm]).text == problem[f"{arm}_output"], (problem["id"], arm)


@pytest.mark.parametrize(
    "program, status, said",
    [
        ("x = (1", Status.SYNTAX, "SyntaxError"),
        ("1/0", Status.UNEVALUATED, "ZeroDivisionError"),
        ("y + 1", Status.UNEVALUATED, "NameError"),
        ("x = 5", Status.UNEVALUATED, "novalue"),
        ("from sympy import *\nintegrate(sin(sin(Symbol('x'))))", Status.UNEVALUATED, None),
        (
            "from sympy import *\nx = Symbol('x')\nprint(solveset(Eq(floor(x), 3), x, S.Reals))",
            Status.UNEVALUATED,
            None,
        ),
        ("class A(Exception):\n  def __str__(self): return 5\nraise A()", Status.UNEVALUATED, "A"),
        ("class A(Exception):\n  def __str__(self): return str(self)\nraise A()", Status.UNEVALUATED, "A"),
        ("class A(Exception):\n  def __str__(self): raise self\nraise A()", Status.UNEVALUATED, "A"),
        ("class A:\n  def __str__(self): return 5\nraise ValueError(A())", Status.UNEVALUATED, "ValueError"),
        ("class A(str):\n  def __len__(self): raise self\nA('')", Status.OK, None),
        ("import os", Status.REFUSED, "refused"),
        ("import _strptime", Status.REFUSED, "refused"),
        ("try:\n  import os\nexcept:\n  print(5)", Status.REFUSED, "refused"),  # swallowing does not help
        ("print('x' * 100_000)", Status.MEMORY, "output"),
        ("import numpy", Status.UNEVALUATED, "ModuleNotFoundError"),
    ],
)
def test_outcomes_without_a_value(pool, program, status, said):
    result = pool.run("sympy", program)
    assert result.status is status
    assert [m.tag for m in result.messages] == ([said] if said else [])


@pytest.mark.parametrize("name", ["attrgetter", "methodcaller"])
def test_a_refusal_says_what_to_write_instead(pool, name):
    result = pool.run("sympy", f"from operator import {name}\nprint(sorted([], key={name}('x')))")
    assert result.status is Status.REFUSED and "write lambda" in result.messages[0].text


def test_structured_values(pool):
    values = {
        "[1, Rational(1, 2), 0.5]": ["List", 1, ["Rational", 1, 2], 0.5],
        "x**2": ["Power", ["Symbol", "x"], 2],
        "pi": ["Symbol", "Pi"],
        "{'a': 1}": ["Association", ["Rule", ["String", "a"], 1]],
        "x > 1": ["Greater", ["Symbol", "x"], 1],
        "True": ["Symbol", "True"],
        "print(7)": 7,
        "Matrix([1])": None,
    }
    got = {text: pool.run("sympy", START + text).value for text in values}
    assert got == values


def test_no_attribute_is_read_by_a_name_that_is_a_text(pool):
    assert {
        program: status
        for program in BY_NAME + SHUT
        if (status := pool.run("sympy", program).status) is not Status.REFUSED
    } == {}


def test_a_program_changes_nothing_for_the_next(pool):
    pool.run("sympy", "import sympy\nsympy.core.add.Add.flat = 1\nprint = 3")
    pool.run("sympy", "from sympy import *\nglobal_parameters.evaluate = False")
    assert pool.run("sympy", START + "x + x").text == "2*x"
