"""Numeric search from a start: FindRoot, FindMinimum, FindMaximum, and CountRoots. What did not converge has no
value."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import confirm
from nsrl.engines.wolfram.bridge import guarded, sympy
from nsrl.engines.wolfram.compiled import NotNumeric, compiled
from nsrl.engines.wolfram.expr import COMPLEX, S, Symbol, has_head, is_list, lst, mk, norm, rule
from nsrl.engines.wolfram.polish import polished
from nsrl.engines.wolfram.roots import polynomial_in
from nsrl.engines.wolfram.solver import as_difference, rationalized
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
STEPS = 120


def _is_name(e: Any) -> bool:
    return type(e) is Symbol and e.builtin is None


def _starts(ev: Evaluator, spec: Any, free: bool = False) -> tuple[list[Symbol], list[Any], list[tuple]] | None:
    """Names, start values and (low, high) bounds of {x, x0}, {x, x0, low, high}, {x, x0, x1} or a list of these; free:
    or of a list of names, which start at 1."""
    spec = ev.eval(spec) if not is_list(spec) else spec
    listed = is_list(spec) and spec.args and all(map(is_list, spec.args))
    specs = list(spec.args) if listed or (free and is_list(spec) and all(map(_is_name, spec.args))) else [spec]
    names, at, bounds = [], [], []
    for s in specs:
        if type(s) is Symbol:
            s = lst((s, 1))
        if not is_list(s) or not 2 <= len(s.args) <= 4 or type(s.args[0]) is not Symbol:
            return None
        values = [_complex(ev.eval(mk(S.N, v))) for v in s.args[1:]]
        if None in values:
            return None
        names.append(s.args[0])
        at.append(values[0])
        bounds.append(tuple(values[1:3]) if len(values) == 3 else (float("-inf"), float("inf")))
    return names, at, bounds


@builtin("FindRoot", "HoldAll", arity=(2, 3), options="MaxIterations")
def find_root(ev: Evaluator, args: tuple) -> Any:
    parsed = _starts(ev, args[1])
    most = STEPS if len(args) < 3 else ev.eval(args[2].args[1]) if has_head(args[2], S.Rule) else None
    if parsed is None or type(most) is not int or most < 1:
        return None
    names, starts, bounds = parsed
    equations = ev.eval(args[0])
    if has_head(equations, S.And):
        equations = lst(equations.args)
    differences = [ev.eval(as_difference(e)) for e in (equations.args if is_list(equations) else [equations])]
    if len(differences) == 1 and is_list(differences[0]):
        differences = list(differences[0].args)
    if len(differences) != len(names):
        return None
    point = newton(ev, differences, names, starts, bounds, min(most, STEPS))
    if point is None:
        ev.message("FindRoot", "cvmit", "Failed to converge to the requested accuracy or precision.")
        return None
    return lst(rule(n, _number(v)) for n, v in zip(names, point))


def newton(
    ev: Evaluator,
    differences: list[Any],
    names: list[Symbol],
    starts: list[Any],
    bounds: list[tuple],
    most: int = STEPS,
) -> list[Any] | None:
    """A zero by Newton's method with at most so many steps, halved until the residual falls, or None."""
    jacobian = [[ev.eval(mk(S.D, d, n)) for n in names] for d in differences]

    def at(e: Any, point: list[Any]) -> Any:
        return _at(ev, e, names, point)

    def size(values: list[Any]) -> float:
        return float("inf") if None in values else max(map(abs, values))

    point = list(starts)
    values = [at(d, point) for d in differences]
    for _ in range(most):
        ev.step(10)
        here = size(values)
        if here == float("inf"):
            return None
        slopes = [[at(j, point) for j in row] for row in jacobian]
        if any(v is None for row in slopes for v in row):
            return None
        step = _linear(slopes, values) if here else [0.0] * len(names)
        if step is None:
            point = [p + 1e-3 * (1 + abs(p)) for p in point]
            values = [at(d, point) for d in differences]
            continue
        if all(abs(s) <= 1e-15 * (1 + abs(p)) for s, p in zip(step, point)):
            break
        scale = 1.0
        for _ in range(40):
            new = [p - scale * s for p, s in zip(point, step)]
            found = [at(d, new) for d in differences] if _inside(new, bounds) else [None]
            if size(found) < here or (size(found) == here and scale == 1.0):
                break
            scale /= 2
        else:
            break
        point, values = new, found
    else:
        if most < STEPS:
            return None
    root = _proved(ev, differences, jacobian, names, point)
    return root if root is not None and _inside(root, bounds) else None


