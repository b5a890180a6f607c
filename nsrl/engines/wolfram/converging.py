"""Infinite sums and products, limits and power series against numbers (see confirm.py, which does integrals).

Convergence is decided before any acceleration: accelerated sums give numbers to divergent series too.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.compiled import NotNumeric
from nsrl.engines.wolfram.confirm import Function, Problem, close, infinite
from nsrl.engines.wolfram.expr import S, Symbol
from nsrl.engines.wolfram.quadrules import alternating

Tick = Callable[[], None]
_MOST_TERMS = 1500
_DIGITS = (3, 6, 12, 24)  # how near a limit's point is approached: 10^-3 ... 10^-24


# --- sums and products


def infinite_sum(f: Function, start: int, tick: Tick) -> Any:
    """f(start) + f(start + 1) + ... to some 20 digits; None where it does not converge or nothing can be said."""
    m = mp()

    def term(n: Any) -> Any:
        tick()
        return f(m, m.mpf(n))

    with m.workdps(32):
        blocks = [max(abs(term(n + i)) for i in range(6)) for n in (start + 200, start + 206, start + 400)]
        if not any(blocks):
            return m.fsum([term(start + n) for n in range(200)])
        if not all(blocks):
            return None
        ratio = (blocks[1] / blocks[0]) ** (m.mpf(1) / 6)
        if ratio < 0.97:
            return _geometric(term, start)
        if ratio > 1.0005:
            return None
        near, far = ([term(n + i) for i in range(12)] for n in (start + 1000, start + 10**6))
        signs = {tuple((t.real > 0) for t in side) for side in (near, far)}
        if any(abs(getattr(t, "imag", 0)) > 1e-20 * abs(t) for t in near + far) or 0 in near + far:
            return None
        if all(len(set(s)) == 1 for s in signs):
            return _positive(f, term, start)
        if all(a != b for s in signs for a, b in pairwise(s)) and abs(far[0]) < abs(near[0]) * 0.98:
            return alternating(lambda k: term(start + k), 42)
    return None


def _geometric(term: Callable[[Any], Any], start: int) -> Any:
    m = mp()
    total, small = m.mpf(0), 0
    for n in range(_MOST_TERMS):
        t = term(start + n)
        total += t
        small = small + 1 if abs(t) <= 1e-24 * abs(total) else 0
        if small >= 8 and n > 30:
            return total
    return None


def _positive(f: Function, term: Callable[[Any], Any], start: int) -> Any:
    """Terms of one sign: Euler and Maclaurin, if they fall faster than 1/n."""
    m = mp()
    fall = m.log(abs(term(start + 10**4) / term(start + 10**8))) / m.log(10**4)
    if fall < 1.02:
        return None
    n = start + 40
    head = m.fsum([term(start + k) for k in range(40)])
    tail, error = m.quad(term, [n, 4 * n, m.inf], error=True, maxdegree=7)
    if error > 1e-12 * max(1, abs(head)):
        return None
    smooth = lambda t: f(m, t)
    ends = term(n) / 2 - m.diff(smooth, n, 1) / 12 + m.diff(smooth, n, 3) / 720 - m.diff(smooth, n, 5) / 30240
    return head + tail + ends


def infinite_product(f: Function, start: int, tick: Tick) -> Any:
    """f(start) f(start + 1) ...; None where it does not converge to a number other than 0, or nothing can be said."""
    m = mp()
    with m.workdps(32):
        head = m.fprod([f(m, m.mpf(start + k)) for k in range(60)])
        if head == 0:
            return None

        def logarithm(c: Any, n: Any) -> Any:
            v = f(c, n)
            if abs(v - 1) > 0.5:
                raise NotNumeric
            return c.log(v)

        tail = infinite_sum(logarithm, start + 60, tick)
        return None if tail is None else head * m.exp(tail)


def total(e: Any, found: Any, k: Symbol, low: Any, high: Any, product: bool, facts: dict, tick: Tick) -> bool:
    """Whether `found` is the sum (or product) of e for k from low to high: at several values of the parameters.

    A power series is what it is where it converges: samples at which it does not are passed over.
    """
    m = mp()
    endless = infinite(high) == 1
    try:
        problem = Problem(k, [e, found, low, 0 if endless else high], facts)
    except NotNumeric:
        return False
    good = 0
    with m.workdps(32):
        if not endless and not all(_shortest_range(problem, high, terms, product) for terms in (1, 2)):
            return False
        for sample in problem.samples():
            try:
                claim = problem.at(1, sample)(m, m.mpf(0))
                a, b = (problem.at(i, sample)(m, m.mpf(0)) for i in (2, 3))
            except NotNumeric:
                continue
            if not m.isint(a) or not m.isint(b) or (not endless and not a.real - 1 <= b.real <= a.real + 60):
                continue
            f = problem.at(0, sample)
            try:
                if endless:
                    truth = (infinite_product if product else infinite_sum)(f, int(a.real), tick)
                else:
                    terms = [f(m, m.mpf(n)) for n in range(int(a.real), int(b.real) + 1)]
                    truth = m.fprod(terms) if product else m.fsum(terms)
            except NotNumeric:
                continue
            if truth is None:
                continue
            if not close(truth, claim):
                return False
            good += 1
            if good >= (4 if problem.names else 1):
                return True
    return good >= (2 if problem.names else 1)


def _shortest_range(problem: Problem, high: Any, terms: int, product: bool) -> bool:
    """Whether the claim holds where the range has so few terms: Sum[(-1)^k Binomial[n, k], {k, 0, n}] is 1 at n = 0.

    True also where the end is no parameter of its own or nothing can be said there.
    """
    m = mp()
    if high not in problem.names:
        return True
    place = problem.names.index(high)
    for sample in problem.samples():
        try:
            a = problem.at(2, sample)(m, m.mpf(0))
            if not m.isint(a):
                continue
            sample = (*sample[:place], a.real + terms - 1, *sample[place + 1 :])
            if problem.at(2, sample)(m, m.mpf(0)) != a:
                return True
            values = [problem.at(0, sample)(m, a + i) for i in range(terms)]
            return close(m.fprod(values) if product else m.fsum(values), problem.at(1, sample)(m, m.mpf(0)))
        except NotNumeric:
            continue
    return True


def antidifference(e: Any, found: Any, k: Symbol, facts: dict, tick: Tick) -> bool:
    """Whether found(k + 1) - found(k) is e."""
    try:
        problem = Problem(k, [e, found], facts)
    except NotNumeric:
        return False
    m = mp()
    good = 0
    with m.workdps(32):
        for sample in problem.samples():
            f, big = problem.at(0, sample), problem.at(1, sample)
            for n in (3, 4, 7, 12):
                tick()
                try:
                    here, step = f(m, m.mpf(n)), big(m, m.mpf(n + 1)) - big(m, m.mpf(n))
                except NotNumeric:
                    continue
                if not close(here, step):
                    return False
                good += 1
    return good >= 3


# --- limits


def limit(e: Any, found: Any, x: Symbol, to: Any, sides: tuple[int, ...], facts: dict, tick: Tick) -> bool:
    """Whether e tends to `found` (a number, ±Infinity, or Indeterminate) as x tends to `to` from each of `sides`.

    sides: 1 from above, -1 from below; ignored where `to` is infinite.
    """
    end = infinite(to)
    kind = "nothing" if found is S.Indeterminate else infinite(found)
    try:
        problem = Problem(x, [e, 0 if kind else found, 0 if end else to], facts)
    except NotNumeric:
        return False
    m = mp()
    good = 0
    for sample in problem.samples():
        with m.workdps(250):
            try:
                target, at = (problem.at(i, sample)(m, m.mpf(0)) for i in (1, 2))
            except NotNumeric:
                continue
            runs = [
                _approach(problem.at(0, sample), at, end or side, bool(end), tick) for side in ((1,) if end else sides)
            ]
            if kind == "nothing":
                right = _no_limit(runs)
            elif kind:
                right = all(_grows(r, kind) for r in runs)
            else:
                right = all(_tends(r, target) for r in runs)
        if not right:
            return False
        good += 1
        if good >= 3 or not problem.names:
            return True
    return good >= 2


def dies(e: Any, x: Symbol, tick: Tick) -> bool:
    """Whether a product of powers and factorials goes to 0 at infinity at least as a power does: by its size at far
    points."""
    m = mp()
    try:
        rows = _approach(Problem(x, [e]).at(0, ()), 0, 1, True, tick)
    except NotNumeric:
        return False
    if not all(rows):
        return False
    with m.workdps(30):
        sizes = [m.log10(abs(r[0])) if r[0] else -m.inf for r in rows]
    falls = [(u - v) / (e - d) for (d, u), (e, v) in pairwise(zip(_DIGITS, sizes)) if u > -m.inf]
    return bool(falls) and falls[0] > 0.2 and all(v > 0.99 * u for u, v in pairwise(falls))


def _approach(f: Function, at: Any, side: int, far: bool, tick: Tick) -> list[list[Any]]:
    """Values near the point, nearer and nearer, three at each distance; [] where 250 and 400 digits disagree."""
    m = mp()
    out = []
    for d in _DIGITS:
        row = []
        for scale in ("1", "1.37", "1.7391"):
            tick()
            values = []
            for digits in (250, 400):
                with m.workdps(digits):
                    h = side * m.mpf(10) ** (d if far else -d) * m.mpf(scale)
                    try:
                        values.append(f(m, h if far else at + h))
                    except NotNumeric:
                        values = []
                        break
            if values and close(values[0], values[1], 1e-30):
                row.append(values[1])
        out.append(row)
    return out


def _tends(rows: list[list[Any]], target: Any) -> bool:
    m = mp()
    if not rows[-1]:
        rows = [r for r in rows if r]
        if len(rows) < 2:
            return False
    scale = max(1, abs(target)) if abs(target) > 1e-6 or target == 0 else abs(target)
    errors = [max(abs(v - target) for v in r) if r else m.inf for r in rows]
    if errors[-1] <= 1e-6 * scale and errors[-1] <= errors[0]:
        return True
    if len(rows) < 4 or not all(rows) or errors[-1] > scale / 3 or not all(b < 0.8 * a for a, b in pairwise(errors)):
        return False
    u, v, w = rows[1][0], rows[2][0], rows[3][0]  # slow, as 1/Log[x]: in powers of 1/d, and d doubles
    return abs((8 * w - 6 * v + u) / 3 - target) < 1e-4 * scale


def _grows(rows: list[list[Any]], sign: int) -> bool:
    rows = [r for r in rows if r]
    if len(rows) < 2:
        return False
    sizes = [min(v.real * sign for v in r) for r in rows]
    return sizes[-1] > 3 and sizes[-1] > 2 * abs(sizes[0]) and all(b > a for a, b in pairwise(sizes)) and \
        all(abs(getattr(v, "imag", 0)) <= abs(v) / 3 for v in rows[-1])  # fmt: skip


def _no_limit(runs: list[list[list[Any]]]) -> bool:
    """The sides differ, or the values at one distance do not agree."""
    last = [r[-1] for r in runs]
    if not all(last):
        return False
    if any(max(abs(a - r[0]) for a in r) > 1e-3 * max(1, abs(r[0])) for r in last):
        return not any(_grows(r, s) for r in runs for s in (1, -1)) or len(runs) == 2
    return len(last) == 2 and not close(last[0][0], last[1][0], 1e-3)


# --- power series


def expansion(e: Any, coefficients: list[Any], low: int, x: Symbol, at: Any, order: int, tick: Tick) -> bool:
    """Whether e = c[0] (x - at)^low + ... up to (x - at)^order, with an error of the next power."""
    end = infinite(at)
    try:
        problem = Problem(x, [e, 0 if end else at, *coefficients], None)
    except NotNumeric:
        return False
    m = mp()
    good = 0
    with m.workdps(120 + 30 * max(order + 1 - min(low, 0), 4)):
        for sample in problem.samples():
            f = problem.at(0, sample)
            try:
                centre = problem.at(1, sample)(m, m.mpf(0))
                cs = [problem.at(2 + i, sample)(m, m.mpf(0)) for i in range(len(coefficients))]
                errors = []
                for digits in (6, 12):
                    tick()
                    t = m.mpf(10) ** -digits
                    value = f(m, end / t if end else centre + t)
                    errors.append(abs(value - m.fsum(c * t ** (low + i) for i, c in enumerate(cs))))
            except NotNumeric:
                continue
            if errors[1] > errors[0] * m.mpf(10) ** (3 - 6 * (order + 1)) + m.mpf(10) ** (-100 - 12 * (order + 1)):
                return False
            good += 1
            if good >= 3:
                return True
    return good >= (2 if problem.names else 1)


def residual(equations: list[tuple[Any, Any]], x: Symbol, tick: Tick, whole: bool = False) -> bool:
    """Whether left and right of each equation agree at the real (or whole) numbers where both have values."""
    m = mp()
    for left, right in equations:
        try:
            problem = Problem(x, [left, right])
        except NotNumeric:
            return False
        good = 0
        with m.workdps(40):
            for j, sample in enumerate(problem.samples() if problem.names else [()] * 8):
                for k in (0, 3):
                    tick()
                    t = m.mpf(j + k + 2) if whole else m.mpf(j + k + 1) * 37 / 101 - (1 if k else 0)
                    try:
                        a, b = (problem.at(i, sample)(m, t) for i in (0, 1))
                    except NotNumeric:
                        continue
                    if not close(a, b):
                        return False
                    good += 1
        if good < 3:
            return False
    return True
