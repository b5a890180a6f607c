"""Conditions on one real unknown: where on the line they hold, exactly.

A condition can change its truth only at a zero of one of its differences, a pole, or the end of a function's domain.
All of these are found (or the condition is not decided), and one point between any two decides the rest.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, mk, norm
from nsrl.engines.wolfram.points import RELATIONS, Undefined, Unknown, difference, number, truth
from nsrl.engines.wolfram.roots import Cannot, contains, symbols
from nsrl.engines.wolfram.univariate import Root, replaced, solve_one, transcendental

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

MAX_POINTS = 1000
_LOGIC = (S.And, S.Or, S.Not, S.Implies, S.Xor, S.Nand, S.Nor, S.Equivalent)
_PARTIAL = (S.Log, S.ArcSin, S.ArcCos, S.ArcCosh, S.ArcTanh, S.ArcCoth, S.ArcSec, S.ArcCsc, S.ArcSech, S.ProductLog)
_SMOOTH = (S.Sin, S.Cos, S.Sinh, S.Cosh, S.Tanh, S.Sech, S.ArcTan, S.ArcSinh, S.Exp)


class Piece(NamedTuple):
    """An interval; None is infinity, and a point has low = high."""

    low: Any
    low_in: bool
    high: Any
    high_in: bool

    @property
    def point(self) -> bool:
        """Whether the piece is one number."""
        return self.low is not None and self.low == self.high


def real_line(ev: Evaluator, what: Any, x: Symbol) -> list[Piece]:
    """Where a condition on x alone holds, ascending. Raises Cannot."""
    return pieces_between(critical(ev, what, x), what, x)


def pieces_between(points: list[Any], what: Any, x: Symbol) -> list[Piece]:
    """Where a condition on x holds that changes at these points alone, which ascend. Raises Cannot."""
    edges = [None, *points, None]
    gaps = [holds(what, x, between(edges[i], edges[i + 1])) for i in range(len(points) + 1)]
    here = [holds(what, x, p) for p in points]
    pieces: list[Piece] = []
    start: tuple[Any, bool] | None = (None, False) if gaps[0] else None  # of the piece that is open
    for i, p in enumerate(points):
        if start is not None and not (here[i] and gaps[i + 1]):
            pieces.append(Piece(*start, p, here[i]))
            start = (p, False) if gaps[i + 1] else None
        elif start is None and gaps[i + 1]:
            start = (p, here[i])
        elif start is None and here[i]:
            pieces.append(Piece(p, True, p, True))
    if start is not None:
        pieces.append(Piece(*start, None, False))
    return pieces


def critical(ev: Evaluator, what: Any, x: Symbol) -> list[Any]:
    """Values of x at which the condition may change, ascending. Raises Cannot."""
    if symbols(what) - {x}:
        raise Cannot
    what = by_abs(what)
    found: list[Root] = []
    done: set = set()

    def zeros(e: Any) -> None:
        e = ev.eval(e)
        if contains(e, x) and e not in done:
            done.add(e)
            found.extend(zeros_of(ev, e, x))

    def walk(e: Any) -> None:
        if e is TRUE or e is FALSE:
            return
        if type(e) is not Expr:
            raise Cannot
        if e.head in _LOGIC:
            for a in e.args:
                walk(a)
        elif e.head in RELATIONS or e.head is S.Inequality:
            sides = e.args[::2] if e.head is S.Inequality else e.args
            for a, b in combinations(sides, 2) if e.head is S.Unequal else pairwise(sides):
                zeros(mk(S.Plus, a, mk(S.Times, -1, b)))
            for a in sides:
                singular(a, x, zeros)
        elif e.head is S.Element and e.args[1] is S.Reals:
            singular(e.args[0], x, zeros)
        else:
            raise Cannot

    walk(what)
    low = high = None
    if any(r.period is not None for r in found):
        low, high = span(ev, what, x)
    out: list[Any] = []
    for r in found:
        out += members(ev, r, low, high)
    return ordered(out)


def by_abs(e: Any) -> Any:
    """e with the greatest and least of real values that hold unknowns as absolute values: Max[a, b] is (a + b + |a -
    b|)/2."""
    if type(e) is not Expr:
        return e
    args = tuple(map(by_abs, e.args))
    if e.head in (S.Max, S.Min) and args and symbols(e):
        half, out = Fraction(1, 2) if e.head is S.Max else Fraction(-1, 2), args[0]
        for a in args[1:]:
            gap = mk(S.Abs, mk(S.Plus, out, mk(S.Times, -1, a)))
            out = mk(S.Plus, mk(S.Times, Fraction(1, 2), mk(S.Plus, out, a)), mk(S.Times, half, gap))
        return out
    return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)


def real_valued(e: Any) -> list[Any]:
    """Over the reals functions are real too: what says so of the roots and logarithms of unknowns in e."""
    if type(e) is not Expr or not symbols(e):
        return []
    out = [t for a in e.args for t in real_valued(a)]
    if (e.head is S.Power and type(e.args[1]) is not int) or e.head in _PARTIAL:
        out.append(mk(S.Element, e, S.Reals))
    return list(dict.fromkeys(out))


def zeros_of(ev: Evaluator, e: Any, x: Symbol) -> list[Root]:
    """Every real zero of e; where e is 0 on intervals between corners of absolute values, the corners. Raises
    Cannot."""
    try:
        return solve_one(ev, e, x, True)
    except Cannot:
        pieces = without_abs(ev, e, x)
    out = [Root(p.low) for p, _ in pieces[1:]]
    for p, f in pieces:
        if contains(f, x):
            out += [r for r in solve_one(ev, f, x, True) if r.period is not None or _inside(r.value, p)]
    return out


def _inside(v: Any, p: Piece) -> bool:
    return (p.low is None or sign(p.low, v) < 0) and (p.high is None or sign(v, p.high) < 0)


def without_abs(ev: Evaluator, e: Any, x: Symbol) -> list[tuple[Piece, Any]]:
    """e between the corners of its absolute values of x, without them. Raises Cannot where it has none."""
    inside: list[Any] = []

    def walk(t: Any) -> None:
        if type(t) is Expr and contains(t, x):
            if t.head in (S.Abs, S.RealAbs) and t not in inside:
                inside.append(t)
            for a in t.args:
                walk(a)

    walk(e)
    if not inside:
        raise Cannot
    corners = [r for t in inside for r in zeros_of(ev, t.args[0], x)]
    if any(r.period is not None for r in corners):
        raise Cannot
    edges = [None, *ordered([r.value for r in corners]), None]
    out = []
    for a, b in pairwise(edges):
        middle, f = between(a, b), e
        for t in sorted(inside, key=lambda t: -_depth(t)):  # from the outside in
            f = replaced(
                f, {t: t.args[0] if sign(replaced(t.args[0], {x: middle}), 0) >= 0 else mk(S.Times, -1, t.args[0])}
            )
        out.append((Piece(a, False, b, False), ev.eval(mk(S.Expand, f))))
    return out


def _depth(e: Any) -> int:
    return 1 + max(map(_depth, e.args), default=0) if type(e) is Expr else 0


def singular(e: Any, x: Symbol, zeros: Any) -> None:
    """Calls `zeros` with what vanishes at poles, corners and ends of domains of e. Raises Cannot for unknown
    functions."""
    if type(e) is not Expr or not contains(e, x):
        return
    h = e.head
    if h is S.Power:
        if contains(e.args[0], x) and (type(e.args[1]) is not int or e.args[1] < 0):
            zeros(e.args[0])
    elif h in (S.Abs, S.RealAbs, S.CubeRoot, S.Surd, S.Log) and len(e.args) == (2 if h is S.Surd else 1):
        zeros(e.args[0])
    elif h in (S.Tan, S.Sec, S.Cot, S.Csc):
        zeros(mk(S.Cos if h in (S.Tan, S.Sec) else S.Sin, e.args[0]))
    elif h in (S.ArcSin, S.ArcCos):
        for end in (-1, 1):
            zeros(mk(S.Plus, e.args[0], end))
    elif h not in (S.Plus, S.Times) and not (h in _SMOOTH and len(e.args) == 1):
        raise Cannot
    for a in e.args:
        singular(a, x, zeros)


def span(ev: Evaluator, what: Any, x: Symbol) -> tuple[Any, Any]:
    """Bounds of x that the conjuncts without periodic functions give. Raises Cannot where there are none."""
    simple = tuple(p for p in _conjuncts(what) if _simple(p, x))
    pieces = real_line(ev, simple[0] if len(simple) == 1 else Expr(S.And, simple), x) if simple else []
    if simple and not pieces:
        return 0, 0
    if not pieces or pieces[0].low is None or pieces[-1].high is None:
        raise Cannot
    return pieces[0].low, pieces[-1].high


def _conjuncts(what: Any) -> list[Any]:
    return [p for a in what.args for p in _conjuncts(a)] if type(what) is Expr and what.head is S.And else [what]


def _simple(p: Any, x: Symbol) -> bool:
    return type(p) is Expr and (p.head in RELATIONS or p.head is S.Inequality) and not any(
        type(a) is Expr and transcendental(a, x) for a in p.args)  # fmt: skip


def members(ev: Evaluator, r: Root, low: Any, high: Any) -> list[Any]:
    """The values of a family within [low, high], each judged by itself where it has a test; a single root as it is."""
    if r.period is None:
        return [r.value]
    try:
        start, period, a, b = (mp().re(number(v)) for v in (r.value, r.period, low, high))
    except (Undefined, Unknown) as error:
        raise Cannot from error
    first, last = sorted(((a - start) / period, (b - start) / period))
    if last - first > MAX_POINTS:
        raise Cannot
    steps = range(int(mp().floor(first)), int(mp().ceil(last)) + 1)
    values = (ev.eval(mk(S.Expand, mk(S.Plus, r.value, mk(S.Times, k, r.period)))) for k in steps)
    return [v for v in values if r.test is None or r.test(v)]


def ordered(values: list[Any]) -> list[Any]:
    """Real values ascending, each once."""
    out: list[Any] = []
    for v in sorted(values, key=cmp_to_key(lambda a, b: sign(a, b))):
        if not out or sign(v, out[-1]):
            out.append(v)
    return out


def sign(a: Any, b: Any) -> int:
    """-1, 0, 1 as a is below, at or above b. Raises Cannot."""
    try:
        d = difference(a, b)
    except (Undefined, Unknown) as error:
        raise Cannot from error
    if d.imag:
        raise Cannot
    return (d.real > 0) - (d.real < 0)


def holds(what: Any, x: Symbol, v: Any) -> bool:
    """The truth of a condition at a point. Raises Cannot where it is not decided."""
    try:
        return truth(replaced(what, {x: v}))
    except Unknown as error:
        raise Cannot from error


def as_float(v: Any) -> float:
    """A real value as a float. Raises Cannot."""
    try:
        return float(mp().re(number(v)))
    except (Undefined, Unknown) as error:
        raise Cannot from error


def between(a: Any, b: Any) -> Any:
    """A simple rational between two values, None for infinity: 0 or a whole number where one is there."""
    if a is None and b is None:
        return 0
    if a is None or b is None:
        edge = as_float(b if a is None else a)
        if abs(edge) > 1e15:
            raise Cannot
        if (edge > 0.5) if a is None else (edge < -0.5):
            return 0
        return int(edge // 1) - 1 if a is None else int(-(-edge // 1)) + 1
    x, y = as_float(a), as_float(b)
    for k in (0, round((x + y) / 2), (int(x) + 1), Fraction((x + y) / 2).limit_denominator(20)):
        if sign(a, norm(Fraction(k))) < 0 < sign(b, norm(Fraction(k))):
            return norm(Fraction(k))
    v = norm((Fraction(x) + Fraction(y)) / 2)
    if not (sign(a, v) < 0 < sign(b, v)):
        with mp().workdps(60):
            v = Fraction(str((number(a, 40) + number(b, 40)) / 2))
        if not (sign(a, v) < 0 < sign(b, v)):
            raise Cannot
    return v


def condition(x: Any, p: Piece) -> Any:
    """An interval as the real engine writes it."""
    if p.low is None and p.high is None:
        return TRUE
    if p.point:
        return mk(S.Equal, x, p.low)
    if p.low is None:
        return mk(S.LessEqual if p.high_in else S.Less, x, p.high)
    if p.high is None:
        return mk(S.GreaterEqual if p.low_in else S.Greater, x, p.low)
    left, right = (S.LessEqual if closed else S.Less for closed in (p.low_in, p.high_in))
    return mk(left, p.low, x, p.high) if left is right else mk(S.Inequality, p.low, left, x, right, p.high)
