"""`python -m nsrl.rewards`: one verdict, agreement with labels, errors in one sentence."""

import json
import os
import subprocess
import sys

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


def line(**changed):
    return json.dumps({"prediction": "5", "gold": "5", "label": True} | changed).encode()


BAD = {
    "not UTF-8": (b'{"gold": "\xe9"}', "UTF-8"),
    "no JSON": (b"gold", "line 1"),
    "no object": (b"[5]", "no object but list"),
    "nested too deep": (b"[" * 100_000, "line 1"),
    "a number of too many digits": (b'{"gold": ' + b"9" * 5000 + b"}", "line 1"),
    "no gold": (b'{"prediction": "5", "label": true}', "there is no gold"),
    "options that are a number": (line(options=5), "options is no list"),
    "options that are a text": (line(options="abc"), "options is no list"),
    "options in options": (line(options=[["1"], "2"]), "options is no list"),
    "a gold that is an object": (line(gold={"a": 1}), "gold is neither"),
    "a gold that is a list": (line(gold=["5"]), "gold is neither"),
    "a gold that is true": (line(gold=True), "gold is neither"),
}


@pytest.mark.parametrize("command", ["agreement", "attack"])
@pytest.mark.parametrize("bad", BAD)
def test_bad_rows_are_one_sentence(tmp_path, capsys, command, bad):
    content, said = BAD[bad]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    assert main([command, str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: ") and said in shown.err and shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "changed,said",
    [
        ({"label": "false"}, "label is neither"),
        ({"label": 1}, "label is neither"),
        ({"prediction": [5]}, "prediction is neither"),
    ],
)
def test_a_label_is_true_or_false_and_nothing_else(tmp_path, changed, said):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(line() + b"\n\n" + line(**changed))
    with pytest.raises(UserError, match=f"line 3 must be JSON with prediction, gold and label.*{said}"):
        agreement(path)


def test_a_row_ends_at_a_line_feed_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        {"prediction": f"5{c}", "gold": 5, "label": True, "options": {"B": 5, "A": "4"}} for c in "\u2028\u2029\x85\x1c"
    ]
    path.write_bytes("\r\n".join(json.dumps(r, ensure_ascii=False) for r in rows).encode())
    found = agreement(path)
    assert found["rows"] == 4 and found["agreement"] == 1


def test_help_is_no_error(capsys):
    for asked in (["--help"], ["-h"], ["check", "--help"], ["check", "-h"], ["agreement", "--help"]):
        assert main(asked) == 0
        shown = capsys.readouterr()
        assert "agreement" in shown.out and shown.err == ""
    assert main(["check"]) == 2 and capsys.readouterr().out == ""


def test_a_gold_that_no_terminal_shows_is_shown_escaped(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"gold": "7\\ud800"}\n{"gold": "\xe2\x89\x88 7"}')
    command = [sys.executable, "-m", "nsrl.rewards", "attack", str(path), "--evaluations", "20"]
    ran = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert ran.returncode in (1, 3) and b"Traceback" not in ran.stderr and b"gate" in ran.stdout, ran.stderr
    assert b"\\u" in ran.stdout, ran.stdout
