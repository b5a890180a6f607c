"""Assignment, scoping, holding, and the symbols of patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.errors import (
    ReturnFlow,
)
from nsrl.engines.wolfram.expr import FAILED, FALSE, LIST, NULL, TRUE, Expr, S, Symbol, lst, mk
from nsrl.engines.wolfram.printer import text
from nsrl.engines.wolfram.subst import replace_symbols
from nsrl.engines.wolfram.table import ATTRIBUTES, PROTECTED, Builtin, flag_names, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

symbols(TABLE, "Rule RuleDelayed Sequence", "SequenceHold Protected")
TABLE["RuleDelayed"].attrs |= ATTRIBUTES["HoldRest"]
TABLE["Sequence"].attrs = PROTECTED
symbols(TABLE, "Hold HoldForm HoldPattern Function", "HoldAll Protected")
symbols(TABLE, "HoldComplete Unevaluated", "HoldAllComplete Protected")
symbols(TABLE, "True False Null None All Automatic Missing $Failed $Aborted Indeterminate ComplexInfinity Infinite")
symbols(
    TABLE, "Blank BlankSequence BlankNullSequence Alternatives Repeated RepeatedNull Except Longest Shortest Verbatim"
)
symbols(TABLE, "Pattern", "HoldFirst Protected")
symbols(
    TABLE, "Optional PatternSequence OptionsPattern KeyValuePattern Slot SlotSequence Up Down Span String Integer Real"
)
symbols(TABLE, "Condition", "HoldAll Protected")
symbols(TABLE, "PatternTest", "HoldRest Protected")
symbols(TABLE, "Heads DirectedInfinity TwoWayRule UndirectedEdge DirectedEdge Overflow")
symbols(TABLE, "MessageName", "HoldFirst ReadProtected Protected")
symbols(TABLE, "Infinity", "ReadProtected Protected")


# -- assignment ----------------------------------------------------------------------------------------------------
def _contains_return(e: Any) -> bool:
    if type(e) is Expr:
        return e.head is S.Return or _contains_return(e.head) or any(map(_contains_return, e.args))
    return False


def _scoped(rhs: Any) -> Any:
    """A definition's body that may Return is marked, so that the call knows where Return stops."""
    if not _contains_return(rhs):
        return rhs
    if type(rhs) is Expr and rhs.head is S.Condition and len(rhs.args) == 2:
        return mk(S.Condition, mk(S._ReturnScope, rhs.args[0]), rhs.args[1])
    return mk(S._ReturnScope, rhs)


@builtin("$ReturnScope", "HoldAll", arity=1)
def return_scope(ev: Evaluator, args: tuple) -> Any:
    try:
        return ev.eval(args[0])
    except ReturnFlow as r:
        return r.value


def _strip(lhs: Any) -> Any:
    while type(lhs) is Expr and lhs.head in (S.HoldPattern, S.Condition) and lhs.args:
        lhs = lhs.args[0]
    return lhs


def _evaluate_lhs(ev: Evaluator, lhs: Any) -> Any:
    """The arguments of a left-hand side are evaluated (f[1 + 1] = ...), the whole is not."""
    if type(lhs) is not Expr or lhs.head in (S.HoldPattern, S.Condition):
        return lhs
    attrs = ev.attributes(lhs.head) if type(lhs.head) is Symbol else 0
    head = lhs.head if type(lhs.head) is Symbol else _evaluate_lhs(ev, lhs.head)
    if type(head) is Symbol and head in ev.own and head.builtin is None:
        value = ev.own[head]
        head = value if type(value) is Symbol else head
    return Expr(head, ev._arguments(lhs.args, attrs))


