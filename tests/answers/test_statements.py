"""What a completion states: a letter or a value, one answer or two, no answer at all; whatever the options are."""

import random
import time

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

UNKNOWN, ENOUGH = ("12", "15", "18", "Cannot be determined"), ("12", "15", "18", "Not enough information")
COUNTS, PARTS = ("3", "4", "5", "6"), ("1/2", "1/3", "1/4")
SIDES = ("AB > CD", "AB < CD", "AB = CD", "2", "Cannot be determined")
NUMERALS = ("Only I", "Only II", "Both I and II", "Neither I nor II", "I, II and III")
COLOURS, ANGLES = ("red", "blue", "green", "black"), ("$30^\\circ$", "$45^\\circ$", "$60^\\circ$")

RIGHT = [
    *[(text, "D", UNKNOWN) for text in (
        "D", "D. Cannot be determined", "(D) Cannot be determined", "**D. Cannot be determined**",
        "Cannot be determined", "It cannot be determined.",
        "The answer is D. Cannot be determined", "We do not have the height. So it cannot be determined.",
    )],
    ("D. Not enough information", "D", ENOUGH), ("Not enough information", "D", ENOUGH),
    ("The limit does not exist.", "does not exist", None), ("It cannot be determined.", "cannot be determined", None),
    ("The smallest number that cannot be made is 43.", "43", None), ("The area that is not shaded is 12 square units.",
    "12", None),
    ("The number of students who do not have pets is 12.", "12", None), ("The probability of not getting a six is 5/6.",
    "5/6", None),
    ("You cannot have half a car, so 13 cars are needed.", "13", None), ("Since we cannot divide by zero, x = 4.", "4",
    None),
    ("It is impossible to cut fewer, so the minimum is 7.", "7", None), ("Since 12 cannot be a prime, B.", "B", ("1",
    "2", "3")),
    ("We do not have a right angle, so it is scalene.", "scalene", None), ("1/2 (or 0.5)", "1/2", None),
    ("The answer is 2\\sqrt{3} (or about 3.46).", "2\\sqrt{3}", None), ("It is 5. So the answer is B.", "B", ("4",
    "5")),
    ("The average wait is 12 minutes.", "12", None), ("You wait 5 and wait 7, so the total wait is 12 minutes.", "12",
    None),
    ("No one else has more than Tom, so he has 12.", "12", None), ("The answer is possibly 12.", "12", None),
    ("Maybe 12.", "12", None),
]  # fmt: skip
RIGHT += [
    *[
        (text, "D", UNKNOWN)
        for text in (
            "Cannot be determined from the information given",
            "It cannot be determined from the given information.",
            "It is impossible to tell.",
        )
    ],
    *[
        (text, "E", SIDES)
        for text in (
            "The answer cannot be determined, so E.",
            "The relationship cannot be determined from the information given.",
            "The answer cannot be determined, so it is option E.",
        )
    ],
    ("Cannot be determined from the information given", "cannot be determined", None),
    ("Cannot be determined", "D", (*COUNTS[:3], "Cannot be determined from the information given")),
    ("Only I", "I only", None),
    ("I only", "Only I", None),
    ("Only statement I is true.", "I only", None),
    ("\\boxed{\\text{I only}}", "Only I", None),
    ("Statements I and II only", "I and II only", None),
    *[(text, "A", NUMERALS) for text in ("Only I", "I only", "Only I is true.", "Statement I only")],
    ("I and II", "C", NUMERALS),
    ("Statements I, II and III are all true.", "E", NUMERALS),
    *[
        (text, "B > D > A > C", None)
        for text in (
            "B > D > A > C",
            "\\boxed{B > D > A > C}",
            "The ranking is B > D > A > C.",
            "The answer is B>D>A>C",
            "C < A < D < B",
        )
    ],
    *[
        (text, "12", None)
        for text in (
            "The answer is 12 (not 13).",
            "It is 12 rather than 13.",
            "Not 13 but 12.",
            "Instead of 13, we get 12.",
            "12 units squared",
            "12 (twelve)",
            "x = 12 (x = -12 is rejected)",
            "a = 12, as a > 0",
            "The maximum value is 12, attained at x = 3.",
            "答えは12です。",
            "所以答案是12厘米。",
            "面积是12平方厘米",
            "答案：12",
            "답은 12입니다.",
            "\\phantom{5}12",
            "12 is the maximum.",
        )
    ],
    *[
        (text, "B", COUNTS)
        for text in (
            "B rather than C",
            "B and not C",
            "B (not C)",
            "So, B!",
            "B is my answer",
            "故选B。",
            "选B",
            "答えはBです。",
            "4, so B",
            "\\boxed{4} (B)",
            "A is 3 and C is 5, so B.",
            "The answer isn't A, C or D. It is B.",
        )
    ],
    ("1 in 3", "1/3", None),
    ("the square root of 2", "\\sqrt{2}", None),
    ("2 times the square root of 3", "2\\sqrt{3}", None),
    ("The square root of 144 is 12.", "12", None),
    ("There are infinitely many solutions.", "infinitely many", None),
    ("5 cat", "5 cats", None),
    ("5 black cats", "5 cats", None),
    ("There are 5 of them.", "5 cats", None),
    ("5 units", "5 cats", None),
    ("5", "5 cats", None),
    ("5 cats", "5", None),
    ("12 in total", "12 cm", None),
    ("4 squares", "4 square", None),
    ("\\boxed{III}", "C", ("I", "II", "III", "IV")),
    ("(C) a + 2b", "C", ("3b", "2a + b", "a + 2b")),
    ("1/(1+n)", "\\frac{1}{n+1}", None),
]
WRONG = [
    ("It is not 12.", "12", None), ("I don't think the answer is 12.", "12", None),
    ("It is not true that the answer is 12.", "12", None),
    ("The answer is not 12.", "12", None), ("I cannot determine the answer because the image is not provided.", "12",
    None),
    ("12 or higher", "12", None), ("12 at most", "12", None), ("at minimum 12", "12", None), ("upwards of 12", "12",
    None),
    ("the reciprocal of 12", "12", None), ("log of 12", "12", None), ("a factor of 12", "12", None),
    ("12 with remainder 5", "12", None),
    ("12 (or 13)", "12", None), ("12 (maybe 13)", "12", None), ("12, maybe 13", "12", None), ("12, maybe 13", "13",
    None),
    ("12 unless 13", "13", None), ("12, else 13", "13", None), ("12, possibly 13", "13", None), ("red (or blue)", "red",
    None), ("Yes (or no)", "yes", None),
    *[(text, "B", COUNTS) for text in ("3 or 4", "3 and 4", "The answer is 3 or 4.", "\\boxed{4, 5}", "3, 4",
    "3\n4\n7")],
    ("3, 4, 5, 6", "A", COUNTS), ("1/2 or 1/3", "A", PARTS), ("1/2 or 1/3", "B", PARTS), ("Cannot be determined", "A",
    UNKNOWN),
    ("B... wait, C", "B", ("1", "2", "3")), ("The answer is A or B.", "A", ("1", "2", "3")), ("7 If is A/D/E. T 70",
    "A", ("1", "2", "3", "4", "5")),
    ("D. Cannot be determined", "C", UNKNOWN), ("B\nE", "B", COUNTS), ("B. So it is E.", "B", COUNTS),
    ("This is not possible, so there seems to be a mistake in D.", "D", ("1", "2", "3", "4")),
]  # fmt: skip
WRONG += [
    *[(text, letter, COUNTS) for letter in "BC" for text in (
        "B. 4 or C. 5", "B) 4 or C) 5", "B (4) or C (5)", "4 (B) or 5 (C)", "Option B or option C", "B: 4, C: 5",
        "[B] or [C]", "Either B or C", "B, but C is also possible", "B (60%), C (40%)", "B to C", "B = C",
        "\\boxed{B. 4 \\text{ or } C. 5}", "\\boxed{B} or \\boxed{C}", "B otherwise C", "B. 4; C. 5",
    )],
    # the letter of one, the value of another
    *[(text, letter, COUNTS) for letter in "ABC" for text in ("B. 5", "(B) 5", "5, B", "5 or B", "5 (B)",
    "\\boxed{B. 5}")],
    ("Either A or B", "B", COUNTS), ("It's A and B", "B", COUNTS), ("A. 3 B. 4", "A", COUNTS), ("Anything but B", "B",
    COUNTS), ("Eliminate B", "B", COUNTS), ("3-4", "B", COUNTS), ("3 4", "B", COUNTS), ("答案不是B", "B", COUNTS), ("red B",
    "B", COLOURS), ("30°-45°", "B", ANGLES),
    ("It is not true that it cannot be determined.", "D", UNKNOWN),
    ("It cannot be determined because the picture is missing.", "D", UNKNOWN),
    ("It cannot be determined whether it is 12 or 15.", "A", UNKNOWN),
    ("II only", "I only", None), ("I and II only", "I only", None), ("not only I", "A", NUMERALS), ("I or II", "C",
    NUMERALS), ("B > D > C > A", "B > D > A > C", None), ("B < D < A < C", "B > D > A > C", None),
    ("x > 2 and x < -3", "(-\\infty,-3)\\cup(2,\\infty)", None), ("x > 2 and x < -3", "x < -3 or x > 2", None),
    ("no solution", "x < -3 and x > 2", None),
    *[(text, "5 cats", None) for text in ("5 dogs", "There are 5 dogs.", "5 cm", "5 black dogs")], ("5 red balls",
    "5 blue balls", None), ("4 triangles", "4 squares", None), ("12 liters", "12 gallons", None),
    *[(text, "\\frac{1}{3}", None) for text in ("0.3333333333", "0.333333333333", "0.3333")], ("1.414213562",
    "\\sqrt{2}", None), ("ConditionalExpression[12, x > 0]", "12", None),
    *[(text, gold, None) for gold in ("12", "13") for text in (
        "12, alternatively 13", "12 versus 13", "12 (otherwise 13)", "12 if x > 0, 13 otherwise", "12 if x > 0 else 13",
        "\\boxed{12} or \\boxed{13}", "The answer is \\boxed{12}, or maybe \\boxed{13}.", "12, but 13 is also possible",
        "12 ou 13", "12 oder 13",
        "12或13", "12 и 13", "12 y 13", "12 bis 13", "entre 12 y 13",
    )],
    *[(text, "12", None) for text in (
        "Not: 12", "Guess: 12", "Wrong: 12", "Wrong answer: 12", "My guess: 12", "At most: 12", "The answer is not: 12",
        "The wrong answer is 12.", "An incorrect answer would be 12", "A common mistake is 12.", "One might think 12.",
        "~~12~~", "\\phantom{12}",
        "x =/= 12", "12 minimum", "12 max", "12 and counting", "Nicht 12", "no es 12", "不是12", "至少12", "12以上",
        "más de 12", "mehr als 12", "mindestens 12", "au moins 12", "12ではない", "12 değil",
    )],
]  # fmt: skip

