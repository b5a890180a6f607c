"""Reading nsl: what a text means, and where it stops meaning anything."""

import contextlib
import random
import re
import sys
import time
from pathlib import Path

import pytest

from nsrl.engines.nsl import NslSyntaxError, evaluate, parse, to_wolfram
from nsrl.engines.result import Status
from nsrl.engines.wolfram import printer

sys.path.insert(0, str(Path(__file__).parent))
from ebnf import Writer, printed

MEANS = {
    "1/2x": "(1*x)/2",
    "2πr": "2*Pi*r",
    "-x²": "-x^2",
    "2^-1": "2^(-1)",
    "sin 2x": "Sin[2*x]",
    "sin²x": "Sin[x]^2",
    "sin30°cos60°": "Sin[30*Degree]*Cos[60*Degree]",
    "√2x": "Sqrt[2]*x",
    "√3²": "Sqrt[3^2]",
    "sqrt2": "Sqrt[2]",
    "5C2": "Binomial[5, 2]",
    "5choose2": "Binomial[5, 2]",
    "C(5,2)": "Binomial[5, 2]",
    "2C": "2*C$",
    "a×b÷c": "(a*b)/c",
    "|x-1|": "Abs[x - 1]",
    "2|x|": "2*Abs[x]",
    "20%*5": "5/5",
    "7 mod 3": "Mod[7, 3]",
    "n%7": "Mod[n, 7]",
    "(20)%x": "Mod[20, x]",
    "20% of x": "x/5",
    "angle A": "angleA",
    "∠1": "angle1",
    "max(3,5)": "Max[{3, 5}]",
    "max{3,5}": "Max[{3, 5}]",
    "Max{3,5}": "Max[{3, 5}]",
    "count{c,s}c": "Count[{c, s}, c]",
    "area=12;area/3": "area = 12; area/3",
    "x₁+x_2": "x1 + x2",
    "{n² for n in 1..3}": "Table[n^2, {n, 1, 3}]",
    "0<x<3": "Reduce[0 < x < 3, {x}, Reals]",
    "⅔ of 3": "(2*3)/3",
    "n!!": "n!!",
    "EuclideanDistance(A,B)": "EuclideanDistance[A, B]",
    "3!": "3!",
    "a and not b": "Reduce[a && !b, {a, b}, Reals]",
    "∠A": "angleA",
}


@pytest.mark.parametrize("text", MEANS)
def test_reads_as(text):
    assert printer.text(to_wolfram(text), quotes=True) == MEANS[text]


SAME = [
    ("x²=4", "x^2=4"), ("x**2==4", "x²=4"), ("a≤b", "a<=b"), ("a≠b", "a != b"), ("2·3", "2*3"), ("[1,2]", "{1,2}"),
    ("2x+1=5\nx", "2x+1=5;x"), ("x=1 # a note\nx", "x=1;x"), ("½x", "½*x"), ("1−2", "1-2"), ("dist{A,B}", "dist(A,B)"),
    ("x+y=5,x-y=1", "x+y=5;x-y=1"), ("A,B=1,2;A", "A=1;B=2;A"), ("A(1,2);A", "A=(1,2);A"), ("cosA", "cos(A)"),
    ("90km/h to m/s", "90km/h→m/s"), ("1..3", "(1..3)"), ("(1+\n2)", "(1+2)"),
]  # fmt: skip


@pytest.mark.parametrize("one,other", SAME)
def test_means_the_same(one, other):
    assert to_wolfram(one) == to_wolfram(other)


