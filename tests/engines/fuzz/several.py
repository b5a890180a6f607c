"""Several unknowns, whole numbers and extrema: systems by substitution and elimination, integers by brute force,
extrema by grids."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
from mpmath import mp, mpf

from nsrl.engines import Result
from tests.engines.fuzz.equations import judged, polynomial_roots, polynomial_text, random_polynomial, read, times, true
from tests.engines.fuzz.matrices import fractions
from tests.engines.fuzz.runner import RIGHT, WRONG, Case, Kind
from tests.engines.fuzz.values import DIGITS, NoNumber, match, number, rules, same


def _determinant(rows: list[list[int]]) -> int:
    if not rows:
        return 1
    return sum((-1) ** j * c * _determinant([[*r[:j], *r[j + 1 :]] for r in rows[1:]]) for j, c in enumerate(rows[0]))


def _linear(rng: random.Random) -> Case:
    """Square integer systems with one solution, by elimination in decimals."""
    n = rng.choice((2, 2, 3))
    names = ("x", "y", "z")[:n]
    rows = [[rng.randint(-6, 6) for _ in range(n)] for _ in range(n)]
    right = [rng.randint(-12, 12) for _ in range(n)]
    if not _determinant(rows):
        return _linear(rng)
    text = "&&".join(
        "+".join(f"({c})*{v}" for c, v in zip(row, names, strict=True)) + f"=={r}"
        for row, r in zip(rows, right, strict=True)
    )

    def expected() -> list[tuple]:
        with mp.workdps(2 * DIGITS):
            x = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(right))
            return [tuple(x[i] for i in range(n))]

    return Case(
        "wolfram",
        rng.choice(("Solve", "NSolve")) + f"[{text},{{{','.join(names)}}}]",
        judged(expected, names, mpf(10) ** -13),
    )


def _polynomial_system(rng: random.Random) -> Case:
    """y = p(x) with q(x, y) = 0 of degree 2: by putting y in; or a product and a sum."""
    p, q = random_polynomial(rng, 2), [rng.randint(-4, 4) for _ in range(5)]
    a, b, c, d, e = q  # a x² + b y² + c x + d y + e
    square = times(p, p)
    total = [0] * 6
    for k, part in ((a, [0, 0, 1]), (b, square), (c, [0, 1]), (d, p), (e, [1])):
        for i, v in enumerate(part):
            total[i] += k * v
    while total and not total[-1]:
        total.pop()
    if len(total) < 2:
        return _polynomial_system(rng)
    real = rng.random() < 0.4

    def expected() -> list[tuple]:
        with mp.workdps(2 * DIGITS):
            return [(x, mpmath.polyval(p[::-1], x)) for x in polynomial_roots(total) if not real or isinstance(x, mpf)]

    text = f"y=={polynomial_text(p)}&&({a})*x^2+({b})*y^2+({c})*x+({d})*y+({e})==0"
    return Case("wolfram", f"Solve[{text},{{x,y}}{',Reals' if real else ''}]", judged(expected, ("x", "y")))


def _overdetermined(rng: random.Random) -> Case:
    """Several equations in one unknown, or one more than unknowns: what they have in common."""
    p, q, r = (random_polynomial(rng, 2) for _ in range(3))
    joined = rng.choice(("&&", ","))
    first, second = (times(p, q), times(p, r)) if rng.random() < 0.7 else (q, r)
    text = f"{polynomial_text(first)}==0{joined}{polynomial_text(second)}==0"

    def expected() -> list[tuple]:
        with mp.workdps(DIGITS):
            return [(x,) for x in polynomial_roots(first) if same(mpmath.polyval(second[::-1], x), 0)]

    return Case("wolfram", f"Solve[{'{' + text + '}' if joined == ',' else text},x]", judged(expected))


def _parameters(rng: random.Random) -> Case:
    """One unknown with parameters: the solutions at random values of these are those of the equation there."""
    names = {n: rng.choice((2, 3, 5, 7)) for n in "abc"}
    text, coefficients = rng.choice((
        ("a*x+b==c", lambda a, b, c: [b - c, a]), ("a*x^2+b*x+c==0", lambda a, b, c: [c, b, a]), ("x^2==a+b", lambda a,
        b, c: [-a - b, 0, 1]),
        ("a/x==b-c", lambda a, b, c: [-a, b - c]), ("(x-a)(x-b)==c", lambda a, b, c: [a * b - c, -a - b, 1]),
        ("x^2-2a*x+a^2==b^2", lambda a, b, c: [a * a - b * b, -2 * a, 1]), ("a*x^3==b", lambda a, b, c: [-b, 0, 0, a]),
        ("x^3+a*x+b==0", lambda a, b, c: [b, a, 0, 1]), ("x/(x+a)==b", lambda a, b, c: [a * b, b - 1]),
    ))  # fmt: skip
    if text == "a/x==b-c" and names["b"] == names["c"]:
        names["c"] += 1
    if text == "x/(x+a)==b" and names["b"] == 1:
        names["b"] = 2

    def judge(result: Result) -> str:
        with mp.workdps(DIGITS):
            try:
                found = [(number(rules(s)["x"], {n: mpf(v) for n, v in names.items()}),) for s in result.value[1:]]
            except (NoNumber, KeyError):
                return WRONG
            wanted = [(r,) for r in polynomial_roots(coefficients(**names))]
            unique = [f for i, f in enumerate(found) if not any(match([f], [g]) for g in found[:i])]
            return RIGHT if match(unique, wanted) else WRONG

    return Case("wolfram", f"Solve[{text},x]", judge)


def _integers(rng: random.Random) -> Case:
    """Whole solutions of conditions that bound them, by trying every point of a larger box."""
    a, b, c, k = rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 60), rng.randint(1, 12)
    text, names, f, box = rng.choice((
        (f"{a}x+{b}y=={c}&&x>=0&&y>=0", "xy", lambda x, y: a * x + b * y == c and x >= 0 and y >= 0, 70),
        (f"x*y=={c}&&x>0&&y>0", "xy", lambda x, y: x * y == c and x > 0 and y > 0, 70),
        (f"x*y=={c}", "xy", lambda x, y: x * y == c, 70),
        (f"x^2+y^2=={c}", "xy", lambda x, y: x * x + y * y == c, 20),
        (f"{a}x+1>{k}&&x<{c}", "x", lambda x: a * x + 1 > k and x < c, 100),
        (f"x^2+{a}*x<={c}", "x", lambda x: x * x + a * x <= c, 100),
        (f"Mod[x,{a + 1}]==1&&Mod[x,{b + 1}]==0&&0<x<{c}", "x",
        lambda x: x % (a + 1) == 1 and x % (b + 1) == 0 and 0 < x < c, 100),
        (f"x*y+{a}x+{b}y=={c}&&x>0&&y>0", "xy", lambda x, y: x * y + a * x + b * y == c and x > 0 and y > 0, 70),
        (f"x+y=={c}&&0<=x<=y", "xy", lambda x, y: x + y == c and 0 <= x <= y, 70),
        (f"x^2-y^2=={c}&&x>0&&y>=0", "xy", lambda x, y: x * x - y * y == c and x > 0 and y >= 0, 70),
        (f"x+y+z=={k}&&x>0&&y>=x&&z>=y", "xyz", lambda x, y, z: x + y + z == k and x > 0 and y >= x and z >= y, 13),
        (f"Abs[x-{k}]+Abs[y]<={a}", "xy", lambda x, y: abs(x - k) + abs(y) <= a, 20),
        (f"x^3-{a}*x=={b}", "x", lambda x: x**3 - a * x == b, 100),
        (f"2^x<={c}&&x>=0", "x", lambda x: x >= 0 and 2**x <= c, 12),
        (f"{a}x^2+{b}y^2<={k}&&x+y>0", "xy", lambda x, y: a * x * x + b * y * y <= k and x + y > 0, 20),
        (f"x^2+x*y+{a}*y^2+{k}*x-{b}*y<={c}", "xy", lambda x, y: x * x + x * y + a * y * y + k * x - b * y <= c, 45),
        (f"x^2+y^2-{2 * k}*x+{2 * a}*y=={c}", "xy", lambda x, y: x * x + y * y - 2 * k * x + 2 * a * y == c, 45),
        (f"x!=2&&{-k}<x<={a}", "x", lambda x: x != 2 and -k < x <= a, 30),
        (f"Sqrt[x]!={b}&&{-k}<=x<={c}", "x", lambda x: 0 <= x <= c and x != b * b, 65),
        (f"Sqrt[x]+y!={b}&&{-k}<=x<={k}&&{-a}<=y<={a}", "xy", lambda x,
        y: 0 <= x <= k and abs(y) <= a and not (y <= b and x == (b - y) ** 2), 13),
    ))  # fmt: skip

    def expected() -> list[tuple]:
        return [p for p in product(range(-box, box + 1), repeat=len(names)) if f(*p)]

    way = rng.choice((0, 0, 1)) if len(names) == 1 else 0
    variables = ",".join(names)
    if way:

        def judge(result: Result) -> str:
            parts = (
                result.value[1:]
                if result.value[0] == "Or"
                else []
                if result.value == ["Symbol", "False"]
                else [result.value]
            )
            return (
                RIGHT
                if sorted(p[2] for p in parts) == [x for (x,) in expected()] and all(p[0] == "Equal" for p in parts)
                else WRONG
            )

        return Case("wolfram", f"Reduce[{text},x,Integers]", judge)
    return Case("wolfram", f"Solve[{text},{{{variables}}},Integers]", judged(expected, tuple(names)))


def _instances(rng: random.Random) -> Case:
    a, b, c = rng.randint(1, 5), rng.randint(1, 30), rng.randint(-4, 4)
    text = rng.choice((f"x^2+y^2=={b}&&x>{c}", f"x+{a}*y=={c}&&x>y", f"x^2+y^2<{a}&&x>y", f"x*y=={b}&&x+y=={b + 1}",
    f"x^2-y^2=={a}&&y>0",
                       f"x>{c}&&y>x&&x+y<{b}", f"Abs[x]+Abs[y]<={a}&&x*y>1/2"))  # fmt: skip

    def judge(result: Result) -> str:
        with mp.workdps(30):
            tree = read(text)
            try:
                if result.value == ["List"]:
                    spots = [mpf(i) / 4 for i in range(-60, 61)]
                    return WRONG if "==" not in text and any(true(tree, x, y) for x in spots for y in spots) else RIGHT
                point = {n: number(v) for n, v in rules(result.value[1]).items()}
                return RIGHT if _meets(text, point) else WRONG
            except (NoNumber, KeyError):
                return WRONG

    return Case("wolfram", f"FindInstance[{text},{{x,y}},Reals]", judge)


def _meets(text: str, point: dict[str, Any]) -> bool:
    """Every part of a conjunction at a point, equations within rounding."""
    for part in text.split("&&"):
        if "==" in part:
            left, right = part.split("==")
            if not same(_number_at(left, point), _number_at(right, point), mpf(10) ** -20):
                return False
        elif not true(read(part), point["x"], point["y"]):
            return False
    return True


def _number_at(text: str, point: dict[str, Any]) -> Any:
    return eval(read(text), {"__builtins__": {}}, {"mpf": mpf, "abs": abs, **point})


def _scales(rng: random.Random) -> Case:
    """Huge and tiny numbers beside each other: products of differences with their own roots, exactly."""
    size = 10 ** rng.randint(8, 220)
    tiny = rng.random() < 0.3
    a = rng.choice((size, size + rng.randint(-3, 3), rng.randint(2, 9) * size + 1))
    b = rng.choice((a + rng.randint(1, 4), -a, rng.randint(-3, 3), 3 * a + 1))
    p, q = (Fraction(1, a), Fraction(1, b or 2)) if tiny else (a, b)
    edge = rng.choice((p, q, p - 1, 0, q + (p - q) / 2 if tiny else (p + q) // 2))
    op, holds = rng.choice(
        ((">", lambda x: x > edge), (">=", lambda x: x >= edge), ("<", lambda x: x < edge), ("!=", lambda x: x != edge))
    )
    domain = rng.choice(("", ",Reals", ",Integers"))
    square, total, shift = abs(p * q), p + q, rng.randint(1, 5)
    text, names, wanted = rng.choice((
        (f"x^2-({total})*x+({p * q})==0&&x{op}{edge}", "x", {(x,) for x in (p, q) if holds(x)}),
        (f"(x-({p}))*(x-({q}))==0&&x{op}{edge}", "x", {(x,) for x in (p, q) if holds(x)}),
        (f"x^2==({p})^2&&x{op}{edge}", "x", {(x,) for x in (p, -p) if holds(x)}),
        (f"Sqrt[x]==({abs(p)})", "x", {(p * p,)}),
        (f"x+y==({p})&&x-y==({q})&&x{op}{edge}", "xy", {(total / Fraction(2),
        (p - q) / Fraction(2))} if holds(total / Fraction(2)) else set()),
        (f"x^2==({square})^2+({shift})&&x>{square}", "x", {("root", square, shift)}),
    ))  # fmt: skip
    if domain == ",Integers":
        wanted = {w for w in wanted if w[0] == "root" or all(Fraction(v).denominator == 1 for v in w)}
        if ("root", square, shift) in wanted:
            wanted = (
                {(Fraction(v),) for v in range(1, 4) if square == Fraction(shift - v * v, 2 * v)}
                if Fraction(square).denominator == 1
                else set()
            )
    program = f"Solve[{text},{{{','.join(names)}}}{domain}]"

    def judge(result: Result) -> str:
        if wanted and next(iter(wanted))[0] == "root":  # one number, whose square is known
            with mp.workdps(1200):
                x = [number(rules(s)["x"]) for s in result.value[1:]]
                return (
                    RIGHT
                    if len(x) == 1 and x[0] > 0 and same(x[0] ** 2, number_of(square) ** 2 + shift, mpf(10) ** -1100)
                    else WRONG
                )
        try:
            found = {tuple(fractions(rules(s)[n]) for n in names) for s in result.value[1:]}
        except (NoNumber, KeyError):
            return WRONG
        return RIGHT if found == wanted else WRONG

    return Case("wolfram", program, judge)


def number_of(f: Fraction | int) -> Any:
    return mpf(Fraction(f).numerator) / Fraction(f).denominator


def _resolved(rng: random.Random) -> Case:
    """Whether a quadratic polynomial in two unknowns is nowhere below a number: by its least value, if it has one."""
    a, b, c, d, e = (rng.randint(-3, 4) for _ in range(5))
    strict, k = rng.random() < 0.5, rng.randint(-6, 6)
    det = 4 * a * c - b * b
    if a > 0 and det > 0:  # at the point where both derivatives vanish
        x, y = Fraction(-2 * c * d + b * e, det), Fraction(-2 * a * e + b * d, det)
        least = a * x * x + b * x * y + c * y * y + d * x + e * y
        if rng.random() < 0.4 and least.denominator == 1:
            k = int(least)
        holds = least > k or (least == k and not strict)
    elif det == 0 and (a > 0 or c > 0) and 2 * a * e == b * d and 2 * c * d == b * e:  # constant along one direction
        least = Fraction(-d * d, 4 * a) if a else Fraction(-e * e, 4 * c)
        holds = least > k or (least == k and not strict)
    elif (a, b, c, d, e) == (0,) * 5:
        return _resolved(rng)
    else:
        holds = False
    text = f"({a})*x^2+({b})*x*y+({c})*y^2+({d})*x+({e})*y{'>' if strict else '>='}{k}"
    if rng.random() < 0.5:
        return Case(
            "wolfram", f"Resolve[ForAll[{{x,y}},{text}],Reals]", lambda r: RIGHT if r.text == str(holds) else WRONG
        )
    return Case(
        "wolfram", f"Resolve[Exists[{{x,y}},Not[{text}]],Reals]", lambda r: RIGHT if r.text == str(not holds) else WRONG
    )


# --- extrema


def _values_on(f: Callable, low: float, high: float, n: int = 4000) -> list[float]:
    out = []
    for i in range(n + 1):
        try:
            v = f(low + (high - low) * i / n)
        except (ZeroDivisionError, ValueError, OverflowError):
            continue
        if not isinstance(v, complex) and v == v:
            out.append(float(v))
    return out


def _extremum(rng: random.Random) -> Case:
    """One unknown over an interval or the line, against a grid."""
    a, b, c, k = rng.randint(-5, 5), rng.randint(-5, 5), rng.randint(1, 5), rng.randint(1, 4)
    fp = mpmath.fp
    text, f, low, high = rng.choice((
        (f"x^2+({a})*x+({b})", lambda x: x * x + a * x + b, -20, 20),
        (f"{{x^3+({a})*x+({b}),-{c}<=x<={k}}}", lambda x: x**3 + a * x + b, -c, k),
        (f"x^4+({a})*x^2+({b})*x", lambda x: x**4 + a * x * x + b * x, -20, 20),
        (f"{{x+{c}/x,x>0}}", lambda x: x + c / x, 0.001, 50),
        (f"Abs[x-({a})]+Abs[x-({b})]", lambda x: abs(x - a) + abs(x - b), -20, 20),
        (f"{{Abs[x^2-{c}]+({a})*x,-{k}<=x<={c}}}", lambda x: abs(x * x - c) + a * x, -k, c),
        (f"Sqrt[x^2+{c}]+Sqrt[(x-{k})^2+{c + 1}]", lambda x: (x * x + c) ** 0.5 + ((x - k) ** 2 + c + 1) ** 0.5, -20,
        20),
        (f"({a})*Sin[x]+({b})*Cos[x]", lambda x: a * fp.sin(x) + b * fp.cos(x), 0, 6.283185307),
        (f"{{Sin[x]+({a})*Cos[x],0<=x<=Pi}}", lambda x: fp.sin(x) + a * fp.cos(x), 0, 3.14159265359),
        (f"{{x*Exp[-x],0<=x<={c}}}", lambda x: x * fp.exp(-x), 0, c),
        (f"{{({a})*x+({b}),x^2<={c}}}", lambda x: a * x + b, -(c**0.5), c**0.5),
        (f"{{x*(20-{c}x),0<=x<={k}}}", lambda x: x * (20 - c * x), 0, k),
        (f"(x^2+({a})*x+1)/(x^2+{c})", lambda x: (x * x + a * x + 1) / (x * x + c), -400, 400),
    ))  # fmt: skip
    up = rng.random() < 0.5 and "<=" in text
    name = rng.choice(("Max", "Min") if "<=" in text else ("Min",)) if not up else "Max"
    form = rng.choice(("imize", "Value"))
    numeric = rng.choice(("", "", "N"))
    word = numeric + name + form

    def judge(result: Result) -> str:
        grid = _values_on(f, low, high, 40_000)
        best = max(grid) if name == "Max" else min(grid)
        try:
            tree = result.value if form == "Value" else result.value[1]
            value = float(mpmath.re(number(tree)))
            if form != "Value":
                at = float(mpmath.re(number(rules(result.value[2])["x"])))
                if not (abs(f(at) - value) < 1e-6 * (1 + abs(value))):
                    return WRONG
        except (NoNumber, KeyError, IndexError):
            return WRONG
        return (
            RIGHT
            if abs(value - best) < 2e-3 * (1 + abs(best))
            and (value >= best - 1e-9 if name == "Max" else value <= best + 1e-9)
            else WRONG
        )

    return Case("wolfram", f"{word}[{text},x]", judge)


def _extremum_two(rng: random.Random) -> Case:
    """Two unknowns on a bounded set, or a function that grows everywhere, against a grid of points."""
    a, b, c, k = rng.randint(-4, 4), rng.randint(-4, 4), rng.randint(1, 4), rng.randint(2, 6)
    disk, box, triangle = (lambda x, y: x * x + y * y <= k, lambda x, y: 0 <= x <= k and -c <= y <= c,
                           lambda x, y: x >= 0 and y >= 0 and x + y <= k)  # fmt: skip
    objective, f = rng.choice((
        (f"({a})*x+({b})*y", lambda x, y: a * x + b * y), (f"x^2+({a})*x*y+{c}*y^2", lambda x,
        y: x * x + a * x * y + c * y * y),
        (f"x*y+({a})*x", lambda x, y: x * y + a * x), (f"x^2-y^2+({b})*y", lambda x, y: x * x - y * y + b * y),
    ))  # fmt: skip
    shifted = lambda x, y: x * x + y * y - 2 * c * x <= k
    where, inside, size = rng.choice(
        (
            (f"x^2+y^2<={k}", disk, k**0.5),
            (f"x^2+y^2-{2 * c}*x<={k}", shifted, c + (k + c * c) ** 0.5),
            (f"0<=x<={k}&&-{c}<=y<={c}", box, max(k, c)),
            (f"x>=0&&y>=0&&x+y<={k}", triangle, k),
        )
    )
    name, form = rng.choice(("Min", "Max")), rng.choice(("imize", "Value"))
    open_set = rng.random() < 0.3
    if open_set:  # grows in every direction
        objective, f = rng.choice((
            (f"x^4+({a})*x^2+y^2+({b})*x", lambda x, y: x**4 + a * x * x + y * y + b * x),
            (f"x^4+y^4+({a})*x*y+({b})*y", lambda x, y: x**4 + y**4 + a * x * y + b * y),
            (f"{c}*x^2+y^2+({a})*x+({b})*y", lambda x, y: c * x * x + y * y + a * x + b * y),
        ))  # fmt: skip
        inside, size, name = lambda x, y: True, 4, "Min"

    fp = mpmath.fp
    outer, h, way = rng.choice((("{}", lambda v: v, 1), ("{}", lambda v: v, 1), ("Sqrt[{}+99]",
    lambda v: fp.sqrt(v + 99), 1),
                                ("3-2*E^(({})/40)", lambda v: 3 - 2 * fp.exp(v / 40), -1), ("1/Sqrt[{}+99]",
                                lambda v: 1 / fp.sqrt(v + 99), -1)))  # fmt: skip
    objective, inner_name = outer.format(objective), name
    name = name if way > 0 else {"Min": "Max", "Max": "Min"}[name]

    def judge(result: Result) -> str:
        n = 160
        steps = [size * i / n for i in range(-n, n + 1)]
        grid = [f(x, y) for x in steps for y in steps if inside(x, y)]
        best = h(max(grid) if inner_name == "Max" else min(grid))
        try:
            value = float(mpmath.re(number(result.value if form == "Value" else result.value[1])))
            if form != "Value":
                p = {n: float(mpmath.re(number(v))) for n, v in rules(result.value[2]).items()}
                if abs(h(f(p["x"], p["y"])) - value) > 1e-6 * (1 + abs(value)):
                    return WRONG
        except (NoNumber, KeyError, IndexError):
            return WRONG
        near = 0.05 * (1 + abs(best)) * (1 + k)
        return (
            RIGHT
            if abs(value - best) < near and (value >= best - 1e-9 if name == "Max" else value <= best + 1e-9)
            else WRONG
        )

    return Case("wolfram", f"{name}{form}[{objective if open_set else f'{{{objective},{where}}}'},{{x,y}}]", judge)


def _extremum_whole(rng: random.Random) -> Case:
    """Extrema over the integers, by trying every point of a larger box."""
    a, b, c, d = rng.randint(1, 6), rng.randint(1, 6), rng.randint(5, 30), rng.randint(1, 9)
    u, v = rng.randint(-9, 9), rng.randint(-9, 9)
    text, names, f, inside, box, name = rng.choice((
        (f"{{{a}x+{b}y,{d}x+{a}y<={c}&&x+{b}y<={c}&&x>=0&&y>=0}}", "xy", lambda x, y: a * x + b * y,
         lambda x, y: d * x + a * y <= c and x + b * y <= c and x >= 0 and y >= 0, 32, "Max"),
        (f"{{{a}x+{b}y,{b}x+{d}y>={c}&&x>=0&&y>=0}}", "xy", lambda x, y: a * x + b * y, lambda x,
        y: b * x + d * y >= c and x >= 0 and y >= 0, 32, "Min"),
        (f"{a}x^2+({u})*x+{v}", "x", lambda x: a * x * x + u * x + v, lambda x: True, 40, "Min"),
        (f"x*({c}-{a}x)", "x", lambda x: x * (c - a * x), lambda x: True, 60, "Max"),
        (f"(x-({u})/{d})^2+(y-({v})/{b})^2", "xy", lambda x, y: (x - Fraction(u, d)) ** 2 + (y - Fraction(v, b)) ** 2,
        lambda x, y: True, 14, "Min"),
        (f"{{x^3+({u})*x,{-a}<=x<={d}}}", "x", lambda x: x**3 + u * x, lambda x: -a <= x <= d, 12, rng.choice(("Min",
        "Max"))),
        (f"Abs[{a}x-({v})]", "x", lambda x: abs(a * x - v), lambda x: True, 12, "Min"),
        (f"{{x+{c}/x,x>0}}", "x", lambda x: x + Fraction(c, x), lambda x: x > 0, 40, "Min"),
        (f"{{x+y,x*y>={c}&&x>0&&y>0}}", "xy", lambda x, y: x + y, lambda x, y: x * y >= c and x > 0 and y > 0, 32,
        "Min"),
        (f"{{x*y+({u})*x,x^2+y^2<={c}}}", "xy", lambda x, y: x * y + u * x, lambda x, y: x * x + y * y <= c, 7,
        rng.choice(("Min", "Max"))),
        (f"{{({u})*x+({v})*y,x+{a}y=={c}&&x>=0&&y>=0}}", "xy", lambda x, y: u * x + v * y, lambda x,
        y: x + a * y == c and x >= 0 and y >= 0, 32, "Min"),
    ))  # fmt: skip
    form, numeric = rng.choice(("imize", "Value", "Arg")), rng.choice(("", "", "N"))

    def judge(result: Result) -> str:
        values = {p: f(*p) for p in product(range(-box, box + 1), repeat=len(names)) if inside(*p)}
        best = max(values.values()) if name == "Max" else min(values.values())
        try:
            if form != "Arg" and not same(
                number(result.value if form == "Value" else result.value[1]), mpf(1) * best, mpf(10) ** -12
            ):
                return WRONG
            at = {
                "imize": lambda: list(rules(result.value[2]).values()),
                "Value": lambda: None,
                "Arg": lambda: result.value[1:],
            }[form]()
            return RIGHT if at is None or values.get(tuple(int(number(v)) for v in at)) == best else WRONG
        except (NoNumber, KeyError, IndexError):
            return WRONG

    word = f"Arg{name}" if form == "Arg" else name + form
    variables = ",".join(names)
    if text[0] == "{" and rng.random() < 0.4:
        return Case(
            "wolfram", f"{numeric}{word}[{text[:-1]}&&Element[{{{variables}}},Integers]}},{{{variables}}}]", judge
        )
    return Case("wolfram", f"{numeric}{word}[{text},{{{variables}}},Integers]", judge)


def _nsl(rng: random.Random) -> Case:
    """nsl's systems: an equation with what singles out its solutions."""
    c, a, b = random_polynomial(rng, 4), rng.randint(-9, 9), rng.randint(1, 9)
    text = polynomial_text(c)
    if rng.random() < 0.5:
        program, expected = (
            f"{text}=0;x>{a};x",
            lambda: [x for x in polynomial_roots(c) if isinstance(x, mpf) and x > a],
        )
    else:
        program = f"x+y={a};x-{b}*y={b};x"
        expected = lambda: [mpf(b + b * a) / (1 + b)]

    def judge(result: Result) -> str:
        with mp.workdps(DIGITS):
            wanted = expected()
            try:
                return RIGHT if len(wanted) == 1 and same(number(result.value), wanted[0]) else WRONG
            except NoNumber:
                return WRONG

    return Case("nsl", program, judge)


KIND = {
    "system.linear": Kind(_linear, least=0.9),
    "system.polynomial": Kind(_polynomial_system, least=0.8),
    "solve.overdetermined": Kind(_overdetermined, least=0.9),
    "solve.parameters": Kind(_parameters, least=0.9),
    "solve.integers": Kind(_integers, least=0.8),
    "solve.scales": Kind(_scales, least=0.8),
    "findinstance.two": Kind(_instances, least=0.6),
    "resolve.two": Kind(_resolved, least=0.5),
    "extrema.one": Kind(_extremum, least=0.6),
    "extrema.two": Kind(_extremum_two, least=0.5),
    "extrema.whole": Kind(_extremum_whole, least=0.7),
    "nsl.system": Kind(_nsl, least=0.2),
}
