"""`python -m nsrl.check` on the small model: sound as it is, one sentence when it is not."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from nsrl import check
from nsrl.checks import configured
from nsrl.config import TrainConfig, parse
from nsrl.errors import MissingBackend, UserError
from nsrl.models.qwen_vl import family as qwen
from nsrl.train import main as train
from nsrl.trainer.run import Run


def test_the_default_run_is_sound(capsys):
    assert check.main(["prompts_per_step=4"]) == 0
    out = capsys.readouterr().out
    assert "token budget" in out and "parity:" in out and "sound:" in out


def test_real_pictures_are_sound_too(shared_data, capsys):
    folder = shared_data / "mathvision_testmini"
    assert (
        check.main(["data.source=mathvision", f"data.path={folder}", "max_completion_length=24", "warm_start.steps=0"])
        == 0
    )
    assert "blanked images" in capsys.readouterr().out


def test_an_adapter_and_a_temperature_are_checked(capsys):
    assert check.main(["lora.enabled=true", "lora.r=4", "temperature=0.7"]) == 0
    assert "after nudge and sync" in capsys.readouterr().out


def test_the_worst_step_is_the_runs_own(tmp_path, capsys):
    """The longest of 90 prompts, which a sample of 64 would miss two times in seven."""
    rows = [{"question": f"What is {i} plus one?", "answer": str(i + 1)} for i in range(90)]
    rows[37]["question"] += " And why?" * 60
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["data.source=hf", f"data.path={tmp_path / 'train.jsonl'}", "data.eval_size=1", "warm_start.steps=0",
        "num_generations=3",
            "prompts_per_step=2", "max_completion_length=9"]  # fmt: skip
    for seed in range(2):  # of what a sample would be
        assert check.main([*argv, f"seed={seed}"]) == 0
        checked = capsys.readouterr().out.split("worst group ")[1].split(" rows")[0]
        assert int(checked) > 200
    config = parse(
        TrainConfig, [*argv, f"output_dir={tmp_path / 'run'}", "max_steps=0", "warm_start.steps=0", "seed=1"], "test"
    )
    run = Run(config)
    assert run.budget_of(run.plan[0]) > 0
    assert f"worst group {checked} rows" in capsys.readouterr().out


def test_a_run_that_goes_on_is_checked_as_it_stands(tmp_path, capsys, monkeypatch):
    """Its own configuration and the weights of the checkpoint it would go on from, in its folder or in a new one."""
    run = tmp_path / "run"
    train([f"output_dir={run}", "lora.enabled=true", "lora.r=3", "data.level=2", "data.eval_size=2",
    "warm_start.steps=2",
           "warm_start.reading_steps=0", "warm_start.batch_size=2", "max_steps=2", "save_steps=1",
           "save_total_limit=null",
           "prompts_per_step=2", "num_generations=2", "eval_samples=1", "engine.workers=1", "preflight=false",
           "learning_rate=0.1",
           "max_completion_length=8", "parity_check=false", "beta=0.1"])  # fmt: skip
    files = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    checked = []
    inner = configured.check_parity

    def seen(config, vlm, policy, sampler, problems):
        parameters = {name: p.detach().clone() for name, p in vlm.model.named_parameters() if p.requires_grad}
        checked.append((config, parameters, problems))
        return inner(config, vlm, policy, sampler, problems)

    monkeypatch.setattr(configured, "check_parity", seen)
    cases = [(2, ["--resume", f"output_dir={run}"]), (1, [f"resume_from_checkpoint={run / 'checkpoint-1'}"]),
             (1, [f"resume_from_checkpoint={run / 'checkpoint-1'}", f"output_dir={tmp_path / 'new'}",
             "temperature=0.7"])]  # fmt: skip
    for step, argv in cases:
        assert check.main(argv) == 0
        said = capsys.readouterr().out
        assert f"checkpoint-{step}: grpo step {step}" in said and "sound:" in said
        config, parameters, problems = checked.pop()
        assert (config.lora.r, config.data.level, config.prompts_per_step) == (3, 2, 2)
        assert all(p.columns["level"] == 2 for p in problems)
        kept = load_file(run / f"checkpoint-{step}" / "adapter_model.safetensors")
        loaded = {name.replace(".default", ""): p for name, p in parameters.items()}
        assert loaded.keys() == kept.keys() and all(torch.equal(loaded[name], kept[name]) for name in kept)
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == files and not (tmp_path / "new").exists()
    for argv, words in ((["seed=1"], "seed cannot change"), (["max_steps=1"], "max_steps must be at least 2")):
        with pytest.raises(UserError, match=words):
            check.main(["--resume", f"output_dir={run}", *argv])
    with pytest.raises(UserError, match="holds no run to continue"):
        check.main(["--resume", f"output_dir={tmp_path / 'typo'}"])
    shutil.rmtree(run / "reference")
    with pytest.raises(UserError, match="reference"):
        check.main(["--resume", f"output_dir={run}"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has them all")
@pytest.mark.parametrize("name", ["varlen", "flex"])
def test_the_runs_attention_is_the_one_that_is_checked(name):
    with pytest.raises(MissingBackend, match=f"attention backend {name}"):
        check.main([f"model.attention={name}", "prompts_per_step=4"])


def test_faults_end_in_one_sentence(monkeypatch):
    with pytest.raises(UserError, match="top_p must be 1"):
        check.main(["top_p=0.9"])
    right = qwen.prompt_positions

    def wrong(*args):
        positions, behind = right(*args)
        return positions, behind + 3

    monkeypatch.setattr(qwen, "prompt_positions", wrong)
    with pytest.raises(UserError, match="sampler and trainer disagree on the same tokens"):
        check.main([])
