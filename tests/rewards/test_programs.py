"""`executes` pays for computing: a literal in the delimiters of a program is paid only when it is right."""

import json
import random
import subprocess
import sys
import time

import pytest

from nsrl.engines.extract import extract
from nsrl.engines.result import Result, Status
from nsrl.rewards import RewardBatch, Rewards
from nsrl.rewards.programs import computes
from nsrl.types import Problem

LITERALS = {
    "nsl": ["B", "5", "-5", "3/4", "-3/4", "2.5", "AB", '"12*13"', "{1,2,3}", "x=5;x", "", "(", "50%"],
    "wolfram": ["B", "5", "-5", "3/4", '"12*13"', "{1, 2}", "x = 5; x", "Print[5]", "Module[{}, 5]", "f := 5", "1.5*^3", "{x -> 2}", "[[["],
    "sympy": ["5", "print(5)", "print('B')", "x = 5\nprint(x)", "3/4", "print(Rational(3, 4))", "print('12*13')", "print('a' + 'b')", "[1, 2]", "((("],
}
PASSED_THROUGH = {  # the tree says it
    "nsl": ["5+0", "5-0", "1*5", "5/1", "5^1", "0*7+5", "max(5)", "mean{5}", "abs(5)", "5 cm", "x=5;x+0", "3+2;5"],
    "wolfram": [
        "First[{5}]", "Last[{3, 5}]", "{5, 7}[[1]]", 'First[{"B", "C"}]', "Max[5]", "Total[{5}]", "Floor[5]", "#&[5]", "f[5]", "f[x_] := x; f[5]", "If[True, 5, 0]", "If[True, 5, 7]",
        "If[1 == 1, 5, 0]", "Which[True, 5]", "Unevaluated[5]", "RandomInteger[10]", "RandomInteger[10] + 3", "Module[{}, 3 + 2; 5]", "x = 5; x + 0", 'Quantity[5, "Meters"]',
    ],
    "sympy": [
        "print(abs(5))", "print(max([5]))", "print((lambda: 5)())", "f = lambda x: x\nprint(f(5))", "def f():\n    return 5\nprint(f())", "for i in [5]: print(i)", "print([5, 7][0])",
        "print(5 if True else 7)", "x = 5\nprint(x + 0)", "print(2+3)\nprint(5)", "import random\nprint(random.randint(1, 10))", "print(f'{5} cm')", "print([5].pop())", "print('5' * 1)",
    ],
}  # fmt: skip
PRINTED = [  # the value says it: program, what it printed, whether it computes
    ("nsl", "x-5=0;x", "5", False), ("wolfram", "Solve[x == 5, x]", "{{x -> 5}}", False), ("wolfram", "Max[5, 5]", "5", False), ("wolfram", "x = 5; Max[x]", "5", False),
    ("wolfram", "Mean[{5, 5, 5}]", "5", False), ("wolfram", 'ToLowerCase["b"]', "b", False), ("wolfram", "Simplify[x]", "x", False), ("wolfram", "Abs[-5]", "5", False), ("wolfram", "Ramp[3/4]", "3/4", False),
    ("sympy", "from sympy import *\nx = symbols('x')\nprint(solve(x - 5)[0])", "5", False), ("sympy", "print('Answer:', pow(5))", "Answer: 5", False), ("sympy", "print(math.ceil(5.0))", "5", False),
    ("nsl", "max(3,5)", "5", True), ("nsl", "x=5;y=3;x+y-3", "5", True), ("nsl", "2x=10", "5", True), ("nsl", "5km→m", "5000", True), ("nsl", "√2", "Sqrt[2]", True), ("nsl", "3>2?yes,no", "A", True),
    ("wolfram", "Total[{1, 2, 2}]", "5", True), ("wolfram", "values = {5, 0, 9}; Max[values]", "9", True), ("wolfram", "Abs[3 - 8]", "5", True), ("wolfram", 'StringLength["hello"]', "5", True),
    ("wolfram", "Round[5.4]", "5", True), ("wolfram", "D[x^2, x]", "2*x", True), ("wolfram", "Solve[x^2 == 4, x]", "{{x -> -2}, {x -> 2}}", True), ("wolfram", 'If[7/8 > 5/6, "A", "B"]', "A", True),
    ("sympy", "print(max(1, 2))", "2", True), ("sympy", "def area(r):\n    return 3*r**2\nprint('Area:', area(2))", "Area: 12", True), ("sympy", "n = 10\nwhile n > 5: n -= 1\nprint(n)", "5", True),
]  # fmt: skip
COMPUTING = {
    "nsl": ["2+3", "12/4", "mean{3,5,7}", "2a+3p=13;4a+p=11;p", "w(w+2)=48;w>0;w", "sqrt 2", "a=3;b=4;a+b", "2^10", "12*13"],
    "wolfram": ["2+3", "12/4", "Total[{1,2}]", "Solve[x^2==4,x]", "a=3;b=4;a*b", "Sqrt[2]", "Module[{a=2}, a+1]", "N[Pi*2]", "f := Module[{}, 2 + 3];"],
    "sympy": ["print(2+3)", "from sympy import *\nprint(solve('x-2'))", "a=3\nb=4\nprint(a*b)", "sum([1,2])", "12/4", "max(1, 2)"],
}


