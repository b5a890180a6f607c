"""Random programs about digits, divisors and lists of unknowns, each with its value by brute force.

Knows nothing of engines: a program is a text, an oracle the Python beside it.
"""

from __future__ import annotations

import itertools
import math
import operator
from fractions import Fraction
from random import Random

SIGNS = {"=": operator.eq, "≠": operator.ne, "<": operator.lt, ">": operator.gt, "≤": operator.le, "≥": operator.ge}


def digits(n):
    return [int(c) for c in str(n)]


def divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


LISTS = {"digits({})": digits, "divisors({})": divisors, "sort(digits({}))": lambda n: sorted(digits(n)),
"rev(digits({}))": lambda n: digits(n)[::-1],
         "unique(digits({}))": lambda n: sorted(set(digits(n))),
         "rev(divisors({}))": lambda n: divisors(n)[::-1]}  # fmt: skip
OF_LISTS = {"sum({})": sum, "len({})": len, "count({})": len, "prod({})": math.prod, "max({})": max, "min({})": min,
"first({})": lambda v: v[0],
            "last({})": lambda v: v[-1], "range({})": lambda v: max(v) - min(v),
            "len(unique({}))": lambda v: len(set(v)),
            "mean({})": lambda v: Fraction(sum(v), len(v)), "{}[1]": lambda v: v[0]}  # fmt: skip


def figure(r: Random, names: list[str]):
    """(text, function of the names' values): a number made of names."""
    kind = r.randrange(7)
    n, c = r.choice(names), r.randint(2, 12)
    if kind == 0:
        return n, lambda at: at[n]
    if kind == 1:
        return f"gcd({n},{c})", lambda at: math.gcd(at[n], c)
    if kind == 2:
        return f"({n} mod {c})", lambda at: at[n] % c
    if kind == 3 and len(names) > 1:
        a, b = names
        text, f = r.choice([("len(unique{{{},{},{}}})", lambda v: len(set(v))), ("first(sort{{{},{},{}}})", min),
        ("last(sort{{{},{},{}}})", max),
                            ("median{{{},{},{}}}", lambda v: sorted(v)[1]), ("sum(unique{{{},{},{}}})",
                            lambda v: sum(set(v)))])  # fmt: skip
        return text.format(b, a, c), lambda at: f([at[a], at[b], c])
    inner, value = [(n, lambda at: at[n]), (f"{c}{n}", lambda at: c * at[n]), (f"{n}²", lambda at: at[n] ** 2)][
        r.randrange(3)
    ]
    if len(names) > 1 and r.random() < 0.5:
        a, b = names
        inner, value = f"10{a}+{b}", lambda at: 10 * at[a] + at[b]
    (word, listed), (text, f) = r.choice(list(LISTS.items())), r.choice(list(OF_LISTS.items()))
    return text.format(word.format(inner)), lambda at: f(listed(value(at)))


def relation(r: Random, names: list[str]):
    """(text, truth at the names' values)"""
    (a, f), (b, g) = figure(r, names), figure(r, names)
    kind, c, m = r.randrange(8), r.randint(1, 9), r.randint(2, 5)
    sign = r.choice(list(SIGNS))
    if kind < 3:
        return f"{a}{sign}{c}", lambda at: SIGNS[sign](f(at), c)
    if kind == 3:
        return f"{a}{sign}{b}", lambda at: SIGNS[sign](f(at), g(at))
    if kind == 4:
        return f"isprime({a}-{c})", lambda at: f(at).denominator == 1 and is_prime(int(f(at)) - c)
    if kind == 5:
        return f"{a}+{c}{sign}{m}*{b}", lambda at: SIGNS[sign](f(at) + c, m * g(at))
    (p, s), (q, t) = relation(r, names), relation(r, names)
    if " and " in p + q or " or " in p + q:
        return p, s
    if kind == 6:
        return f"{p} and {q}", lambda at: s(at) and t(at)
    return f"{p} or {q}", lambda at: s(at) or t(at)


def over_ranges(r: Random) -> tuple[str, str | None]:
    """A program about names that run over ranges, and its value; None: no solution."""
    names = ["n"] if r.random() < 0.6 else ["x", "y"]
    lows = [r.randint(1, 30 if len(names) == 1 else 4) for _ in names]
    highs = [low + r.randint(2, 60 if len(names) == 1 else 5) for low in lows]
    rows = [relation(r, names) for _ in range(r.choice([1, 1, 2]))]
    says = [f"{n} in {a}..{b}" if r.random() < 0.6 else f"{n}∈ℤ;{a}≤{n}≤{b}" for n, a, b in zip(names, lows, highs)]
    says += [text for text, _ in rows]
    if r.random() < 0.3:
        r.shuffle(says)
    points = [dict(zip(names, v)) for v in itertools.product(*(range(a, b + 1) for a, b in zip(lows, highs)))]
    points = [at for at in points if all(holds(at) for _, holds in rows)]
    text, f = figure(r, names) if r.random() < 0.4 else (names[0], lambda at: at[names[0]])
    values = [f(at) for at in points]
    asked = r.choice(["count", "set", "min", "max", "sum", "unique", "mean"])
    program = ";".join(says)
    if asked == "count":
        return f"{program};count{{{','.join(names)}}}", str(len(points))
    if asked == "set":
        return f"{program};{{{text}}}", shown(sorted(set(values))) if values else None
    if asked == "unique":
        return f"{program};sum(unique{{{text}}})", str(sum(set(values))) if values else None
    if asked == "sum" and len(set(values)) < len(values):
        return f"{program};sum{{{text}}}", "refused"
    of = {"min": min, "max": max, "sum": sum, "mean": lambda v: Fraction(sum(v), len(v))}[asked]
    return f"{program};{asked}{{{text}}}", str(of(values)) if values else None


def at_a_value(r: Random) -> tuple[str, str | None]:
    """A program about a name with one value, by an equation or by a setting before or behind, and its value."""
    n = r.randint(2, 400)
    if r.random() < 0.25:
        word, f = r.choice(list(LISTS.items()))
        text, value = word.format("n"), shown(f(n))
    else:
        text, f = figure(r, ["n"])
        value = str(f({"n": n}))
    k = r.randint(2, 9)
    return r.choice([f"{k}n={k * n};{text}", f"n+{k}={n + k};{text}", f"n²={n * n};n>0;{text}", f"n={n};{text}",
    f"k={text};n={n};k",
                     f"f(n):={text};f({n})", f"f(n):={text};{k}m={k * n};f(m)",
                     f"k={text};{k}n={k * n};k"]), value  # fmt: skip


def shown(values: list) -> str:
    return "{" + ", ".join(map(str, values)) + "}"
