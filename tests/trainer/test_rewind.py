"""From which checkpoint a folder goes on that was copied or tidied by hand, and what is left of what lies behind it."""

import dataclasses
import json
import shutil

import pytest

from nsrl.config import TrainConfig
from nsrl.errors import UserError
from nsrl.trainer import checkpoint
from nsrl.trainer.resume import State, find, rewind


def state_at(phase, step, loss=0.5):
    return State(phase=phase, step=step, row={"phase": phase, "step": step, "loss": loss})


@pytest.fixture
def run(tmp_path):
    """A run of two warm-start steps and five of GRPO, saved at every step, without weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("save_steps: 1\nmax_steps: 5\nwarm_start: {steps: 2, reading_steps: 0}\n")
    rows = []
    for phase, step in [("warm_start", 1), ("warm_start", 2), *(("grpo", n) for n in range(1, 6))]:
        state = state_at(phase, step)
        name = f"checkpoint-{step}" if phase == "grpo" else f"checkpoint-warm-start-{step}"
        checkpoint.save(
            folder, name, lambda path: (path / "model").write_text("weights"), dataclasses.asdict(state), {}
        )
        rows.append({**state.row, "timing_s/save": 0.1})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def resumed(folder, **options):
    return find(TrainConfig(output_dir=str(folder), resume=True, **options), folder)


def cut(folder, lines):
    file = folder / "metrics.jsonl"
    file.write_text("".join(line + "\n" for line in file.read_text().splitlines()[:lines]))


def names(folder):
    return sorted(p.name for p in folder.glob("checkpoint-*"))


def test_without_the_link_a_run_goes_on_from_the_newest_checkpoint_it_agrees_with(run):
    (run / "latest").unlink()
    assert resumed(run) == run / "checkpoint-5"
    (run / "checkpoint-5" / "model").write_text("cut")
    assert resumed(run) == run / "checkpoint-4"  # not whole
    cut(run, 5)  # went back to step 2 and came to step 3: 4 was of the other ending, or is the next one
    assert resumed(run) == run / "checkpoint-4"
    cut(run, 4)
    assert resumed(run) == run / "checkpoint-3"  # its line was still to be written
    cut(run, 3)
    assert resumed(run) == run / "checkpoint-2"
    state = run / "checkpoint-1" / "trainer_state.json"
    state.write_text(state.read_text().replace("0.5", "0.25"))
    shutil.rmtree(run / "checkpoint-2")
    assert resumed(run) == run / "checkpoint-warm-start-2"  # checkpoint-1 tells of another step 1


def test_without_link_and_checkpoint_a_run_begins_again_only_if_it_never_saved(run):
    (run / "latest").unlink()
    for path in run.glob("checkpoint-*"):
        path.rename(path.with_name(f"of-mine-{path.name}"))
    with pytest.raises(
        UserError,
        match="latest' is missing, and no whole checkpoint beside it is of the run that metrics.jsonl tells of",
    ):
        resumed(run)
    cut(run, 1)  # killed between the first line and the first checkpoint
    assert resumed(run) is None
    (run / "of-mine-checkpoint-4").rename(run / "checkpoint-4")
    with pytest.raises(UserError, match="no whole checkpoint"):
        resumed(run)


def test_a_folder_in_place_of_the_link_is_a_copy_of_a_checkpoint_or_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)  # follows links
    assert (copy / "latest").is_dir() and not (copy / "latest").is_symlink()
    found = resumed(copy)
    assert found == copy / "checkpoint-5"
    rewind(copy, found, TrainConfig(), state_at("grpo", 5))
    assert (copy / "latest").is_symlink() and checkpoint.latest(copy) == found and names(copy) == names(run)
    assert sorted(p.name for p in copy.iterdir()) == sorted(p.name for p in run.iterdir())

    (copy / "latest").unlink()
    (copy / "latest").mkdir()
    (copy / "latest" / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    for options in ({}, {"resume_from_checkpoint": str(copy / "checkpoint-2")}):
        with pytest.raises(UserError, match="latest' must be a link to a checkpoint"):
            resumed(copy, **options)
    assert {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()} == before


def test_going_back_drops_the_checkpoints_behind_and_nothing_of_the_users(run):
    shutil.copytree(run / "checkpoint-5", run / "checkpoint-best")
    (run / "checkpoint-9").mkdir()
    for name in (
        "plots/fig1.png",
        "plots/accuracy.png",
        "completions/step_000002.parquet",
        "completions/step_000003.parquet",
        "report.html",
    ):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    rewind(run, run / "checkpoint-2", TrainConfig(), state_at("grpo", 2))
    assert names(run) == [
        "checkpoint-1",
        "checkpoint-2",
        "checkpoint-9",
        "checkpoint-best",
        "checkpoint-warm-start-1",
        "checkpoint-warm-start-2",
    ]
    assert checkpoint.latest(run) == run / "checkpoint-2"
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 4
    assert [p.name for p in (run / "completions").iterdir()] == ["step_000002.parquet"]
    assert (run / "plots" / "fig1.png").is_file() and not (run / "report.html").exists()
    rewind(run, run / "checkpoint-warm-start-1", TrainConfig(), state_at("warm_start", 1))
    assert names(run) == ["checkpoint-9", "checkpoint-best", "checkpoint-warm-start-1"]