@pytest.mark.parametrize("language", LITERALS)
def test_computing_is_told_from_writing(language):
    assert {p: computes(language, p) for p in LITERALS[language]} == dict.fromkeys(LITERALS[language], False)
    assert {p: computes(language, p) for p in COMPUTING[language]} == dict.fromkeys(COMPUTING[language], True)


@pytest.mark.parametrize("language", PASSED_THROUGH)
def test_a_literal_passed_through_is_a_literal(language):
    assert {p: computes(language, p) for p in PASSED_THROUGH[language]} == dict.fromkeys(PASSED_THROUGH[language], False)


@pytest.mark.parametrize("language,program,printed,computed", PRINTED)
def test_a_value_that_is_the_only_number_of_its_program_was_not_computed(language, program, printed, computed):
    assert computes(language, program, printed) is computed


@pytest.mark.parametrize("language,to_number,times", [("nsl", "{}", "{} * {}"), ("wolfram", "{}", "Times[{}, {}]"), ("sympy", "print({})", "print({} * {})")])
def test_neutral_numbers_around_any_number_compute_nothing(language, to_number, times):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(30):
        number = str(rng.choice([rng.randint(2, 999), rng.randint(2, 999) / 8]))
        text = number
        for _ in range(rng.randint(1, 4)):
            text = rng.choice(["({}+0)", "({}-0)", "(0+{})", "({}*1)", "(1*{})", "({}/1)", "({})"]).format(text)
        assert computes(language, to_number.format(text)) is False, (seed, text)
        other = str(rng.randint(1000, 9999))
        assert computes(language, times.format(text, other), str(float(number) * int(other))) is True, (seed, text, other)


def test_honest_programs_are_paid(shared_data):
    """Programs as models write them, with what they print: of 108 one is refused (Pi printed with a unit)."""
    programs = [("wolfram", p["program"], p["expected"]) for p in json.loads((shared_data / "programs_llm.json").read_text())]
    for problem in json.loads((shared_data / "token_problems.json").read_text())["problems"]:
        arms = (("sympy", "sympy"), ("sympy", "sympy_min"), ("wolfram", "wl_module"), ("wolfram", "wl_strict"))
        programs += [(language, problem[arm], problem["expected"]) for language, arm in arms if problem[arm]]
    refused = [p for p in programs if not computes(*p)]
    assert len(programs) == 108 and len(refused) <= 1, refused


@pytest.mark.parametrize("language", LITERALS)
def test_no_program_raises_or_takes_long(language):
    rng = random.Random()
    pieces = ["(", ")", "[", "{", "}", "]", "1", "x", "+", "=", ";", '"', "Sum[", "sqrt ", ",", "\n", " ", "^", "lambda:", "-", "\x00", "\ud83d", "::", "/", "not ", "Max[", "max(", "First[{", "If[", "If[]", "First[]", "Part[]", "Which[]", "Times[]", "Power[]", "==", "5;", "[0]"]
    for _ in range(60):
        unit = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 4)))
        start = time.process_time()
        assert computes(language, unit * (1000 // len(unit)), unit * 30) in (True, False)
        assert time.process_time() - start < 0.2, unit  # 50 ms when the machine is free


def test_executes_is_paid_for_a_right_answer_or_for_computing():
    texts = ["<nsl>B</nsl>", "<nsl>B</nsl>", "<nsl>2+3</nsl>", "<nsl>2+3</nsl>", '<wolfram>"B"</wolfram>', "<nsl>5</nsl>", "5", "<nsl>x-5=0;x</nsl>"]
    correct = [False, True, False, True, False, True, True, False]
    results = [Result(Status.OK, "x")] * 3 + [Result(Status.MESSAGE, "5"), Result(Status.OK, "B"), Result(Status.CRASH), None, Result(Status.OK, "5")]
    batch = RewardBatch(
        problems=[Problem("p", "?", answer="5", category="c", images=())] * len(texts), completions=texts, completion_ids=[[1]] * len(texts),
        extracted=[extract(t) for t in texts], results=results, group_sizes=[len(texts)], correct=correct,
    )  # fmt: skip
    assert [row[0] for row in Rewards(["executes"])(batch)] == [0.0, 1.0, 1.0, 0.5, 0.0, 0.0, None, 0.0]


def test_what_python_warns_of_in_a_program_is_not_printed():
    code = "from nsrl.rewards.programs import computes\nfor p in ('print(1if 1else 2)', 'print(2 is 2)', 'x = 5(3)'): computes('sympy', p)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stderr == b""
