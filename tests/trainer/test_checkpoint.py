"""Checkpoints are whole or absent, and a damaged one says so."""

import pytest
import torch

from nsrl.errors import UserError
from nsrl.trainer import checkpoint


def write(folder):
    (folder / "weights.bin").write_bytes(b"x" * 1000)


def save(run, step, keep=None):
    return checkpoint.save(
        run, f"checkpoint-{step}", write, {"phase": "grpo", "step": step}, {"rng": torch.get_rng_state()}, keep
    )


def test_round_trip_latest_and_pruning(tmp_path):
    for step in (1, 2, 3, 4):
        save(tmp_path, step, keep=2)
    assert checkpoint.latest(tmp_path).name == "checkpoint-4"
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-4"]
    state, tensors = checkpoint.load(checkpoint.latest(tmp_path))
    assert state["step"] == 4 and torch.equal(tensors["rng"], torch.get_rng_state())


def test_a_kill_while_writing_leaves_the_previous_one_in_force(tmp_path):
    save(tmp_path, 1)

    def killed(folder):
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, "checkpoint-2", killed, {"phase": "grpo", "step": 2}, {})
    assert checkpoint.latest(tmp_path).name == "checkpoint-1"
    save(tmp_path, 2)  # the leftover is no obstacle
    assert checkpoint.load(checkpoint.latest(tmp_path))[0]["step"] == 2


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda c: (c / "weights.bin").write_bytes(b"x"), "weights.bin has 1 of 1000 bytes"),
        (lambda c: (c / "weights.bin").unlink(), "weights.bin is missing"),
        (lambda c: (c / checkpoint.STATE).unlink(), "half-written"),
        (lambda c: (c / checkpoint.STATE).write_text('{"phase'), "cut off"),
        (lambda c: (c / checkpoint.TENSORS).write_bytes(b"\0" * (c / checkpoint.TENSORS).stat().st_size), "damaged"),
    ],
)
def test_damage_is_one_sentence(tmp_path, damage, words):
    folder = save(tmp_path, 1)
    damage(folder)
    with pytest.raises(UserError, match=words):
        checkpoint.load(folder)
