"""Eigenvalues and eigenvectors, and the characteristic polynomial: over the bridge, decimals by exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins.algebra import one_fraction
from nsrl.engines.wolfram.builtins.linalg import determinant, square, tidy, to_matrix
from nsrl.engines.wolfram.expr import COMPLEX, S, has_head, lst, mk
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("CharacteristicPolynomial", arity=2)
def characteristic_polynomial(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "CharacteristicPolynomial")
    if m is None:
        return None
    x = args[1]
    return determinant(ev, [[mk(S.Plus, v, mk(S.Times, -1, x)) if i == j else v for j, v in enumerate(r)]
                            for i, r in enumerate(m)])  # fmt: skip


def _eigenvalues(ev: Evaluator, m: list[list[Any]]) -> list[Any] | None:
    """With multiplicity, largest in size first (as the real engine lists them for numbers)."""
    inexact = any(isinstance(x, float) for r in m for x in r)
    exact = [[Fraction(repr(x)) if isinstance(x, float) else x for x in r] for r in m]
    b = Bridge()
    try:
        found = guarded(to_matrix(b, [[tidy(x) for x in r] for r in exact]).eigenvals)
        values = [one_fraction(ev, ev.eval(b.from_sympy(v))) for v, k in found.items() for _ in range(int(k))]
    except NotBridged:
        return None
    numbers = [ev.eval(mk(S.N, v)) for v in values]
    if all(_is_number(n) for n in numbers):
        order = sorted(range(len(values)), key=lambda i: (-round(_size(numbers[i]), 10), _parts(numbers[i])[0],
                                                          -_parts(numbers[i])[1]))  # fmt: skip
        values = [values[i] for i in order]
    return [ev.eval(mk(S.N, v)) for v in values] if inexact else values


def _is_number(n: Any) -> bool:
    return isinstance(n, (int, float, Fraction)) or has_head(n, COMPLEX)


def _parts(n: Any) -> tuple[float, float]:
    return (float(n.args[0]), float(n.args[1])) if has_head(n, COMPLEX) else (float(n), 0.0)


def _size(n: Any) -> float:
    re, im = _parts(n)
    return (re * re + im * im) ** 0.5


@builtin("Eigenvalues", arity=(1, 2))
def eigenvalues(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "Eigenvalues")
    found = None if m is None else _eigenvalues(ev, m)
    if found is None:
        return None
    kept = _chosen(found, args)
    return None if kept is None else lst(kept)


def _chosen(found: list[Any], args: tuple) -> list[Any] | None:
    """All, the first k or, for k < 0, the last -k; UpTo[k] takes no more than there are. None for any other k."""
    if len(args) == 1:
        return found
    k = args[1]
    if has_head(k, S.UpTo) and len(k.args) == 1 and type(k.args[0]) is int and k.args[0] > 0:
        return found[: k.args[0]]
    return (found[:k] if k > 0 else found[k:]) if type(k) is int and 0 < abs(k) <= len(found) else None


def _eigensystem(ev: Evaluator, m: list[list[Any]]) -> tuple[list, list] | None:
    values = _eigenvalues(ev, m)
    if values is None or any(isinstance(v, float) for v in values):
        return None
    b = Bridge()
    vectors: list[Any] = []
    done: list[Any] = []
    try:
        a = to_matrix(b, m)
        for v in values:
            if v in done:
                continue
            done.append(v)
            k = values.count(v)
            root = b.to_sympy(v)
            if any(p.exp.is_Rational and p.exp.q > 2 for p in root.atoms(sympy().Pow)) or root.has(sympy().CRootOf):
                return None  # elimination with cube roots does not end
            shifted = a - root * sympy().eye(len(m))
            basis = guarded(shifted.applyfunc(sympy().simplify).nullspace)
            if not 1 <= len(basis) <= k:
                return None  # a zero was not seen to be one
            own = []
            for w in reversed(basis):
                last = next((x for x in reversed(list(w)) if x != 0), 1)
                w = (w / last).applyfunc(sympy().radsimp)
                den = sympy().ilcm(1, 1, *[sympy().fraction(x)[1] for x in w if x.is_Rational] or [1])
                own.append(lst(ev.eval(b.from_sympy(x * den)) for x in w) if all(x.is_Rational for x in w) else
                           lst(ev.eval(b.from_sympy(x)) for x in w))  # fmt: skip
            own += [lst([0] * len(m))] * (k - len(own))
            vectors += own
    except NotBridged:
        return None
    return values, vectors


@builtin("Eigenvectors", arity=(1, 2))
def eigenvectors(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "Eigenvectors")
    found = None if m is None else _eigensystem(ev, m)
    kept = None if found is None else _chosen(found[1], args)
    return None if kept is None else lst(kept)


@builtin("Eigensystem", arity=(1, 2))
def eigensystem(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "Eigensystem")
    found = None if m is None else _eigensystem(ev, m)
    kept = [] if found is None else [_chosen(part, args) for part in found]
    return lst(map(lst, kept)) if kept and None not in kept else None
