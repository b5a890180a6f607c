"""The commands as a user types them: a run, its files, the table, one question."""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from forked import run
from PIL import Image
from pyarrow import parquet

from nsrl.config import TrainConfig, parse
from nsrl.data.images import file_image
from nsrl.data.shapes import Shapes, is_familiar
from nsrl.errors import UserError
from nsrl.report import write_report
from nsrl.solve import main as solve
from nsrl.trainer.keep import small_png
from nsrl.trainer.run import Run
from nsrl.types import ImageRef, Problem

ROOT = Path(__file__).resolve().parents[1]
QUESTION = "What is the mean of the numbers?"

TINY = [
    "data.eval_size=8", "warm_start.steps=6", "warm_start.reading_steps=4", "warm_start.batch_size=8", "max_steps=2",
    "prompts_per_step=4", "num_generations=3", "eval_samples=2", "completions_steps=1", "engine.workers=1", "threads=1",
]  # fmt: skip


def started(*argv, **env):
    """A command as a user starts it."""
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | env
    return subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True, timeout=300, env=env)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = started("nsrl.train", f"output_dir={folder}", *TINY)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "8 held-out problems after the warm start" in done.stdout and "left" in done.stdout
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
    assert "held-out" in page and "after the warm start" in page
    page = re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")


def test_kept_completions_have_what_the_report_shows(folder):
    rows = [r for f in (folder / "completions").glob("step_*.parquet") for r in parquet.read_table(f).to_pylist()]
    assert {
        "options",
        "completion",
        "program",
        "status",
        "reward",
        "rewards/correct",
        "rewards/executes",
        "rewards/short",
    } <= set(rows[0])
    for r in rows:  # the weights of the default recipe; a component that does not apply is NaN and counts nothing
        parts = [w * r[f"rewards/{n}"] for n, w in (("correct", 1.0), ("executes", 0.1), ("short", 0.6))]
        assert r["reward"] == pytest.approx(sum(p for p in parts if p == p), abs=1e-5)
    with_picture = {(r["step"], r["problem_id"]) for r in rows if r["image_png"]}
    assert with_picture == {(r["step"], r["problem_id"]) for r in rows}
    pictures = parquet.read_table(folder / "eval" / "pictures.parquet").to_pylist()
    assert [p["problem_id"] for p in pictures] == [p.id for p in Shapes(held_out=8).test()]
    image = Image.open(io.BytesIO(pictures[0]["image_png"]))
    assert image.tobytes() == Shapes().test()[0].images[0].open().tobytes()  # small ones are kept to the pixel


def test_pictures_are_kept_small_and_side_by_side():
    big = ImageRef("big", lambda: Image.new("RGB", (3000, 1000), "red"))
    tall = ImageRef("tall", lambda: Image.new("RGB", (10, 40), "blue"))
    sizes = [Image.open(io.BytesIO(small_png(images))).size for images in ([big], [tall], [tall, tall], [big, tall])]
    assert sizes[:3] == [(768, 256), (10, 40), (28, 40)] and max(sizes[3]) == 768
    assert small_png([]) is None


def test_a_second_run_does_not_overwrite_and_a_finished_one_resumes_to_nothing(folder):
    again = run("nsrl.train", f"output_dir={folder}", *TINY)
    assert again.returncode == 2 and "--resume" in again.stderr
    before = (folder / "metrics.jsonl").read_bytes()
    done = run("nsrl.train", f"output_dir={folder}", "--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_the_report_is_written_at_checkpoints_and_knows_no_warm_start_where_there_was_none(
    tmp_path, monkeypatch, capsys
):
    seen = []

    def spy(path):
        seen.append("while the run was at grpo step" in (page := write_report(path)).read_text())
        return page

    for module in ("run", "stages"):
        monkeypatch.setattr(f"nsrl.trainer.{module}.write_report", spy)
    monkeypatch.setattr("nsrl.trainer.stages.REPORT_EVERY_S", 0.0)
    config = parse(TrainConfig, [*TINY, "warm_start.steps=0", "save_steps=1", "preflight=false", "parity_check=false",
                                 f"output_dir={tmp_path / 'run'}"], "test")  # fmt: skip
    summary = Run(config).execute()
    assert seen == [True, False] and "accuracy_warm_start" in summary  # the keys stay
    said = capsys.readouterr().out + (tmp_path / "run" / "report.html").read_text().split("<summary>Configuration")[0]
    assert "before training" in said and "warm start" not in said.replace("base64", "").lower()


