"""`linear_grpo`: group_advantage, linear_logp and policy_loss in one call. Knows nothing of models or optimisers."""

from typing import Any

import torch

from ... import _check
from ..group_advantage.op import group_advantage
from ..linear_logp.op import linear_logp
from ..policy_loss.op import chosen, policy_loss
from ..policy_loss.spec import METRIC_NAMES, OPTIONS, Objective

_NAME = "linear_grpo"
GROUP_METRIC_NAMES = ("reward", "reward_std", "frac_reward_zero_std")


def linear_grpo(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    rewards: torch.Tensor,
    groups: torch.Tensor | int,
    cu_seqlens: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    old_logp: torch.Tensor | None = None,
    ref_logp: torch.Tensor | None = None,
    sampler_logp: torch.Tensor | None = None,
    reward_weights: torch.Tensor | None = None,
    num_groups: int | None = None,
    scale_rewards: str = "grpo",
    bias: torch.Tensor | None = None,
    temperature: float | torch.Tensor = 1.0,
    softcap: float | None = None,
    banned: torch.Tensor | None = None,
    mode: str = "jacobian",
    gemm: str | None = None,
    batch_invariant: bool = False,
    backend: str | None = None,
    objective: Objective | None = None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The GRPO loss of packed completions from their hidden states, the head and the rewards; ∂hidden by autograd.

    Never materialised: logits. Rows of groups without any advantage get no gradient work unless the objective has
    another term for them (KL, entropy, extra k3, -logp).

    Args:
        hidden: [T, H] hidden states at the positions that predict `target`; weight: [V, H]; target: [T] sampled ids.
        rewards: [S] or [S, K]; groups: as in `group_advantage` (an int G, offsets, or ids with `num_groups`).
        cu_seqlens: [S + 1] offsets of the S completions in T.
        mask: [T] bool, False where a token counts nowhere.
        old_logp, ref_logp, sampler_logp: [T], as in `policy_loss`.
        reward_weights, scale_rewards: `weights` and `mode` of `group_advantage`.
        bias, temperature, softcap, banned, mode, gemm, batch_invariant: as in `linear_logp`.
        backend: "torch", "triton" or None for the best there is, op by op.
        objective, options: every other keyword of `policy_loss` (objective, or loss_type, epsilon, beta, ...).

    Returns:
        (loss, metrics): a scalar and a vector named by METRIC_NAMES + ("reward", "reward_std", "frac_reward_zero_std").

    Raises:
        ValueError, TypeError: as the three ops.

    Numerics: those of the three ops.
    Source: the three ops, docs/kernels.md.
    """
    _check.tensors(_NAME, hidden=hidden, rewards=rewards, cu_seqlens=cu_seqlens)
    if hidden.dim() != 2:
        _check.fail(_NAME, "hidden", "[T, H]", tuple(hidden.shape))
    if rewards.shape[0] != cu_seqlens.shape[0] - 1:
        _check.fail(
            _NAME, "rewards", f"one row per sequence of cu_seqlens ({cu_seqlens.shape[0] - 1})", rewards.shape[0]
        )
    group = group_advantage(
        rewards, groups, num_groups=num_groups, weights=reward_weights, mode=scale_rewards, backend=backend
    )
    positions = torch.arange(hidden.shape[0], device=hidden.device, dtype=cu_seqlens.dtype)
    sequence = torch.searchsorted(cu_seqlens[1:].contiguous(), positions, right=True)
    by_name = {name: options.pop(name) for name in OPTIONS if name in options}
    objective = chosen(_NAME, objective, by_name)
    drifts = options.get("drift_weights") is not None
    other_terms = options.get("extra_kl") or drifts or not objective.advantages_alone
    logp, entropy = linear_logp(
        hidden, weight, target, bias=bias, temperature=temperature, softcap=softcap, banned=banned, hint_logp=old_logp,
        entropy="grad" if objective.entropy_coef else "metric", row_mask=mask,
        grad_rows=None if other_terms else (group.advantages != 0)[sequence], mode=mode, backend=backend, gemm=gemm,
        batch_invariant=batch_invariant,
    )  # fmt: skip
    loss, metrics = policy_loss(
        logp, group.advantages, cu_seqlens=cu_seqlens, mask=mask, old_logp=old_logp, ref_logp=ref_logp,
        sampler_logp=sampler_logp, entropy=entropy, backend=backend, objective=objective, **options,
    )  # fmt: skip
    scorable = ~torch.isnan(group.reward)
    mean = torch.where(scorable, group.reward, 0).sum() / scorable.sum().clamp(min=1)
    extra = torch.stack([mean, group.std.mean(), (~group.live).float().mean()])
    return loss, torch.cat([metrics, extra.to(metrics.dtype)])


linear_grpo.METRIC_NAMES = METRIC_NAMES + GROUP_METRIC_NAMES
