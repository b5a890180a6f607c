"""Root[polynomial &, k, 0] as a number."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.expr import Expr, S, has_head

_roots: OrderedDict[tuple, list] = OrderedDict()  # (coefficients, digits) -> values; bounded


def root_value(e: Expr, digits: int) -> Any:
    """Root[f, k, 0]: the k-th root of the polynomial f, real ones first and ascending, then by real and imaginary part.

    None for an f that is no polynomial with rational coefficients, and for a call without a k."""
    if len(e.args) < 2:
        return None
    c, k = root_coefficients(e.args[0]), e.args[1]
    if c is None or type(k) is not int or not 1 <= k < len(c):
        return None
    key = (tuple(c), digits)
    found = _roots.get(key)
    if found is None:
        found = _roots[key] = polynomial_values(c, digits)
        if len(_roots) > 256:
            _roots.popitem(last=False)
    return found[k - 1] if k <= len(found) else None


def polynomial_values(c: list, digits: int) -> list:
    """The roots of a square-free polynomial (numbers, lowest coefficient first), as Root orders them."""
    m = mp()
    with m.workdps(digits + 15):
        try:
            found = m.polyroots(
                [m.mpf(a.numerator) / a.denominator for a in reversed(c)], maxsteps=400, extraprec=4 * digits + 200
            )
        except m.NoConvergence:
            return []
        tiny = m.mpf(10) ** -(digits - 5)
        reals = sorted(m.re(r) for r in found if abs(m.im(r)) <= tiny * (1 + abs(r)))
        others = [r for r in found if abs(m.im(r)) > tiny * (1 + abs(r))]
        return [*reals, *sorted(others, key=lambda r: (round(float(m.re(r)), 12), m.im(r)))]


def root_coefficients(f: Any) -> list | None:
    """Coefficients, lowest first, of a pure function that is a polynomial in its slot with rational coefficients."""
    if not has_head(f, S.Function) or len(f.args) != 1:
        return None
    slot = Expr(S.Slot, (1,))
    by: dict[int, Any] = {}
    body = f.args[0]
    for t in body.args if has_head(body, S.Plus) else (body,):
        c, n = Fraction(1), 0
        for a in t.args if has_head(t, S.Times) else (t,):
            if a == slot:
                n += 1
            elif has_head(a, S.Power) and a.args[0] == slot and type(a.args[1]) is int and a.args[1] > 0:
                n += a.args[1]
            elif type(a) in (int, Fraction):
                c *= a
            else:
                return None
        by[n] = by.get(n, 0) + c
    top = max((n for n, c in by.items() if c), default=0)
    return [by.get(n, Fraction(0)) for n in range(top + 1)] if 1 <= top <= 100 else None
