"""Questions about the trees of a program and of its values: what stands in them, and in which form it is solved.

Trees in, trees or yes and no out.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.plan import TRIG
from nsrl.engines.nsl.truths import ARITHMETIC, RELATION_HEADS
from nsrl.engines.nsl.words import free_names
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, mk, sym
from nsrl.engines.wolfram.poly import NotPolynomial, Ring

_LOGIC = frozenset([S.And, S.Or, S.Not])


def norms(e: Any) -> Any:
    """|A-B| of points is a length: Abs of something with a list in it becomes Norm."""
    if type(e) is not Expr:
        return e
    if has_head(e, S.Abs) and len(e.args) == 1 and is_vector(e.args[0]):
        return Expr(S.Norm, e.args)
    args = tuple(norms(a) for a in e.args)
    return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)


def is_vector(e: Any) -> bool:
    """Whether e is a sum or product with a list in it."""
    return is_list(e) or (type(e) is Expr and e.head in (S.Plus, S.Times) and any(is_vector(a) for a in e.args))


def innermost_lists(e: Any) -> list[Any]:
    """The innermost-free lists of e: those that hold no list themselves."""
    if is_list(e) and not any(is_list(a) for a in e.args):
        return [e]
    return [x for a in e.args for x in innermost_lists(a)] if type(e) is Expr else []


def holds_empty(e: Any, counted: bool = False) -> bool:
    """Whether an empty list stands in e that is not only counted."""
    if type(e) is not Expr:
        return False
    if is_list(e) and not e.args:
        return not counted
    counted = e.head is S.Length or (counted and e.head in (S.Union, S.Sort, S.Reverse))
    return any(holds_empty(a, counted) for a in e.args)


def by_size(values: list[Any]) -> list[Any]:
    """Numbers ascending, where all values are real numbers."""
    ring = Ring()
    try:
        sizes: list[Any] = [ring.real(ring.quotient(*ring.ratio(v))) for v in values]
    except (NotPolynomial, ZeroDivisionError):
        return values
    return values if None in sizes else [values[i] for i in sorted(range(len(values)), key=sizes.__getitem__)]


def memberships(t: Any, evaluate: Callable[[Any], Any]) -> Any:
    """`x in {a,b}` as the equations it stands for, `x in 1..9` as its bounds."""
    if type(t) is Expr and t.head in (S.And, S.Or, S.Not):
        return Expr(t.head, tuple(memberships(a, evaluate) for a in t.args))
    if not has_head(t, S.MemberQ) or len(t.args) != 2 or not free_names(t.args[1]):
        return t
    where, x = t.args
    if not is_list(where) and not has_head(where, S.Range) and not free_names(where):
        where = evaluate(where)  # x in divisors(12)
    if is_list(where) and where.args:
        return (
            Expr(S.Or, tuple(Expr(S.Equal, (x, v)) for v in where.args))
            if len(where.args) > 1
            else Expr(S.Equal, (x, where.args[0]))
        )
    if has_head(where, S.Range) and len(where.args) == 2:
        low, high = where.args
        low = low.args[0] if has_head(low, S.Ceiling) else low  # 1.5..4: whole numbers between
        return Expr(
            S.And, (Expr(S.Element, (x, S.Integers)), Expr(S.GreaterEqual, (x, low)), Expr(S.LessEqual, (x, high)))
        )
    return t


def of_choices(e: Any) -> list[Any]:
    """n ≥ 0 for each `n choose k` of an unknown n: as many things as there are to choose from."""
    if type(e) is not Expr:
        return []
    own = (
        [mk(S.GreaterEqual, e.args[0], 0)] if e.head in (S.Binomial, S.FactorialPower) and free_names(e.args[0]) else []
    )
    return own + [r for a in e.args for r in of_choices(a)]


def sets_again(t: Any, actions: list[tuple[str, Any]]) -> bool:
    """Whether `name = value` gives a name that is set to a plain value a second one."""
    if not (has_head(t, S.Equal) and len(t.args) == 2 and type(t.args[0]) is Symbol):
        return False
    return any(kind == "set" and a.args[0] is t.args[0] for kind, a in actions)


def repeats_value(t: Any) -> bool:
    """Whether a condition names a value twice: x in {2,2,5}."""
    if type(t) is not Expr:
        return False
    among = t.args if t.head is S.Or else t.args[0].args if has_head(t, S.MemberQ) and is_list(t.args[0]) else ()
    return len(set(among)) < len(among) or any(repeats_value(a) for a in t.args)


def holds_float(e: Any) -> bool:
    """Whether a decimal stands anywhere in the tree."""
    return type(e) is float or (type(e) is Expr and any(holds_float(a) for a in e.args))


def one_name(e: Any) -> Any:
    """x where e is x or {x}, else None."""
    e = e.args[0] if is_list(e) and len(e.args) == 1 else e
    return e if type(e) is Symbol else None


def calls(e: Any, heads: set) -> bool:
    """Whether one of these heads stands anywhere in the tree."""
    return type(e) is Expr and (e.head in heads or any(calls(a, heads) for a in e.args))


def in_radians(e: Any) -> bool:
    """Whether an angle in e is a plain number beyond a full turn, which will have been meant as degrees."""
    if type(e) is not Expr:
        return False
    if e.head in TRIG and len(e.args) == 1 and type(e.args[0]) in (int, float, Fraction) and abs(e.args[0]) > 6.2832:
        return True
    return any(in_radians(a) for a in e.args)


def is_text(e: Any, number: bool = False) -> bool:
    """Whether a text, or a condition that is none, stands in e where it calculates: `x or 3`, `"a"+1`."""
    if type(e) is not Expr:
        return number and isinstance(e, str)
    if e.head in _LOGIC and not all(type(a) is Expr or a in (TRUE, FALSE) for a in e.args):
        return True
    number = e.head in ARITHMETIC or is_number_function(e)
    return any(is_text(a, number) for a in e.args)


def word_of(e: Any) -> str | None:
    """The text of a string or a bare name; None for anything else."""
    return e if isinstance(e, str) else e.name if type(e) is Symbol else None


def has_symbol(e: Any, s: Any) -> bool:
    """Whether the symbol stands anywhere in the tree."""
    return e is s or (type(e) is Expr and any(has_symbol(a, s) for a in e.args))


def reciprocal_degree(e: Any) -> bool:
    """Whether the tree is a multiple of 1/°."""
    if type(e) is not Expr:
        return False
    if has_head(e, S.Power) and e.args[0] is S.Degree and e.args[1] == -1:
        return True
    return any(reciprocal_degree(a) for a in e.args)


def names_of(names: Any) -> str:
    """Names of a program as it wrote them, sorted, for a message."""
    return ", ".join(sorted(n.name.removesuffix("$") for n in names if n.name[0] > "\x01"))


def is_call(v: Expr) -> bool:
    """Whether the value still is a call: a function of the system (or unknown) applied to arguments that it left."""
    plain = (S.List, S.Plus, S.Times, S.Power, S.Rule, S.Association, S.Complex, S.Rational)
    if v.head in plain or v.head in RELATION_HEADS:
        return (v.head is not S.List and v.head not in RELATION_HEADS and any(
            type(a) is Expr and a.head not in plain and is_call(a) for a in v.args
        )) or (v.head is S.List and any(type(a) is Expr and is_call(a) for a in v.args))  # fmt: skip
    return not is_number_function(v)


def is_nameless(v: Any) -> bool:
    """Whether a function's bare name stands in a value, such as the head that L[0] is."""
    if type(v) is Expr:
        return any(is_nameless(a) for a in v.args)
    row = v.builtin if type(v) is Symbol else None
    return row is not None and v in (
        S.List,
        S.Plus,
        S.Times,
        S.Power,
        S.Symbol,
        S.Integer,
        S.Rational,
        S.Real,
        S.String,
    )


def is_number_function(v: Expr) -> bool:
    """Whether the call stays a number when it cannot be written more simply, as Sin[1]."""
    row = getattr(v.head, "builtin", None)
    return row is not None and bool(row.attrs & 128)  # NumericFunction: Sin[1], Log[2], ArcTan[3]


def unowned(e: Any) -> Any:
    """A tree with the `$` taken off the program's own names, for showing."""
    if type(e) is Symbol:
        return sym(e.name[:-1]) if e.name.endswith("$") and len(e.name) > 1 else e
    if type(e) is Expr:
        args = tuple([unowned(a) if type(a) is Expr or type(a) is Symbol else a for a in e.args])
        return Expr(unowned(e.head), args)
    return e
