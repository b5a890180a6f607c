"""What a completion states: a letter or a value, one answer or two, no answer at all; whatever the options are."""

import random
import time

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check

UNKNOWN, ENOUGH = ("12", "15", "18", "Cannot be determined"), ("12", "15", "18", "Not enough information")
COUNTS, PARTS = ("3", "4", "5", "6"), ("1/2", "1/3", "1/4")

RIGHT = [
    *[(text, "D", UNKNOWN) for text in (
        "D", "D. Cannot be determined", "(D) Cannot be determined", "**D. Cannot be determined**", "Cannot be determined", "It cannot be determined.",
        "The answer is D. Cannot be determined", "We do not have the height. So it cannot be determined.",
    )],
    ("D. Not enough information", "D", ENOUGH), ("Not enough information", "D", ENOUGH),
    ("The limit does not exist.", "does not exist", None), ("It cannot be determined.", "cannot be determined", None),
    ("The smallest number that cannot be made is 43.", "43", None), ("The area that is not shaded is 12 square units.", "12", None),
    ("The number of students who do not have pets is 12.", "12", None), ("The probability of not getting a six is 5/6.", "5/6", None),
    ("You cannot have half a car, so 13 cars are needed.", "13", None), ("Since we cannot divide by zero, x = 4.", "4", None),
    ("It is impossible to cut fewer, so the minimum is 7.", "7", None), ("Since 12 cannot be a prime, B.", "B", ("1", "2", "3")),
    ("We do not have a right angle, so it is scalene.", "scalene", None), ("1/2 (or 0.5)", "1/2", None),
    ("The answer is 2\\sqrt{3} (or about 3.46).", "2\\sqrt{3}", None), ("It is 5. So the answer is B.", "B", ("4", "5")),
    ("The average wait is 12 minutes.", "12", None), ("You wait 5 and wait 7, so the total wait is 12 minutes.", "12", None),
    ("No one else has more than Tom, so he has 12.", "12", None), ("The answer is possibly 12.", "12", None), ("Maybe 12.", "12", None),
]  # fmt: skip
WRONG = [
    ("It is not 12.", "12", None), ("I don't think the answer is 12.", "12", None), ("It is not true that the answer is 12.", "12", None),
    ("The answer is not 12.", "12", None), ("I cannot determine the answer because the image is not provided.", "12", None),
    ("12 or higher", "12", None), ("12 at most", "12", None), ("at minimum 12", "12", None), ("upwards of 12", "12", None),
    ("the reciprocal of 12", "12", None), ("log of 12", "12", None), ("a factor of 12", "12", None), ("12 with remainder 5", "12", None),
    ("12 (or 13)", "12", None), ("12 (maybe 13)", "12", None), ("12, maybe 13", "12", None), ("12, maybe 13", "13", None),
    ("12 unless 13", "13", None), ("12, else 13", "13", None), ("12, possibly 13", "13", None), ("red (or blue)", "red", None), ("Yes (or no)", "yes", None),
    *[(text, "B", COUNTS) for text in ("3 or 4", "3 and 4", "The answer is 3 or 4.", "\\boxed{4, 5}", "3, 4", "3\n4\n7")],
    ("3, 4, 5, 6", "A", COUNTS), ("1/2 or 1/3", "A", PARTS), ("1/2 or 1/3", "B", PARTS), ("Cannot be determined", "A", UNKNOWN),
    ("B... wait, C", "B", ("1", "2", "3")), ("The answer is A or B.", "A", ("1", "2", "3")), ("7 If is A/D/E. T 70", "A", ("1", "2", "3", "4", "5")),
    ("D. Cannot be determined", "C", UNKNOWN), ("B\nE", "B", COUNTS), ("B. So it is E.", "B", COUNTS), ("This is not possible, so there seems to be a mistake in D.", "D", ("1", "2", "3", "4")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "gold", "options"), RIGHT)
def test_it_answers(text, gold, options):
    assert check(text, gold, options).correct is True


@pytest.mark.parametrize(("text", "gold", "options"), WRONG)
def test_it_does_not_answer(text, gold, options):
    assert check(text, gold, options).correct is False


def test_a_printed_letter_is_the_letter_alone():
    value = lambda text, gold: check(Result(Status.OK, text), gold).correct
    assert all(value(text, "C") for text in ("C", "(C)", '"C"', "C. 3"))
    assert not any(value(text, "C") for text in ("(C)=(3)", "C=3", "C+3", "{C}3"))


@pytest.mark.parametrize("unit", ["12 unless ", "12 (or ", "12 or maybe ", "red or else ", "12, wait ", "12 (maybe 12) "])
def test_many_hedges_are_no_answer_and_cost_nothing(unit):
    """Each hedge was asked anew whether it hedges: too deep for Python."""
    for gold in ("12", "red"):
        start = time.process_time()
        assert check((unit * 3000)[:6000] + gold, gold).correct is False
        assert check(f"{gold} or {unit * 80}", gold).correct is False
        assert time.process_time() - start < 0.3  # 40 ms when the machine is free


def test_a_number_and_a_relation_of_letters_are_two_answers():
    for number, relation in (("14", "A > B"), ("5", "AB < BC"), ("7", "n > m"), ("42", "a \\le b")):
        for joint in ("\n", ", that is, ", ". So ", " if "):
            for text in (number + joint + relation, relation + joint + number):
                assert len([g for g in (number, relation) if check(text, g).correct]) <= 1, text
        assert check(relation, relation).correct is check(number, number).correct is True


LINES = ["({A})", "{A}", "I choose {A}.", "option {A}", "so {A}", "C", "{n}", "The value is {n}.", "It is {n}", "{n} = {n}", "{n} = {A}", "{n}, {n}", "{w}", "It is {w}.", "If {A}/D: {n}", "\\boxed{{{n}}}"]


def test_no_text_is_paid_for_its_letter_here_and_for_its_value_there():
    """The constant that a policy would find: the value where it is an option, and where it is not, the most frequent letter."""
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
