"""No constant answer is paid for more than the most frequent gold; the search that says so finds a hole when there is one."""

import json
import random

import pytest

from nsrl.rewards import attack as attacking
from nsrl.rewards.__main__ import main
from nsrl.rewards.answer import Verdict, check
from nsrl.rewards.attack import Row, attack
from nsrl.rewards.golds import golds


def made(count, seed):
    return [Row(r["answer"], tuple(r["options"])) for r in golds(count, seed)]


def test_the_gate_holds_on_golds_of_all_types():
    seed = random.randrange(10**6)
    found = attack(made(2000, seed), seed, budget=9.0)
    assert [f.kind for f in found] == ["free-form", "options"]
    assert all(f.holds for f in found), (seed, found)


def test_it_finds_a_hole(monkeypatch):
    """A check that takes a nested approximation, or any of several letters, is caught."""

    def leaky(prediction, gold, options=None):
        text = prediction if isinstance(prediction, str) else prediction.text
        if "≈" in text or (text.count("A") and text.count("B") and text.count("C")):
            return Verdict(True, "hole")
        return check(prediction, gold, options)

    rows = made(60, 1)
    monkeypatch.setattr(attacking, "check", leaky)
    found = attack(rows, 0, budget=60.0, evaluations=20_000)
    assert not any(f.holds for f in found) and all(f.best_share > 0.9 for f in found)


@pytest.fixture
def few_words(monkeypatch):
    monkeypatch.setattr(attacking, "KEPT", 5)


def test_the_command(tmp_path, capsys, few_words):
    path = tmp_path / "golds.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in [{"answer": "5"}, {"gold": "5.0"}, {"answer": "6", "options": []}, {"answer": "B", "options": ["1", "2"], "id": 3}]))
    assert main(["attack", str(path), "--evaluations", "600", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert "free-form" in shown and "66.7%" in shown and shown.count("holds") == 2
    assert main(["attack", str(path), "--evaluations", "600", "--seed", "3"]) == 0 and capsys.readouterr().out == shown
    path.write_text('{"answer": "5"}\n{"no": 1}')
    for wrong in (["attack", str(path)], ["attack"], ["attack", str(path), "--generate", "5"], ["attack", str(tmp_path / "absent")]):
        assert main(wrong) == 2 and capsys.readouterr().err.startswith("error: ")


def test_made_up_golds_are_readable_and_repeatable():
    rows = golds(400, 3)
    assert rows == golds(400, 3) != golds(400, 4)
    for row in rows:
        assert check(row["answer"], row["answer"], row["options"]).correct is True, row
