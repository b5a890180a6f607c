"""Calculus: closed forms that numbers confirm, and silence where there is no value."""

import pytest
from mpmath import mp, mpf

from nsrl.engines.result import Limits
from nsrl.engines.wolfram import builtins, confirm, converging, evaluate
from nsrl.engines.wolfram.evaluator import Evaluator
from nsrl.engines.wolfram.expr import S, sym
from nsrl.engines.wolfram.parser import parse

PATIENT = Limits(cpu_s=20.0, steps=2_000_000)  # the first call of SymPy counts its import


@pytest.mark.parametrize(
    "program",
    [
        "Integrate[1/x, {x, -1, 2}]", "Integrate[1/x, {x, -1, 1}]", "Integrate[1/x^2, {x, -1, 1}]",
        "Integrate[Tan[x], {x, 0, Pi}]",
        "Integrate[Sin[x], {x, 0, Infinity}]", "Integrate[x/(1+x^2), {x, -Infinity, Infinity}]",
        "NIntegrate[1/x, {x, -1, 1}]",
        "NIntegrate[1/x^2, {x, 0, 1}]", "Sum[1/k, {k, 1, Infinity}]", "Sum[(-1)^k, {k, 0, Infinity}]",
        "Sum[k, {k, 1, Infinity}]",
        "NSum[1/k, {k, 1, Infinity}]", "Product[1 + 1/k, {k, 1, Infinity}]", 'Laplacian[r^2, {r, t}, "Toroidal"]',
    ],
)  # fmt: skip
def test_what_does_not_converge_has_no_value(program):
    result = evaluate(program, PATIENT)
    assert result.status.value in ("unevaluated", "message") and result.text.startswith(program.split("[")[0] + "[")


@pytest.mark.parametrize(
    "program,text",
    [
        ("Integrate[RealAbs[x], {x, -1, 1}]", "1"), ("Integrate[x Sqrt[x+1], x]", "(2*(1 + x)^(3/2)*(-2 + 3*x))/15"),
        ("Integrate[x/Sqrt[x+1], {x, 0, 3}]", "8/3"), ("Integrate[Sin[x]/x, {x, 0, Infinity}]", "Pi/2"),
        ("Integrate[E^(-a x), {x, 0, Infinity}]", "ConditionalExpression[a^(-1), Re[a] > 0]"),
        ("Integrate[E^(-a x), {x, 0, Infinity}, Assumptions -> a > 0]", "a^(-1)"),
        ("Integrate[1/(1-x^2), x]", "-1/2*Log[1 - x] + Log[1 + x]/2"), ("Integrate[1/(x^2-9), x]",
        "Log[3 - x]/6 - Log[3 + x]/6"),
        ("Integrate[x y, {x, 0, 1}, {y, 0, x}]", "1/8"), ("Sum[(-1)^n x^(2n+1)/(2n+1)!, {n, 0, Infinity}]", "Sin[x]"),
        ("Sum[1/k^(3/2), {k, 3, Infinity}]", "-1 - 1/(2*Sqrt[2]) + Zeta[3/2]"),
        ("Product[1 - 1/k^2, {k, 2, Infinity}]", "1/2"), ("Product[1 - 1/k^2, {k, 3, Infinity}]", "2/3"),
        ("Sum[k, {k, 1, 10^9}]", "500000000500000000"), ("Limit[1/Log[x], x -> Infinity]", "0"), ("Limit[1/x, x -> 0]",
        "Indeterminate"),
        ("Integrate[Floor[x], {x, 0, 3}]", "3"), ("Integrate[Floor[x^2], {x, 2, 0}]", "-5 + Sqrt[2] + Sqrt[3]"),
        ("Integrate[Mod[x, 1]^2, {x, 0, 5/2}]", "17/24"), ("Integrate[Abs[Sin[x]], {x, 0, 2Pi}]", "4"),
        ("IntegerPart[x - 3] /. x -> 1/2", "-2"), ("Round[x + 1] /. x -> 1/2", "2"), ("Floor[x - 3]", "-3 + Floor[x]"),
        ('Laplacian[r^2, {r, t}, "Polar"]', "4"), ('Div[{r, 0, 0}, {r, t, p}, "Spherical"]', "3"),
        ('Curl[{0, r, 0}, {r, t, z}, "Cylindrical"]', "{0, 0, 2}"), ('Grad[r Sin[t], {r, t}, "Polar"]',
        "{Sin[t], Cos[t]}"),
        ("MaxFilter[{{1,2,3},{4,5,6},{7,8,9}}, 1]", "{{5, 6, 6}, {8, 9, 9}, {8, 9, 9}}"),
        ("RSolve[{a[n] == a[n-1] + 2, a[1] == 3}, a[n], n]", "{{a[n] -> 1 + 2*n}}"),
    ],
)  # fmt: skip
def test_values(program, text):
    result = evaluate(program, PATIENT)
    assert (result.text, result.status.value) == (text, "ok")


def tree(text):
    builtins.load()
    return Evaluator().eval(parse(text)[0])


def no_tick():
    pass


@pytest.mark.parametrize(
    "integrand,low,high,claim,right",
    [
        ("x^2", "0", "1", "1/3", True), ("x^2", "0", "1", "1/3 + 1/10^6", False), ("1/x", "-1", "1", "0", False),
        ("1/Sqrt[1-x^2]", "0", "1", "Pi/2", True), ("Log[Abs[x]]", "-1", "2", "-3 + 2 Log[2]", True), ("1/x^2", "-1",
        "1", "-2", False),
        ("a x", "0", "1", "a/2", True), ("Abs[a x]", "0", "1", "a/2", False), ("Sin[x]", "0", "Infinity", "1", False),
        ("Sin[x]/x", "0", "Infinity", "Pi/2", True), ("1/(1+x^2)", "-Infinity", "Infinity", "Pi", True), ("1/x", "1",
        "Infinity", "5", False),
    ],
)  # fmt: skip
def test_an_integral_is_confirmed_only_if_it_is_right(integrand, low, high, claim, right):
    trees = [tree(t) for t in (integrand, claim)]
    ends = [tree(t) for t in (low, high)]
    assert confirm.definite(*trees, sym("x"), *ends, {}, {}, no_tick) is right


@pytest.mark.parametrize(
    "term,value",
    [
        ("1/k^2", lambda: mp.zeta(2)), ("1/k", None), ("1/k^(3/2)", lambda: mp.zeta(mpf(3) / 2)), ("(-1)^k/k",
        lambda: -mp.log(2)),
        ("(-1)^k", None), ("1/2^k", lambda: mpf(1)), ("2^k", None), ("1/k!", lambda: mp.e - 1), ("k/(k+1)", None),
        ("Sin[k]", None),
    ],
)  # fmt: skip
def test_sums_converge_or_are_none(term, value):
    f = confirm.compiled(tree(term), (sym("k"),))
    found = converging.infinite_sum(lambda c, n: f(c, (n,)), 1, no_tick)
    assert found is None if value is None else abs(found - value()) < 1e-13


def test_a_limit_that_is_none_is_told_from_one_that_is():
    x = sym("x")
    assert converging.limit(tree("Sin[1/x]"), S.Indeterminate, x, 0, (1, -1), {}, no_tick)
    assert not converging.limit(tree("Sin[x]/x"), S.Indeterminate, x, 0, (1, -1), {}, no_tick)
    assert not converging.limit(tree("Sin[x]/x"), tree("1 + 1/1000"), x, 0, (1, -1), {}, no_tick)
