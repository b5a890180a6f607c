"""What is kept of a harvest, and what is said again in nsl."""

import random

import pytest

from nsrl.engines import EnginePool
from nsrl.trainer.harvest import canonical, kept, translated
from nsrl.types import Problem


def record(problem, completion, correct, language="nsl", program=None, tokens=5, value="4"):
    return {"problem_id": problem, "completion": completion, "correct": correct, "language": language,
            "program": completion if program is None else program, "tokens": tokens, "value_text": value}  # fmt: skip


def test_the_shortest_right_ones_are_kept_once_with_their_rates():
    problems = [Problem("a", "2+2?", "4"), Problem("b", "never?", "5"), Problem("c", "?", None)]
    records = [
        record("a", "2+2", True, tokens=3),
        record("a", "2 + 2", True, tokens=4),  # the same program
        record("a", "1+3", True, tokens=4),
        record("a", "8-4", True, tokens=9),
        record("a", "5", False, tokens=1),
        record("a", "Plus[2,2]", True, "wolfram", tokens=7),
        record("a", "Plus[1,2]", False, "wolfram", tokens=7),
        record("b", "4", False),
        record("c", "4", None),
    ]
    random.Random(0).shuffle(records)
    rows = kept(records, problems, most=2)
    assert [(r["language"], r["program"]) for r in rows if r["language"] == "nsl"] == [("nsl", "2+2"), ("nsl", "1+3")]
    assert [r["program"] for r in rows if r["language"] == "wolfram"] == ["Plus[2,2]"]
    assert {r["problem_id"] for r in rows} == {"a"}
    assert {r["pass_rate"] for r in rows} == {5 / 7}
    assert [r["pass_rate_language"] for r in rows] == [4 / 5, 4 / 5, 1 / 2]


@pytest.mark.parametrize("language, one, other, equal", [
    ("sympy", "print( 1+2 )", "print(1 + 2)  # three", True), ("sympy", "print(3)", "print(1+2)", False),
    ("wolfram", "f := Module[{a}, a = 2; a + 1];", "a=2; a+1", True), ("nsl", "x=2; x+1", "x=2;x+1", True),
    ("direct", "4 ", "4", True), ("sympy", "x = = 1", "x = =  1", True), ("wolfram", "f[[", "f[[", True),
])  # fmt: skip
def test_two_texts_of_one_program_are_one(language, one, other, equal):
    assert (canonical(language, one) == canonical(language, other)) is equal


def test_a_translation_has_the_value_of_its_source():
    row = {"problem_id": "a", "answer": "12", "options": [], "value_text": "12", "tokens": 30, "translated_from": ""}
    module = "f := Module[{a}, a = {3, 4, 5}; Total[a]];"
    rows = [
        {**row, "language": "wolfram", "program": module, "completion": ""},
        {**row, "language": "sympy", "program": "a = [3, 4, 5]\nprint(sum(a))", "completion": ""},  # the same again
        {**row, "language": "sympy", "program": "print(max(3, 12))", "completion": "", "problem_id": "b"},
        {**row, "language": "sympy", "program": "print(3*5)", "completion": "", "problem_id": "c"},  # not the gold
        {**row, "language": "wolfram", "program": "3*4", "completion": "", "value_text": "13", "problem_id": "d"},
        {**row, "language": "nsl", "program": "3*4", "completion": "<nsl>3*4</nsl>"},
    ]
    with EnginePool(workers=1, languages=["nsl"]) as pool:
        found = translated(rows, pool)
    assert [(r["problem_id"], r["program"], r["translated_from"]) for r in found] == [
        ("a", "sum{3,4,5}", "wolfram"), ("b", "max{3,12}", "sympy"),
    ]  # fmt: skip
    assert found[0]["completion"] == "<nsl>sum{3,4,5}</nsl>"
