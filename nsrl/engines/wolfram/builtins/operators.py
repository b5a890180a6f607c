"""Functions that make functions: operator forms, currying, and what is held until it is activated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.expr import RULE, Expr, S, Symbol, mk
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "ReverseApplied EchoFunction")
symbols(TABLE, "Defer", "HoldAll Protected")


@builtin("Inactivate", "HoldFirst", arity=1)
def inactivate(ev: Evaluator, args: tuple) -> Any:
    def go(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        kept = (
            e.head
            if e.head in (S.List, RULE, S.Association, S.Inactive) or type(e.head) is not Symbol
            else mk(S.Inactive, e.head)
        )
        return Expr(kept, tuple(map(go, e.args)))

    return go(args[0])


@sub_handler("ReverseApplied")
def _reverse_applied(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return Expr(head.args[0], (*reversed(args[:2]), *args[2:])) if len(head.args) == 1 and len(args) >= 2 else None


@sub_handler("EchoFunction")
def _echo_function(ev: Evaluator, head: Expr, args: tuple) -> Any:
    from nsrl.engines.wolfram.printer import output

    ev.print(f">> {output(ev.call(head.args[-1], args[0]))}")
    return args[0]


_RELATIONS = {"EqualTo": "Equal", "UnequalTo": "Unequal", "GreaterThan": "Greater", "LessThan": "Less",
              "GreaterEqualThan": "GreaterEqual", "LessEqualThan": "LessEqual", "SameAs": "SameQ"}  # fmt: skip


for _n, _r in _RELATIONS.items():
    symbols(TABLE, _n)

    def _relation(ev: Evaluator, head: Expr, args: tuple, r: str = _r) -> Any:
        return mk(getattr(S, r), args[0], head.args[0]) if len(head.args) == len(args) == 1 else None

    sub_handler(_n)(_relation)


symbols(TABLE, "OperatorApplied CurryApplied")


@sub_handler("OperatorApplied")
def _operator_applied(ev: Evaluator, head: Expr, args: tuple) -> Any:
    """OperatorApplied[f][x][y] = f[y, x]."""
    if len(args) != 1 or not head.args:
        return None
    if len(head.args) == 1:
        return mk(S.OperatorApplied, head.args[0], args[0], S.Null)
    if len(head.args) == 3 and head.args[2] is S.Null:
        return mk(head.args[0], args[0], head.args[1])
    return None


@builtin("Comap", arity=(1, 2), takes="expr")
def comap(ev: Evaluator, args: tuple) -> Any:
    return Expr(args[0].head, tuple([mk(f, args[1]) for f in args[0].args])) if len(args) == 2 else None


@builtin("ComapApply", arity=2, takes="expr expr")
def comap_apply(ev: Evaluator, args: tuple) -> Any:
    return Expr(args[0].head, tuple([Expr(f, args[1].args) for f in args[0].args]))


@builtin("ApplyTo", "HoldFirst", arity=2)
def apply_to(ev: Evaluator, args: tuple) -> Any:
    return mk(S.Set, args[0], ev.call(args[1], ev.eval(args[0])))


@builtin("Activate", arity=1)
def activate(ev: Evaluator, args: tuple) -> Any:
    def go(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        head = (
            e.head.args[0]
            if type(e.head) is Expr and e.head.head is S.Inactive and len(e.head.args) == 1
            else go(e.head)
        )
        return Expr(head, tuple(map(go, e.args)))

    return go(args[0])
