"""The bridge: trees cross, strings never do."""

import ast
from fractions import Fraction
from pathlib import Path

import pytest

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.expr import COMPLEX, S, lst, mk, sym
from nsrl.engines.wolfram.poly import NotPolynomial, Ring
from nsrl.engines.wolfram.solving import solve

X, Y = sym("x"), sym("y")
TREES = [
    3, Fraction(2, 3), 0.5, X, S.Pi, S.E, S.Infinity, mk(COMPLEX, 0, 1), mk(S.Sin, X), mk(S.Log, X), mk(S.ArcTan, X),
    mk(S.Power, X, Y), mk(S.Factorial, X), mk(S.Less, X, Y), mk(sym("f"), X), mk(S.Erf, X), mk(S.Abs, X),
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_there_and_back(tree):
    b = bridge.Bridge()
    assert b.from_sympy(b.to_sympy(tree)) == tree


def test_what_sympy_lacks_crosses_as_it_is():
    b = bridge.Bridge()
    strange = mk(S.ToExpression, "__import__('os')")
    assert b.from_sympy(b.to_sympy(mk(S.Power, strange, 2))) == mk(S.Power, strange, 2)


def test_no_file_evaluates_strings():
    engine = Path(bridge.__file__).parents[1]
    banned = {"sympify", "S", "parse_expr", "lambdify", "eval", "exec", "parse_mathematica"}
    files = [
        *(engine / "nsl").glob("*.py"),
        engine / "wolfram" / "bridge.py",
        *(engine / "wolfram" / "builtins").glob("*.py"),
    ]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                plain = isinstance(node.func, ast.Name) or getattr(node.func.value, "id", "") in ("sp", "sympy")
                assert not (plain and name in banned), f"{file.name}:{node.lineno} calls {name}"


def test_sympy_is_imported_in_one_file():
    package = Path(bridge.__file__).parent
    for file in package.rglob("*.py"):
        if file.name != "bridge.py":
            names = {
                a.name for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Import) for a in n.names
            }
            names |= {n.module for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom)}
            assert not any(n and n.split(".")[0] == "sympy" for n in names), file.name


def _poly(ring, e):
    return ring.ratio(e)[0]


def test_native_systems():
    ring = Ring()
    equations = [_poly(ring, mk(S.Plus, mk(S.Times, X, Y), -12)), _poly(ring, mk(S.Plus, X, Y, -7))]
    found = solve(ring, equations, [ring.gen(X), ring.gen(Y)])
    assert sorted(ring.number(s[ring.gen(X)]) for s in found) == [3, 4]


def test_native_arithmetic_is_exact_over_radicals():
    ring = Ring()
    root = ring.poly(mk(S.Plus, 1, mk(S.Sqrt, 2), mk(S.Sqrt, 6)))
    one = ring.mul(root, ring.inverse(root))
    assert ring.number(one) == 1
    assert ring.real(root) == pytest.approx(1 + 2**0.5 + 6**0.5)


def test_what_is_no_polynomial_is_refused():
    with pytest.raises(NotPolynomial):
        Ring().ratio(mk(S.Sin, X))
    with pytest.raises(NotPolynomial):
        Ring().ratio(lst((1, 2)))
