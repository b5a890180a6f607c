"""report.html: self-contained, whole on a full run, gracefully partial on others, and safe to open."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import HOSTILE, PROGRAMS, write_run

from nsrl.errors import UserError
from nsrl.report import plots as drawing
from nsrl.report import write_report
from nsrl.report.plots import binned, plots, smooth
from nsrl.report.problems import clean

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("runs") / "demo", steps=40)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run):
    return (run / "report.html").read_text()


def articles(page):
    """(set, category, html) of each problem."""
    found = re.findall(
        r'<article class="panel problem[^"]*" data-set="([^"]*)" data-category="([^"]*)">(.*?)</article>',
        page,
        re.DOTALL,
    )
    assert found
    return found


def test_the_page_is_self_contained_and_shows_everything(page):
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)
    assert not re.search(r"(?:src|href)=\"(?!data:)", page) and "@import" not in page and "url(" not in page
    for text in (
        "demo",
        "How it learned",
        "By category",
        "What it writes",
        "engine says",
        "determinant",
        "Has Code %",
        "accuracy after training",
    ):
        assert text in page, text
    assert page.count("data:image/svg+xml") == 8
    assert "&lt;script&gt;alert(1)" in page  # what a model or a file wrote is never markup


def test_only_the_pages_own_script_may_run(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    allowed = "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src '{allowed}'" in page and "default-src 'none'" in page
    assert (
        "<script>alert" not in page
        and "<img src=x" not in page
        and "<b>x</b>" not in page
        and "<i>none</i>" not in page
    )
    assert "\u202e" not in page and "\x00" not in page and "\x1b" not in page
    assert html.escape(clean(HOSTILE)) in page and "⟨U+202E⟩reversed␀␛[31m" in page


def test_every_problem_has_its_picture_also_the_wrong_ones(page):
    for name, category, body in articles(page):
        assert body.count('class="picture" src="data:image/png;base64,') == 1, (name, category)
    assert any("tag wrong" in body for _, _, body in articles(page))


def test_held_out_problems_before_and_after_and_training_problems_by_step(page):
    sets = [name for name, _, _ in articles(page)]
    assert list(dict.fromkeys(sets)) == ["held-out", "training, step 40", "training, step 1"]
    assert sets.count("held-out") == 40 and sets.count("training, step 40") == 16
    for name, _, body in articles(page):
        points = re.findall(r"<h4>(.*?): <span>(\d+) of (\d+) right", body)
        assert len(re.findall('class="attempt"', body)) == sum(int(n) for *_, n in points)
        if name == "held-out":  # one problem, both points of the run, all five attempts
            assert [p[0] for p in points] == ["after the warm start", "after training"] and {p[2] for p in points} == {
                "5"
            }
            assert body.count(">greedy<") == 2
    failures = [
        body.rsplit("<h4>", 1)[1].count("tag wrong") > 0 for name, _, body in articles(page) if name == "held-out"
    ]
    assert failures == sorted(failures, reverse=True) and any(failures) and not all(failures)
    assert "in no training step" in page and "step 1 and 40" in page  # says which problems these are


def test_whole_completions_with_the_program_marked(page):
    for text in PROGRAMS.values():
        assert not text or f"<mark>{text}</mark>" in html.unescape(page)
    assert "The answer is 5." in page
    assert "before weighting: correct 1.00</div>" in page and "before weighting: correct 0.00</div>" in page


def test_filters_name_what_is_there(page):
    for name, some in {
        "verdict": ("right", "wrong"),
        "language": tuple(PROGRAMS),
        "status": ("ok", "no program"),
        "category": ("area", "bars"),
    }.items():
        (options,) = re.findall(rf'<select name="{name}">(.*?)</select>', page)
        assert all(f"<option>{value}</option>" in options for value in some), name


def test_options_are_shown_and_formulas_are_drawn_or_marked(page):
    body = next(body for _, category, body in articles(page) if category == "bars")
    assert body.count('<svg class="tex"') == 3 and r'aria-label="\frac{\sqrt{3}}{2}"' in body
    assert r'<code class="tex" title="LaTeX source">\begin{array}{c}a\end{array}</code>' in body
    assert "for $5 and $6" in body and body.count("<li>") == 3 and "C. &lt;i&gt;none" in body


def test_without_a_warm_start_nothing_speaks_of_one(tmp_path):
    page = write_report(write_run(tmp_path / "run", steps=12, warm=False)).read_text()
    shown = page.split("<summary>Configuration")[0]
    assert not re.search("warm.start", re.sub(r"base64,[A-Za-z0-9+/=]*", "", shown), re.IGNORECASE)
    assert "accuracy before training" in shown and "Held-out problems before training" in shown


def test_what_eval_wrote_into_the_run_is_shown_too(tmp_path):
    folder = write_run(tmp_path / "run", steps=12)
    shutil.copy(folder / "eval" / "final.parquet", folder / "eval" / "checkpoint-12-on-shapes.parquet")
    (folder / "eval" / "broken.parquet").write_bytes(b"half")
    names = [name for name, _, body in articles(write_report(folder).read_text()) if 'class="picture"' in body]
    assert names.count("checkpoint-12-on-shapes") == 40 and "broken" not in names


def test_it_can_be_written_while_the_run_goes_on(tmp_path):
    folder = write_run(tmp_path / "run", steps=12)
    for name in ("summary.json", "eval/final.json", "eval/final.parquet"):
        (folder / name).unlink()
    page = write_report(folder).read_text()
    assert (
        "while the run was at grpo step 12" in page
        and "after the warm start" in page
        and "accuracy after training" not in page
    )
    (folder / "summary.json").write_text(
        json.dumps({"accuracy_final": 0.1234, "steps": {"grpo": 6}})
    )  # of the end before
    assert "12.3%" not in write_report(folder).read_text()


def test_plots_are_saved_as_pictures(run):
    names = {p.stem for p in (run / "plots").glob("*.png")}
    assert names == {"accuracy", "languages", "lengths", "reward", "engine", "policy", "timing", "warm_start"}
    assert all((run / "plots" / f"{n}.png").read_bytes()[:4] == b"\x89PNG" for n in names)


def test_partial_runs(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"phase": "grpo", "step": 1, "reward": 0.5, "pass@1": 0.5}\n{"broken')
    page = write_report(tmp_path).read_text()
    assert "How it learned" in page and "What it writes" not in page
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "summary.json").write_text(json.dumps({"accuracy_final": 0.5, "note": "\ud800"}))
    assert "50.0%" in write_report(tmp_path).read_text()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match="holds no metrics"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "absent")
    done = subprocess.run(
        [sys.executable, "-m", "nsrl.report", str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": "kernels:."},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_the_same_metrics_give_the_same_plots(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()[:-1]]
    some = [
        {k: r[k] for k in ("phase", "step", "completions/mean_length") if k in r} for r in rows if r["phase"] == "grpo"
    ]
    (first,), (second,) = plots(some), plots(some)
    assert first.svg == second.svg
    assert first.hover["steps"] == list(range(1, 41)) and first.hover["from"] < 1 < 40 < first.hover["to"]
    assert first.hover["series"]["mean"][4] == pytest.approx(some[4]["completions/mean_length"], rel=1e-3)
    assert plots([]) == []


def test_one_axis_has_one_unit(run, monkeypatch):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()[:-1]]
    for row in rows:
        row["kl"] = 0.01
    axes = {}
    finish = drawing._Canvas.finish
    monkeypatch.setattr(
        drawing._Canvas,
        "finish",
        lambda self, name, *rest: (axes.update({name: self.all}), finish(self, name, *rest))[1],
    )
    plots(rows)
    labels = {
        a.get_ylabel(): {line.get_label() for line in a.get_lines() if line.get_label()[0] != "_"}
        for a in axes["policy"]
    }
    assert labels == {
        "norm": {"gradient norm, before clipping"}, "nats": {"entropy", "KL to the reference"},
        "share": {"groups without spread"},
    }  # fmt: skip


def test_smoothing_keeps_constants_trends_and_its_place():
    assert smooth([2.0] * 9, 5) == [2.0] * 9
    assert smooth([1.0, 2.0, 4.0], 1) == [1.0, 2.0, 4.0]
    outlier = [0.3] * 20 + [3.0] + [0.3] * 20
    assert smooth(outlier, 7) == pytest.approx([0.3] * 41)  # no plateau of one slow step
    falling = [1 - i / 200 for i in range(100)]
    falling[-1] += 0.4  # the last step happens to be high
    drawn = smooth(falling, 11)
    assert max(abs(drawn[i] - drawn[i - 1]) for i in range(1, 100)) < 0.02 and abs(drawn[-1] - 0.515) < 0.03


def test_stacks_keep_their_sum_and_an_outlier_its_column():
    edges, (low, high) = binned(
        [1.0, 2.0, 3.0, 4.0, 5.0], [[0.3, 0.3, 3.0, 0.3, 0.3], [0.7, 0.7, 0.0, 0.7, 0.7]], most=5
    )
    assert edges == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5] and low == [0.3, 0.3, 3.0, 0.3, 0.3] and high[2] == 0.0
    edges, (means,) = binned([float(i) for i in range(1, 8)], [[1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 20.0]], most=3)
    assert edges == [0.5, 3.5, 6.5, 7.5] and means == [3.0, 9.0, 20.0]


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium to open the page with")
def test_a_browser_runs_its_script_under_its_policy(run, tmp_path):
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking",
               "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path}", "--dump-dom",
               f"file://{run / 'report.html'}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0 or "<html" not in done.stdout:
        pytest.skip("chromium does not start here")
    assert '<span id="count">40 problems</span>' in done.stdout and "Show more (28 left)" in done.stdout
    assert len(re.findall(r"<article[^>]*hidden", done.stdout)) == 28 + 16 + 16
