"""Builtins written in Wolfram Language itself: rules/*.wl, by subject, tried from top to bottom.

A rule starts at the left margin and may go on in indented lines; a condition is written `rhs /; test`; `SetAttributes`
lines name attributes. A rule of a name that has a handler goes before that handler; a name of no table gets a row here.
The files are read when the tables are loaded, a name's rules are parsed when a program first calls it. Lower-case names
in a rule are its own: they never meet a program's symbols.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.definitions import Defs
from nsrl.engines.wolfram.evaluator import Evaluator
from nsrl.engines.wolfram.expr import Expr, Symbol, system
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.pattern import compile_pattern
from nsrl.engines.wolfram.table import PROTECTED, Builtin, flags

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

RULES = Path(__file__).parent / "rules"
_STATEMENT = re.compile(r"^(\w+)\[.*\n(?:[ \t].*\n)*", re.MULTILINE)
_NAMES = re.compile(r"\w+")
_OPTION = re.compile(r"\b([A-Z]\w+) ->")  # on the left of a rule: an option that it reads


@cache
def sources() -> tuple[dict[str, list[str]], dict[str, int]]:
    """The rules of every name as text, and its attributes. Raises ValueError for a name in two files."""
    rules: dict[str, list[str]] = {}
    attributes: dict[str, int] = {}
    for path in sorted(RULES.glob("*.wl")):
        here: dict[str, list[str]] = {}
        for found in _STATEMENT.finditer(path.read_text(encoding="utf-8")):
            if found[1] == "SetAttributes":
                names, _, what = found[0].rpartition(",") if "}, {" not in found[0] else found[0].partition("}, {")
                bits = flags(" ".join(_NAMES.findall(what)))
                attributes |= dict.fromkeys(_NAMES.findall(names)[1:], bits)
            else:
                here.setdefault(found[1], []).append(" ".join(map(str.strip, found[0].splitlines())))
        if twice := here.keys() & rules.keys():
            raise ValueError(f"{path.name} goes on with the rules of {sorted(twice)} in another file")
        rules |= here
    return rules, attributes


def private(e: Any) -> Any:
    """e with the rule's own lower-case names made unreachable for a program."""
    if type(e) is Symbol:
        return system(e.name + "\x02") if e.name[0].islower() else e
    if type(e) is Expr:
        return Expr(private(e.head), tuple(private(a) for a in e.args))
    return e


_compiled: dict[str, Defs] = {}


def _definitions(name: str) -> Defs:
    own = Evaluator()  # the program that comes first must neither pay for the rules nor colour them
    defs = Defs()
    for line in sources()[0][name]:
        (statement,) = parse(line)
        lhs, rhs = private(statement).args
        pattern = Expr(lhs.head, tuple(own.eval(a) for a in lhs.args))  # 1/x is written, x^-1 is met
        defs.rules.append(((), pattern, rhs, compile_pattern(pattern, own)[0]))
    return defs


def apply_rules(ev: Evaluator, name: str, args: tuple) -> Any:
    """The value the first matching rule of `name` gives for these arguments, or None."""
    defs = _compiled.get(name)
    if defs is None:
        defs = _compiled[name] = _definitions(name)
    lost, judged = ev.lost, ev.judged
    found = ev._apply_defs(defs, Expr(system(name), args))
    ev.lost, ev.judged = lost, judged  # a rule's own condition may look at a call that has no value
    return found


def attach(merged: dict[str, Builtin]) -> None:
    """Put the rules before the handlers of `merged`, and add the names that have none."""
    rules, attributes = sources()
    for name in rules:
        row = merged.get(name)
        if row is None:
            read = frozenset(o for r in rules[name] for o in _OPTION.findall(r.partition(":=")[0]))
            row = Builtin(name, attributes.get(name, 0) | PROTECTED, _handler(name, None), options=read)
            merged[name] = row
        else:
            row.handler = _handler(name, row)
            row.least, row.most = 0, None


def _handler(name: str, row: Builtin | None) -> Any:
    handler, least, most = (row.handler, row.least, row.most) if row else (None, 0, None)

    def both(ev: Evaluator, args: tuple) -> Any:
        r = apply_rules(ev, name, args)
        if r is not None or handler is None:
            return r
        if len(args) < least or (most is not None and len(args) > most):
            ev._arity(name, len(args), least, most)
            return None
        return handler(ev, args)

    return both
