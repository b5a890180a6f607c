"""A run that goes on, in its folder or in another one: every number is of the state it names, and nothing is done
twice."""

import json
import os
import re
import shutil
import signal

import pytest
import yaml
from pyarrow import parquet
from test_resume import outcome, same

from nsrl.errors import Terminated, UserError
from nsrl.rewards.registry import builtin_names
from nsrl.train import main
from nsrl.trainer import evaluation, stages
from nsrl.trainer import run as runner
from nsrl.trainer.checkpointer import Checkpointer
from nsrl.trainer.optim import Optimizer

TINY = [
    "data.eval_size=5", "warm_start.steps=3", "warm_start.reading_steps=0", "warm_start.batch_size=4", "max_steps=4",
    "prompts_per_step=3", "num_generations=4", "save_steps=2", "save_total_limit=null", "completions_steps=1",
    "max_completion_length=12", "eval_samples=2", "eval_steps=3", "eval_size_midway=2", "threads=1", "logging_steps=99",
    "engine.workers=1", "parity_check=false", "preflight=false", "warm_start.languages={direct: 1.0}",
    "learning_rate=3e-3",
]  # fmt: skip
REWARDS = '''
def odd(batch):
    """Spread in every group, whatever the model has learned, and another value every time the same is asked."""
    batch.state["calls"] = batch.state.get("calls", 0) + 1
    return [float((ids[0] + len(ids) + batch.state["calls"]) % 3) for ids in batch.completion_ids]

class Average:
    """TRL's arguments, and its own memory: better than the average so far."""
    def __init__(self):
        self.total, self.count = 0.0, 0
    def __call__(self, completion_ids, **columns):
        out = []
        for ids in completion_ids:
            out.append(float(ids[0] * self.count > self.total))
            self.total, self.count = self.total + ids[0], self.count + 1
        return out
    def state_dict(self):
        return {"total": self.total, "count": self.count}
    def load_state_dict(self, state):
        self.total, self.count = state["total"], state["count"]

average = Average()

def forgetful(batch):
    batch.state["seen"] = {1: (2, 3)}
    return [0.0] * len(batch)
'''


def train(folder, *argv):
    assert main([f"output_dir={folder}", *map(str, argv)]) == 0
    return folder


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
    file = tmp_path_factory.mktemp("rewards") / "mine.py"
    file.write_text(REWARDS)
    return file