WRONG += [
    *[(text, "12", None) for text in (
        "The answer is 12 minus something.", "The answer is close to 12", "The answer is 12's square root", "12's square root",
    )],
    *[(f"{lead}{text}", gold, None) for lead in ("", "The answer is ") for text, gold in (
        ("double of 6", "6"), ("minus the number 6", "6"), ("two thirds of 6", "6"), ("one fifth of 5", "5"),
        ("two fifths of 5", "5"), ("three quarters of 8", "8"), ("half past 3", "3"), ("5 more than x", "5"),
        ("5 less than n", "5"), ("5 more than Bob", "5"), ("5 apples more than Bob", "5"), ("2 out of 6", "6"),
    )],
    *[(form % f"\\{command}{{{words} }}5", "5", None) for form in ("\\boxed{%s}", "$%s$")
      for command in ("text", "mathrm") for words in (
        "at least", "more than", "less than", "twice", "double", "the square of", "the reciprocal of", "a multiple of",
        "divisible by", "wrong:", "base",
    )],
    *[(f"\\boxed{{5\\text{{ {words} }}6}}", gold, None) for gold in ("5", "6") for words in (
        "plus", "times", "divided by", "mod", "choose", "less than")],
    *[(text, gold, None) for text, gold in (
        ("\\boxed{5\\text{ or more}}", "5"), ("\\boxed{5\\text{ squared}}", "5"), ("\\boxed{\\text{half of }10}", "10"),
        ("\\boxed{\\text{between }5\\text{ and }6}", "6"), ("((0≈1)≈2)≈3", "3"), ("0≈1≈2≈3", "3"), ("(0≈1)≈3", "3"),
        ("\\boxed{(0\\approx 1)\\approx 3}", "3"), ("The answer is ((0≈1)≈2)≈3", "3"), ("5:=6", "6"),
    )],
    *[(form % sign, "6", None) for form in ("5%s6", "5 %s 6", "\\boxed{5%s6}") for sign in "≡≅∝⊥⇔↦⊂∈∣"],
    *[(text, "4", None) for text in ("\\boxed{3}\\text{ or }\\boxed{4}", "\\boxed{3}\\boxed{4}", "\\boxed{3} \\boxed{4}")],
    ("\\boxed{3}\\text{ or }\\boxed{4}", "(3,4)", None), ("\\boxed{3}\\text{ or }\\boxed{4}", "[3,4]", None),
    *[(text, "B", COUNTS) for text in ("\\boxed{A}\\text{ or }\\boxed{B}", "\\boxed{A} \\boxed{B}", "\\boxed{A}\\boxed{B}")],
    *[("1:2", gold, None) for gold in ("1/2", "0.5", "1:02")],
    *[(text, "D", COUNTS) for text in ("A. 3\nB. 4\nC. 5\nD. 6", "A\n\nB\n\nC\n\nD", "3\n4\n5\n6", "- A. 3\n- B. 4\n- C. 5\n- D. 6")],
    ("0.3333333333340", "1/3", None), ("45.00000000045", "45", None), ("1.4142135623732", "\\sqrt{2}", None),
    ("\\boxed{2:30 \\text{ PM}}", "2:30 am", None), ("5 to 3", "2:55", None),
]  # fmt: skip
RIGHT += [
    ("two thirds of 6", "4", None), ("\\boxed{\\text{half of }10}", "5", None), ("half past 3", "3:30", None),
    ("quarter to one", "12:45", None), ("She has 5 apples more than Bob.", "5", None), ("She has 5 more than Bob.", "5", None), ("5 to 3", "5:3", None),
    ("\\boxed{5\\text{ cm}}", "5", None), ("\\boxed{5 \\text{ ft.}}", "5", None), ("\\boxed{\\text{Area} = 5}", "5", None),
    ("x := 6", "6", None), ("x ↦ 6", "6", None), ("The area ≈ 3.14 × 4 ≈ 12.56", "12.56", None),
    *[(text, "\\{3,4\\}", None) for text in ("\\boxed{3}\\text{ or }\\boxed{4}", "\\boxed{3}\\boxed{4}")],
    ("1:2", "1:2", None), ("1/2", "1:2", None),
    *[(f"A. 3\nB. 4\nC. 5\nD. 6\n\n{last}", "B", COUNTS) for last in ("B", "The answer is B.")],
    ("0.3333333333333", "1/3", None), ("0.30000000000000004", "3/10", None), ("44.99999999999999", "45", None),
    ("1.4142135623731", "\\sqrt{2}", None),
    *[(text, "2:30 pm", None) for text in (
        "\\boxed{2:30 \\text{ PM}}", "\\boxed{\\text{2:30 PM}}", "$2:30 \\text{ PM}$", "\\boxed{2{:}30\\text{ PM}}",
        "It's 2:30 in the afternoon",
    )],
    *[(text, "9:15 AM", None) for text in (
        "\\boxed{9:15~\\text{AM}}", "9:15 a.m.", "\\boxed{9:15\\text{ a.m.}}", "\\boxed{9:15\\ \\mathrm{AM}}")],
    ("\\boxed{9{:}15}", "9:15", None),
    *[(text, "12", None) for text in (
        "\\boxed{\\boxed{12}}", "\\boxed{\\color{red}{12}}", "\\boxed{\\textcolor{red}{12}}", "\\boxed{\\large 12}", "=> 12")],
    *[(text, "1/6", None) for text in ("1 out of 6", "1 over 6", "The probability is 1 out of 6.", "The answer is 1 over 6.")],
]  # fmt: skip


