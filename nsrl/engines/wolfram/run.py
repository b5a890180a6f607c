"""One program from text (or tree) to Result: fresh context, limits, status.

Statuses: a value that still is a call nobody could evaluate is UNEVALUATED, a message outside `BENIGN` is MESSAGE.
Knows nothing of processes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.engines.wolfram import builtins
from nsrl.engines.wolfram.errors import AbortFlow, Flow, LimitReached, QuitFlow, ThrowFlow, WolframSyntaxError
from nsrl.engines.wolfram.evaluator import Evaluator
from nsrl.engines.wolfram.expr import NULL, Expr, S, Symbol, mk, sym
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.printer import text, to_json
from nsrl.engines.wolfram.repair import parse_lenient, without_prose
from nsrl.engines.wolfram.table import NUMERIC, absent

VERSION = "1"
_ABORTED = sym("$Aborted")
MAX_SOURCE = 200_000  # characters
_STACK = 12_000  # interpreter frames; a tree deeper than that ends as TIMEOUT (depth)
# Messages that say how a right value was found, not that something is wrong.
BENIGN = {
    ("General", "stop"), ("Solve", "ifun"), ("Reduce", "ifun"), ("NSolve", "ratnz"), ("Solve", "ratnz"),
    ("FindRoot", "lstol"), ("N", "meprec"),
}  # fmt: skip
# Objects with an arithmetic of their own, and what has no value where that arithmetic was needed and is not there.
_OBJECTS = {S.Interval, S.DateObject, S.SeriesData, S.Quantity}
_STEPS = {
    S.Max,
    S.Min,
    S.Floor,
    S.Ceiling,
    S.Round,
    S.IntegerPart,
    S.FractionalPart,
    S.Mod,
    S.Quotient,
    S.Clip,
    S.Ramp,
    S.UnitStep,
    S.If,
    S.Boole,
}
_RELATIONS = {S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Equal, S.Unequal}
_HELD = {
    S.Function,
    S.Hold,
    S.HoldForm,
    S.HoldComplete,
    S.HoldPattern,
    S.RuleDelayed,
    S.Pattern,
    S.Condition,
    S.PatternTest,
}


def evaluate(program: str, limits: Limits | None = None, lenient: bool | None = None) -> Result:
    """Run one program in a fresh context.

    lenient: False reads as the real engine does; True applies every repair of repair.py and lists them; None (the
    default) repairs only text that is no program as written, so whatever the real engine accepts means the same here,
    but for sentences on lines of their own: those are no part of any program.
    """
    limits = limits or Limits()
    start = time.process_time()
    repairs: tuple[str, ...] = ()
    if len(program) > MAX_SOURCE:
        return Result(
            Status.MEMORY,
            text="",
            messages=(Message("General", "srclen", "The program is too long."),),
            engine="wolfram",
            version=VERSION,
        )
    _deep_enough()
    bare = program if lenient is False else without_prose(program)
    prose = () if bare == program else ("prose around the program dropped",)
    program = bare
    try:
        try:
            if lenient:
                statements, repairs = parse_lenient(program)
            else:
                statements = parse(program)
        except WolframSyntaxError:
            if lenient is False:
                raise
            statements, repairs = parse_lenient(program)
    except WolframSyntaxError as err:
        return _syntax(program, err, start)
    except RecursionError:
        return _syntax(program, WolframSyntaxError("nesting is too deep", 0, len(program)), start)
    return evaluate_tree(statements, limits, repairs=prose + repairs, start=start)


def _deep_enough() -> None:
    if sys.getrecursionlimit() < _STACK:
        sys.setrecursionlimit(_STACK)


def _syntax(program: str, err: WolframSyntaxError, start: float) -> Result:
    line = program[err.start :].split("\n", 1)[0][:80]
    tag = "sntxi" if err.start >= len(program.rstrip()) else "sntx"
    what = (
        f"Incomplete expression; more input is needed ({err.reason}, at {err.start})."
        if tag == "sntxi"
        else f'Invalid syntax in or before "{line}" ({err.reason}, at {err.start}-{err.end}).'
    )
    return Result(
        Status.SYNTAX,
        text="$Failed",
        value=["Symbol", "$Failed"],
        messages=(Message("ToExpression", tag, what),),
        cpu_ms=(time.process_time() - start) * 1000,
        engine="wolfram",
        version=VERSION,
    )


def evaluate_tree(
    statements: Sequence[Any],
    limits: Limits | None = None,
    repairs: tuple[str, ...] = (),
    start: float | None = None,
    engine: str = "wolfram",
    final: Any = None,
) -> Result:
    """Evaluate trees one after the other in a fresh context; the last value is the result.

    If it is Null (or the last statement defines f) and f has a value, that value is the result; if it is Null and the
    program printed something, what it printed last. `final(ev, value)` may replace the value before it is printed and
    is subject to the same limits. A value made from a call that has none (`ev.lost`) is no value.
    """
    limits = limits or Limits()
    start = time.process_time() if start is None else start
    builtins.load()
    _deep_enough()
    ev = Evaluator(limits)
    value: Any = NULL
    status: Status | None = None
    out = ""
    data: Any = None
    try:
        for s in statements:
            if ev.absences:
                ev.thrown_away(value)
            try:
                value = ev.eval(s)
            except AbortFlow:  # ends the statement; the next one is evaluated
                value = _ABORTED
            except ThrowFlow as t:
                value = t.value if t.tag is None else mk(S.Hold, mk(S.Throw, t.value, t.tag))
        f = sym("f")
        if f in ev.own and (value is NULL or (statements and defines_f(statements[-1]))):
            if ev.absences:
                ev.thrown_away(value)
            value = ev.eval(f)
        shown = value is NULL and ev.printed
        if shown:
            value = ev.shown
        if final is not None:
            value = final(ev, value)
        out = ev.printed[-1] if shown else text(value)
        if len(out) > limits.output_bytes:
            raise LimitReached(Status.MEMORY, "output size")
        data = to_json(value)
    except LimitReached as reached:
        status, out = reached.status, ""
        ev.messages.append(Message("General", "limit", f"The program was stopped: {reached.what}."))
    except QuitFlow:  # the kernel is gone: the statement it stood in has no value
        out, data = text(NULL), to_json(NULL)
        value = NULL
    except Flow:
        value = mk(S.Return)
        out = text(value)
    except RecursionError:
        status, out = Status.TIMEOUT, ""
        ev.messages.append(Message("General", "limit", "The program was stopped: nesting is too deep."))
    except MemoryError:
        status, out = Status.MEMORY, ""
    if status is None:
        loud = [m for m in ev.messages if (m.symbol, m.tag) not in BENIGN]
        if ev.lost is not None:
            status = Status.UNEVALUATED
            ev.messages.append(
                Message("General", "lost", f"A call to {ev.lost.name} that has no value was taken for a value.")
            )
        else:
            status = Status.MESSAGE if loud else Status.UNEVALUATED if is_unevaluated(value) else Status.OK
    return Result(
        status=status,
        text=out,
        value=data,
        messages=tuple(ev.messages),
        stdout="".join(line + "\n" for line in ev.printed),
        steps=ev.steps,
        cpu_ms=(time.process_time() - start) * 1000,
        repairs=repairs,
        engine=engine,
        version=VERSION,
    )


def _no_slope(f: Any, args: tuple) -> bool:
    """Whether a derivative of f at these arguments is one that nobody could evaluate: of no function of numbers, of
    steps, or at numbers."""
    if type(f) is not Symbol or (f.builtin is None and not absent(f)):
        return False
    return f.builtin is None or f in _STEPS or not f.builtin.attrs & NUMERIC or all(map(is_number, args))


def defines_f(statement: Any) -> bool:
    """Whether a statement, or the last of several on a line, gives f a value."""
    if type(statement) is Expr and statement.head is S.CompoundExpression and statement.args:
        *before, last = statement.args
        statement = before[-1] if last is NULL and before else last
    return type(statement) is Expr and statement.head in (S.Set, S.SetDelayed) and statement.args[0] is sym("f")


def is_unevaluated(value: Any, top: bool = True) -> bool:
    """Whether the value is, or is made of, a call nobody could evaluate: of a builtin, or of a System name absent here.

    A call to a name of the program's own counts only where it is the whole value.
    """
    if type(value) is not Expr:
        return False
    head = value.head
    if type(head) is Symbol:
        if head.builtin is None:
            if top or absent(head):
                return True
        elif head.builtin.answers or (
            (head in _RELATIONS or head.builtin.attrs & NUMERIC)
            and any(type(a) is Expr and a.head in _OBJECTS for a in value.args)
        ):
            return True
        elif head in _HELD:
            return False
    elif type(head) is Expr and type(head.head) is Expr and head.head.head is S.Derivative:
        f = head.args[0] if len(head.args) == 1 else None
        if _no_slope(f, value.args) or is_unevaluated(f, False):
            return True
    elif top or is_unevaluated(head, False):
        return True
    return any(is_unevaluated(a, False) for a in value.args if type(a) is Expr)