@pytest.fixture(scope="module")
def straight(tmp_path_factory, reward):
    """Four steps in one go, with an adapter that learned before GRPO, a reference and a reward that remembers."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    return train(
        folder,
        *TINY,
        "lora.enabled=true",
        "lora.dropout=0",
        "beta=0.05",
        f"reward_funcs=[{reward}:odd]",
        "reward_weights=[1.0]",
    )


def numbers(folder, name="final"):
    return json.loads((folder / "eval" / f"{name}.json").read_text())


def same_run(folder, other):
    assert same(outcome(folder, "adapter_model"), outcome(other, "adapter_model"))
    names = lambda run: sorted(p.name for p in (run / "eval").iterdir())
    assert names(folder) == names(other)
    for name in ("warm_start", "step_000003", "final"):
        assert numbers(folder, name) == numbers(other, name)


def test_a_lora_run_begins_at_its_reference(straight):
    rows = [row for row in outcome(straight, "adapter_model")["rows"] if row["phase"] == "grpo"]
    assert abs(rows[0]["kl"]) < 1e-7 and rows[1]["kl"] > 1e-6
    assert (straight / "reference" / "adapter_model.safetensors").is_file()


@pytest.mark.long
def test_going_on_evaluates_anew_and_writes_the_configuration(straight, tmp_path, reward, capsys):
    run = train(tmp_path / "run", *TINY, "max_steps=2", "lora.enabled=true", "lora.dropout=0", "beta=0.05",
                f"reward_funcs=[{reward}:odd]", "reward_weights=[1.0]")  # fmt: skip
    before = numbers(run)
    assert before["of"]["step"] == 2
    train(run, "--resume", "max_steps=4")
    same_run(run, straight)
    assert numbers(run)["of"]["step"] == 4 and numbers(run)["of"]["weights"] != before["of"]["weights"]
    assert yaml.safe_load((run / "config.yaml").read_text())["max_steps"] == 4
    assert yaml.safe_load((run / "config-1.yaml").read_text())["max_steps"] == 2
    assert "max_steps: 2 -> 4" in (run / "config.yaml").read_text()
    rows = parquet.read_table(run / "eval" / "final.parquet").to_pylist()
    assert len(rows) == 5 * 3 and evaluation.summarise(rows).accuracy == numbers(run)["accuracy"]

    capsys.readouterr()
    files = {
        p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file() and p.parent.name in ("eval", "completions")
    }
    train(run, "--resume")  # ended: nothing is done again
    assert "held-out problems" not in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in files} == files


@pytest.mark.long
def test_going_back_leaves_nothing_of_the_other_ending(straight, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(straight, run, symlinks=True)
    train(
        run, f"resume_from_checkpoint={run / 'checkpoint-2'}"
    )  # the same again: weights that are known are not evaluated
    assert "held-out problems" not in capsys.readouterr().out
    same_run(run, straight)
    train(run, f"resume_from_checkpoint={run / 'checkpoint-2'}", "max_steps=3")
    assert {p.name for p in run.glob("checkpoint-[0-9]*")} == {"checkpoint-2", "checkpoint-3"}
    assert sorted(p.stem for p in (run / "completions").iterdir()) == ["step_000001", "step_000002", "step_000003"]
    assert sorted(p.stem for p in (run / "eval").glob("*.json")) == ["final", "warm_start"]
    assert not (run / "eval" / "later").exists()
    assert numbers(run)["of"]["step"] == 3 and (run / "latest").resolve().name == "checkpoint-3"
    out = capsys.readouterr().out
    assert "evaluate after training" in out and "after the warm start" not in out and (run / "report.html").is_file()


def test_a_copy_without_the_link_goes_on_where_the_run_stood(straight, tmp_path, capsys):
    """Copied with a folder in place of the link, and without either."""
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    for _ in range(2):
        train(run, "--resume")
        assert "resumed from checkpoint-4: grpo step 4" in capsys.readouterr().out
        assert os.readlink(run / "latest") == "checkpoint-4"
        same_run(run, straight)
        (run / "latest").unlink()


def test_a_new_folder_keeps_baseline_and_reference(straight, tmp_path):
    before = {p: p.read_bytes() for p in straight.rglob("*") if p.is_file() and p.name != ".lock"}
    run = train(tmp_path / "new", f"resume_from_checkpoint={straight / 'checkpoint-2'}")
    same_run(run, straight)
    kept = "reference/adapter_model.safetensors"
    assert (run / kept).read_bytes() == (straight / kept).read_bytes()
    assert {p: p.read_bytes() for p in before} == before
    text = (run / "config.yaml").read_text()
    assert "checkpoint-2 (grpo step 2)" in text and yaml.safe_load(text)["resume_from_checkpoint"] is None
    train(run, "--resume", "max_steps=5")  # of itself, not of where it came from
    assert numbers(run)["of"]["step"] == 5

    shutil.copytree(straight / "checkpoint-2", tmp_path / "alone" / "checkpoint-2")
    with pytest.raises(UserError, match="must be a checkpoint in its run folder"):
        main([f"output_dir={tmp_path / 'x'}", f"resume_from_checkpoint={tmp_path / 'alone' / 'checkpoint-2'}"])
    with pytest.raises(UserError, match="of another run"):
        main([f"output_dir={run}", f"resume_from_checkpoint={straight / 'checkpoint-2'}"])
    assert not (tmp_path / "x").exists()


def test_evaluation_options_are_honoured_and_what_cannot_change_is_refused(straight, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(straight, run, symlinks=True)
    files = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    refused = {
        "seed=1": "seed cannot change", "lora.r=4": "lora.r cannot change",
        "model.name=other": "model.name cannot change",
        "data.source=hf": "data.source cannot change", "data.level=2": "data.level cannot change",
        "data.eval_size=9": "data.eval_size cannot grow", "warm_start.steps=9": "warm_start.steps cannot change",
        "warm_start.languages.nsl=2": "warm_start.languages cannot change", "recipe=paper": "recipe cannot change",
        "max_steps=3": "max_steps must be at least 4", "extra_supervised_steps=3": "turned on or off",
        "max_stepz=9": "did you mean 'max_steps'",
    }  # fmt: skip
    for option, words in refused.items():
        with pytest.raises(UserError, match=words):
            main([f"output_dir={run}", "--resume", option])
    with pytest.raises(UserError, match="holds no run to continue"):
        main([f"output_dir={tmp_path / 'typo'}", "--resume"])
    assert not (tmp_path / "typo").exists()
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"} == files

    capsys.readouterr()
    train(run, "--resume", "max_steps=5", "data.eval_size=3", "eval_samples=3")
    assert "evaluated with samples=2; from here on it is 3" in capsys.readouterr().out
    assert numbers(run)["problems"] == 3 and len(parquet.read_table(run / "eval" / "final.parquet")) == 3 * 4
    summary = json.loads((run / "summary.json").read_text())
    first = [r for r in parquet.read_table(run / "eval" / "warm_start.parquet").to_pylist()]
    ids = list(dict.fromkeys(r["problem_id"] for r in first))[:3]
    kept = evaluation.summarise([r for r in first if r["problem_id"] in ids])
    assert summary["problems_evaluated"] == 3 and summary["accuracy_warm_start"] == kept.accuracy
    with pytest.raises(UserError, match="cannot grow"):
        main([f"output_dir={run}", "--resume", "data.eval_size=4"])


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [[], ["shuffle_rewards=true", "dynamic_sampling=2", "model.freeze_vision_tower=true"]]
)
def test_every_reward_that_remembers_goes_on_where_it_stood(tmp_path, reward, options):
    """All built-in rewards at once, so a new one with a memory is in here too; noise makes some answers right."""
    names = [*builtin_names(), f"{reward}:odd", f"{reward}:average"]
    funcs = [f"reward_funcs=[{','.join(names)}]", f"reward_weights={[1.0] * len(names)}", "reward_noise=0.4"]
    funcs += ["spans.caption=<info>{}</info>"]  # which two of them look at
    whole = train(tmp_path / "whole", *TINY, *funcs, *options)
    again = train(tmp_path / "again", f"resume_from_checkpoint={whole / 'checkpoint-2'}")
    assert same(outcome(again), outcome(whole))
    first, last = (
        json.loads((whole / f"checkpoint-{n}" / "trainer_state.json").read_text())["rewards"] for n in (2, 4)
    )
    assert {"laser_d", "odd", "average"} <= first.keys()
    assert all(first[name] != last[name] for name in first)


def test_a_memory_that_json_would_change_is_refused(tmp_path, reward):
    with pytest.raises(UserError, match="'forgetful': what it remembers must come back from JSON as it was"):
        train(tmp_path / "run", *TINY, f"reward_funcs=[{reward}:forgetful]", "reward_weights=[1.0]")


@pytest.mark.long
def test_a_first_step_that_fails_leaves_no_copies_in_a_new_folder(straight, tmp_path, monkeypatch):
    """So that the corrected command runs; what was made by a step, or measured, stays, and so does what was there."""
    again = [f"resume_from_checkpoint={straight / 'checkpoint-2'}", "max_steps=3"]

    def fails(*args, **options):
        raise RuntimeError("mine")

    monkeypatch.setattr(stages, "grpo_step", fails)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    for folder in (tmp_path / "runs" / "new", tmp_path / "used"):
        with pytest.raises(RuntimeError, match="mine"):
            main([f"output_dir={folder}", *again])
    assert not (tmp_path / "runs").exists() and [p.name for p in (tmp_path / "used").iterdir()] == ["notes.txt"]
    monkeypatch.undo()

    saving = Checkpointer.save
    monkeypatch.setattr(Checkpointer, "save", lambda self, *given: (saving(self, *given), fails()))
    with pytest.raises(RuntimeError, match="mine"):
        main([f"output_dir={tmp_path / 'used'}", *again])
    assert (tmp_path / "used" / "checkpoint-3").is_dir()  # the step was whole
    monkeypatch.undo()
    with pytest.raises(UserError, match="go on with that one by --resume alone"):
        main([f"output_dir={tmp_path / 'used'}", *again])


@pytest.mark.long
def test_going_back_takes_away_what_was_kept_of_later_checkpoints(straight, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(straight, run, symlinks=True)
    kept = ["checkpoint-2-on-x", "checkpoint-warm-start-3-on-x", "checkpoint-mine-9-on-x", "mine"]
    gone = ["checkpoint-4-on-shapes-level-1-seed-0", "checkpoint-4-on-shapes-level-1-seed-0-2"]
    for name in (*kept, *gone):
        shutil.copy(run / "eval" / "final.parquet", run / "eval" / f"{name}.parquet")
    there = lambda folder: {p.stem for p in (folder / "eval").glob("*.parquet")} & {*kept, *gone}
    train(run, "--resume")  # ended: all of them are of it
    assert there(run) == {*kept, *gone}
    new = train(tmp_path / "new", f"resume_from_checkpoint={run / 'checkpoint-2'}", "max_steps=2")
    assert there(new) == {*kept} and there(run) == {*kept, *gone}
    train(run, f"resume_from_checkpoint={run / 'checkpoint-2'}", "max_steps=2")
    assert there(run) == {*kept}


@pytest.mark.parametrize(
    ("holder", "name", "words"),
    [
        (Optimizer, "step", "ended by SIGTERM; --resume continues from checkpoint-2"),  # half an update is not saved
        (runner, "run_preflight", "ended by SIGTERM before the first step; the same command starts it again"),
    ],
)
def test_sigterm_saves_nothing_that_is_not_whole(straight, tmp_path, monkeypatch, holder, name, words):
    folder = tmp_path / "run"
    shutil.copytree(straight, folder, symlinks=True)
    inner = getattr(holder, name)

    def told(*args, **options):
        result = inner(*args, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(holder, name, told)
    with pytest.raises(Terminated, match=re.escape(words)):
        main([f"output_dir={folder}", f"resume_from_checkpoint={folder / 'checkpoint-2'}", "preflight=true"])
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if holder is Optimizer:
        train(folder, "--resume", "preflight=false")
        same_run(folder, straight)
