"""`python -m nsrl.check` on the small model: sound as it is, one sentence when it is not."""

import json

import pytest
import torch

from nsrl import check
from nsrl.config import TrainConfig, parse
from nsrl.errors import MissingBackend, UserError
from nsrl.rollout import native
from nsrl.trainer.run import Run


def test_the_default_run_is_sound(capsys):
    assert check.main(["prompts_per_step=4"]) == 0
    out = capsys.readouterr().out
    assert "token budget" in out and "parity:" in out and "sound:" in out


def test_real_pictures_are_sound_too(shared_data, capsys):
    folder = shared_data / "mathvision_testmini"
    assert check.main(["data.source=mathvision", f"data.path={folder}", "max_completion_length=24"]) == 0
    assert "blanked images" in capsys.readouterr().out


def test_an_adapter_and_a_temperature_are_checked(capsys):
    assert check.main(["lora.enabled=true", "lora.r=4", "temperature=0.7"]) == 0
    assert "after nudge and sync" in capsys.readouterr().out


def test_the_worst_step_is_the_runs_own(tmp_path, capsys):
    """The longest of 90 prompts, which a sample of 64 would miss two times in seven."""
    rows = [{"question": f"What is {i} plus one?", "answer": str(i + 1)} for i in range(90)]
    rows[37]["question"] += " And why?" * 60
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["data.source=hf", f"data.path={tmp_path / 'train.jsonl'}", "data.eval_size=1", "num_generations=3",
            "prompts_per_step=2", "max_completion_length=9"]  # fmt: skip
    for seed in range(2):  # of what a sample would be
        assert check.main([*argv, f"seed={seed}"]) == 0
        checked = capsys.readouterr().out.split("worst group ")[1].split(" rows")[0]
        assert int(checked) > 200
    config = parse(TrainConfig, [*argv, f"output_dir={tmp_path / 'run'}", "max_steps=0", "warm_start.steps=0", "seed=1"], "test")
    assert Run(config).budget > 0
    assert f"worst group {checked} rows" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has them all")
@pytest.mark.parametrize("name", ["varlen", "flex"])
def test_the_runs_attention_is_the_one_that_is_checked(name):
    with pytest.raises(MissingBackend, match=f"attention backend {name}"):
        check.main([f"model.attention={name}", "prompts_per_step=4"])


def test_faults_end_in_one_sentence(monkeypatch):
    with pytest.raises(UserError, match="top_p must be 1"):
        check.main(["top_p=0.9"])
    right = native.prompt_positions

    def wrong(*args):
        positions, behind = right(*args)
        return positions, behind + 3

    monkeypatch.setattr(native, "prompt_positions", wrong)
    with pytest.raises(UserError, match="sampler and trainer disagree on the same tokens"):
        check.main([])