def _assign(ev: Evaluator, lhs: Any, rhs: Any, delayed: bool) -> bool:
    """Whether the definition was made; otherwise a message says why not."""
    t = type(lhs)
    head_name = "SetDelayed" if delayed else "Set"
    if t is Symbol:
        if ev.attributes(lhs) & PROTECTED:
            ev.message(head_name, "wrsym", f"Symbol {lhs.name} is Protected.")
            return False
        ev.own[lhs] = _scoped(rhs) if delayed else rhs
        ev.changed()
        return True
    if t is not Expr:
        ev.message(head_name, "setraw", f"Cannot assign to raw object {text(lhs, quotes=True)}.")
        return False
    if lhs.head is LIST:
        return _assign_list(ev, lhs, rhs, delayed, head_name)
    if lhs.head is S.Part:
        return _assign_part(ev, lhs, rhs)
    if lhs.head is S.MessageName and len(lhs.args) == 2 and type(lhs.args[0]) is Symbol:
        ev.texts[lhs.args[0], lhs.args[1]] = rhs
        return True
    if lhs.head is S.Options and len(lhs.args) == 1 and type(lhs.args[0]) is Symbol:
        return _assign_options(ev, lhs.args[0], rhs)
    if lhs.head is S.Attributes and len(lhs.args) == 1 and type(lhs.args[0]) is Symbol:
        names = rhs.args if type(rhs) is Expr and rhs.head is LIST else (rhs,)
        ev.attrs[lhs.args[0]] = _bits(names)
        ev.changed()
        return True
    # lhs /; test := rhs is lhs := rhs /; test
    while type(lhs) is Expr and lhs.head is S.Condition and len(lhs.args) == 2:
        lhs, rhs = lhs.args[0], mk(S.Condition, rhs, lhs.args[1])
    core = _strip(lhs)
    if type(core) is Symbol:
        return _assign(ev, core, rhs, delayed)
    lhs = _evaluate_lhs(ev, lhs)
    core = _strip(lhs)
    if type(core) is not Expr:
        ev.message(head_name, "setraw", f"Cannot assign to raw object {text(core, quotes=True)}.")
        return False
    tag = core.head
    if type(tag) is Expr and tag.head is S.Association:
        return False
    if type(tag) is Symbol and _assign_key(ev, core, rhs):
        return True
    depth_one = type(tag) is Symbol
    while type(tag) is Expr:
        tag = tag.head
    if type(tag) is not Symbol:
        ev.message(head_name, "write", f"Tag {text(tag)} in {text(core)} is Protected.")
        return False
    if ev.attributes(tag) & PROTECTED:
        ev.message(head_name, "write", f"Tag {tag.name} in {text(core)} is Protected.")
        return False
    ev.define(ev.down if depth_one else ev.sub, tag, lhs, _scoped(rhs) if delayed else rhs)
    return True


def _assign_list(ev: Evaluator, lhs: Expr, rhs: Any, delayed: bool, head_name: str) -> bool:
    if delayed:
        ev.message("SetDelayed", "write", f"Tag List in {text(lhs)} is Protected.")
        return False
    if type(rhs) is not Expr or rhs.head is not LIST or len(rhs.args) != len(lhs.args):
        ev.message(head_name, "shape", f"Lists {text(lhs)} and {text(rhs)} are not the same shape.")
        return False
    done = [_assign(ev, a, v, delayed) for a, v in zip(lhs.args, rhs.args)]
    return all(done)


def _assign_key(ev: Evaluator, lhs: Expr, rhs: Any) -> bool:
    """assoc[key] = value, where the symbol holds an association."""
    value = ev.own.get(lhs.head)
    if type(value) is not Expr or value.head is not S.Association or len(lhs.args) != 1:
        return False
    from nsrl.engines.wolfram.assoc import from_pairs, pairs

    table = pairs(value)
    k = lhs.args[0].args[0] if type(lhs.args[0]) is Expr and lhs.args[0].head is S.Key else lhs.args[0]
    ev.own[lhs.head] = from_pairs([*table, (k, rhs)])
    ev.changed()
    return True


