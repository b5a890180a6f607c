"""A number is no answer where the words or the formula around it deny or change it; and one text has one kind of
answer."""

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

CHANGED = [  # gold, texts that name its number and say something else
    ("5", ["I get 5 but the correct value is 6", "5, however the right number is 7", "greater than or equal to 5",
    "less than or equal to 5", "from 3 to 5",
           "between 3 and 5", "5 thirds", "10 cm by 5 cm", "1, 2, ..., 5", "1, 2, …, 5", "4=5", "2+2=5", "8 minus 5",
           "any even number besides 5", "5 mod 3"]),
    ("7", ["7 halves", "7 tenths", "7 thirds", "7 plus 1", "7 divided by 2"]),
    ("4", ["any number except 4", "divisible by 4", "8 divided by 4", "8 plus 4", "up to and including 4",
    "multiplied by 4", "increased by 4", "all except for 4"]),
    ("1", ["(-oo,1)|(1,oo)", "1,,2", "1|2", "1\\2", "1, ..., 9"]),
    ("2", ["1|2", "1\\2", "1,,2", "{1|2"]),
]  # fmt: skip


@pytest.mark.parametrize("gold,text", [(gold, text) for gold, texts in CHANGED for text in texts])
def test_words_that_change_a_number(gold, text):
    for form in (
        text,
        f"The answer is {text}.",
        f"So it is {text}.",
        f"**Answer:** {text}",
        f"\\boxed{{{text}}}" if "{" not in text else text,
    ):
        assert check(form, gold).correct is False, form
    assert check(Result(Status.OK, text), gold).correct is False


@pytest.mark.parametrize("gold,text", [
    ("5", "I get 5."), ("5", "The answer is 5, but you save 2."), ("5", "The total is 5, but it took a while"), ("5",
    "The sum of 2 and 3 is 5."), ("5", "equal to 5"), ("5", "It adds up to a total of 5."),
    ("3.5", "7 halves"), ("0.7", "7 tenths"), ("\\frac{5}{3}", "The answer is 5 thirds."), ("7", "7 quarters"), ("5",
    "2+3=5"), ("0.33", "1/3 = 0.33"),
    ("12", "3 * 4 = 12"), ("50", "5 cm = 50 mm"), ("4", "The distance between A and B is 4."), ("4",
    "8 divided by 2 is 4."), ("4", "There are 4 of them, from first to last."),
])  # fmt: skip
def test_words_that_state_a_number(gold, text):
    assert check(text, gold).correct is True


TWICE = {  # a text, and golds of which it answers one at most
    "5\n\\emptyset": ["5", "\\emptyset"], "5\nno solution": ["5", "\\emptyset"],
    "The answer is \\emptyset (or 5)": ["5", "\\emptyset"],
    "no solution\n5": ["5", "\\emptyset"], "5\n\\infty": ["5", "\\infty"], "5\n\\mathbb{R}": ["5", "\\mathbb{R}"],
    "5\na, b": ["5", "a, b"],
    "5\n(a,b)": ["5", "(a,b)"], "\\infty is red": ["\\infty", "red"], "\\boxed{8, 9} or \\boxed{\\emptyset}": ["8, 9",
    "\\emptyset"],
    "red\n\\mathbb{R}": ["red", "\\mathbb{R}"], "red\n\\emptyset": ["red", "\\emptyset"], "Yes\n\\emptyset": ["Yes",
    "\\emptyset"],
    "[1,2]\n5": ["[1,2]", "5"], "$Yes$, B": ["Yes", "B"], "$red$, B": ["red", "B"], "B, $red$": ["red", "B"],
    "A,C. B": ["A,C", "B"], "A,C\nB": ["A,C", "B"],
    "B\nA,C": ["A,C", "B"], "\\boxed{\\boxed{6 cm} B}": ["6 cm", "B"], "The answer is (C) 5.": ["C", "5"],
    "The answer is: 5 (option C)": ["C", "5"],
    "**Answer: C. 5**": ["C", "5"], "5. B": ["5", "B"],
}  # fmt: skip


@pytest.mark.parametrize("text", TWICE)
def test_one_text_states_one_kind_of_answer(text):
    for form in (text, f"\\boxed{{{text}}}", f"The answer is {text}", Result(Status.OK, text)):
        assert sum(check(form, gold).correct for gold in TWICE[text]) <= 1, form


@pytest.mark.parametrize("text,gold", [
    ("5\n\\emptyset", "\\emptyset"), ("\\emptyset\n5", "5"), ("A,C\nB", "B"), ("The answer is (C) 5.", "C"),
    ("{{x -> 5}}", "5"), ("The answers are A and C.", "A,C"),
    ("x = 5 or x = -5", "\\pm 5"),
])  # fmt: skip
def test_the_kind_that_is_stated_last_is_paid(text, gold):
    assert check(text, gold).correct is True


@pytest.mark.parametrize(
    "text", ["\\frac{3}{4} ) 5", "( \\frac{1}{2}", "\\sqrt{9} 5", "\\boxed{5} B", "\\frac{10}{2} 7"]
)
def test_what_is_no_formula_is_not_asked_elsewhere(text, monkeypatch):
    monkeypatch.setattr("nsrl.answers.checker.math_verify", lambda gold, text: pytest.fail(f"asked about {text}"))
    assert check(f"\\boxed{{{text}}}", "5").correct is check(Result(Status.OK, text), "5").correct is False
