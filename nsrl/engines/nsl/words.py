"""The words of nsl: what each function word stands for in Wolfram Language, and the keywords.

A word builds a tree from its argument trees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.builtins import load
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, sym

KEYWORDS = frozenset(
    ["choose", "perm", "mod", "div", "of", "and", "or", "not", "in", "for", "if", "while", "until", "to", "where"]
)


@dataclass(frozen=True)
class Word:
    """build: argument trees to a tree; least, most: how many arguments; tail: `word{…}x` takes x as second argument;
    loose: written without brackets it takes a number together with the names after it (`sin 2x` is sin(2x))."""

    build: Callable[[tuple], Any]
    least: int
    most: int
    tail: bool = False
    loose: bool = False


WORDS: dict[str, Word] = {}
HEADS: dict[str, str] = {}  # Wolfram head -> word, for the printer; only words that are plain calls
AGGREGATES: set[str] = set()  # Wolfram heads of words that take one list


# Capitalised these are Wolfram's own functions, which mean something else than the word.
OTHERWISE = frozenset(["Sum", "Range", "Root", "Line", "Log"])
TAKES_RELATIONS = frozenset(["if", "solve", "simp"])
OF_NUMBERS = frozenset(
    ["sum", "total", "prod", "mean", "median", "max", "min", "range", "spread", "var", "std", "norm"]
)  # of lists of them


def _call(
    word: str, head: str, least: int = 1, most: int | None = None, tail: bool = False, loose: bool = False
) -> None:
    h = getattr(S, head)
    WORDS[word] = Word(lambda a: Expr(h, a), least, least if most is None else most, tail, loose)
    HEADS.setdefault(head, word)


def _list(word: str, head: str) -> None:
    """word(a, b, c) and word{a, b, c} both are head[{a, b, c}]; with one argument that is the list."""
    h = getattr(S, head)
    WORDS[word] = Word(lambda a: Expr(h, (_gather(a),)), 1, 10_000)
    HEADS.setdefault(head, word)
    AGGREGATES.add(head)


def _gather(args: tuple) -> Any:
    return args[0] if len(args) == 1 else lst(args)


def _shape(args: tuple) -> Any:
    """Points (or a list of them) as a polygon, three numbers as a triangle of those sides, anything else as it is."""
    if len(args) == 1:
        return mk(S.Polygon, args[0]) if is_list(args[0]) else args[0]
    if len(args) == 3 and all(isinstance(a, (int, float, Fraction)) for a in args):
        return mk(S.SSSTriangle, *args)
    return mk(S.Polygon, lst(args))


def _count(args: tuple) -> Any:
    if len(args) == 1:
        return measured(mk(S.Length, args[0]))
    where, what = args
    if isinstance(where, str):
        what = what if isinstance(what, str) else getattr(what, "name", str(what)).removesuffix("$")
        return mk(S.StringCount, where, what)
    return mk(S.Count, where, what)


def measured(e: Any) -> Any:
    """e with the length of a text as its number of letters, and counts in it as such."""
    if type(e) is not Expr:
        return e
    e = Expr(e.head, tuple(measured(a) for a in e.args))
    if has_head(e, S.Length) and len(e.args) == 1 and isinstance(e.args[0], str):
        return Expr(S.StringLength, e.args)
    return _count(e.args) if has_head(e, S.Count) and len(e.args) == 2 and isinstance(e.args[0], str) else e


def _part(e: Any, i: int) -> Expr:
    return mk(S.Part, e, i)


def _minus(a: Any, b: Any) -> Expr:
    return mk(S.Plus, a, mk(S.Times, -1, b))


def _over(a: Any, b: Any) -> Expr:
    return mk(S.Times, a, mk(S.Power, b, -1))


def _special(word: str, least: int, most: int | None = None, tail: bool = False, loose: bool = False):
    def keep(f):
        WORDS[word] = Word(f, least, least if most is None else most, tail, loose)
        return f

    return keep


for _w in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"):
    _call(_w, _w.capitalize(), loose=True)
for _w, _h in (("asin", "ArcSin"), ("acos", "ArcCos"), ("atan", "ArcTan")):
    _call(_w, _h, 1, 2 if _w == "atan" else 1)
    _call("arc" + _w[1:], _h, 1, 2 if _w == "atan" else 1)
_call("sqrt", "Sqrt")
_call("exp", "Exp")
_call("ln", "Log", loose=True)
_call("abs", "Abs")
_call("sign", "Sign")
_call("floor", "Floor")
_call("ceil", "Ceiling")
_call("fact", "Factorial")
_call("gcd", "GCD", 2, 100)
_call("lcm", "LCM", 2, 100)
_call("C", "Binomial", 2)
_call("prime", "Prime")
_call("divisors", "Divisors")
_call("factors", "FactorInteger")
_call("digits", "IntegerDigits", 1, 2)
_call("mean", "Mean")
for _w, _h in (("mean", "Mean"), ("median", "Median"), ("max", "Max"), ("min", "Min"),
               ("var", "Variance"), ("std", "StandardDeviation"), ("len", "Length"), ("sort", "Sort"), ("rev",
               "Reverse"),
               ("unique", "Union"), ("diffs", "Differences"), ("last", "Last"), ("modes", "Commonest"), ("tally",
               "Tally"),
               ("norm", "Norm")):  # fmt: skip
    _list(_w, _h)
WORDS["len"] = Word(lambda a: measured(mk(S.Length, _gather(a))), 1, 10_000)
_call("take", "Take", 2, 2, tail=True)
_call("drop", "Drop", 2, 2, tail=True)
_call("dist", "EuclideanDistance", 2)
_call("dot", "Dot", 2)
_call("cross", "Cross", 2)
_call("inv", "Inverse")
_call("expand", "Expand")
_call("factor", "Factor")
_call("simp", "Simplify")
_call("diff", "D", 2, 3)
_call("lim", "Limit", 2)
_call("num", "N", 1, 2)
_call("re", "Re")
_call("im", "Im")
_call("collect", "Collect", 2)
_call("coef", "Coefficient", 2, 3)


@_special("det", 1, 100)
def _det(a: tuple) -> Any:
    return mk(S.Det, _gather(a))


HEADS["Det"] = "det"
AGGREGATES.add("Det")


@_special("log", 1, 2)
def _log(a: tuple) -> Any:
    """log x is to base 10, as on a school calculator; log(b, x) to base b; ln x the natural one."""
    return mk(S.Log, 10, a[0]) if len(a) == 1 else mk(S.Log, *a)


@_special("isprime", 1)
def _isprime(a: tuple) -> Any:
    """-7 is no prime here; PrimeQ says it is one."""
    return mk(S.PrimeQ, a[0] if type(a[0]) is int and a[0] >= 0 else mk(S.Ramp, a[0]))


@_special("root", 2)
def _root(a: tuple) -> Any:
    return mk(S.Surd, a[1], a[0])


@_special("cbrt", 1)
def _cbrt(a: tuple) -> Any:
    return mk(S.CubeRoot, a[0])


HEADS["CubeRoot"] = "cbrt"


@_special("P", 2)
def _perm(a: tuple) -> Any:
    return mk(S.FactorialPower, *a)


HEADS["FactorialPower"] = "P"


@_special("count", 1, 2, tail=True)
def count(a: tuple) -> Any:
    """How many elements a list has, or how often a condition holds."""
    return _count(a)


_SLOT = mk(S.Slot, 1)
# The one most frequent element; all of them where there are several.
THE_ONE = mk(S.Function, mk(S.If, mk(S.Equal, mk(S.Length, _SLOT), 1), mk(S.First, _SLOT), _SLOT))


@_special("mode", 1, 10_000)
def _mode(a: tuple) -> Any:
    return mk(THE_ONE, mk(S.Commonest, _gather(a)))


@_special("first", 1, 10_000)
def _first(a: tuple) -> Any:
    return mk(S.First, _gather(a))


HEADS["First"] = "first"
AGGREGATES.add("First")


@_special("range", 1, 10_000)
def _range(a: tuple) -> Any:
    """The range of a list, as in statistics: greatest minus least."""
    v = _gather(a)
    return _minus(mk(S.Max, v), mk(S.Min, v))


WORDS["spread"] = WORDS["range"]


INDEX = sym("k$")  # of the sum over a..b; no program can write it


@_special("sum", 1, 10_000)
def _sum(a: tuple) -> Any:
    return _running(S.Sum, _gather(a)) or mk(S.Total, _gather(a))


@_special("prod", 1, 10_000)
def _prod(a: tuple) -> Any:
    return _running(S.Product, _gather(a)) or mk(S.Apply, S.Times, _gather(a))


WORDS["total"] = WORDS["sum"]
HEADS["Total"] = "sum"
AGGREGATES.add("Total")


def _running(head: Any, v: Any) -> Expr | None:
    """`f for k in a..b`, and a..b with a bound that is no number, as Sum or Product: n and ∞ may be bounds."""
    if has_head(v, S.Table) and len(v.args) == 2 and len(v.args[1].args) == 3:
        return Expr(head, v.args)
    if has_head(v, S.Range) and len(v.args) == 2 and any(type(b) is not int for b in v.args):
        return mk(head, INDEX, lst((INDEX, *v.args)))
    return None


@_special("nth", 2, 2, tail=True)
def _nth(a: tuple) -> Any:
    return mk(S.Part, *a)


HALF = Fraction(1, 2)


@_special("round", 1, 2)
def _round(a: tuple) -> Any:
    """round(x) to a whole number, round(x, n) to n decimals; a half goes away from zero."""
    x, unit = mk(S.Rationalize, a[0]), 1 if len(a) == 1 else mk(S.Power, 10, a[1])
    whole = mk(S.Floor, mk(S.Plus, mk(S.Times, mk(S.Abs, x), unit), HALF))
    if len(a) == 1:
        return mk(S.Times, mk(S.Sign, x), whole)
    return mk(S.N, mk(S.Times, mk(S.Sign, x), whole, mk(S.Power, unit, -1)))


@_special("deg", 1)
def _deg(a: tuple) -> Any:
    """Radians to the number of degrees."""
    return _over(a[0], S.Degree)


@_special("mid", 2)
def _mid(a: tuple) -> Any:
    return mk(S.Midpoint, lst(a))


@_special("slope", 2)
def _slope(a: tuple) -> Any:
    return _over(_minus(_part(a[1], 2), _part(a[0], 2)), _minus(_part(a[1], 1), _part(a[0], 1)))


@_special("angle", 2, 3)
def _angle(a: tuple) -> Any:
    """angle(A, B, C): the angle at B, as a number of degrees; angle(u, v): between two vectors."""
    return _over(mk(S.PlanarAngle, lst(a)) if len(a) == 3 else mk(S.VectorAngle, *a), S.Degree)


@_special("area", 1, 1000)
def _area(a: tuple) -> Any:
    return mk(S.Area, _shape(a))


@_special("peri", 1, 1000)
def _peri(a: tuple) -> Any:
    return mk(S.Perimeter, _shape(a))


HEADS["Area"], HEADS["Perimeter"] = "area", "peri"


@_special("line", 3)
def _line(a: tuple) -> Any:
    """line(P, Q, x): the y at x of the line through P and Q."""
    return mk(S.InterpolatingPolynomial, lst(a[:2]), a[2])


@_special("meet", 4)
def _meet(a: tuple) -> Any:
    """meet(A, B, C, D): where line AB meets line CD."""
    inner = mk(S.RegionIntersection, mk(S.InfiniteLine, lst(a[:2])), mk(S.InfiniteLine, lst(a[2:])))
    return mk(S.Part, inner, 1, 1)


@_special("foot", 3)
def _foot(a: tuple) -> Any:
    """foot(P, A, B): the foot of the perpendicular from P to line AB."""
    return mk(S.RegionNearest, mk(S.InfiniteLine, lst(a[1:])), a[0])


@_special("int", 2, 4)
def _int(a: tuple) -> Any:
    """int(f, x), int(f, x, a, b)"""
    return mk(S.Integrate, a[0], a[1] if len(a) == 2 else lst(a[1:]))


@_special("solve", 1, 2)
def _solve(a: tuple) -> Any:
    """solve(equation, x): the list of all real values of x."""
    unknown = a[1] if len(a) == 2 else _only_name(a[0])
    return mk(S.SolveValues, a[0], unknown, S.Reals)


def _only_name(e: Any) -> Any:
    seen = free_names(e)
    return seen[0] if len(seen) == 1 else lst(seen)


@_special("if", 2, 3)
def _if(a: tuple) -> Any:
    return mk(S.If, *a)


HEADS["If"] = "if"

CONSTANTS = {"π": "Pi", "∞": "Infinity"}


# The plain names a program may use although Wolfram Language owns them; they travel with a `$` behind.
_OWNED = frozenset(["C", "D", "E", "I", "K", "N", "O"])


def symbol(name: str) -> Any:
    """The symbol of a plain name: the name itself, or with `$` behind it where Wolfram Language owns that name."""
    return sym(name + "$" if name in _OWNED or name in load() else name)


def plain(name: str) -> str:
    """The nsl name of a symbol's name (inverse of `symbol`)."""
    return name.removesuffix("$")


