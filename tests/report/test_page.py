"""report.html: self-contained, complete on a full run, gracefully partial on others."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import write_run

from nsrl.errors import UserError
from nsrl.report import write_report
from nsrl.report.plots import plots, smooth

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("runs") / "demo", steps=40)
    write_report(folder)
    return folder


def test_the_page_is_self_contained_and_shows_everything(run):
    page = (run / "report.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?!data:)", page) and "<script" not in page
    for text in ("demo", "How it learned", "By category", "What it writes", "engine says", "determinant", "Has Code %", "accuracy after training"):
        assert text in page, text
    assert page.count("data:image/svg+xml") == 8 and page.count('class="panel sample') == 12
    assert "&lt;script&gt;alert(1)" in page  # what a model or a file wrote is never markup


def test_plots_are_saved_as_pictures(run):
    names = {p.stem for p in (run / "plots").glob("*.png")}
    assert names == {"accuracy", "languages", "lengths", "reward", "engine", "policy", "timing", "warm_start"}
    assert all((run / "plots" / f"{n}.png").read_bytes()[:4] == b"\x89PNG" for n in names)


def test_right_and_wrong_samples_both_appear(run):
    page = (run / "report.html").read_text()
    assert "tag right" in page and "tag wrong" in page


def test_partial_runs(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"phase": "grpo", "step": 1, "reward": 0.5, "pass@1": 0.5}\n{"broken')
    page = write_report(tmp_path).read_text()
    assert "How it learned" in page and "What it writes" not in page
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "summary.json").write_text(json.dumps({"accuracy_final": 0.5}))
    assert "50.0%" in write_report(tmp_path).read_text()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match="holds no metrics"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "absent")
    done = subprocess.run([sys.executable, "-m", "nsrl.report", str(tmp_path)], cwd=ROOT, env={"PYTHONPATH": "kernels:."}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_the_same_metrics_give_the_same_plots(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()[:-1]]
    some = [{k: r[k] for k in ("phase", "step", "completions/mean_length") if k in r} for r in rows if r["phase"] == "grpo"]
    assert [p.svg for p in plots(some)] == [p.svg for p in plots(some)] != []
    assert plots([]) == []


def test_smooth_keeps_constants_and_length():
    assert smooth([2.0] * 9, 5) == [2.0] * 9
    assert smooth([0.0, 1.0, 0.0], 3) == pytest.approx([0.0, 1 / 3, 0.0])
