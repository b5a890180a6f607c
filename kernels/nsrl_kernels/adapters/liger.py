"""Liger's `LigerFusedLinearGRPOLoss` on these ops: its arguments, its returns, and no Liger needed.

    from nsrl_kernels.adapters.liger import LigerFusedLinearGRPOLoss

Source: Liger 0.8.5, `chunked_loss/grpo_loss.py`, `fused_linear_ppo.py`.
"""

import warnings

import torch
import torch.distributed as dist

from .._operands import autocasts
from ..ops.linear_logp.op import linear_logp
from ._dialect import AGGREGATIONS, Batch, Dialect, Seen, loss

_LEVELS = ("token", "sequence")
_TOKEN_RATIO = ("cispo", "sapo", "vespo")  # take no ratio of sequences


class LigerFusedLinearGRPOLoss(torch.nn.Module):
    """The GRPO losses of padded completions from hidden states and a head, without logits.

    Args:
        beta, epsilon_low, epsilon_high, loss_type, importance_sampling_level, sapo_temperature_pos, ...: as Liger's.
        compiled, chunk_size: taken and of no effect: nothing is compiled, and rows are cut by the head's own kernels.
        use_ref_model: whether there is a reference; `forward` is then given its log-probs, or its states and head.

    Raises:
        ValueError: a loss, a level or a number that cannot be.
    """

    def __init__(
        self,
        beta: float = 0.04,
        compiled: bool = True,
        use_ref_model: bool = True,
        chunk_size: int = 1,
        epsilon_low: float = 0.2,
        epsilon_high: float = 0.2,
        loss_type: str = "dapo",
        max_completion_length: int | None = None,
        importance_sampling_level: str = "token",
        sapo_temperature_pos: float = 1.0,
        sapo_temperature_neg: float = 1.05,
        temperature: float = 1.0,
        delta: float | None = None,
        use_bias_correction_kl: bool = False,
        vespo_k_pos: float = 2.0,
        vespo_lambda_pos: float = 3.0,
        vespo_k_neg: float = 3.0,
        vespo_lambda_neg: float = 2.0,
    ):
        super().__init__()
        positive = {"sapo_temperature_pos": sapo_temperature_pos, "sapo_temperature_neg": sapo_temperature_neg}
        for name, value in {**positive, "delta": delta}.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        self.compiled, self.chunk_size, self.temperature = compiled, chunk_size, temperature
        self.use_ref_model, self.max_completion_length = use_ref_model, max_completion_length
        self.said = Dialect(
            loss_type, importance_sampling_level, beta, epsilon_low, epsilon_high, delta, use_bias_correction_kl,
            (sapo_temperature_pos, sapo_temperature_neg), (vespo_k_pos, vespo_k_neg),
            (vespo_lambda_pos, vespo_lambda_neg),
        )  # fmt: skip

    def forward(
        self,
        _input: torch.Tensor,
        lin_weight: torch.Tensor,
        selected_token_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        advantages: torch.Tensor,
        bias: torch.Tensor | None = None,
        ref_per_token_logps: torch.Tensor | None = None,
        old_per_token_logps: torch.Tensor | None = None,
        ref_input: torch.Tensor | None = None,
        ref_weight: torch.Tensor | None = None,
        ref_bias: torch.Tensor | None = None,
        vllm_is_ratio: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | float | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """(loss, metrics): the KL where beta is not 0, and the share of tokens that are clipped.

        Args:
            _input: [B, L, H] states that predict `selected_token_ids` [B, L]; lin_weight: [V, H]; bias: [V].
            attention_mask: [B, L], 0 where a token counts nowhere. advantages: [B].
            ref_per_token_logps, old_per_token_logps: [B, L].
            ref_input, ref_weight, ref_bias: the reference's states and head, where its log-probs are not given.
            vllm_is_ratio: [B], [B, 1] or [B, L], the ratio to another sampler.
            num_items_in_batch: tokens of the step on all processes, for dapo, cispo and vespo.
        """
        self._check(attention_mask, ref_per_token_logps, ref_input, vllm_is_ratio)
        said, ids = self.said, selected_token_ids
        logp = self._score(_input, lin_weight, bias, ids, attention_mask)
        ref = ref_per_token_logps
        if said.beta and ref is None:
            ref = logp.detach()
            if self.use_ref_model:
                with torch.no_grad():
                    ref = self._score(ref_input, ref_weight, ref_bias, ids, attention_mask)
        ratio = vllm_is_ratio[:, None] if vllm_is_ratio is not None and vllm_is_ratio.dim() == 1 else vllm_is_ratio
        batch = Batch(attention_mask, advantages, old_per_token_logps, ref, ratio)
        value, seen = loss(said, batch, logp, self._normalizer(attention_mask, num_items_in_batch))
        return value, self._metrics(batch, seen)

    def _check(self, mask, ref, ref_input, ratio):
        name, level = self.said.loss_type, self.said.importance_sampling_level
        if name not in AGGREGATIONS:
            raise ValueError(f"Unknown loss type: {name}; expected one of {', '.join(AGGREGATIONS)}")
        if level not in _LEVELS:
            raise ValueError(f"Unknown importance sampling level: {level}; expected one of {', '.join(_LEVELS)}")
        if level == "sequence" and name in _TOKEN_RATIO:
            raise ValueError(f"Sequence-level importance sampling is not supported for loss_type={name!r}")
        if self.use_ref_model and ref is not None and ref_input is not None:
            warnings.warn("Both ref_per_token_logps and ref_input are given. Using ref_per_token_logps.", stacklevel=3)
        # Liger's own checks are assertions, which its callers may expect
        assert not self.use_ref_model or ref is not None or ref_input is not None, (
            "ref_per_token_logps or ref_input must be provided where use_ref_model is True"
        )
        assert name != "dr_grpo" or self.max_completion_length is not None, (
            "max_completion_length must be provided for loss_type 'dr_grpo'"
        )
        shapes = (mask.shape[:1], (len(mask), 1), mask.shape)
        assert ratio is None or ratio.shape in shapes, f"vllm_is_ratio shape must be one of {shapes}, got {ratio.shape}"

    def _score(self, hidden, weight, bias, ids, mask):
        """[B, L] log-probs, 0 where the mask is."""
        if not autocasts(hidden.device.type):
            weight = weight.to(hidden.dtype)
        return linear_logp(
            hidden, weight, ids, bias=bias, temperature=self.temperature, entropy="none", row_mask=mask != 0
        )[0]

    def _normalizer(self, mask, items):
        name = self.said.loss_type
        if AGGREGATIONS[name] != "token":
            return len(mask)
        if name == "bnpo":
            return mask.sum().clamp(min=1.0)
        if name == "dr_grpo":
            return len(mask) * self.max_completion_length  # pyright: ignore
        world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        if items is None:
            items = mask.float().sum()
            if world > 1:
                dist.all_reduce(items)
        return torch.as_tensor(items, dtype=torch.float32, device=mask.device).div(world).clamp(min=1.0)

    def _metrics(self, batch: Batch, seen: Seen) -> tuple[torch.Tensor, ...]:
        said, adv, count = self.said, batch.per_token(), batch.mask.sum().clamp(min=1.0)
        clipped = torch.zeros_like(seen.ratio, dtype=torch.bool)
        if said.loss_type == "cispo":
            clipped = (seen.ratio > said.epsilon_high) & (adv > 0)
        elif said.loss_type not in ("sapo", "vespo"):
            below, above = seen.ratio < 1 - said.epsilon_low, seen.ratio > 1 + said.epsilon_high
            clipped = (below & (adv < 0)) | (above & (adv > 0))
        share = (clipped * batch.mask).sum() / count
        return (share,) if seen.kl is None else ((seen.kl * batch.mask).sum() / count, share)
