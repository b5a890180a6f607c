"""How an answer may be written: each text with golds it answers and near ones it does not, said, boxed and printed."""

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

COLUMN = "\\begin{pmatrix}1\\\\2\\end{pmatrix}"
TWO_OF_FIVE = "\\binom{5}{2}"

READ = {  # text: (golds it answers, golds it does not)
    "∞": (["\\infty", "∞", "+\\infty"], ["-\\infty", "0", "8"]),
    "+∞": (["\\infty", "∞"], ["-∞"]),
    "-∞": (["-\\infty"], ["∞"]),
    "∅": (["\\emptyset", "∅", "\\{\\}", "no solution"], ["0", "\\{0\\}", "\\infty"]),
    "\\{\\}": (["\\emptyset", "∅", "no solution"], ["0", "\\{0\\}"]),
    "\\text{no solution}": (["no solution", "\\emptyset", "No solutions"], ["one solution", "0", "all real numbers"]),
    "sin x": (["\\sin x", "\\sin(x)", "sin(x)"], ["\\cos x", "\\sin y", "\\sin^2 x"]),
    "sin x cos x": (["\\frac{1}{2} \\sin 2x"], ["\\sin 2x"]),
    "x ln x": (["x \\ln x"], ["\\ln x"]),
    "x>=2 and x<3": (["[2,3)", "2 \\le x < 3"], ["[2,3]", "(2,3)", "x \\ge 2", "x < 3"]),
    "x ≥ 2, x < 3": (["[2,3)"], ["[2,3]"]),
    "x < -\\sqrt{2}, x > \\sqrt{2}": (["(-\\infty,-\\sqrt{2}) \\cup (\\sqrt{2},\\infty)"], ["(-\\sqrt{2},\\sqrt{2})"]),
    "x < -\\sqrt{2} and x > \\sqrt{2}": ([], ["(-\\infty,-\\sqrt{2}) \\cup (\\sqrt{2},\\infty)",
    "(-\\sqrt{2},\\sqrt{2})"]),
    "x >= 2 or x < 3": ([], ["[2,3)"]),
    "x >= 2 and y < 3": ([], ["[2,3)"]),
    "[2,3[": (["[2,3)", "[2,3["], ["[2,3]", "(2,3)", "(2,3]"]),
    "]2,3]": (["(2,3]"], ["[2,3]", "[2,3)"]),
    "]2,3[": (["2<x<3"], ["[2,3]"]),
    "]-∞;3[": (["x<3"], ["x \\le 3"]),
    "P(2,3)": (["(2,3)", "P(2,3)", "P = (2,3)"], ["(3,2)", "[2,3]", "6"]),
    "(2,3)": (["P(2,3)"], ["P(3,2)"]),
    "A(1,2), B(3,4)": (["(1,2), (3,4)"], ["(1,2), (4,3)"]),
    "C(5,2)": (["10", TWO_OF_FIVE], ["20", "5", "(5,2)"]),
    "C(2,5)": (["(2,5)"], ["10", "0"]),
    "C(5,2)/C(6,3)": (["1/2"], ["2"]),
    "{5 \\choose 2}": (["10", TWO_OF_FIVE], ["20", "5", "2"]),
    "{1 \\over 2}": (["\\frac{1}{2}", "0.5"], ["2", "1", "\\frac{1}{3}"]),
    "{x+1 \\over 2}": (["\\frac{x+1}{2}"], ["x+\\frac{1}{2}"]),
    "[1,2]": ([COLUMN], ["(1,2)", "\\begin{pmatrix}2\\\\1\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\\\3\\end{pmatrix}"]),
    "[[1],[2]]": ([COLUMN], ["\\begin{pmatrix}2\\\\1\\end{pmatrix}", "(1,2)"]),
    "(B), (D)": (["B, D"], ["B, C", "B, C, D", "B"]),
    "(B) and (D)": (["B, D"], ["A, D"]),
    "∛2": (["\\sqrt[3]{2}", "2^{1/3}"], ["\\sqrt{2}", "2", "3"]),
    "2∛10": (["2\\sqrt[3]{10}"], ["20", "2\\sqrt{10}"]),
    "∜16": (["2"], ["4"]),
    "So, 3*4 = 12.": (["12"], ["3", "4", "7", "3.4"]),
    "So, 3 x 4 = 12 cm.": (["12"], ["13"]),
    "one and a half": (["1.5", "3/2"], ["0.5", "1", "2"]),
    "two and a half hours": (["2.5 hours", "150 minutes"], ["0.5 hours", "2 hours"]),
    "2 and a half": (["2.5"], ["2", "0.5", "3"]),
    "\\{x : x >= 2 and x < 3\\}": (["[2,3)"], ["[2,3]"]),
    "P(A) = 1/2": (["1/2"], ["2"]),
    "one and three quarters": (["7/4"], ["3/4", "1"]),
    "one hundred and one": (["101"], ["100"]),
    "C = 3": (["3"], ["C"]),
    "3 = C": (["3"], ["C"]),
    "C. 3": (["C"], ["3"]),
    "(C) 3": (["C"], ["3"]),
    "C) 3": (["C"], ["3"]),
    "3 -> C": (["3"], ["C"]),
    "1/30": (["1/30"], ["1:30", "0:30"]),
    "sin A = 1/2": (["1/2"], ["1"]),
    "1e-17": (["0"], ["1", "1e-3", "0.1"]),
    "2.2e-16": (["0"], ["1"]),
    "1e-11": ([], ["0"]),
    "10^{-17}": ([], ["0"]),
    "5'": (["5 ft", "60 inches"], ["5", "5 in", "5^\\circ"]),
    '5"': (["5 in"], ["5", "5 ft"]),
    "30'": ([], ["30^\\circ", "30"]),
    "5′": ([], ["5"]),
}  # fmt: skip

