"""Random programs against plain Python: functions in pieces, conditions on whole numbers, sums of squares, quantiles,
recurrences."""

import random
from fractions import Fraction
from math import comb, factorial, gcd, isqrt, lcm

import pytest

from nsrl.engines.wolfram import evaluate

SEED = random.SystemRandom().randrange(10**6)  # a number here repeats a run


@pytest.fixture
def rng(request):
    return random.Random(f"{SEED} {request.node.name}")


def value(program):
    result = evaluate(program)
    assert result.status.value == "ok", (SEED, program, result.text)
    return result.text


def polynomial(rng, degree=2):
    return [rng.randint(-4, 4) for _ in range(degree + 1)]


def text(c):
    return "(" + "+".join(f"({a}) x^{k}" for k, a in enumerate(c)) + ")"


def at(c, x):
    return sum(a * x**k for k, a in enumerate(c))


def in_pieces(rng):
    """(text, function) of something that changes its formula."""
    p, q, r = (polynomial(rng) for _ in range(3))
    return rng.choice([
        (f"Abs[{text(p)}]", lambda x: abs(at(p, x))), (f"Max[{text(p)},{text(q)}]", lambda x: max(at(p, x), at(q, x))),
        (f"Min[{text(p)},Abs[{text(q)}]]", lambda x: min(at(p, x), abs(at(q, x)))), (f"Sign[{text(p)}] x",
        lambda x: x * ((at(p, x) > 0) - (at(p, x) < 0))),
        (f"If[{text(p)}>0,{text(q)},{text(r)}]", lambda x: at(q, x) if at(p, x) > 0 else at(r, x)),
        (f"Piecewise[{{{{{text(q)},x<=1}},{{{text(r)},{text(p)}>=2}}}},3]", lambda x: at(q, x) if x <= 1 else at(r,
        x) if at(p, x) >= 2 else 3),
        (f"Abs[Abs[{text(p)}]-2]", lambda x: abs(abs(at(p, x)) - 2)),
    ])  # fmt: skip


@pytest.mark.parametrize("case", range(15))
def test_an_integral_in_pieces(rng, case):
    program, f = in_pieces(rng)
    a = rng.randint(-3, 2)
    b = a + rng.randint(1, 4)
    steps = 20_000
    h = (b - a) / steps
    wanted = sum(f(a + (k + 0.5) * h) for k in range(steps)) * h  # a jump costs a step's height times h at most
    got = value(f"N[Integrate[{program},{{x,{a},{b}}}]]")
    assert abs(float(got.replace("*^", "e")) - wanted) < 0.2, (SEED, program, a, b, got, wanted)


@pytest.mark.parametrize("case", range(15))
def test_a_limit_from_one_side(rng, case):
    program, f = in_pieces(rng)
    at_, side = rng.choice([-1, 0, 1, Fraction(1, 2)]), rng.choice(["FromAbove", "FromBelow"])
    wanted = f(at_ + Fraction(1 if side == "FromAbove" else -1, 10**12))
    got = value(f'N[Limit[{program},x->{at_},Direction->"{side}"]]')
    assert abs(float(got.replace("*^", "e")) - wanted) < 1e-6, (SEED, program, at_, side, got)


def totient(n):
    return sum(gcd(k, n) == 1 for k in range(1, n + 1))


@pytest.mark.parametrize("case", range(15))
def test_conditions_on_bounded_whole_numbers(rng, case):
    m, high = rng.randint(2, 30), rng.randint(5, 60)
    some = rng.randint(1, high)
    condition, f = rng.choice([
        (f"GCD[n,{m}]==", lambda n: gcd(n, m)), (f"LCM[n,{m}]==", lambda n: lcm(n, m)), ("EulerPhi[n]==", totient),
        (f"Mod[n!,{m}]==", lambda n: factorial(n) % m), (f"n+GCD[n^2,{m}]==", lambda n: n + gcd(n * n, m)),
    ])  # fmt: skip
    wanted = [n for n in range(1, high + 1) if f(n) == f(some)]
    got = value(f"SolveValues[{condition}{f(some)}&&1<=n<={high},n,Integers]")
    assert got == "{" + ", ".join(map(str, wanted)) + "}", (SEED, condition, f(some), high)


def test_conditions_without_bounds_stay():
    for condition in ("GCD[n,6]==2", "EulerPhi[n]==4", "Divisible[n,3]", "LCM[n,4]==12&&n>0"):
        assert evaluate(f"Solve[{condition},n,Integers]").status.value == "unevaluated", condition