def _assign_part(ev: Evaluator, lhs: Expr, rhs: Any) -> bool:
    from nsrl.engines.wolfram.parts import set_part

    name = lhs.args[0] if lhs.args else lhs
    if type(name) is not Symbol:
        ev.message("Set", "setps", f"{ev.text(name)} in the part assignment is not a symbol.")
        return False
    if name not in ev.own:
        ev.message("Set", "noval", f"Symbol {name.name} in part assignment does not have an immediate value.")
        return False
    changed = set_part(ev, ev.eval(name), [ev.eval(a) for a in lhs.args[1:]], rhs)
    if changed is None:
        return False
    ev.own[name] = changed
    ev.changed()
    return True


def _assign_options(ev: Evaluator, name: Symbol, rhs: Any) -> bool:
    rules = rhs.args if type(rhs) is Expr and rhs.head is LIST else (rhs,)
    ev.options[name] = {r.args[0]: r.args[1] for r in rules if type(r) is Expr and len(r.args) == 2}
    return True


@builtin("Set", "HoldFirst SequenceHold", arity=(2, None))
def set_(ev: Evaluator, args: tuple) -> Any:
    _assign(ev, args[0], args[1], False)
    return args[1]


@builtin("SetDelayed", "HoldAll SequenceHold", arity=(2, None))
def set_delayed(ev: Evaluator, args: tuple) -> Any:
    return NULL if _assign(ev, args[0], args[1], True) else FAILED


@builtin("UpSet UpSetDelayed", "HoldFirst SequenceHold", arity=2)
def up_set(ev: Evaluator, args: tuple) -> Any:
    lhs = args[0]
    for a in lhs.args if type(lhs) is Expr else ():
        while type(a) is Expr:
            a = a.head
        if type(a) is Symbol and not ev.attributes(a) & PROTECTED:
            ev.define(ev.up, a, lhs, args[1])
    return args[1]


@builtin("TagSet TagSetDelayed", "HoldAll SequenceHold", arity=3)
def tag_set(ev: Evaluator, args: tuple) -> Any:
    tag, lhs, rhs = args
    if type(tag) is not Symbol or type(lhs) is not Expr:
        return None
    if lhs.head is tag:
        ev.define(ev.down, tag, lhs, rhs)
    else:
        ev.define(ev.up, tag, lhs, rhs)
    return NULL


def _forget(ev: Evaluator, name: Symbol) -> None:
    for d in (ev.own, ev.down, ev.sub, ev.up):
        d.pop(name, None)
    ev.changed()


@builtin("Unset", "HoldFirst", arity=1)
def unset(ev: Evaluator, args: tuple) -> Any:
    lhs = args[0]
    if type(lhs) is Symbol:
        ev.own.pop(lhs, None)
        ev.changed()
    elif type(lhs) is Expr and type(lhs.head) is Symbol and lhs.head in ev.down:
        defs = ev.down[lhs.head]
        lhs = _evaluate_lhs(ev, lhs)
        defs.literal.pop(lhs, None)
        defs.rules = [r for r in defs.rules if r[1] != lhs]
        ev.changed()
    elif type(lhs) is Expr and type(lhs.head) is Symbol and lhs.head in ev.own:
        return ev.call(S.KeyDropFrom, lhs.head, lhs.args[0])
    return NULL


@builtin("Clear ClearAll Remove", "HoldAll")
def clear(ev: Evaluator, args: tuple) -> Any:
    for a in args:
        if type(a) is Symbol:
            if ev.attributes(a) & PROTECTED:
                ev.message("Clear", "wrsym", f"Symbol {a.name} is Protected.")
            else:
                _forget(ev, a)
                ev.attrs.pop(a, None)
    return NULL


def _bits(names: tuple) -> int:
    out = 0
    for n in names:
        out |= ATTRIBUTES.get(n.name if type(n) is Symbol else str(n), 0)
    return out


def _targets(e: Any) -> tuple:
    return e.args if type(e) is Expr and e.head is LIST else (e,)


@builtin("SetAttributes ClearAttributes", "HoldFirst", arity=2)
def set_attributes(ev: Evaluator, args: tuple) -> Any:
    for s in _targets(args[0]):
        if type(s) is Symbol:
            ev.attrs[s] = ev.attributes(s) | _bits(_targets(args[1]))
    ev.changed()
    return NULL


