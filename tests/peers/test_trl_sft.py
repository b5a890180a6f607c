"""TRL's SFTTrainer (`compute_loss`, completion-only) against a supervised step: loss and gradient on the same batch."""

import copy
from collections import defaultdict

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import Shapes
from nsrl.data.source import Demonstration
from nsrl.models import loading
from nsrl.models.policy import Policy
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.supervised import supervised_step
from nsrl.types import Problem

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from accelerate import Accelerator
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from tests.peers.trl_oracle import fused


class Oracle(SFTTrainer):
    """TRL's trainer without its set-up: what it does with a batch is its own."""

    def __init__(self, model, loss_type="chunked_nll"):
        self.args = SFTConfig(output_dir="unused", use_cpu=True, bf16=False, report_to=[])
        self.model = fused(copy.deepcopy(model), 1.0, [], ("log_probs", "entropy", "is_top1"))
        self.accelerator = Accelerator(cpu=True)
        self.aux_loss_enabled = self.is_tp_enabled = False
        self._tp_size, self._total_train_tokens = 1, 0
        self._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
        self.label_smoother = self.compute_loss_func = None


def chats() -> list[Demonstration]:
    turns = [("system", "Be brief."), ("user", "What is 2 + 3?"), ("assistant", "5"), ("user", "And 10 more?")]
    chat = tuple({"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns)
    return [Demonstration(Problem("chat", "What is 2 + 3?", "15", chat=chat), "", "15 in all", False),
            Demonstration(Problem("text", "What is 7 - 3?", "4"), "", "<nsl>7-3</nsl>", False)]  # fmt: skip


def shapes() -> list[Demonstration]:
    stream = Shapes(1, 3, 0).demonstrations({"nsl": 1.0, "prose": 1.0, "sympy": 1.0})
    return [one for one, _ in zip(stream, range(4))]


@pytest.mark.parametrize("what", ["text", "pictures", "both"])
@pytest.mark.parametrize("lora", [False, True])
def test_a_supervised_step_is_trls(what, lora):
    taught = {"text": chats(), "pictures": shapes(), "both": chats() + shapes()}[what]
    vlm = loading.load(ModelConfig(freeze_vision_tower=False), LoraConfig(enabled=lora, dropout=0.0), seed=1)
    with torch.no_grad():
        for name, parameter in vlm.model.named_parameters():
            if "lora_B" in name:
                parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    trl = Oracle(vlm.model)
    encoded = [vlm.encode(one.problem) for one in taught]
    rows = []
    for prompt, one in zip(encoded, taught):
        completion = vlm.learned_ids(one.text)
        ids = [*prompt.ids, *completion]
        rows.append({"input_ids": ids, "labels": [-100] * len(prompt.ids) + completion})
    collator = DataCollatorForLanguageModeling(pad_token_id=vlm.tokenizer.pad_token_id)
    inputs = collator(rows)
    images = [image for prompt in encoded for image in prompt.images]
    if images:
        inputs["pixel_values"] = torch.cat([image.patches for image in images])
        inputs["image_grid_thw"] = torch.tensor([image.grid for image in images])
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == vlm.family.image_token_id).long()
    loss = trl.compute_loss(trl.model, inputs)
    loss.backward()
    theirs = {name: p.grad for name, p in trl.model.named_parameters() if p.grad is not None}

    policy = Policy(vlm.model)
    optimizer = Optimizer(vlm.model, learning_rate=0.0, schedule="constant", warmup=0, total=1, max_grad_norm=1e9)
    mine: dict[str, torch.Tensor] = {}
    stepped = optimizer.step

    def step():
        mine.update({n: p.grad.clone() for n, p in vlm.model.named_parameters() if p.grad is not None})
        return stepped()

    optimizer.step = step
    budget = max(len(row["input_ids"]) for row in rows) + 3  # several micro-batches make one step
    metrics = supervised_step(vlm, policy, optimizer, iter(taught), len(taught), budget)
    assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-5)
    names = sorted(name for name in theirs if theirs[name].abs().max() > 0)
    assert len(names) > 10 and set(names) <= mine.keys()
    a, b = (torch.cat([g[name].flatten().double() for name in names]) for g in (mine, theirs))
    assert torch.nn.functional.cosine_similarity(a, b, 0) > 1 - 1e-6
    assert (a - b).norm() < 1e-4 * b.norm()