def _at(ev: Evaluator, e: Any, names: list[Symbol], point: list[Any]) -> Any:
    ev.quiet += 1
    try:
        return _complex(ev.eval(mk(S.N, mk(S.ReplaceAll, e, lst(rule(n, _number(v)) for n, v in zip(names, point))))))
    finally:
        ev.quiet -= 1


def _proved(
    ev: Evaluator, differences: list[Any], jacobian: list[list[Any]], names: list[Symbol], point: list[Any]
) -> list[Any] | None:
    """The root beside the point where a search stopped; None where there is none, only small values."""
    exact = [rationalized(d) for d in differences]
    if not any(isinstance(p, complex) for p in point):  # a simple number that solves exactly
        simple = [Fraction(p).limit_denominator(100) for p in point]
        if all(abs(s - p) <= 1e-4 * (1 + abs(p)) for s, p in zip(simple, point)):
            rules = lst(rule(n, norm(s)) for n, s in zip(names, simple))
            ev.quiet += 1
            try:
                if all(ev.eval(mk(S.ReplaceAll, d, rules)) == 0 for d in exact):
                    return [float(s) for s in simple]
            finally:
                ev.quiet -= 1
    try:
        functions = [compiled(d, tuple(names)) for d in exact]
        slopes = [[compiled(rationalized(j), tuple(names)) for j in row] for row in jacobian]
    except NotNumeric:
        return point if len(point) == 1 and _crosses(ev, differences[0], names, point[0]) else None
    root = polished(functions, slopes, point)
    return None if root is None else [complex(v) if v.imag else float(v.real) for v in root]


def _crosses(ev: Evaluator, f: Any, names: list[Symbol], x: Any) -> bool:
    """Whether a real function only the evaluator computes changes its sign at x, and is the smaller the nearer."""
    before = None
    for h in (1e-6, 1e-9, 1e-12):
        low, high = (_at(ev, f, names, [x + side * h * abs(x)]) for side in (-1, 1))
        if not (isinstance(low, float) and isinstance(high, float) and low * high < 0):
            return False
        if before is not None and max(abs(low), abs(high)) > 0.1 * before:
            return False
        before = max(abs(low), abs(high))
    return True


def _inside(point: list[Any], bounds: list[tuple]) -> bool:
    return all(isinstance(p, complex) or low <= p <= high for p, (low, high) in zip(point, bounds))


def _number(v: Any) -> Any:
    if isinstance(v, complex):
        return float(v.real) if abs(v.imag) < 1e-14 * (1 + abs(v.real)) else mk(COMPLEX, v.real, v.imag)
    return float(v)


def _complex(e: Any) -> Any:
    if isinstance(e, (int, float, Fraction)):
        v: Any = float(e)
    elif has_head(e, COMPLEX) and all(isinstance(a, (int, float, Fraction)) for a in e.args):
        v = complex(float(e.args[0]), float(e.args[1]))
    else:
        return None
    return v if abs(v) < 1e300 else None


def _linear(a: list[list[Any]], b: list[Any]) -> list[Any] | None:
    n = len(b)
    m = [[*row, v] for row, v in zip(a, b)]
    for i in range(n):
        k = max(range(i, n), key=lambda r: abs(m[r][i]))
        if abs(m[k][i]) < 1e-300:
            return None
        m[i], m[k] = m[k], m[i]
        for r in range(n):
            if r != i:
                f = m[r][i] / m[i][i]
                m[r] = [x - f * y for x, y in zip(m[r], m[i])]
    return [m[i][n] / m[i][i] for i in range(n)]


