"""Cutting the program out of a completion: which one counts, and what is left."""

import time

import pytest

from nsrl.engines import CLOSE, LANGUAGES, OPEN, TOKENS, extract


@pytest.mark.parametrize("language", LANGUAGES)
def test_program_between_its_tokens(language):
    got = extract(f"Let me count.\n{OPEN[language]}1 + 1{CLOSE[language]}\nSo 2.")
    assert (got.language, got.program, got.complete) == (language, "1 + 1", True)
    assert got.prose == "Let me count.\n\nSo 2." and got.answer is None


def test_six_distinct_tokens():
    assert len(set(TOKENS)) == 6


@pytest.mark.parametrize(
    "text, language, program",
    [
        ("<nsl>1</nsl> no: <nsl>2</nsl>", "nsl", "2"),
        ("<nsl>1</nsl> then <sympy>print(2)</sympy>", "sympy", "print(2)"),
        ("<nsl>1</nsl> then <nsl>2", "nsl", "1"),  # a complete program beats an unfinished one
        ("talk of <nsl> here, then <nsl>2</nsl>", "nsl", "here, then <nsl>2"),
        ("<nsl>unfinished", "nsl", "unfinished"),
        ("<wolfram>a </nsl> b</wolfram>", "wolfram", "a </nsl> b"),
        ("<sympy>x = '<nsl>'</sympy>", "sympy", "x = '<nsl>'"),
        ("<nsl></nsl>", "nsl", ""),
        ("nsl: <nsl>nsl</nsl>", "nsl", "nsl"),
        ("```python\nprint(1)\n```", "sympy", "print(1)"),
        ("```Mathematica\nf[x]\n```\n", "wolfram", "f[x]"),
        ("```nsl\n2+2\n```", "nsl", "2+2"),
        ("```python\nprint(1)", "sympy", "print(1)"),
        ("```json\n{}\n```\n<nsl>3</nsl>", "nsl", "3"),
        ("<sympy>\n```python\nprint(1)\n```\n</sympy>", "sympy", "print(1)"),
        ("<sympy>\n  x = 1\n  print(x)\n</sympy>", "sympy", "  x = 1\n  print(x)"),
    ],
)
def test_which_program_counts(text, language, program):
    got = extract(text)
    assert got.language == language
    assert got.program.strip() == program.strip()
    assert text[got.begin :].startswith(got.program)


def test_unfinished_is_told():
    assert not extract("<nsl>1+").complete
    assert extract("<nsl>1</nsl><nsl>1+").complete


def test_span_covers_the_delimiters():
    text = "ab<nsl>1</nsl>cd"
    start, end = extract(text).span
    assert text[start:end] == "<nsl>1</nsl>"


@pytest.mark.parametrize(
    "text, answer",
    [
        (r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{1} and \boxed{2}", "2"),
        (r"\boxed{a \boxed{b} c}", r"a \boxed{b} c"),
        (r"\boxed{unfinished \boxed{3}", "3"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        ("The answer is 42.", "42"),
        ("Answer: **B**", "B"),
        ("thinking\n17", "17"),
        ("", None),
        ("   \n ", None),
    ],
)
def test_direct_answer(text, answer):
    got = extract(text)
    assert got.language is None and got.program == ""
    assert got.answer == answer


@pytest.mark.parametrize(
    "piece", ["<nsl>", "```", "\\boxed{", "{", "}", "```python\n", "answer is ", " ", "\\", "</nsl>", "\x00", "\ud800"]
)
def test_hostile_text_is_read_in_linear_time(piece):
    text = piece * (60_000 // len(piece))
    started = time.perf_counter()
    extract(text)
    assert time.perf_counter() - started < 2
