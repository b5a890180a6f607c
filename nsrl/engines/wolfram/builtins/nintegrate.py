"""NIntegrate: quadrature between the points where the integrand may be narrow, answered when two estimates agree."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import confirm, features
from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.compiled import NotNumeric, compiled
from nsrl.engines.wolfram.expr import COMPLEX, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.numbers import to_complex
from nsrl.engines.wolfram.numeric import approx_mp
from nsrl.engines.wolfram.quadrules import adaptive
from nsrl.engines.wolfram.table import Builtin, table
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
MAX_SAMPLES = 120_000  # of an integral over several variables
_DIGITS = 32  # that confirm.quadrature works with
_SAMPLE = 10  # what one costs that only the evaluator can compute


@builtin("NIntegrate", "HoldAll", arity=(2, None))
def nintegrate(ev: Evaluator, args: tuple) -> Any:
    specs = [ev.eval(a) if not is_list(a) else a for a in args[1:]]
    specs = [s for s in specs if not has_head(s, S.Rule)]
    if not specs or not all(is_list(s) and len(s.args) >= 3 and type(s.args[0]) is Symbol for s in specs):
        return None
    try:
        f = _pieces(ev.eval(mk(S.Block, lst(s.args[0] for s in specs), args[0])))
        return _number(_single(ev, f, specs[0]) if len(specs) == 1 else _Iterated(ev, f, specs).value(()))
    except NotNumeric:
        return None


def _pieces(e: Any) -> Any:
    """If and Which as Piecewise, which the compiler knows."""
    if type(e) is not Expr:
        return e
    args = tuple(map(_pieces, e.args))
    if e.head is S.If and len(args) == 3:
        return mk(S.Piecewise, lst((lst((args[1], args[0])),)), args[2])
    if e.head is S.Which and len(args) % 2 == 0 and len(args) > 2 and args[-2] is TRUE:
        return mk(S.Piecewise, lst(lst((v, c)) for c, v in zip(args[:-2:2], args[1:-2:2])), args[-1])
    return Expr(e.head, args)


def _ends(ev: Evaluator, spec: Any) -> list[Any]:
    """The ends with all their digits: over {x, 0, Pi} the cosine's integral is 0 and not what Pi lost."""
    m = mp()
    ends = [ev.eval(t) for t in spec.args[1:]]
    numbers = [m.inf * confirm.infinite(t) if confirm.infinite(t) else approx_mp(t, _DIGITS) for t in ends]
    if not all(isinstance(n, m.mpf) for n in numbers):
        raise NotNumeric
    return numbers


def _noise(g: Any, a: Any, b: Any) -> Any:
    """Below what the integral of g from a to b is rounding alone, by its values at some points; 0 without ends."""
    m = mp()
    if m.isinf(a) or m.isinf(b):
        return 0
    largest = m.zero
    for k in range(1, 16):
        try:
            largest = max(largest, abs(g(m, a + (b - a) * k / 16)))
        except (NotNumeric, ZeroDivisionError, OverflowError, ValueError):
            continue
    return largest * abs(b - a) / m.mpf(10) ** (_DIGITS - 8)


def _single(ev: Evaluator, f: Any, spec: Any) -> Any:
    """The integral over one variable. Raises NotNumeric where it has no value that settles."""
    m = mp()
    x, numbers = spec.args[0], _ends(ev, spec)
    try:
        number = compiled(f, (x,))
        g = lambda c, t: number(c, (t,))
        parts = features.inner(f, x)
    except NotNumeric:
        g = lambda c, t: c.convert(_sampled(ev, f, {x: float(t)}))
        parts = []
    total: Any = 0
    noise: Any = 0
    for a, b in pairwise(numbers):
        with m.workdps(_DIGITS):
            noise += _noise(g, a, b) if a != b else 0
            cuts = features.points(parts, x, (), m, *sorted((m.mpf(a), m.mpf(b))))(()) if a != b else []
        part = confirm.quadrature(f, g, x, a, b, None, (), ev.step, cuts)
        if part is None:
            raise NotNumeric
        total += part
    return total if abs(total) > noise else 0.0


