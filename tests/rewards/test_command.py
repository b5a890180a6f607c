"""`python -m nsrl.rewards`: one verdict, agreement with labels, errors in one sentence."""

import json

import pytest

from nsrl.errors import UserError
from nsrl.rewards.__main__ import agreement, main


def test_one_verdict(capsys):
    assert main(["check", "2*Sqrt[3]", "2\\sqrt{3}"]) == 0
    assert json.loads(capsys.readouterr().out) == {"correct": True, "reason": "exact"}
    assert main(["check", "5", "B", "3", "5"]) == 0
    assert json.loads(capsys.readouterr().out)["correct"] is True


def test_agreement(tmp_path, capsys):
    rows = [
        {"prediction": "The answer is 5", "gold": "5", "label": True},
        {"prediction": "6", "gold": "5", "label": True},
        {"prediction": "B", "gold": "B", "options": ["1", "2"], "label": False},
        {"prediction": "B", "gold": None, "label": False},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = agreement(path)
    assert found["rows"] == 4 and found["agreement"] == pytest.approx(1 / 3)
    assert (found["unscored"], found["accepted_but_labelled_wrong"], found["rejected_but_labelled_right"]) == (1, 1, 1)
    assert capsys.readouterr().err.count("\n") == 2
    path.write_text('{"prediction": "5"}')
    with pytest.raises(UserError, match="line 1 must be JSON with prediction, gold and label"):
        agreement(path)
    assert main(["agreement", str(tmp_path / "absent")]) == 2 and main([]) == 2
