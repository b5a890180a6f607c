"""One answer is one value: no text answers two golds that exclude each other, and a guess at many answers none."""

import itertools
import random

import pytest

from nsrl.engines.result import Result, Status
from nsrl.rewards import check


def right(text, golds, options=None):
    """The golds a text answers as a model writes it, in a box, or as an engine prints it: the most of the three."""
    forms = (text, f"\\boxed{{{text}}}", Result(Status.OK, text))
    return max(({g for g in golds if check(form, g, options).correct} for form in forms), key=len)


EXCLUSIVE = {  # a text, golds of which it may answer one at most, and that one
    "50%": (["50", "0.5", "50.5"], "50"),
    "50 percent": (["50", "1/2"], "50"),
    "0.5": (["50\\%", "0.5", "5"], "0.5"),
    "180°": (["180", "\\pi", "3.14"], "180"),
    "30*Degree": (["30", "\\pi/6"], "30"),
    "1:30": (["\\frac{1}{30}", "0.0333", "90 minutes", "30 minutes"], "90 minutes"),
    "2:30": (["\\frac{1}{12}", "2.5 hours", "2.3"], "2.5 hours"),
    "0:0": (["2:3", "3:2", "1:30", "2:45", "0:5", "5:0"], None),
    "±0": (["2:3", "3:2", "1:30"], None),
    "0:0:0": (["1:2:3", "3:2:1", "0:1:2"], None),
    "0:5:3": (["0:1:7", "0:10:6", "5:0:3"], "0:10:6"),
    "4:6": (["2:3", "3:2", "2:4"], "2:3"),
    "January 1": (["January 1, 2020", "January 1, 2021", "January 2", "1 January"], "1 January"),
    "3:30": (["3:30 am", "3:30 pm", "3:31"], "3:30 am"),
    "3\\times 10^5": (["260000", "300000", "349999"], "300000"),
    "5 \\approx 6": (["5", "6"], None),
    "2.8284 \\approx 2.83": (["2.83", "3"], "2.83"),
    "2\\sqrt{2} \\approx 2.83": (["2\\sqrt{2}", "3"], "2\\sqrt{2}"),
    "x ≈ 5": (["5", "6"], "5"),
}


@pytest.mark.parametrize("text", EXCLUSIVE)
def test_one_text_answers_one_of_the_golds_that_exclude_each_other(text):
    golds, one = EXCLUSIVE[text]
    assert right(text, golds) == ({one} if one else set())


@pytest.mark.parametrize("gold,within,without", [
    ("3 \\times 10^5", ["300000", "3e5", "3.0*^5"], ["260000", "250000", "349999", "300001"]),
    ("3e5", ["300000"], ["260000", "300001"]),
    ("3.0 \\times 10^5", ["300000", "304999", "295001"], ["306000", "260000"]),
    ("5e-3", ["0.005"], ["0.0054", "0.005001"]),
    ("2.50", ["2.5", "2.504"], ["2.51", "2.49"]),
    ("1200", ["1200"], ["1199", "1249"]),
])  # fmt: skip
def test_a_decimal_allows_half_a_unit_of_the_last_digit_after_its_point(gold, within, without):
    assert [check(w, gold).correct for w in within] == [True] * len(within)
    assert [check(w, gold).correct for w in without] == [False] * len(without)


def test_approximate_relations_are_no_way_to_say_several_values():
    golds = [str(n) for n in range(13)] + ["1/2", "2.5", "\\sqrt{2}", "x", "2x+1", "(1,2)", "\\{1,2\\}", "B", "red"]
    text = "(0≈1)"
    for n in range(2, 13):
        text = f"({text}≈{n})"
        assert len(right(text, golds)) <= 1, text
    rng = random.Random()
    for _ in range(40):
        text = some_relation(rng, rng.randint(1, 4))
        assert len(right(text, golds)) <= 1, text
    assert check("((1)≈2+0x)≈3+0x", "2").correct is False
    assert check("x \\approx 5", "x \\approx 5").correct is True and check("5", "x \\approx 5").correct is True


def some_relation(rng, depth):
    if depth == 0:
        return rng.choice(["0", "1", "2.5", "x", "3+0x", "5", "7", "12", "\\sqrt{2}", "a"])
    left, right = some_relation(rng, depth - 1), some_relation(rng, depth - 1)
    if rng.random() < 0.7:
        left = f"({left})"
    return left + rng.choice(["≈", " \\approx ", "=", "≈", " \\sim "]) + (right if rng.random() < 0.5 else f"({right})")


