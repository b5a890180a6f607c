"""Control flow, Throw and Catch, messages, Print, holding."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nsrl.engines.result import Status
from nsrl.engines.wolfram.errors import (
    AbortFlow,
    BreakFlow,
    ContinueFlow,
    LimitReached,
    QuitFlow,
    ReturnFlow,
    ThrowFlow,
)
from nsrl.engines.wolfram.expr import FALSE, NULL, TRUE, Expr, S, lst, mk, same
from nsrl.engines.wolfram.iterators import bind_iterator, iterator
from nsrl.engines.wolfram.pattern import matches
from nsrl.engines.wolfram.printer import output, text
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


# -- control -------------------------------------------------------------------------------------------------------
@builtin("CompoundExpression", "HoldAll ReadProtected", options="*")
def compound_expression(ev: Evaluator, args: tuple) -> Any:
    if not args:
        return NULL
    for a in args[:-1]:
        ev.effect(a)
    return args[-1]


@builtin("If", "HoldRest", arity=(2, 4), options="*")
def if_(ev: Evaluator, args: tuple) -> Any:
    test = args[0]
    if test is TRUE:
        return args[1]
    if test is FALSE:
        return args[2] if len(args) > 2 else NULL
    return args[3] if len(args) > 3 else None


@builtin("Which", "HoldAll", options="*")
def which(ev: Evaluator, args: tuple) -> Any:
    if len(args) % 2:
        ev.message("Which", "argct", f"Which called with {len(args)} argument{'s' if len(args) > 1 else ''}.")
        return None
    for i in range(0, len(args), 2):
        test = ev.eval(args[i])
        if test is TRUE:
            return args[i + 1]
        if test is not FALSE:
            return (
                None
                if i == 0 and same(test, args[0])
                else Expr(S.Which, (test, *args[i + 1 :]))
                if not same(test, args[i]) or i
                else None
            )
    return NULL


@builtin("Switch", "HoldRest", arity=(3, None), options="*")
def switch(ev: Evaluator, args: tuple) -> Any:
    if len(args) % 2 == 0:
        ev.message(
            "Switch",
            "argct",
            f"Switch called with {len(args)} arguments. Switch must be called with an odd number of arguments.",
        )
        return None
    for i in range(1, len(args), 2):
        if matches(ev, args[0], ev.eval(args[i])):
            return args[i + 1]
    return None


@builtin("Do", "HoldAll", arity=(2, None))
def do(ev: Evaluator, args: tuple) -> Any:
    def run(specs: tuple) -> bool:
        it = iterator(ev, "Do", specs[0])
        if it is None:
            return False
        with bind_iterator(ev, it) as assign:
            for v in it.values:
                ev.step()
                assign(v)
                if len(specs) > 1:
                    if not run(specs[1:]):
                        return False
                else:
                    try:
                        ev.effect(args[0])
                    except ContinueFlow:
                        continue
        return True

    try:
        return NULL if run(args[1:]) else None
    except BreakFlow:
        return NULL
    except ReturnFlow as r:
        return r.value


@builtin("While", "HoldAll", arity=(1, 2))
def while_(ev: Evaluator, args: tuple) -> Any:
    try:
        while ev.holds(args[0]):
            ev.step()
            if len(args) > 1:
                try:
                    ev.effect(args[1])
                except ContinueFlow:
                    continue
    except BreakFlow:
        return NULL
    except ReturnFlow as r:
        return r.value
    return NULL


@builtin("For", "HoldAll", arity=(3, 4))
def for_(ev: Evaluator, args: tuple) -> Any:
    ev.effect(args[0])
    try:
        while ev.holds(args[1]):
            ev.step()
            if len(args) > 3:
                with suppress(ContinueFlow):
                    ev.effect(args[3])
            ev.effect(args[2])
    except BreakFlow:
        return NULL
    except ReturnFlow as r:
        return r.value
    return NULL


@builtin("Return", arity=(0, 2))
def return_(ev: Evaluator, args: tuple) -> Any:
    raise ReturnFlow(args[0] if args else NULL)


@builtin("Break", arity=0)
def break_(ev: Evaluator, args: tuple) -> Any:
    raise BreakFlow


@builtin("Continue", arity=0)
def continue_(ev: Evaluator, args: tuple) -> Any:
    raise ContinueFlow


@builtin("Abort", arity=0)
def abort(ev: Evaluator, args: tuple) -> Any:
    raise AbortFlow


@builtin("Quit Exit", arity=(0, 1))
def quit_(ev: Evaluator, args: tuple) -> Any:
    raise QuitFlow


@builtin("Throw", arity=(1, 2))
def throw(ev: Evaluator, args: tuple) -> Any:
    if not ev.catching:
        ev.message("Throw", "nocatch", f"Uncaught {ev.text(Expr(S.Throw, args))} returned to top level.")
        raise ThrowFlow(mk(S.Hold, Expr(S.Throw, args)), None)
    raise ThrowFlow(args[0], args[1] if len(args) > 1 else None)


@builtin("Catch", "HoldFirst", arity=(1, 3))
def catch(ev: Evaluator, args: tuple) -> Any:
    ev.catching += 1
    depth = ev.depth
    try:
        return ev.eval(args[0])
    except ThrowFlow as t:
        if len(args) == 1:
            if t.tag is not None:
                raise
            return t.value
        if t.tag is None or not matches(ev, t.tag, args[1]):
            raise
        return ev.call(args[2], t.value, t.tag) if len(args) == 3 else t.value
    finally:
        ev.catching -= 1
        ev.depth = depth


@builtin("CheckAbort", "HoldAll", arity=2)
def check_abort(ev: Evaluator, args: tuple) -> Any:
    try:
        return ev.eval(args[0])
    except AbortFlow:
        return ev.eval(args[1])


@builtin("Check", "HoldAll", arity=(2, None))
def check(ev: Evaluator, args: tuple) -> Any:
    before = len(ev.messages)
    value = ev.eval(args[0])
    return ev.eval(args[1]) if len(ev.messages) > before else value


@builtin("Quiet", "HoldAll", arity=(1, 3))
def quiet(ev: Evaluator, args: tuple) -> Any:
    ev.quiet += 1
    try:
        return ev.eval(args[0])
    finally:
        ev.quiet -= 1


@builtin("Off On", "HoldAll")
def off(ev: Evaluator, args: tuple) -> Any:
    for a in args:
        if type(a) is Expr and a.head is S.MessageName and len(a.args) == 2:
            ev.off.add((text(a.args[0]), text(a.args[1])))
    return NULL


TABLE["On"].handler = lambda ev, args: (
    [ev.off.discard((text(a.args[0]), text(a.args[1]))) for a in args if type(a) is Expr and len(a.args) == 2],
    NULL,
)[1]


@builtin("Message", "HoldFirst", arity=(1, None))
def message(ev: Evaluator, args: tuple) -> Any:
    name = args[0]
    if type(name) is not Expr or name.head is not S.MessageName or len(name.args) != 2:
        return None
    symbol, tag = name.args
    template = ev.texts.get((symbol, tag))
    body = template if type(template) is str else "-- Message text not found --"
    for i, a in enumerate(args[1:], 1):
        body = body.replace(f"`{i}`", text(a), 1)
    for a in args[1:]:
        body = body.replace("``", text(a), 1)
    ev.message(text(symbol), text(tag), body)
    return NULL


@builtin("Print Echo", options="*")
def print_(ev: Evaluator, args: tuple) -> Any:
    ev.print("".join(map(output, args)), args[0] if len(args) == 1 else None)
    return NULL


TABLE["Echo"].handler = lambda ev, args: (ev.print(output(args[0])), args[0])[1] if args else None


@builtin("ReleaseHold", arity=1)
def release_hold(ev: Evaluator, args: tuple) -> Any:
    def release(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        if e.head in (S.Hold, S.HoldForm, S.HoldComplete, S.HoldPattern):
            return e.args[0] if len(e.args) == 1 else Expr(S.Sequence, e.args)
        return Expr(release(e.head), tuple(map(release, e.args)))

    return release(args[0])


@builtin("Evaluate", arity=(0, None), options="*")
def evaluate(ev: Evaluator, args: tuple) -> Any:
    return args[0] if len(args) == 1 else Expr(S.Sequence, args)


@builtin("Identity", arity=1)
def identity(ev: Evaluator, args: tuple) -> Any:
    return args[0]


@builtin("ValueQ", "HoldAll", arity=1)
def value_q(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    return TRUE if not same(ev.eval(e), e) else FALSE


@builtin("TimeConstrained MemoryConstrained", "HoldFirst", arity=(2, 3))
def constrained(ev: Evaluator, args: tuple) -> Any:
    return args[0]


@builtin("Timing AbsoluteTiming", "HoldAll", arity=1)
def timing(ev: Evaluator, args: tuple) -> Any:
    return lst((0.0, ev.eval(args[0])))  # deterministic: no clock in a value


@builtin("Pause", arity=1)
def pause(ev: Evaluator, args: tuple) -> Any:
    return NULL  # at once: there is no clock here, and whoever waits for the Result gains nothing by waiting


@builtin("Get Import Export Run RunProcess StartProcess SystemOpen URLRead URLFetch DeleteFile ReadString ReadList Put "
"PutAppend OpenWrite OpenRead "
         "OpenAppend CreateFile CreateDirectory CopyFile RenameFile ExternalEvaluate LibraryFunctionLoad Install "
         "LinkLaunch "
         "GetEnvironment SetEnvironment FileNames Directory SetDirectory FileExistsQ FindFile Needs URLExecute "
         "SendMail CloudDeploy "
         "DumpSave Save BinaryWrite BinaryReadList WriteString Read Skip Find FindList FilePrint "
         "NotebookOpen")  # fmt: skip
def refused(ev: Evaluator, args: tuple) -> Any:
    raise LimitReached(Status.REFUSED, "files, processes and the network are out of reach")