def _descend(ev: Evaluator, args: tuple, down: int) -> Any:
    parsed = _starts(ev, args[1], free=True)
    f = ev.eval(args[0])
    if parsed is None:
        return None
    names, starts, _ = parsed
    if is_list(f):  # with constraints: the global extremum is a local one
        exact = ev.eval(mk(S.NMinimize if down > 0 else S.NMaximize, f, lst(names)))
        return exact if is_list(exact) else None
    gradient = [ev.eval(mk(S.D, f, n)) for n in names]

    def value(p: list[float]) -> float | None:
        v = ev.eval(mk(S.N, mk(S.ReplaceAll, f, lst(rule(n, x) for n, x in zip(names, p)))))
        return down * v if isinstance(v, (int, float)) else None

    point = [s for s in starts if isinstance(s, float)]
    best = value(point) if len(point) == len(names) else None
    if best is None:
        return None
    step = 0.1
    for _ in range(400):  # along the gradient with steps that grow while they help, then Newton on the gradient
        ev.step(10)
        rules = lst(rule(n, x) for n, x in zip(names, point))
        g = [_complex(ev.eval(mk(S.N, mk(S.ReplaceAll, d, rules)))) for d in gradient]
        if any(not isinstance(v, float) for v in g):
            return None
        size = sum(v * v for v in g) ** 0.5
        if size < 1e-9:
            break
        new = [x - down * step * v / max(size, 1e-12) for x, v in zip(point, g)]
        v = value(new)
        if v is not None and v < best:
            point, best, step = new, v, min(step * 2, 1e3)
        else:
            step /= 3
            if step < 1e-9:
                break
        if best < -1e15:
            return None
    root = newton(ev, gradient, names, point, [(x - 0.1 * (1 + abs(x)), x + 0.1 * (1 + abs(x))) for x in point])
    if root is None or any(isinstance(x, complex) for x in root):
        return None
    low = value(root)
    for i in range(len(root)):
        for h in (1e-3, -1e-3):
            near = value([x + (h * (1 + abs(x)) if k == i else 0) for k, x in enumerate(root)])
            if low is None or near is None or near < low - 1e-12 * (1 + abs(low)):
                return None
    return lst((down * low + 0.0, lst(rule(n, x) for n, x in zip(names, root))))


@builtin("FindMinimum", "HoldAll", arity=2)
def find_minimum(ev: Evaluator, args: tuple) -> Any:
    return _descend(ev, args, 1)


@builtin("FindMaximum", "HoldAll", arity=2)
def find_maximum(ev: Evaluator, args: tuple) -> Any:
    return _descend(ev, args, -1)


@builtin("CountRoots", arity=2)
def count_roots(ev: Evaluator, args: tuple) -> Any:
    """How many real roots a polynomial with rational coefficients has, ends of a range included; without multiple
    ones."""
    x, *ends = args[1].args if is_list(args[1]) else (args[1],)
    if type(x) is not Symbol or len(ends) not in (0, 2) or not polynomial_in(args[0], x):
        return None
    c = ev.call(S.CoefficientList, args[0], x)
    if not is_list(c) or not 1 < len(c.args) <= 200 or not all(type(a) in (int, Fraction) for a in c.args):
        return None
    low, high = (None if confirm.infinite(t) else t for t in ends) if ends else (None, None)
    if any(t is not None and type(t) not in (int, Fraction) for t in (low, high)) or (
        None not in (low, high) and low > high
    ):
        return None
    if ends and (ends[0] is S.Infinity or (high is None and ends[1] is not S.Infinity)):
        return None
    sp = sympy()
    p = sp.Poly([sp.Rational(a.numerator, a.denominator) for a in reversed(c.args)], sp.Symbol("x"))
    if not p.is_sqf:
        return None  # whether multiple roots count once is not settled here
    return int(
        guarded(p.count_roots, *(None if t is None else sp.Rational(t.numerator, t.denominator) for t in (low, high)))
    )