COLOURS = ["red", "blue", "green", "yellow", "black", "white"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
JOINTS = [
    ", ",
    " ",
    " or ",
    " and ",
    "/",
    "; ",
    "\n",
    " is ",
    " because it is ",
    ". It is ",
    ", so ",
    " - ",
    "|",
    " (",
    " of the ",
]


@pytest.mark.parametrize("names", [COLOURS, DAYS, ["circle", "square", "equilateral triangle", "cube"]])
def test_a_list_of_guesses_answers_no_text(names):
    rng = random.Random()
    for count in (2, len(names)):
        for joint in JOINTS:
            for frame in rng.sample(
                [
                    "{}",
                    "{{{}}}",
                    "The answer is {}.",
                    "It is {}",
                    "\\boxed{{{}}}",
                    "**{}**",
                    "{} is the answer",
                    '"{}"',
                ],
                3,
            ):
                text = frame.format(joint.join(names[:count]))
                assert len(right(text, names)) <= 1, text
        assert not right("{" + ", ".join(names[:count]) + "}", names)
    for text in itertools.chain(
        names, (f"The answer is {n}." for n in names), (f"It's {n}, because I see it" for n in names)
    ):
        assert len([n for n in names if check(text, n).correct]) == 1, text
    assert (
        check(Result(Status.OK, f"{names[0]} thing"), names[0]).correct is False
    )  # a printed value is the gold or is not


def test_several_values_answer_only_a_gold_that_is_several():
    for text in (
        "{1, 2}",
        "1 or 2",
        "±1",
        "1, 2, 3",
        "{{x -> 1}, {x -> 2}}",
        "[1, 2]",
        "x = 1 or x = 2",
        "1 and 2",
        "{1, 2, {3}}",
    ):
        assert not right(text, ["1", "2", "3", "-1"]), text
    assert check("{1, 2}", "1 or 2").correct is True and check("\\boxed{1} and \\boxed{2}", "1, 2").correct is True


OPTIONS = (("0.5", "1", "2"), ("3", "0.5", "7"), ("5", "6", "7"))


@pytest.mark.parametrize("text", [
    "A\n0.5", "$A$ and more because it is 0.5 = A:$\n0.5]", "pick A or 0.5", "The answer is A. So it is 0.5.",
    "\\boxed{0.5}. The answer is A.",
    "I choose A.\nIt is 0.5", "option A\nso 0.5",
])  # fmt: skip
def test_a_value_for_those_who_have_it_and_a_letter_for_the_others_is_two_answers(text):
    """Where the value is another option than the letter, no option is right."""
    assert check(text, "B", OPTIONS[1]).correct is False, "the letter said A"
    assert [check(text, letter, OPTIONS[1]).correct for letter in "ABC"].count(True) <= 1


def test_the_letter_of_one_option_and_the_text_of_another_is_two_answers():
    options = ("I, III, IV and V", "III, IV and V", "I, III and V", "all")
    for text in ("A: I, III and V", "A. I, III and V", "(A) I, III and V"):
        for form in (text, Result(Status.OK, text)):
            assert [check(form, letter, options).correct for letter in "BCD"] == [False] * 3, form
    assert (
        check(Result(Status.OK, "C: I, III and V"), "C", options).correct
        is check("C. I, III and V", "C", options).correct
        is True
    )


def test_digits_apart_are_not_one_number():
    for text, golds in {
        "3 1/2": ("31/2", "3.5"),
        "1 3": ("13", "3", "1"),
        "12 because\nit is 1$3$": ("13", "3", "12", "1"),
    }.items():
        assert len(right(text, golds)) <= 1, text
    assert check("1 000", "1000").correct is check("12 345", "12345").correct is check("2 x", "2x").correct is True


KINDS = {  # answers that exclude each other, by kind
    "integer": lambda r: str(r.randint(2, 99)),
    "word": lambda r: r.choice([*COLOURS, *DAYS, "isosceles", "Rome"]),
    "letter": lambda r: r.choice("BCDE"),
    "date": lambda r: f"July {r.randint(1, 28)}",
    "yes or no": lambda r: r.choice(["Yes", "No"]),
    "time": lambda r: f"{r.randint(1, 12)}:{r.randint(10, 59)}",
    "fraction": lambda r: f"{r.randint(1, 6)}/{r.choice([7, 11, 13])}",
    "expression": lambda r: f"{r.randint(2, 9)}x + {r.randint(1, 9)}",
    "point": lambda r: f"({r.randint(1, 9)}, {r.randint(1, 9)})",
}
LINKS = [
    *JOINTS,
    ". ",
    " so ",
    ": ",
    " = ",
    ", which is ",
    " since ",
    "\n\n**",
    "**\n",
    " → ",
    ". The final one is ",
    " for ",
    " with ",
    " the ",
    "'s ",
    " with value ",
]
FRAMES = ["{}", "{}", "{}", "**{}**", "It is {}.", "The answer is {}.", "\\boxed{{{}}}", "{})", "({}", "so {}", "{}."]


def test_a_text_with_answers_of_two_kinds_answers_one_of_them_at_most():
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    for _ in range(1500):
        one, other = (KINDS[kind](rng) for kind in rng.sample(list(KINDS), 2))
        text = rng.choice(FRAMES).format(one + rng.choice(LINKS) + other)
        for form in (text, Result(Status.OK, text)):
            assert not (check(form, one).correct and check(form, other).correct), (seed, form, one, other)


@pytest.mark.parametrize("text, gold", [
    ("It is 4 because the red one is 2", "4"), ("red because it is 2", "red"), ("Tuesday, since 3 days have passed",
    "Tuesday"), ("B because 2 + 3 = 5", "B"),
    ("There are 3 balls, 2 of them blue. The answer is red.", "red"), ("Yes, because 4 > 3", "Yes"),
    ("The 5-sided one is figure B.", "B"),
    ("First 2 + 2 = 4. So the answer is 5x + 1.", "5x + 1"), ("The current is I = 5", "5"), ("It is 20 °C", "20"),
])  # fmt: skip
def test_a_text_with_one_answer_and_other_words_answers_it(text, gold):
    assert check(text, gold).correct is True
