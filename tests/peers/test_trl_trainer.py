"""TRL's trainer as its users run it, with and without the adapter: the same steps, losses and metrics.

Data, sampling, rewards, optimizer, logging: all of it is TRL's, on a model of a few thousand weights. The lines are
docs/in-trl.md's own.
"""

import pytest
import torch

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
import trl
from datasets import Dataset
from trl import GRPOConfig

from nsrl_kernels.adapters.trl import GRPOTrainer
from tests.peers import tiny
from tests.peers.pages import blocks

PROMPTS = Dataset.from_dict({"prompt": [f"{a}+{b}=?" for a in range(8) for b in range(8)]})
CLOCKS = ("step_time", "runtime", "per_second", "flos", "epoch")


def vowels(completions, **_):
    """Spread in most groups, and a reward that a policy can learn."""
    return [float(sum(letter in "aeiou" for letter in text)) for text in completions]


def arguments(folder, steps, bf16=False, **options):
    return GRPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=bf16, report_to=[], max_steps=steps, per_device_train_batch_size=8,
        num_generations=4, max_completion_length=8, learning_rate=1e-3, logging_steps=1, save_strategy="no",
        disable_tqdm=True, seed=3, **options,
    )  # fmt: skip


def run(kind, model, folder, steps, peft_config=None, **options):
    """(the loss of each micro-batch as it is differentiated, what was logged, the weights) after so many steps."""
    losses = []

    class Watched(kind):
        def _compute_loss(self, model, inputs):
            loss = super()._compute_loss(model, inputs)
            losses.append(loss.item())
            return loss

    config = arguments(folder, steps, **options)
    trainer = Watched(
        model=model, reward_funcs=vowels, args=config, train_dataset=PROMPTS, peft_config=peft_config
    )  # fmt: skip
    trainer.train()
    logs = [{k: v for k, v in row.items() if not any(c in k for c in CLOCKS)} for row in trainer.state.log_history]
    return losses, logs, {n: p.detach().clone() for n, p in trainer.model.named_parameters()}


def same(tmp_path, kind, steps, model=None, tolerance=1e-6, **options):
    model = model or tiny.folder(tmp_path / "model")
    want, wanted, weights = run(trl.GRPOTrainer, model, tmp_path / "theirs", steps, **dict(options))
    got, logged, ours = run(kind, model, tmp_path / "ours", steps, **dict(options))
    assert len(got) == len(want) >= steps and got == pytest.approx(want, abs=tolerance)
    assert any(row.get("grad_norm", 0.0) > 1e-3 for row in wanted), "nothing was learned from"
    for row, other in zip(logged, wanted, strict=True):
        assert set(row) == set(other)
        for name, value in other.items():
            apart = {"abs": max(1e-4, tolerance), "rel": max(1e-3, tolerance)}
            assert row[name] == pytest.approx(value, **apart, nan_ok=True), name
    return weights, ours


@pytest.mark.parametrize("block", blocks("in-trl.md"))
def test_twenty_steps_by_the_lines_of_the_page(tmp_path, block):
    """The page's lines as they stand train a model; their class takes 20 steps as TRL's, two updates of a rollout."""
    model = tiny.folder(tmp_path / "model")
    config = arguments(tmp_path / "page", 1)
    names = {"model": model, "rewards": vowels, "dataset": PROMPTS, "config": config}
    exec(block, names)
    assert names["trainer"].state.global_step == 1
    options = {"loss_type": "dapo", "beta": 0.04, "num_iterations": 2, "steps_per_generation": 2}
    same(tmp_path, type(names["trainer"]), 20, model, **options)


def test_nothing_of_trls_head_or_loss_runs(tmp_path, monkeypatch):
    import trl.trainer.grpo_trainer
    import trl.trainer.utils

    monkeypatch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", None)
    monkeypatch.delattr(trl.trainer.grpo_trainer.GRPOTrainer, "_compute_loss")
    model = tiny.folder(tmp_path / "model")
    losses, _, _ = run(GRPOTrainer, model, tmp_path / "ours", 1, beta=0.04, num_iterations=2)
    assert losses
    with pytest.raises(AttributeError):
        run(trl.GRPOTrainer, model, tmp_path / "theirs", 1)


@pytest.mark.parametrize(
    "options",
    [
        {"loss_type": "grpo", "gradient_accumulation_steps": 2, "entropy_coef": 0.01},
        {"loss_type": "dr_grpo", "beta": 0.1, "use_bias_correction_kl": False, "num_iterations": 2},
        {"loss_type": "cispo", "epsilon_high": 2.0, "num_iterations": 2, "temperature": 0.7},
        {"loss_type": "luspo", "importance_sampling_level": "sequence", "num_iterations": 2, "epsilon": 0.01},
        {"loss_type": "bnpo", "top_entropy_quantile": 0.5, "num_iterations": 2, "cast_lm_head_to_fp32": True},
        {"loss_type": "sapo", "num_iterations": 2, "off_policy_mask_threshold": 0.01},
        {"loss_type": "vespo", "num_iterations": 2, "use_adaptive_entropy": True, "entropy_target": 3.0},
    ],
    ids=lambda options: options["loss_type"],
)
def test_options(tmp_path, options):
    same(tmp_path, GRPOTrainer, 4, tolerance=5e-6, **options)


def test_a_mixture_of_experts_and_a_capped_head(tmp_path):
    """The routers' loss; a softcap, and logits that are scaled."""
    same(tmp_path, GRPOTrainer, 3, tiny.folder(tmp_path / "moe", "moe"), num_iterations=2)
    scaled = tiny.folder(tmp_path / "scaled", final_logit_softcapping=4.0, logits_scaling=0.5)
    same(tmp_path, GRPOTrainer, 3, scaled, num_iterations=2, beta=0.04)


def test_an_adapter(tmp_path):
    from peft import LoraConfig

    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    weights, ours = same(tmp_path, GRPOTrainer, 4, peft_config=lora, beta=0.04, num_iterations=2)
    moved = [n for n in ours if "lora_B" in n]
    assert moved and all(torch.allclose(ours[n], weights[n], atol=2e-5) and ours[n].abs().max() > 0 for n in moved)


def test_mixed_precision_and_gradient_checkpoints(tmp_path):
    """With the head in fp32 both are alike; else TRL rounds logits to bf16, which is what is left."""
    options = {"bf16": True, "gradient_checkpointing": True, "num_iterations": 2}
    same(tmp_path, GRPOTrainer, 3, tolerance=2e-3, cast_lm_head_to_fp32=True, **options)
    same(tmp_path, GRPOTrainer, 3, tolerance=0.1, **options)
