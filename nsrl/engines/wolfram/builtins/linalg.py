"""Linear algebra on lists: products, norms, determinants, systems, ranks.

Rows reduce natively on exact numbers and over fractions of polynomials; what else there is goes over the bridge.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, has_head, is_list, lst, mk
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def rows(e: Any) -> list[list[Any]] | None:
    """A matrix as rows, or None."""
    if not is_list(e) or not e.args or not all(is_list(r) and len(r.args) == len(e.args[0].args) for r in e.args):
        return None
    if not e.args[0].args or any(is_list(x) for r in e.args for x in r.args):
        return None
    return [list(r.args) for r in e.args]


def vector(e: Any) -> list[Any] | None:
    """A vector's elements, or None."""
    return list(e.args) if is_list(e) and not any(is_list(x) for x in e.args) else None


def matrix(m: list[list[Any]]) -> Expr:
    """Rows as a list of lists."""
    return lst(lst(r) for r in m)


def plain(m: list[list[Any]]) -> bool:
    """Whether every element is a real number."""
    return all(isinstance(x, (int, Fraction, float)) for r in m for x in r)


def square(ev: Evaluator, e: Any, name: str) -> list[list[Any]] | None:
    """The rows of a square matrix; None, with a message in the name of `name`, for anything else."""
    m = rows(e)
    if m is None or len(m) != len(m[0]):
        ev.message(name, "matsq", f"Argument {ev.text(e)} at position 1 is not a non-empty square matrix.")
        return None
    return m


def total(ev: Evaluator, terms: list[Any]) -> Any:
    """The sum of the terms, evaluated."""
    return ev.eval(Expr(S.Plus, tuple(terms)))


def reduced(m: list[list[Any]]) -> tuple[list[list[Any]], list[int]]:
    """Reduced row echelon form of numbers, and the pivot columns."""
    m = [[Fraction(x) if isinstance(x, int) else x for x in r] for r in m]
    pivots: list[int] = []
    row = 0
    for c in range(len(m[0])):
        k = max(range(row, len(m)), key=lambda i: abs(m[i][c]), default=None) if row < len(m) else None
        if k is None:
            break
        if m[k][c] == 0 or (isinstance(m[k][c], float) and abs(m[k][c]) < 1e-13):
            continue
        m[row], m[k] = m[k], m[row]
        p = m[row][c]
        m[row] = [x / p for x in m[row]]
        for i in range(len(m)):
            if i != row and m[i][c] != 0:
                f = m[i][c]
                m[i] = [x - f * y for x, y in zip(m[i], m[row])]
        pivots.append(c)
        row += 1
    return m, pivots


def tidy(x: Any) -> Any:
    """A fraction with denominator 1 as an integer."""
    return x.numerator if isinstance(x, Fraction) and x.denominator == 1 else x


def to_matrix(b: Bridge, m: list[list[Any]]) -> Any:
    """Rows as a matrix of SymPy's."""
    return sympy().Matrix([[b.to_sympy(x) for x in r] for r in m])


def from_matrix(ev: Evaluator, b: Bridge, m: Any) -> Expr:
    """A matrix of SymPy's as a list of lists."""
    return lst(lst(ev.eval(b.from_sympy(m[i, j])) for j in range(m.cols)) for i in range(m.rows))


@builtin("Dot", "Flat OneIdentity")
def dot(ev: Evaluator, args: tuple) -> Any:
    if len(args) < 2:
        return args[0] if args else None
    out = args[0]
    for b in args[1:]:
        out = _dot(ev, out, b)
        if out is None:
            return None
    return out


