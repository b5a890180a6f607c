"""Verifiers: which one judges a row, what one may be and return, sync and async; and the gold as a row has it."""

import asyncio
import random
import re
import sys

import pytest

from nsrl.answers import Verdict, check
from nsrl.engines import extract
from nsrl.engines.result import Result, Status
from nsrl.errors import UserError
from nsrl.rewards import Verifiers, gold_of
from nsrl.trainer.grader import Grader
from nsrl.types import Problem

ALWAYS = lambda problem, text, extracted, result: Verdict(True, "always", 0.5)


def judged(verifiers, problem, text="5", result=None):
    return verifiers.judge(problem, text, extract(text), result)


def test_a_verdict_is_a_pair_with_a_score_beside_it():
    import pickle

    verdict = Verdict(True, "overlap", 0.75)
    correct, reason = verdict
    assert (correct, reason, verdict.score) == (True, "overlap", 0.75) and verdict == (True, "overlap")
    again = pickle.loads(pickle.dumps(verdict))
    assert again == verdict and again.score == 0.75 and check("5", "5").score is None


def test_a_row_says_which_verifier_judges_it_then_its_source_its_category_and_the_default():
    names = ("boxes", "seen", "grounding", "default")
    verifiers = Verifiers({n: lambda *_, n=n: Verdict(False, n) for n in names})
    row = dict(question="?", answer="5", category="grounding", source="seen", columns={"verifier": "boxes"})
    found = []
    for gone in ("columns", "source", "category"):
        found.append(judged(verifiers, Problem("a", **row)).reason)
        row.pop(gone)
    assert [*found, judged(verifiers, Problem("a", **row)).reason] == list(names)
    assert judged(verifiers, Problem("a", "?", "5", columns={"verifier": "answer"})).correct is True
    stranger = Problem("b7", "?", "5", columns={"verifier": "boxs"})
    with pytest.raises(UserError, match="no 'boxs', which the column 'verifier' of problem b7 names.*mean 'boxes'"):
        verifiers.require([stranger])
    made = Problem("c", "?", "5", columns={"verifier": "sat"})
    assert verifiers.name_of(made) == "answer"  # a source that judges its own is asked by the answer check
    assert judged(Verifiers(), stranger).correct is True  # the column means nothing where no verifiers are said


def test_none_said_is_the_answer_check():
    rng = random.Random(random.randrange(10**9))
    for _ in range(50):
        gold, text = str(rng.randrange(4)), str(rng.randrange(4))
        assert judged(Verifiers(), Problem("a", "?", gold), text) == check(text, gold)
    ran = Result(Status.OK, text="7")
    assert judged(Verifiers({"default": "answer"}), Problem("a", "?", "7"), "<nsl>3+4</nsl>", ran).correct is True
    assert judged(Verifiers(), Problem("a", "?", None), "7").correct is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("answr", "verifiers.default must be answer, or file.py:function; got 'answr'"),
        ("absent.py:f", "verifiers.default: no file 'absent.py'"),
        (lambda problem, text: None, "must take problem, text, extracted and result; it takes (problem, text)"),
        (Problem, "must be a function; got a class"),
    ],
)
def test_what_is_no_verifier_is_refused(spec, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Verifiers({"default": spec})


@pytest.mark.parametrize("wrong", [True, None, (True, "x"), Verdict(1, "x"), Verdict(True, "x", float("nan")), "yes"])
def test_what_a_verifier_returns_is_checked_in_one_sentence(wrong):
    with pytest.raises(UserError, match="^verifier 'default' must return a Verdict of correct .*; got ") as error:
        judged(Verifiers({"default": lambda *_: wrong}), Problem("a", "?", "5"))
    assert "\n" not in str(error.value)


def test_what_a_verifier_raises_is_raised_and_an_exit_is_named(pools):
    def broken(problem, text, extracted, result):
        return {}[text]

    async def later(problem, text, extracted, result):
        return {}[text]

    def quits(*_):
        sys.exit(3)

    async def quits_later(*_):
        sys.exit(3)

    for verify, error in ((broken, KeyError), (later, KeyError), (quits, UserError), (quits_later, UserError)):
        grader = Grader(pools, Verifiers({"default": verify}))
        with pytest.raises(
            error, match="5" if error is KeyError else re.escape("verifier 'default' called sys.exit(3)")
        ):
            grader.collect(grader.submit(Problem("a", "?", "5"), ["5"]))


@pytest.fixture(scope="module")
def pools():
    from nsrl.config import EngineConfig
    from nsrl.trainer.grader import open_pool

    with open_pool(EngineConfig(workers=1)) as pool:
        yield pool


def test_the_grader_asks_the_rows_verifier_and_keeps_what_it_says(pools):
    seen = []

    def longer(problem, text, extracted, result):
        seen.append((extracted.program, result and result.text))
        return Verdict(len(text) > problem.columns["least"], "long", len(text) / 10)

    problem = Problem("a", "?", None, columns={"least": 4})
    grader = Grader(pools, Verifiers({"default": longer}))
    texts = ["<nsl>3+4</nsl>", "seven", "six", "<nsl>1/0</nsl>"]
    graded = grader.collect(grader.submit(problem, texts))
    assert [j.correct for j in graded] == [True, True, False, True]
    assert [j.score for j in graded] == pytest.approx([len(t) / 10 for t in texts])
    assert {j.reason for j in graded} == {"long"} and {j.verifier for j in graded} == {"default"}
    assert ("3+4", "7") in seen and ("", None) in seen
    plain = Grader(pools)
    (one,) = plain.collect(plain.submit(Problem("a", "?", "7"), ["<nsl>3+4</nsl>"]))
    assert (one.correct, one.verifier, one.score) == (True, "", None)


def test_async_verifiers_wait_for_all_completions_at_once(pools):
    waiting, most = 0, 0

    async def judge(problem, text, extracted, result):
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.2)
        waiting -= 1
        return Verdict(text == problem.answer, "judge")

    grader = Grader(pools, Verifiers({"default": judge}))
    texts = [str(i) for i in range(20)]
    graded = grader.collect(grader.submit(Problem("a", "?", "7"), texts))
    assert [j.text for j in graded if j.correct] == ["7"] and most == 20


def test_the_gold_as_a_row_has_it():
    boxes = [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert gold_of(Problem("a", "?", None, columns={"answer": boxes})) == boxes
    assert gold_of(Problem("a", "?", None, columns={" Solution": {"x": 1}})) == {"x": 1}
    assert gold_of(Problem("a", "?", "[[1, 2, 3, 4], [5, 6, 7, 8]]")) == boxes
    assert gold_of(Problem("a", "?", "red")) == "red" and gold_of(Problem("a", "?", None)) is None
