"""A program in Wolfram Language as statements and a value: its `f := Module[{…}, …]` wrapper gone."""

from __future__ import annotations

from typing import Any

from nsrl.engines.translate.straight import Straight, Untranslatable
from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.expr import NULL, TRUE, Expr, S, Symbol, has_head, is_list, mk
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.repair import parse_lenient, without_prose

_SCOPES = (S.Module, S.Block, S.With, S.DynamicModule)


def read(program: str) -> Straight:
    """The program. Raises `Untranslatable` where it is none."""
    text = without_prose(program)
    try:
        try:
            trees = parse(text)
        except WolframSyntaxError:
            trees, _ = parse_lenient(text)
    except (WolframSyntaxError, RecursionError) as error:
        raise Untranslatable("no program of Wolfram Language") from error
    functions: dict[Symbol, list[Any]] = {}
    statements = _flat(trees, functions)
    for body in functions.values():  # f := body, and nobody asks for f: it is what the program gives
        statements += body
    if not statements:
        raise Untranslatable("an empty program")
    return Straight(tuple(statements[:-1]), _value(statements))


def _value(statements: list[Any]) -> Any:
    """The last statement as the program's value; that of `name = value` is the value."""
    last = statements[-1]
    if has_head(last, S.Set) and len(last.args) == 2:
        return last.args[1]
    return last


def _flat(trees: list[Any], functions: dict[Symbol, list[Any]]) -> list[Any]:
    """Statements in order: compound ones taken apart, scopes opened, `f := body` and `f` as the body.

    functions: bodies that were defined and not asked for yet.
    """
    out: list[Any] = []
    for t in trees:
        if has_head(t, S.CompoundExpression):
            out += _flat([a for a in t.args if a is not NULL], functions)
        elif t in functions:
            out += functions.pop(t)
        elif has_head(t, S.SetDelayed) and len(t.args) == 2 and type(t.args[0]) is Symbol:
            functions[t.args[0]] = _flat([t.args[1]], functions)
        elif has_head(t, S.Set) and len(t.args) == 2 and _scope(t.args[1]):
            *before, value = _flat([t.args[1]], functions) or [NULL]
            out += [*before, mk(S.Set, t.args[0], value)]
        elif _scope(t):
            for name in t.args[0].args:
                if has_head(name, S.Set):
                    out.append(name)
            out += _flat([t.args[1]], functions)
        elif has_head(t, S.Set) and len(t.args) == 2 and is_list(t.args[0]) and is_list(t.args[1]):
            names, values = t.args[0].args, t.args[1].args
            if len(names) != len(values):
                raise Untranslatable("lists of names and values of different lengths")
            out += [mk(S.Set, n, v) for n, v in zip(names, values)]
        elif has_head(t, S.While) and (ended := _until(t)) is not None:
            out.append(ended)
        elif t is not NULL and not has_head(t, S.Print):
            out.append(t)
    return out


def _until(loop: Any) -> Any:
    """`While[True, …; If[test, Break[]]]` as the loop that nsl has: its body once, then as long as the test fails."""
    if len(loop.args) != 2 or loop.args[0] is not TRUE or not has_head(loop.args[1], S.CompoundExpression):
        return None
    *body, last = [a for a in loop.args[1].args if a is not NULL]
    if body and has_head(last, S.If) and len(last.args) == 2 and has_head(last.args[1], S.Break):
        return mk(S.While, Expr(S.CompoundExpression, (*map(_update, body), mk(S.Not, last.args[0]))))
    return None


def _update(t: Any) -> Any:
    """`x = x + a` as `x += a`."""
    if not (has_head(t, S.Set) and len(t.args) == 2 and has_head(t.args[1], S.Plus) and len(t.args[1].args) == 2):
        return t
    before, step = t.args[1].args
    if before is t.args[0]:
        if has_head(step, S.Times) and len(step.args) > 1 and step.args[0] == -1:
            return mk(S.SubtractFrom, t.args[0], Expr(S.Times, step.args[1:]) if len(step.args) > 2 else step.args[1])
        return mk(S.SubtractFrom, t.args[0], -step) if type(step) is int and step < 0 else mk(S.AddTo, t.args[0], step)
    return t


def _scope(t: Any) -> bool:
    return any(has_head(t, scope) for scope in _SCOPES) and len(t.args) == 2 and is_list(t.args[0])
