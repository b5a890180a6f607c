"""TRL's `GRPOTrainer` with its log-probs, entropies and loss from these ops: the same arguments, metrics and numbers.

    from nsrl_kernels.adapters.trl import GRPOTrainer  # in place of: from trl import GRPOTrainer

`FusedGRPO` is the same as a mixin, for a subclass of one's own. Everything but the head and the objective (generation,
rewards, advantages, the reference, logging) is TRL's. Source: TRL 1.16, `trl/trainer/grpo_trainer.py`, `utils.py`.
"""

import functools
import inspect
import types
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from .._operands import autocasts
from ..ops.linear_logp.op import linear_logp
from ._dialect import AGGREGATIONS, CLIPPED, Batch, Dialect, Seen, loss

try:
    import trl.trainer.grpo_trainer as grpo_trainer
    from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
except ModuleNotFoundError as absent:
    raise ImportError(
        f"nsrl_kernels.adapters.trl needs {absent.name}, which is not installed: pip install 'trl>=1.16'"
    ) from absent
if not hasattr(grpo_trainer, "add_fused_lm_head"):
    raise ImportError(f"nsrl_kernels.adapters.trl needs TRL 1.16 or newer, which makes no logits; got {version('trl')}")

from trl.trainer.utils import FusedCausalLMOutput, nanmax, nanmin

# by what a configuration calls the number that logits are multiplied by before the softcap, and whether it divides them
_SCALES = (
    ("logit_scale", False),
    ("output_multiplier", False),
    ("lm_head_multiplier", False),
    ("logits_scaling", True),
)


