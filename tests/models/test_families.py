"""What holds of every family: its files open anywhere; a run trains, saves, is checked, evaluated and asked."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoTokenizer

from nsrl import check, eval, solve, train
from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.models import loading, small
from nsrl.models.registry import FAMILIES, SMALL, family_class
from nsrl.models.vlm import VLM
from nsrl.trainer import checkpoint, loop
from tests.models.kinds import KINDS
from tests.trainer.test_resume import outcome
from tests.trainer.test_resume import same as same_run

TINY = [
    "data.eval_size=2", "prompts_per_step=2", "num_generations=4", "completions_steps=0", "max_completion_length=12",
    "eval_samples=1", "threads=1", "reward_weights=[1.0]", "engine.workers=1",
    "token_budget=500", "preflight=false", "beta=0.05",
]  # fmt: skip
SPREAD = (
    "def spread(batch):  # whatever was learned\n    return [float(sum(ids) % 3) for ids in batch.completion_ids]\n"
)
WARM = ["warm_start.steps=3", "warm_start.reading_steps=0", "warm_start.batch_size=4"]


def small_vlm(kind: str, seed: int = 0) -> VLM:
    tokenizer = small.build_tokenizer(kind)
    return VLM(
        small.build_model(tokenizer, seed, kind), tokenizer, small.build_image_processor(kind), "small", system=False
    )


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def vlm(kind):
    return small_vlm(kind)


@pytest.fixture(scope="module")
def saved(vlm, tmp_path_factory):
    """A folder with the family's small model."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    vlm.save(folder)
    return folder


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def test_every_row_of_the_registry_is_a_whole_family():
    assert SMALL in FAMILIES
    for kind in FAMILIES:
        family = family_class(kind)
        assert family.model_type == kind and not family.__abstractmethods__
        assert family.model_class().config_class.model_type == kind


def test_the_small_model_is_small_and_follows_its_seed(vlm, kind):
    assert 300_000 < sum(p.numel() for p in vlm.model.parameters()) < 1_000_000
    random = torch.get_rng_state()
    same(vlm.model, small.build_model(vlm.tokenizer, 0, kind))
    assert torch.equal(random, torch.get_rng_state())


def test_a_saved_model_opens_with_transformers_alone_and_with_us(vlm, saved):
    same(vlm.model, AutoModelForImageTextToText.from_pretrained(saved))
    again = loading.load(ModelConfig(name=str(saved)), LoraConfig(enabled=False))
    same(vlm.model, again.model)
    assert AutoTokenizer.from_pretrained(saved).get_vocab() == vlm.tokenizer.get_vocab()
    for problem in Shapes(1, seed=0).test()[:4]:
        a, b = vlm.encode(problem), again.encode(problem)
        assert a.ids == b.ids and torch.equal(a.images[0].pixels, b.images[0].pixels)
        assert again.prompt_lengths([problem]) == [len(a.ids)]
        assert set(vlm.family.control_tokens.values()) | set(vlm.family.marks(vlm.tokenizer)) <= set(vlm.banned_ids())
    assert again.banned_ids() == vlm.banned_ids() and again.stop_ids() == vlm.stop_ids()
    other = loading.load(ModelConfig(name=str(saved)), LoraConfig(enabled=False))
    with torch.no_grad():
        for p in other.model.parameters():
            p.zero_()
    loading.load_weights(other, saved)  # as a resumed run reads them
    same(vlm.model, other.model)


def test_an_adapter_opens_with_peft_alone_and_with_us(vlm, saved, tmp_path):
    adapted = loading.load(
        ModelConfig(name=str(saved), freeze_vision_tower=False), LoraConfig(enabled=True, r=2), seed=1
    )
    assert all(".language_model." in n or any(f".{t}." in n for t in vlm.family.tower_names)
               for n, p in adapted.model.named_parameters() if p.requires_grad)  # fmt: skip
    with torch.no_grad():
        for p in adapted.model.parameters():
            if p.requires_grad:
                p.add_(0.01 * torch.randn_like(p))
    adapted.save(tmp_path / "adapter")
    base = AutoModelForImageTextToText.from_pretrained(tmp_path / "adapter" / "base")
    same(vlm.model, base)
    same(adapted.model, PeftModel.from_pretrained(base, tmp_path / "adapter"))
    same(adapted.model, loading.load(ModelConfig(name=str(tmp_path / "adapter"), freeze_vision_tower=False)).model)


