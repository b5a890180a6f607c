"""Floor, Ceiling, Max, Min in equations and derivatives, and factorials that equal a number."""

import pytest

from nsrl.engines import Status
from nsrl.engines.wolfram import evaluate


@pytest.mark.parametrize(
    "source, text",
    [
        ("Solve[Floor[x] == 3, x, Reals]", "{{x -> ConditionalExpression[x, 3 <= x < 4]}}"),
        ("Reduce[Floor[2 x] == 3, x, Reals]", "3/2 <= x < 2"),
        ("Reduce[Floor[x]^2 == 4, x, Reals]", "-2 <= x < -1 || 2 <= x < 3"),
        ("Reduce[Ceiling[x] + Floor[x] == 5, x, Reals]", "2 < x < 3"),
        ("Reduce[Ceiling[x] + Floor[x] == 6, x, Reals]", "x == 3"), ("Reduce[Round[x] == 3, x, Reals]",
        "5/2 < x < 7/2"), ("Reduce[Round[x] == 2, x, Reals]", "3/2 <= x <= 5/2"),
        ("Solve[x Floor[x] == 10, x, Reals]", "{{x -> 10/3}}"), ("Solve[x + Floor[x] == 7/2, x, Reals]", "{}"),
        ("Reduce[x Floor[x] < 10 && x > 0, x, Reals]", "0 < x < 10/3"),
        ("Solve[x^2 - 8 Floor[x] + 7 == 0, x, Reals]", "{{x -> 1}, {x -> 7}, {x -> Sqrt[33]}, {x -> Sqrt[41]}}"),
        ("Solve[4 x^2 - 40 Floor[x] + 51 == 0, x, Reals]",
        "{{x -> Sqrt[29]/2}, {x -> (3*Sqrt[21])/2}, {x -> Sqrt[229]/2}, {x -> Sqrt[269]/2}}"),
        ("Solve[x^2 - Floor[x]^2 == 1 && 0 <= x < 4, x, Reals]", "{{x -> Sqrt[2]}, {x -> Sqrt[5]}, {x -> Sqrt[10]}}"),
        ("Solve[FractionalPart[x] == 1/2 && 0 < x < 3, x, Reals]", "{{x -> 1/2}, {x -> 3/2}, {x -> 5/2}}"),
        ("Solve[Mod[x, 2] == 1 && 0 <= x <= 6, x, Reals]", "{{x -> 1}, {x -> 3}, {x -> 5}}"),
        ("Solve[Floor[n/2] == 7, n, Integers]", "{{n -> 14}, {n -> 15}}"),
        ("Solve[n - Floor[n/2] - Floor[n/3] == 1, n, Integers]",
        "{{n -> -1}, {n -> 1}, {n -> 2}, {n -> 3}, {n -> 4}, {n -> 6}}"),
        ("Solve[Floor[n/5] + Floor[n/25] == 12, n, Integers]",
        "{{n -> 50}, {n -> 51}, {n -> 52}, {n -> 53}, {n -> 54}}"),
        ("Length[Solve[Floor[100/n] == 3 && n > 0, n, Integers]]", "8"),
        ("Solve[Max[x, 3 - x] == 5, x, Reals]", "{{x -> -2}, {x -> 5}}"),
        ("Solve[Max[x, 2 x - 1] == Min[3, x^2], x, Reals]", "{{x -> 0}, {x -> 1}, {x -> 2}}"),
        ("Reduce[Max[x, 3] == 3, x, Reals]", "x <= 3"), ("Solve[{Max[x, y] == 3, x + y == 5}, {x, y}, Reals]",
        "{{x -> 2, y -> 3}, {x -> 3, y -> 2}}"),
        ("Minimize[Max[x, 2 - x], x]", "{1, {x -> 1}}"), ("MaxValue[{Min[x + 1, 4 - x], 0 <= x <= 5}, x]", "5/2"),
        ("MinValue[Max[Abs[x - 1], Abs[x - 5]], x]", "2"),
        ("D[Max[x, 1], x]", "Piecewise[{{0, x < 1}, {1, x > 1}}, Indeterminate]"), ("D[Max[x^2, x], x] /. x -> 2", "4"),
        ("D[RealAbs[x], x]", "x/RealAbs[x]"),
        ("Solve[n! == 720, n, Integers]", "{{n -> 6}}"), ("Solve[(2 n - 1)! == 1, n, Integers]", "{{n -> 1}}"),
        ("Solve[n! == 5, n, Integers]", "{}"), ("SolveValues[Mod[n!, 28] == 8 && 0 < n < 9, n, Integers]", "{5}"),
        ("Solve[n!^2 - 3 n! + 2 == 0, n, Integers]", "{{n -> 0}, {n -> 1}, {n -> 2}}"),
    ],
)  # fmt: skip
def test_value(source, text):
    result = evaluate(source)
    assert (result.status, result.text) == (Status.OK, text)


@pytest.mark.parametrize(
    "source",
    [
        "D[Floor[x], x]",
        "D[Max[x, y], x]",
        "D[Mod[x, 3], x]",
        "Solve[Floor[x]^2 == 4, x, Reals]",
        "Reduce[Floor[x] <= 2, x, Reals]",
        "Solve[Floor[x + Floor[x]] == 5 && 0 < x < 5, x, Reals]",
    ],
)
def test_not_decided(source):
    assert evaluate(source).status is Status.UNEVALUATED


GROW = "u = f[x]; Do[u = f[u, u], {60}]; v = f[x]; Do[v = f[v, v], {60}]; "


@pytest.mark.parametrize("what, status", [
    ("u === v", Status.OK), ("u =!= v", Status.OK), ("Length[u]", Status.OK), ("First[u] === First[v]", Status.OK),
    ("7", Status.OK), *((what, Status.TIMEOUT) for what in (
        "N[u]; 1", "u == v", "u - v; 1", "Order[u, v]", "D[u, x]; 1", "MemberQ[{u}, v]", "MatchQ[u, v]", "u /. v -> 1",
        "Flatten[u]; 1", "Variables[u]", "Simplify[u]; 1", "Solve[u == 0, x]; 1",
        "g[u] = 1; g[v]", "h = Function[x, Evaluate[u]]; h[2]; 1", "Union[{u, v}]", "Block[{x = 2}, u]; 1")),
])  # fmt: skip
def test_a_tree_of_shared_parts_does_not_stall(what, status):
    result = evaluate(GROW + what)
    assert (result.status, result.cpu_ms < 2000) == (status, True), result
