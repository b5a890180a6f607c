"""Whole runs of a 16-bit model, with adapters and without: they continue bit for bit, and their folders load
anywhere."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from nsrl import check, eval, solve, train
from nsrl.data.shapes import Shapes
from nsrl.trainer import checkpoint
from nsrl.trainer.metrics import CLOCK_KEYS

TINY = [
    "data.eval_size=2", "warm_start.steps=2", "warm_start.reading_steps=0", "warm_start.batch_size=4",
    "prompts_per_step=2",
    "num_generations=4", "save_steps=2", "completions_steps=0", "max_completion_length=16", "eval_samples=1",
    "threads=1",
    "reward_funcs=[format,short]", "reward_weights=[1.0,0.5]", "engine.workers=1", "model.dtype=bfloat16",
    "token_budget=400",
    "num_iterations=2", "beta=0.05", "preflight=false",
]  # fmt: skip
KINDS = {
    "adapters and tower": ["lora.enabled=true", "lora.r=4", "lora.dropout=0.3", "model.freeze_vision_tower=false"],
    "all weights": [],
}


def rows(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(CLOCK_KEYS)} for row in lines]


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_bit_for_bit_and_its_checkpoint_loads_anywhere(kind, tmp_path, capsys):
    """Four steps, and two with two more behind them; then the checkpoint alone, somewhere else, with the run gone."""
    threads, options = torch.get_num_threads(), [*TINY, *KINDS[kind]]
    assert train.main([f"output_dir={tmp_path}/whole", "max_steps=4", *options]) == 0
    assert train.main([f"output_dir={tmp_path}/parts", "max_steps=2", *options]) == 0
    assert train.main([f"output_dir={tmp_path}/parts", "max_steps=4", "--resume"]) == 0
    torch.set_num_threads(threads)

    whole, parts = checkpoint.latest(tmp_path / "whole"), checkpoint.latest(tmp_path / "parts")
    assert whole.name == parts.name == "checkpoint-4"
    (name,) = (p.name for p in whole.glob("*.safetensors"))
    assert (whole / name).read_bytes() == (parts / name).read_bytes()
    for a, b in zip(*(flatten(checkpoint.load(folder)[1]["optimizer"]) for folder in (whole, parts)), strict=True):
        assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")
    for key, tensor in load_file(whole / name).items():  # the dtype that it is used in
        assert tensor.dtype is (torch.float32 if "lora_" in key else torch.bfloat16), key

    moved = tmp_path / "kept"
    shutil.copytree(whole, moved)
    shutil.rmtree(tmp_path / "whole")
    assert eval.main(["--model", str(moved), "--data", "shapes", "size=2", "samples=1", "engine.workers=1"]) == 0
    assert "mean@1" in capsys.readouterr().out
    picture = tmp_path / "picture.png"
    Shapes(1, 0).test()[0].images[0].open().save(picture)
    asked = ["--model", str(moved), "--image", str(picture), "--question", "count", "max_completion_length=8"]
    assert solve.main(asked) == 0
    if (moved / "adapter_config.json").is_file():  # as with any other checkpoint
        options = [o for o in TINY if not o.startswith(("warm_start", "num_iterations"))]
        assert check.main([f"model.name={moved}", *options]) == 0
        assert train.main([f"output_dir={tmp_path}/on", f"model.name={moved}", "max_steps=1", *options]) == 0


def flatten(value):
    if isinstance(value, dict):
        return [leaf for key in sorted(value, key=str) for leaf in flatten(value[key])]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in flatten(inner)]
    return [value] if isinstance(value, int | float | torch.Tensor) else []
