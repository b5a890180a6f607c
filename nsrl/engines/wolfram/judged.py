"""Tests that say "no" of a symbol because it has no value: nothing that binds the symbol may take that for an answer.

EvenQ[k] is False of a bare k, so that If[EvenQ[k], k, 0] is 0 before Sum sees it. Every such answer notes the symbols
it was given of (`ev.judged`), and a call that binds one of them (Sum over k, Solve for k) stays as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import FALSE, LIST, Expr, S, Symbol
from nsrl.engines.wolfram.roots import symbols
from nsrl.engines.wolfram.table import HOLD_ALL, Builtin, Handler

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

BINDERS = (
    "Sum Product NSum NProduct Integrate NIntegrate Probability NProbability Expectation NExpectation Limit D Series "
    "SeriesCoefficient Residue ArcLength Solve NSolve SolveValues NSolveValues Reduce FindInstance Roots "
    "FunctionDomain "
    "Minimize Maximize MinValue MaxValue ArgMin ArgMax NMinimize NMaximize FindRoot FindMinimum FindMaximum "
    "DSolve DSolveValue RSolve RSolveValue RecurrenceTable DiscreteRatio DifferenceDelta LaplaceTransform "
    "InverseLaplaceTransform"
)
_WHOLE = (S.Mod, S.Quotient, S.Floor, S.Ceiling, S.Round, S.IntegerPart, S.GCD, S.LCM)


def no(ev: Evaluator, e: Any) -> Symbol:
    """False, said of e."""
    if type(e) is Symbol or (type(e) is Expr and e.head is not LIST):
        ev.judged |= symbols(e)
    return FALSE


def unlike(ev: Evaluator, a: Any, b: Any) -> None:
    """a is not b, as trees: if one is a number, that was said of the symbol or remainder that the other is.

    Of sums and products it is the question whether they are 0 as written, and is answered.
    """
    for n, e in ((a, b), (b, a)):
        if type(n) not in (Symbol, Expr, str) and (type(e) is Symbol or (type(e) is Expr and e.head in _WHOLE)):
            ev.judged |= symbols(e)


def guard(rows: dict[str, Builtin]) -> None:
    """Put the look at `ev.judged` before every row that binds symbols."""
    for name in BINDERS.split():
        row = rows[name]
        assert row.handler is not None
        row.handler = _held(row.handler) if row.attrs & HOLD_ALL else _free(row.handler)


def _bound(args: tuple) -> set:
    return set().union(*map(symbols, args[1:] or args))


def _free(handler: Handler) -> Handler:
    def bind(ev: Evaluator, args: tuple) -> Any:
        if ev.judged and (ev.judged & _bound(args) or (len(args) == 1 and args[0] is FALSE)):
            return None
        return handler(ev, args)

    return bind


def _held(handler: Handler) -> Handler:
    """What is held is evaluated by the handler itself: a judgement of a bound symbol there ends with the call."""

    def bind(ev: Evaluator, args: tuple) -> Any:
        before = ev.judged
        try:
            out = handler(ev, args)
            names = _bound(args) if ev.judged else set()
            before = before | (ev.judged - names)
            return None if ev.judged & names else out
        finally:
            ev.judged = before

    return bind
