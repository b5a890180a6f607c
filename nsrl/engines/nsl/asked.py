"""What is asked beyond one value: all solutions as a set, the greatest value of a function, a letter in terms of the
rest.

Trees in, trees out, over the core's evaluator.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.late import gives_list
from nsrl.engines.nsl.system import Unsolved, replaced
from nsrl.engines.nsl.words import free_names, heads
from nsrl.engines.wolfram.expr import TRUE, Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.table import NUMERIC

_OF_A_SET = frozenset([S.Max, S.Min, S.Total, S.Mean, S.Median, S.Length, S.Sort, S.Reverse, S.Union])
# What counts each solution, and what does not care how often a value comes. Anything else is right where both are the
# same.
_OF_ALL = frozenset([S.Mean, S.Median, S.Commonest, S.Variance, S.StandardDeviation, S.Tally, S.Count])
_LISTS = frozenset([S.Union, S.Sort, S.Reverse])
_OF_VALUES = frozenset([S.Max, S.Min, S.Union, S.List, S.Plus, S.Times, S.Power])
_EXTREMA = {S.Max: S.Maximize, S.Min: S.Minimize}
_INVERTIBLE = frozenset([S.Plus, S.Times, S.Power, S.Sqrt, S.CubeRoot, S.Surd, S.Log, S.Exp])


def over_solutions(e: Any, values: Callable[[Any, bool | None], list[Any] | None], repeats: bool | None = False) -> Any:
    """e with `{x}`, `max(x)`, `count{x}`… of unknowns replaced by the same of the list of all their values.

    values: an expression's values over the solutions, or None where it is the same in all by its form; one for each
    solution (True), the distinct ones (False), or raising Unsolved where these differ (None). repeats: which of them
    a list is that stands at e."""
    if type(e) is not Expr or has_head(e, S.Table):
        return e
    if is_list(e):
        at, kind = 0, repeats
    else:
        kind = True if e.head in _OF_ALL else False if e.head in _OF_VALUES else None
        at = 1 if has_head(e, S.Apply) and len(e.args) == 2 else 0
    if has_head(e, S.Length) and len(e.args) == 1 and _is_point(e.args[0]):  # count{x,y}: the number of pairs
        found = values(e.args[0], kind)
        if found is not None:
            return len(found)
    one = len(e.args) == at + 1 and (is_list(e) or not is_list(e.args[at]))
    if one and (is_list(e) or e.head in _OF_A_SET or e.head is S.Apply):
        inner = e.args[at]
        listed = (
            (is_list(inner) and not _is_point(inner))
            or (type(inner) is Expr and inner.head in _LISTS)
            or (not is_list(e) and gives_list(inner))
        )
        found = None if listed else values(inner, kind)
        if found and not is_list(e) and any(map(is_list, found)):  # the statistic of a list at each solution
            found = None
        if found is not None:
            return lst(found) if is_list(e) else Expr(e.head, (*e.args[:at], lst(found)))
    args = tuple(over_solutions(a, values, kind) for a in e.args)
    return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)


def _is_point(e: Any) -> bool:
    return is_list(e) and len(e.args) > 1


def counted_none(e: Any, names: set[Symbol]) -> Any:
    """e where nothing satisfies the statements: `count{x}` of a name that they speak of is 0, whatever its value."""
    if type(e) is not Expr:
        return e
    if has_head(e, S.Length) and len(e.args) == 1 and is_list(e.args[0]) and names & set(free_names(e.args[0])):
        return 0
    return Expr(e.head, tuple(counted_none(a, names) for a in e.args))


def has_set(e: Any) -> bool:
    """Whether e asks for something over all solutions, should its names be unknowns."""
    seen: list[Any] = []
    over_solutions(e, lambda x, _: seen.append(x) if free_names(x) else None)
    return bool(seen)


def extrema(e: Any, relations: list[Any], evaluate: Callable[[Any], Any]) -> Any:
    """e with the greatest (least) value for each `max(f)` of an expression f with unknowns under the relations."""
    return e if _EXTREMA.keys().isdisjoint(heads(e)) else _with_extrema(e, relations, evaluate)


def _with_extrema(e: Any, relations: list[Any], evaluate: Callable[[Any], Any]) -> Any:
    if type(e) is not Expr or has_head(e, S.Table):
        return e
    of: Any = e.args[0] if len(e.args) == 1 else None
    of = of.args[0] if is_list(of) and len(of.args) == 1 else of  # min{x}
    if e.head in _EXTREMA and _is_scalar(of) and free_names(of):
        return _extremum(_EXTREMA[e.head], of, relations, evaluate)
    args = tuple(_with_extrema(a, relations, evaluate) for a in e.args)
    return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)


def _is_scalar(e: Any) -> bool:
    """Whether e is a number once its names are: sums, roots, sines, but no lists and what may give one."""
    row = getattr(e.head, "builtin", None) if type(e) is Expr else None
    return type(e) is Symbol or (row is not None and bool(row.attrs & NUMERIC))


def _extremum(head: Any, f: Any, relations: list[Any], evaluate: Callable[[Any], Any]) -> Any:
    """The extreme value, if the core names a point where it is attained."""
    names = list(dict.fromkeys(n for r in (f, *relations) for n in free_names(r)))
    what = lst((f, relations[0] if len(relations) == 1 else Expr(S.And, tuple(relations)))) if relations else f
    out = evaluate(mk(head, what, names[0] if len(names) == 1 else lst(names)))
    if is_list(out) and len(out.args) == 2 and is_list(out.args[1]) and not free_names(out.args[0]):
        value = out.args[0]
        at = {r.args[0]: r.args[1] for r in out.args[1].args if has_head(r, S.Rule)}
        attained = evaluate(mk(S.Equal, replaced(f, at), value))
        if at.keys() == set(names) and attained is TRUE and all(evaluate(replaced(r, at)) is TRUE for r in relations):
            return value
    raise Unsolved("no greatest or least value was found")


def derived(e: Any, known: dict[Any, Any], made: dict[Any, Any], evaluate: Callable[[Any], Any]) -> Any:
    """e with its derivatives by names that have a value taken first, so that the value can be put in afterwards.

    known: names and values; made: names as the program wrote them (f=x³;x=2;diff(f,x)). Raises Unsolved."""
    if type(e) is not Expr:
        return e
    if has_head(e, S.D) and len(e.args) > 1 and e.args[1] in known:
        f = e.args[0]
        for _ in made:
            f = replaced(f, {n: v for n, v in made.items() if n is not e.args[1] and n not in free_names(v)})
        out = evaluate(Expr(S.D, (f, *e.args[1:])))
        if _holds(out, {S.D}):
            raise Unsolved("no derivative was found")
        return out
    args = tuple(derived(a, known, made, evaluate) for a in e.args)
    return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)


def in_terms(name: Any, equation: Any, evaluate: Callable[[Any], Any]) -> list[Any] | None:
    """All real values of a name that one equation gives it in terms of the other names, or None."""
    if not all(_invertible(side, name) for side in equation.args):
        return None
    out = evaluate(mk(S.Solve, equation, name))
    if not (
        is_list(out)
        and out.args
        and all(is_list(s) and len(s.args) == 1 and has_head(s.args[0], S.Rule) for s in out.args)
    ):
        return None
    values = [v for v in (s.args[0].args[1] for s in out.args) if not _holds(v, {S.Complex, S.I})]
    if not values or any(_holds(v, {S.ConditionalExpression, S.Root, S.Solve, name}) for v in values):
        return None
    return values if all(_fits(name, v, equation, evaluate) for v in values) else None


def _invertible(e: Any, name: Any) -> bool:
    """Whether name stands only under functions whose equations have all their solutions found by algebra."""
    if type(e) is not Expr or name not in free_names(e):
        return True
    return e.head in _INVERTIBLE and all(_invertible(a, name) for a in e.args)


def _holds(e: Any, what: set) -> bool:
    if type(e) is Expr:
        return e.head in what or any(_holds(a, what) for a in e.args)
    return e in what if type(e) is Symbol else False


def _fits(name: Any, value: Any, equation: Any, evaluate: Callable[[Any], Any]) -> bool:
    """Whether the value satisfies the equation at some points of the other names (and fails at none)."""
    others = [n for n in free_names(equation) if n is not name]
    hits = 0
    for k in range(6):
        at = {
            n: Fraction(7 * (i + 2) ** 2 + 3 * k * k + 5 * k * i + 1, 3 + i + 2 * (k % 2)) for i, n in enumerate(others)
        }
        if k > 3:  # large against small
            at = {n: v * Fraction(100) ** ((i + k) % 3) for i, (n, v) in enumerate(at.items())}
        a, b = (evaluate(mk(S.N, replaced(side, {**at, name: replaced(value, at)}))) for side in equation.args)
        if type(a) in (int, float) and type(b) in (int, float):
            if abs(a - b) > 1e-6 * max(1, abs(a), abs(b)):
                return False
            hits += 1
    return hits > 0


def sign(e: Any) -> int | None:
    """The sign of a value whose form tells it wherever it is real and not zero (√(A/π) is positive), else None."""
    if type(e) in (int, float, Fraction):
        return (e > 0) - (e < 0)
    if e in (S.Pi, S.E) or has_head(e, S.Sqrt):
        return 1
    if has_head(e, S.Power):
        base, n = e.args
        even = (type(n) is Fraction and n.denominator % 2 == 0) or (type(n) is int and n % 2 == 0)
        return 1 if even or sign(base) == 1 else None
    if has_head(e, S.Times):
        out = 1
        for a in e.args:
            s = sign(a)
            if s is None:
                return None
            out *= s
        return out
    return None