TABLE["ClearAttributes"] = Builtin("ClearAttributes", TABLE["SetAttributes"].attrs, None, 2, 2)


def _clear_attributes(ev: Evaluator, args: tuple) -> Any:
    for s in _targets(args[0]):
        if type(s) is Symbol:
            ev.attrs[s] = ev.attributes(s) & ~_bits(_targets(args[1]))
    ev.changed()
    return NULL


TABLE["ClearAttributes"].handler = _clear_attributes


@builtin("Attributes", "HoldAll Listable", arity=1)
def attributes(ev: Evaluator, args: tuple) -> Any:
    s = ev.eval(args[0]) if type(args[0]) is str else args[0]
    if type(s) is str:
        from nsrl.engines.wolfram.expr import sym

        s = sym(s)
    if type(s) is not Symbol:
        return None
    from nsrl.engines.wolfram.expr import sym

    return lst(sym(n) for n in flag_names(ev.attributes(s)))


@builtin("Protect Unprotect", "HoldAll")
def protect(ev: Evaluator, args: tuple) -> Any:
    for s in args:
        if type(s) is Symbol and s not in (TRUE, FALSE, NULL):
            ev.attrs[s] = ev.attributes(s) | PROTECTED
    return lst(s.name for s in args if type(s) is Symbol)


def _unprotect(ev: Evaluator, args: tuple) -> Any:
    for s in args:
        if type(s) is Symbol and s not in (TRUE, FALSE, NULL):
            ev.attrs[s] = ev.attributes(s) & ~PROTECTED
    return lst(s.name for s in args if type(s) is Symbol)


TABLE["Unprotect"].handler = _unprotect


def _update(name: str, op: Any, back: bool) -> None:
    @builtin(name, "HoldFirst", arity=1 if back is not None else 2)
    def step(ev: Evaluator, args: tuple) -> Any:
        old = ev.eval(args[0])
        if type(args[0]) is Symbol and args[0] not in ev.own:
            ev.message(
                name, "rvalue", f"{args[0].name} is not a variable with a value, so its value cannot be changed."
            )
            return None
        new = ev.call(S.Plus, old, op)
        return old if back and _assign(ev, args[0], new, False) else (_assign(ev, args[0], new, False), new)[1]


for _name, _amount, _back in (
    ("Increment", 1, True),
    ("Decrement", -1, True),
    ("PreIncrement", 1, False),
    ("PreDecrement", -1, False),
):
    _update(_name, _amount, _back)


def _compound_update(name: str, combine: Any) -> None:
    @builtin(name, "HoldFirst", arity=2)
    def update(ev: Evaluator, args: tuple) -> Any:
        if type(args[0]) is Symbol and args[0] not in ev.own:
            ev.message(
                name, "rvalue", f"{args[0].name} is not a variable with a value, so its value cannot be changed."
            )
            return None
        old = ev.eval(args[0])
        if type(args[0]) is Expr and args[0].head is not S.Part and old == args[0]:
            ev.message(
                name, "rvalue", f"{ev.text(args[0])} is not a variable with a value, so its value cannot be changed."
            )
            return None
        new = ev.eval(combine(old, args[1]))
        _assign(ev, args[0], new, False)
        return new


_compound_update("AddTo", lambda a, b: mk(S.Plus, a, b))
_compound_update("SubtractFrom", lambda a, b: mk(S.Plus, a, mk(S.Times, -1, b)))
_compound_update("TimesBy", lambda a, b: mk(S.Times, a, b))
_compound_update("DivideBy", lambda a, b: mk(S.Times, a, mk(S.Power, b, -1)))
_compound_update("AppendTo", lambda a, b: mk(S.Append, a, b))
_compound_update("PrependTo", lambda a, b: mk(S.Prepend, a, b))
_compound_update("AssociateTo", lambda a, b: mk(S.Append, a, b))
_compound_update("KeyDropFrom", lambda a, b: mk(S.KeyDrop, a, b))


