"""Lengths and counts where a name stands for a text or a number: `s="banana";len(s)` is 6, `n=12;len(n)` is refused.

Trees in, trees out.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.system import Unsolved
from nsrl.engines.nsl.words import heads, measured, plain
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head

_SIZES = frozenset([S.Length, S.Count])


def sized(e: Any, evaluate: Callable[[Any], Any], unknowns: bool) -> Any:
    """e with the lengths of texts as such. unknowns: a name without a value may get one yet.
    Raises Unsolved for the length of a number, and of a name that stands for nothing."""
    return e if _SIZES.isdisjoint(heads(e)) else _sized(e, evaluate, unknowns)


def _sized(e: Any, evaluate: Callable[[Any], Any], unknowns: bool) -> Any:
    if type(e) is not Expr:
        return e
    args = tuple(_sized(a, evaluate, unknowns) for a in e.args)
    if e.head not in _SIZES:
        return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)
    first = args[0] if args else None
    if type(first) is Symbol or (e.head is S.Length and type(first) is Expr and first.head in (S.Plus, S.Times)):
        value = evaluate(first)
        if isinstance(value, (str, int, float, Fraction)):
            first, args = value, (value, *args[1:])
        elif type(value) is Symbol and not unknowns:
            raise Unsolved(f"{plain(value.name)} is no list")
    if has_head(e, S.Length) and type(first) in (int, float, Fraction):
        raise Unsolved("a number has no length; its digits are digits(n)")
    return measured(Expr(e.head, args))


def of_texts(e: Any, texts: dict[Any, Any]) -> Any:
    """e with the names of texts put in within lengths and counts, and nowhere else: len(s) in a loop."""
    if type(e) is not Expr or not texts:
        return e
    if e.head in _SIZES and e.args and e.args[0] in texts:
        return measured(Expr(e.head, (texts[e.args[0]], *e.args[1:])))
    return Expr(e.head, tuple(of_texts(a, texts) for a in e.args))