class FusedGRPO:
    """The mixin: stands before TRL's trainer, `class Mine(FusedGRPO, trl.GRPOTrainer)`.

    Raises:
        ValueError: DeepSpeed ZeRO-3, which leaves no head to multiply by where the backward recomputes.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any):
        before = grpo_trainer.add_fused_lm_head
        if is_deepspeed_zero3_enabled():
            raise ValueError("nsrl_kernels.adapters.trl: DeepSpeed must be of stage 2 at most, or FSDP; got ZeRO-3")

        def with_ours(model, temperature=1.0, cast_lm_head_to_fp32=False, **options):
            before(model, temperature=temperature, cast_lm_head_to_fp32=cast_lm_head_to_fp32, **options)
            put_head(model, temperature, cast_lm_head_to_fp32, lambda: self._entropy_bonus_enabled)

        # TRL puts its head on in the middle of its own __init__, before accelerate wraps the model
        grpo_trainer.add_fused_lm_head = with_ours
        try:
            super().__init__(*args, **kwargs)
        finally:
            grpo_trainer.add_fused_lm_head = before

    def _compute_loss(self: Any, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if self.loss_type not in AGGREGATIONS:  # one that TRL has learned since
            return super()._compute_loss(model, inputs)  # pyright: ignore
        mask = inputs["completion_mask"]
        mask = mask * inputs["tool_mask"] if "tool_mask" in inputs else mask
        logp, entropy, aux = _score(self, model, inputs)
        mode = "train" if self.model.training else "eval"
        parts = self.current_gradient_accumulation_steps if mode == "train" else 1.0
        corrects = self.use_vllm and self.vllm_importance_sampling_correction
        batch = Batch(
            mask, inputs["advantages"], inputs.get("old_per_token_logps"), inputs.get("ref_per_token_logps"),
            inputs["importance_sampling_ratio"] if corrects else None,
        )  # fmt: skip
        chosen = None
        if self.top_entropy_quantile < 1.0:
            chosen = self.get_high_entropy_mask(entropy, mask, 1 - self.top_entropy_quantile)
        batch.keep = (chosen, _on_policy(self, batch, logp, inputs))
        said = _dialect(self)
        divisor, shared = _normalizer(self, said.loss_type, mask, inputs, mode)
        value, seen = loss(said, batch, logp, divisor if shared else divisor * parts)
        policy_loss = value.detach() if shared else value.detach() * parts
        if self._entropy_bonus_enabled:
            value = value - self._entropy_term(entropy, mask if chosen is None else mask * chosen, parts, mode)
            self._metrics[mode]["policy_loss"].append(self.accelerator.gather(policy_loss).nanmean().item())
        if self.aux_loss_enabled:
            value = value + self.router_aux_loss_coef * aux / parts
            self._metrics[mode]["aux_loss"].append(self.accelerator.gather_for_metrics(aux).mean().item())
        _log(self, mode, said, batch, seen, entropy.detach())
        return value

    def _entropy_term(self: Any, entropy: torch.Tensor, mask: torch.Tensor, parts: float, mode: str) -> torch.Tensor:
        """The bonus of a micro-batch; moves the adaptive coefficient where an optimizer step ends.

        The coefficient in force is that of the step's begin, for every micro-batch of it.
        """
        total, count = (entropy * mask).sum(), mask.sum()
        coefficient = self.entropy_coef
        if self.use_adaptive_entropy and self._last_world_entropy > self.args.entropy_target:
            coefficient = 0.0
        bonus = coefficient * total / count.clamp(min=1.0) / parts
        if mode != "train":
            return bonus
        if self.use_adaptive_entropy:
            window = torch.stack([total.detach(), count.to(total.dtype)])
            held = self._entropy_window_stats
            self._entropy_window_stats = window if held is None else held + window
        if self.accelerator.sync_gradients:
            if self.use_adaptive_entropy:
                total, count = self.accelerator.reduce(self._entropy_window_stats, reduction="sum").tolist()
                self._last_world_entropy, self._entropy_window_stats = total / max(count, 1.0), None
                args = self.args
                if self._last_world_entropy <= args.entropy_target:
                    self.entropy_coef = min(self.entropy_coef + args.entropy_coef_delta, args.entropy_coef_max)
                else:
                    self.entropy_coef = max(self.entropy_coef - args.entropy_coef_delta, args.entropy_coef_min)
            self._metrics[mode]["entropy_coef"].append(self.entropy_coef)
        return bonus


class GRPOTrainer(FusedGRPO, grpo_trainer.GRPOTrainer):
    """TRL's trainer, its arguments and all; head and objective are these ops'."""


def put_head(
    model: Any,
    temperature: float = 1.0,
    cast_lm_head_to_fp32: bool = False,
    entropy_gradient: Callable[[], bool] = lambda: False,
) -> None:
    """Gives a causal language model of transformers the head of `linear_logp`, in the place of TRL's fused one.

    `model(..., labels=labels, fused_lm_head=True)` then returns log-probs and entropies of the labels, [B, L - 1], and
    makes no logits; called otherwise it does what it did. It is inside the model's forward, so DDP, FSDP and PEFT wrap
    it as they wrap TRL's. A head of which it sees an FSDP2 shard is gathered where frozen, refused where it trains.

    Args:
        model: the model itself, or the base model of a PEFT one.
        temperature: the logits are divided by it.
        cast_lm_head_to_fp32: multiply in fp32, outside autocast.
        entropy_gradient: whether the entropy's gradient is wanted, asked at each call: it costs a product more.

    Raises:
        ValueError: the configuration multiplies logits by a number that is not above 0.
    """
    text, before = model.config.get_text_config(), model.forward
    scale, softcap = _logit_scale(text), getattr(text, "final_logit_softcapping", None)

    @functools.wraps(type(model).forward)  # `generate` looks at the signature
    def forward(self, *args, fused_lm_head=False, **kwargs):
        if not fused_lm_head:
            return before(*args, **kwargs)
        labels, shifted = kwargs.pop("labels", None), kwargs.pop("shift_labels", None)
        kwargs.pop("num_items_in_batch", None)
        if getattr(text, "output_router_logits", False):
            kwargs.setdefault("output_router_logits", True)
        out = self.base_model(*args, **{**kwargs, "use_cache": False})
        hidden = out.last_hidden_state
        if shifted is None:
            hidden, shifted = hidden[:, :-1], labels[:, 1:]
        head = self.get_output_embeddings()  # looked up at each call: PEFT and FSDP replace it
        hidden, shifted = hidden.to(head.weight.device), shifted.to(head.weight.device)
        with_gradient = torch.is_grad_enabled() and entropy_gradient()
        # s·c·tanh(z/c)/T, s the scale of the logits, is softcap c/s at the temperature T/s
        options = {
            "temperature": temperature / scale, "softcap": softcap and softcap / scale,
            "entropy": "grad" if with_gradient else "metric",
        }  # fmt: skip
        logp, entropy = _scored(hidden, head, shifted, cast_lm_head_to_fp32, options)
        aux = _router_loss(text, out, kwargs) if kwargs.get("output_router_logits") else None
        return FusedCausalLMOutput(log_probs=logp, entropy=entropy, label_mask=shifted != -100, aux_loss=aux)

    model.forward = types.MethodType(forward, model)


def _logit_scale(text: Any) -> float:
    """What the model's own forward multiplies its logits by."""
    for name, divides in _SCALES:
        value = getattr(text, name, None)
        if value is None:
            continue
        if not value > 0:
            raise ValueError(f"put_head: config.{name} must be above 0; got {value}")
        return 1 / value if divides and text.model_type != "hyperclovax" else float(value)
    return 1.0


def _scored(hidden, head, labels, in_fp32, options):
    """(log-probs, entropies) of the labels, zero where they are -100."""
    weight, bias, kind = head.weight, getattr(head, "bias", None), hidden.device.type
    if in_fp32:
        hidden, weight = hidden.float(), weight.float()
    elif not autocasts(kind):
        weight = weight.to(hidden.dtype)
    score = functools.partial(linear_logp, hidden, weight, labels, bias=bias, row_mask=labels != -100, **options)
    if not in_fp32:
        return score()
    with torch.autocast(kind, enabled=False):
        return score()


