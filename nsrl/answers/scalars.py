"""Whether two expressions are the same: exact, then 50 digits at random rational points, then the gold's decimals.

The gold decides what is asked: its decimals give the tolerance, its unit is the unit of a bare number.
"""

from __future__ import annotations

from fractions import Fraction

from nsrl.answers import tree as tr
from nsrl.answers import work
from nsrl.answers.tree import INFINITY, Tree, neg, num
from nsrl.answers.units import other_things
from nsrl.answers.values import Scalar

POINTS = 14  # tried; NEEDED of them must lie in both domains
NEEDED = 4
MACHINE = 13  # significant digits: what is printed of a double, or a little less
DUST = Fraction(1, 10**12)  # a number written smaller than this is what rounding leaves of 0
Outcome = tuple[bool, str]


def same_scalar(g: Scalar, p: Scalar) -> Outcome:
    """Equal in the gold's unit. A bare number is in the unit the gold declares; one the gold does not declare is
    ignored, percent and degree like any other: `50%` is 50, not 0.5, and `180°` is 180, not π."""
    g_unit = g.unit if g.unit is not None and g.unit.known else None
    p_unit = p.unit if p.unit is not None and p.unit.known else None
    value = p.tree
    if other_things(g.unit, p.unit):
        return False, "unit"
    if p_unit is not None and p_unit.marked and g_unit is None:
        return False, "unit"
    if g_unit is not None and p_unit is not None:
        if g_unit.dims != p_unit.dims:
            return False, "unit"
        if g_unit != p_unit:
            value = ("mul", value, p_unit.factor, ("pow", g_unit.factor, num(-1)))
    return equal_trees(g.tree, value, g.places, p.places)


def equal_trees(g: Tree, p: Tree, places: int | None, p_places: int | None = None) -> Outcome:
    """Equal values; places: the gold's digits after the point if it is a decimal, p_places: the prediction's."""
    half = Fraction(1, 2) * Fraction(10) ** -places if places is not None else None
    if g[0] == "num" and p[0] == "num":
        if not g[1] and abs(p[1]) <= DUST:
            return True, "exact" if g == p else "machine"
        return _equal_fractions(g[1], p[1], half, p_places)
    if (g in (INFINITY, neg(INFINITY))) or (p in (INFINITY, neg(INFINITY))):
        return g == p, "exact"
    different = False
    try:
        a, b = tr.normal(g), tr.normal(p)
        if a == b:
            return True, "exact"
        ra, rb = tr.rational(a), tr.rational(b)
        if ra is not None and rb is not None:
            return _equal_fractions(ra, rb, half, p_places)
        different = tr.independent(a) and tr.independent(b)
    except (ArithmeticError, RecursionError):
        work.refill()  # no exact form within bounds: the numeric test decides
    correct, reason = _equal_numbers(g, p, half, p_places)
    if correct and reason == "numeric" and different:  # they differ beyond the digits that were compared
        return False, "exact"
    return correct, reason


def _equal_fractions(g: Fraction, p: Fraction, half: Fraction | None, p_places: int | None) -> Outcome:
    if g == p:
        return True, "exact"
    if half is not None:
        return abs(g - p) <= half, "decimal"
    return _machine(abs(g - p), abs(p), p_places) or (False, "exact")


def _machine(gap: Fraction, size: Fraction, p_places: int | None) -> Outcome | None:
    """A machine real (13 significant digits or more) stands for the exact value it rounds; fewer were chosen by
    someone. The arithmetic of doubles may have touched the 16th digit."""
    if p_places is None or p_places < 1 or not size:
        return None
    unit = Fraction(1, 10**p_places)
    digits = len(str(int(size / unit)))
    noise = unit * 10 ** (digits - 15) if digits > 15 else 0
    if digits >= MACHINE and gap <= max(unit / 2, noise):
        return True, "machine"
    return None


def _equal_numbers(g: Tree, p: Tree, half: Fraction | None, p_places: int | None) -> Outcome:
    names = tuple(sorted(tr.symbols(g) | tr.symbols(p)))
    if len(names) > 12:
        return False, "size"
    good = 0
    for i in range(POINTS if names else 1):
        at = tr.point(names, i)
        try:
            a, b = tr.evaluate(g, at), tr.evaluate(p, at)
        except tr.Undefined:
            continue
        if not names:
            if tr.close(a, b):
                return True, "numeric"
            fa, fb = tr.as_fraction(a), tr.as_fraction(b)
            if fa is None or fb is None:
                return False, "numeric"
            if half is not None:
                return abs(fa - fb) <= half * (1 + Fraction(1, 10**30)), "decimal"
            return _machine(abs(fa - fb), abs(fb), p_places) or (False, "numeric")
        if not tr.close(a, b):
            return False, "numeric"
        good += 1
        if good >= NEEDED:
            return True, "numeric"
    return good >= 2, "domain" if good < 2 else "numeric"
