"""Right answers as chat models phrase them, each beside golds they do not answer; and signs that tell texts apart."""

import pytest

from nsrl.rewards import check

COLUMN, ROW = "\\begin{pmatrix}1 \\\\ 2\\end{pmatrix}", "\\begin{pmatrix}1 & 2\\end{pmatrix}"
SAID = {  # a text: (golds it answers, golds it does not)
    "No solutions exist.": (["\\emptyset", "no solution"], ["0", "No"]),
    "no real roots": (["\\emptyset"], ["0", "\\mathbb{R}"]),
    "There are no real roots.": (["\\emptyset"], ["0"]),
    "There are no roots but 2.": ([], ["\\emptyset"]),
    "Either x = 1 or x = 2.": (["1, 2", "\\{1,2\\}"], ["1", "2", "(1,2)"]),
    "Both 1 and 2": (["\\{1,2\\}"], ["1", "2"]),
    "a thousand": (["1000"], ["1"]),
    "a hundred": (["100"], ["1"]),
    "a dozen": (["12"], ["1"]),
    "two dozen": (["24"], ["2", "12"]),
    "0.666...": (["\\frac{2}{3}"], ["0.666", "\\frac{666}{1000}"]),
    "0.1666…": (["\\frac{1}{6}"], ["\\frac{1}{7}"]),
    "$0.363636\\ldots$": (["\\frac{4}{11}"], ["0.3637"]),
    "3.14159...": ([], ["\\frac{22}{7}"]),
    "x \\neq 0": (
        ["(-\\infty,0)\\cup(0,\\infty)", "x \\ne 0"],
        ["(-\\infty,0]\\cup[0,\\infty)", "0", "(-\\infty,1)\\cup(1,\\infty)"],
    ),
    ROW + "^T": ([COLUMN], ["\\begin{pmatrix}2 \\\\ 1\\end{pmatrix}"]),
    "\\begin{pmatrix}1 & 2\\\\3 & 4\\end{pmatrix}^{\\top}": (
        ["\\begin{pmatrix}1 & 3\\\\2 & 4\\end{pmatrix}"],
        ["\\begin{pmatrix}1 & 2\\\\3 & 4\\end{pmatrix}"],
    ),
    "It is an isosceles triangle.": (["isosceles", "isosceles triangle"], ["scalene", "triangle", "equilateral"]),
    "It is not an isosceles triangle.": ([], ["isosceles"]),
    "A and C are correct": (["A,C"], ["A", "C", "A,B", "A,B,C"]),
    "Both A and C are correct.": (["A,C"], ["A,B"]),
    "A and C are not correct": ([], ["A,C"]),
    "3.30 pm": (["3:30 pm", "15:30"], ["3:30 am", "3.30"]),
    "That's 5!": (["5"], ["120"]),
    "The answer is 5!": (["5"], ["120"]),
    "5!": (["120"], ["5"]),
    "$5!$": (["120"], ["5"]),
    "1011_{2}": (["1011_2"], ["1011_3", "10112"]),
    "10112": ([], ["1011_2"]),
    "1011.2": ([], ["1011_2"]),
    "The answer is 1011.2": ([], ["1011_2"]),
    "1235": ([], ["123_5"]),
    "n": ([], ["n!"]),
    "n!": (["n!"], ["n", "m!"]),
    "7 boys and 8 girls": (["7 boys and 8 girls", "8 girls and 7 boys"], ["8 boys and 7 girls"]),
    "8 boys, 7 girls": ([], ["7 boys and 8 girls"]),
    "7 and 8": (["7 boys and 8 girls"], []),
    "AB=3": (["3", "AB=3"], ["BC=3", "AB=4"]),
    "BA=3": (["AB=3"], ["BC=3"]),
}


@pytest.mark.parametrize("text", SAID)
def test_a_phrase_and_what_it_is_not(text):
    answered, other = SAID[text]
    for gold in answered:
        assert check(text, gold).correct is True, gold
    for gold in other:
        assert check(text, gold).correct is False, gold
