"""Products of letters beside words of algebra, ranges between numbers that are not whole, and parts that must be
real."""

import random
from fractions import Fraction
from math import ceil, floor

import pytest

from nsrl.engines import Status
from nsrl.engines.nsl.run import evaluate

VALUES = """
diff(xy,x) | y
diff(ab,a) | b
diff(mg,m) | g
diff(xe^x,x) | E^x + E^x*x
diff(sin(xy),x) | y*Cos[x*y]
int(xy,x,0,1) | y/2
lim((2xh+h²)/h,h→0) | 2*x
coef(3xy+x,x) | 1 + 3*y
factor(x²+2xy+y²) | (x + y)^2
expand((x+y)²-2xy) | x^2 + y^2
simp((a+b)²-a²-2ab-b²) | 0
collect(xy+x,x) | x*(1 + y)
diff(cost*x,x) | cost
rate=3; int(rate*t,t,0,2) | 6
1.5..4 | {2, 3, 4}
0.1..0.5 | {}
√2..5 | {2, 3, 4, 5}
x=1.5; {x..4} | {2, 3, 4}
m=1.5; n=4; sum(k for k in m..n) | 9
x in 1.5..4; count{x} | 3
x in 1..3; y in x..3; count{x,y} | 6
√x√x=2; x | 2
x²/x=3; x | 3
choose(5,2) | 10
asin 0.5→° | 30.
2x+3>7; x∈ℤ; min{x} | 3
""".strip().splitlines()
REFUSED = ["diff(xyz,x)", "int(rate*t,t)"]
NOT_REAL = ["√x√x=-2;x", "(√x)²=-3;x", "e^(ln x)=-2;x", "x²/x=0;x", "x^2*x^-1=0;x", "meet((0,0),(1,1),(0,1),(1,2))"]


@pytest.mark.parametrize("line", VALUES)
def test_values(line):
    program, _, wanted = line.partition(" | ")
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, wanted), result.messages


@pytest.mark.parametrize("program", REFUSED)
def test_longer_names_with_the_letter_of_the_word_are_refused(program):
    result = evaluate(program)
    assert result.status is Status.SYNTAX and "write the product" in str(result.messages[0])


@pytest.mark.parametrize("program", NOT_REAL)
def test_what_is_not_real_as_written_is_no_solution(program):
    assert evaluate(program).status is Status.NO_SOLUTION


def test_ranges_between_any_numbers():
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(60):
        a, b = Fraction(rng.randint(-60, 60), 10), Fraction(rng.randint(-60, 90), rng.choice((2, 3, 4)))
        low = rng.choice((f"({a})", f"{float(a)}")) if a >= 0 else f"({a})"
        program = rng.choice(("{low}..({b})", "{{k for k in {low}..({b})}}", "a={low};b={b};{{a..b}}")).format(
            low=low, b=b
        )
        result = evaluate(program)
        wanted = ", ".join(map(str, range(ceil(a), floor(b) + 1)))
        assert result.text == f"{{{wanted}}}", (seed, program, result)


def test_powers_of_roots_over_the_reals():
    """√(x+a)^m √(x+a)^n = c for m+n even is a polynomial where x ≥ -a alone."""
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(30):
        a, c = rng.randint(-5, 5), rng.randint(-9, 9)
        root = f"√(x{a:+d})"
        result = evaluate(f"{root}*{root}={c};x")
        wanted = (Status.OK, str(c - a)) if c >= 0 else (Status.NO_SOLUTION, "{}")
        assert (result.status, result.text) == wanted, (seed, a, c, result)