def _dot(ev: Evaluator, a: Any, b: Any) -> Any:
    if not is_list(a) or not is_list(b):
        return None
    va, vb = vector(a), vector(b)
    ma, mb = (None if va is not None else rows(a)), (None if vb is not None else rows(b))
    left = ma if ma is not None else [va] if va is not None else None
    right = mb if mb is not None else [[x] for x in vb] if vb is not None else None
    if left is None or right is None:
        return None
    if len(left[0]) != len(right):
        ev.message("Dot", "dotsh", f"Tensors {ev.text(a)} and {ev.text(b)} have incompatible shapes.")
        return None
    ev.step(len(left) * len(right) * len(right[0]) // 8 + 1)
    out = [
        [total(ev, [mk(S.Times, x, right[k][j]) for k, x in enumerate(r)]) for j in range(len(right[0]))] for r in left
    ]
    if va is not None and vb is not None:
        return out[0][0]
    if va is not None:
        return lst(out[0])
    return lst(r[0] for r in out) if vb is not None else matrix(out)


@builtin("Cross", arity=(1, None))
def cross(ev: Evaluator, args: tuple) -> Any:
    v = [vector(a) for a in args]
    if None in v:
        return None
    if len(v) == 1 and len(v[0]) == 2:
        x, y = v[0]
        return ev.eval(lst((mk(S.Times, -1, y), x)))
    if len(v) != 2 or len(v[0]) != 3 or len(v[1]) != 3:
        ev.message("Cross", "nonn1", "The arguments are expected to be vectors of equal length, and the number of "
        "arguments is "
                   "expected to be 1 less than their length.")  # fmt: skip
        return None
    (a, b, c), (x, y, z) = v

    def part(p: Any, q: Any, r: Any, s: Any) -> Any:
        return mk(S.Plus, mk(S.Times, p, q), mk(S.Times, -1, r, s))

    return ev.eval(lst((part(b, z, c, y), part(c, x, a, z), part(a, y, b, x))))


@builtin("Norm", arity=(1, 2))
def norm(ev: Evaluator, args: tuple) -> Any:
    v = vector(args[0])
    p = args[1] if len(args) == 2 else 2
    if v is None:
        if rows(args[0]) is not None:
            m = rows(args[0])
            if p == "Frobenius":
                return ev.eval(mk(S.Sqrt, Expr(S.Plus, tuple(mk(S.Power, mk(S.Abs, x), 2) for r in m for x in r))))
            return None
        return ev.eval(mk(S.Abs, args[0])) if (not is_list(args[0]) and isinstance(args[0], (int, float,
        Fraction))) or has_head(
            args[0], COMPLEX) else None  # fmt: skip
    if p is S.Infinity:
        return ev.eval(Expr(S.Max, tuple(mk(S.Abs, x) for x in v)))
    if p == 1:
        return total(ev, [mk(S.Abs, x) for x in v])
    if type(p) is not int and type(p) is not Fraction:
        return None
    if p == 2:
        return ev.eval(mk(S.Sqrt, Expr(S.Plus, tuple(mk(S.Power, mk(S.Abs, x), 2) for x in v))))
    return ev.eval(mk(S.Power, Expr(S.Plus, tuple(mk(S.Power, mk(S.Abs, x), p) for x in v)), mk(S.Power, p, -1)))


@builtin("Normalize", arity=(1, 2))
def normalize(ev: Evaluator, args: tuple) -> Any:
    n = ev.call(args[1] if len(args) == 2 else S.Norm, args[0])
    return args[0] if n == 0 else ev.eval(mk(S.Times, args[0], mk(S.Power, n, -1)))


@builtin("Det", arity=1, options="Modulus")
def det(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "Det")
    return None if m is None else determinant(ev, m)


def determinant(ev: Evaluator, m: list[list[Any]]) -> Any:
    """The determinant: of numbers directly, of trees by expansion or SymPy."""
    n = len(m)
    if plain(m):
        if any(isinstance(x, float) for r in m for x in r):
            return _float_det([[float(x) for x in r] for r in m])
        a = [[Fraction(x) for x in r] for r in m]
        out = Fraction(1)
        for i in range(n):
            k = next((r for r in range(i, n) if a[r][i]), None)
            if k is None:
                return 0
            if k != i:
                a[i], a[k], out = a[k], a[i], -out
            out *= a[i][i]
            for r in range(i + 1, n):
                f = a[r][i] / a[i][i]
                if f:
                    a[r] = [x - f * y for x, y in zip(a[r], a[i])]
        return tidy(out)
    if n == 1:
        return m[0][0]
    if n > 8:
        return None

    def minor(cols: tuple, row: int) -> Any:
        if len(cols) == 1:
            return m[row][cols[0]]
        terms = []
        for i, c in enumerate(cols):
            if m[row][c] == 0:
                continue
            terms.append(mk(S.Times, (-1) ** i, m[row][c], minor(cols[:i] + cols[i + 1 :], row + 1)))
        return Expr(S.Plus, tuple(terms)) if terms else 0

    return ev.eval(mk(S.Expand, minor(tuple(range(n)), 0)))


def _float_det(a: list[list[float]]) -> float:
    out = 1.0
    n = len(a)
    for i in range(n):
        k = max(range(i, n), key=lambda r: abs(a[r][i]))
        if a[k][i] == 0:
            return 0.0
        if k != i:
            a[i], a[k], out = a[k], a[i], -out
        out *= a[i][i]
        for r in range(i + 1, n):
            f = a[r][i] / a[i][i]
            a[r] = [x - f * y for x, y in zip(a[r], a[i])]
    return out


@builtin("Inverse", arity=1, options="Modulus")
def inverse(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "Inverse")
    if m is None:
        return None
    n = len(m)
    if plain(m):
        wide = [[*r, *[1 if i == j else 0 for j in range(n)]] for i, r in enumerate(m)]
        out, pivots = reduced(wide)
        if pivots[:n] != list(range(n)):
            ev.message("Inverse", "sing", f"Matrix {ev.text(args[0])} is singular.")
            return None
        return matrix([[tidy(x) for x in r[n:]] for r in out])
    d = determinant(ev, m)
    if d == 0:
        ev.message("Inverse", "sing", f"Matrix {ev.text(args[0])} is singular.")
        return None
    if d is None:
        return None

    def cofactor(i: int, j: int) -> Any:
        rest = [[x for c, x in enumerate(r) if c != i] for k, r in enumerate(m) if k != j]
        return ev.eval(mk(S.Times, (-1) ** (i + j), determinant(ev, rest) if rest else 1, mk(S.Power, d, -1)))

    return matrix([[cofactor(i, j) for j in range(n)] for i in range(n)])


@builtin("LinearSolve", arity=2)
def linear_solve(ev: Evaluator, args: tuple) -> Any:
    m, v = rows(args[0]), vector(args[1])
    if m is None:
        return None
    columns = [[x] for x in v] if v is not None else rows(args[1])
    if columns is None or len(columns) != len(m):
        return None
    n = len(m[0])
    wide = [[*r, *b] for r, b in zip(m, columns)]
    if plain(wide):
        out, pivots = reduced(wide)
    else:
        b = Bridge()
        try:
            found, places = guarded(to_matrix(b, wide).rref)
            out = [list(r.args) for r in from_matrix(ev, b, found).args]
            out = [[ev.eval(mk(S.Together, x)) for x in r] for r in out]
            pivots = list(places)
        except NotBridged:
            return None
    if pivots and pivots[-1] >= n:
        ev.message("LinearSolve", "nosol", "Linear equation encountered that has no solution.")
        return None
    width = len(columns[0])
    solution = [[0] * width for _ in range(n)]
    for row, c in enumerate(pivots):
        solution[c] = [tidy(x) for x in out[row][n:]]
    return lst(r[0] for r in solution) if v is not None else matrix(solution)


@builtin("RowReduce", arity=1)
def row_reduce(ev: Evaluator, args: tuple) -> Any:
    m = rows(args[0])
    if m is None:
        return None
    if plain(m):
        return matrix([[tidy(x) for x in r] for r in reduced(m)[0]])
    b = Bridge()
    try:
        found, _ = guarded(to_matrix(b, m).rref)
        return ev.eval(from_matrix(ev, b, found))
    except NotBridged:
        return None


@builtin("MatrixRank", arity=1)
def matrix_rank(ev: Evaluator, args: tuple) -> Any:
    m = rows(args[0])
    if m is None:
        return None
    if plain(m):
        return len(reduced(m)[1])
    b = Bridge()
    try:
        return int(guarded(to_matrix(b, m).rank))
    except NotBridged:
        return None


@builtin("NullSpace", arity=1)
def null_space(ev: Evaluator, args: tuple) -> Any:
    m = rows(args[0])
    if m is None or not plain(m):
        return None
    out, pivots = reduced(m)
    n = len(m[0])
    free = [c for c in range(n) if c not in pivots]
    basis = []
    for f in reversed(free):
        v = [Fraction(0)] * n
        v[f] = Fraction(1)
        for row, c in enumerate(pivots):
            v[c] = -out[row][f]
        k = 1
        for x in v:
            if isinstance(x, Fraction):
                k = k * x.denominator // _gcd(k, x.denominator)
        basis.append(lst(tidy(x * k) for x in v))
    return lst(basis)


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


@builtin("Tr", arity=(1, 2))
def trace(ev: Evaluator, args: tuple) -> Any:
    m = rows(args[0])
    if m is None:
        v = vector(args[0])
    else:
        v = [m[i][i] for i in range(min(len(m), len(m[0])))]
    return None if v is None else ev.eval(Expr(args[1] if len(args) == 2 else S.Plus, tuple(v)))


@builtin("IdentityMatrix", arity=1)
def identity_matrix(ev: Evaluator, args: tuple) -> Any:
    n, m = args[0].args if is_list(args[0]) and len(args[0].args) == 2 else (args[0], args[0])
    if type(n) is not int or type(m) is not int or n < 0 or m < 0:
        return None
    ev.need_length(n * m)
    return matrix([[int(i == j) for j in range(m)] for i in range(n)])


@builtin("DiagonalMatrix", arity=(1, 2))
def diagonal_matrix(ev: Evaluator, args: tuple) -> Any:
    v = vector(args[0])
    k = args[1] if len(args) > 1 else 0
    if v is None or type(k) is not int:
        return None
    n = len(v) + abs(k)
    ev.need_length(n * n)
    return matrix([[v[min(i, j)] if j - i == k else 0 for j in range(n)] for i in range(n)])


@builtin("Diagonal", arity=(1, 2))
def diagonal(ev: Evaluator, args: tuple) -> Any:
    m = rows(args[0])
    k = args[1] if len(args) == 2 else 0
    if m is None or type(k) is not int:
        return None
    return lst(m[i][i + k] for i in range(len(m)) if 0 <= i + k < len(m[0]))


@builtin("MatrixPower", arity=(2, 3))
def matrix_power(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "MatrixPower")
    n = args[1]
    if m is None or type(n) is not int or abs(n) > 100_000:
        return None
    base = args[0]
    if n < 0:
        base = ev.eval(mk(S.Inverse, base))
        if rows(base) is None:
            return None
        n = -n
    out = matrix([[1 if i == j else 0 for j in range(len(m))] for i in range(len(m))])
    while n:
        if n & 1:
            out = _dot(ev, out, base)
        n >>= 1
        if n:
            base = _dot(ev, base, base)
    return out if len(args) == 2 else _dot(ev, out, args[2])


@builtin("MatrixExp", arity=1)
def matrix_exp(ev: Evaluator, args: tuple) -> Any:
    m = square(ev, args[0], "MatrixExp")
    b = Bridge()
    try:
        return None if m is None else from_matrix(ev, b, guarded(to_matrix(b, m).exp))
    except NotBridged:
        return None


@builtin("Orthogonalize", arity=1)
def orthogonalize(ev: Evaluator, args: tuple) -> Any:
    m = rows(args[0])
    if m is None:
        return None
    out: list[Any] = []
    for r in m:
        v: Any = lst(r)
        for u in out:
            v = ev.eval(mk(S.Plus, v, mk(S.Times, -1, mk(S.Dot, lst(r), u), u)))
        v = ev.eval(mk(S.Simplify, v))
        out.append(ev.eval(mk(S.Normalize, v)))
    return lst(out)


@builtin("Projection", arity=2)
def projection(ev: Evaluator, args: tuple) -> Any:
    u, v = args[:2]
    if vector(u) is None or vector(v) is None:
        return None
    return ev.eval(mk(S.Times, mk(S.Dot, u, v), mk(S.Power, mk(S.Dot, v, v), -1), v))


@builtin("MatrixQ SquareMatrixQ VectorQ SymmetricMatrixQ", arity=(1, 2))
def shape_q(ev: Evaluator, args: tuple) -> Any:
    return None


def _shape(kind: str):
    from nsrl.engines.wolfram.expr import boolean

    def handler(ev: Evaluator, args: tuple) -> Any:
        m = rows(args[0])
        if kind == "vector":
            ok = vector(args[0]) is not None
            if ok and len(args) == 2:
                ok = all(ev.true(args[1], x) for x in args[0].args)
        elif kind == "matrix":
            ok = m is not None and (len(args) == 1 or all(ev.true(args[1], x) for r in m for x in r))
        elif kind == "square":
            ok = m is not None and len(m) == len(m[0])
        else:
            ok = (
                m is not None
                and len(m) == len(m[0])
                and all(m[i][j] == m[j][i] for i in range(len(m)) for j in range(i))
            )
        return boolean(ok)

    return handler


for _n, _k in (
    ("MatrixQ", "matrix"),
    ("SquareMatrixQ", "square"),
    ("VectorQ", "vector"),
    ("SymmetricMatrixQ", "symmetric"),
):
    TABLE[_n].handler = _shape(_k)


@builtin("KroneckerProduct", arity=2)
def kronecker_product(ev: Evaluator, args: tuple) -> Any:
    a, b = rows(args[0]), rows(args[1])
    if a is None or b is None:
        return None
    return ev.eval(matrix([[mk(S.Times, x, y) for x in ra for y in rb] for ra in a for rb in b]))
