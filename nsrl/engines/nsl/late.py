"""Calls that wait: what a function of a list, or a yes or no, gives is not known before the names in it have values.

The evaluator would take the call `Divisors[n]` of a letter for a list of one name, and say of a letter that it is no
prime. So a relation, a definition or a target with such a call is kept as it is written until its names are known.
Trees in, yes or no out.
"""

from __future__ import annotations

from typing import Any

from nsrl.engines.nsl.truths import RELATION_HEADS, is_test
from nsrl.engines.nsl.words import BINDERS, bound_names, is_user
from nsrl.engines.wolfram.expr import Expr, S, Symbol, is_list
from nsrl.engines.wolfram.table import NUMERIC

# What is the same whether names get their values before or after: sums and positions in lists written out, figures
# with such points, algebra. Numeric functions are, too.
_STRUCTURE = RELATION_HEADS | frozenset([
    S.List, S.Rule, S.Hold, S.If, S.N, S.Rationalize, S.Sqrt, S.Exp, S.CubeRoot, S.Surd, S.Total, S.Mean, S.Variance,
    S.StandardDeviation, S.Length, S.First, S.Last, S.Part, S.Take, S.Drop, S.Reverse, S.Differences, S.Apply, S.Norm,
    S.Dot, S.Cross, S.Det, S.Inverse, S.Area, S.Perimeter, S.Polygon, S.SSSTriangle, S.PlanarAngle, S.VectorAngle,
    S.EuclideanDistance, S.Midpoint, S.InfiniteLine, S.RegionIntersection, S.RegionNearest, S.InterpolatingPolynomial,
    S.D, S.Integrate, S.Limit, S.Expand, S.Factor, S.Simplify, S.Collect, S.Coefficient, S.Sum, S.Product, S.Solve,
    S.SolveValues,
])  # fmt: skip
_OF_LISTS = frozenset([S.Length, S.First, S.Last, S.Take, S.Drop])
_LISTED = frozenset([S.Table, S.Range, S.Flatten, S.Select, S.Divisors, S.FactorInteger, S.IntegerDigits, S.Tally,
S.Differences,
                     S.Take, S.Drop, S.Subsets, S.Permutations, S.Tuples])  # fmt: skip


def depends(head: Any) -> bool:
    """Whether what `head` gives depends on the values of the names in its arguments, not on their form alone."""
    row = getattr(head, "builtin", None)
    return head not in _STRUCTURE and not (row is not None and row.attrs & NUMERIC)


def waits(e: Any, names: Any = None, functions: Any = (), bound: frozenset = frozenset()) -> bool:
    """Whether a call in e waits for names. names: those that count, None for all; functions: the program's own that
    wait. A name that runs over a list without names (bound) has its values."""
    if type(e) is not Expr:
        return False
    inner = bound
    if e.head in BINDERS:
        own = bound_names(e)
        runs = [a for i in e.args[1:] if is_list(i) for a in i.args[1:]]
        loose = any(_named(a, names, bound) for a in runs)
        if loose and e.head is S.Table:
            return True
        if loose and any(waits(a, own, functions, frozenset()) for a in e.args[:1]):
            return True
        inner = bound | own
    elif _hangs(e, functions) and _named(e, names, bound):
        return True
    return any(waits(a, names, functions, inner) for a in e.args)


def _hangs(e: Expr, functions: Any) -> bool:
    """Whether the call e would give something else of names than of their values."""
    if type(e.head) is Symbol and e.head.builtin is None:
        return e.head in functions
    return is_test(e) or depends(e.head) or (e.head in _OF_LISTS and not is_list(e.args[0]))


def _named(e: Any, names: Any, bound: frozenset) -> bool:
    """Whether a name that counts and is not bound stands in e."""
    if type(e) is Expr:
        inner = bound | bound_names(e) if e.head in BINDERS else bound
        return any(_named(a, names, inner) for a in e.args)
    return is_user(e) and e not in bound and (names is None or e in names)


def gives_list(e: Any) -> bool:
    """Whether e is a list by its form, although not written out: divisors(x), a..b, a sum of such."""
    if type(e) is not Expr:
        return False
    return e.head in _LISTED or (e.head in (S.Plus, S.Times) and any(gives_list(a) for a in e.args))
