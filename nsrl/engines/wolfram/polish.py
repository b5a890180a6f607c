"""Whether a search has found a root: Newton's method at many digits from where it stopped.

Towards a root the steps shrink relative to the point, by a ratio that tells its multiplicity, and the function vanishes
against its size beside it. Where a function merely decays (E^x, 1/x, Tanh[x] - 1) they do not. Numbers in, numbers
out; knows nothing of evaluation.
"""

from __future__ import annotations

from typing import Any

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.compiled import NotNumeric, Numeric

DIGITS = 50  # for each of the root's multiplicity
_MOST = 12  # multiplicity
_ROUNDS = 40
_NEAR = 1e-3  # how far, relative to 1 + its size, the root may lie from where the search stopped


def polished(functions: list[Numeric], slopes: list[list[Numeric]], point: list[Any]) -> list[Any] | None:
    """The root near the point (float or complex coordinates) to far more digits than a machine number has, or None."""
    m = mp()
    with m.workdps(DIGITS):
        start = [m.mpmathify(p) for p in point]
    try:
        if len(functions) == 1:
            found = _single(functions[0], slopes[0][0], start[0])
            root = None if found is None else [found]
        else:
            root = _several(functions, slopes, start)
    except (NotNumeric, ZeroDivisionError):
        return None
    if root is None or any(abs(r - p) > _NEAR * (1 + abs(p)) for r, p in zip(root, start)):
        return None
    return root


def _single(f: Numeric, slope: Numeric, x: Any) -> Any:
    m = mp()
    first = _settled(f, slope, x, DIGITS, 1)
    if first is None:
        return None
    found = _settled(f, slope, first[0], 4 * DIGITS, first[1])
    if found is None or found[1] != first[1]:  # more digits tell x^2 + 10^-50 from x^2
        return None
    x, many = found
    with m.workdps(2 * DIGITS * many):
        h = abs(x) * m.mpf(10) ** -8
        beside = min(abs(f(m, (x + h,))), abs(f(m, (x - h,))))
        return x if abs(f(m, (x,))) < beside * m.mpf(10) ** -12 else None


def _settled(f: Numeric, slope: Numeric, x: Any, digits: int, many: int) -> tuple[Any, int] | None:
    """The point where the steps become nothing, and the multiplicity of the root there."""
    m = mp()
    for _ in range(_ROUNDS):
        with m.workdps(digits * many):
            goal = m.mpf(10) ** (-digits // 2)
            first = _step(f, slope, x)
            if abs(first) * many <= goal * abs(x):
                return x - many * first, many
            second = _step(f, slope, x - first)
            ratio = second / first
            if abs(ratio) < 0.3:
                many = 1
                x = x - first - second
            else:
                guess = 1 / (1 - ratio) if ratio != 1 else m.inf
                if not (abs(m.im(guess)) < 0.3 and 1.3 < m.re(guess) <= _MOST + 0.5):
                    return None
                many = int(m.nint(m.re(guess)))
                x = x - many * first
    return None


def _step(f: Numeric, slope: Numeric, x: Any) -> Any:
    m = mp()
    value = f(m, (x,))
    return value / slope(m, (x,)) if value else m.mpf(0)


def _several(functions: list[Numeric], slopes: list[list[Numeric]], start: list[Any]) -> list[Any] | None:
    """A root where the Jacobian is regular: near it the steps shrink quadratically."""
    m, at = mp(), tuple(start)
    for digits, rounds in ((DIGITS, _ROUNDS), (4 * DIGITS, 8)):
        with m.workdps(digits):
            goal = m.mpf(10) ** -(digits // 2)
            for _ in range(rounds):
                jacobian = m.matrix([[j(m, at) for j in row] for row in slopes])
                step = m.lu_solve(jacobian, m.matrix([f(m, at) for f in functions]))
                sizes = [abs(s) <= goal * max(abs(p), goal) for s, p in zip(step, at)]
                at = tuple(p - s for p, s in zip(at, step))
                if all(sizes):
                    break
            else:
                return None
    return list(at)
