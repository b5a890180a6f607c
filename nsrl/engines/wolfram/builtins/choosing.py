"""Select, Cases, Position, Count and other choices by test or pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.builtins.functional import heads_option
from nsrl.engines.wolfram.builtins.lists import elements, not_list
from nsrl.engines.wolfram.expr import FALSE, LIST, RULE, TRUE, Expr, S, boolean, is_list, lst, mk
from nsrl.engines.wolfram.judged import unlike
from nsrl.engines.wolfram.parts import level_range, walk
from nsrl.engines.wolfram.pattern import head_of, matches
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association


# -- choosing ----------------------------------------------------------------------------------------------------------
@builtin("Select", arity=(1, 3), operator="prepend")
def select(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, f = args[0], args[1]
    if type(e) is not Expr:
        return not_list(ev, "Select", args)
    most = args[2] if len(args) > 2 and type(args[2]) is int else 10**9
    assoc = is_assoc(e)
    out = []
    for a in e.args:
        if len(out) >= most:
            break
        if ev.call(f, a.args[1] if assoc else a) is TRUE:
            out.append(a)
    return Expr(e.head, tuple(out))


@builtin("SelectFirst", "HoldRest Protected", arity=(1, 3), operator="prepend")
def select_first(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    items = elements(args[0])
    if items is None:
        return not_list(ev, "SelectFirst", args)
    f = ev.eval(args[1])
    for a in items:
        if ev.call(f, a) is TRUE:
            return a
    return args[2] if len(args) > 2 else mk(S.Missing, "NotFound")


@builtin("Pick", arity=(2, 3))
def pick(ev: Evaluator, args: tuple) -> Any:
    e, sel = args[0], args[1]
    p = args[2] if len(args) > 2 else TRUE
    if type(e) is not Expr or type(sel) is not Expr or len(e.args) != len(sel.args):
        return None

    def go(x: Any, s: Any) -> Any:
        out = []
        for a, b in zip(x.args, s.args):
            if matches(ev, b, p):
                out.append(a)
            elif type(a) is Expr and type(b) is Expr and len(a.args) == len(b.args) and b.args:
                out.append(go(a, b))
        return Expr(x.head, tuple(out))

    return go(e, sel)


def _cases_args(ev: Evaluator, args: tuple) -> tuple[Any, Any, tuple[int, int], int, bool] | None:
    args, heads = heads_option(args)
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    n = args[3] if len(args) > 3 and type(args[3]) is int else 10**9
    return None if levels is None else (args[0], args[1], levels, n, bool(heads))


@builtin("Cases", arity=(1, 5), operator="prepend", options="Heads")
def cases(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    spec = _cases_args(ev, args)
    if spec is None or type(spec[0]) is not Expr:
        return lst(()) if spec is not None else None
    e, p, levels, most, heads = spec
    rhs = None
    if type(p) is Expr and p.head in (RULE, S.RuleDelayed) and len(p.args) == 2:
        p, rhs = p.args
    m = ev.matcher(p)
    out: list[Any] = []
    for _, x in walk(e, *levels, heads=heads):
        if len(out) >= most:
            break
        if rhs is None:
            if m(ev, x, {}, _yes):
                out.append(x)
        else:
            r = ev._try_rule(m, x, rhs, {})
            if r is not None:
                out.append(ev.eval(r))
    return lst(out)


def _yes(b: dict) -> bool:
    return True


@builtin("FirstCase", "HoldRest Protected", arity=(1, 4), operator="prepend")
def first_case(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    found = ev.call(S.Cases, args[0], ev.eval(args[1]), ev.eval(args[3]) if len(args) > 3 else lst((1,)), 1)
    if is_list(found) and found.args:
        return found.args[0]
    return args[2] if len(args) > 2 else mk(S.Missing, "NotFound")


@builtin("DeleteCases", arity=(1, 4), operator="prepend")
def delete_cases(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    e, p = args[0], args[1]
    m = ev.matcher(p)
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    most = args[3] if len(args) > 3 and type(args[3]) is int else 10**9
    if levels is None:
        return None
    gone = 0

    def go(x: Any, level: int) -> Any:
        nonlocal gone
        if type(x) is not Expr or level > levels[1]:
            return x
        out = []
        for a in x.args:
            v = a.args[1] if is_assoc(x) else a
            if level >= levels[0] and gone < most and m(ev, v, {}, _yes):
                gone += 1
                continue
            out.append(go(a, level + 1))
        return Expr(x.head, tuple(out))

    return go(e, 1)


@builtin("DeleteMissing", arity=1)
def delete_missing(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.DeleteCases, args[0], mk(S.Missing, mk(S.BlankNullSequence)))


@builtin("Count", arity=(1, 3), operator="prepend")
def count(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, p = args[0], args[1]
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    if levels is None:
        return None
    m = ev.matcher(p)
    if levels == (1, 1):
        return sum(m(ev, x, {}, _yes) for x in elements(e) or ())
    return sum(m(ev, x, {}, _yes) for _, x in walk(e, *levels))


@builtin("Position", arity=(1, 5), operator="prepend", options="Heads")
def position(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    args, heads = heads_option(args)
    levels = level_range(args[2]) if len(args) > 2 else (0, 10**9)
    most = args[3] if len(args) > 3 and type(args[3]) is int else 10**9
    if levels is None:
        return None
    m = ev.matcher(args[1])
    out = []
    for at, x in walk(args[0], *levels, heads=heads is not False):
        if len(out) >= most:
            break
        if m(ev, x, {}, _yes):
            out.append(lst(at))
    return lst(out)


@builtin("FirstPosition", "HoldRest Protected", arity=(1, 4), operator="prepend")
def first_position(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    found = ev.call(S.Position, args[0], ev.eval(args[1]), ev.eval(args[3]) if len(args) > 3 else lst((0, S.Infinity)))
    if is_list(found) and found.args:
        return found.args[0]
    return args[2] if len(args) > 2 else mk(S.Missing, "NotFound")


@builtin("MatchQ", arity=(1, 2), operator="prepend")
def match_q(ev: Evaluator, args: tuple) -> Any:
    return boolean(matches(ev, args[0], args[1])) if len(args) == 2 else None


@builtin("MemberQ", arity=(1, 3), operator="prepend")
def member_q(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    m = ev.matcher(args[1])
    if len(args) == 3:
        levels = level_range(args[2])
        return None if levels is None else boolean(any(m(ev, x, {}, _yes) for _, x in walk(args[0], *levels)))
    items = elements(args[0]) or ()
    if any(m(ev, x, {}, _yes) for x in items):
        return TRUE
    for x in items[:1]:
        unlike(ev, x, args[1])
    return FALSE


@builtin("FreeQ", arity=(1, 2), operator="prepend")
def free_q(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    m = ev.matcher(args[1])
    return boolean(not any(m(ev, x, {}, _yes) for _, x in walk(args[0], 0, 10**9, heads=True)))


def _quantifier(name: str, decide: Any) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def quantifier(ev: Evaluator, args: tuple) -> Any:
        if len(args) == 1:
            if name in ("AllTrue", "AnyTrue", "NoneTrue"):
                ev.message(name, "argtu", f"{name} called with 1 argument; 2 arguments are expected.")
            return None
        items = elements(args[0])
        if items is None:
            return None
        return decide(ev, [mk(args[1], a) for a in items])


def _all_true(ev: Evaluator, tests: list[Any]) -> Any:
    return ev.eval(Expr(S.And, tuple(tests)))


def _any_true(ev: Evaluator, tests: list[Any]) -> Any:
    return ev.eval(Expr(S.Or, tuple(tests)))


_quantifier("AllTrue", _all_true)
_quantifier("AnyTrue", _any_true)
_quantifier("NoneTrue", lambda ev, tests: ev.eval(mk(S.Not, _any_true(ev, tests))))


@builtin("Level", arity=(2, 4), options="Heads")
def level(ev: Evaluator, args: tuple) -> Any:
    args, heads = heads_option(args)
    levels = level_range(args[1])
    if levels is None:
        return None
    found = [x for _, x in walk(args[0], *levels, heads=bool(heads))]
    return Expr(args[2] if len(args) > 2 else LIST, tuple(found))


@builtin("Head", arity=1)
def head(ev: Evaluator, args: tuple) -> Any:
    return head_of(args[0])