def test_eval_prints_and_saves_the_table(folder, tmp_path):
    out = tmp_path / "table.json"
    done = run("nsrl.eval", "--model", str(folder), "--data", "shapes", "size=6", "samples=2", f"output={out}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Category" in done.stdout and "pass@2" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    saved = json.loads(out.read_text())
    assert saved["table"][-1]["count"] == 6


def test_solve_prints_program_value_and_time(folder, tmp_path):
    picture = tmp_path / "picture.png"
    Shapes().test()[0].images[0].open().save(picture)
    question = Shapes().test()[0].question
    done = run("nsrl.solve", "--model", str(folder), "--image", str(picture), "--question", question)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "time" in done.stdout and ("program" in done.stdout or "answer" in done.stdout)
    assert "seen `shapes`" not in done.stdout and ("no answer:" in done.stdout) == ("(none)" in done.stdout)


def test_solve_says_when_the_small_model_cannot_know_the_picture(folder, tmp_path, capsys):
    Image.effect_noise((200, 120), 90).convert("RGB").save(tmp_path / "photo.png")
    assert solve(["--model", str(folder), "--image", str(tmp_path / "photo.png"), "--question", QUESTION]) == 0
    said = capsys.readouterr().out
    assert said.count("only ever seen `shapes`") == 1
    assert ("(none)" in said) == ("no answer:" in said)


def test_solve_asks_a_held_out_problem_of_the_run(folder, capsys):
    problem = Shapes(held_out=8).test()[3]
    for wanted in ("3", problem.id):
        assert solve(["--model", str(folder), "--problem", wanted]) == 0
        said = capsys.readouterr().out
        assert problem.id in said and problem.question in said and f"gold     {problem.answer}   (" in said
    for argv in (["--problem", "8"], ["--problem", "0", "--question", "x"], [], ["--image", "x.png"]):
        with pytest.raises(UserError, match="problem"):
            solve(["--model", str(folder), *argv])


def test_a_model_out_of_reach_names_the_way_without_the_hub(tmp_path):
    argv = ["model.name=nobody/nothing", f"output_dir={tmp_path / 'run'}"]
    done = started("nsrl.train", *argv, HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "'nobody/nothing' could not be loaded" in done.stderr and "model.name=FOLDER" in done.stderr


def test_what_the_small_model_knows():
    known = [*Shapes(level=1, held_out=60).test(), *Shapes(level=3, seed=5, held_out=60).test()]
    assert all(is_familiar(p) for p in known)
    example = Problem("q", QUESTION, None, (file_image(ROOT / "docs" / "example.png"),))
    assert is_familiar(example)  # README's own question on README's own picture
    photo = ImageRef("photo", lambda: Image.effect_noise((96, 96), 90).convert("RGB"))
    white = ImageRef("white", lambda: Image.new("RGB", (96, 96), "white"))
    sizes = ImageRef("sizes", lambda: Image.new("RGB", (100, 96), (200, 200, 200)))
    unknown = [replace(example, images=(i,)) for i in (photo, white, sizes)]
    unknown += [replace(example, images=()), replace(example, question="What is 1+1?")]
    assert not any(is_familiar(p) for p in unknown)


def test_eval_on_real_problems(folder, shared_data):
    done = run("nsrl.eval", "--model", str(folder), "--data", f"mathvision:{shared_data / 'mathvision_testmini'}",
               "size=12", "samples=1", "max_pixels=16384")  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "All" in done.stdout


def test_training_on_real_problems(shared_data, tmp_path):
    done = run("nsrl.train", "data.source=mathvision", f"data.path={shared_data / 'mathvision_testmini'}",
    "max_steps=1",
               "warm_start.steps=0", "model.max_pixels=16384", "prompts_per_step=4", "num_generations=3",
               "data.eval_size=4", "eval_samples=1", "threads=1", f"output_dir={tmp_path / 'run'}")  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["grpo"]
