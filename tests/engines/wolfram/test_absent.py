"""A call that has no value never takes part in one: absent System functions, and builtins that gave no answer."""

import pytest

from nsrl.engines import EnginePool
from nsrl.engines.wolfram import builtins, evaluate
from nsrl.engines.wolfram.expr import sym
from nsrl.engines.wolfram.table import absent, known_names

ABSENT = "FindHamiltonianCycle"  # any name that is known and has no row will do


def status(program):
    return evaluate(program).status.value


def test_the_list_of_names_is_of_the_language_and_meets_no_row():
    rows = builtins.load()
    names = known_names()
    assert len(names) > 5000 and {"Solve", "FindHamiltonianCycle", "WeatherData"} <= names
    assert [n for n in names & rows.keys() if absent(sym(n))] == []
    assert absent(sym(ABSENT)) and not absent(sym("myFunction"))


@pytest.mark.parametrize(
    "program",
    [
        f"Length[{ABSENT}[{{1,5,10}},100]]", f"First[{ABSENT}[p]]", f"Floor[{ABSENT}[3]]", f"Last[{{1, {ABSENT}[3]}}]",
        f"Count[{ABSENT}[1], _]", f"Select[Range[5], {ABSENT}[#] > 2 &]", f"Total[Map[{ABSENT}, {{1, 2}}]]",
        f"r = {ABSENT}[4]; Length[r] + 1", f"{ABSENT}[3] === 5", f"Switch[{ABSENT}[2], 1, 7, _, 8]",
        f"{ABSENT}[7]", f"{{{{1, {ABSENT}[7]}}}}", f"Module[{{r = {ABSENT}[2]}}, r[[1]]]", f"x + {ABSENT}[y]",
        "Length[Integrate[x^x, x]]", "First[Integrate[x^x, x]]", "Part[Integrate[x^x, x], 2]", "1 + Integrate[x^x, x]",
        "Map[f, Integrate[x^x, x]]", "Cases[Integrate[x^x, x], _Symbol]", "Count[Integrate[x^x, x], x, {2}]",
        "{Integrate[x^x, x]}[[1, 1]]", "Length[Expand[(a+b+c+d+e)^60]]", "Length[Factor[(a+b+c+d+e)^60 - 1]]",
    ],
)  # fmt: skip
def test_no_value_is_made_of_a_call_without_one(program):
    assert status(program) == "unevaluated"


@pytest.mark.parametrize(
    "program,value",
    [
        ("Length[foo[3]]", "1"), (f"{ABSENT}[1]; 5", "5"), ("Plot[Sin[x], {x, 0, 1}]; 2 + 2", "4"),
        ("D[Integrate[x^x, x], x]", "x^x"), (f"{ABSENT}[n_] := n + 1; {ABSENT}[4]", "5"), ("Length[Hold[Solve[x]]]",
        "1"),
        ("Length[Expand[(a+b+c)^30]]", "496"), ("Length[Expand[(a+b)^300]]", "301"), ("Log[4, 1/2]", "-1/2"),
        ("Log[9, 27]", "3/2"), ("Log[8/27, 4/9]", "2/3"),
    ],
)  # fmt: skip
def test_what_has_a_value_keeps_it(program, value):
    result = evaluate(program)
    assert (result.text, result.status.value) == (value, "ok")


@pytest.mark.parametrize(
    "program,text,value",
    [
        ("x = 3; Print[x^2]", "9", 9), ('Print["a ", 5];', "a 5", ["String", "a 5"]), ("Do[Print[i], {i, 3}]", "3", 3),
        ("Print[1]; 7", "7", 7), ("f := Module[{}, Print[{1, 2}]]", "{1, 2}", ["List", 1, 2]), ("x = 1;", "Null",
        ["Symbol", "Null"]),
    ],
)  # fmt: skip
def test_what_is_printed_last_is_the_value_of_a_program_that_has_no_other(program, text, value):
    result = evaluate(program)
    assert (result.status.value, result.text, result.value) == ("ok", text, value)


def test_a_printed_call_without_value_is_no_value():
    assert status("Print[Integrate[x^x, x]]") == "unevaluated"


def test_an_update_of_what_has_no_value_ends():
    result = evaluate("ClearAll[f]; f[1] += 5")
    assert result.status.value == "message" and result.messages[0].tag == "rvalue"
    assert evaluate("f[1] = 2; f[1] += 5").text == "7"


@pytest.mark.parametrize(
    "program,text",
    [
        ("Here is the program:\n\nf := Module[{}, 5];", "5"), ("Total[Range[10]]\nSo the answer is 55.", "55"),
        ("We compute the sum of the first 10 integers.\nTotal[Range[10]]", "55"),
        ("Let me solve x^2 = 4:\nSolve[x^2==4,x]", "{{x -> -2}, {x -> 2}}"),
    ],
)  # fmt: skip
def test_sentences_around_a_program_are_dropped(program, text):
    result = evaluate(program)
    assert (result.status.value, result.text) == ("ok", text) and result.repairs == (
        "prose around the program dropped",
    )
    assert evaluate(program, lenient=False).text != text


@pytest.mark.parametrize(
    "program", ['s = "Here is the text.\nSo the words stay."; StringLength[s]', "A b c d", "Foo bar baz := 1"]
)
def test_what_may_be_a_program_is_no_sentence(program):
    assert evaluate(program).repairs == ()


def test_workers_know_the_names():
    with EnginePool(workers=1, cache=0) as pool:
        assert pool.submit("wolfram", f"Length[{ABSENT}[1]]").result().status.value == "unevaluated"


