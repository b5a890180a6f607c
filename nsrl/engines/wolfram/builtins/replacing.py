"""ReplaceAll and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import from_rules, is_assoc, rules_of
from nsrl.engines.wolfram.expr import Expr, S, is_list, lst, same
from nsrl.engines.wolfram.parts import level_range, map_levels
from nsrl.engines.wolfram.pattern import match, with_rest
from nsrl.engines.wolfram.subst import bind
from nsrl.engines.wolfram.table import FLAT, ORDERLESS, Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association


# -- replacement -------------------------------------------------------------------------------------------------------
def compiled_rules(ev: Evaluator, spec: Any) -> list[tuple[Any, Any, Any]] | None:
    """(pattern, matcher, right side) of rules, a list of rules or an association; None for anything else."""
    rules = rules_of(spec)
    if rules is None:
        return None
    return [(r.args[0], ev.matcher(r.args[0]), r.args[1]) for r in rules]


def _rewrite(ev: Evaluator, e: Any, rules: list[tuple[Any, Any, Any]]) -> Any:
    """The first rule's result on e itself, or None."""
    for p, m, rhs in rules:
        ev.steps += 1
        r = ev._try_rule(m, e, rhs, {})
        if r is not None:
            return r
        if (
            type(p) is Expr
            and type(e) is Expr
            and e.head is p.head
            and len(e.args) > len(p.args)
            and e.head.__class__ is S.Plus.__class__
        ):
            attrs = ev.attributes(e.head)
            if attrs & FLAT and attrs & ORDERLESS:
                wide = with_rest(p)
                b = match(ev, e, wide)
                if b is not None:
                    rest = b.popitem() if list(b)[-1].name == "rest$$" else (None, b.pop(wide.args[-1].args[0]))
                    return Expr(e.head, (bind(rhs, b), *(rest[1].args if type(rest[1]) is Expr else ())))
    return None


def replace_all(ev: Evaluator, e: Any, rules: list[tuple[Any, Any, Any]]) -> Any:
    """ReplaceAll: each largest matching subtree once; e itself where nothing matched."""
    r = _rewrite(ev, e, rules)
    if r is not None:
        return r
    if type(e) is not Expr or e.head is S.Complex:
        return e
    ev.step()
    if e.head is _ASSOC and is_assoc(e):
        return from_rules([Expr(x.head, (x.args[0], replace_all(ev, x.args[1], rules))) for x in e.args])
    new_head = replace_all(ev, e.head, rules)
    new = [replace_all(ev, a, rules) for a in e.args]
    if new_head is e.head and all(a is b for a, b in zip(new, e.args)):
        return e
    from nsrl.engines.wolfram.subst import rebuild

    return rebuild(e, new_head, new)


def _rule_lists(ev: Evaluator, name: str, e: Any, spec: Any, one: Any) -> Any:
    if is_list(spec) and spec.args and all(is_list(a) for a in spec.args):
        each = [_rule_lists(ev, name, e, a, one) for a in spec.args]
        return None if None in each else lst(each)
    rules = compiled_rules(ev, spec)
    if rules is None:
        shown = ev.text(spec if is_list(spec) else lst((spec,)))
        ev.message(
            name,
            "reps",
            f"{shown} is neither a list of replacement rules nor a valid dispatch table, and so cannot be used for "
            f"replacing.",
        )
        return None
    return one(e, rules)


@builtin("ReplaceAll", arity=(1, 2), operator="prepend")
def replace_all_(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    return _rule_lists(ev, "ReplaceAll", args[0], args[1], lambda e, rules: ev.eval(replace_all(ev, e, rules)))


@builtin("ReplaceRepeated", arity=(1, 3), operator="prepend")
def replace_repeated(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None

    def run(e: Any, rules: list) -> Any:
        for _ in range(65536):
            ev.step(8)
            new = ev.eval(replace_all(ev, e, rules))
            if same(new, e):
                return new
            e = new
        return e

    return _rule_lists(ev, "ReplaceRepeated", args[0], args[1], run)


@builtin("Replace", arity=(1, 3), operator="prepend")
def replace(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    levels = level_range(args[2]) if len(args) > 2 else (0, 0)
    if levels is None:
        return None

    def one(e: Any, rules: list) -> Any:
        def f(x: Any) -> Any:
            r = _rewrite(ev, x, rules)
            return x if r is None else r

        return ev.eval(map_levels(e, f, *levels))

    return _rule_lists(ev, "Replace", args[0], args[1], one)


@builtin("ReplaceList", arity=2)
def replace_list(ev: Evaluator, args: tuple) -> Any:
    rules = compiled_rules(ev, args[1])
    if rules is None:
        return None
    out: list[Any] = []
    for _, m, rhs in rules:

        def collect(b: dict, rhs: Any = rhs) -> bool:
            out.append(ev.eval(bind(rhs, dict(b))))
            return False

        m(ev, args[0], {}, collect)
    return lst(out)
