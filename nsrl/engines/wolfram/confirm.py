"""Exact answers of calculus against numbers: integrals, sums, products, limits, series, by quadrature and summation of
our own.

A closed form that SymPy or a rule gave is answered only when it is confirmed here: its parameters are given several
values, and at each the integral, sum or limit is worked out numerically in an independent way. `False` means the closed
form is wrong or nothing could be said: either way the call stays unevaluated. Work is bounded; `tick` is called at each
evaluation so that a program's limits hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.compiled import NotNumeric, Numeric, compiled
from nsrl.engines.wolfram.expr import Expr, S, Symbol
from nsrl.engines.wolfram.quadrules import adaptive, alternating, bisected_panels, fp_context, panel, tanh_sinh

Function = Callable[[Any, Any], Any]  # (mpmath context, x) -> number
_REALS = (0.7312, -1.3177, 1.9183, -0.4129, 0.2371, -2.2373, 3.1931, -0.9171)  # every third one has the other sign
_INTEGERS = (2, 3, 1, 5, 4, 7, 6, 8)
_TOLERANCE = 1e-8


# --- parameters


class Problem:
    """Trees that share parameters, compiled as functions of `variable`, and the samples of the parameters.

    facts: what is assumed of a symbol ({x: {"positive": True}}); ranges: intervals a symbol is known to lie in.
    Subtrees that are free of the variable and have no number (f[a], Subscript[x, 1]) count as parameters.
    """

    def __init__(self, variable: Any, trees: list[Any], facts: dict | None = None, ranges: dict | None = None):
        self.facts, self.ranges = facts or {}, ranges or {}
        self.names: list[Any] = []
        self.replaced: dict[Any, Symbol] = {}
        trees = [self._opened(t, variable) for t in trees]
        self.functions: list[Numeric] = [compiled(t, (variable, *self.names)) for t in trees]
        self.trees = trees

    def _opened(self, e: Any, variable: Any) -> Any:
        if type(e) is Symbol:
            if e is not variable and e.builtin is None and e not in self.names:
                self.names.append(e)
            return e
        if type(e) is not Expr:
            return e
        if type(e.head) is not Symbol or (e.head.builtin is None and not _occurs(e, variable)):
            if _occurs(e, variable):
                raise NotNumeric
            s = self.replaced.get(e)
            if s is None:
                s = self.replaced[e] = Symbol(f"\x05{len(self.replaced)}")
                self.names.append(s)
            return s
        return Expr(e.head, tuple([self._opened(a, variable) for a in e.args]))

    def samples(self) -> Iterator[tuple]:
        """Values for the parameters: both signs unless something is assumed of them. One sample if there are none."""
        for j in range(len(_REALS) if self.names else 1):
            yield tuple([self._value(n, 3 * j + 5 * i) for i, n in enumerate(self.names)])

    def _value(self, name: Any, j: int) -> Any:
        facts = self.facts.get(name, {})
        if name in self.ranges:
            low, high = self.ranges[name]
            return low + (high - low) * (_REALS[j % 8] + 2.2373) / 5.5
        if facts.get("integer"):
            v: Any = _INTEGERS[j % 8]
        else:
            v = _REALS[j % 8]
        if facts.get("positive") or facts.get("nonnegative"):
            v = abs(v)
        if facts.get("negative") or facts.get("nonpositive"):
            v = -abs(v)
        return v

    def at(self, i: int, sample: tuple) -> Function:
        """The i-th tree as a function of the variable alone."""
        f = self.functions[i]
        return lambda c, x: f(c, (x, *[c.mpf(v) for v in sample]))


def _occurs(e: Any, x: Any) -> bool:
    return e is x or (type(e) is Expr and (_occurs(e.head, x) or any(_occurs(a, x) for a in e.args)))


def close(a: Any, b: Any, tolerance: float = _TOLERANCE) -> bool:
    """Whether two numbers agree."""
    return abs(a - b) <= tolerance * max(abs(a), abs(b)) + 1e-12


# --- derivatives and integrals


def antiderivative(e: Any, found: Any, x: Symbol, facts: dict, tick: Callable[[], None]) -> bool:
    """Whether the derivative of `found` is e wherever on the real line e is real (somewhere in the plane, if
    nowhere)."""
    try:
        problem = Problem(x, [e, found], facts)
    except NotNumeric:
        return False
    m = mp()
    real = imaginary = 0
    with m.workdps(40):
        h = m.mpf(10) ** -10
        for j, sample in enumerate(problem.samples() if problem.names else [()] * 8):
            f, big = problem.at(0, sample), problem.at(1, sample)
            for k in (0, 3):
                tick()
                t = m.mpf(_REALS[(j + k) % 8]) + m.mpf(j) / 97
                try:
                    here = f(m, t)
                except NotNumeric:
                    continue
                try:
                    slope = (8 * (big(m, t + h) - big(m, t - h)) - (big(m, t + 2 * h) - big(m, t - 2 * h))) / (12 * h)
                except NotNumeric:
                    return False
                right = close(here, slope)
                if abs(getattr(here, "imag", 0)) <= 1e-20:
                    if not right:
                        return False
                    real += 1
                else:
                    imaginary += right
    return real >= 3 or (real == 0 and imaginary >= 6)


def quadrature(tree: Any, f: Function, x: Symbol, low: Any, high: Any, inner: Problem | None, sample: tuple,
               tick: Callable[[], None], cuts: list[Any] | None = None) -> Any:  # fmt: skip
    """The integral of f (tree at this sample) over [low, high], ends mpf's or infinite; None where none is found.

    cuts: where f may be narrow; then as many digits as a machine number has are given, rather than as many as it takes
    to compare, and two estimates must agree. None also where the integral does not converge: the ends and every
    singular point in between are looked at first.
    """
    m = mp()
    if low == high:
        return 0.0
    if low > high:
        v = quadrature(tree, f, x, high, low, inner, sample, tick, cuts)
        return None if v is None else -v

    def machine(t: float) -> Any:
        tick()
        return f(fp_context(), t)

    def estimate(cut: float | None = None) -> Any:
        try:
            return adaptive(machine, float(low), float(high), cuts or (), cut=cut)
        except (NotNumeric, OverflowError, ZeroDivisionError):
            return None

    v = estimate()
    if v is not None and cuts is None:
        return v
    with m.workdps(32):
        try:
            w = (
                _careful(tree, f, x, m.mpf(low), m.mpf(high), inner, sample, tick, cuts or [])
                if len(cuts or ()) < 12
                else None
            )
        except NotNumeric:
            w = None
    if cuts is None:
        return w
    other = w if v is None or w is not None else estimate(0.45)
    if v is None:
        return w
    return None if other is None or not close(v, other, 1e-7) else agreed(v, other) if w is None else w


def agreed(a: Any, b: Any) -> Any:
    """What two machine estimates of an integral have in common: a, rounded to the digits that hold. None if few do."""
    if hasattr(a, "imag") and a.imag:
        parts = agreed(a.real, getattr(b, "real", b)), agreed(a.imag, getattr(b, "imag", 0.0))
        return None if None in parts else complex(*parts)
    a, b = float(a.real), float(b.real)
    if a == b == 0:
        return 0.0
    error = max(10 * abs(a - b), 1e-10 * abs(a))
    digits = int(math.log10(abs(a) / error) + 1e-9) if error < abs(a) else 0
    return float(f"{a:.{digits}g}") if digits >= 6 else None


def _careful(
    tree: Any,
    f: Function,
    x: Symbol,
    low: Any,
    high: Any,
    problem: Problem | None,
    sample: tuple,
    tick: Callable[[], None],
    cuts: list[Any],
) -> Any:
    """Tanh-sinh between singular points at 32 digits; oscillating tails by their half-periods."""
    m = mp()
    names = tuple(problem.names) if problem else ()
    near, far = (-30 if low == -m.inf else low), (30 if high == m.inf else high)
    points = _apart([low, *_singular(tree, x, names, sample, near, far), *cuts, high])
    for i, p in enumerate(points):
        for side in (1, -1):
            if (
                (i > 0 or side == 1)
                and (i < len(points) - 1 or side == -1)
                and abs(p) != m.inf
                and not _integrable(f, p, side)
            ):
                return None
    tails = [p for p in (low, high) if abs(p) == m.inf]

    def g(t: Any) -> Any:
        tick()
        return f(m, t)

    if all(_vanishing(f, 1 if p > 0 else -1) for p in tails):
        if low == -m.inf and high == m.inf and len(points) == 2:
            points.insert(1, m.mpf("0.1234"))
        value = _between(g, points)
        if value is not None:
            return value
    if high == -m.inf or low == m.inf or not tails:
        return None
    omega = _frequency(tree, x, names, sample)
    if omega is None:
        return None
    ends = [p for p in points if abs(p) != m.inf] or [m.mpf(0)]
    value = _between(g, ends) if len(ends) > 1 else m.mpf(0)
    for p in tails:
        side = 1 if p > 0 else -1
        tail = _oscillating(lambda c, t, side=side: f(c, side * t), side * ends[-1 if side > 0 else 0], omega, tick)
        if tail is None or value is None:
            return None
        value += tail
    return value


def _apart(points: list[Any]) -> list[Any]:
    """Ascending, none twice."""
    points = sorted(points)
    return [p for i, p in enumerate(points) if i == 0 or p - points[i - 1] > 1e-20 * (1 + abs(p)) or abs(p) == mp().inf]


def _between(g: Callable[[Any], Any], points: list[Any]) -> Any:
    """The integral of g from the first point to the last, through the others; None where it does not settle."""
    total: Any = 0
    for a, b in pairwise(points):
        value, error = tanh_sinh(g, a, b)
        if error > 1e-12 * max(1, abs(value)):
            return None
        total += value
    return total


def _oscillating(f: Function, start: Any, omega: Any, tick: Callable[[], None]) -> Any:
    """The integral of f from `start` to infinity, by the half-periods of what swings in it and their acceleration."""
    fp = fp_context()
    if not _damped(f):
        return None
    width, low = float(fp.pi / omega), float(start)

    def machine(t: float) -> Any:
        tick()
        return f(fp, t)

    def piece(k: int) -> Any:
        return sum(panel(machine, low + (k + i / 2) * width, low + (k + i / 2 + 0.5) * width)[0] for i in (0, 1))

    head = bisected_panels(machine, low, low + 4 * width)
    first = [piece(k) for k in range(4, 12)]
    if head is None or any(abs(getattr(v, "imag", 0)) > 1e-12 for v in first):
        return None
    if all(u.real * v.real < 0 for u, v in pairwise(first)):
        return head + alternating(lambda k: piece(4 + k), 30)
    rows, total, k = [], head, 4
    for size in (16, 32, 64, 128, 256, 512):
        while k < size:
            total += piece(k)
            k += 1
        rows.append(total)
    for j in range(1, len(rows)):  # Richardson: what is missing is a series in 1/k
        rows = [(2**j * v - u) / (2**j - 1) for u, v in pairwise(rows)]
        if len(rows) == 2:
            return rows[1] if close(rows[0], rows[1]) else None
    return None


def _integrable(f: Function, p: Any, side: int) -> bool:
    """Whether h f(p + h) goes to nothing as h does."""
    m = mp()
    sizes = []
    for digits in (8, 16):
        h = m.mpf(10) ** -digits
        try:
            sizes.append(abs(h * f(m, p + side * h)))
        except NotNumeric:
            return False
    return sizes[1] < sizes[0] / 2 or sizes[1] < 1e-12


def _vanishing(f: Function, side: int) -> bool:
    """Whether x f(x) goes to nothing at infinity."""
    m = mp()
    sizes = []
    for digits in (4, 8):
        t = side * m.mpf(10) ** digits * m.mpf("1.2345")
        try:
            sizes.append(abs(t * f(m, t)))
        except NotNumeric:
            return False
    return sizes[1] < sizes[0] / 2 or sizes[1] < 1e-12


def _damped(f: Function) -> bool:
    """Whether the swings of f become smaller towards infinity."""
    m = mp()
    swings = [max(abs(f(m, at + m.mpf(k) * 37 / 101)) for k in range(24)) for at in (m.mpf(10) ** 3, m.mpf(10) ** 6)]
    return swings[1] < swings[0] / 4


def _parts(tree: Any) -> Iterator[Expr]:
    if type(tree) is Expr:
        yield tree
        for a in tree.args:
            yield from _parts(a)


def _singular(tree: Any, x: Symbol, names: tuple, sample: tuple, low: Any, high: Any) -> list[Any]:
    """Points strictly between where a denominator, a root's or a logarithm's argument, or what stands in Abs is 0."""
    m, fp = mp(), fp_context()
    inside: set[Any] = set()
    for e in _parts(tree):
        power = e.head is S.Power and len(e.args) == 2 and not (type(e.args[1]) is int and e.args[1] > 0)
        if power or (e.head in (S.Log, S.Abs, S.RealAbs, S.Sign, S.UnitStep, S.HeavisideTheta) and len(e.args) == 1):
            inside.add(e.args[0])
        elif e.head in (S.Tan, S.Sec):
            inside.add(Expr(S.Cos, e.args))
        elif e.head in (S.Cot, S.Csc):
            inside.add(Expr(S.Sin, e.args))
        elif e.head in (S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Inequality):
            values = e.args[::2] if e.head is S.Inequality else e.args
            inside.update(Expr(S.Plus, (a, Expr(S.Times, (-1, b)))) for a, b in pairwise(values))
    out: list[Any] = []
    for g in inside:
        if not _occurs(g, x):
            continue
        h = compiled(g, (x, *names))
        grid = [low + (high - low) * k / 128 for k in range(129)]
        values = []
        for t in grid:
            try:
                v = h(fp, (float(t), *map(float, sample)))
                values.append(v.real if abs(getattr(v, "imag", 0)) < 1e-12 else None)
            except NotNumeric:
                values.append(None)
        for (s, u), (t, v) in pairwise(zip(grid, values)):
            if u is not None and v is not None and (u < 0 < v or v < 0 < u):
                out.append(_bisected(lambda z, h=h: h(m, (z, *map(m.mpf, sample))), s, t, u < 0))
            elif v == 0 and low < t < high:
                out.append(t)
    kept: list[Any] = []
    for p in sorted(out):
        if low < p < high and (not kept or p - kept[-1] > 1e-25):
            kept.append(p)
    return kept[:24]


def _bisected(h: Callable[[Any], Any], s: Any, t: Any, rising: bool) -> Any:
    for _ in range(110):
        mid = (s + t) / 2
        v = h(mid).real
        if v == 0:
            return mid
        if (v < 0) == rising:
            s = mid
        else:
            t = mid
    return (s + t) / 2


def _frequency(tree: Any, x: Symbol, names: tuple, sample: tuple) -> Any:
    """The angular frequency of the sines and cosines of one linear argument; None if there is no such."""
    m = mp()
    found = []
    for e in _parts(tree):
        if e.head in (S.Sin, S.Cos, S.BesselJ) and _occurs(e.args[-1], x):
            h = compiled(e.args[-1], (x, *names))
            at = [h(m, (m.mpf(k), *map(m.mpf, sample))) for k in (3, 4, 6)]
            if not close(2 * (at[1] - at[0]), at[2] - at[1]):
                return None
            found.append(abs(at[1] - at[0]))
    return min(found) if found else None


def definite(
    e: Any, found: Any, x: Symbol, low: Any, high: Any, facts: dict, ranges: dict, tick: Callable[[], None]
) -> bool:
    """Whether `found` is the integral of e over [low, high] for every sample of the parameters, all convergent."""
    m = mp()
    try:
        problem = Problem(x, [e, found, *[0 if infinite(t) else t for t in (low, high)]], facts, ranges)
    except NotNumeric:
        return False
    wanted = 3 if problem.names else 1
    good = 0
    with m.workdps(32):
        for sample in problem.samples():
            try:
                a, b = (
                    m.inf * infinite(t) if infinite(t) else problem.at(i, sample)(m, m.mpf(0)).real
                    for i, t in ((2, low), (3, high))
                )
            except NotNumeric:
                return False
            truth = quadrature(problem.trees[0], problem.at(0, sample), x, a, b, problem, sample, tick)
            try:
                if truth is None or not close(truth, problem.at(1, sample)(m, m.mpf(0))):
                    return False
            except NotNumeric:
                return False
            good += 1
            if not problem.names or good >= 5:
                return True
    return good >= wanted


def infinite(t: Any) -> int:
    """1 for Infinity, -1 for -Infinity, else 0."""
    if t is S.Infinity:
        return 1
    return -1 if type(t) is Expr and S.Infinity in t.args else 0
