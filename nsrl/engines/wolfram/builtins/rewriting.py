"""Builtins that write trigonometric functions and powers in another form: TrigExpand, TrigToExp, PowerExpand,
ComplexExpand."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy, trig_rules
from nsrl.engines.wolfram.builtins.algebra import threaded
from nsrl.engines.wolfram.expr import Expr, S, has_head, mk
from nsrl.engines.wolfram.poly import NotPolynomial, TooLarge
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

_CANNOT = (NotPolynomial, NotBridged, ZeroDivisionError)


def _through(function: str, **options: Any):
    def handler(ev: Evaluator, args: tuple) -> Any:
        try:
            b = Bridge()
            x = b.to_sympy(args[0])
            return ev.eval(b.from_sympy(guarded(getattr(sympy(), function), x, **options)))
        except _CANNOT:
            return None

    return handler


@builtin("TrigExpand", arity=1)
def trig_expand(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.TrigExpand, args)
    if done is not None:
        return done
    return ev.eval(mk(S.Expand, _angles_apart(ev, args[0])))


def _angles_apart(ev: Evaluator, e: Any) -> Any:
    """Sine and cosine of sums and whole multiples written in those of single angles."""
    if type(e) is not Expr:
        return e
    e = Expr(e.head, tuple(_angles_apart(ev, a) for a in e.args))
    if e.head is S.Tan and len(e.args) == 1 and (has_head(e.args[0], S.Plus) or _multiple(e.args[0]) > 1):
        top, bottom = _angles_apart(ev, mk(S.Sin, e.args[0])), _angles_apart(ev, mk(S.Cos, e.args[0]))
        return mk(S.Times, top, mk(S.Power, bottom, -1))
    if e.head not in (S.Sin, S.Cos) or len(e.args) != 1:
        return e
    u = e.args[0]
    if has_head(u, S.Plus):
        a, b = u.args[0], u.args[1] if len(u.args) == 2 else Expr(S.Plus, u.args[1:])
        sa, ca, sb, cb = (_angles_apart(ev, mk(h, v)) for v in (a, b) for h in (S.Sin, S.Cos))
        if e.head is S.Sin:
            return mk(S.Plus, mk(S.Times, sa, cb), mk(S.Times, ca, sb))
        return mk(S.Plus, mk(S.Times, ca, cb), mk(S.Times, -1, sa, sb))
    n = _multiple(u)
    if 1 < n <= 30:
        v = ev.eval(mk(S.Times, Fraction(1, n), u))
        terms = []
        for k in range(1 if e.head is S.Sin else 0, n + 1, 2):
            c = comb(n, k) * (-1) ** (k // 2)
            terms.append(mk(S.Times, c, mk(S.Power, mk(S.Cos, v), n - k), mk(S.Power, mk(S.Sin, v), k)))
        return Expr(S.Plus, tuple(terms))
    return e


def _multiple(u: Any) -> int:
    """n of an angle n x."""
    return abs(u.args[0]) if has_head(u, S.Times) and type(u.args[0]) is int else 1


@builtin("TrigReduce", arity=1)
def trig_reduce(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.TrigReduce, args)
    if done is not None:
        return done
    b = Bridge()
    try:
        sp = sympy()
        TR7, TR8 = trig_rules()
        x = guarded(lambda: TR8(sp.expand(TR7(sp.expand(b.to_sympy(args[0]))))))
        return ev.eval(mk(S.Together, b.from_sympy(guarded(lambda: sp.expand(TR8(sp.expand(x)))))))
    except TooLarge:
        return None
    except _CANNOT:
        return args[0]


@builtin("TrigToExp", arity=1)
def trig_to_exp(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        sp = sympy()
        return ev.eval(mk(S.Expand, b.from_sympy(b.to_sympy(args[0]).rewrite(sp.exp))))
    except _CANNOT:
        return None


@builtin("ExpToTrig", arity=1)
def exp_to_trig(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        sp = sympy()
        x = b.to_sympy(args[0])
        return ev.eval(b.from_sympy(guarded(sp.expand, x.rewrite(sp.cos)) if x.has(sp.I) else x.rewrite(sp.cosh)))
    except _CANNOT:
        return None


@builtin("TrigFactor", arity=1)
def trig_factor(ev: Evaluator, args: tuple) -> Any:
    return ev.eval(mk(S.Factor, args[0]))


@builtin("PowerExpand", arity=1)
def power_expand(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.PowerExpand, args)
    if done is not None:
        return done

    def walk(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        e = Expr(e.head, tuple(walk(a) for a in e.args))
        if e.head is S.Power and len(e.args) == 2:
            base, n = e.args
            if has_head(base, S.Times):
                return Expr(S.Times, tuple(walk(mk(S.Power, f, n)) for f in base.args))
            if has_head(base, S.Power):
                return mk(S.Power, base.args[0], mk(S.Times, base.args[1], n))
        if e.head is S.Log and len(e.args) == 1:
            x = e.args[0]
            if (
                has_head(x, S.Times)
                and all(has_head(f, S.Power) for f in x.args)
                and len({f.args[1] for f in x.args}) == 1
            ):
                return mk(S.Times, x.args[0].args[1], Expr(S.Plus, tuple(walk(mk(S.Log, f.args[0])) for f in x.args)))
            if has_head(x, S.Times):
                return Expr(S.Plus, tuple(walk(mk(S.Log, f)) for f in x.args))
            if has_head(x, S.Power):
                return mk(S.Times, x.args[1], walk(mk(S.Log, x.args[0])))
            if type(x) is Fraction:
                return mk(S.Plus, mk(S.Log, x.numerator), mk(S.Times, -1, mk(S.Log, x.denominator)))
        return e

    return ev.eval(walk(args[0]))


@builtin("ComplexExpand", arity=1)
def complex_expand(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.ComplexExpand, args)
    if done is not None:
        return done
    b = Bridge(everything_real=True)
    try:
        sp = sympy()
        x = b.to_sympy(args[0])
        if not isinstance(x, sp.Expr):
            return args[0]
        re, im = guarded(x.as_real_imag)
        return ev.eval(b.from_sympy(guarded(sp.expand, sp.expand(re) + sp.I * sp.expand(im))))
    except TooLarge:
        return None
    except _CANNOT:
        return args[0]