@pytest.mark.parametrize(("text", "gold", "options"), RIGHT)
def test_it_answers(text, gold, options):
    assert check(text, gold, options).correct is True


@pytest.mark.parametrize(("text", "gold", "options"), WRONG)
def test_it_does_not_answer(text, gold, options):
    assert check(text, gold, options).correct is False


CORRECTED = [  # sentences that say one thing and then another: the last counts, on lines of its own and behind a blank
    *[(text, "5", "6", None) for text in (
        "The answer is 5. Actually, the answer is 6.", "Therefore, the answer is $5$. But wait, the answer is $6$.",
        "Answer: 5. Answer: 6.", "My answer is 5. I made an error. My answer is 6.",
        "The answer is 5. Actually, it is 6.",
        "The answer is 5? No. The answer is 6.", "The answer is 5. Wait, it's 6.", "The answer is 5. No, 6.",
        "The answer is 5. Wait, that's the rectangle. The answer is 6.", "The answer is 5. Sorry, it should be 6.",
    )],
    *[(text, "A", "B", COUNTS) for text in ("The answer is (A). I made an error; the answer is (B).", "A. No, B.",
    "The answer is A. No, it is B.")],
    ("The answer is 5. Let me check: 2 + 3 = 5. Correct.", "6", "5", None),
    ("The answer is 5. Wait, that's wrong.", "5", None, None), ("The answer is (A). I made a mistake.", "A", None,
    COUNTS),
    ("Suppose the answer is 5. Then we get a contradiction.", "5", None, None), ("Suppose the answer is 5.", "5", None,
    None),
    ("The answer is 5? Let me check. 2*5=10. Hmm.", "5", None, None), ("Suppose x = 3, so the answer is 6.", "5", "6",
    None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "first", "last", "options"), CORRECTED)
