"""No constant answer is paid for more than the most frequent gold; the search that says so finds a hole when there is
one."""

import json
import random
import re

import pytest

from nsrl.answers import attack as attacking
from nsrl.answers.attack import Row, attack
from nsrl.answers.checker import Verdict, check
from nsrl.answers.generated import golds
from nsrl.engines.result import Result, Status
from nsrl.rewards.__main__ import main


def made(count, seed):
    return [Row(r["answer"], tuple(r["options"])) for r in golds(count, seed)]


def test_the_gate_holds_on_golds_of_all_types():
    seed = random.randrange(10**6)
    found = attack(made(2000, seed), seed, budget=5.0)
    assert [f.kind for f in found] == ["free-form", "options"]
    assert all(f.holds for f in found), (seed, found)


def mixed(seed):
    """A small file of golds of all types, in which small numbers are frequent: signed, scaled, words, letters."""
    rng = random.Random(seed)
    few = rng.sample(range(2, 10), 5)
    free = [
        f"{sign}{n}{scale}"
        for n in few
        for sign, scale, rows in (("", "", 5), ("-", "", 3), ("", " thousand", 2), ("", " million", 2))
        for _ in range(rows)
    ]
    free += rng.sample(range(10, 99), 12) + 4 * ["red", "green", "horse", "Rome", "Tuesday"] + ["B", "C", "D"]
    free += [f"{rng.randint(1, 12)}:{5 * rng.randint(2, 11)}" for _ in range(4)]
    letters = [Row(rng.choice("ABCDE"), tuple(map(str, rng.sample(range(60), 5)))) for _ in range(30)]
    return [Row(str(g), ()) for g in free] + letters


def parts_of(pattern, joint):
    """A hole: whatever text has the pattern is taken for each of its parts."""

    def right(text, gold, options):
        match = re.search(pattern, text)
        return match is not None and any(check(part, gold, options).correct for part in joint.split(match[1]))

    return right


def any_box(text, gold, options):
    return any(check(box, gold, options).correct for box in re.findall(r"\\boxed\{([^{}]*)\}", text))


def without(pattern):
    """A hole: what the pattern finds counts neither in the text nor in the gold."""
    return lambda text, gold, options: check(re.sub(pattern, "", text), re.sub(pattern, "", gold), options).correct


def within(text, gold, options):
    match = re.fullmatch(r"\[(-?\d+), (-?\d+)\]", text)
    return (
        match is not None and re.fullmatch(r"-?\d+", gold) is not None and int(match[1]) <= int(gold) <= int(match[2])
    )


CHECKS = {
    False: 40_000,
    True: 5_000,
}  # on each kind of rows: to find the hole, which ends the search; where there is none

HOLES = {  # each is the check with one rule missing
    "a set answers any number in it": (parts_of(r"^\\?\{(-?\d+(?:, -?\d+)+)\\?\}$", re.compile(", ")), "free-form"),
    "a list of words answers a text": (parts_of(r"^([A-Za-z]+(?:, [A-Za-z]+)+)$", re.compile(", ")), "free-form"),
    "a≈b pays either side": (parts_of(r"^(-?\d+ ?≈ ?-?\d+)$", re.compile(" ?≈ ?")), "free-form"),
    "numbers joined by or": (parts_of(r"^(-?\d+(?: or -?\d+)+)$", re.compile(" or ")), "free-form"),
    "any of several boxes": (any_box, "free-form"),
    "several letters": (parts_of(r"^([A-E](?:, [A-E])+)$", re.compile(", ")), "options"),
    "an interval holds its numbers": (within, "free-form"),
    "minus signs are ignored": (without(r"^-"), "free-form"),
    "a scale word is ignored": (without(r" (?:thousand|million)$"), "free-form"),
}


@pytest.mark.parametrize("hole", [None, *HOLES])
def test_it_finds_a_hole(monkeypatch, hole):
    """Each planted hole is found in the search that finds nothing in the check itself."""
    seed = random.randrange(10**6)
    rows = mixed(seed)
    if hole:
        takes, kind = HOLES[hole]

        def leaky(prediction, gold, options=None):
            text = prediction if isinstance(prediction, str) else prediction.text
            verdict = check(prediction, gold, options)
            return verdict if verdict.correct or not takes(text, gold, options) else Verdict(True, "hole")

        monkeypatch.setattr(attacking, "check", leaky)
        rows = [r for r in rows if bool(r.options) == (kind == "options")]
    found = attack(
        rows,
        seed,
        budget=120.0,
        evaluations=len({bool(r.options) for r in rows}) * CHECKS[hole is None],
        until_broken=True,
    )
    assert all(f.holds == (hole is None) for f in found), (seed, found)
    for f in found:  # the check itself does not pay it: it is the planted hole that was found, no other
        kind_rows = [r for r in rows if bool(r.options) == (f.kind == "options")]
        said = f.best if f.best_form == "text" else Result(Status.OK, f.best)
        share = sum(bool(check(said, r.gold, r.options).correct) for r in kind_rows) / len(kind_rows)
        assert share <= f.frequent_share + attacking.POINT, (seed, f, share)


@pytest.fixture
def few_words(monkeypatch):
    monkeypatch.setattr(attacking, "KEPT", 5)


def test_the_command(tmp_path, capsys, few_words):
    path = tmp_path / "golds.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(r)
            for r in [
                {"answer": "5"},
                {"gold": "5.0"},
                {"answer": "6", "options": []},
                {"answer": "B", "options": ["1", "2"], "id": 3},
            ]
        )
    )
    assert main(["attack", str(path), "--evaluations", "12000", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert "free-form" in shown and "66.7%" in shown and shown.count("holds") == 2
    assert main(["attack", str(path), "--evaluations", "1"]) == 3 and "TOO SHORT" in capsys.readouterr().out
    (tmp_path / "latin").write_bytes(b'{"answer": "\xe9"}')
    (tmp_path / "options").write_text('{"answer": "A", "options": "AB"}')
    path.write_text('{"answer": "5"}\n{"no": 1}')
    for wrong in (
        ["attack", str(path)],
        ["attack"],
        ["attack", str(path), "--generate", "5"],
        *(["attack", str(tmp_path / name)] for name in ("absent", "latin", "options")),
    ):
        assert main(wrong) == 2 and capsys.readouterr().err.startswith("error: ")


def test_made_up_golds_are_readable_and_repeatable():
    rows = golds(400, 3)
    assert rows == golds(400, 3) != golds(400, 4)
    for row in rows:
        assert check(row["answer"], row["answer"], row["options"]).correct is True, row
