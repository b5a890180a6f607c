"""Associations as trees: Association[key -> value, ...] with unique keys and a cached index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nsrl.engines.wolfram.expr import LIST, RULE, Expr, S, key

_ASSOCIATION = S.Association


def is_assoc(e: Any) -> bool:
    """Whether e is a well-formed association."""
    return type(e) is Expr and e.head is _ASSOCIATION and all(is_rule(a) for a in e.args)


def is_rule(e: Any) -> bool:
    """Whether e is a -> b or a :> b."""
    return type(e) is Expr and (e.head is RULE or e.head is S.RuleDelayed) and len(e.args) == 2


def pairs(a: Expr) -> list[tuple[Any, Any]]:
    """(key, value) in order."""
    return [r.args for r in a.args]


def from_pairs(items: Iterable[tuple[Any, Any]]) -> Expr:
    """An association; a later pair replaces the value of an earlier one with the same key, in its place."""
    table: dict[Any, Expr] = {}
    for k, v in items:
        table[key(k)] = Expr(RULE, (k, v))
    return Expr(_ASSOCIATION, tuple(table.values()))


def from_rules(rules: Iterable[Expr]) -> Expr:
    """The same from rules (RuleDelayed stays delayed)."""
    table: dict[Any, Expr] = {}
    for r in rules:
        table[key(r.args[0])] = r
    return Expr(_ASSOCIATION, tuple(table.values()))


def index(a: Expr) -> dict[Any, Any]:
    """key -> value, cached on the tree."""
    table = a.index
    if table is None:
        table = a.index = {key(r.args[0]): r.args[1] for r in a.args}
    return table


def lookup(a: Expr, k: Any, default: Any = None) -> Any:
    """The value under k, or default."""
    return index(a).get(key(k), default)


def values_of(e: Any) -> tuple | None:
    """The elements functions such as Map or Total see: list elements, association values, arguments of any head."""
    if type(e) is not Expr:
        return None
    if e.head is _ASSOCIATION and is_assoc(e):
        return tuple([r.args[1] for r in e.args])
    return e.args


def with_values(e: Expr, values: Iterable[Any]) -> Expr:
    """e with its elements replaced (an association keeps its keys)."""
    if e.head is _ASSOCIATION and is_assoc(e):
        return Expr(_ASSOCIATION, tuple([Expr(RULE, (r.args[0], v)) for r, v in zip(e.args, values)]))
    return Expr(e.head, tuple(values))


def missing(k: Any) -> Expr:
    """Missing[KeyAbsent, k]"""
    return Expr(S.Missing, ("KeyAbsent", k))


def rules_of(e: Any) -> list[Expr] | None:
    """The rules of an association, a list of rules (nested lists too) or one rule; None for anything else."""
    if is_rule(e):
        return [e]
    if type(e) is Expr and e.head in (LIST, _ASSOCIATION):
        out: list[Expr] = []
        for a in e.args:
            inner = rules_of(a)
            if inner is None:
                return None
            out += inner
        return out
    return None
