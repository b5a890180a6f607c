"""Permutations as lists and cycles, signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.sets import unique
from nsrl.engines.wolfram.expr import Expr, S, is_list, lst, mk
from nsrl.engines.wolfram.order import KEY
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def permutation_sign(p: tuple) -> int:
    """1 for an even permutation, -1 for an odd one, 0 where an element repeats."""
    if len(set(p)) < len(p):
        return 0
    return (-1) ** sum(p[i] > p[j] for i in range(len(p)) for j in range(i + 1, len(p)))


@builtin("Signature", arity=1, takes="list")
def signature(ev: Evaluator, args: tuple) -> Any:
    items = args[0].args
    ranks = {k: i for i, k in enumerate(sorted(range(len(items)), key=lambda i: KEY(items[i])))}
    if len(unique(ev, items)) < len(items):
        return 0
    return permutation_sign(tuple(ranks[i] for i in range(len(items))))


@builtin("Permute", arity=2, takes="expr images")
def permute(ev: Evaluator, args: tuple) -> Any:
    e, p = args
    images = _images(p, len(e.args))
    out: list[Any] = list(e.args)
    for i, j in enumerate(images):
        out[j - 1] = e.args[i]
    return Expr(e.head, tuple(out))


def _images(p: Any, n: int) -> list[int]:
    if is_list(p):
        return list(p.args) + list(range(len(p.args) + 1, n + 1))
    out = list(range(1, n + 1))
    for cycle in p.args[0].args:
        c = cycle.args
        for a, b in zip(c, (*c[1:], c[0])):
            out[a - 1] = b
    return out


@builtin("PermutationCycles", arity=(1, 2), takes="permutation")
def permutation_cycles(ev: Evaluator, args: tuple) -> Any:
    p, seen, cycles = args[0].args, set(), []
    for i in range(1, len(p) + 1):
        cycle, j = [], i
        while j not in seen:
            seen.add(j)
            cycle.append(j)
            j = p[j - 1]
        if len(cycle) > 1:
            cycles.append(lst(cycle))
    return mk(S.Cycles, lst(cycles))


@builtin("PermutationList", arity=(1, 2), takes="cycles positive")
def permutation_list(ev: Evaluator, args: tuple) -> Any:
    n = max((x for c in args[0].args[0].args for x in c.args), default=0)
    return lst(_images(args[0], args[1] if len(args) > 1 else n))


symbols(TABLE, "Cycles")
