"""The commands as a user types them: a run, its files, the table, one question."""

import json
import subprocess
import sys

import pytest

from nsrl.data.shapes import Shapes

TINY = [
    "data.eval_size=8", "warm_start.steps=6", "warm_start.reading_steps=4", "warm_start.batch_size=8", "max_steps=2",
    "prompts_per_step=4", "num_generations=3", "eval_samples=2", "completions_steps=1", "engine.workers=1", "threads=1",
]  # fmt: skip


def run(*argv, **options):
    return subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = run("nsrl.train", f"output_dir={folder}", *TINY)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "held-out problems" in done.stdout and "left" in done.stdout
    return folder


def test_run_folder(folder):
    names = {p.name for p in folder.iterdir()}
    assert {"config.yaml", "metrics.jsonl", "summary.json", "report.html", "completions", "eval", "latest"} <= names
    summary = json.loads((folder / "summary.json").read_text())
    for key in ("accuracy_warm_start", "accuracy_final"):
        low, high = summary[f"{key}_ci95"]
        assert 0 <= low <= summary[key] <= high <= 1
        assert 0 <= summary[f"{key}_greedy"] <= 1 and len(summary[f"{key}_greedy_ci95"]) == 2
    assert set(summary["language_share"]) == {"before", "after"}
    assert summary["language_share"]["before"].keys() == summary["language_share"]["after"].keys()
    assert {"reading", "warm_start", "grpo", "evaluation"} <= set(summary["seconds"])
    assert summary["seed"] == 0 and {"torch", "transformers", "python"} <= set(summary["versions"])
    page = (folder / "report.html").read_text()
    assert "<img" in page or "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace("http://creativecommons.org", "").replace("https://matplotlib.org", "")


def test_a_second_run_does_not_overwrite_and_a_finished_one_resumes_to_nothing(folder):
    again = run("nsrl.train", f"output_dir={folder}", *TINY)
    assert again.returncode == 2 and "--resume" in again.stderr
    before = (folder / "metrics.jsonl").read_bytes()
    done = run("nsrl.train", f"output_dir={folder}", "--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_eval_prints_and_saves_the_table(folder, tmp_path):
    out = tmp_path / "table.json"
    done = run("nsrl.eval", "--model", str(folder), "--data", "shapes", "size=6", "samples=2", f"output={out}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Category" in done.stdout and "pass@2" in done.stdout
    saved = json.loads(out.read_text())
    assert saved["table"][-1]["count"] == 6


def test_solve_prints_program_value_and_time(folder, tmp_path):
    picture = tmp_path / "picture.png"
    Shapes().test()[0].images[0].open().save(picture)
    question = Shapes().test()[0].question
    done = run("nsrl.solve", "--model", str(folder), "--image", str(picture), "--question", question)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "time" in done.stdout and ("program" in done.stdout or "answer" in done.stdout)


def test_eval_on_real_problems(folder, shared_data):
    done = run("nsrl.eval", "--model", str(folder), "--data", f"mathvision:{shared_data / 'mathvision_testmini'}",
               "size=12", "samples=1", "max_pixels=16384")  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "All" in done.stdout


def test_training_on_real_problems(shared_data, tmp_path):
    done = run("nsrl.train", "data.source=mathvision", f"data.path={shared_data / 'mathvision_testmini'}", "max_steps=1",
               "warm_start.steps=0", "model.max_pixels=16384", "prompts_per_step=4", "num_generations=3",
               "data.eval_size=4", "eval_samples=1", "threads=1", f"output_dir={tmp_path / 'run'}")  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["grpo"]