# -- scoping -------------------------------------------------------------------------------------------------------
def _specs(ev: Evaluator, name: str, args: tuple) -> list[tuple[Symbol, Any, bool]] | None:
    """(symbol, initial value, delayed) of each local; None after a message."""
    if len(args) < 2:
        n = len(args)
        if n == 1:
            ev.message(name, "argmu", f"{name} called with 1 argument; 2 or more arguments are expected.")
        else:
            ev.message(name, "argm", f"{name} called with {n} arguments; 2 or more arguments are expected.")
        return None
    if len(args) > 2:
        ev.message(name, "argrx", f"{name} called with {len(args)} arguments; 2 arguments are expected.")
        return None
    spec = args[0]
    if type(spec) is not Expr or spec.head is not LIST:
        ev.message(name, "lvlist", f"Local variable specification {ev.text(spec)} is not a List.")
        return None
    out: list[tuple[Symbol, Any, bool]] = []
    for a in spec.args:
        if type(a) is Symbol:
            out.append((a, None, False))
        elif type(a) is Expr and a.head in (S.Set, S.SetDelayed) and len(a.args) == 2 and type(a.args[0]) is Symbol:
            out.append((a.args[0], a.args[1], a.head is S.SetDelayed))
        else:
            ev.message(
                name,
                "lvsym",
                f"Local variable specification {ev.text(spec)} contains {ev.text(a)}, which is not a symbol or an "
                f"assignment to a symbol.",
            )
            return None
    return out


@builtin("Module", "HoldAll", options="*")
def module(ev: Evaluator, args: tuple) -> Any:
    specs = _specs(ev, "Module", args)
    if specs is None:
        return None
    renamed: dict[Symbol, Any] = {}
    for s, initial, delayed in specs:
        local = ev.new_symbol(s.name)
        if initial is not None:
            ev.own[local] = initial if delayed else ev.eval(initial)
        renamed[s] = local
    if renamed:
        ev.changed()
    body = replace_symbols(args[1], renamed) if renamed else args[1]
    if not _contains_return(body):
        return body
    try:
        return ev.eval(body)
    except ReturnFlow as r:
        return r.value


@builtin("With", "HoldAll", options="*")
def with_(ev: Evaluator, args: tuple) -> Any:
    while len(args) > 2:  # With[{a = 1}, {b = a}, body]
        args = (*args[:-2], mk(S.With, args[-2], args[-1]))
    specs = _specs(ev, "With", args)
    if specs is None:
        return None
    for s, initial, _ in specs:
        if initial is None:
            ev.message(
                "With",
                "lvw",
                f"Local variable specification {ev.text(args[0])} contains {s.name}, which is not an assignment to a "
                f"symbol.",
            )
            return None
    values = {s: initial if delayed else ev.eval(initial) for s, initial, delayed in specs}
    return replace_symbols(args[1], values)


@builtin("Block", "HoldAll", options="*")
def block(ev: Evaluator, args: tuple) -> Any:
    specs = _specs(ev, "Block", args)
    if specs is None:
        return None
    initials = [None if initial is None else initial if delayed else ev.eval(initial) for _, initial, delayed in specs]
    names = [s for s, _, _ in specs]
    tables = (ev.own, ev.down, ev.sub, ev.up, ev.attrs)
    saved = [[t.get(s) for t in tables] for s in names]
    try:
        for s, v in zip(names, initials):
            for t in tables[:4]:
                t.pop(s, None)
            if s.builtin is not None:
                ev.attrs[s] = ev.attributes(s) & ~PROTECTED
            if v is not None:
                ev.own[s] = v
        ev.changed()
        try:
            return ev.eval(args[1])
        except ReturnFlow as r:
            return r.value
    finally:
        for s, old in zip(names, saved):
            for t, v in zip(tables, old):
                if v is None:
                    t.pop(s, None)
                else:
                    t[s] = v
        ev.changed()