def test_a_statement_taken_back_is_not_the_answer(text, first, last, options):
    for said in (text, text.replace(". ", ".\n").replace("? ", "?\n")):
        assert check(said, first, options).correct is False, said
        assert last is None or check(said, last, options).correct is True, said


@pytest.mark.parametrize(
    "label",
    [
        "Not",
        "Guess",
        "Wrong",
        "Maybe",
        "Wrong answer",
        "Best guess",
        "At least",
        "More than",
        "Reciprocal of",
        "Minus",
        "Not the answer",
        "It is not",
    ],
)
def test_a_printed_label_that_denies_its_value_or_guesses_it(label):
    assert check(Result(Status.OK, f"{label}: 5"), "5").correct is False
    assert check(Result(Status.OK, f"{label}: B"), "B", COUNTS).correct is False


@pytest.mark.parametrize(
    "label",
    [
        "Area",
        "Number of wrong answers",
        "Probability of not rolling a six",
        "Least common multiple",
        "Cost before tax",
        "Half the area",
        "Number without repeats",
        "Minimum over x",
        "The answer",
    ],
)
def test_a_printed_label_that_names_its_value(label):
    assert check(Result(Status.OK, f"{label}: 5"), "5").correct is True


def test_a_conditional_expression_is_its_value_where_the_condition_is_about_it():
    value = lambda text, gold: check(Result(Status.OK, text), gold).correct
    assert value("ConditionalExpression[1/(1 + n), Re[n] > -1]", "\\frac{1}{n+1}") and not value(
        "ConditionalExpression[12, x > 0]", "12"
    )


