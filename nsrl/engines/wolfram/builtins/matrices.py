"""Matrices of a given structure, minors and tensor products."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.permutations import permutation_sign
from nsrl.engines.wolfram.expr import S, is_list, lst, mk
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("UnitVector", arity=(1, 2), takes="positive positive")
def unit_vector(ev: Evaluator, args: tuple) -> Any:
    n, k = args if len(args) == 2 else (2, args[0])
    return lst(int(i == k) for i in range(1, n + 1))


@builtin("HilbertMatrix", arity=1, takes="positive")
def hilbert(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    ev.need_length(n * n)
    return lst(lst(Fraction(1, i + j - 1) if i + j > 2 else 1 for j in range(1, n + 1)) for i in range(1, n + 1))


@builtin("HankelMatrix", arity=1, takes="size")
def hankel(ev: Evaluator, args: tuple) -> Any:
    c = args[0].args if is_list(args[0]) else tuple(range(1, args[0] + 1))
    n = len(c)
    ev.need_length(n * n)
    return lst(lst(c[i + j] if i + j < n else 0 for j in range(n)) for i in range(n))


@builtin("ToeplitzMatrix", arity=(1, 2), takes="size list")
def toeplitz(ev: Evaluator, args: tuple) -> Any:
    c = args[0].args if is_list(args[0]) else tuple(range(1, args[0] + 1))
    r = args[1].args if len(args) > 1 else c
    ev.need_length(len(c) * len(r))
    return lst(lst(c[i - j] if i >= j else r[j - i] for j in range(len(r))) for i in range(len(c)))


@builtin("VandermondeMatrix", arity=1, takes="list")
def vandermonde(ev: Evaluator, args: tuple) -> Any:
    xs = args[0].args
    return lst(lst(1 if k == 0 else mk(S.Power, x, k) for k in range(len(xs))) for x in xs)


@builtin("PauliMatrix", arity=1)
def pauli(ev: Evaluator, args: tuple) -> Any:
    i = mk(S.Complex, 0, 1)
    rows = {0: ((1, 0), (0, 1)), 1: ((0, 1), (1, 0)), 2: ((0, mk(S.Times, -1, i)), (i, 0)), 3: ((1, 0), (0, -1))}
    return lst(map(lst, rows[args[0]]))


@builtin("LeviCivitaTensor", arity=(1, 2), takes="positive")
def levi_civita(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    ev.need_length(n ** min(n, 64))

    def build(at: tuple) -> Any:
        return permutation_sign(at) if len(at) == n else lst(build((*at, i)) for i in range(n))

    return build(())


@builtin("Minors", arity=(1, 2), takes="matrix integer")
def minors(ev: Evaluator, args: tuple) -> Any:
    from itertools import combinations

    m, n = args[0].args, len(args[0].args)
    k = args[1] if len(args) > 1 else n - 1
    rows = list(combinations(range(n), k))
    columns = list(combinations(range(len(m[0].args)), k))
    return lst(lst(ev.call(S.Det, lst(lst(m[i].args[j] for j in c) for i in r)) for c in columns) for r in rows)


@builtin("TensorProduct", arity=2)
def tensor_product(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.Outer, S.Times, *args)


@builtin("TensorRank", arity=1)
def tensor_rank(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.ArrayDepth, args[0])
