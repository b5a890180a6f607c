"""Programs of other languages as nsl: the value stays, whatever is written never raises."""

import json
import random
import re
import time
from pathlib import Path

import pytest

from nsrl.answers import check
from nsrl.data.shapes.families import FAMILIES, show
from nsrl.engines import nsl
from nsrl.engines.translate import candidates

TOKENS = Path(__file__).resolve().parents[3] / "shared" / "data" / "token_problems.json"


def first_right(language, program, gold):
    """The shortest translation with the right value."""
    for text in candidates(language, program):
        result = nsl.evaluate(text)
        if result.status.value == "ok" and check(result, gold).correct:
            return text
    return None


@pytest.mark.parametrize("language", ["wolfram", "sympy"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_what_a_teacher_writes_is_translated(family, language):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    for _ in range(15):
        values = family.sample(rng, rng.randint(1, 3))
        gold = show(family.answer(values))
        source = family.forms(values, gold)[language]
        text = first_right(language, source, gold)
        assert text is not None, (seed, source, candidates(language, source))
        assert len(text) < 0.6 * len(source)


@pytest.mark.skipif(not TOKENS.exists(), reason="the shared token problems are not here")
@pytest.mark.parametrize("language, arm", [("wolfram", "wl_module"), ("sympy", "sympy")])
def test_recorded_programs_are_translated(language, arm):
    for problem in json.loads(TOKENS.read_text())["problems"]:
        assert first_right(language, problem[arm], problem["expected"]), problem["id"]


SAME = [
    ("wolfram", "f := Module[{a = 3, s}, s = Solve[x^2 == 16 && x > 0, x]; a*x /. First[s]];\nf", "12"),
    ("wolfram", "{a, b} = {3, 4}; Sqrt[a^2 + b^2]", "5"),
    ("wolfram", "s = Solve[x^2 - 5 x + 6 == 0, x]; Max[x /. s]", "3"),
    ("wolfram", "Length[Solve[x^3 - x == 0, x]]", "3"),
    ("wolfram", "s = Solve[{x + y == 10, x - y == 2}, {x, y}]; s[[1, 2, 2]]", "4"),
    ("wolfram", "n = 27; c = 0;\nWhile[n != 1, n = If[EvenQ[n], n/2, 3 n + 1]; c++];\nc", "111"),
    ("wolfram", "g[t_] := t^2 + 1; g[3] + g[4]", "27"),
    ("wolfram", 'Print["area"]; 3*4', "12"),
    ("sympy", "import sympy as sp\nx = sp.symbols('x')\ns = sp.solve(x**2 - 4, x)\nprint(max(s))", "2"),
    ("sympy", "x = Symbol('x')\ns = solve(Eq(x**2, 9), x)\nprint([v for v in s if v > 0][0])", "3"),
    ("sympy", "x, y = symbols('x y')\ns = solve([x + y - 10, x - y - 2], [x, y])\nprint(s[x] * s[y])", "24"),
    ("sympy", "total = 0\nfor i in range(1, 11):\n    total += i**2\nprint(total)", "385"),
    ("sympy", "x = 100\nwhile x > 7:\n    x = x - 7\nprint(x)", "2"),
    ("sympy", "a = 3\na += 4\nb = a * 2\nprint('b is', b)", "14"),
    ("sympy", "from math import comb, pi\nprint(comb(5, 2) + len([1, 2, 3]))", "13"),
    ("sympy", "p, q = Point(0, 0), Point(3, 4)\nprint(p.distance(q))", "5"),
    ("sympy", "x = symbols('x')\nf = x**3\nprint(f.diff(x).subs(x, 2))", "12"),
    ("sympy", "v = [3, 1, 2]\nprint(sum(v) / len(v))", "2"),
    ("sympy", "print(17 // 5 + 17 % 5)", "5"),
    ("sympy", "x = symbols('x')\nprint(integrate(x**2, (x, 0, 3)))", "9"),
    ("sympy", "n = symbols('n', positive=True, integer=True)\nprint(solve(Eq(n*(n+1), 30), n)[0])", "5"),
]  # fmt: skip


@pytest.mark.parametrize("language, program, value", SAME)
def test_a_program_keeps_its_value(language, program, value):
    assert first_right(language, program, value), candidates(language, program)


@pytest.mark.parametrize("language, program", [
    ("sympy", "import os\nprint(os.getcwd())"), ("sympy", "def f(x):\n    return x\nprint(f(1))"), ("sympy", "x ="),
    ("sympy", ""), ("wolfram", ""), ("wolfram", "f[["), ("sympy", "print(open('a').read())"), ("sympy", "x = 1"),
])  # fmt: skip
def test_what_has_no_words_gives_nothing_wrong(language, program):
    assert all(nsl.evaluate(text).text == "1" for text in candidates(language, program))


N = 400
PIECES = {
    "sympy": ["print(", ")", "solve(", "Eq(", "x", "y", "symbols('x')", "symbols('x y', positive=True)", "=", "\n", "[",
              "]", ",", "1", "2.5", "-", "+", "**", "/", "//", "for i in range(3):\n    ", "while x<3:\n    ", "x += 1",
              "if x:", "lambda:", "'a'", ".subs(", ".count(", "{x: 1}", "[0]", "[-1]", ".x", "sum(", "max()",
              "Rational(",
              "Matrix([[1,2],[3,4]])", ".det()", "x, y = ", "not ", " and ", "<", "\x00", "é", "(" * 50, "N()",
              "Point(",
              "a = ", "a", "log(", "f\"{x}\"", "1 if x else 2", "diff(", "Triangle(", "summation("],
    "wolfram": ["f := ", "Module[{", "}, ", "]", ";", "x", "=", "==", "Solve[", "{", "}", "[[1]]", "/.", "First[", "->",
                "Break[]", "While[True, ", "If[", "Print[", "1", "2", "+", "*", "^", '"a"', "Length[", "With[{a = 1}, ",
                "Total[", "#", "&", "/@", ",", "Null", "Set[]", "Block[", "Part[", "ReplaceAll[", "Integers", "Times[]",
                "Power[]", "Subtract[1]", "Equal[]", "Plus[]", "Triangle[]", "Increment[]", "\\[", "(*"],
}  # fmt: skip


@pytest.mark.parametrize("language", PIECES)
def test_any_text_is_read_in_no_time_and_raises_nothing(language):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    forms = [f.forms(f.sample(rng, 1), "1")[language] for f in FAMILIES]
    for k in range(N):
        words = [rng.choice(PIECES[language]) for _ in range(rng.randint(1, 25))]
        if k % 2:  # a program that is nearly right
            words = re.findall(r"\w+|\W", rng.choice(forms))
            for _ in range(rng.randint(1, 4)):
                words[rng.randrange(len(words))] = rng.choice(PIECES[language])
        text = "".join(words)
        started = time.process_time()
        out = candidates(language, text)
        assert time.process_time() - started < 1, (seed, text)
        assert out == sorted(out, key=len)
        for one in out:
            nsl.parse(one)