class _Iterated:
    """An integral over several variables, the first outermost, between cuts of each; s² (3 - 2s) tames roots at the
    ends."""

    def __init__(self, ev: Evaluator, f: Any, specs: list):
        self.ev, self.f, self.left = ev, f, MAX_SAMPLES
        self.names = tuple(s.args[0] for s in specs)
        if any(len(s.args) != 3 for s in specs) or len(set(self.names)) < len(specs):
            raise NotNumeric
        self.ends = [[self._end(t, self.names[:i]) for t in s.args[1:]] for i, s in enumerate(specs)]
        self.largest = [0.0] * len(specs)  # what the integrals from each variable on came to
        try:
            self.number: Any = compiled(f, self.names)
            self.parts = [features.inner(f, x) for x in self.names]
        except NotNumeric:
            self.number, self.parts = None, [[] for _ in specs]

    def _end(self, t: Any, outer: tuple) -> Any:
        way = confirm.infinite(t)
        return (lambda c, at: c.inf * way) if way else compiled(self.ev.eval(replaced(t, {})), outer)

    def value(self, at: tuple) -> Any:
        """The integral over the variables from len(at) on, those before at these values."""
        from mpmath import fp

        i = len(at)
        if i == len(self.names):
            self.left -= 1 if self.number else _SAMPLE
            if self.left < 0:
                raise NotNumeric
            self.ev.step()
            return self.number(fp, at) if self.number else _sampled(self.ev, self.f, dict(zip(self.names, at)))
        a, b = (end(fp, at).real for end in self.ends[i])
        if a == b:
            return 0.0
        way = 1 if a < b else -1
        a, b = min(a, b), max(a, b)
        found = adaptive(
            lambda t: self.value((*at, t)),
            a,
            b,
            self._cuts(at, a, b),
            fine=False,
            floor=1e-14 + 1e-10 * self.largest[i],
        )
        if found is None:
            raise NotNumeric
        self.largest[i] = max(self.largest[i], abs(found))
        if i == 0:
            again = adaptive(lambda t: self.value((t,)), a, b, self._cuts(at, a, b), fine=False, cut=0.45)
            found = None if again is None else confirm.agreed(found, again)
            if found is None:
                raise NotNumeric
        return way * found

    def _cuts(self, at: tuple, low: float, high: float) -> list[float]:
        """Points of the variable in turn, for a few values of those inside."""
        from mpmath import fp

        i = len(at)
        if not self.parts[i]:
            return []
        x, rest = self.names[i], (*self.names[:i], *self.names[i + 1 :])
        where = features.points(self.parts[i], x, rest, fp, low, high)
        found: list[float] = []
        for share in (0.5, 0.0, 1.0) if i + 1 < len(self.names) else (0.5,):
            inside: tuple = ()
            for end in self.ends[i + 1 :]:
                middle = (*at, (max(low, -1.0) + min(high, 1.0)) / 2, *inside)
                a, b = (float(fp.re(t(fp, middle))) for t in end)
                inside = (*inside, max(a, -9.0) + share * (min(b, 9.0) - max(a, -9.0)))
            found += where((*at, *inside))
        return sorted(set(found))[: features.MAX_POINTS // 4]


def _sampled(ev: Evaluator, f: Any, at: dict) -> Any:
    v = ev.eval(mk(S.N, replaced(f, at)))
    if has_head(v, COMPLEX):
        return to_complex(v)
    if not isinstance(v, (int, float)) or not math.isfinite(v):
        raise NotNumeric
    return v


def _number(z: Any) -> Any:
    if abs(getattr(z, "imag", 0)) > 1e-14 * max(1, abs(z)):
        return mk(COMPLEX, float(z.real), float(z.imag))
    return float(z.real if hasattr(z, "real") else z)
