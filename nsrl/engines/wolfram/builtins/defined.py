"""Builtins written in Wolfram Language itself: one rule per line, tried from top to bottom.

A rule of a name that has a handler elsewhere goes before that handler; names of no other table get a row here. The
rules of a name are parsed when a program first calls it, so that their number costs nothing at start. Lower-case
names in a rule are its own: they never meet a program's symbols. Knows nothing of SymPy.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from nsrl.engines.wolfram.builtins.rules_text import ATTRIBUTES, RULES
from nsrl.engines.wolfram.evaluator import Defs, Evaluator
from nsrl.engines.wolfram.expr import Expr, Symbol, system
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.pattern import compile_pattern
from nsrl.engines.wolfram.table import PROTECTED, Builtin, flags

TABLE: dict[str, Builtin] = {}
_NAME = re.compile(r"\s*(\w+)\[")


def _sources() -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for line in RULES.splitlines():
        found = _NAME.match(line)
        if found:
            out.setdefault(found[1], []).append(line)
    return out


_SOURCES = _sources()


def private(e: Any) -> Any:
    """e with the rule's own lower-case names made unreachable for a program."""
    if type(e) is Symbol:
        return system(e.name + "\x02") if e.name[0].islower() else e
    if type(e) is Expr:
        return Expr(private(e.head), tuple(private(a) for a in e.args))
    return e


@cache
def _rules(name: str) -> list[tuple[Expr, Any]]:
    out = []
    for line in _SOURCES[name]:
        (statement,) = parse(line)
        lhs, rhs = private(statement).args
        out.append((lhs, rhs))
    return out


_compiled: dict[str, Defs] = {}


def apply_rules(ev: Any, name: str, args: tuple) -> Any:
    """The value the first matching rule of `name` gives for these arguments, or None."""
    defs = _compiled.get(name)
    if defs is None:
        own = Evaluator()  # the program that comes first must neither pay for the rules nor colour them
        defs = Defs()
        for lhs, rhs in _rules(name):
            pattern = Expr(lhs.head, tuple(own.eval(a) for a in lhs.args))  # 1/x is written, x^-1 is met
            defs.rules.append(((), pattern, rhs, compile_pattern(pattern, own)[0]))
        _compiled[name] = defs
    return ev._apply_defs(defs, Expr(system(name), args))


def attach(merged: dict[str, Builtin]) -> None:
    """Put the rules before the handlers of `merged`, and add the names that have none."""
    for name in _SOURCES:
        row = merged.get(name)
        if row is None:
            row = merged[name] = TABLE[name] = Builtin(name, flags(ATTRIBUTES.get(name, "")) | PROTECTED, None)
            row.handler = _only(name)
        else:
            row.handler = _before(name, row.handler, row.least, row.most)
            row.least, row.most = 0, None


def _only(name: str) -> Any:
    return lambda ev, args: apply_rules(ev, name, args)


def _before(name: str, handler: Any, least: int, most: int | None) -> Any:
    def both(ev: Any, args: tuple) -> Any:
        r = apply_rules(ev, name, args)
        if r is not None or handler is None:
            return r
        if len(args) < least or (most is not None and len(args) > most):
            ev._arity(name, len(args), least, most)
            return None
        return handler(ev, args)

    return both
