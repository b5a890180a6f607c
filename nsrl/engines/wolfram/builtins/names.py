"""Symbols by name: their contexts, options, definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_rule, rules_of
from nsrl.engines.wolfram.expr import Expr, S, Symbol, boolean, is_list, lst, mk, rule, sym
from nsrl.engines.wolfram.pattern import matches
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("$RecursionLimit", arity=-1)
def recursion_limit(ev: Evaluator, args: tuple) -> Any:
    return 1024


@builtin("$IterationLimit", arity=-1)
def iteration_limit(ev: Evaluator, args: tuple) -> Any:
    return 4096


@builtin("NameQ", arity=1)
def name_q(ev: Evaluator, args: tuple) -> Any:
    return (
        boolean(sym(args[0]).builtin is not None or sym(args[0]) in ev.own or sym(args[0]) in ev.down)
        if type(args[0]) is str
        else None
    )


@builtin("SetOptions", arity=(2, None), options="*")
def set_options(ev: Evaluator, args: tuple) -> Any:
    if type(args[0]) is Symbol and args[0].builtin is not None and args[0].builtin.answers:
        ev.lost = ev.lost or args[0]  # what it gives from here on is not known
        return None
    table_ = ev.options.setdefault(args[0], {})
    for r in args[1:]:
        for one in rules_of(r) or ():
            table_[one.args[0]] = one.args[1]
    ev.changed()
    return lst(rule(k, v) for k, v in table_.items())


@builtin("FilterRules", arity=2, takes="list")
def filter_rules(ev: Evaluator, args: tuple) -> Any:
    wanted = args[1].args if is_list(args[1]) else (args[1],)
    wanted = tuple(w.args[0] if is_rule(w) else w for w in wanted)
    return lst(r for r in args[0].args if is_rule(r) and any(matches(ev, r.args[0], w) for w in wanted))


@builtin("OptionValue", arity=(1, 3))
def option_value(ev: Evaluator, args: tuple) -> Any:
    if len(args) < 2:
        return None
    name = args[-1]
    if is_list(name):
        return lst(Expr(S.OptionValue, (*args[:-1], n)) for n in name.args)
    meant = {name, sym(name)} if type(name) is str else {name, name.name} if type(name) is Symbol else {name}
    for r in (rules_of(args[1]) or ()) if len(args) == 3 else ():
        if r.args[0] in meant:
            return r.args[1]
    if type(args[0]) is Expr:
        return next((r.args[1] for r in rules_of(args[0]) or () if r.args[0] in meant), name)
    known = ev.options.get(args[0], {})
    return next((known[n] for n in meant if n in known), name)


@builtin("Unique", arity=(0, 1))
def unique(ev: Evaluator, args: tuple) -> Any:
    base = args[0] if args else "$"
    return ev.new_symbol(base.name if type(base) is Symbol else str(base))


@builtin("Options", "HoldFirst", arity=(1, 2))
def options(ev: Evaluator, args: tuple) -> Any:
    known = ev.options.get(args[0], {}) if type(args[0]) is Symbol else {}
    return lst(mk(S.Rule, k, v) for k, v in known.items())


@builtin("DownValues OwnValues", "HoldAll", arity=1)
def down_values(ev: Evaluator, args: tuple) -> Any:
    defs = ev.down.get(args[0])
    if defs is None:
        return lst(())
    rows = [*defs.literal.items(), *((r[1], r[2]) for r in defs.rules)]
    return lst(mk(S.RuleDelayed, mk(S.HoldPattern, k), v) for k, v in rows)


TABLE["OwnValues"].handler = lambda ev, args: lst(
    mk(S.RuleDelayed, mk(S.HoldPattern, args[0]), ev.own[args[0]]) for _ in range(args[0] in ev.own)
)


@builtin("Symbol", arity=1)
def symbol(ev: Evaluator, args: tuple) -> Any:
    from nsrl.engines.wolfram.expr import sym

    return sym(args[0]) if type(args[0]) is str else None


@builtin("SymbolName", arity=1)
def symbol_name(ev: Evaluator, args: tuple) -> Any:
    return getattr(args[0], "name", None)


@builtin("Context", "HoldFirst", arity=(0, 1))
def context(ev: Evaluator, args: tuple) -> Any:
    return "System`" if args and getattr(args[0], "builtin", None) else "Global`"
