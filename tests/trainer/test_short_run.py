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


@pytest.fixture(scope="module", params=KINDS)
def runs(request, tmp_path_factory):
    """Four steps, and two with two more behind them."""
    folder, threads = tmp_path_factory.mktemp("runs"), torch.get_num_threads()
    options = [*TINY, *KINDS[request.param]]
    assert train.main([f"output_dir={folder}/whole", "max_steps=4", *options]) == 0
    assert train.main([f"output_dir={folder}/parts", "max_steps=2", *options]) == 0
    assert train.main([f"output_dir={folder}/parts", "max_steps=4", "--resume"]) == 0
    torch.set_num_threads(threads)
    return folder


def rows(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(CLOCK_KEYS)} for row in lines]


def test_a_resumed_run_is_the_whole_one_bit_for_bit(runs):
    whole, parts = checkpoint.latest(runs / "whole"), checkpoint.latest(runs / "parts")
    assert whole.name == parts.name == "checkpoint-4"
    names = sorted(p.name for p in whole.glob("*.safetensors"))
    assert names and all((whole / n).read_bytes() == (parts / n).read_bytes() for n in names)
    for a, b in zip(*(flatten(checkpoint.load(folder)[1]["optimizer"]) for folder in (whole, parts)), strict=True):
        assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    assert rows(runs / "whole") == rows(runs / "parts")


def test_saved_weights_have_the_dtype_they_are_used_in(runs):
    (path,) = checkpoint.latest(runs / "whole").glob("*.safetensors")
    for name, tensor in load_file(path).items():
        assert tensor.dtype is (torch.float32 if "lora_" in name else torch.bfloat16), name


def test_a_moved_checkpoint_is_evaluated_asked_and_trained(runs, tmp_path, capsys):
    """Only the checkpoint folder, somewhere else, with the run gone."""
    moved = tmp_path / "kept"
    shutil.copytree(checkpoint.latest(runs / "whole"), moved)
    (runs / "whole").rename(runs / "hidden")
    try:
        assert eval.main(["--model", str(moved), "--data", "shapes", "size=2", "samples=1", "engine.workers=1"]) == 0
        assert "mean@1" in capsys.readouterr().out
        picture = tmp_path / "picture.png"
        Shapes(1, 0).test()[0].images[0].open().save(picture)
        asked = ["--model", str(moved), "--image", str(picture), "--question", "count", "max_completion_length=8"]
        assert solve.main(asked) == 0
        if not (moved / "adapter_config.json").is_file():
            return  # as with any other checkpoint
        options = [o for o in TINY if not o.startswith(("warm_start", "num_iterations"))]
        assert check.main([f"model.name={moved}", *options]) == 0
        assert train.main([f"output_dir={tmp_path}/on", f"model.name={moved}", "max_steps=1", *options]) == 0
    finally:
        (runs / "hidden").rename(runs / "whole")


def flatten(value):
    if isinstance(value, dict):
        return [leaf for key in sorted(value, key=str) for leaf in flatten(value[key])]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in flatten(inner)]
    return [value] if isinstance(value, int | float | torch.Tensor) else []
