"""One equation in one unknown: every solution, or Cannot.

What is algebraic becomes a polynomial (elimination.py): roots and absolute values are helper unknowns, eliminated,
which lose no solution and may add some. Trigonometric functions of commensurate angles become rational in tan(θ/2),
exponentials powers of one, sums of logarithms one product; one function of the unknown is inverted. So the candidates
are complete, and each is kept only if it satisfies the equation as it was given, numerically to many digits.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.elimination import eliminated
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, has_head, mk, norm
from nsrl.engines.wolfram.points import Undefined, Unknown, difference, is_real, is_zero, number
from nsrl.engines.wolfram.roots import Cannot, contains, factored, polynomial_in, put, roots, symbols

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

MAX_DEPTH = 5
MAX_TURNS = 48
_TRIG = (S.Sin, S.Cos, S.Tan, S.Sec, S.Csc, S.Cot)
_INVERSE = {S.ArcSin: S.Sin, S.ArcCos: S.Cos, S.ArcTan: S.Tan, S.ArcSinh: S.Sinh, S.ArcCosh: S.Cosh, S.ArcTanh: S.Tanh}
_ROOTS = (S.Abs, S.RealAbs, S.CubeRoot, S.Surd, S.Sqrt)


class Root(NamedTuple):
    """value, or value + period k for every whole k: with `test`, for those k alone whose member passes it."""

    value: Any
    period: Any = None
    test: Callable[[Any], bool] | None = None


def solve_one(ev: Evaluator, e: Any, x: Symbol, real: bool) -> list[Root]:
    """Every solution of e = 0. Other symbols are generic parameters. Raises Cannot."""
    try:
        return _solve(ev, _plain(e), x, real, 0)
    except (NotBridged, RecursionError) as error:
        raise Cannot from error


def _solve(ev: Evaluator, e: Any, x: Symbol, real: bool, depth: int) -> list[Root]:
    if depth > MAX_DEPTH:
        raise Cannot
    e = ev.eval(e)
    sample = {
        s: Fraction(p, 7)
        for s, p in zip(sorted(symbols(e) - {x}, key=lambda s: s.name), (11, 17, 23, 5, 31, 13, 3, 37, 41, 43))
    }
    if not contains(e, x):
        if _zero(ev, e, sample):
            raise Cannot  # everything is a solution
        return []
    if polynomial_in(e, x):
        try:
            return [Root(v) for v in roots(ev, e, x, real) if not real or _real(ev, v, sample)]
        except Cannot:
            pass
    found: list[Root] = []
    for f in factored(ev, e):
        for r in _factor(ev, f, x, real, depth) if contains(f, x) else ():
            if real and r.period is not None and not _real(ev, r.period, sample):
                raise Cannot
            if not real or _real(ev, r.value, sample):
                for s in _satisfying(ev, e, f, x, r, sample):
                    if not any(_same(ev, s, other, sample) for other in found):
                        found.append(s)
    return found


# --- checks


def _at(ev: Evaluator, e: Any, values: dict) -> Any:
    return put(ev, e, values) if values else e


def _zero(ev: Evaluator, e: Any, sample: dict) -> bool:
    try:
        return is_zero(_at(ev, e, sample))
    except Undefined:
        return False
    except Unknown as error:
        raise Cannot from error


def _real(ev: Evaluator, v: Any, sample: dict) -> bool:
    if sample and symbols(v) and _irrational(v):
        raise Cannot  # real for some values of the parameters only
    try:
        return is_real(_at(ev, v, sample))
    except Undefined:
        return False
    except Unknown as error:
        raise Cannot from error


def _irrational(v: Any) -> bool:
    if type(v) is not Expr:
        return False
    if (
        v.head is COMPLEX
        or v.head not in (S.Plus, S.Times, S.Power)
        or (v.head is S.Power and type(v.args[1]) is not int)
    ):
        return bool(symbols(v)) or v.head is COMPLEX
    return any(_irrational(a) for a in v.args)


def _satisfying(ev: Evaluator, e: Any, f: Any, x: Symbol, r: Root, sample: dict) -> list[Root]:
    """What of a root of the factor f solves e = 0 itself: all, nothing, some classes of a family, or what passes a
    test.

    A function that repeats after q members is judged at q of them. Where e repeats nowhere but has a value everywhere,
    it is 0 wherever f is. Any other e may have a pole or the end of a domain at some members, and each is judged by
    itself.
    """
    at = replaced(e, sample)

    def good(v: Any) -> bool:
        return _zero(ev, replaced(at, {x: _at(ev, v, sample)}), {})

    def member(k: int) -> Any:
        return mk(S.Plus, r.value, mk(S.Times, k, r.period)) if k else r.value

    if r.period is None:
        return [r] if good(r.value) else []
    q = _repeats(ev, e, x, r.period)
    if q is None:
        if _total(e, x) and _repeats(ev, f, x, r.period) and all(good(member(k)) for k in (0, 1, -2)):
            return _satisfying(ev, f, f, x, r, sample)
        return [Root(r.value, r.period, good)]
    kept = [good(member(k)) for k in range(q)]
    step = next(d for d in range(1, q + 1) if q % d == 0 and kept == kept[:d] * (q // d))
    period = r.period if step == 1 else ev.eval(mk(S.Expand, mk(S.Times, step, r.period)))
    return [Root(ev.eval(mk(S.Expand, member(k))) if k else r.value, period) for k in range(step) if kept[k]]


def _repeats(ev: Evaluator, e: Any, x: Symbol, period: Any) -> int | None:
    """A number of periods after which e has the same value again: every x is inside a wave of a linear function of
    x."""
    if not contains(e, x):
        return 1
    if type(e) is not Expr:
        return None
    turn, inner = None, e.args[-1] if e.args else 0
    if e.head in _TRIG:
        turn = mk(S.Times, 2, S.Pi)
    elif e.head is S.Power and not contains(e.args[0], x):
        turn = mk(S.Times, mk(COMPLEX, 0, 2), S.Pi, mk(S.Power, mk(S.Log, e.args[0]), -1))
    if turn is not None and not contains(slope := ev.eval(mk(S.D, inner, x)), x):
        times = _ratio(ev, mk(S.Times, slope, period), turn)
        return times.denominator if times is not None and times.denominator <= MAX_TURNS else None
    each: list[Any] = [_repeats(ev, a, x, period) for a in e.args]
    if None in each or type(e.head) is not Symbol:
        return None
    q = lcm(*each)
    return q if q <= MAX_TURNS else None


def _total(e: Any, x: Symbol) -> bool:
    """Whether e surely has a finite value at every x."""
    if e is x or not contains(e, x):
        return True
    if e.head is S.Power:
        base, n = e.args
        if contains(n, x):
            return (base is S.E or (isinstance(base, (int, Fraction)) and base != 0)) and _total(n, x)
        return isinstance(n, (int, Fraction)) and n > 0 and _total(base, x)
    return e.head in (S.Plus, S.Times, S.Sin, S.Cos, S.Abs) and all(_total(a, x) for a in e.args)


def _same(ev: Evaluator, r: Root, other: Root, sample: dict) -> bool:
    if other.period is None and r.period is not None:
        return False
    d = mk(S.Plus, r.value, mk(S.Times, -1, other.value))
    if other.period is None:
        return _zero(ev, d, sample)
    try:
        steps = number(_at(ev, mk(S.Times, d, mk(S.Power, other.period, -1)), sample))
        ratio = number(_at(ev, mk(S.Times, r.period or 0, mk(S.Power, other.period, -1)), sample))
    except (Undefined, Unknown) as error:
        raise Cannot from error
    return all(abs(v - mp().nint(mp().re(v))) < 1e-25 for v in (steps, ratio))


def replaced(e: Any, values: dict[Any, Any]) -> Any:
    """e with symbols or whole subtrees replaced, not evaluated."""
    if not values:
        return e
    if e in values if type(e) in (Symbol, Expr) else False:
        return values[e]
    if type(e) is not Expr:
        return e
    args = tuple(replaced(a, values) for a in e.args)
    head = replaced(e.head, values) if type(e.head) is Expr else values.get(e.head, e.head)
    return e if head is e.head and all(a is b for a, b in zip(args, e.args)) else Expr(head, args)


# --- shapes


def _plain(e: Any) -> Any:
    """Hyperbolic functions by exponentials."""
    if type(e) is not Expr:
        return e
    args = tuple(_plain(a) for a in e.args)
    h = e.head
    if len(args) == 1 and h in (S.Sinh, S.Cosh, S.Tanh, S.Coth, S.Sech, S.Csch):
        up, down = mk(S.Power, S.E, args[0]), mk(S.Power, S.E, mk(S.Times, -1, args[0]))
        sinh = mk(S.Times, Fraction(1, 2), mk(S.Plus, up, mk(S.Times, -1, down)))
        cosh = mk(S.Times, Fraction(1, 2), mk(S.Plus, up, down))
        over = {
            S.Sinh: (sinh, 1),
            S.Cosh: (cosh, 1),
            S.Tanh: (sinh, cosh),
            S.Coth: (cosh, sinh),
            S.Sech: (1, cosh),
            S.Csch: (1, sinh),
        }[h]
        return mk(S.Times, over[0], mk(S.Power, over[1], -1))
    return Expr(h, args)


def transcendental(e: Any, x: Symbol) -> list[Any]:
    """The outermost parts that are no algebraic function of x."""
    if type(e) is not Expr or not contains(e, x):
        return []
    if e.head in (S.Plus, S.Times, *_ROOTS) or (e.head is S.Power and isinstance(e.args[1], (int, Fraction))):
        return list(dict.fromkeys(k for a in e.args for k in transcendental(a, x)))
    return [e]


def _factor(ev: Evaluator, f: Any, x: Symbol, real: bool, depth: int) -> list[Root]:
    kernels = transcendental(f, x)
    if not kernels:
        return _algebraic(ev, f, x, real, depth)
    u = Symbol(f"\x02u{depth}")
    outer = replaced(f, {k: u for k in kernels})
    if contains(outer, x):
        raise Cannot  # x and functions of x
    heads = {k.head for k in kernels}
    if len(kernels) == 1 and (heads & {*_TRIG, S.Log, *_INVERSE} or heads == {S.Power}):
        if heads == {S.Power} and contains(kernels[0].args[0], x):
            raise Cannot
        if heads != {S.Power} or symbols(f) != {x}:
            return _inverted(ev, kernels[0], [r.value for r in _solve(ev, outer, u, False, depth + 1)], x, real, depth)
    if heads <= set(_TRIG):
        return _angles(ev, f, kernels, x, real, depth)
    if heads == {S.Power}:
        return _powers(ev, f, kernels, x, real, depth)
    if heads == {S.Log}:
        return _logarithms(ev, f, kernels, x, real, depth)
    raise Cannot


# --- algebraic functions


def _algebraic(ev: Evaluator, e: Any, x: Symbol, real: bool, depth: int) -> list[Root]:
    if polynomial_in(e, x):
        try:
            return [Root(v) for v in roots(ev, e, x, real)]
        except Cannot:
            pass
    if real and symbols(e) - {x} and _one_sided(e, x):
        raise Cannot  # Abs[x] == a has real solutions for some values of the parameter only
    out = []
    for p in eliminated(e, x):
        out += [Root(v) for v in roots(ev, p, x, real)]
    return out


def _one_sided(e: Any, x: Symbol) -> bool:
    """Whether e holds an absolute value or a root of x, which take no negative values."""
    if type(e) is not Expr or not contains(e, x):
        return False
    return (
        e.head in (S.Abs, S.RealAbs)
        or (e.head is S.Power and type(e.args[1]) is Fraction)
        or any(_one_sided(a, x) for a in e.args)
    )


# --- one function inverted


def _inverted(ev: Evaluator, kernel: Any, values: list[Any], x: Symbol, real: bool, depth: int) -> list[Root]:
    out: list[Root] = []
    h, inner = kernel.head, kernel.args[-1]
    if h is S.Log and len(kernel.args) != 1:
        raise Cannot
    full = mk(S.Times, 2, S.Pi)
    for c in values:
        if h in (S.Sec, S.Csc, S.Cot) and c == 0:
            targets, period = [mk(S.Times, Fraction(1, 2), S.Pi)] if h is S.Cot else [], S.Pi
        elif h in (S.Sec, S.Csc, S.Cot):
            turned = mk({S.Sec: S.Cos, S.Csc: S.Sin, S.Cot: S.Tan}[h], inner)
            out += _inverted(ev, turned, [ev.eval(mk(S.Power, c, -1))], x, real, depth)
            continue
        elif h in (S.Sin, S.Cos):
            a = ev.eval(mk(S.ArcSin if h is S.Sin else S.ArcCos, c))
            if c == 0 and h is S.Sin:
                targets = [0, S.Pi]
            elif h is S.Sin:
                targets = [a] if c in (1, -1) else [a, mk(S.Plus, S.Pi, mk(S.Times, -1, a))]
            else:
                targets = [a] if c in (1, -1) else [mk(S.Times, -1, a), a]
            period = full
        elif h is S.Tan:
            targets, period = [mk(S.ArcTan, c)], S.Pi
        elif h is S.Power:
            targets, period = (
                _logarithm(kernel.args[0], c),
                mk(S.Times, mk(COMPLEX, 0, 2), S.Pi, mk(S.Power, mk(S.Log, kernel.args[0]), -1)),
            )
            if real and not contains(inner, COMPLEX) and _positive(kernel.args[0]):
                if symbols(c) - {x}:
                    raise Cannot
                if not _positive(c):
                    continue
                period = None
        else:
            targets, period = [_exponential(ev, c) if h is S.Log else mk(_INVERSE[h], c)], None
        for target in targets:
            out += _shifted(ev, inner, ev.eval(target), period, x, real, depth)
    return out


def _positive(e: Any) -> bool:
    try:
        d = difference(e, 0)
    except (Undefined, Unknown) as error:
        raise Cannot from error
    return not d.imag and d.real > 0


def _logarithm(base: Any, c: Any) -> list[Any]:
    """The logarithm of c; whole where it is."""
    if c == 0:
        return []
    if type(base) is int and base > 1 and isinstance(c, (int, Fraction)) and c > 0:
        n, v = 0, Fraction(c)
        while v.numerator % base == 0:
            v, n = v / base, n + 1
        while v.denominator % base == 0:
            v, n = v * base, n - 1
        if v == 1:
            return [n]
    return [mk(S.Times, mk(S.Log, c), mk(S.Power, mk(S.Log, base), -1))]


def _shifted(ev: Evaluator, inner: Any, target: Any, period: Any, x: Symbol, real: bool, depth: int) -> list[Root]:
    """inner = target + period k, for x."""
    if period is None:
        return _solve(ev, mk(S.Plus, inner, mk(S.Times, -1, target)), x, real, depth + 1)
    slope = ev.eval(mk(S.D, inner, x))
    if contains(slope, x):
        raise Cannot
    rest = put(ev, inner, {x: 0})
    value = ev.eval(mk(S.Expand, mk(S.Times, mk(S.Plus, target, mk(S.Times, -1, rest)), mk(S.Power, slope, -1))))
    return [Root(value, ev.eval(mk(S.Expand, mk(S.Times, period, mk(S.Power, slope, -1)))))]


# --- angles


def _ratio(ev: Evaluator, a: Any, b: Any) -> Fraction | None:
    """a/b where it is a rational number of modest size, else None."""
    q = ev.eval(mk(S.Together, mk(S.Times, a, mk(S.Power, b, -1))))
    if isinstance(q, (int, Fraction)):
        return Fraction(q)
    if symbols(q):
        return None
    try:
        v = number(q)
    except (Undefined, Unknown):
        return None
    return _rational(v)


def _rational(v: Any, most: int = 5040) -> Fraction | None:
    m = mp()
    if abs(m.im(v)) > 1e-30 or abs(v) > 10**6:
        return None
    with m.workdps(50):
        q = Fraction(int(m.nint(m.re(v) * 10**40)), 10**40).limit_denominator(most)
        return q if abs(m.re(v) - m.mpf(q.numerator) / q.denominator) < m.mpf(10) ** -32 else None


def _angles(ev: Evaluator, f: Any, kernels: list[Any], x: Symbol, real: bool, depth: int) -> list[Root]:
    """Sines, cosines and tangents of n θ + m Pi/12: rational in t = tan(θ/2); θ = Pi is looked at apart."""
    arguments = list(dict.fromkeys(k.args[0] for k in kernels))
    slope = ev.eval(mk(S.D, arguments[0], x))
    first = arguments[0]
    linear = not contains(slope, x)
    rest = put(ev, first, {x: 0}) if linear else 0
    multiples, shifts = [], []
    for a in arguments:
        n = _ratio(ev, ev.eval(mk(S.D, a, x)), slope) if linear else _ratio(ev, a, first)
        if n is None:
            raise Cannot
        multiples.append(n)
        shifts.append(
            ev.eval(mk(S.Expand, mk(S.Plus, put(ev, a, {x: 0}), mk(S.Times, -1, norm(n), rest)))) if linear else 0
        )
    k = lcm(*(n.denominator for n in multiples))
    g = gcd(*(int(n * k) for n in multiples))
    theta = ev.eval(mk(S.Times, norm(Fraction(g, k)), first))
    t = Symbol(f"\x02t{depth}")
    put_in = {}
    for kernel in kernels:
        i = arguments.index(kernel.args[0])
        n = int(multiples[i] * k / g)
        cosine, sine = _turned(n, t)
        if shifts[i] != 0:
            if _ratio(ev, mk(S.Times, 12, shifts[i]), S.Pi) is None:
                raise Cannot
            c, s = ev.eval(mk(S.Cos, shifts[i])), ev.eval(mk(S.Sin, shifts[i]))
            cosine, sine = (mk(S.Plus, mk(S.Times, c, cosine), mk(S.Times, -1, s, sine)),
                            mk(S.Plus, mk(S.Times, c, sine), mk(S.Times, s, cosine)))  # fmt: skip
        top, under = {S.Sin: (sine, 1), S.Cos: (cosine, 1), S.Tan: (sine, cosine),
                      S.Csc: (1, sine), S.Sec: (1, cosine), S.Cot: (cosine, sine)}[kernel.head]  # fmt: skip
        put_in[kernel] = mk(S.Times, top, mk(S.Power, under, -1))
    found = [S.Pi]
    for r in _solve(ev, mk(S.Together, replaced(f, put_in)), t, real, depth + 1):
        if not _zero(ev, mk(S.Plus, 1, mk(S.Power, r.value, 2)), {}):
            found.append(_angle(ev, r.value))
    if real and not linear:
        raise Cannot
    return [s for v in found for s in _shifted(ev, theta, v, mk(S.Times, 2, S.Pi), x, real, depth)]


def _turned(n: int, t: Symbol) -> tuple[Any, Any]:
    """(cos n θ, sin n θ) by t = tan(θ/2): real and imaginary part of (1 + i t)^(2n) over (1 + t²)^n."""
    from math import comb

    m = 2 * abs(n)
    parts: tuple[list, list] = ([], [])
    for j in range(m + 1):
        c = comb(m, j) * (1, 1, -1, -1)[j % 4]
        parts[j % 2].append(c if j == 0 else mk(S.Times, c, mk(S.Power, t, j)))
    under = mk(S.Power, mk(S.Plus, 1, mk(S.Power, t, 2)), -abs(n))
    sine = mk(S.Times, 1 if n > 0 else -1, Expr(S.Plus, tuple(parts[1])), under)
    return mk(S.Times, Expr(S.Plus, tuple(parts[0])), under), sine


def _angle(ev: Evaluator, t: Any) -> Any:
    """2 ArcTan[t], plainly where a multiple of Pi or an inverse sine, cosine or tangent of a simple number is it."""
    m = mp()
    try:
        v = number(t)
    except (Undefined, Unknown) as error:
        raise Cannot from error
    if abs(m.im(v)) < 1e-30:
        with m.workdps(50):
            v = 2 * m.atan(m.re(v))
            q = _rational(v / m.pi, 360)
            if q is not None:
                return ev.eval(mk(S.Times, norm(q), S.Pi))
            for way, back, turn in ((m.sin, S.ArcSin, S.Pi), (m.cos, S.ArcCos, 0), (m.tan, S.ArcTan, S.Pi)):
                c = _simple(way(v))
                if c is None:
                    continue
                a = ev.eval(mk(back, c))
                for w in (a, mk(S.Plus, turn, mk(S.Times, -1 if turn is not S.Pi or back is S.ArcSin else 1, a)),
                          mk(S.Plus, mk(S.Times, -1, turn), mk(S.Times, -1 if back is S.ArcSin else 1,
                          a))):  # fmt: skip
                    if abs(number(w) - v) < 1e-30:
                        return ev.eval(w)
    return ev.eval(mk(S.Times, 2, mk(S.ArcTan, t)))


def _simple(c: Any) -> Any:
    """A number as a fraction or the square root of one, where it is one with small terms."""
    q = _rational(c, 1000)
    if q is not None:
        return norm(q)
    q = _rational(c * c, 1000)
    return None if q is None else mk(S.Times, 1 if c > 0 else -1, mk(S.Sqrt, norm(q)))


# --- exponentials and logarithms


def _powers(ev: Evaluator, f: Any, kernels: list[Any], x: Symbol, real: bool, depth: int) -> list[Root]:
    """b^u with exponents whose b-logarithms are commensurate: powers of one; two terms of any kind by logarithms."""
    parts = []  # (base, exponent that holds x, constant factor)
    for k in kernels:
        base, n = k.args
        if contains(base, x):
            raise Cannot
        n = ev.eval(mk(S.Expand, n))
        fixed = Expr(S.Plus, tuple(a for a in (n.args if has_head(n, S.Plus) else (n,)) if not contains(a, x)))
        parts.append((base, ev.eval(mk(S.Plus, n, mk(S.Times, -1, fixed))), ev.eval(mk(S.Power, base, fixed))))
    base, unit, _ = min(parts, key=lambda p: p[0] if type(p[0]) is int and p[0] > 1 else 10**9)
    log = mk(S.Log, base)
    ratios: list[Any] = [_ratio(ev, mk(S.Times, n, mk(S.Log, b)), mk(S.Times, unit, log)) for b, n, _ in parts]
    if None in ratios:
        return _two_terms(ev, f, x, real, depth)
    k = lcm(*(r.denominator for r in ratios))
    g = gcd(*(int(r * k) for r in ratios))
    u = Symbol(f"\x02u{depth}")
    outer = replaced(
        f,
        {
            kernel: mk(S.Times, c, mk(S.Power, u, int(r * k / g)))
            for kernel, r, (_, _, c) in zip(kernels, ratios, parts)
        },
    )
    values = [r.value for r in _solve(ev, mk(S.Together, outer), u, False, depth + 1)]
    power = mk(S.Power, base, ev.eval(mk(S.Times, norm(Fraction(g, k)), unit)))
    return _inverted(ev, power, [v for v in values if v != 0], x, real, depth)


def _two_terms(ev: Evaluator, f: Any, x: Symbol, real: bool, depth: int) -> list[Root]:
    """c a^u + d b^v = 0 over the reals: the logarithms of the two sides are equal."""
    if not real or not has_head(f, S.Plus) or len(f.args) != 2:
        raise Cannot
    total: list[Any] = []
    for sign, term in zip((1, -1), f.args):
        for a in term.args if has_head(term, S.Times) else (term,):
            if has_head(a, S.Power) and contains(a.args[1], x):
                total.append(mk(S.Times, sign, a.args[1], mk(S.Log, a.args[0])))
            elif contains(a, x):
                raise Cannot
            else:
                total.append(mk(S.Times, sign, mk(S.Log, mk(S.Abs, a))))
    return _solve(ev, Expr(S.Plus, tuple(total)), x, real, depth + 1)


def _exponential(ev: Evaluator, n: Any) -> Any:
    """E^n, as a rational power of a whole number where n is a multiple of its logarithm."""
    powers = ((b, _ratio(ev, n, mk(S.Log, b))) for b in _bases(n))
    return ev.eval(next((mk(S.Power, b, norm(q)) for b, q in powers if q is not None), mk(S.Power, S.E, n)))


def _bases(e: Any) -> list[int]:
    """The whole numbers whose logarithms stand in e, small ones first."""
    if type(e) is not Expr:
        return []
    found = {b for a in e.args for b in _bases(a)} | ({e.args[0]} if e.head is S.Log else set())
    return sorted(b for b in found if type(b) is int and b > 1)


def _logarithms(ev: Evaluator, f: Any, kernels: list[Any], x: Symbol, real: bool, depth: int) -> list[Root]:
    """A sum of multiples of logarithms and a constant: the product of powers equals the exponential of the constant."""
    marks = {k: Symbol(f"\x02l{i}") for i, k in enumerate(kernels)}
    outer = replaced(f, marks)
    if any(len(k.args) != 1 for k in kernels):
        raise Cannot
    slopes = [ev.eval(mk(S.D, outer, m)) for m in marks.values()]
    if any(contains(s, m) for s in slopes for m in marks.values()):
        raise Cannot
    ratios: list[Any] = [_ratio(ev, s, slopes[0]) for s in slopes]
    if None in ratios:
        raise Cannot
    k = lcm(*(r.denominator for r in ratios))
    constant = put(ev, outer, dict.fromkeys(marks.values(), 0))
    right = _exponential(ev, ev.eval(mk(S.Times, -k, constant, mk(S.Power, slopes[0], -1))))
    product = Expr(S.Times, tuple(mk(S.Power, kernel.args[0], int(r * k)) for kernel, r in zip(kernels, ratios)))
    return _solve(ev, mk(S.Plus, product, mk(S.Times, -1, right)), x, False, depth + 1)