@pytest.mark.parametrize(
    ("printed", "gold"),
    [
        ("Indeterminate", "undefined"),
        ("ComplexInfinity", "\\infty"),
        ("DirectedInfinity[1]", "\\infty"),
        ("DirectedInfinity[-1]", "-\\infty"),
        ("Root[#^2 - 2 & , 2]", "\\sqrt{2}"),
        ("Root[#1^2 - 3*#1 + 1 & , 1, 0]", "\\frac{3-\\sqrt{5}}{2}"),
        ("Root[2 + #1^3 & , 1]", "-\\sqrt[3]{2}"),
        ("TimeObject[{2, 30}]", "2:30"),
        ("DateObject[{2024, 7, 4}]", "July 4, 2024"),
    ],
)
def test_values_as_the_wolfram_language_prints_them(printed, gold):
    assert check(Result(Status.OK, printed), gold).correct is True


@pytest.mark.parametrize(
    "printed",
    ["Root[#^2 - 2 & , 1]", "Root[#^5 - # - 1 & , 1]", "Root[#^2 & , 3]", "Root[#^3 - 2 & , 2]", "Root[# - 2, 2]"],
)
def test_another_root_or_one_without_a_formula(printed):
    assert check(Result(Status.OK, printed), "\\sqrt{2}").correct is False


def test_a_letter_that_no_option_has_is_not_replaced_by_another():
    """Where four options and five are asked, the letter of the fifth and another paid on both."""
    for text in (
        "Alternatives[E is D]",
        "the letter E. (D) E: ,",
        "(E)figureB",
        "D is E because (D) ,",
        "option E, or D",
    ):
        letters = {
            letter
            for count in (3, 4, 5)
            for letter in "ABCDE"[:count]
            if check(text, letter, [str(100 + i) for i in range(count)]).correct
        }
        assert len(letters) <= 1, (text, letters)


def test_a_condition_with_an_empty_one_is_empty():
    text = "Ne(x, 3) & (((x >= 3) & (x < -3)) | ((x >= 1/2) & (x <= 0)))"
    assert (
        check(Result(Status.OK, text), "\\emptyset").correct is True
        and check(Result(Status.OK, text), "x \\ne 3").correct is False
    )