WRONG = {
    "": 0, "2+": 2, "2 3": 2, "(1,2": 4, "foo(3)": 0, "1?2": 3, "x@y": 1, "3)": 1, "dist(1)": 0, "{1,2": 4, "x=;2": 2,
    "while x>0 x-=1": 11, "1?2,3;4": 6, '"abc': 0, "2..": 3,
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_errors_say_where(text):
    with pytest.raises(NslSyntaxError) as caught:
        parse(text)
    assert caught.value.start == WRONG[text]
    result = evaluate(text)
    assert result.status is Status.SYNTAX and result.messages[0].text.startswith(f"at {WRONG[text]}:")


def test_never_raises_for_any_text():
    junk = ["\x00", "((((" * 100, "-" * 1000 + "1", "^" * 50, "||||", "a" * 5000, "1" * 5000, "9^9^9^9", "{" * 500,
    "√" * 400,
            "x=x", "x=x;x", "?", ";;;;", "→", "if(", "for", "while", "f(x)=f(x);f(1)", "f(n)=f(n-1);f(5)", "1/0", "0/0",
            "0^0", "x=1/0;x", "1..10^12", "\ud800", "π" * 300, "2" + "^2" * 90, "x²+y²=25;x", "sin(x)=2;x", "∈", "1∈ℤ",
            "{}", "mean{}", "max()", "nth{1,2}5", "x→m", "3m→s", "[][1]", "L[1]", "_", "\\", "a.b", "1.2.3",
            "x'=2;x'"]  # fmt: skip
    for text in junk:
        assert evaluate(text).engine == "nsl"


def test_the_page_says_what_the_engine_does():
    page = (Path(__file__).parents[3] / "docs" / "nsl.md").read_text()
    examples = page.split("## Examples\n")[1].split("\n## ")[0]
    lines = [re.split(r"\s{3,}", line.strip()) for line in examples.splitlines() if line.strip()]
    assert len(lines) >= 14
    for program, expected, *_ in lines:
        assert (evaluate(program).text, program) == (expected, program)
    for line in page.split("## Grammar")[0].splitlines():
        if line.startswith("    "):
            program, _, expected = re.split(r"\s{3,}", line.strip())
            assert evaluate(program).text == expected
    shown = page.split("tested over generated programs):\n")[1].split("\nA name")[0]
    for line in shown.splitlines():
        if line.strip():
            program, wolfram = re.split(r"\s{3,}", line.strip())
            assert printer.text(to_wolfram(program), quotes=True) == wolfram


def test_programs_from_the_page_s_grammar_parse_print_and_parse_again():
    """Refused is only what the rules refuse: a number with % before an operand,
    a percentage added to no percentage, a third !, != behind an operand, a function without end, the length of a
    number, L[0]."""
    seed = random.SystemRandom().randrange(1 << 32)
    parsed = 0
    for k in range(600):
        program = Writer(seed + k).program()
        try:
            p = parse(program)
        except NslSyntaxError as e:
            assert (
                e.reason.startswith(("percent o", "n!! is", "factorial or", "len takes a", "the first element"))
                or "without end" in e.reason
            ), (seed + k, program, e.reason)
            continue
        again = parse(printed(p))
        assert [(s.kind, s.tree) for s in again.statements] == [(s.kind, s.tree) for s in p.statements], (
            seed + k,
            program,
        )
        assert (again.options, again.unit) == (p.options, p.unit), (seed + k, program)
        parsed += 1
    assert parsed > 500, seed


def test_reading_is_linear():
    """6,000 characters of anything are read in far less than 20 ms of a quiet machine."""
    seed = random.SystemRandom().randrange(1 << 32)
    r = random.Random(seed)
    pieces = [" ", "x", "e", "1", "1e", "(", ")", "{", "|", "-", "^2", "²", "√", "!", "%", "for ", "f(x)=", "f(", "a,",
    "1,", ";", "(x=", "xy", "∠",
              "1e-1", "log_", "'", "..", "=", "?", "→", "\n", "sin ", "max ", "count{", "i", "x1", "5C2", "0.", "$",
              "#", '"']  # fmt: skip
    texts = [p * (6000 // len(p)) for p in pieces] + [
        "".join(r.choice(pieces) for _ in range(3000))[:6000] for _ in range(20)
    ]
    for text in texts:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            with contextlib.suppress(NslSyntaxError):
                parse(text)
            best = min(best, time.process_time() - began)
        assert best < 0.1, (seed, text[:40], best)


def test_what_stops_or_jumps_is_a_result_too():
    for text in ("Abort()", "Throw(1)", "Return(1)", "Break()", "Quit()", 'Run("ls")', "x%0=2", "Mod(x,0)=1;x"):
        assert evaluate(text).status is not Status.OK