BINDERS = frozenset([S.Table, S.Sum, S.Product, S.Integrate, S.Function])


def bound_names(e: Expr) -> set:
    """The names that a Table, Sum, Product, Integrate (between bounds) or Function holds for itself."""
    if e.head is S.Function:
        return {e.args[0]} if len(e.args) == 2 else set()
    return {a.args[0] for a in e.args[1:] if is_list(a) and a.args}


def free_names(e: Any, bound: frozenset = frozenset()) -> list:
    """The user's symbols in e, each once, in order of appearance."""
    seen: dict = {}
    _names(e, seen, bound)
    return list(seen)


def _names(e: Any, seen: dict, bound: frozenset) -> None:
    if type(e) is Expr:
        if type(e.head) is Expr:
            _names(e.head, seen, bound)
        args = e.args
        if e.head in BINDERS:
            bound = bound | bound_names(e)
        for a in args:
            if type(a) is Expr or type(a) is Symbol:
                _names(a, seen, bound)
    elif is_user(e) and e not in bound:
        seen[e] = None


def is_user(e: Any) -> bool:
    """Whether e is a symbol the program made up (not a builtin of Wolfram Language)."""
    return type(e) is Symbol and e.builtin is None and e.name not in _SYSTEM_NAMES


def heads(e: Any) -> set:
    """The symbols that are heads in e: what a rewriting of certain calls looks for before it walks through the tree."""
    found: set = set()
    work = [e]
    while work:
        e = work.pop()
        if type(e) is Expr:
            if type(e.head) is Symbol:
                found.add(e.head)
            else:
                work.append(e.head)
            work.extend(e.args)
    return found


_SYSTEM_NAMES = frozenset(
    [
        "Pi",
        "E",
        "I",
        "PositiveIntegers",
        "Infinity",
        "Degree",
        "True",
        "False",
        "Null",
        "None",
        "List",
        "Reals",
        "Integers",
        "All",
        "Automatic",
        "Nothing",
        "Indeterminate",
        "ComplexInfinity",
        "Complexes",
        "Rationals",
        "Plus",
        "Times",
        "Power",
    ]
)