def test_a_printed_letter_is_the_letter_alone():
    value = lambda text, gold: check(Result(Status.OK, text), gold).correct
    assert all(value(text, "C") for text in ("C", "(C)", '"C"', "C. 3"))
    assert not any(value(text, "C") for text in ("(C)=(3)", "C=3", "C+3", "{C}3"))


@pytest.mark.parametrize(
    "unit", ["12 unless ", "12 (or ", "12 or maybe ", "red or else ", "12, wait ", "12 (maybe 12) "]
)
def test_many_hedges_are_no_answer_and_cost_nothing(unit):
    """Each hedge was asked anew whether it hedges: too deep for Python."""
    for gold in ("12", "red"):
        times = []
        for _ in range(3):  # a collection of the whole suite's garbage may fall into one of them
            start = time.process_time()
            assert check((unit * 3000)[:6000] + gold, gold).correct is False
            assert check(f"{gold} or {unit * 80}", gold).correct is False
            times.append(time.process_time() - start)
        assert min(times) < 0.3  # 40 ms when the machine is free


def test_a_number_and_a_relation_of_letters_are_two_answers():
    for number, relation in (("14", "A > B"), ("5", "AB < BC"), ("7", "n > m"), ("42", "a \\le b")):
        for joint in ("\n", ", that is, ", ". So ", " if "):
            for text in (number + joint + relation, relation + joint + number):
                assert len([g for g in (number, relation) if check(text, g).correct]) <= 1, text
        assert check(relation, relation).correct is check(number, number).correct is True


@pytest.mark.parametrize("text,one,other", [
    ("\\pi == B", "\\pi", "B"), ("x=2 cm\nWe get half past three.", "3:30", "x=2"), ("f(-5) = -5.\nhalf past three", "3:30", "-5"),
])  # fmt: skip
def test_a_value_without_a_digit_is_a_value(text, one, other):
    assert check(text, one).correct is True and check(text, other).correct is False


def test_math_verify_is_not_asked_about_lines_and_words(monkeypatch):
    monkeypatch.setattr("nsrl.answers.checker.math_verify", lambda gold, text: True)
    for text in ("the \\frac{3}{4} is red\nred", "an \\frac{3}{4} is at 5", "\\frac{3}{4}\nB\\frac{"):
        assert check(Result(Status.OK, text), "\\frac{3}{4}").correct is False
    monkeypatch.setattr("nsrl.answers.checker.math_verify", lambda gold, text: gold == "3")
    assert check("25. The answer is 3.. x \\emptyset", "3").correct is False
    for text in ("25. The answer is 3 x \\emptyset", "25. The answer is 3 \\times"):  # one gold's at most
        assert check(text, "25").correct is False and check(text, "3").correct is True


LINES = [
    "({A})",
    "{A}",
    "I choose {A}.",
    "option {A}",
    "so {A}",
    "C",
    "{n}",
    "The value is {n}.",
    "It is {n}",
    "{n} = {n}",
    "{n} = {A}",
    "{n}, {n}",
    "{w}",
    "It is {w}.",
    "If {A}/D: {n}",
    "\\boxed{{{n}}}",
    "The answer is: if ≈{A}",
    "The answer would be {A}",
]


def test_no_text_is_paid_for_its_letter_here_and_for_its_value_there():
    """The constant that a policy would find: the value where it is an option, and where it is not, the most frequent
    letter."""
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    words = ["red", "blue", "a square", "the cube", "north"]
    for _ in range(250):
        letter, numbers = rng.choice("ABCDE"), [str(n) for n in rng.sample(range(2, 90), 4)]
        lines = [line.format(A=letter, n="%s", w=rng.choice(words)) for line in rng.choices(LINES, k=rng.randint(2, 5))]
        text = "\n".join(line % tuple(rng.choices(numbers, k=line.count("%s"))) for line in lines)
        paid = {"letter": set(), "option": set()}
        for _ in range(12):
            options = rng.sample([*numbers, *words, *map(str, range(100, 104))], rng.randint(2, 5))
            for gold in "ABCDE"[: len(options)]:
                verdict = check(text, gold, options)
                if verdict.correct:
                    paid[verdict.reason].add(gold)
        assert not (paid["letter"] and paid["option"] - paid["letter"]), f"seed {seed}: {text!r} is paid as {paid}"
