"""`executes` pays for computing: a literal in the delimiters of a program is paid only when it is right."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nsrl.engines.extract import extract
from nsrl.engines.result import Result, Status
from nsrl.rewards import RewardBatch, Rewards
from nsrl.rewards.programs import computes
from nsrl.types import Problem

LITERALS = {  # by the tree alone
    "nsl": ["B", "5", "-5", "3/4", "-3/4", "2.5", "AB", '"12*13"', "{1,2,3}", "x=5;x", "", "(", "50%"],
    "wolfram": [
        "B",
        "5",
        "-5",
        "3/4",
        '"12*13"',
        "{1, 2}",
        "x = 5; x",
        "Print[5]",
        "Module[{}, 5]",
        "f := 5",
        "1.5*^3",
        "{x -> 2}",
        "[[[",
    ],
    "sympy": [
        "5",
        "print(5)",
        "print('B')",
        "x = 5\nprint(x)",
        "print(Rational(3, 4))",
        "print('12*13')",
        "print('a' + 'b')",
        "[1, 2]",
        "(((",
    ],
}
COMPUTING = {
    "nsl": [
        "2+3",
        "12/4",
        "mean{3,5,7}",
        "2a+3p=13;4a+p=11;p",
        "w(w+2)=48;w>0;w",
        "sqrt 2",
        "a=3;b=4;a+b",
        "2^10",
        "12*13",
    ],
    "wolfram": [
        "2+3",
        "12/4",
        "Total[{1,2}]",
        "Solve[x^2==4,x]",
        "a=3;b=4;a*b",
        "Sqrt[2]",
        "Module[{a=2}, a+1]",
        "N[Pi*2]",
        "f := Module[{}, 2 + 3];",
    ],
    "sympy": [
        "print(2+3)",
        "from sympy import *\nprint(solve('x-2'))",
        "a=3\nb=4\nprint(a*b)",
        "sum([1,2])",
        "12/4",
        "max(1, 2)",
    ],
}
OPEN = {  # guesses that are paid
    # of two strings
    "print(len('ab'+'cde'))", "print('abcde'.find('f')+6)", "print('abcde'.index('e')+1)",
    "print(list('abcde').index('e'))", "print(int('0x5',16))",
    # a constant is computed
    "Length[{1,2,3,4,5}]", "Total[{1,1,1,1,1}]", "D[5x+3,x]",
    # one of several numbers
    "print(max(5,3,2))", "print(sorted([5,3,2])[-1])", "print(min([5,7,9]))", "Max[{5,3,2}]", "Take[{5,6},1]",
    "Clip[5,{0,9}]",
    "Sqrt[2]/2", "√2/2",  # printed as 1/√2
}  # fmt: skip


def rows(path, words=True):
    """Programs with what they print: language | program | value, ⏎ for the end of a line."""
    split = [line.replace("⏎", "\n").split(" | ") for line in path.read_text(encoding="utf-8").splitlines()]
    return [(language, " | ".join(program), value) for language, *program, value in split]


@pytest.mark.parametrize("language", LITERALS)
def test_computing_is_told_from_writing(language):
    assert {p: computes(language, p) for p in LITERALS[language]} == dict.fromkeys(LITERALS[language], False)
    assert {p: computes(language, p) for p in COMPUTING[language]} == dict.fromkeys(COMPUTING[language], True)


def test_guesses_are_not_paid():
    """Letters, words, one number in every disguise, an expression printed as itself, chance and the clock."""
    guesses = rows(Path(__file__).parent / "programs_guessed.txt")
    paid = [g for g in guesses if computes(*g)]
    print(f"guesses paid: {len(paid)} of {len(guesses)}")
    assert {p for _, p, _ in paid} == OPEN, paid


def test_programs_that_compute_are_paid():
    honest = rows(Path(__file__).parent / "programs_honest.txt")
    for line in (Path(__file__).parents[1] / "engines/nsl/programs.txt").read_text(encoding="utf-8").splitlines():
        if " | " in line and not line.startswith("#"):
            program, value = line.rsplit(" | ", 1)
            honest.append(("nsl", program.strip(), value.strip()))
    report(honest, 0.015)


def test_programs_of_models_are_paid(shared_data):
    programs = [
        ("wolfram", p["program"], p["expected"]) for p in json.loads((shared_data / "programs_llm.json").read_text())
    ]
    for problem in json.loads((shared_data / "token_problems.json").read_text())["problems"]:
        arms = (("sympy", "sympy"), ("sympy", "sympy_min"), ("wolfram", "wl_module"), ("wolfram", "wl_strict"))
        programs += [(language, problem[arm], problem["expected"]) for language, arm in arms if problem[arm]]
    assert len(programs) == 108
    report(programs, 0.03)


def report(programs, most):
    """Words and letters are refused by the rule and counted apart."""
    counted = [p for p in programs if any(c.isdigit() for c in p[2]) or "Pi" in p[2]]
    refused = [p for p in counted if not computes(*p)]
    print(
        f"honest programs refused: {len(refused)} of {len(counted)}, besides {len(programs) - len(counted)} whose value is a word"
    )
    assert len(refused) <= most * len(counted), refused


@pytest.mark.parametrize(
    "language,shown,times",
    [("nsl", "{}", "{} * {}"), ("wolfram", "{}", "Times[{}, {}]"), ("sympy", "print({})", "print({} * {})")],
)
def test_neutral_numbers_around_any_number_compute_nothing(language, shown, times):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(30):
        number = str(rng.choice([rng.randint(2, 999), rng.randint(9, 999) / 8]))  # 1.0 is neutral itself
        text = number
        for _ in range(rng.randint(1, 4)):
            text = rng.choice(["({}+0)", "({}-0)", "(0+{})", "({}*1)", "(1*{})", "({}/1)", "({})"]).format(text)
        assert computes(language, shown.format(text), number) is False, (seed, text)
        other = rng.randint(1000, 9999)
        assert computes(language, times.format(text, other), str(float(number) * other)) is True, (seed, text, other)


@pytest.mark.parametrize("language,disguises", [
    ("nsl", ["x={};x", "max({})", "mean{{{0},{0}}}", "{{{},7001,7003}}[1]", "{} x/x", "{} mod 7001", "x={};x*x/x"]),
    ("wolfram", ["Max[{0}, {0}]", "Mod[{}, 7001]", "If[3 > 2, {}, 7001]", "Nest[Identity, {}, 3]",
    "Sum[{}, {{k, 1, 1}}]", "Integrate[{}, {{x, 0, 1}}]", "x = {}; x x/x", "f[x_] := x; f[{}]", "FromDigits[\"{}\"]",
    "First[{{{}, 7001}}]"]),
    ("sympy", ["print(max({0}, {0}))", "print({} % 7001)", "print({} if 3 > 2 else 7001)", "x = {}\nprint(x*x//x)",
    "print(int('{}'))", "print(min({}, 7001))", "print([{}, 7001, 7003][0])", "def f(n):\n    return n\nprint(f({}))"]),
])  # fmt: skip
def test_any_number_in_disguise_is_a_literal_and_another_value_is_not(language, disguises):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for disguise in disguises:
        number = rng.randint(4, 900)  # the sum is none of the numbers of a disguise
        program = disguise.format(number)
        assert computes(language, program, str(number)) is False, (seed, program)
        sums = disguise.format(f"({number}+{rng.randint(5001, 6000)})")
        if "'" not in program and '"' not in program:
            assert computes(language, sums, str(number + 6001)) is True, (seed, sums)


@pytest.mark.parametrize("language", LITERALS)
def test_no_program_raises_or_takes_long(language):
    rng = random.Random()
    computes(language, "1+1")  # loads the language
    pieces = [
        "(",
        ")",
        "[",
        "{",
        "}",
        "]",
        "1",
        "x",
        "+",
        "=",
        ";",
        '"',
        "Sum[",
        "sqrt ",
        ",",
        "\n",
        " ",
        "^",
        "lambda:",
        "-",
        "\x00",
        "\ud83d",
        "::",
        "/",
        "not ",
        "Max[",
        "max(",
        "First[{",
        "If[",
        "If[]",
        "First[]",
        "Part[]",
        "Which[]",
        "Times[]",
        "Power[]",
        "Divide[]",
        "Divide[5]",
        "Slot[]",
        "Solve[",
        "'5'",
        "٣",
        "1/0",
        "9" * 50,
        "==",
        "5;",
        "[0]",
    ]
    for _ in range(60):
        unit = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 4)))
        best = 1.0
        for _ in range(3):  # the shortest of three: other processes of the machine slow one of them
            start = time.process_time()
            assert computes(language, unit * (1000 // len(unit)), unit * 30) in (True, False)
            best = min(best, time.process_time() - start)
            if best < 0.1:
                break
        assert best < 0.1, unit


def test_executes_is_paid_for_a_right_answer_or_for_computing():
    texts = [
        "<nsl>B</nsl>",
        "<nsl>B</nsl>",
        "<nsl>2+3</nsl>",
        "<nsl>2+3</nsl>",
        '<wolfram>"B"</wolfram>',
        "<nsl>5</nsl>",
        "5",
        "<nsl>x=5;x*1</nsl>",
    ]
    correct = [False, True, False, True, False, True, True, False]
    results = (
        [Result(Status.OK, "B")] * 2
        + [Result(Status.OK, "5")]
        + [Result(Status.MESSAGE, "5"), Result(Status.OK, "B"), Result(Status.CRASH), None, Result(Status.OK, "5")]
    )
    batch = RewardBatch(
        problems=[Problem("p", "?", answer="5", category="c", images=())] * len(texts), completions=texts,
        completion_ids=[[1]] * len(texts),
        extracted=[extract(t) for t in texts], results=results, group_sizes=[len(texts)], correct=correct,
    )  # fmt: skip
    assert [row[0] for row in Rewards(["executes"])(batch)] == [0.0, 1.0, 1.0, 0.5, 0.0, 0.0, None, 0.0]


def test_what_python_warns_of_in_a_program_is_not_printed():
    code = "from nsrl.rewards.programs import computes\nfor p in ('print(1if 1else 2)', 'print(2 is 2)', 'x = 5(3)'): computes('sympy', p)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stderr == b""