_TESTS = [
    "SquaresR[2, 25] > 0",
    "PlanarGraphQ[CycleGraph[3]]",
    "Reduce[Exp[x] > k x, x, Reals]",
    "1 < 2 && PlanarGraphQ[CycleGraph[3]]",
]
_STATEMENTS = [
    "c = 0; If[TEST, c++]; c", "c = 0\nIf[TEST, c++]\nc", "Module[{c = 0}, Do[If[TEST, c++], {3}]; c]",
    "c = 0; Table[If[TEST, c++], {3}]; c",
    "c = 0; Which[False, 1, TEST, c++]; c", "c = 0; j = 0; While[j < 3, If[TEST, c++]; j++]; c",
    "c = 0; While[c < 3 && TEST, c++]; c",
    "c = 0; For[j = 0, j < 3, j++, If[TEST, c++]]; c", "c = 0; Scan[If[TEST, c++] &, {1, 2}]; c",
    "c = 0; Module[{}, If[TEST, c++]]; c",
    "g[n_] := 1 /; TEST; g[n_] := 0; g[25]", "g[n_] /; TEST := 1; g[n_] := 0; g[25]",
    "g[n_?(TEST &)] := 1; g[_] := 0; g[25]",
    "g[n__ /; TEST] := 1; g[___] := 0; g[25, 26]",
]  # fmt: skip


@pytest.mark.parametrize("statement", _STATEMENTS)
@pytest.mark.parametrize("test", _TESTS)
def test_what_could_not_be_decided_is_no_answer_no(statement, test):
    assert status(statement.replace("TEST", test)) == "unevaluated"
    assert status(statement.replace("TEST", "2 > 1")) == "ok"
    if "Scan" not in statement:  # what a function left open counts there in any case
        assert status(statement.replace("TEST", "z > 1")) == "ok"  # stays as it is in the real engine too


@pytest.mark.parametrize(
    "call",
    [
        "Reduce[x^2 == 2, x, OPTION]", "FindInstance[x^2 == 2, x, OPTION]", "MatrixRank[{{1, 2}, {2, 4}}, OPTION]",
        "LinearSolve[{{1, 2}, {3, 4}}, {1, 2}, OPTION]", "NullSpace[{{1, 2}, {2, 4}}, OPTION]",
        "PolynomialGCD[x^2 - 1, x - 1, OPTION]",
        "PolynomialQuotient[x^2 - 1, x - 1, x, OPTION]", "CoefficientList[8 x^2, x, OPTION]",
        "Together[1/x + 8, OPTION]",
        "Expand[(x + 1)^7, OPTION]", "FindRoot[Cos[x] == x, {x, 1}, OPTION]", "Maximize[{x, x <= 3}, x, OPTION]",
        "Union[{1, 2}, OPTION]",
    ],
)  # fmt: skip
def test_an_option_that_is_not_read_leaves_the_call(call):
    for option in (
        "Modulus -> 7",
        "Modulus :> 7",
        "Method -> Automatic, Modulus -> 7",
        "WorkingPrecision -> 20",
        "Assumptions -> x > 9",
    ):
        assert status(call.replace("OPTION", option)) == "unevaluated", option
    assert status(call.replace("OPTION", "Method -> Automatic")) == "ok"
    assert status(call.replace("OPTION", "MaxIterations -> 50, WorkingPrecision -> MachinePrecision")) == "ok"


def test_defaults_of_builtins_can_not_be_set():
    assert status("SetOptions[Solve, Modulus -> 5]; Solve[x^2 == 4, x]") == "unevaluated"


@pytest.mark.parametrize(
    "program,value",
    [
        ("Append[{1}, Modulus -> 5]", "{1, Modulus -> 5}"), ("Module[{a = 1}, Modulus -> a]", "Modulus -> 1"),
        ("1; Modulus -> 5", "Modulus -> 5"),
        ("(Red -> 1) /. (Red -> 1) -> 3", "3"), ("If[2 > 1, 0, Modulus -> 5]", "0"), ("Count[{Red -> 1}, Red -> _]",
        "1"),
        ("Factor[x^2 + 1, Modulus -> 2]", "(1 + x)^2"), ("Union[{1, 1, 2}, SameTest -> Equal]", "{1, 2}"),
        ("Options[g] = {Trig -> 1}; g[x_, OptionsPattern[]] := x + OptionValue[Trig]; g[3, Trig -> 5]", "8"),
        ("Eigenvalues[{{2, 0, 0}, {0, 3, 4}, {0, 4, 9}}, -1]", "{1}"), ("Eigenvectors[{{2, 0}, {0, 3}}, 1]",
        "{{0, 1}}"),
        ("Eigensystem[{{2, 0}, {0, 3}}, 1]", "{{3}, {{0, 1}}}"), ("Eigenvalues[{{2, 0}, {0, 3}}, UpTo[3]]", "{3, 2}"),
        ("ChineseRemainder[{2, 3, 2}, {3, 5, 7}, 100]", "128"), ("ChineseRemainder[{2, 3, 2}, {3, 5, 7}, 23]", "23"),
        ("Tr[{{1, 2}, {3, 4}}, List]", "{1, 4}"), ("Normalize[{3, 4}, Total]", "{3/7, 4/7}"),
        ("MatrixPower[{{1, 1}, {1, 0}}, 5, {1, 0}]", "{8, 5}"),
        ("PrimeQ[2 + I]", "True"), ("PrimeQ[3 + I]", "False"), ("PrimeQ[5, GaussianIntegers -> True]", "False"),
        ("Gamma[5, 0]", "24"),
    ],
)  # fmt: skip
def test_options_and_arguments_that_are_read(program, value):
    result = evaluate(program)
    assert (result.text, result.status.value) == (value, "ok")
