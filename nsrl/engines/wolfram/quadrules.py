"""Rules of quadrature: Gauss-Kronrod panels, bisected where they are worst, tanh-sinh; and the sum of an alternating
series. They know functions of numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any

from nsrl.engines.wolfram.bignum import mp


def fp_context() -> Any:
    """mpmath's context of machine numbers."""
    from mpmath import fp

    return fp


_KRONROD = (
    (0.991455371120812639206854697526329, 0.022935322010529224963732008058970),
    (0.949107912342758524526189684047851, 0.063092092629978553290700663189204),
    (0.864864423359769072789712788640926, 0.104790010322250183839876322541518),
    (0.741531185599394439863864773280788, 0.140653259715525918745189590510238),
    (0.586087235467691130294144691693013, 0.169004726639267902826583426598550),
    (0.405845151377397166906606412076961, 0.190350578064785409913256402421014),
    (0.207784955007898467600689403773245, 0.204432940075298892414161999234649),
    (0.0, 0.209482141084727828012999174891714),
)
_GAUSS = (0.0, 0.129484966168869693270611432679082, 0.0, 0.279705391489276667901467771423780, 0.0,
          0.381830050505118944950369775488975, 0.0, 0.417959183673469387755102040816327)  # fmt: skip


def panel(g: Callable[[float], Any], a: float, b: float) -> tuple[Any, float]:
    """Gauss-Kronrod (7, 15) on one panel: value and error."""
    mid, half = (a + b) / 2, (b - a) / 2
    kronrod = gauss = 0.0
    for (node, w), v in zip(_KRONROD, _GAUSS):
        y = g(mid) if node == 0 else g(mid - half * node) + g(mid + half * node)
        kronrod += w * y
        gauss += v * y
    return kronrod * half, abs((kronrod - gauss) * half)


def bisected_panels(
    g: Callable[[float], Any],
    a: float,
    b: float,
    panels: int = 250,
    cuts: Iterable[float] | None = None,
    goal: float = 1e-10,
    floor: float = 1e-14,
) -> Any:
    """The integral of g over [a, b] by bisection of the worst panel, first cut at `cuts`; None where it does not
    settle."""
    if cuts is None:
        cuts = [a + (b - a) * 0.38196601125]  # so that what is odd about the middle does not cancel
    todo = [(panel(g, u, v), u, v) for u, v in pairwise(sorted({a, b, *(t for t in cuts if a < t < b)}))]
    for _ in range(panels):
        total, error = sum(p[0][0] for p in todo), sum(p[0][1] for p in todo)
        if error <= goal * sum(abs(p[0][0]) for p in todo) + floor:
            return total
        worst = max(range(len(todo)), key=lambda i: todo[i][0][1])
        _, u, v = todo.pop(worst)
        mid = (u + v) / 2
        if not u < mid < v:
            return None
        todo += [(panel(g, u, mid), u, mid), (panel(g, mid, v), mid, v)]
    return None


def adaptive(
    machine: Callable[[float], Any],
    a: float,
    b: float,
    cuts: Iterable[float] = (),
    fine: bool = True,
    cut: float | None = None,
    floor: float = 1e-14,
) -> Any:
    """The integral over [a, b], either end of which may be infinite, with panels crowded around `cuts`.

    fine: ten decades of panels on both sides of a cut; else each piece between cuts on a scale that crowds its ends.
    cut: where the first pieces are cut too, so that two calls are two estimates. floor: an error that does not matter.
    None where it does not settle.
    """
    inf = fp_context().inf
    if a == -inf and b == inf:
        g = lambda t: machine((2 * t - 1) / (4 * t * (1 - t))) * (2 + 2 * (2 * t - 1) ** 2) / (4 * t * (1 - t)) ** 2
        inverse = lambda x: 0.5 if x == 0 else (1 + 2 * x / (1 + fp_context().sqrt(1 + 4 * x * x))) / 2
    elif b == inf:
        g, inverse = (lambda t: machine(a + t / (1 - t)) / (1 - t) ** 2), (lambda x: (x - a) / (1 + x - a))
    elif a == -inf:
        g, inverse = (lambda t: machine(b - t / (1 - t)) / (1 - t) ** 2), (lambda x: (b - x) / (1 + b - x))
    else:
        g, inverse = machine, float
    low, high = (0.0, 1.0) if inf in (b, -a) else (a, b)
    at = [inverse(float(x)) for x in cuts]
    extra = (
        []
        if cut is None
        else [low + (high - low) * (k + cut) / 16 for k in range(16)]
        if fine
        else [low + (high - low) * cut]
    )
    if fine:
        near = [(high - low) / 10**k for k in range(1, 11)] if at else []
        return bisected_panels(
            g,
            low,
            high,
            cuts=[
                low + (high - low) * 0.38196601125,
                *extra,
                *at,
                *(x + s * h for x in at for h in near for s in (1, -1)),
            ],
        )
    total = 0.0
    for u, v in pairwise(sorted({low, high, *extra, *(t for t in at if low < t < high)})):
        part = bisected_panels(
            lambda s, u=u, v=v: 6 * s * (1 - s) * (v - u) * g(u + (v - u) * s * s * (3 - 2 * s)),
            0.0,
            1.0,
            40,
            (),
            1e-9,
            floor,
        )
        if part is None:
            return None
        total += part
    return total


@cache
def _nodes() -> list[tuple[Any, Any, Any]]:
    """Tanh-sinh at steps of 1/64 for 34 digits: (1 + u, 1 - u, weight), each small one known to full precision."""
    m = mp()
    out = []
    with m.workdps(40):
        for k in range(-282, 283):
            t = m.mpf(k) / 64
            near = 2 / (1 + m.exp(m.pi * m.sinh(abs(t))))  # 1 - |u|
            u = (near, 2 - near) if k < 0 else (2 - near, near)
            out.append((*u, m.pi / 2 * m.cosh(t) * near * (2 - near) / 64))
    return out


def tanh_sinh(g: Callable[[Any], Any], a: Any, b: Any) -> tuple[Any, Any]:
    """The integral of g over [a, b], either end of which may be infinite, and how much halving the step changes it."""
    m = mp()
    sums = [m.mpf(0), m.mpf(0)]
    for k, (p, q, w) in enumerate(_nodes()):
        if b == m.inf:
            t, slope = a + p / q, 2 / q**2
        elif a == -m.inf:
            t, slope = b - q / p, 2 / p**2
        else:
            half = (b - a) / 2
            t, slope = a + half * p if p < q else b - half * q, half
        if t in (a, b):
            continue
        sums[k % 2] += w * slope * g(t)
    fine, coarse = sums[0] + sums[1], 2 * sums[0]
    return fine, abs(fine - coarse) ** 2 / max(1, abs(fine)) + abs(fine) * m.mpf(10) ** -28


def alternating(term: Callable[[int], Any], n: int) -> Any:
    """The sum of term(0) + term(1) + ... whose signs alternate: Cohen, Rodriguez Villegas and Zagier's acceleration."""
    m = mp()
    d = (3 + m.sqrt(8)) ** n
    d = (d + 1 / d) / 2
    b, c, total = m.mpf(-1), -d, m.mpf(0)
    for k in range(n):
        c = b - c
        total += c * term(k) * (-1) ** k
        b = b * (k + n) * (k - n) / ((k + m.mpf(1) / 2) * (k + 1))
    return total / d
