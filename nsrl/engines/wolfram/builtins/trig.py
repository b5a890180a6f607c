"""Trigonometric and hyperbolic functions with their exact values."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal, mp
from nsrl.engines.wolfram.builtins.arithmetic import is_infinity, is_numeric
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, mk, norm
from nsrl.engines.wolfram.numbers import (
    from_complex,
    from_mp,
    is_exact,
    is_real,
    neg,
    sign,
    to_complex,
)
from nsrl.engines.wolfram.numeric import (
    approx_mp,
    function_value,
    real_value,
)
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.points import certain_sign
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"
_HALF = Fraction(1, 2)


# -- trigonometry --------------------------------------------------------------------------------------------------
def _root(n: int) -> Any:
    return mk(S.Power, n, _HALF)


def _sum(*terms: Any) -> Any:
    return Expr(S.Plus, terms)


def _over(e: Any, d: int) -> Any:
    return mk(S.Times, Fraction(1, d), e)


def _exact_sines() -> dict[Fraction, Any]:
    """sin(r Pi) for 0 <= r <= 1/2, where the kernel gives radicals by itself."""
    s = {
        Fraction(0): 0,
        Fraction(1, 6): _HALF,
        Fraction(1, 4): mk(S.Power, 2, -_HALF),
        Fraction(1, 3): _over(_root(3), 2),
        Fraction(1, 2): 1,
        Fraction(1, 10): _over(_sum(-1, _root(5)), 4),
        Fraction(3, 10): _over(_sum(1, _root(5)), 4),
        Fraction(1, 5): mk(S.Power, _sum(Fraction(5, 8), mk(S.Times, Fraction(-1, 8), _root(5))), _HALF),
        Fraction(2, 5): mk(S.Power, _sum(Fraction(5, 8), mk(S.Times, Fraction(1, 8), _root(5))), _HALF),
        Fraction(1, 12): mk(S.Times, _sum(-1, _root(3)), Fraction(1, 2), mk(S.Power, 2, -_HALF)),
        Fraction(5, 12): mk(S.Times, _sum(1, _root(3)), Fraction(1, 2), mk(S.Power, 2, -_HALF)),
    }
    return s


_SINES: dict[Fraction, Any] = _exact_sines()
_TANGENTS: dict[Fraction, Any] = {
    Fraction(0): 0,
    Fraction(1, 6): mk(S.Power, 3, -_HALF),
    Fraction(1, 4): 1,
    Fraction(1, 3): _root(3),
    Fraction(1, 12): _sum(2, mk(S.Times, -1, _root(3))),
    Fraction(5, 12): _sum(2, _root(3)),
    Fraction(1, 5): mk(S.Power, _sum(5, mk(S.Times, -2, _root(5))), _HALF),
    Fraction(2, 5): mk(S.Power, _sum(5, mk(S.Times, 2, _root(5))), _HALF),
    Fraction(1, 10): mk(S.Power, _sum(1, mk(S.Times, -2, mk(S.Power, 5, -_HALF))), _HALF),
    Fraction(3, 10): mk(S.Power, _sum(1, mk(S.Times, 2, mk(S.Power, 5, -_HALF))), _HALF),
}


def pi_multiple(e: Any) -> Fraction | None:
    """r of e = r Pi (Degree counts as Pi/180), else None."""
    if type(e) is int and e == 0:
        return Fraction(0)
    if e is S.Pi:
        return Fraction(1)
    if e is S.Degree:
        return Fraction(1, 180)
    if (
        type(e) is Expr
        and e.head is S.Times
        and len(e.args) == 2
        and type(e.args[0]) in (int, Fraction)
        and e.args[1] in (S.Pi, S.Degree)
    ):
        return Fraction(e.args[0]) / (1 if e.args[1] is S.Pi else 180)
    return None


def _sine(r: Fraction) -> tuple[int, Fraction]:
    """sin(r Pi) = sign * sin(q Pi) with 0 <= q <= 1/2."""
    r %= 2
    s = 1
    if r >= 1:
        r, s = r - 1, -1
    return s, (r if r <= _HALF else 1 - r)


def _pi_times(q: Fraction) -> Any:
    return mk(S.Times, norm(q), S.Pi)


def _minus_argument(x: Any) -> Any:
    """-x where x is written with a leading minus, else None."""
    if is_real(x) and is_exact(x) and sign(x) < 0:
        return neg(x)
    if type(x) is Expr and x.head is S.Times and is_real(x.args[0]) and sign(x.args[0]) < 0:
        return mk(S.Times, -1, x)
    return None


def _trig(name: str, value: Any) -> None:
    head = getattr(S, name)
    odd = name not in ("Cos", "Sec")

    @builtin(name, _NUMERIC, arity=1)
    def trig(ev: Evaluator, args: tuple) -> Any:
        x = args[0]
        inexact = inexact_value(ev, head, x)
        if inexact is not None:
            return inexact
        r = pi_multiple(x)
        if r is not None:
            return value(ev, r, x)
        if type(x) is Expr and type(x.head) is Symbol and x.head is _INVERSES.get(name) and len(x.args) == 1:
            return x.args[0]
        if type(x) is Expr and x.head in _RIGHT and len(x.args) == 1:
            done = _RIGHT[x.head](name, x.args[0])
            if done is not None:
                return done
        flipped = _minus_argument(x)
        if flipped is not None:
            return mk(S.Times, -1, mk(head, flipped)) if odd else mk(head, flipped)
        return _shifted(name, x)


_SHIFTS: dict[str, tuple[tuple[int, str], ...]] = {  # f(x + k Pi/2), k = 1, 2, 3
    "Sin": ((1, "Cos"), (-1, "Sin"), (-1, "Cos")),
    "Cos": ((-1, "Sin"), (-1, "Cos"), (1, "Sin")),
    "Tan": ((-1, "Cot"), (1, "Tan"), (-1, "Cot")),
    "Cot": ((-1, "Tan"), (1, "Cot"), (-1, "Tan")),
    "Sec": ((-1, "Csc"), (-1, "Sec"), (1, "Csc")),
    "Csc": ((1, "Sec"), (-1, "Csc"), (-1, "Sec")),
}


def _shifted(name: str, x: Any) -> Any:
    """f(x + k Pi/2) without the shift; None where there is none."""
    if type(x) is not Expr or x.head is not S.Plus:
        return None
    for i, t in enumerate(x.args):
        r = pi_multiple(t)
        if r is not None and (2 * r).denominator == 1 and r != 0:
            rest = x.args[:i] + x.args[i + 1 :]
            inner = rest[0] if len(rest) == 1 else Expr(S.Plus, rest)
            k = int(2 * r) % 4
            if k == 0:
                return mk(getattr(S, name), inner)
            s, other = _SHIFTS[name][k - 1]
            return mk(getattr(S, other), inner) if s > 0 else mk(S.Times, -1, mk(getattr(S, other), inner))
    return None


_INVERSES = {n: getattr(S, f"Arc{n}") for n in ("Sin", "Cos", "Tan", "Cot", "Sec", "Csc")}
_ONE_MINUS = lambda x: mk(S.Power, mk(S.Plus, 1, mk(S.Times, -1, mk(S.Power, x, 2))), _HALF)
_ONE_PLUS = lambda x: mk(S.Power, mk(S.Plus, 1, mk(S.Power, x, 2)), _HALF)
_RIGHT = {
    S.ArcSin: lambda n, x: {"Cos": _ONE_MINUS(x), "Tan": mk(S.Divide, x, _ONE_MINUS(x))}.get(n),
    S.ArcCos: lambda n, x: {"Sin": _ONE_MINUS(x), "Tan": mk(S.Divide, _ONE_MINUS(x), x)}.get(n),
    S.ArcTan: lambda n, x: {"Cos": mk(S.Power, _ONE_PLUS(x), -1), "Sin": mk(S.Divide, x, _ONE_PLUS(x))}.get(n),
}


def inexact_value(ev: Evaluator, head: Symbol, x: Any) -> Any:
    """head[x] for an inexact number x, else None."""
    if type(x) is float:
        v = function_value(head, x)
        if v is not None:
            return from_complex(v) if type(v) is complex else v
        m = approx_mp(mk(head, x), MACHINE_DIGITS)  # more than a machine number holds, or a pole
        return None if m is None or not mp().isfinite(m) else from_mp(m, MACHINE_DIGITS)
    if type(x) is BigReal or (type(x) is Expr and x.head is COMPLEX and not is_exact(x)):
        if type(x) is Expr and float in map(type, x.args):
            v = function_value(head, to_complex(x))
            return None if v is None else from_complex(v) if type(v) is complex else v
        digits = x.digits if type(x) is BigReal else min(p.digits for p in x.args if type(p) is BigReal)
        m = approx_mp(mk(head, x), digits)
        return None if m is None else from_mp(m, digits)
    return None


def _sin_value(ev: Evaluator, r: Fraction, x: Any) -> Any:
    s, q = _sine(r)
    exact = _SINES.get(q)
    if exact is not None:
        return exact if s > 0 else mk(S.Times, -1, exact)
    if (type(x) is Expr and x.args[1] is S.Degree and 0 < r <= _HALF) or x is S.Degree:
        return None
    inner: Any
    out = mk(S.Sin, _pi_times(q)) if q <= Fraction(1, 4) else mk(S.Cos, _pi_times(_HALF - q))
    inner = out
    if s > 0 and q == r and q <= Fraction(1, 4):
        return None
    return inner if s > 0 else mk(S.Times, -1, inner)


def _cos_value(ev: Evaluator, r: Fraction, x: Any) -> Any:
    s, q = _sine(r + _HALF)
    exact = _SINES.get(q)
    if exact is not None:
        return exact if s > 0 else mk(S.Times, -1, exact)
    if (type(x) is Expr and x.args[1] is S.Degree and 0 < r <= _HALF) or x is S.Degree:
        return None
    c = _HALF - q
    if s > 0 and c == r and c <= Fraction(1, 4):
        return None
    out = mk(S.Cos, _pi_times(c)) if c <= Fraction(1, 4) else mk(S.Sin, _pi_times(q))
    return out if s > 0 else mk(S.Times, -1, out)


def _tan_value(ev: Evaluator, r: Fraction, x: Any) -> Any:
    r %= 1
    if r == _HALF:
        return S.ComplexInfinity
    s, q = (1, r) if r < _HALF else (-1, 1 - r)
    exact = _TANGENTS.get(q)
    if exact is not None:
        return exact if s > 0 else mk(S.Times, -1, exact)
    return None


_trig("Sin", _sin_value)
_trig("Cos", _cos_value)
_trig("Tan", _tan_value)


def _reciprocal_trig(name: str, base: str, value: Any) -> None:
    def of(ev: Evaluator, r: Fraction, x: Any) -> Any:
        v = value(ev, r, x)
        if v is None:
            return None
        v = ev.eval(v)
        if v is S.ComplexInfinity:
            return 0
        if type(v) is int and v == 0:
            return S.ComplexInfinity
        if (
            type(v) is Expr
            and not is_number(v)
            and any(type(a) is Expr and a.head in (S.Sin, S.Cos) for a in (v, *v.args))
        ):
            return None
        out = ev.call(S.Power, v, -1)
        return ev.call(S.Simplify, out) if type(out) is Expr and _has_sum(out) else out

    _trig(name, of)


def _has_sum(e: Any) -> bool:
    return type(e) is Expr and (e.head is S.Plus or any(map(_has_sum, e.args)))


_reciprocal_trig("Csc", "Sin", _sin_value)
_reciprocal_trig("Sec", "Cos", _cos_value)
_reciprocal_trig("Cot", "Tan", _tan_value)

_ARCSINES = {v: r for r, v in _SINES.items()}
_ARCTANS = {v: r for r, v in _TANGENTS.items()}


def _arc(name: str, exact: Any, odd: bool) -> None:
    head = getattr(S, name)

    @builtin(name, _NUMERIC, arity=(1, 2) if name == "ArcTan" else 1)
    def arc(ev: Evaluator, args: tuple) -> Any:
        x = args[0]
        if len(args) == 2:
            return _arctan2(ev, *args)
        v = inexact_value(ev, head, x)
        if v is not None:
            return v
        r = exact(ev, x)
        if r is not None:
            return mk(S.Times, norm(r), S.Pi) if type(r) in (int, Fraction) else r
        flipped = _minus_argument(x)
        if flipped is not None and odd:
            return mk(S.Times, -1, mk(head, flipped))
        return None


def _evaluated(ev: Evaluator, table_: dict[Any, Fraction]) -> dict[Any, Fraction]:
    """The inverse table with its keys in canonical form (made once per context)."""
    cache = ev.options.setdefault(S._ArcTables, {})
    got = cache.get(id(table_))
    if got is None:
        got = cache[id(table_)] = {ev.eval(v): r for v, r in table_.items()}
    return got


def _arcsin(ev: Evaluator, x: Any) -> Fraction | None:
    if is_number(x) and x not in (0, 1, -1, _HALF, -_HALF):
        return None
    t = _evaluated(ev, _ARCSINES)
    if x in t:
        return t[x]
    minus = ev.call(S.Times, -1, x)
    return -t[minus] if minus in t else None


def _arccos(ev: Evaluator, x: Any) -> Fraction | None:
    r = _arcsin(ev, x)
    return None if r is None else _HALF - r


def _arctan(ev: Evaluator, x: Any) -> Any:
    if x is S.Infinity:
        return _HALF
    if is_infinity(x):
        return -_HALF
    if is_number(x) and x not in (0, 1, -1):
        return None
    t = _evaluated(ev, _ARCTANS)
    if x in t:
        return t[x]
    minus = ev.call(S.Times, -1, x)
    return -t[minus] if minus in t else None


def _arctan2(ev: Evaluator, x: Any, y: Any) -> Any:
    if type(x) is float or type(y) is float:
        a, b = real_value(x), real_value(y)
        return math.atan2(b, a) if a is not None and b is not None else None
    sx, sy = (certain_sign(v) if is_numeric(v) else None for v in (x, y))
    if sx is None or sy is None:
        return None
    if sx == 0:
        if sy == 0:
            ev.message("ArcTan", "indet", "Indeterminate expression ArcTan[0, 0] encountered.")
            return S.Indeterminate
        return mk(S.Times, _HALF * sy, S.Pi)
    base = ev.call(S.ArcTan, ev.eval(mk(S.Times, y, mk(S.Power, x, -1))))
    if sx > 0:
        return base
    return mk(S.Plus, base, S.Pi if sy >= 0 else mk(S.Times, -1, S.Pi))


_arc("ArcSin", _arcsin, True)
_arc("ArcCos", _arccos, False)
_arc("ArcTan", _arctan, True)


def _arc_reciprocal(name: str, base: str, at_zero: Any, odd: bool) -> None:
    def exact(ev: Evaluator, x: Any) -> Any:
        if type(x) is int and x == 0:
            return at_zero
        if is_number(x) and x not in (1, -1, 2, -2):
            return None
        v = ev.call(getattr(S, base), ev.call(S.Power, x, -1)) if is_numeric(x) else None
        return (
            None
            if v is None or (type(v) is Expr and v.head is getattr(S, base)) or _contains(v, getattr(S, base))
            else v
        )

    _arc(name, exact, odd)


def _contains(e: Any, head: Symbol) -> bool:
    return type(e) is Expr and (e.head is head or any(_contains(a, head) for a in e.args))


_arc_reciprocal("ArcCsc", "ArcSin", S.ComplexInfinity, True)
_arc_reciprocal("ArcSec", "ArcCos", S.ComplexInfinity, False)
_arc_reciprocal("ArcCot", "ArcTan", _HALF, True)


def _hyperbolic(name: str, at_zero: Any, odd: bool) -> None:
    head = getattr(S, name)

    @builtin(name, _NUMERIC, arity=1)
    def hyperbolic(ev: Evaluator, args: tuple) -> Any:
        x = args[0]
        v = inexact_value(ev, head, x)
        if v is not None:
            return v
        if type(x) is int and x == 0:
            return at_zero
        if name in ("ArcCosh", "ArcSech") and type(x) is int and x == 1:
            return 0
        if x is S.Infinity:
            return {
                "Sinh": S.Infinity,
                "Cosh": S.Infinity,
                "Tanh": 1,
                "Coth": 1,
                "Sech": 0,
                "Csch": 0,
                "ArcSinh": S.Infinity,
            }.get(name)
        if (
            type(x) is Expr
            and len(x.args) == 1
            and x.head is getattr(S, f"Arc{name}", None)
            and not name.startswith("Arc")
        ):
            return x.args[0]
        flipped = _minus_argument(x)
        if flipped is not None and not name.startswith("ArcCosh") and not name.startswith("ArcSech"):
            return mk(S.Times, -1, mk(head, flipped)) if odd else mk(head, flipped)
        return None


for _n, _z, _odd in (
    ("Sinh", 0, True), ("Cosh", 1, False), ("Tanh", 0, True), ("Coth", S.ComplexInfinity, True), ("Sech", 1, False),
    ("Csch", S.ComplexInfinity, True), ("ArcSinh", 0, True), ("ArcCosh", None, False), ("ArcTanh", 0, True),
    ("ArcCoth", None, True), ("ArcSech", None, False), ("ArcCsch", None, True),
):  # fmt: skip
    _hyperbolic(_n, _z, _odd)


@builtin("Haversine", _NUMERIC, arity=1)
def haversine(ev: Evaluator, args: tuple) -> Any:
    return mk(S.Times, _HALF, mk(S.Plus, 1, mk(S.Times, -1, mk(S.Cos, args[0])))) if is_numeric(args[0]) else None


def _degrees(name: str, of: str) -> None:
    @builtin(name, _NUMERIC, arity=1)
    def in_degrees(ev: Evaluator, args: tuple) -> Any:
        if name.startswith("Arc"):
            r = ev.call(getattr(S, of), args[0])
            return ev.eval(mk(S.Times, r, 180, mk(S.Power, S.Pi, -1))) if is_numeric(r) else None
        r = ev.eval(mk(getattr(S, of), mk(S.Times, args[0], mk(S.Times, S.Pi, Fraction(1, 180)))))
        return r if is_numeric(args[0]) else None


for _n in ("Sin", "Cos", "Tan"):
    _degrees(f"{_n}Degrees", _n)
    _degrees(f"Arc{_n}Degrees", f"Arc{_n}")