PRINTED = {  # what only an engine prints
    "FiniteSet(1, 2)": (["\\{1,2\\}", "\\{2,1\\}", "1, 2"], ["\\{1,3\\}", "1", "(1,3)"]),
    "Interval(1, 2)": (["[1,2]"], ["(1,2)", "[1,2)"]),
    "Eq(y, 2*x + 1)": (["y = 2x+1", "2x - y = -1"], ["y = 2x+2", "1", "2x+2"]),
    "Eq(x, 5)": (["5", "x=5"], ["6"]),
    "x == 5": (["5"], ["6"]),
    "Ne(x, 5)": ([], ["5"]),
    "And(2 <= x, x < 3)": (["[2,3)"], ["[2,3]"]),
    "(2 <= x) & (x < 3)": (["[2,3)"], ["(2,3]"]),
    "Point2D(2, 3)": (["(2,3)"], ["(3,2)"]),
    "Matrix([[1], [2]])": ([COLUMN], ["\\begin{pmatrix}2\\\\1\\end{pmatrix}"]),
    "{1, 2}": ([COLUMN], ["\\begin{pmatrix}2\\\\1\\end{pmatrix}"]),
    "CubeRoot[2]": (["\\sqrt[3]{2}"], ["\\sqrt{2}", "2"]),
    "Surd[2, 3]": (["\\sqrt[3]{2}"], ["\\sqrt{3}"]),
    "sin(x)==5": (["\\sin x = 5"], ["5"]),
    "Eq(sin(x), 5)": ([], ["5"]),
    "x^2-4=0": (["x^2=4"], ["0", "4"]),
    "x^2 - 4 == 0": ([], ["0", "4"]),
    "2.220446049250313e-16": (["0"], ["2"]),
    "1.2*^-16": (["0"], ["1.2"]),
}


def graded(text, golds, forms):
    return {g: [check(form, g).correct for form in forms] for g in golds}


@pytest.mark.parametrize("text", READ)
def test_a_text_answers_what_it_says_and_nothing_near(text):
    right, wrong = READ[text]
    forms = [text, f"\\boxed{{{text}}}", f"The answer is {text.removesuffix('.')}."]
    forms = forms[:1] if text.startswith("So,") else forms
    assert graded(text, right, forms) == {g: [True] * len(forms) for g in right}
    assert graded(text, wrong, [*forms, Result(Status.OK, text)]) == {g: [False] * (len(forms) + 1) for g in wrong}


@pytest.mark.parametrize("text", PRINTED)
def test_a_printed_value_answers_what_it_says_and_nothing_near(text):
    right, wrong = PRINTED[text]
    assert graded(text, right, [Result(Status.OK, text)]) == {g: [True] for g in right}
    assert graded(text, wrong, [Result(Status.OK, text)]) == {g: [False] for g in wrong}


def test_a_letter_that_is_the_text_of_another_option_means_that_option():
    options = ("A", "B", "C", "E", "Impossible to tell")
    for form in ("E", "\\boxed{E}", "The answer is E.", Result(Status.OK, "E")):
        assert [g for g in "ABCDE" if check(form, g, options).correct] == ["D"], form
    for form in ("D", "(D)", "A", "B"):
        assert [g for g in "ABCDE" if check(form, g, options).correct] == [form.strip("()")], form
    for text in ("A: I and II", "A. I and II"):
        assert [g for g in "AB" if check(Result(Status.OK, text), g, ("I, II and III", "I and II")).correct] == [], text
    assert check("(B), (D)", "BD", ("1", "2", "3", "4")).correct is True
    assert check("(B), (C)", "BD", ("1", "2", "3", "4")).correct is False