def test_a_checkpoint_of_another_family_is_refused(vlm, kind, tmp_path):
    other = next(k for k in KINDS if k != kind)
    small_vlm(other).save(tmp_path)
    with pytest.raises(UserError, match="does not fit the model: .* differ"):
        loading.load_weights(vlm, tmp_path)


def test_bounds_in_pixels_are_kept(saved):
    bounds = dict(min_pixels=4096, max_pixels=12288)
    bound = loading.load(ModelConfig(name=str(saved), **bounds), LoraConfig(enabled=False))
    side = bound.image_processor.size.get("height")
    for size in ((20, 20), (64, 96), (400, 300), (900, 90)):
        count, rows, columns = bound.pictures.grid(size)
        pixels = (count - (count > 1)) * side * side if side else rows * columns * bound.image_processor.patch_size**2
        assert 4096 * 0.9 <= pixels <= 12288, size
    with pytest.raises(UserError, match="model.min_pixels must be below"):
        loading.load(ModelConfig(name=str(saved), min_pixels=10**9), LoraConfig(enabled=False))


@pytest.mark.long
def test_a_run_from_end_to_end(kind, saved, tmp_path, capsys, monkeypatch):
    """Supervised and GRPO steps, a resumed run, the check of what was saved, which is evaluated and asked."""
    if kind == SMALL:
        pytest.skip("tests/trainer/test_short_run.py does it")
    threads, run = torch.get_num_threads(), tmp_path / "run"
    (tmp_path / "reward.py").write_text(SPREAD)
    tiny = [*TINY, f"reward_funcs=[{tmp_path}/reward.py:spread]"]
    start = [f"model.name={saved}", *WARM, *tiny, "max_steps=2", "save_steps=1"]
    assert train.main([f"output_dir={run}", *start]) == 0
    torch.set_num_threads(threads)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["warm_start"] * 3 + ["grpo"] * 2
    assert all(row["grad_norm"] > 0 for row in rows), "every step learned something"
    gaps = [row["sampling/sampling_logp_difference/max"] for row in rows[3:]]
    assert max(gaps) < 2e-5, "sampler and trainer are one function"
    found = checkpoint.latest(run)
    assert found.name == "checkpoint-2"
    if kind == "internvl":  # the family that shares least with the built-in model
        again, backward = tmp_path / "again", loop.objective.backward
        steps = iter([backward])  # the second ends the process
        with monkeypatch.context() as patched, pytest.raises(StopIteration):
            patched.setattr(loop.objective, "backward", lambda *args: next(steps)(*args))
            train.main([f"output_dir={again}", *start])
        assert checkpoint.latest(again).name == "checkpoint-1"
        assert train.main([f"output_dir={again}", "--resume"]) == 0
        assert same_run(outcome(again), outcome(run))
    before, after = (
        loading.load(ModelConfig(name=str(path)), LoraConfig(enabled=False)).model for path in (saved, found)
    )
    assert any(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters()))
    assert check.main([f"model.name={found}", *tiny]) == 0
    assert "sound:" in capsys.readouterr().out
    assert eval.main(["--model", str(found), "--data", "shapes", "size=2", "samples=1", "engine.workers=1"]) == 0
    picture = tmp_path / "picture.png"
    Shapes(1, 0).test()[0].images[0].open().save(picture)
    asked = ["--model", str(found), "--image", str(picture), "--question", "count", "max_completion_length=8"]
    assert solve.main(asked) == 0
