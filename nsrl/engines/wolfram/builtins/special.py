"""More mathematics: orthogonal polynomials, products over divisors, normal forms of logic, digits of reals, polar forms."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

from nsrl.engines.wolfram.builtins.logic import _assignments, boolean_variables
from nsrl.engines.wolfram.builtins.primes import divisors_of, factor
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, is_list, lst, mk, norm
from nsrl.engines.wolfram.numbers import is_real
from nsrl.engines.wolfram.numeric import approx_mp, real_value
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"


def _polynomial(name: str, arity: int, first: Any, step: Any) -> None:
    """P_0, P_1 = first(x, a); P_(n+1) = step(n, P_n, P_(n-1), x, a)."""

    @builtin(name, _NUMERIC, arity=arity)
    def orthogonal(ev: Any, args: tuple) -> Any:
        n, x, a = args[0], args[-1], args[1] if arity == 3 else None
        if type(n) is not int or not 0 <= n <= 200:
            return None
        p, q = first(x, a)
        if n == 0:
            return p
        q = ev.eval(q)
        for k in range(1, n):
            p, q = q, ev.eval(mk(S.Expand, step(k, q, p, x, a)))
        return mk(S.Together if name in ("LegendreP", "LaguerreL") else S.Expand, q)


def _t(*factors: Any) -> Any:
    return Expr(S.Times, factors)


def _p(*terms: Any) -> Any:
    return Expr(S.Plus, terms)


_polynomial("ChebyshevT", 2, lambda x, a: (1, x), lambda k, q, p, x, a: _p(_t(2, x, q), _t(-1, p)))
_polynomial("ChebyshevU", 2, lambda x, a: (1, _t(2, x)), lambda k, q, p, x, a: _p(_t(2, x, q), _t(-1, p)))
_polynomial("HermiteH", 2, lambda x, a: (1, _t(2, x)), lambda k, q, p, x, a: _p(_t(2, x, q), _t(-2 * k, p)))
_polynomial("LegendreP", 2, lambda x, a: (1, x), lambda k, q, p, x, a: _p(_t(Fraction(2 * k + 1, k + 1), x, q), _t(norm(Fraction(-k, k + 1)), p)))
_polynomial("LaguerreL", 2, lambda x, a: (1, _p(1, _t(-1, x))), lambda k, q, p, x, a: _p(_t(norm(Fraction(2 * k + 1, k + 1)), q), _t(norm(Fraction(-1, k + 1)), x, q), _t(norm(Fraction(-k, k + 1)), p)))


@builtin("Pochhammer", _NUMERIC, arity=2)
def pochhammer(ev: Any, args: tuple) -> Any:
    a, n = args
    if type(n) is not int or not 0 <= n <= 2000:
        return None
    return Expr(S.Times, tuple([_p(a, k) for k in range(n)])) if n else 1


@builtin("FactorialPower", _NUMERIC, arity=(2, 3))
def factorial_power(ev: Any, args: tuple) -> Any:
    x, n, h = args[0], args[1], args[2] if len(args) > 2 else 1
    if type(n) is not int or not 0 <= n <= 2000:
        return None
    return Expr(S.Times, tuple([_p(x, _t(-k, h)) for k in range(n)])) if n else 1


@builtin("BernoulliB", "Listable", arity=1)
def bernoulli(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 <= n <= 300:
        return None
    if n == 1:
        return Fraction(-1, 2)
    ev.step(n * n // 4)
    row = [Fraction(0)] * (n + 1)
    for m in range(n + 1):
        row[m] = Fraction(1, m + 1)
        for j in range(m, 0, -1):
            row[j - 1] = j * (row[j - 1] - row[j])
    return norm(row[0])


@builtin("EulerE", "Listable", arity=1)
def euler_e(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 <= n <= 200:
        return None
    e = [1]
    for m in range(1, n + 1):
        e.append(-sum(math.comb(m, k) * e[k] for k in range(m) if (m - k) % 2 == 0) if m % 2 == 0 else 0)
    return e[n]


@builtin("PartitionsQ", "Listable", arity=1)
def partitions_q(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n > 5000:
        return None
    q = [1] + [0] * max(n, 0)
    for k in range(1, n + 1):
        ev.step(1 + n // 64)
        for i in range(n, k - 1, -1):
            q[i] += q[i - k]
    return q[n] if n >= 0 else 0


@builtin("DivisorSum", arity=(2, 3))
def divisor_sum(ev: Any, args: tuple) -> Any:
    n, f = args[0], args[1]
    return Expr(S.Plus, tuple([mk(f, d) for d in divisors_of(ev, n) if len(args) == 2 or ev.call(args[2], d) is TRUE]))


@builtin("MangoldtLambda", "Listable", arity=1)
def mangoldt(ev: Any, args: tuple) -> Any:
    f = factor(ev, args[0])
    return mk(S.Log, next(iter(f))) if len(f) == 1 else 0


@builtin("MersennePrimeExponent", "Listable", arity=1)
def mersenne(ev: Any, args: tuple) -> Any:
    known = (2, 3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279, 2203, 2281, 3217, 4253, 4423)
    return known[args[0] - 1] if 1 <= args[0] <= len(known) else None


@builtin("PrimitiveRoot", "Listable", arity=1)
def primitive_root(ev: Any, args: tuple) -> Any:
    n = args[0]
    phi = ev.call(S.EulerPhi, n)
    ps = factor(ev, phi)
    for g in range(1, n):
        ev.step()
        if math.gcd(g, n) == 1 and all(pow(g, phi // p, n) != 1 for p in ps):
            return g
    return None


@builtin("FrobeniusNumber", arity=1)
def frobenius(ev: Any, args: tuple) -> Any:
    ns = sorted(args[0].args)
    if math.gcd(*ns) != 1:
        return S.Infinity
    if ns[0] == 1:
        return -1
    m = ns[0]
    ev.need_length(m)
    dist = [math.inf] * m
    dist[0] = 0
    changed = True
    while changed:
        changed = False
        ev.step(m)
        for i in range(m):
            for n in ns[1:]:
                j = (i + n) % m
                if dist[i] + n < dist[j]:
                    dist[j] = dist[i] + n
                    changed = True
    return int(max(dist)) - m


@builtin("Sinc", _NUMERIC, arity=1)
def sinc(ev: Any, args: tuple) -> Any:
    x = args[0]
    return 1 if type(x) is int and x == 0 else _t(mk(S.Sin, x), mk(S.Power, x, -1)) if is_real(x) else None


@builtin("RealSign", _NUMERIC, arity=1)
def real_sign(ev: Any, args: tuple) -> Any:
    return mk(S.Sign, args[0])


@builtin("UnitBox", _NUMERIC, arity=1)
def unit_box(ev: Any, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else int(abs(x) <= 0.5)


@builtin("UnitTriangle", _NUMERIC, arity=1)
def unit_triangle(ev: Any, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else 0 if abs(x) >= 1 else _p(1, _t(-1, mk(S.Abs, args[0])))


@builtin("SquareWave", _NUMERIC, arity=1)
def square_wave(ev: Any, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else 1 if x % 1 < 0.5 else -1


@builtin("SawtoothWave", _NUMERIC, arity=1)
def sawtooth(ev: Any, args: tuple) -> Any:
    return _p(args[0], _t(-1, mk(S.Floor, args[0]))) if is_real(args[0]) else None


# -- digits ----------------------------------------------------------------------------------------------------------
@builtin("RealDigits", "Listable", arity=(1, 3))
def real_digits(ev: Any, args: tuple) -> Any:
    x, base = args[0], args[1] if len(args) > 1 else 10
    if base != 10:
        return None
    if type(x) is int:
        s = str(abs(x))
        return lst((lst(map(int, s)), len(s)))
    if type(x) is Fraction and len(args) < 3:
        return _recurring(ev, abs(x))
    n = args[2] if len(args) > 2 else 16
    if type(n) is not int or n > 10_000:
        return None
    m = approx_mp(x, n + 10)
    if m is None:
        return None
    if type(x) is float and len(args) < 3:
        s = f"{abs(x):.15e}"
        return lst((lst(int(c) for c in s.split("e")[0] if c != "."), int(s.split("e")[1]) + 1))
    from nsrl.engines.wolfram.bignum import bits, mp

    with mp().workprec(bits(n + 10)):
        exponent = int(mp().floor(mp().log10(abs(m)))) + 1
        digits = str(int(mp().floor(abs(m) * mp().mpf(10) ** (n - exponent)))).rjust(n, "0")
    return lst((lst(map(int, digits)), exponent))


def _recurring(ev: Any, x: Fraction) -> Any:
    whole, r = divmod(x.numerator, x.denominator)
    out, seen, rest = [], {}, r
    while rest and rest not in seen:
        ev.step()
        seen[rest] = len(out)
        rest *= 10
        out.append(rest // x.denominator)
        rest %= x.denominator
    head = [int(c) for c in str(whole)] if whole else []
    exponent = len(head)
    at = seen[rest] if rest else len(out)
    lead, cycle = out[:at], out[at:]
    if not head:
        while lead and lead[0] == 0:
            lead.pop(0)
            exponent -= 1
        while not lead and cycle and cycle[0] == 0:
            cycle = [*cycle[1:], 0]
            exponent -= 1
    items: list[Any] = [*head, *lead]
    if cycle:
        items.append(lst(cycle))
    return lst((lst(items), exponent))


@builtin("NumberExpand", arity=1)
def number_expand(ev: Any, args: tuple) -> Any:
    s = str(abs(args[0]))
    sign = -1 if args[0] < 0 else 1
    return lst(sign * int(c) * 10 ** (len(s) - i - 1) for i, c in enumerate(s))


@builtin("NumberDecompose", arity=2)
def number_decompose(ev: Any, args: tuple) -> Any:
    x, out = args[0], []
    units = args[1].args
    for u in units[:-1]:
        q = ev.call(S.Quotient, x, u)
        out.append(q)
        x = ev.call(S.Subtract, x, mk(S.Times, q, u))
    out.append(ev.call(S.Divide, x, units[-1]))
    return lst(out)


@builtin("NumberCompose", arity=2)
def number_compose(ev: Any, args: tuple) -> Any:
    return Expr(S.Plus, tuple([_t(a, b) for a, b in zip(args[0].args, args[1].args)]))


@builtin("FromDMS", arity=1)
def from_dms(ev: Any, args: tuple) -> Any:
    d, m, s = (*args[0].args, 0, 0)[:3]
    return _p(d, _t(m, Fraction(1, 60)), _t(s, Fraction(1, 3600)))


@builtin("DMSList", arity=1)
def dms_list(ev: Any, args: tuple) -> Any:
    x = args[0]
    d = ev.call(S.IntegerPart, x)
    m = ev.eval(_t(60, _p(x, _t(-1, d))))
    mi = ev.call(S.IntegerPart, m)
    return lst((d, mi, ev.eval(_t(60, _p(m, _t(-1, mi))))))


# -- plane coordinates -----------------------------------------------------------------------------------------------
@builtin("ToPolarCoordinates", arity=1)
def to_polar(ev: Any, args: tuple) -> Any:
    x, y = args[0].args
    return lst((mk(S.Sqrt, _p(mk(S.Power, x, 2), mk(S.Power, y, 2))), mk(S.ArcTan, x, y)))


@builtin("FromPolarCoordinates", arity=1)
def from_polar(ev: Any, args: tuple) -> Any:
    r, t = args[0].args
    return lst((_t(r, mk(S.Cos, t)), _t(r, mk(S.Sin, t))))


@builtin("AngleVector", arity=(1, 2))
def angle_vector(ev: Any, args: tuple) -> Any:
    a = args[-1]
    if is_list(a):
        return from_polar(ev, (a,))
    step = lst((mk(S.Cos, a), mk(S.Sin, a)))
    return step if len(args) == 1 else mk(S.Plus, args[0], step)


@builtin("AnglePath", arity=1)
def angle_path(ev: Any, args: tuple) -> Any:
    at: Any = lst((0, 0))
    out, turn = [at], 0
    for a in args[0].args:
        r, t = a.args if is_list(a) else (1, a)
        turn = ev.call(S.Plus, turn, t)
        at = ev.eval(mk(S.Plus, at, lst((_t(r, mk(S.Cos, turn)), _t(r, mk(S.Sin, turn))))))
        out.append(at)
    return lst(out)


# -- normal forms of logic -------------------------------------------------------------------------------------------
def _implicants(ev: Any, f: Any) -> tuple[list[Any], list[tuple]]:
    """(variables, prime implicants that cover f) as tuples over 0, 1, None (absent): Quine-McCluskey."""
    names = list(boolean_variables(ev, (f,)).args)
    if len(names) > 8:
        raise ValueError("at most 8 variables")
    values, _ = _assignments(ev, (f, lst(names)))
    rows = list(product((1, 0), repeat=len(names)))
    ones = [r for r, v in zip(rows, values) if v is TRUE]
    level, primes = set(ones), set()
    while level:
        merged, used = set(), set()
        for a in level:
            for i, x in enumerate(a):
                if x is None:
                    continue
                b = (*a[:i], 1 - x, *a[i + 1 :])
                if b in level:
                    merged.add((*a[:i], None, *a[i + 1 :]))
                    used |= {a, b}
        primes |= level - used
        level = merged
    covers = {p: [r for r in ones if all(x is None or x == y for x, y in zip(p, r))] for p in primes}
    order = sorted(primes, key=lambda p: (sum(x is not None for x in p), [2 if x is None else 1 - x for x in p]))
    chosen, left = [], set(ones)
    for r in ones:
        only = [p for p in order if r in covers[p]]
        if len(only) == 1 and only[0] not in chosen:
            chosen.append(only[0])
            left -= set(covers[only[0]])
    while left:
        best = max(order, key=lambda p: len(left & set(covers[p])))
        chosen.append(best)
        left -= set(covers[best])
    chosen.sort(key=lambda p: [2 if x is None else 1 - x for x in p])
    return names, chosen


def _disjunction(names: list[Any], chosen: list[tuple]) -> Any:
    if not chosen:
        return FALSE
    terms = []
    for p in chosen:
        lits = [n if x else mk(S.Not, n) for n, x in zip(names, p) if x is not None]
        if not lits:
            return TRUE
        terms.append(lits[0] if len(lits) == 1 else Expr(S.And, tuple(lits)))
    return terms[0] if len(terms) == 1 else Expr(S.Or, tuple(terms))


@builtin("BooleanMinimize BooleanConvert", arity=(1, 2))
def boolean_minimize(ev: Any, args: tuple) -> Any:
    if len(args) == 2 and args[1] == "CNF":
        return _cnf(ev, args[0])
    return _disjunction(*_implicants(ev, args[0]))


def _cnf(ev: Any, f: Any) -> Any:
    d = ev.eval(_disjunction(*_implicants(ev, mk(S.Not, f))))
    terms = d.args if type(d) is Expr and d.head is S.Or else (d,)
    if d in (TRUE, FALSE):
        return TRUE if d is FALSE else FALSE
    out = []
    for t in terms:
        lits = t.args if type(t) is Expr and t.head is S.And else (t,)
        flipped = [ev.call(S.Not, x) for x in lits]
        out.append(flipped[0] if len(flipped) == 1 else Expr(S.Or, tuple(flipped)))
    return out[0] if len(out) == 1 else Expr(S.And, tuple(out))


@builtin("LogicalExpand", arity=1)
def logical_expand(ev: Any, args: tuple) -> Any:
    return _disjunction(*_implicants(ev, args[0]))


