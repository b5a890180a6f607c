"""`executes` pays for computing: a literal in the delimiters of a program is paid only when it is right."""

import random
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
COMPUTING = {
    "nsl": ["2+3", "12/4", "mean{3,5,7}", "2a+3p=13;4a+p=11;p", "w(w+2)=48;w>0;w", "sqrt 2", "a=3;b=4;a+b", "2^10", "12*13"],
    "wolfram": ["2+3", "12/4", "Total[{1,2}]", "Solve[x^2==4,x]", "a=3;b=4;a*b", "Sqrt[2]", "Module[{a=2}, a+1]", "N[Pi*2]", "f := Module[{}, 2 + 3];"],
    "sympy": ["print(2+3)", "from sympy import *\nprint(solve('x-2'))", "a=3\nb=4\nprint(a*b)", "sum([1,2])", "12/4", "max(1, 2)"],
}


@pytest.mark.parametrize("language", LITERALS)
def test_computing_is_told_from_writing(language):
    assert {p: computes(language, p) for p in LITERALS[language]} == dict.fromkeys(LITERALS[language], False)
    assert {p: computes(language, p) for p in COMPUTING[language]} == dict.fromkeys(COMPUTING[language], True)


@pytest.mark.parametrize("language", LITERALS)
def test_no_program_raises_or_takes_long(language):
    rng = random.Random()
    pieces = ["(", ")", "[", "{", "}", "]", "1", "x", "+", "=", ";", '"', "Sum[", "sqrt ", ",", "\n", " ", "^", "lambda:", "-", "\x00", "\ud83d", "::", "/", "not "]
    for _ in range(60):
        unit = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 4)))
        start = time.process_time()
        assert computes(language, unit * (1000 // len(unit))) in (True, False)
        assert time.process_time() - start < 0.2, unit  # 50 ms when the machine is free


def test_executes_is_paid_for_a_right_answer_or_for_computing():
    texts = ["<nsl>B</nsl>", "<nsl>B</nsl>", "<nsl>2+3</nsl>", "<nsl>2+3</nsl>", '<wolfram>"B"</wolfram>', "<nsl>5</nsl>", "5"]
    correct = [False, True, False, True, False, True, True]
    results = [Result(Status.OK, "x")] * 3 + [Result(Status.MESSAGE, "5"), Result(Status.OK, "B"), Result(Status.CRASH), None]
    batch = RewardBatch(
        problems=[Problem("p", "?", answer="5", category="c", images=())] * len(texts), completions=texts, completion_ids=[[1]] * len(texts),
        extracted=[extract(t) for t in texts], results=results, group_sizes=[len(texts)], correct=correct,
    )  # fmt: skip
    assert [row[0] for row in Rewards(["executes"])(batch)] == [0.0, 1.0, 1.0, 0.5, 0.0, 0.0, None]
