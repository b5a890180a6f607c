"""What plane figures have in common: disks by formula, convex polygons with rational corners by clipping. Exact."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import S, minus, mk, plus, power, times
from nsrl.engines.wolfram.numeric import real_value

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

Corners = list[list[Any]]


def lens(ev: Evaluator, distance: Any, r: Any, s: Any) -> Any:
    """The area common to disks of radii r and s whose centres are `distance` apart; None where sizes are not
    numbers."""
    d, a, b = (real_value(ev.eval(x)) for x in (distance, r, s))
    if d is None or a is None or b is None or a <= 0 or b <= 0:
        return None
    if d >= a + b:
        return 0
    if d <= abs(a - b):
        return ev.eval(times(S.Pi, power(r if a <= b else s, 2)))

    def sector(own: Any, other: Any) -> Any:
        top = plus(power(distance, 2), power(own, 2), times(-1, power(other, 2)))
        return times(power(own, 2), mk(S.ArcCos, times(top, power(times(2, distance, own), -1))))

    kite = [
        plus(times(-1, distance), r, s),
        plus(distance, r, times(-1, s)),
        minus(plus(distance, s), r),
        plus(distance, r, s),
    ]
    return ev.eval(mk(S.Simplify, plus(sector(r, s), sector(s, r), times(Fraction(-1, 2), mk(S.Sqrt, times(*kite))))))


def _turn(p: list[Any], q: list[Any], r: list[Any]) -> Any:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def rational(p: Corners) -> bool:
    """Whether the corners are points of the plane with rational coordinates."""
    return all(len(c) == 2 and all(isinstance(x, (int, Fraction)) for x in c) for c in p)


def convex(p: Corners) -> Corners | None:
    """The corners counter-clockwise if the polygon is convex and does not cross itself, else None."""
    n = len(p)
    turns = [_turn(p[i], p[(i + 1) % n], p[(i + 2) % n]) for i in range(n)]
    if (any(t > 0 for t in turns) and any(t < 0 for t in turns)) or not any(turns):
        return None
    hull_ = hull(p)
    if len({tuple(c) for c in p}) != n or any(
        tuple(c) not in {tuple(h) for h in hull_} for c, t in zip(p[1:] + p[:1], turns) if t
    ):
        return None
    at = {tuple(c): i for i, c in enumerate(p)}
    order = [at[tuple(c)] for c in hull_]
    way = order if any(t > 0 for t in turns) else order[::-1]
    first = way.index(min(way))
    return hull_ if way[first:] + way[:first] == sorted(way) else None  # a pentagram turns one way too


def hull(p: Corners) -> Corners:
    """The corners of the convex hull, counter-clockwise."""
    points = sorted({tuple(c) for c in p})
    out: list[list[Any]] = []
    for run in (points, points[::-1]):
        half: list[Any] = []
        for c in run:
            while len(half) >= 2 and _turn(half[-2], half[-1], c) <= 0:
                half.pop()
            half.append(c)
        out += [list(c) for c in half[:-1]]
    return out


def common(p: Corners, q: Corners) -> Corners:
    """The corners of what two convex counter-clockwise polygons have in common; fewer than three: no area."""
    out = p
    for i, a in enumerate(q):
        b = q[(i + 1) % len(q)]
        before, out = out, []
        for j, c in enumerate(before):
            d = before[(j + 1) % len(before)]
            s, t = _turn(a, b, c), _turn(a, b, d)
            if s >= 0:
                out.append(c)
            if s * t < 0:
                k = Fraction(s, s - t)
                out.append([c[0] + k * (d[0] - c[0]), c[1] + k * (d[1] - c[1])])
    return out


def crosses_itself(p: Corners) -> bool:
    """Whether two sides of a polygon that are no neighbours meet; corners are numbers."""
    n = len(p)
    for i in range(n):
        for j in range(i + 2, n - (i == 0)):
            a, b, c, d = p[i], p[(i + 1) % n], p[j], p[(j + 1) % n]
            if _turn(a, b, c) * _turn(a, b, d) <= 0 and _turn(c, d, a) * _turn(c, d, b) <= 0:
                if max(a[0], b[0]) >= min(c[0], d[0]) and max(c[0], d[0]) >= min(a[0], b[0]):
                    if max(a[1], b[1]) >= min(c[1], d[1]) and max(c[1], d[1]) >= min(a[1], b[1]):
                        return True
    return False