def _router_loss(text, out, kwargs):
    """The load-balancing loss of a mixture of experts, as its own forward computes it."""
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    experts = text.num_experts, text.num_experts_per_tok
    return load_balancing_loss_func(out.router_logits, *experts, kwargs.get("attention_mask"))


def _score(trainer: Any, model: Any, inputs: dict[str, Any]):
    """(log-probs, entropies [B, L], the routers' loss) of the completions, by TRL's own walk over the model."""
    walk = trainer._get_per_token_logps_and_entropies
    shown = [torch.cat([inputs[f"prompt_{part}"], inputs[f"completion_{part}"]], 1) for part in ("ids", "mask")]
    length = inputs["completion_ids"].shape[1]
    fields = {k: inputs[k] for k in inspect.signature(walk).parameters if k in inputs}  # pictures, token types
    return walk(model, *shown, length, compute_entropy=True, compute_aux_loss=trainer.aux_loss_enabled, **fields)


def _dialect(trainer: Any) -> Dialect:
    args = trainer.args
    return Dialect(
        loss_type=trainer.loss_type, importance_sampling_level=trainer.importance_sampling_level, beta=trainer.beta,
        epsilon_low=trainer.epsilon_low, epsilon_high=trainer.epsilon_high, delta=args.delta,
        use_bias_correction_kl=args.use_bias_correction_kl,
        sapo_temperature=(args.sapo_temperature_pos, args.sapo_temperature_neg),
        vespo_k=(args.vespo_k_pos, args.vespo_k_neg), vespo_lambda=(args.vespo_lambda_pos, args.vespo_lambda_neg),
    )  # fmt: skip


def _normalizer(trainer: Any, loss_type: str, mask: torch.Tensor, inputs: dict[str, Any], mode: str):
    """(what the loss of a micro-batch is divided by, whether its share of the step is in that already)."""
    if AGGREGATIONS[loss_type] != "token":
        return len(mask), False
    if loss_type == "bnpo":
        return mask.sum().clamp(min=1.0), False
    if loss_type == "dr_grpo":
        return len(mask) * trainer.max_completion_length, False
    tokens = inputs["num_items_in_batch"].clamp(min=1.0) / trainer.accelerator.num_processes
    if mode == "train":  # they are of a generation batch, of which a step takes a share
        tokens = tokens * trainer.current_gradient_accumulation_steps / trainer.args.steps_per_generation
    return tokens, True


def _on_policy(trainer: Any, batch: Batch, logp: torch.Tensor, inputs: dict[str, Any]):
    """[B, 1], 0 for a sequence too far off policy whose advantage is negative; None without a threshold."""
    if trainer.off_policy_mask_threshold is None:
        return None
    old = logp.detach() if batch.old is None else batch.old
    return trainer.get_off_policy_mask(
        advantages=batch.per_token(), per_token_logps=logp, mask=batch.mask,
        sampling_per_token_logps=inputs.get("sampling_per_token_logps", old),
        off_policy_threshold=trainer.off_policy_mask_threshold,
    )  # fmt: skip


def _log(trainer: Any, mode: str, said: Dialect, batch: Batch, seen: Seen, entropy: torch.Tensor) -> None:
    """What TRL logs of a micro-batch, under its names: means over all processes, read back at once."""
    mask, ratio, adv = batch.mask, seen.ratio, batch.per_token()
    means, extremes = {"entropy": entropy}, {}
    if seen.kl is not None:
        means["kl"] = seen.kl
    if said.loss_type in CLIPPED:
        ratio = ratio if said.delta is None else ratio.clamp(max=said.delta)
        low = (ratio < 1 - said.epsilon_low) & (adv < 0)
        high = (ratio > 1 + said.epsilon_high) & (adv > 0)
        means |= {"clip_ratio/low_mean": low, "clip_ratio/high_mean": high, "clip_ratio/region_mean": low | high}
        of_each = [v[:, 0] if v.shape[1] == 1 else (v * mask).sum(1) / mask.sum(1) for v in (low.float(), high.float())]
        least, most = trainer.accelerator.gather(torch.stack(of_each, 1)).unbind(1)
        extremes = {"clip_ratio/low_min": nanmin(least), "clip_ratio/high_max": nanmax(most)}
    elif said.loss_type == "cispo":
        means["cispo_clip_ratio"] = (ratio > said.epsilon_high) & (adv > 0)
    elif seen.phi is not None:
        means["vespo/phi_seq_mean"] = seen.phi
    sums = []
    for values in means.values():  # one value of a sequence counts once, however long it is
        values = values.float()
        alone = values.shape[1] == 1
        sums += [values.sum() if alone else (values * mask).sum(), mask.new_tensor(len(mask)) if alone else mask.sum()]
    total = trainer.accelerator.reduce(torch.stack([n.float() for n in sums]), reduction="sum")
    found = torch.cat([total[0::2] / total[1::2].clamp(min=1.0), *(x.reshape(1) for x in extremes.values())])
    for name, value in zip([*means, *extremes], found.tolist()):
        trainer._metrics[mode][name].append(value)
