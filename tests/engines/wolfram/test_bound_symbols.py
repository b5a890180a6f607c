"""A test that says no of a bare symbol (EvenQ[k]) is no answer to what binds the symbol: a sum, an equation, a
chance."""

import pytest

from nsrl.engines.wolfram import evaluate

_BINDERS = [
    "Sum[If[TEST, x, 0], {x, 1, n}]", "Sum[Boole[TEST], {x, 1, n}]", "Sum[If[TEST, 1/2^x, 0], {x, 1, Infinity}]",
    "f[x_] := If[TEST, 1, 0]; Sum[f[x], {x, 1, n}]", "Sum[Piecewise[{{x, TEST}}, 0], {x, 1, n}]",
    "Product[If[TEST, x, 1], {x, 1, n}]",
    "NSum[Boole[TEST]/x^2, {x, 1, Infinity}]", "Sum[If[TEST && j > 0, 1, 0], {x, 1, n}, {j, 1, n}]",
    "c = If[TEST, 1, 0]; Sum[c, {x, 1, n}]",
    "Solve[TEST && 1 < x < 20, x, Integers]", "Reduce[TEST && 1 < x < 20, x, Integers]",
    "FindInstance[TEST && x > 20, x, Integers]",
    "Solve[x^2 == 16 && x > 0 && TEST, x]", "c = TEST; Solve[c && 1 < x < 20, x, Integers]",
    "Module[{x}, Solve[TEST && x < 9, x, Integers]]",
    "Resolve[Exists[x, TEST && x > 3], Integers]", "Maximize[{x, x < 9 && TEST}, x, Integers]",
    "Limit[If[TEST, 1, 0], x -> Infinity]",
    "Integrate[If[TEST, 1, 0], {x, 0, 1}]", "D[If[TEST, x^2, 0], x]", "Series[If[TEST, 1, 0], {x, 0, 2}]",
    "RSolve[{a[x] == If[TEST, 1, 2] + a[x - 1], a[0] == 0}, a[x], x]",
    "Probability[TEST, Distributed[x, PoissonDistribution[2]]]",
    "Expectation[Boole[TEST], Distributed[x, GeometricDistribution[1/2]]]",
]  # fmt: skip
_TESTS = [
    "EvenQ[x]",
    "PrimeQ[2 x + 1]",
    "IntegerQ[x]",
    "MemberQ[{2, 3}, x]",
    "TrueQ[x > 2]",
    "x === 2",
    "Mod[x, 2] === 0",
    "CompositeQ[x]",
]


@pytest.mark.parametrize("binder", _BINDERS)
@pytest.mark.parametrize("test", _TESTS)
def test_what_was_said_of_a_bare_symbol_is_no_answer(binder, test):
    result = evaluate(binder.replace("TEST", test))
    assert result.status.value == "unevaluated", result.text


@pytest.mark.parametrize(
    "test", ["MatchQ[k, _Integer]", "NumericQ[k]", "Head[k] === Integer", "OrderedQ[{k, 3}]", "FreeQ[{1, 2}, k]",
    "SubsetQ[{1, 2}, {k}]",
             "Length[Divisors[k]] == 1", "f[k] == 1"],
)  # fmt: skip
@pytest.mark.parametrize(
    "call",
    [
        "Sum[If[TEST, 1, 0], {k, 1, n}]",
        "Product[If[TEST, k, 1], {k, 1, n}]",
        "NSum[If[TEST, 1/k^2, 0], {k, 1, Infinity}]",
    ],
)
def test_a_summand_is_the_same_for_whole_indices(call, test):
    result = evaluate("f[k_?EvenQ] := 1; f[k_] := 0; " + call.replace("TEST", test))
    assert result.status.value == "unevaluated", result.text


@pytest.mark.parametrize(
    "program, value",
    [
        ("Sum[If[EvenQ[k], k, 0], {k, 1, 10}]", "30"), ("Sum[Boole[PrimeQ[k]], {k, 1, 100}]", "25"),
        ("NSum[If[PrimeQ[k], 1, 0], {k, 1, 10}]", "4."),
        ("Sum[If[EvenQ[i + j], 1, 0], {i, 1, 3}, {j, 1, 3}]", "5"), ("Sum[If[EvenQ[d], 1, 0], {d, Divisors[12]}]", "4"),
        ("Product[If[PrimeQ[k], k, 1], {k, 1, 10}]", "210"), ("Module[{k}, Sum[Boole[OddQ[k]], {k, 1, 9}]]", "5"),
        (r"Probability[EvenQ[x], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "1/2"),
        (r"Probability[PrimeQ[x], x\[Distributed]BinomialDistribution[4, 1/2]]", "5/8"),
        (r"Probability[x > 3\[Conditioned]EvenQ[x], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "2/3"),
        (r"Probability[MemberQ[{1, 3}, x], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "1/3"),
        (r"d = DiscreteUniformDistribution[{1, 6}]; Probability[PrimeQ[x + y], {x\[Distributed]d, y\[Distributed]d}]",
        "5/12"),
        (r"Expectation[If[EvenQ[x], x, 0], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "2"),
        (r"Expectation[Length[Divisors[x]], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "7/3"),
        (r"Probability[MatchQ[x, 3 | 4], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "1/3"),
        (r"Expectation[x^2\[Conditioned]PrimeQ[x], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "38/3"),
        (r"c := x > 3\[Conditioned]x > 1; Probability[c, x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "3/5"),
        (r"NProbability[EvenQ[x], x\[Distributed]DiscreteUniformDistribution[{1, 6}]]", "0.5"),
    ],
)  # fmt: skip
def test_what_takes_finitely_many_values_is_counted(program, value):
    result = evaluate(program)
    assert (result.text, result.status.value) == (value, "ok")


@pytest.mark.parametrize(
    "program, value",
    [
        ("{EvenQ[x], IntegerQ[x], x === 2}", "{False, False, False}"), ("Cases[{1, y, 2}, _?EvenQ]; Solve[x == 2, x]",
        "{{x -> 2}}"),
        ("Select[x /. Solve[x^2 == 16, x], IntegerQ]", "{-4, 4}"),
        ("If[Expand[(x + 1)^2 - x^2] === 0, 0, Solve[x^2 == 4, x]]", "{{x -> -2}, {x -> 2}}"),
        ("Sum[Boole[EvenQ[k]], {k, 1, n}]; Sum[k, {k, 1, n}]", "(n*(1 + n))/2"),
        ("g[n_] := If[EvenQ[n], n/2, 3 n + 1]; NestList[g, 6, 3]", "{6, 3, 10, 5}"),
        ("Table[If[PrimeQ[n], n, Nothing], {n, 1, 10}]", "{2, 3, 5, 7}"),
        ("HarmonicNumber[x]; D[x^2, x]", "2*x"), ("Binomial[n, k]; Sum[k, {k, 1, n}]", "(n*(1 + n))/2"),
    ],
)  # fmt: skip
def test_other_uses_are_as_they_were(program, value):
    result = evaluate(program)
    assert (result.text, result.status.value) == (value, "ok")
