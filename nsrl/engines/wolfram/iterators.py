"""Iterator specifications ({i, 1, 10, 2}, {i, list}, n) shared by Table, Do, Sum, Product and Array-like functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram.expr import LIST, Expr, S, Symbol, mk, norm
from nsrl.engines.wolfram.numeric import real_value

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator


class Iteration(NamedTuple):
    """name: the variable, or None; values: the trees it takes, lazily; length: how many."""

    name: Symbol | None
    values: Iterable[Any]
    length: int


def arithmetic(ev: Evaluator, low: Any, high: Any, step: Any) -> tuple[Iterable[Any], int] | None:
    """low, low + step, ... up to high, and their number; None where that number is not known."""
    if type(low) is int and type(high) is int and type(step) is int:
        if step == 0:
            return None
        r = range(low, high + (1 if step > 0 else -1), step)
        n = (high - low) // step + 1
        return r, max(n, 0)
    exact = all(type(x) in (int, Fraction) for x in (low, high, step))
    if exact:
        if step == 0:
            return None
        n = max(int((Fraction(high) - low) / step // 1) + 1, 0)
        return (norm(Fraction(low) + k * step) if k else low for k in range(n)), n
    a, b, d = real_value(low), real_value(high), real_value(step)
    if a is None or b is None or d is None or d == 0:
        return None
    size = (b - a) / d
    if size != size or size in (float("inf"), float("-inf")):
        ev.need_length(10**18)
    n = max(int(size + 1e-9) + 1, 0) if size > -1e-9 else 0
    if type(low) in (int, float, Fraction) and type(step) in (int, float, Fraction):
        if float in (type(low), type(step)):
            x, dx = float(low), float(step)
            return (x + k * dx for k in range(n)), n
        return (norm(low + k * step) for k in range(n)), n
    return (ev.eval(mk(S.Plus, low, mk(S.Times, k, step))) for k in range(n)), n


def iterator(ev: Evaluator, who: str, spec: Any) -> Iteration | None:
    """The values of one specification; None after a message. Checks the length against the limits."""
    raw = spec
    if type(spec) is Expr and spec.head is LIST:
        items = spec.args
    else:
        spec = ev.eval(spec)
        items = spec.args if type(spec) is Expr and spec.head is LIST else (spec,)
    name: Symbol | None = None
    if len(items) == 1:
        low, high, step = 1, ev.eval(items[0]), 1
    elif 2 <= len(items) <= 4:
        first = items[0]
        if type(first) is not Symbol:
            first = ev.eval(first)
        if type(first) is not Symbol:
            if isinstance(first, Expr):
                ev.message(who, "iterb", f"Iterator {ev.text(raw)} does not have appropriate bounds.")
            else:
                ev.message(who, "itraw", f"Raw object {ev.text(first)} cannot be used as an iterator.")
            return None
        name = first
        bounds = [ev.eval(x) for x in items[1:]]
        if len(bounds) == 1:
            if type(bounds[0]) is Expr and bounds[0].head is LIST:
                values = bounds[0].args
                return Iteration(name, values, len(values))
            low, high, step = 1, bounds[0], 1
        else:
            low, high, step = bounds[0], bounds[1], bounds[2] if len(bounds) == 3 else 1
    else:
        ev.message(who, "iterb", f"Iterator {ev.text(raw)} does not have appropriate bounds.")
        return None
    made = arithmetic(ev, low, high, step)
    if made is None:
        ev.message(who, "iterb", f"Iterator {ev.text(raw)} does not have appropriate bounds.")
        return None
    values, n = made
    ev.need_length(n)
    return Iteration(name, values, n)


@contextmanager
def bind_iterator(ev: Evaluator, it: Iteration) -> Iterator[Callable[[Any], None]]:
    """Within the block, calling the yielded function gives the variable a value; afterwards it has its old one."""
    name = it.name
    if name is None:
        yield lambda v: None
        return
    old = ev.own.get(name)

    def assign(v: Any) -> None:
        ev.own[name] = v
        ev.changed()

    try:
        yield assign
    finally:
        if old is None:
            ev.own.pop(name, None)
        else:
            ev.own[name] = old
        ev.changed()
