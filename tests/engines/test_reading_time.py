"""Reading a program takes time in proportion to its text, whatever the text is, and ends in a program or a syntax
error."""

import gc
import importlib
import random
import time

import pytest

from nsrl.engines.nsl import evaluate as evaluate_nsl
from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import parse as parse_nsl
from nsrl.engines.nsl.plan import plan
from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.repair import parse_lenient, without_prose
from tests.engines.machine import slowdown

parse_wolfram = importlib.import_module("nsrl.engines.wolfram.parser").parse
PIECES = {
    "nsl": ["1", "2", "0", "0.5", "1e3", "e-3", "012", "x", "y", "e", "i", "f", "f(", "g(", "(", ")", "{", "}", "[",
    "]", "+", "-", "*", "/", "^", "!", "%", "°", "²", "ⁿ", "⁻", "=", "<", "<=", "≥", "≠", ":=", "+=", ";", ",", "?",
    "->", "→", "..", "for", "if(", "while", "until", "and", "or", "not", "of", "mod", "choose", "C", "P", "5C2", "sin",
    "sin(", "log", "log_2", "log₂", "max", "max{", "min(", "sqrt", "√", "|", "'", "x1", "x_1", "xy", "km", "h", "ℤ",
    "∈", "π", "½", '"a"', '"', "to", "#", ":", "let", "∠A", "_", "1,", "a,", "1000,", "count{", "f(x)=", "x=", "A(1,",
    "s+=1", "in"],
    "wolfram": ["1", "2", "0.5", "x", "y", "f", "(", ")", "{", "}", "[", "]", "[[", "]]", "+", "-", "*", "/", "^", "!",
    "!!", "'", "&", "#", "##", "@", "@@", "/@", "//", "/.", "/;", "->", ":>", "=", "==", ":=", "===", "!=", "<", "<=",
    "<|", "|>", "|", "||", "&&", "~", "~~", "?", ":", "::", ";", ";;", ",", "_", "__", "x_", "_.", ".", "..", "++",
    "--", "**", "<>", '"', '"a"', "\\", "(*", "*)", "%", "`", "$", "\\[Alpha]", "\\[", "×", "→", "∣", "½", "²", "√",
    "π", "x=", "f[", "Sin[", "/:", "|->", "1.", "1`", "*^", "2^^", "#1", "@*", "```", "a_b", "é", "“", "’", "≤",
    "log("],
}  # fmt: skip


def read(language, text):
    """Everything that happens to a program's text before something is computed."""
    try:
        if language == "nsl":
            plan(parse_nsl(text))
            return
        text = without_prose(text)
        try:
            parse_wolfram(text)
        except WolframSyntaxError:
            parse_lenient(text)
    except (NslSyntaxError, WolframSyntaxError, RecursionError):
        return


def cost(language, text, tries=3):
    """CPU milliseconds of reading the text, the least of several tries.

    Without the garbage collector, whose time goes by what other tests of this process left behind.
    """
    times = []
    gc.disable()
    try:
        for _ in range(tries):
            started = time.process_time()
            read(language, text)
            times.append(1000 * (time.process_time() - started))
    finally:
        gc.enable()
    return min(times)


@pytest.mark.parametrize("language", PIECES)
def test_a_thousand_characters_of_anything_are_read_in_50_ms(language):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    pieces = [*PIECES[language], " ", "\n"]
    some = lambda many: "".join(rng.choice(pieces) + rng.choice(["", " "]) for _ in range(many))
    read(language, "1+1")
    for k in range(400):
        if k % 4:
            part = some(rng.randint(1, 5))
            text = (some(rng.randint(0, 2)) + part * (1000 // len(part)))[:1000] + some(rng.randint(0, 2))
        else:
            text = some(rng.randint(1, 60))
        if cost(language, text, 1) > 50:
            assert cost(language, text) < 50 * slowdown(), f"seed {seed}: {text[:60]!r}"


# What once took time by the square of the text's length, and what is read by rules of its own.
REPEATED = [
    ("wolfram", "a "), ("wolfram", "1. "), ("wolfram", "½"), ("wolfram", "a+"), ("wolfram", "f["), ("wolfram", "(*"),
    ("wolfram", "a_b "),
    ("nsl", '"a";'), ("nsl", "a,"), ("nsl", "a=b;"), ("nsl", "f(a)=1;"), ("nsl", "1 mod "), ("nsl", "x+y=1;"), ("nsl",
    "a "), ("nsl", "(a=1,"),
]  # fmt: skip


@pytest.mark.parametrize("language, part", REPEATED)
def test_four_times_the_text_takes_not_much_more_than_four_times(language, part):
    short, long = 4000 // len(part), 16_000 // len(part)
    for _ in range(4):  # another process may take the caches during one of the two
        if cost(language, part * long + "1") < 8 * max(cost(language, part * short + "1"), 1.0):
            return
    pytest.fail(
        f"{cost(language, part * short)} ms for {short} times {part!r}, {cost(language, part * long)} ms for {long}"
    )


@pytest.mark.parametrize(
    "text, status", [("2+g(log", "syntax"), ("1e3e-3", "syntax"), ("log=3;log+1", "ok"), ("5C2log", "syntax")]
)
def test_a_word_at_the_very_end_and_a_number_with_two_powers_are_read(text, status):
    assert evaluate_nsl(text).status == status
