"""Matrices of exact numbers against Gauss's elimination on Fractions, written here; eigenvalues against mpmath."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
from mpmath import mp, mpf

from nsrl.engines import Result
from tests.engines.fuzz.functions import mpq, text_of
from tests.engines.fuzz.runner import RIGHT, UNEVALUATED, WRONG, Case, Kind
from tests.engines.fuzz.values import NoNumber, match, number

Matrix = list[list[Fraction]]


def random_matrix(rng: random.Random, rows: int, columns: int) -> Matrix:
    """Integers or fractions; often of deficient rank, with rows of zeros, triangular or symmetric."""
    below = rng.choice((1, 1, 1, 3))
    m = [[Fraction(rng.randint(-6, 6), rng.randint(1, below)) for _ in range(columns)] for _ in range(rows)]
    kind = rng.random()
    if kind < 0.25 and rows > 1:
        i, j = rng.sample(range(rows), 2)
        m[i] = [rng.choice((0, 1, 2, -1)) * x for x in m[j]]
    elif kind < 0.35:
        m = [[x if j >= i else Fraction(0) for j, x in enumerate(r)] for i, r in enumerate(m)]
    elif kind < 0.5 and rows == columns:
        m = [[m[min(i, j)][max(i, j)] for j in range(columns)] for i in range(rows)]
    return m


def text(m: Any) -> str:
    return "{" + ", ".join(text(r) if isinstance(r, list) else text_of(r) for r in m) + "}"


def fractions(v: Any) -> Any:
    """A result as nested lists of Fractions. Raises NoNumber."""
    if isinstance(v, int):
        return Fraction(v)
    if isinstance(v, list) and v[0] == "Rational":
        return Fraction(v[1], v[2])
    if isinstance(v, list) and v[0] == "List":
        return [fractions(a) for a in v[1:]]
    raise NoNumber(str(v))


def dot(a: Matrix, b: Matrix) -> Matrix:
    return [[sum((x * y for x, y in zip(r, c, strict=True)), Fraction(0)) for c in zip(*b, strict=True)] for r in a]


def echelon(m: Matrix) -> tuple[Matrix, list[int], Fraction]:
    """Reduced row echelon form, pivot columns, and the product of the pivots with the sign of the exchanges."""
    m, pivots, scale, row = [list(r) for r in m], [], Fraction(1), 0
    for c in range(len(m[0])):
        k = next((i for i in range(row, len(m)) if m[i][c]), None)
        if k is None:
            scale = Fraction(0) if len(m) == len(m[0]) else scale
            continue
        if k != row:
            m[row], m[k], scale = m[k], m[row], -scale
        scale *= m[row][c]
        m[row] = [x / m[row][c] for x in m[row]]
        for i in range(len(m)):
            if i != row and m[i][c]:
                m[i] = [x - m[i][c] * y for x, y in zip(m[i], m[row], strict=True)]
        pivots.append(c)
        row += 1
        if row == len(m):
            break
    return m, pivots, scale if len(pivots) == len(m) else Fraction(0)


def identity(n: int) -> Matrix:
    return [[Fraction(i == j) for j in range(n)] for i in range(n)]


def exactly(truth: Callable[[Any], bool]) -> Callable[[Result], str]:
    """The judge of a value of Fractions."""

    def judge(result: Result) -> str:
        try:
            return RIGHT if truth(fractions(result.value)) else WRONG
        except NoNumber:
            return UNEVALUATED if "[" in result.text else WRONG

    return judge


def _square(rng: random.Random) -> Matrix:
    n = rng.randint(1, 5)
    return random_matrix(rng, n, n)


def _det(rng: random.Random) -> Case:
    m = _square(rng)
    return Case("wolfram", f"Det[{text(m)}]", exactly(lambda v: v == echelon(m)[2]))


def _inverse(rng: random.Random) -> Case:
    m = _square(rng)
    return Case(
        "wolfram", f"Inverse[{text(m)}]", exactly(lambda v: echelon(m)[2] != 0 and dot(m, v) == identity(len(m)))
    )


def _linear_solve(rng: random.Random) -> Case:
    m = random_matrix(rng, rng.randint(1, 4), rng.randint(1, 4))
    if rng.random() < 0.7:
        b = dot(m, [[Fraction(rng.randint(-5, 5))] for _ in m[0]])
    else:
        b = [[Fraction(rng.randint(-5, 5))] for _ in m]
    solves = exactly(lambda v: dot(m, [[x] for x in v]) == b)
    return Case("wolfram", f"LinearSolve[{text(m)}, {text([r[0] for r in b])}]", solves)


def _null_space(rng: random.Random) -> Case:
    m = random_matrix(rng, rng.randint(1, 4), rng.randint(1, 5))

    def spans(v: Any) -> bool:
        missing = len(m[0]) - len(echelon(m)[1])
        if len(v) != missing:
            return False
        return not v or (
            all(x == 0 for r in dot(m, [list(c) for c in zip(*v, strict=True)]) for x in r)
            and len(echelon(v)[1]) == missing
        )

    return Case("wolfram", f"NullSpace[{text(m)}]", exactly(spans))


def _rank(rng: random.Random) -> Case:
    m = random_matrix(rng, rng.randint(1, 5), rng.randint(1, 5))
    if rng.random() < 0.5:
        return Case("wolfram", f"MatrixRank[{text(m)}]", exactly(lambda v: v == len(echelon(m)[1])))
    return Case("wolfram", f"RowReduce[{text(m)}]", exactly(lambda v: v == echelon(m)[0]))


def _power(rng: random.Random) -> Case:
    m, n = _square(rng), rng.randint(-2, 6)

    def truth(v: Any) -> bool:
        if n < 0 and echelon(m)[2] == 0:
            return False
        product = identity(len(m))
        for _ in range(abs(n)):
            product = dot(product, m)
        return v == product if n >= 0 else dot(product, v) == identity(len(m))

    return Case("wolfram", f"MatrixPower[{text(m)}, {n}]", exactly(truth))


def _products(rng: random.Random) -> Case:
    m, k = random_matrix(rng, rng.randint(1, 4), 3), random_matrix(rng, 3, rng.randint(1, 4))
    which = rng.randrange(3)
    if which == 0:
        return Case("wolfram", f"{text(m)} . {text(k)}", exactly(lambda v: v == dot(m, k)))
    if which == 1:
        return Case("wolfram", f"Transpose[{text(m)}]", exactly(lambda v: v == [list(c) for c in zip(*m, strict=True)]))
    s = _square(rng)
    return Case("wolfram", f"Tr[{text(s)}]", exactly(lambda v: v == sum(s[i][i] for i in range(len(s)))))


def _eigenvalues(rng: random.Random) -> Case:
    n = rng.randint(1, 4)
    m = random_matrix(rng, n, n)

    def judge(result: Result) -> str:
        with mp.workdps(60):
            try:
                found = [(number(a),) for a in result.value[1:]]
            except NoNumber:
                return UNEVALUATED
            wanted, _ = mpmath.eig(mpmath.matrix([[mpq(x) for x in r] for r in m]))
            # mpmath splits a k-fold root by the k-th root of its error
            return RIGHT if len(found) == n and match(found, [(w,) for w in wanted], mpf(10) ** -10) else WRONG

    return Case("wolfram", f"Eigenvalues[{text(m)}]", judge)


def _eigenvectors(rng: random.Random) -> Case:
    n = rng.randint(2, 3)
    m = random_matrix(rng, n, n)

    def judge(result: Result) -> str:
        with mp.workdps(40):
            try:
                values = [number(a) for a in result.value[1][1:]]
                vectors = [[number(x) for x in v[1:]] for v in result.value[2][1:]]
            except (NoNumber, IndexError, TypeError):
                return UNEVALUATED
            for w, v in zip(values, vectors, strict=True):
                image = [mpmath.fsum([mpq(x) * y for x, y in zip(r, v, strict=True)]) for r in m]
                if any(abs(a - w * b) > mpf(10) ** -20 * (1 + abs(a)) for a, b in zip(image, v, strict=True)):
                    return WRONG
            lost = [
                w
                for w in values
                if all(mpmath.almosteq(w, u) <= all(x == 0 for x in v) for u, v in zip(values, vectors, strict=True))
            ]
        return RIGHT if len(vectors) == n and not lost else WRONG

    return Case("wolfram", f"Eigensystem[{text(m)}]", judge)


KIND = {
    "matrices.det": Kind(_det, least=0.9),
    "matrices.inverse": Kind(_inverse, least=0.4),
    "matrices.linear_solve": Kind(_linear_solve, least=0.5),
    "matrices.null_space": Kind(_null_space, least=0.9),
    "matrices.rank": Kind(_rank, least=0.9),
    "matrices.power": Kind(_power, least=0.6),
    "matrices.products": Kind(_products, least=0.9),
    "matrices.eigenvalues": Kind(_eigenvalues, least=0.5, few=6),
    "matrices.eigensystem": Kind(_eigenvectors, least=0.3, few=6),
}
