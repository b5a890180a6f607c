"""TRL's `GRPOTrainer` without its set-up: given completions and rewards in, its own inputs, loss and gradient out.

Left out are __init__ (data sets, generation, logging), `_generate` and `_calculate_rewards`. Everything behind them is
TRL's: left-padded prompts with the images of each repeated per completion, the masks, advantages, old and reference
log-probs, the sampler correction, and `_compute_loss` over its fused head.
"""

from __future__ import annotations

import copy
from collections import defaultdict, deque
from collections.abc import Sequence
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from nsrl.models.pack import Group

COPIED = (
    "beta", "loss_type", "importance_sampling_level", "scale_rewards", "mask_truncated_completions", "temperature",
    "multi_objective_aggregation", "max_completion_length", "num_iterations", "num_generations", "top_entropy_quantile",
    "entropy_coef", "use_adaptive_entropy", "off_policy_mask_threshold", "pad_to_multiple_of", "use_vllm",
    "chat_template_kwargs",
    "vllm_importance_sampling_correction", "vllm_importance_sampling_mode", "vllm_importance_sampling_clip_max",
    "vllm_importance_sampling_clip_min", "log_multimodal",
)  # fmt: skip


class Oracle(GRPOTrainer):
    """model, reference: as the policy's, copied (peft-wrapped: the reference is the base). options: `GRPOConfig`'s."""

    def __init__(self, model, reference=None, *, image_token, stop_ids=(), banned=(), rows, **options):
        self.args = args = GRPOConfig(
            output_dir="unused", use_cpu=True, bf16=False, report_to=[],
            per_device_train_batch_size=rows, **options,
        )  # fmt: skip
        for name in COPIED:
            setattr(self, name, getattr(args, name))
        self.epsilon_low = args.epsilon
        self.epsilon_high = args.epsilon if args.epsilon_high is None else args.epsilon_high
        self.chat_template_kwargs = args.chat_template_kwargs or {}
        self.accelerator = Accelerator(cpu=True)
        self.model = fused(copy.deepcopy(model), args.temperature, banned).train()
        self.ref_model = None if reference is None else fused(copy.deepcopy(reference), args.temperature, banned)
        self.image_token, self.eos_token_ids = image_token, list(stop_ids)
        self._tokenizer = SimpleNamespace(pad_token_id=0)
        self._entropy_bonus_enabled = args.entropy_coef != 0
        self.current_gradient_accumulation_steps = 1
        self.environment_factories = self.environments = self.tools = None
        self.aux_loss_enabled = self.is_deepspeed_enabled = False
        self.reward_weights, self.reward_func_names, self.reward_funcs = torch.ones(1), ["reward"], [None]
        self._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
        self._logs = {name: deque() for name in ("images", "prompt", "completion", "advantages")}
        self._logs |= {name: defaultdict(deque) for name in ("rewards", "extra")}
        self._pending_extra_logs, self._pending_metrics = defaultdict(list), defaultdict(list)

    def inputs(self, groups: Sequence[Group], rewards: torch.Tensor, sampler_logps=None, weights=None) -> dict:
        """What TRL hands to `_compute_loss`. rewards: (R,) or (R, K); sampler_logps: per completion; weights: (K,)."""
        self.groups, self.given = groups, (rewards.view(len(rewards), -1), sampler_logps)
        self.reward_weights = torch.ones(self.given[0].shape[1]) if weights is None else weights
        self.reward_func_names = [f"reward {k}" for k in range(self.given[0].shape[1])]
        self.reward_funcs = [None] * len(self.reward_func_names)
        self.processing_class = Processor(groups, self.image_token)
        rows = [{"prompt": [{"role": "user", "content": "?"}]} for g in groups for _ in g.completions]
        if any(g.prompt.images for g in groups):
            for row, images in zip(rows, (g.prompt.images for g in groups for _ in g.completions)):
                row["images"] = list(images)
        return self._generate_and_score_completions(rows)

    def _generate(self, prompts):
        ids = [list(g.prompt.ids) for g in self.groups for _ in g.completions]
        completions = [list(c) for g in self.groups for c in g.completions]
        return ids, completions, None, [""] * len(ids), self.given[1], {}, None, []

    def _calculate_rewards(self, *_):
        return self.given[0]

    def backward(self, inputs: dict) -> float:
        """The loss; the gradient lies in the model's parameters."""
        loss = self._compute_loss(self.model, inputs)
        loss.backward()
        return loss.item()

    def gradients(self) -> dict[str, torch.Tensor]:
        return {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}

    def metric(self, name: str) -> float:
        """The latest value TRL logged."""
        return self._metrics["train"][name][-1]


class Processor:
    """Where TRL asks its processor for pixels and token types of the left-padded prompts."""

    def __init__(self, groups, image_token):
        self.groups, self.image_token = groups, image_token

    def apply_chat_template(self, *_, **__):
        return ""

    def __call__(self, **_):
        prompts = [g.prompt.ids for g in self.groups for _ in g.completions]
        images = [i for g in self.groups for _ in g.completions for i in g.prompt.images]
        width = max(map(len, prompts))
        kinds = [[0] * (width - len(p)) + [int(t == self.image_token) for t in p] for p in prompts]
        return {
            "pixel_values": torch.cat([i.pixels for i in images]),
            "image_grid_thw": torch.tensor([i.grid for i in images]),
            "mm_token_type_ids": torch.tensor(kinds),
        }


def fused(model, temperature, banned, outputs=("log_probs", "entropy")):
    """TRL's fused head on the model; banned tokens get a bias under which their probability is exactly 0."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if len(banned):
        bias = torch.zeros(base.lm_head.weight.shape[0], dtype=base.lm_head.weight.dtype)
        bias[list(banned)] = -1e9
        base.lm_head.bias = torch.nn.Parameter(bias, requires_grad=False)
    add_fused_lm_head(base, temperature=temperature, outputs=outputs)
    return model
