"""Minimize, Maximize and their kin: global extrema, proved or not given.

One variable: stationary points, corners, ends and limits decide. Several: what rises with another function is extreme
where that is; a linear equation is used to remove one; then the points that the conditions of Fritz John allow are
complete where an extremum exists: on a bounded closed set, for a function that grows in every direction, or for a
convex problem.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, rule
from nsrl.engines.wolfram.numbers import machine
from nsrl.engines.wolfram.points import INTEGERS, ORDER, Undefined, Unknown, difference, number, truth
from nsrl.engines.wolfram.poly import NotPolynomial, Ring
from nsrl.engines.wolfram.realline import Piece, by_abs, critical, real_line, real_valued, sign, singular, without_abs
from nsrl.engines.wolfram.roots import Cannot, coefficients, contains, put, symbols
from nsrl.engines.wolfram.solver import bounds_of, conditions, rationalized, solutions, split, symbols_in
from nsrl.engines.wolfram.systems import solve_system
from nsrl.engines.wolfram.table import Builtin, table
from nsrl.engines.wolfram.univariate import replaced, transcendental
from nsrl.engines.wolfram.wholenumbers import bounded

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_INFINITE = (S.Infinity, mk(S.Times, -1, S.Infinity))


class Best(NamedTuple):
    """An extremal value, where it is taken, and whether it is taken at all."""

    value: Any
    point: dict
    attained: bool


def extremum(ev: Evaluator, f: Any, what: Any, names: list[Symbol], down: int) -> Best:
    """The least (down = 1) or greatest (-1) value of f where `what` holds. Raises Cannot."""
    if set(symbols_in(f)) | set(symbols_in(what)) > set(names) or what is FALSE:
        raise Cannot
    names, f = [n for n in names if contains(f, n) or contains(what, n)], by_abs(f)
    best = (
        _several(ev, f, what, names, down)
        if len(names) > 1
        else _single(ev, f, what, names[0], down)
        if names
        else None
    )
    if best is None:
        raise Cannot
    _unbeaten(ev, f, what, names, down, best)
    return best


def whole_extremum(ev: Evaluator, f: Any, what: Any, names: list[Symbol], down: int) -> Best:
    """The same over whole numbers: every point is looked at that is no worse than the best of a lattice. Raises
    Cannot."""
    if set(symbols_in(f)) | set(symbols_in(what)) > set(names) or what is FALSE:
        raise Cannot
    names = [n for n in names if contains(f, n) or contains(what, n)]
    if not names or len(names) > 4:
        raise Cannot
    real = Expr(S.And, (what, *(t for e in (f, what) for t in real_valued(e))))
    size = {1: 200, 2: 12, 3: 4, 4: 2}[len(names)]
    best: Any = None
    for values in product(range(-size, size + 1), repeat=len(names)):
        ev.step()
        point = dict(zip(names, values))
        try:
            if truth(replaced(real, point)):
                v = replaced(f, point)
                best = v if sign(v, 0 if best is None else best) == -down or best is None else best
        except Unknown as error:
            raise Cannot from error
    if best is None:
        raise Cannot
    within = ev.eval(mk(S.And, real, mk(S.LessEqual if down > 0 else S.GreaterEqual, f, ev.eval(best))))
    found = solutions(ev, within, names, S.Integers, finite=True)
    if not found or any(len(s) < len(names) for s in found):
        raise Cannot
    top = found[0]
    for s in found[1:]:
        if sign(replaced(f, s), replaced(f, top)) == -down:
            top = s
    return Best(ev.eval(replaced(f, top)), top, True)


def _unbeaten(ev: Evaluator, f: Any, what: Any, names: list[Symbol], down: int, best: Best) -> None:
    """Raises Cannot if a point of a coarse lattice is better: the proof was none."""
    steps = [Fraction(k) for k in (0, 1, -1, 2, -3, 5, -8, 20, -50, 300)] + [
        Fraction(1, 3),
        Fraction(-2, 5),
        Fraction(7, 4),
    ]
    steps += [Fraction(k * k * k, 40) for k in range(-9, 10)] if len(names) == 1 else []
    for values in list(product(steps, repeat=len(names)))[:800]:
        ev.step()
        point = dict(zip(names, values))
        try:
            if (
                truth(replaced(what, point))
                and best.value not in _INFINITE
                and sign(replaced(f, point), best.value) == -down
            ):
                raise Cannot
        except (Unknown, Undefined):
            continue


# --- one variable


def _single(ev: Evaluator, f: Any, what: Any, x: Symbol, down: int) -> Best | None:
    spots: list[Any] = []

    def zeros(e: Any) -> None:
        if contains(e, x):
            spots.append(mk(S.Equal, e, 0))

    singular(f, x, zeros)
    try:
        smooth = [g for _, g in without_abs(ev, f, x)]  # corners are spots already
    except Cannot:
        smooth = [f]
    for slope in (ev.eval(mk(S.D, g, x)) for g in smooth):
        zeros(slope)
    period = _period(ev, f, x) if what is TRUE else None
    if period is not None:
        what = mk(S.LessEqual, 0, x, period)
    points = critical(ev, mk(S.And, what, Expr(S.Or, tuple(spots))), x) if spots else []
    pieces = [Piece(None, False, None, False)] if what is TRUE else real_line(ev, what, x)
    best: Best | None = None
    for piece in pieces:
        inner = [
            p
            for p in points
            if (piece.low is None or sign(p, piece.low) > 0) and (piece.high is None or sign(p, piece.high) < 0)
        ]
        for v, at, attained in _candidates(ev, f, x, piece, inner):
            if v is S.Indeterminate or contains(v, S.Indeterminate) or contains(v, S.Limit):
                raise Cannot
            if best is None or _better(v, best.value, down) or (attained and not best.attained and v == best.value):
                best = Best(v, {x: at}, attained)
    return best


def _period(ev: Evaluator, f: Any, x: Symbol) -> Any:
    """2 Pi times a whole number that f repeats after, where it is made of sines and cosines alone."""
    kernels = transcendental(f, x)
    if not kernels or any(k.head not in (S.Sin, S.Cos, S.Tan, S.Sec, S.Csc, S.Cot) for k in kernels):
        return None
    if contains(replaced(f, dict.fromkeys(kernels, 1)), x):
        return None
    slopes = [ev.eval(mk(S.D, k.args[0], x)) for k in kernels]
    if not all(isinstance(s, (int, Fraction)) for s in slopes):
        return None
    from math import lcm

    return ev.eval(mk(S.Times, 2 * lcm(*(Fraction(s).denominator for s in slopes)), S.Pi))


def _candidates(ev: Evaluator, f: Any, x: Symbol, piece: Piece, inner: list[Any]) -> list[tuple[Any, Any, bool]]:
    """(value, where, attained) at everything inside that may be extreme, and at the ends."""
    out = []

    def limit(at: Any, side: str | None) -> None:
        options = [] if side is None else [rule(S.Direction, side)]
        out.append((ev.eval(mk(S.Limit, f, rule(x, at), *options)), at, False))

    def here(p: Any) -> bool:
        v = replaced(f, {x: p})
        try:
            if difference(v, 0).imag:
                raise Cannot
        except Undefined:
            return False
        except Unknown as error:
            raise Cannot from error
        out.append((ev.eval(v), p, True))
        return True

    for p in inner:
        if not here(p):
            limit(p, "FromAbove")
            limit(p, "FromBelow")
    for end, closed, side, infinite in (
        (piece.low, piece.low_in, "FromAbove", _INFINITE[1]),
        (piece.high, piece.high_in, "FromBelow", _INFINITE[0]),
    ):
        if end is None:
            limit(infinite, None)
        elif not (closed and here(end)):
            limit(end, side)
    return out


def _better(v: Any, w: Any, down: int) -> bool:
    if v in _INFINITE or w in _INFINITE:
        return v != w and (v == _INFINITE[down > 0] or w == _INFINITE[down < 0])
    return sign(v, w) == -down


# --- several variables


def _rising(f: Any, names: list[Symbol]) -> tuple[Any, Any, int] | None:
    """(g, h, way) where f is h(g) and h rises (way 1) or falls (-1) wherever it is real; None for no such f."""
    if type(f) is not Expr or f.head not in (S.Plus, S.Times, S.Power):
        return None
    live = [i for i, a in enumerate(f.args) if any(contains(a, n) for n in names)]
    if len(live) != 1:
        return None
    i = live[0]
    if f.head is S.Plus:
        way = 1
    elif f.head is S.Times:
        way = sign(Expr(S.Times, f.args[:i] + f.args[i + 1 :]), 0)
    elif i == 0 and type(f.args[1]) is Fraction:
        way = 1 if f.args[1] > 0 else -1
    elif i == 1 and sign(f.args[0], 1) > 0:
        way = 1
    else:
        return None
    return f.args[i], lambda v: Expr(f.head, (*f.args[:i], v, *f.args[i + 1 :])), way


def _several(ev: Evaluator, f: Any, what: Any, names: list[Symbol], down: int) -> Best | None:
    outer = _rising(f, names)
    if outer is None:
        return _polynomial(ev, f, what, names, down)
    g, h, way = outer
    best = extremum(ev, g, what, names, down * way)
    if not best.attained:
        raise Cannot
    if f.head is S.Power and f.args[0] is g and sign(best.value, 0) < (1 if way < 0 else 0):
        raise Cannot  # the root is not real, or unbounded, where g is least
    return Best(ev.eval(h(best.value)), best.point, True)


def _polynomial(ev: Evaluator, f: Any, what: Any, names: list[Symbol], down: int) -> Best | None:
    alternatives = conditions(what)
    if len(alternatives) != 1:
        raise Cannot
    equalities, filters = alternatives[0]
    removed = _removed(ev, equalities, filters, f, names)
    if removed is not None:
        x, value = removed
        rest = Expr(S.And, tuple(mk(S.Equal, e, 0) for e in equalities) + tuple(filters))
        inner_f, inner = put(ev, f, {x: value}), ev.eval(put(ev, rest, {x: value}))
        if inner is FALSE:
            raise Cannot
        left = [n for n in names if n is not x]
        best = extremum(ev, inner_f, inner, left, down)
        if not best.attained:
            return Best(best.value, {**best.point, x: S.Indeterminate}, False)
        point = {**dict.fromkeys(left, 0), **best.point}
        return Best(best.value, {**point, x: put(ev, value, point)}, True)
    bounds = [link for c in filters for link in _links(c)]
    return _stationary(ev, f, equalities, bounds, what, names, down)


def _links(c: Any) -> list[tuple[Any, bool]]:
    """An inequality chain as differences that are >= 0, with whether they are > 0. Raises Cannot."""
    if has_head(c, S.Inequality):
        links = list(zip(c.args[::2], c.args[1::2], c.args[2::2]))
    elif type(c) is Expr and c.head in ORDER:
        links = [(a, c.head, b) for a, b in zip(c.args, c.args[1:])]
    else:
        raise Cannot
    out = []
    for a, op, b in links:
        if op not in ORDER:
            raise Cannot
        big, small = (b, a) if op in (S.Less, S.LessEqual) else (a, b)
        out.append((mk(S.Plus, big, mk(S.Times, -1, small)), op in (S.Less, S.Greater)))
    return out


def _removed(
    ev: Evaluator, equalities: list[Any], filters: list[Any], f: Any, names: list[Symbol]
) -> tuple[Symbol, Any] | None:
    """(x, its value by the others) from an equation c x + r = 0 whose c cannot vanish."""
    for e in equalities:
        for x in reversed(names):
            by = coefficients(ev, ev.eval(mk(S.Expand, e)), x)
            if by is None or max(by, default=0) != 1:
                continue
            c, r = by[1], by.get(0, 0)
            if not symbols(c) or (isinstance(r, (int, Fraction)) and r != 0):  # c = 0 would leave r = 0
                return x, ev.eval(mk(S.Times, -1, r, mk(S.Power, c, -1)))
    return None


def _stationary(
    ev: Evaluator, f: Any, equalities: list, bounds: list, what: Any, names: list[Symbol], down: int
) -> Best | None:
    ring = Ring()
    try:
        objective = ring.poly(ev.eval(mk(S.Expand, f)))
        zero = [ring.poly(ev.eval(mk(S.Expand, e))) for e in equalities]
        least = [ring.poly(ev.eval(mk(S.Expand, d))) for d, _ in bounds]
    except (NotPolynomial, ZeroDivisionError) as error:
        raise Cannot from error
    gens = [ring.gen(n) for n in names]
    if any(
        not isinstance(c, (int, Fraction)) or g not in gens
        for p in (objective, *zero, *least)
        for m, c in p.items()
        for g, _ in m
    ):
        raise Cannot
    box = bounded(
        [*least, *zero, *(ring.scale(p, -1) for p in zero)],
        dict.fromkeys(gens, (-float("inf"), float("inf"))),
        whole=False,
    )
    if any(a > b for a, b in box.values()):
        raise Cannot
    compact = all(abs(v) != float("inf") for pair in box.values() for v in pair)
    towards = ring.scale(objective, down)
    linear = all(_degree(p) <= 1 for p in (*zero, *least))
    convex = linear and _convex(towards, gens)
    if not (compact or convex or (not zero and not least and _coercive(ev, ring, towards, gens))):
        raise Cannot
    best: Best | None = None
    multiplier = [Symbol(f"\x02m{i}") for i in range(len(equalities) + len(bounds))]
    differences = [d for d, _ in bounds]
    closure = Expr(S.And, (*(mk(S.Equal, e, 0) for e in equalities), *(mk(S.GreaterEqual, d, 0) for d in differences),
                           *(mk(S.Element, n, S.Reals) for n in names)))  # fmt: skip
    for size in range(len(names) - len(equalities) + 1):
        for active in combinations(range(len(bounds)), size):
            held = [*equalities, *(differences[i] for i in active)]
            for s in _fritz_john(ev, f, held, multiplier, names):
                point = {n: s.get(n, 0) for n in names}
                if any(map(symbols, point.values())):  # f is constant along connected stationary points
                    point = {n: put(ev, v, dict.fromkeys(symbols(v), 0)) for n, v in point.items()}
                try:
                    if not truth(replaced(closure, point)):
                        continue
                except Unknown as error:
                    raise Cannot from error
                value = ev.eval(replaced(f, point))
                signs = [s.get(m, 0) for m in multiplier[len(equalities) : len(held)]]
                sure = (
                    compact
                    or not convex
                    or (s["weight"] == 1 and all(not symbols(v) and sign(v, 0) != down for v in signs))
                )
                if sure and (best is None or _better(value, best.value, down)):
                    best = Best(value, point, True)
    # With a strict bound the extremum of the closure may lie on what is excluded.
    return best if best and truth(replaced(what, best.point)) else None


def _fritz_john(ev: Evaluator, f: Any, held: list[Any], multiplier: list[Symbol], names: list[Symbol]) -> list[dict]:
    """Points where the gradients of f and of what is held are dependent; "weight" is the multiplier of f."""
    out: list[dict] = []
    if len(held) >= len(names):
        out += [{**s, "weight": 0} for s in solve_system(ev, held, names, True)]
    for lead in range(len(held) + 1 if len(held) < len(names) else 1):  # the first multiplier that is not 0 is 1
        weights: list[Any] = [0] * lead + [1] + list(multiplier[lead : len(held)])
        free = [w for w in weights if type(w) is Symbol]
        total = Expr(S.Plus, tuple(mk(S.Times, w, g) for w, g in zip(weights, (f, *held))))
        gradient = [ev.eval(mk(S.Expand, mk(S.D, total, n))) for n in names]
        for s in solve_system(ev, [*gradient, *held], [*names, *free], True):
            out.append({**s, "weight": weights[0]})
    return out


def _degree(p: dict) -> int:
    return max((sum(e for _, e in m) for m in p), default=0)


def _convex(p: dict, gens: list[int]) -> bool:
    """A linear or quadratic polynomial with no direction of negative curvature."""
    if _degree(p) > 2:
        return False
    n = len(gens)
    h = [[Fraction(0)] * n for _ in range(n)]
    for m, c in p.items():
        if sum(e for _, e in m) == 2:
            i, j = (gens.index(m[0][0]), gens.index(m[-1][0]))
            h[i][j] += Fraction(c) * (2 if i == j else 1)
            if i != j:
                h[j][i] += Fraction(c)
    for k in range(n):  # elimination: no negative pivot, and a zero pivot has a zero row
        if h[k][k] < 0 or (h[k][k] == 0 and any(h[k][j] for j in range(k, n))):
            return False
        for i in range(k + 1, n):
            if h[k][k]:
                q = h[i][k] / h[k][k]
                h[i] = [a - q * b for a, b in zip(h[i], h[k])]
    return True


def _coercive(ev: Evaluator, ring: Ring, p: dict, gens: list[int]) -> bool:
    """Whether the terms of highest degree are positive in every direction."""
    top = _degree(p)
    form = {m: c for m, c in p.items() if sum(e for _, e in m) == top}
    if top % 2 or top == 0:
        return False
    if all(len(m) == 1 and c > 0 for m, c in form.items()):
        return len(form) == len(gens)
    if len(gens) != 2:
        return (
            top == 2
            and _convex(form, gens)
            and not _convex({**form, ((gens[0], 2),): form.get(((gens[0], 2),), 0) - Fraction(1, 10**9)}, gens)
        )
    if any(form.get(((g, top),), 0) <= 0 for g in gens):
        return False
    t = ring.gens[gens[0]]
    line = ring.tree(ring.substitute(form, {gens[1]: {(): 1}}))
    return real_line(ev, mk(S.LessEqual, line, 0), t) == []


# --- builtins


def _objective(ev: Evaluator, args: tuple) -> tuple[Any, Any, list] | None:
    f, names = args[0], list(args[1].args) if is_list(args[1]) else [args[1]]
    what: Any = TRUE
    if is_list(f) and f.args:
        f, *parts = f.args
        what = ev.eval(Expr(S.And, tuple(parts))) if parts else TRUE
    return (f, what, names) if names and all(type(n) is Symbol and n.builtin is None for n in names) else None


def _domain(what: Any, names: list[Symbol], domain: tuple) -> tuple[bool, Any]:
    """(whether every unknown is whole, the conditions without what says so), by the third argument or by
    memberships."""
    if domain == (S.Integers,) or not contains(what, S.Element):
        return domain == (S.Integers,), what
    (differences, filters), *others = conditions(what)
    domains, rest = split(filters, names, S.Complexes)
    if others or any(d not in INTEGERS for d in domains.values()):
        return False, what
    left = [*(mk(S.Equal, d, 0) for d in differences), *rest, *(c for n, d in domains.items() for c in bounds_of(n, d)),
            *(mk(S.Element, n, d) for n, d in domains.items() if d is S.Primes)]  # fmt: skip
    return True, Expr(S.And, tuple(left)) if left else TRUE


def _extremal(name: str, down: int, form: str, numeric: bool) -> Any:
    def handler(ev: Evaluator, args: tuple) -> Any:
        parsed = _objective(ev, args)
        if parsed is None:
            return None
        f, what, names = parsed
        if args[2:] not in ((), (S.Reals,), (S.Integers,)):
            return None
        try:
            whole, within = _domain(rationalized(what), names, args[2:])
            value, point, attained = (whole_extremum if whole else extremum)(ev, rationalized(f), within, names, down)
        except (Cannot, NotBridged):
            return None
        if form != "value" and not attained:
            if any(contains(point.get(n, 0), S.Indeterminate) for n in names):
                return None
            ev.message(name, "natt", "The extremum is not attained at any point satisfying the given constraints.")
        shown = {n: point.get(n, 0) for n in names}
        if numeric or rationalized(f) is not f or rationalized(what) is not what:
            value, shown = _decimal(ev, value), shown if whole else {n: _decimal(ev, v) for n, v in shown.items()}
        if form == "value":
            return value
        if form == "arg":
            return lst(shown.values()) if is_list(args[1]) else shown[names[0]]
        return lst((value, lst(rule(n, v) for n, v in shown.items())))

    return handler


def _decimal(ev: Evaluator, v: Any) -> Any:
    try:
        return machine(BigReal(number(v).real, MACHINE_DIGITS))
    except (Undefined, Unknown):
        return ev.eval(mk(S.N, v))


for _prefix, _numeric in (("", False), ("N", True)):
    for _name, _down, _form in (("Minimize", 1, "both"), ("Maximize", -1, "both"), ("MinValue", 1, "value"),
                                ("MaxValue", -1, "value"), ("ArgMin", 1, "arg"), ("ArgMax", -1, "arg")):  # fmt: skip
        builtin(_prefix + _name, arity=(2, None))(_extremal(_prefix + _name, _down, _form, _numeric))
