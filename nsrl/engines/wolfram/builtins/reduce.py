"""Reduce, FindInstance, and extrema: conditions on one real unknown decided by their critical points.

A condition on one unknown can change its truth only at roots of its differences and at poles; sampling between these
decides it exactly. Systems with finitely many solutions are written as alternatives. Knows nothing of printing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.builtins.solve import (
    _arguments,
    _Cannot,
    _is_real,
    _solutions,
    solutions,
    symbols_in,
)
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm, rule
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

_RELATIONS = (S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual)


def _critical(ev: Any, what: Any, x: Any) -> list[Any]:
    """Values of x where parts of the condition may change, ascending. Raises _Cannot."""
    points: list[Any] = []

    def zeros(e: Any) -> None:
        if not contains(e, x):
            return
        for s in _solutions(ev, [e], [], [x], S.Reals):
            v = s.get(x)
            if v is None:
                raise _Cannot
            if has_head(v, S.ConditionalExpression) or symbols_in(v):
                raise _Cannot
            if _is_real(ev, v) and v not in points:
                points.append(v)

    def walk(e: Any) -> None:
        if type(e) is not Expr:
            return
        if e.head in _RELATIONS:
            for a, b in zip(e.args, e.args[1:]):
                zeros(ev.eval(mk(S.Plus, a, mk(S.Times, -1, b))))
            for a in e.args:
                inner(a)
        elif e.head is S.Inequality:
            for a, _, b in zip(e.args[::2], e.args[1::2], e.args[2::2]):
                zeros(ev.eval(mk(S.Plus, a, mk(S.Times, -1, b))))
        elif e.head in (S.And, S.Or, S.Not, S.List, S.Implies, S.Xor, S.Nand, S.Nor, S.Equivalent):
            for a in e.args:
                walk(a)
        elif e.head is not S.Element:
            raise _Cannot

    def inner(e: Any) -> None:
        """Poles, ends of domains, corners."""
        if type(e) is Expr and contains(e, x):
            if e.head is S.Power and (type(e.args[1]) is not int or e.args[1] < 0):
                zeros(e.args[0]) if contains(e.args[0], x) else None
            elif e.head in (S.Abs, S.Log):
                zeros(e.args[0])
            for a in e.args:
                inner(a)

    walk(what)
    sizes = {i: _float(ev, p) for i, p in enumerate(points)}
    return [points[i] for i in sorted(sizes, key=sizes.get)]


def _float(ev: Any, v: Any) -> float:
    n = ev.eval(mk(S.N, v))
    if has_head(n, COMPLEX):
        n = n.args[0]
    if not isinstance(n, (int, float)):
        raise _Cannot
    return float(n)


def _between(a: float | None, b: float | None) -> Fraction:
    if a is None and b is None:
        return Fraction(0)
    if a is None:
        return Fraction(int(b) - 1 if b > -1e15 else b * 2)
    if b is None:
        return Fraction(int(a) + 1 if a < 1e15 else a * 2)
    return (Fraction(a) + Fraction(b)) / 2


def _holds(ev: Any, what: Any, x: Any, v: Any) -> bool:
    ev.quiet += 1
    try:
        return ev.eval(mk(S.ReplaceAll, what, rule(x, v))) is TRUE
    finally:
        ev.quiet -= 1


def real_line(ev: Any, what: Any, x: Any) -> list[tuple[Any, bool, Any, bool]]:
    """Where a condition on x holds: intervals (low, closed, high, closed), None for infinite; points have low = high."""
    points = _critical(ev, what, x)
    floats = [_float(ev, p) for p in points]
    pieces: list[tuple[Any, bool, Any, bool]] = []
    low: Any = "out"
    closed = False
    edges = [None, *floats, None]
    for i in range(len(points) + 1):
        inside = _holds(ev, what, x, norm(_between(edges[i], edges[i + 1])))
        if inside and low == "out":
            low, closed = (points[i - 1] if i else None), False
            if i and _holds(ev, what, x, points[i - 1]):
                closed = True
        if i == len(points):
            if low != "out":
                pieces.append((low, closed, None, False))
            break
        here = _holds(ev, what, x, points[i])
        after = _holds(ev, what, x, norm(_between(edges[i + 1], edges[i + 2])))
        if low != "out" and not (here and after):
            pieces.append((low, closed, points[i], here))
            low = "out"
        elif low == "out" and here and not after:
            pieces.append((points[i], True, points[i], True))
    return pieces


def _piece(x: Any, low: Any, lc: bool, high: Any, hc: bool) -> Any:
    if low is None and high is None:
        return TRUE
    if low is not None and low == high:
        return mk(S.Equal, x, low)
    if low is None:
        return mk(S.LessEqual if hc else S.Less, x, high)
    if high is None:
        return mk(S.GreaterEqual if lc else S.Greater, x, low)
    if lc == hc:
        return mk(S.LessEqual if lc else S.Less, low, x, high)
    return mk(S.Inequality, low, S.LessEqual if lc else S.Less, x, S.LessEqual if hc else S.Less, high)


@builtin("Reduce", arity=(1, None))
def reduce(ev: Any, args: tuple) -> Any:
    what, names, domain = _arguments(ev, args)
    if is_list(what):
        what = ev.eval(Expr(S.And, what.args))
    if what in (TRUE, FALSE):
        return what
    if any(type(n) is not Symbol for n in names):
        return None
    explicit = len(args) > 1 and args[-1] is domain
    try:
        has_order = _ordered(what)
        if len(names) == 1 and (has_order or domain is S.Reals):
            x = names[0]
            if domain is S.Integers:
                found = _integers(ev, what, x)
                return found
            if [s for s in symbols_in(what) if s is not x]:
                return _parametric(ev, what, x)
            pieces = [_piece(x, *p) for p in real_line(ev, what, x)]
            return _either(ev, pieces)
        found = solutions(ev, what, names, domain)
        if any(len(s) < len(names) for s in found) and len(found) > 1:
            return None
        parameters = [s for s in symbols_in(what) if s not in names]
        alternatives = []
        for s in found:
            parts: list[Any] = []
            for n in names:
                if n in s:
                    v = s[n]
                    if has_head(v, S.ConditionalExpression):
                        parts = [v.args[1], *parts] if v.args[1] not in parts else parts
                        v = v.args[0]
                    parts.append(mk(S.Equal, n, v))
            alternatives.append(parts[0] if len(parts) == 1 else Expr(S.And, tuple(parts)))
        if parameters and len(names) == 1 and not explicit:
            special = _linear_parameters(ev, what, names[0])
            if special is not None:
                return special
        return _either(ev, alternatives)
    except (_Cannot, NotBridged):
        return None


def _either(ev: Any, parts: list[Any]) -> Any:
    if not parts:
        return FALSE
    return parts[0] if len(parts) == 1 else Expr(S.Or, tuple(parts))


def _ordered(e: Any) -> bool:
    if type(e) is not Expr:
        return False
    return e.head in (S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Inequality) or any(_ordered(a) for a in e.args)


def _linear_parameters(ev: Any, what: Any, x: Any) -> Any:
    """a x + b == 0 with symbolic a: both cases."""
    if not has_head(what, S.Equal) or len(what.args) != 2:
        return None
    e = ev.eval(mk(S.Expand, mk(S.Plus, what.args[0], mk(S.Times, -1, what.args[1]))))
    c = ev.eval(mk(S.CoefficientList, e, x))
    if not is_list(c) or len(c.args) != 2 or not symbols_in(c.args[1]):
        return None
    b, a = c.args
    b = ev.eval(mk(S.Times, -1, b)) if has_head(b, S.Times) and b.args[0] == -1 else b
    sign = -1 if b == c.args[0] else 1
    first = ev.eval(mk(S.And, mk(S.Equal, b, 0), mk(S.Equal, a, 0)))
    value = ev.eval(mk(S.Times, sign, b, mk(S.Power, a, -1)))
    second = mk(S.And, mk(S.Unequal, a, 0), mk(S.Equal, x, value))
    if b == 0:
        return mk(S.Or, mk(S.Equal, a, 0), mk(S.Equal, x, 0))
    return mk(S.Or, first, second)


def _parametric(ev: Any, what: Any, x: Any) -> Any:
    """x + a > b: linear in x with a numeric coefficient."""
    if type(what) is not Expr or what.head not in _RELATIONS or len(what.args) != 2:
        return None
    e = ev.eval(mk(S.Expand, mk(S.Plus, what.args[0], mk(S.Times, -1, what.args[1]))))
    c = ev.eval(mk(S.CoefficientList, e, x))
    if not is_list(c) or len(c.args) != 2 or not isinstance(c.args[1], (int, Fraction)):
        return None
    flip = {S.Less: S.Greater, S.LessEqual: S.GreaterEqual, S.Greater: S.Less, S.GreaterEqual: S.LessEqual}
    head = what.head if c.args[1] > 0 else flip.get(what.head, what.head)
    return Expr(head, (x, ev.eval(mk(S.Expand, mk(S.Times, -1, c.args[0], mk(S.Power, c.args[1], -1))))))


def _integers(ev: Any, what: Any, x: Any) -> Any:
    out = []
    for low, lc, high, hc in real_line(ev, what, x):
        if low is None or high is None:
            if low is None and high is None:
                return mk(S.Element, x, S.Integers)
            bound = low if high is None else high
            v = _float(ev, bound)
            if high is None:
                n = int(v // 1) + (0 if v == int(v) and lc else 1)
                return mk(S.And, mk(S.Element, x, S.Integers), mk(S.GreaterEqual, x, n))
            n = -int(-v // 1) - (0 if v == int(v) and hc else 1)
            return mk(S.And, mk(S.Element, x, S.Integers), mk(S.LessEqual, x, n))
        a, b = _float(ev, low), _float(ev, high)
        if b - a > 10_000:
            return None
        for n in range(int(a) - 1, int(b) + 2):
            if a <= n <= b and _holds(ev, what, x, n):
                out.append(mk(S.Equal, x, n))
    return _either(ev, out)


@builtin("FindInstance", arity=(2, None))
def find_instance(ev: Any, args: tuple) -> Any:
    rest = [a for a in args if not has_head(a, S.Rule)]
    n = 1
    if len(rest) > 2 and type(rest[-1]) is int:
        n = rest.pop()
    what, names, domain = _arguments(ev, tuple(rest))
    if is_list(what):
        what = ev.eval(Expr(S.And, what.args))
    try:
        if what is FALSE:
            return lst(())
        if len(names) == 1 and (_ordered(what) or what is TRUE) and domain is not S.Integers:
            pieces = real_line(ev, what, names[0])
            out = []
            for low, lc, high, hc in pieces:
                if low is not None and low == high:
                    out.append(low)
                else:
                    a = None if low is None else _float(ev, low)
                    b = None if high is None else _float(ev, high)
                    out.append(norm(_simple_between(a, b)))
                del lc, hc
            return lst(lst((rule(names[0], v),)) for v in out[:n])
        found = solutions(ev, what, names, domain)
        return lst(lst(rule(k, s[k]) for k in names if k in s) for s in found[:n])
    except (_Cannot, NotBridged):
        return None


def _simple_between(a: float | None, b: float | None) -> Fraction:
    v = _between(a, b)
    for candidate in (Fraction(0), Fraction(round(float(v)))):
        if (a is None or candidate > a) and (b is None or candidate < b):
            return candidate
    return v


# --- extrema


def _objective(ev: Any, args: tuple) -> tuple[Any, Any, list] | None:
    f = args[0]
    names = list(args[1].args) if is_list(args[1]) else [args[1]]
    condition: Any = TRUE
    if is_list(f):
        parts = f.args
        f = parts[0]
        condition = ev.eval(Expr(S.And, tuple(parts[1:]))) if len(parts) > 1 else TRUE
    names = [n for n in names if type(n) is Symbol]
    return (f, condition, names) if names else None


def _candidates(ev: Any, f: Any, condition: Any, names: list) -> list[dict]:
    """Points at which f may be extreme: stationary points inside, Lagrange points on equalities and active bounds."""
    equalities, inequalities = _constraints(condition)
    out: list[dict] = []
    subsets: list[list[Any]] = [[]]
    for d, _ in inequalities:
        subsets += [[*s, d] for s in subsets if len(s) < len(names)]
        if len(subsets) > 64:
            raise _Cannot
    for active in subsets:
        held = [*equalities, *active]
        if len(held) > len(names):
            continue
        multipliers = [Symbol(f"\x02m{i}") for i in range(len(held))]
        lagrangian = f
        for m, h in zip(multipliers, held):
            lagrangian = mk(S.Plus, lagrangian, mk(S.Times, m, h))
        gradient = [ev.eval(mk(S.D, lagrangian, n)) for n in names]
        try:
            found = _solutions(ev, [*[ev.eval(mk(S.Expand, g)) for g in gradient], *held], [], [*names, *multipliers], S.Reals)
        except _Cannot:
            if len(held) < len(names):
                raise
            found = _solutions(ev, held, [], names, S.Reals)
        for s in found:
            point = {n: s[n] for n in names if n in s}
            free = [n for n in names if n not in point or symbols_in(point[n])]
            if free:
                point = {n: ev.eval(mk(S.ReplaceAll, point.get(n, 0), lst(rule(k, 0) for k in free))) for n in names}
            if all(_is_real(ev, v) for v in point.values()) and point not in out:
                out.append(point)
    return out


def _constraints(condition: Any) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """(equalities as differences, inequalities as (difference, relation))."""
    equalities: list[Any] = []
    inequalities: list[tuple[Any, Any]] = []
    parts = list(condition.args) if has_head(condition, S.And) else [condition]
    for c in parts:
        if c is TRUE:
            continue
        if type(c) is not Expr or c.head in (S.Or, S.Element, S.Not):
            raise _Cannot
        if c.head is S.Inequality:
            pairs = [(a, op, b) for a, op, b in zip(c.args[::2], c.args[1::2], c.args[2::2])]
        elif c.head in _RELATIONS:
            pairs = [(a, c.head, b) for a, b in zip(c.args, c.args[1:])]
        else:
            raise _Cannot
        for a, op, b in pairs:
            d = mk(S.Plus, a, mk(S.Times, -1, b))
            (equalities.append(d) if op is S.Equal else inequalities.append((d, op)))
    return equalities, inequalities


def _univariate(ev: Any, f: Any, condition: Any, x: Any, sign: int) -> tuple[Any, Any] | None:
    """(value, point) of the least sign*f on the real line under a condition; infinities where unbounded."""
    pieces = [(None, False, None, False)] if condition is TRUE else real_line(ev, condition, x)
    if not pieces:
        return (S.Infinity if sign > 0 else mk(S.Times, -1, S.Infinity)), S.Indeterminate
    slope = ev.eval(mk(S.D, f, x))
    stationary = _critical(ev, mk(S.Equal, slope, 0), x) if contains(slope, x) and not contains(slope, S.Abs) else []
    stationary += _corners(ev, f, x)
    best: tuple[float, Any, Any, bool] | None = None
    for low, lc, high, hc in pieces:
        spots: list[tuple[Any, bool]] = [(p, True) for p in stationary
                                         if (low is None or _float(ev, p) > _float(ev, low))
                                         and (high is None or _float(ev, p) < _float(ev, high))]  # fmt: skip
        for end, closed, infinite in ((low, lc, mk(S.Times, -1, S.Infinity)), (high, hc, S.Infinity)):
            spots.append((infinite, False) if end is None else (end, closed))
        for p, attained in spots:
            if contains(p, S.Infinity):
                v = ev.eval(mk(S.Limit, f, rule(x, p)))
            elif not attained:
                side = "FromAbove" if p is low else "FromBelow"
                v = ev.eval(mk(S.Limit, f, rule(x, p), rule(S.Direction, side)))
            else:
                v = ev.eval(mk(S.ReplaceAll, f, rule(x, p)))
            size = _signed(ev, v)
            if size is None:
                raise _Cannot
            size *= sign
            if best is None or size < best[0] - 1e-12 or (abs(size - best[0]) <= 1e-12 and attained and not best[3]):
                best = (size, v, p, attained)
    return (best[1], best[2] if best[3] or True else None) if best else None


def _corners(ev: Any, f: Any, x: Any) -> list[Any]:
    """Where an absolute value in f turns."""
    if type(f) is not Expr or not contains(f, x):
        return []
    if f.head is S.Abs:
        return _critical(ev, mk(S.Equal, f.args[0], 0), x)
    return [p for a in f.args for p in _corners(ev, a, x)]


def _signed(ev: Any, v: Any) -> float | None:
    if v is S.Infinity:
        return float("inf")
    if contains(v, S.Infinity):
        return float("-inf")
    n = ev.eval(mk(S.N, v))
    return float(n) if isinstance(n, (int, float)) else None


def _extremum(ev: Any, args: tuple, sign: int) -> tuple[Any, dict] | None:
    parsed = _objective(ev, args)
    if parsed is None:
        return None
    f, condition, names = parsed
    if any(s not in names for s in symbols_in(f)):
        return None
    try:
        if len(names) == 1:
            if condition is TRUE and _wavy(f):
                value = bridge.apply_range(f, names[0], sign)
                if value is None:
                    return None
                return ev.eval(value), {}
            found = _univariate(ev, f, condition, names[0], sign)
            return None if found is None else (found[0], {names[0]: found[1]})
        points = _candidates(ev, f, condition, names)
        best = None
        for p in points:
            rules = lst(rule(k, v) for k, v in p.items())
            if condition is not TRUE and not _satisfied(ev, condition, rules):
                continue
            v = ev.eval(mk(S.ReplaceAll, f, rules))
            n = _signed(ev, v)
            if n is None:
                continue
            if best is None or n * sign < best[0] - 1e-12:
                best = (n * sign, v, p)
        if best is None:
            return None
        if condition is TRUE and not _bounded(ev, f, names, sign, best[0]):
            return None
        return best[1], best[2]
    except (_Cannot, NotBridged):
        return None


def _wavy(e: Any) -> bool:
    return type(e) is Expr and (e.head in (S.Sin, S.Cos) or any(_wavy(a) for a in e.args))


def _satisfied(ev: Any, condition: Any, rules: Any) -> bool:
    t = ev.eval(mk(S.ReplaceAll, condition, rules))
    if t is TRUE:
        return True
    if t is FALSE:
        return False
    return ev.eval(mk(S.Simplify, t)) is TRUE


def _bounded(ev: Any, f: Any, names: list, sign: int, best: float) -> bool:
    """A spot check far out: a stationary point of an unbounded function is no extremum."""
    for scale in (100, -100, 1000):
        for n in names:
            rules = lst(rule(m, scale if m is n else 1) for m in names)
            v = _signed(ev, ev.eval(mk(S.ReplaceAll, f, rules)))
            if v is not None and v * sign < best - 1e-9:
                return False
    return True


def _extremal(sign: int, form: str, numeric: bool = False):
    def handler(ev: Any, args: tuple) -> Any:
        found = _extremum(ev, args, sign)
        if found is None:
            return None
        value, point = found
        if form != "value" and not point:
            return None
        if numeric:
            value = ev.eval(mk(S.N, value))
            point = {k: ev.eval(mk(S.N, v)) for k, v in point.items()}
        names = list(args[1].args) if is_list(args[1]) else [args[1]]
        if form == "value":
            return value
        if form == "arg":
            values = [point[n] for n in names]
            return lst(values) if is_list(args[1]) else values[0]
        return lst((value, lst(rule(n, point[n]) for n in names)))

    return handler


for _name, _sign, _form, _numeric in (
    ("Minimize", 1, "both", False), ("Maximize", -1, "both", False), ("MinValue", 1, "value", False),
    ("MaxValue", -1, "value", False), ("ArgMin", 1, "arg", False), ("ArgMax", -1, "arg", False),
    ("NMinimize", 1, "both", True), ("NMaximize", -1, "both", True), ("NMinValue", 1, "value", True),
    ("NMaxValue", -1, "value", True), ("NArgMin", 1, "arg", True), ("NArgMax", -1, "arg", True),
):  # fmt: skip
    builtin(_name, arity=(2, None))(_extremal(_sign, _form, _numeric))


# --- numeric search


@builtin("FindRoot", "HoldAll", arity=(2, None))
def find_root(ev: Any, args: tuple) -> Any:
    specs = args[1]
    specs = ev.eval(specs) if not is_list(specs) else specs
    if not is_list(specs):
        return None
    many = is_list(specs.args[0]) if specs.args else False
    specs = list(specs.args) if many else [specs]
    names, starts = [], []
    for s in specs:
        if not is_list(s) or len(s.args) < 2 or type(s.args[0]) is not Symbol:
            return None
        names.append(s.args[0])
        v = ev.eval(mk(S.N, s.args[1]))
        if has_head(v, COMPLEX):
            starts.append(complex(v.args[0], v.args[1]))
        elif isinstance(v, (int, float)):
            starts.append(float(v))
        else:
            return None
    equations = ev.eval(args[0])
    equations = list(equations.args) if is_list(equations) else [equations]
    differences = []
    for e in equations:
        d = mk(S.Plus, e.args[0], mk(S.Times, -1, e.args[1])) if has_head(e, S.Equal) and len(e.args) == 2 else e
        differences.append(ev.eval(d))
    if len(differences) != len(names):
        return None
    jacobian = [[ev.eval(mk(S.D, d, n)) for n in names] for d in differences]
    point = list(starts)
    for _ in range(100):
        ev.step(10)
        rules = lst(rule(n, _number(v)) for n, v in zip(names, point))
        values = [_complex(ev.eval(mk(S.N, mk(S.ReplaceAll, d, rules)))) for d in differences]
        slopes = [[_complex(ev.eval(mk(S.N, mk(S.ReplaceAll, j, rules)))) for j in row] for row in jacobian]
        if None in values or any(None in r for r in slopes):
            return None
        step = _linear(slopes, values)
        if step is None:
            point = [p + 1e-3 * (1 + abs(p)) for p in point]
            continue
        scale = 1.0
        new = [p - scale * s for p, s in zip(point, step)]
        done = all(abs(s) <= 1e-8 * (1 + abs(p)) for s, p in zip(step, point))
        point = new
        if done:
            break
    else:
        if any(abs(v) > 1e-6 for v in values):
            ev.message("FindRoot", "cvmit", "Failed to converge to the requested accuracy or precision within 100 iterations.")
    return lst(rule(n, _number(v)) for n, v in zip(names, point))


def _number(v: Any) -> Any:
    if isinstance(v, complex):
        return float(v.real) if abs(v.imag) < 1e-14 * (1 + abs(v.real)) else mk(COMPLEX, v.real, v.imag)
    return float(v)


def _complex(e: Any) -> Any:
    if isinstance(e, (int, float, Fraction)):
        return float(e)
    if has_head(e, COMPLEX):
        return complex(float(e.args[0]), float(e.args[1]))
    return None


def _linear(a: list[list[Any]], b: list[Any]) -> list[Any] | None:
    n = len(b)
    m = [[*row, v] for row, v in zip(a, b)]
    for i in range(n):
        k = max(range(i, n), key=lambda r: abs(m[r][i]))
        if abs(m[k][i]) < 1e-300:
            return None
        m[i], m[k] = m[k], m[i]
        for r in range(n):
            if r != i:
                f = m[r][i] / m[i][i]
                m[r] = [x - f * y for x, y in zip(m[r], m[i])]
    return [m[i][n] / m[i][i] for i in range(n)]


@builtin("FindMinimum FindMaximum", "HoldAll", arity=(2, None))
def find_extremum(ev: Any, args: tuple) -> Any:
    return None


def _descend(sign: int):
    def handler(ev: Any, args: tuple) -> Any:
        spec = args[1]
        if type(spec) is Symbol:
            spec = lst((spec, 1))
        if not is_list(spec) or len(spec.args) < 2 or type(spec.args[0]) is not Symbol:
            return None
        x = spec.args[0]
        f = ev.eval(args[0])
        at = _complex(ev.eval(mk(S.N, spec.args[1])))
        if not isinstance(at, float):
            return None

        def value(t: float) -> float | None:
            v = ev.eval(mk(S.N, mk(S.ReplaceAll, f, rule(x, t))))
            return sign * v if isinstance(v, (int, float)) else None

        # Bracket downhill, then golden section.
        h = 0.1 * (1 + abs(at))
        a, fa = at, value(at)
        if fa is None:
            return None
        right, left = value(a + h), value(a - h)
        if right is None or left is None:
            return None
        h = h if right < left else -h
        b, fb = (a, fa) if min(right, left) >= fa else (a + h, min(right, left))
        for _ in range(60):
            c = b + h
            fc = value(c)
            if fc is None:
                return None
            if fc >= fb:
                break
            a, b, fb, h = b, c, fc, h * 1.6
        low, high = min(b - abs(h) * 1.7, c, a), max(b + abs(h) * 1.7, c, a)
        g = 0.6180339887498949
        for _ in range(80):
            m1, m2 = high - g * (high - low), low + g * (high - low)
            f1, f2 = value(m1), value(m2)
            if f1 is None or f2 is None:
                return None
            low, high = (low, m2) if f1 < f2 else (m1, high)
        best = (low + high) / 2
        slope = ev.eval(mk(S.D, f, x))
        root = find_root(ev, (slope, lst((x, best))))
        if root is not None and isinstance(root.args[0].args[1], float) and abs(root.args[0].args[1] - best) < 1e-4 * (1 + abs(best)):
            best = root.args[0].args[1]
        return lst((ev.eval(mk(S.N, mk(S.ReplaceAll, f, rule(x, best)))), lst((rule(x, best),))))

    return handler


TABLE["FindMinimum"].handler, TABLE["FindMaximum"].handler = _descend(1), _descend(-1)


@builtin("RSolve RSolveValue", arity=3)
def rsolve(ev: Any, args: tuple) -> Any:
    return _recurrence(ev, args, False)


def _recurrence(ev: Any, args: tuple, value: bool) -> Any:
    """Linear recurrences a[n] with their starting values, by SymPy."""
    what, target, n = args
    if is_list(target) and len(target.args) == 1:
        target = target.args[0]
    if type(n) is not Symbol:
        return None
    f = target.head if type(target) is Expr else target
    if type(f) is not Symbol:
        return None
    sp = bridge.sympy()
    b = bridge.Bridge()
    k = sp.Symbol(n.name, integer=True)
    b.there[n], b.symbols[k] = k, n
    parts = list(what.args) if type(what) is Expr and what.head in (S.List, S.And) else [what]
    main, starts = None, {}
    y = None
    try:
        for p in parts:
            if not has_head(p, S.Equal) or len(p.args) != 2:
                return None
            left, right = p.args
            if type(left) is Expr and left.head is f and isinstance(left.args[0], int):
                starts[left.args[0]] = right
            else:
                main = b.to_sympy(mk(S.Plus, left, mk(S.Times, -1, right)))
        if main is None:
            return None
        y = next(t for t, s in b.symbols.items() if s is f)
        init = {y(i): b.to_sympy(v) for i, v in starts.items()}
        found = bridge.guarded(sp.rsolve, main, y(k), init)
        if found is None:
            return None
        for i in range(4):
            b.symbols.setdefault(sp.Symbol(f"C{i}"), mk(S.C, i + 1))
        tree = ev.eval(b.from_sympy(bridge.guarded(sp.simplify, found)))
    except (NotBridged, StopIteration):
        return None
    if value:
        return tree
    if type(target) is Expr:
        return lst((lst((rule(target, tree),)),))
    return lst((lst((rule(f, mk(S.Function, lst((n,)), tree)),)),))


TABLE["RSolveValue"].handler = lambda ev, args: _recurrence(ev, args, True)
