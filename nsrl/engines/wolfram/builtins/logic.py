"""Equality, order comparisons, logic and type predicates."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.builtins.arithmetic import is_infinity, is_numeric
from nsrl.engines.wolfram.builtins.units import base_value
from nsrl.engines.wolfram.expr import FALSE, LIST, TRUE, Expr, S, Symbol, boolean, mk, same, system
from nsrl.engines.wolfram.judged import no, unlike
from nsrl.engines.wolfram.numbers import compare_reals, is_exact, is_real, parts
from nsrl.engines.wolfram.numeric import approx, real_value
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.points import ORDER, Undefined, Unknown, certain_sign, difference
from nsrl.engines.wolfram.roots import symbols
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


# -- equality ------------------------------------------------------------------------------------------------------
def decide_equal(ev: Evaluator, a: Any, b: Any) -> bool | None:
    """Equal[a, b]: True, False, or None where it stays symbolic."""
    if same(a, b):
        return a is not S.Indeterminate
    na, nb = is_number(a), is_number(b)
    if na and nb:
        (ar, ai), (br, bi) = parts(a), parts(b)
        return compare_reals(ar, br) == 0 and compare_reals(ai, bi) == 0
    ta, tb = type(a), type(b)
    if ta is str or tb is str:
        if ta is str and tb is str:
            return False
        other = b if ta is str else a
        return (
            False
            if is_number(other) or (type(other) is Expr and other.head is LIST) or other in (TRUE, FALSE)
            else None
        )
    if ta is Expr and tb is Expr and a.head is b.head and a.head in (LIST, S.Association, S.Rule):
        if len(a.args) != len(b.args):
            return False
        out: bool | None = True
        for x, y in zip(a.args, b.args):
            r = decide_equal(ev, x, y)
            if r is False:
                return False
            if r is None:
                out = None
        return out
    if ta is Expr and tb is Expr and a.head is b.head is S.Quantity:  # by what they measure
        order = compare_values(ev, a, b)
        return None if order is None else order == 0
    if (ta is Expr and a.head is LIST and nb) or (tb is Expr and b.head is LIST and na):
        return None if symbols(a) or symbols(b) else False  # {x, y} == 0 is an equation for each element
    if {a, b} == {TRUE, FALSE} if ta is Symbol and tb is Symbol else False:
        return False
    if (is_infinity(a) or is_infinity(b)) and (is_infinity(a) or is_numeric(a)) and (is_infinity(b) or is_numeric(b)):
        return False
    if is_numeric(a) and is_numeric(b):
        x, y = (approx(a), approx(b)) if float in (ta, tb) else (None, None)
        if x is not None and y is not None:
            return abs(x - y) <= 1e-12 * max(abs(x), abs(y))
        try:
            return difference(a, b) == 0
        except (Unknown, Undefined):
            return None
    return None


@builtin("Equal", data=True)
def equal(ev: Evaluator, args: tuple) -> Any:
    if len(args) < 2:
        return TRUE
    known = [decide_equal(ev, a, b) for a, b in pairwise(args)]
    if False in known:
        return FALSE
    if all(known):
        return TRUE
    kept = [args[0]] + [b for b, k in zip(args[1:], known) if not k]
    return None if len(kept) == len(args) or len(kept) < 2 else Expr(S.Equal, tuple(kept))


@builtin("Unequal", data=True)
def unequal(ev: Evaluator, args: tuple) -> Any:
    if len(args) < 2:
        return TRUE
    known = [decide_equal(ev, args[i], args[j]) for i in range(len(args)) for j in range(i + 1, len(args))]
    if True in known:
        return FALSE
    return TRUE if all(k is False for k in known) else None


@builtin("SameQ", options="*")
def same_q(ev: Evaluator, args: tuple) -> Any:
    for a, b in pairwise(args):
        if not same(a, b):
            unlike(ev, a, b)
            return FALSE
    return TRUE


@builtin("UnsameQ")
def unsame_q(ev: Evaluator, args: tuple) -> Any:
    if any(same(args[i], args[j]) for i in range(len(args)) for j in range(i + 1, len(args))):
        return FALSE
    for a, b in pairwise(args):
        unlike(ev, a, b)
    return TRUE


@builtin("TrueQ", arity=1)
def true_q(ev: Evaluator, args: tuple) -> Any:
    a = args[0]
    return (
        TRUE
        if a is TRUE
        else no(ev, a)
        if type(a) is Expr and a.head in (*ORDER, S.Inequality, S.Equal, S.Unequal)
        else FALSE
    )


@builtin("BooleanQ", arity=1)
def boolean_q(ev: Evaluator, args: tuple) -> Any:
    return boolean(args[0] in (TRUE, FALSE) if type(args[0]) is Symbol else False)


# -- order ---------------------------------------------------------------------------------------------------------
def compare_values(ev: Evaluator, a: Any, b: Any) -> int | None:
    """-1, 0, 1 of two real quantities; None where the order is not known."""
    if is_real(a) and is_real(b):
        return compare_reals(a, b)
    ia, ib = is_infinity(a), is_infinity(b)
    if ia or ib:
        va = (1 if a is S.Infinity else -1) if ia else 0
        vb = (1 if b is S.Infinity else -1) if ib else 0
        if (ia or is_numeric(a)) and (ib or is_numeric(b)):
            return (va > vb) - (va < vb)
        return None
    if is_numeric(a) and is_numeric(b):
        x, y = (real_value(a), real_value(b)) if float in (type(a), type(b)) else (None, None)
        if x is not None and y is not None:
            return compare_reals(x, y)
        return certain_sign(mk(S.Plus, a, mk(S.Times, -1, b)))
    if type(a) is Expr and type(b) is Expr and a.head is S.Quantity and b.head is S.Quantity:
        one, other = base_value(ev, a), base_value(ev, b)
        if one is not None and other is not None and one[1] == other[1]:
            return compare_values(ev, one[0], other[0])
    return None


_TESTS = {"Less": {-1}, "LessEqual": {-1, 0}, "Greater": {1}, "GreaterEqual": {0, 1}}


def _ordering(name: str) -> None:
    accepted = _TESTS[name]

    @builtin(name, data=True)
    def relation(ev: Evaluator, args: tuple) -> Any:
        if len(args) < 2:
            return TRUE
        known = []
        for a, b in pairwise(args):
            c = compare_values(ev, a, b)
            if c is None:
                for x in (a, b):
                    if type(x) is Expr and x.head is S.Complex:
                        ev.message(name, "nord", f"Invalid comparison with {ev.text(x)} attempted.")
                        return None
            known.append(None if c is None else c in accepted)
        if False in known:
            return FALSE
        return TRUE if all(known) else None


for _name in _TESTS:
    _ordering(_name)


@builtin("Inequality", data=True)
def inequality(ev: Evaluator, args: tuple) -> Any:
    if len(args) < 3 or len(args) % 2 == 0:
        return None
    kept: list[Any] = [args[0]]
    changed = False
    for i in range(1, len(args), 2):
        r = ev.call(args[i], args[i - 1], args[i + 1])
        if r is FALSE:
            return FALSE
        if r is TRUE:
            changed = True
            if len(kept) > 1:
                kept_before = kept
                rest = args[i + 1 :]
                left = _simple_inequality(kept_before)
                right = ev.eval(_simple_inequality(list(rest))) if len(rest) > 1 else TRUE
                return mk(S.And, left, right)
            kept = [args[i + 1]]
        else:
            kept += [args[i], args[i + 1]]
    if len(kept) == 1:
        return TRUE
    if not changed:
        ops = set(args[1::2])
        return Expr(args[1], args[::2]) if len(ops) == 1 else None
    return _simple_inequality(kept)


def _simple_inequality(items: list[Any]) -> Any:
    if len(items) == 1:
        return TRUE
    return Expr(items[1], (items[0], items[2])) if len(items) == 3 else Expr(S.Inequality, tuple(items))


_NEGATED = {"Equal": "Unequal", "Unequal": "Equal", "Less": "GreaterEqual", "GreaterEqual": "Less",
"Greater": "LessEqual",
            "LessEqual": "Greater"}  # fmt: skip
_FLIP = {system(a): system(b) for a, b in _NEGATED.items()}


# -- logic ---------------------------------------------------------------------------------------------------------
@builtin("And", "Flat HoldAll OneIdentity", data=True)
def and_(ev: Evaluator, args: tuple) -> Any:
    kept = []
    for a in args:
        v = ev.eval(a)
        if v is FALSE:
            return FALSE
        if v is not TRUE and not any(same(v, k) for k in kept):
            kept.append(v)
    return _joined(S.And, kept, args, TRUE)


@builtin("Or", "Flat HoldAll OneIdentity", data=True)
def or_(ev: Evaluator, args: tuple) -> Any:
    kept = []
    for a in args:
        v = ev.eval(a)
        if v is TRUE:
            return TRUE
        if v is not FALSE and not any(same(v, k) for k in kept):
            kept.append(v)
    return _joined(S.Or, kept, args, FALSE)


def _joined(head: Symbol, kept: list[Any], args: tuple, empty: Symbol) -> Any:
    if not kept:
        return empty
    if len(kept) == 1:
        return kept[0]
    if len(kept) == len(args) and all(map(same, kept, args)):
        return None
    return Expr(head, tuple(kept))


@builtin("Not", arity=1, data=True)
def not_(ev: Evaluator, args: tuple) -> Any:
    a = args[0]
    if a is TRUE or a is FALSE:
        return boolean(a is FALSE)
    if type(a) is Expr:
        if a.head is S.Not and len(a.args) == 1:
            return a.args[0]
        if a.head in _FLIP and len(a.args) == 2:
            return Expr(_FLIP[a.head], a.args)
    return None


@builtin("Nand", "HoldAll", data=True)
def nand(ev: Evaluator, args: tuple) -> Any:
    r = ev.call(S.And, *args)
    return None if r not in (TRUE, FALSE) and all(map(same, getattr(r, "args", ()), args)) else _negate(r)


@builtin("Nor", "HoldAll", data=True)
def nor(ev: Evaluator, args: tuple) -> Any:
    r = ev.call(S.Or, *args)
    return None if r not in (TRUE, FALSE) and all(map(same, getattr(r, "args", ()), args)) else _negate(r)


def _negate(r: Any) -> Any:
    return boolean(r is FALSE) if r in (TRUE, FALSE) else mk(S.Not, r)


@builtin("Xor", "Flat OneIdentity Orderless", data=True)
def xor(ev: Evaluator, args: tuple) -> Any:
    odd = sum(a is TRUE for a in args) % 2 == 1
    kept: list[Any] = []
    for a in args:
        if a is TRUE or a is FALSE:
            continue
        if a in kept:
            kept.remove(a)
        else:
            kept.append(a)
    if not kept:
        return boolean(odd)
    if len(kept) == len(args):
        return None
    inner = kept[0] if len(kept) == 1 else Expr(S.Xor, tuple(kept))
    return mk(S.Not, inner) if odd else inner


@builtin("Xnor")
def xnor(ev: Evaluator, args: tuple) -> Any:
    r = ev.call(S.Xor, *args)
    return _negate(r)


@builtin("Implies", arity=2, data=True)
def implies(ev: Evaluator, args: tuple) -> Any:
    a, b = args
    if a is FALSE or b is TRUE or same(a, b):
        return TRUE
    if a is TRUE:
        return b
    return mk(S.Not, a) if b is FALSE else None


@builtin("Equivalent", "Orderless", data=True)
def equivalent(ev: Evaluator, args: tuple) -> Any:
    known = {a for a in args if a in (TRUE, FALSE)}
    if len(known) == 2:
        return FALSE
    rest = [a for a in args if a not in (TRUE, FALSE)]
    if not rest:
        return TRUE
    if known:
        value = known.pop()
        return Expr(S.And, tuple(rest if value is TRUE else [mk(S.Not, a) for a in rest]))
    return TRUE if all(same(a, rest[0]) for a in rest) else None


@builtin("Boole", "Listable", arity=1, data=True)
def boole(ev: Evaluator, args: tuple) -> Any:
    return {TRUE: 1, FALSE: 0}.get(args[0]) if type(args[0]) is Symbol else None


# -- predicates ----------------------------------------------------------------------------------------------------
def _predicate(name: str, test: Any, attributes: str = "Protected") -> None:
    @builtin(name, attributes, arity=1)
    def predicate(ev: Evaluator, args: tuple) -> Any:
        return boolean(test(args[0]))


_predicate("NumberQ", is_number)
_predicate("NumericQ", is_numeric)
_predicate("RealValuedNumberQ", is_real)
_predicate("RealValuedNumericQ", lambda a: is_numeric(a) and real_value(a) is not None)
_predicate("ExactNumberQ", is_exact)
_predicate("InexactNumberQ", lambda a: is_number(a) and not is_exact(a))
_predicate("MachineNumberQ", lambda a: type(a) is float)
_predicate("MachineRealQ", lambda a: type(a) is float)
_predicate("StringQ", lambda a: type(a) is str)
_predicate("ListQ", lambda a: type(a) is Expr and a.head is LIST)
_predicate("AtomQ", lambda a: type(a) is not Expr or a.head is S.Complex)
_predicate("AssociationQ", lambda a: is_assoc(a))
_predicate("SymbolQ", lambda a: type(a) is Symbol)
_predicate("MissingQ", lambda a: type(a) is Expr and a.head is S.Missing)
_predicate("FailureQ", lambda a: a is S._Failed or (type(a) is Expr and a.head is S.Failure))


def _number_test(name: str, test: Any, attributes: str = "Protected") -> None:
    @builtin(name, attributes, arity=1)
    def number_test(ev: Evaluator, args: tuple) -> Any:
        return TRUE if test(args[0]) else no(ev, args[0])


_number_test("IntegerQ", lambda a: type(a) is int)
_number_test("RationalQ", lambda a: type(a) in (int, Fraction))
_number_test("OddQ", lambda a: type(a) is int and a % 2 == 1, "Listable")
_number_test("EvenQ", lambda a: type(a) is int and a % 2 == 0, "Listable")


def _sign_predicate(name: str, accepted: set[int]) -> None:
    @builtin(name, "Listable", arity=1)
    def predicate(ev: Evaluator, args: tuple) -> Any:
        a = args[0]
        s = compare_values(ev, a, 0)
        return boolean(s in accepted) if s is not None else FALSE if type(a) is Expr and a.head is S.Complex else None


for _n, _s in (("Positive", {1}), ("Negative", {-1}), ("NonNegative", {0, 1}), ("NonPositive", {0, -1})):
    _sign_predicate(_n, _s)


@builtin("PossibleZeroQ", "Listable", arity=1)
def possible_zero_q(ev: Evaluator, args: tuple) -> Any:
    a = args[0]
    if is_numeric(a):
        return boolean(certain_sign(a) == 0)
    return boolean(ev.call(S.Simplify, a) == 0)


@builtin("Element", arity=2, data=True)
def element(ev: Evaluator, args: tuple) -> Any:
    x, domain = args
    if type(x) is Expr and x.head in (LIST, S.Alternatives):
        known = [element(ev, (a, domain)) for a in x.args]
        return FALSE if FALSE in known else TRUE if all(k is TRUE for k in known) else None
    if not is_numeric(x):
        if domain is S.Booleans:
            return TRUE if x in (TRUE, FALSE) else None
        if type(x) is str and domain in (S.Integers, S.Reals, S.Rationals, S.Complexes, S.Primes):
            return FALSE
        if type(domain) is Expr and type(domain.head) is Symbol and domain.head not in (LIST,):
            return ev.call(S.RegionMember, domain, x) if domain.head.builtin is not None else None
        return None
    if domain is S.Complexes:
        return TRUE
    if domain is S.Reals:
        return boolean(real_value(x) is not None)
    if domain is S.Integers:
        return boolean(type(x) is int) if is_number(x) else FALSE
    if domain is S.Rationals:
        return boolean(type(x) in (int, Fraction)) if is_number(x) else FALSE
    if domain is S.Primes:
        return ev.call(S.PrimeQ, x)
    bounds = {S.PositiveIntegers: 1, S.NonNegativeIntegers: 0}
    if domain in bounds:
        return boolean(type(x) is int and x >= bounds[domain])
    if domain in (S.PositiveReals, S.NegativeReals, S.NonNegativeReals):
        s = certain_sign(x)
        return boolean({S.PositiveReals: s == 1, S.NegativeReals: s == -1, S.NonNegativeReals: s in (0, 1)}[domain])
    return None


@builtin("NotElement", arity=2)
def not_element(ev: Evaluator, args: tuple) -> Any:
    r = ev.call(S.Element, *args)
    return boolean(r is FALSE) if r in (TRUE, FALSE) else None


@builtin("Between", arity=(1, 2), operator="prepend")
def between(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    x, (low, high) = args[0], args[1].args if type(args[1]) is Expr and len(args[1].args) == 2 else (None, None)
    if low is None:
        return None
    return ev.call(S.LessEqual, low, x, high)
