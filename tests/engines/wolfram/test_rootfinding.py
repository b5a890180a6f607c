"""FindRoot, FindMinimum, FindMaximum: a root or an extremum, never a place where a function merely decays."""

import pytest

from nsrl.engines import Status
from nsrl.engines.wolfram import evaluate

NO_ROOT = """
FindRoot[E^x, {x, 0}]
FindRoot[1/x, {x, 1}]
FindRoot[1/(1 + x^2), {x, 1}]
FindRoot[ArcTan[x] == Pi/2, {x, 1}]
FindRoot[Tanh[x] == 1, {x, 1}]
FindRoot[Erf[x] == 1, {x, 1}]
FindRoot[2^x, {x, 1}]
FindRoot[E^(-x^2), {x, 1}]
FindRoot[1/(1 + E^x) == 0, {x, 1}]
FindRoot[Sech[x] == 0, {x, 1}]
FindRoot[x/Sqrt[1 + x^2] == 1, {x, 1}]
FindRoot[{E^x == 0, y == 1}, {{x, 0}, {y, 0}}]
FindRoot[{1/x == 0, y == x}, {{x, 1}, {y, 1}}]
FindRoot[x^2 + 10^-20, {x, 1}]
FindRoot[(x - 1)^2 + 10^-90, {x, 3}]
FindRoot[Cos[x] - 1 - 10^-40, {x, 1}]
FindRoot[10^-20 (x^2 + 1) == 0, {x, 1}]
FindRoot[Cos[x] == x, {x, 1}, MaxIterations -> 1]
FindMaximum[Erf[x], {x, 1}]
FindMaximum[1 - E^(-x^2), {x, 1}]
FindMinimum[E^(-x^2), {x, 1}]
FindMaximum[Tanh[x^3], {x, 1}]
NIntegrate[FractionalPart[1/x], {x, 0, 1}]
""".strip().splitlines()
RIGHT = """
FindRoot[x^10, {x, 1}] | {x -> 0.}
FindRoot[(x^2 - 2)^2, {x, 1}] | {x -> 1.4142135623730951}
FindRoot[(x - 1)^3 Exp[x], {x, 2}] | {x -> 1.}
FindRoot[Cos[x] - 1, {x, 1}] | {x -> 0.}
FindRoot[x^2 + 1, {x, I}] | {x -> 0. + 1.*I}
FindRoot[Cos[x] == x, {x, 1}, MaxIterations -> 100] | {x -> 0.7390851332151607}
FindRoot[{x^2, y}, {{x, 1}, {y, 1}}] | {x -> 0., y -> 0.}
FindMinimum[{x^2 + y^2, x + y == 2}, {x, y}] | {2., {x -> 1., y -> 1.}}
FindMaximum[x E^-x, {x, 2}] | {0.36787944117144233, {x -> 1.}}
NIntegrate[Floor[x], {x, 0, 10}] | 45.
NIntegrate[PrimePi[x], {x, 0, 10}] | 23.
NIntegrate[Clip[3 x - 1], {x, 0, 1}] | 0.333333333
""".strip().splitlines()


@pytest.mark.parametrize("program", NO_ROOT)
def test_what_only_decays_has_no_root(program):
    assert evaluate(program).status in (Status.UNEVALUATED, Status.MESSAGE)


@pytest.mark.parametrize("start", ["FindRoot[x E^-x, {x, 2}]", "FindRoot[x/(1 + x^2), {x, 2}]"])
def test_a_search_that_ran_away_gives_no_other_point(start):
    result = evaluate(start)
    assert result.status is not Status.OK or result.text == "{x -> 0.}"


@pytest.mark.parametrize("line", RIGHT)
def test_roots_and_extrema(line):
    program, _, wanted = line.partition(" | ")
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, wanted)
