"""`python -m nsrl.check` on the small model: sound as it is, one sentence when it is not."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from nsrl import check
from nsrl.errors import UserError
from nsrl.rollout import native


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