@pytest.mark.parametrize("case", range(15))
def test_a_sum_of_squares_is_zero_in_each(rng, case):
    x, y, z = point = [rng.randint(-4, 4) for _ in range(3)]
    while True:
        rows = [[rng.randint(-3, 3) for _ in range(3)] for _ in range(3)]
        (a, b, c), (d, e, f), (g, h, i) = rows
        if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g):
            break
    squares = [f"{rng.randint(1, 3)} (({p})x+({q})y+({r})z-({p * x + q * y + r * z}))^2" for p, q, r in rows]
    left = "+".join(squares) if rng.random() < 0.5 else f"Expand[{'+'.join(squares)}]"
    sign = rng.choice(["", "-"])
    wanted = "{{" + ", ".join(f"{n} -> {v}" for n, v in zip("xyz", point)) + "}}"
    assert value(f"Solve[{sign}({left})==0,{{x,y,z}},Reals]") == wanted, (SEED, left)
    assert value(f"Solve[{left}+{rng.randint(1, 5)}==0,{{x,y,z}},Reals]") == "{}", (SEED, left)
    assert evaluate(f"Solve[{left}-{rng.randint(1, 5)}==0,{{x,y,z}},Reals]").status.value == "unevaluated", (SEED, left)


@pytest.mark.parametrize("case", range(15))
def test_a_continued_fraction_and_back(rng, case):
    a, b, c, d = (
        rng.randint(0, 9),
        rng.randint(1, 4),
        rng.randint(1, 6),
        rng.choice([n for n in range(2, 50) if isqrt(n) ** 2 != n]),
    )
    surd = f"({a}+{b} Sqrt[{d}])/{c}"
    result = evaluate(f"ContinuedFraction[{surd}]")
    if result.status.value == "unevaluated":
        whole = value(f"IntegerPart[{surd}]")
        below = value(f"-1<({a}-{b} Sqrt[{d}])/{c}<0")
        assert int(whole) >= 1 and below == "True", (SEED, surd)  # Galois: the period begins at once
        return
    before, period = result.text[1:-2].split("{")
    first = [int(k) for k in before.split(",") if k.strip()]
    again = [int(k) for k in period.split(",")]
    size = min(len(first) + 2 * len(again), 30)
    expanded = value(f"ContinuedFraction[{surd},{size}]")
    assert expanded == "{" + ", ".join(map(str, (first + again * 30)[:size])) + "}", (SEED, surd)
    assert first[-1] != again[-1], (SEED, surd)
    assert value(f"RootReduce[FromContinuedFraction[{result.text}]-({surd})]") == "0", (SEED, surd)


@pytest.mark.parametrize("case", range(15))
def test_a_quantile_of_whole_numbers(rng, case):
    n, p, q = rng.randint(1, 12), Fraction(rng.randint(1, 9), 10), Fraction(rng.randint(1, 99), 100)
    d, density = rng.choice([
        (f"BinomialDistribution[{n},{p}]", lambda k: comb(n, k) * p**k * (1 - p) ** (n - k)),
        (f"GeometricDistribution[{p}]", lambda k: p * (1 - p) ** k),
        (f"DiscreteUniformDistribution[{{0,{n}}}]", lambda k: Fraction(1, n + 1)),
    ])  # fmt: skip
    total, k = density(0), 0
    while total < q:
        k += 1
        total += density(k)
    assert value(f"Quantile[{d},{q}]") == value(f"InverseCDF[{d},{q}]") == str(k), (SEED, d, q)


@pytest.mark.parametrize("case", range(15))
def test_a_table_of_a_recurrence(rng, case):
    a, b, c = (rng.randint(-3, 3) for _ in range(3))
    first, start = rng.randint(0, 2), [rng.randint(-5, 5) for _ in range(2)]
    form = rng.choice([
        f"a[n+2]==({a})a[n+1]+({b})a[n]+({c})n", f"a[n]-({a})a[n-1]==({b})a[n-2]+({c})(n-2)",
        f"({c})(n-1)==a[n+1]-({a})a[n]-({b})a[n-1]",
    ])  # fmt: skip
    if b == 0:
        form = f"a[n+2]==({a})a[n+1]+0 a[n]+({c})n"
    values = list(start)
    while len(values) < 8:
        values.append(a * values[-1] + b * values[-2] + c * (len(values) - 2 + first))
    got = value(
        f"RecurrenceTable[{{{form},a[{first}]=={start[0]},a[{first + 1}]=={start[1]}}},a,{{n,{first},{first + 7}}}]"
    )
    assert got == "{" + ", ".join(map(str, values)) + "}", (SEED, form, first, start)


def test_what_a_recurrence_does_not_say_stays():
    for program in (
        "RecurrenceTable[{a[n+1]==3a[n]},a,{n,1,5}]", "RecurrenceTable[{a[n+1]==3a[n],a[1]==1,a[1]==2},a,{n,1,5}]",
        "RecurrenceTable[{a[n+1]^2==4a[n],a[1]==4},a,{n,1,3}]", "RecurrenceTable[{a[n+1]==a[n],a[2]==1},a,{n,1,3}]",
    ):  # fmt: skip
        assert evaluate(program).status.value == "unevaluated", program
