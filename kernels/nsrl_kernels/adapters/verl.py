"""verl's head, policy losses and group advantages on these ops: their signatures, metrics and numbers.

    from nsrl_kernels.adapters.verl import install; install()

in a module that verl imports in every process (`VERL_USE_EXTERNAL_MODULES`). Source: verl 0.9.1,
`trainer/ppo/core_algos.py`, `utils/kernel/linear_cross_entropy.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from ..ops.group_advantage.op import group_advantage
from ..ops.linear_logp.op import linear_logp
from ..ops.policy_loss.op import policy_loss
from ..ops.policy_loss.select import covariance, kl_cov
from ..ops.policy_loss.spec import Objective
from ._dialect import NO_BOUND

try:
    import verl.trainer.ppo.core_algos as core_algos
    import verl.utils.kernel.linear_cross_entropy as head
except ModuleNotFoundError as absent:
    raise ImportError(
        f"nsrl_kernels.adapters.verl needs {absent.name}, which is not installed: pip install 'verl>=0.9'"
    ) from absent

_SUMMED = {"none": lambda x: x, "sum": torch.sum, "mean": torch.mean}


def install() -> None:
    """Puts losses, advantages and the head in the place of verl's own, under verl's names."""
    core_algos.POLICY_LOSS_REGISTRY.update(LOSSES)
    core_algos.ADV_ESTIMATOR_REGISTRY.update(ESTIMATORS)
    head.linear_cross_entropy = linear_cross_entropy


def register(prefix: str = "nsrl_") -> None:
    """Adds losses and advantages beside verl's own: `policy_loss.loss_mode=nsrl_vanilla`, `adv_estimator=nsrl_grpo`."""
    core_algos.POLICY_LOSS_REGISTRY.update({prefix + name: f for name, f in LOSSES.items()})
    core_algos.ADV_ESTIMATOR_REGISTRY.update({prefix + name: f for name, f in ESTIMATORS.items()})


def linear_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = 1.0,
    reduction: str = "none",
    dist_process_group: dist.ProcessGroup | None = None,
    entropy: str = "grad",
) -> tuple[torch.Tensor, torch.Tensor]:
    """(log-probs of the labels, entropies), [N] fp32 each; one log-prob for a reduction.

    Args:
        hidden: [..., H] with N rows; labels: [N] or the leading shape. weight: [V, H].
        reduction: "none", "sum" or "mean" of the log-probs.
        dist_process_group: the ranks over which the head's rows are sharded, in order. As with verl each is left with a
            share of ∂hidden, and the layer before sums them.
        entropy: "grad", as verl has it, or "metric": its value alone. A frozen head takes two products then, not four.

    Raises:
        ValueError, TypeError: as `linear_logp`.
    """
    if reduction not in _SUMMED:
        raise ValueError(f"linear_cross_entropy: reduction must be one of {', '.join(_SUMMED)}; got {reduction!r}")
    rows, start = hidden.reshape(-1, hidden.shape[-1]), 0
    if dist_process_group is not None:
        start, ranks = weight.shape[0] * dist.get_rank(dist_process_group), dist.get_world_size(dist_process_group)
        if rows.requires_grad:
            rows = rows.view_as(rows)
            rows.register_hook(lambda gradient: gradient / ranks)
    logp, entropies = linear_logp(
        rows, weight, labels.reshape(-1), temperature=temperature, entropy=entropy, vocab_group=dist_process_group,
        vocab_start=start,
    )  # fmt: skip
    return _SUMMED[reduction](logp), entropies


class _Tokens(NamedTuple):
    """What verl hands to a loss, [B, L] each, and the actor's configuration."""

    old: torch.Tensor
    logp: torch.Tensor
    advantages: torch.Tensor
    mask: torch.Tensor
    config: Any

    @property
    def band(self) -> tuple[float, float]:
        """How far below and above 1 a ratio may be."""
        given = (self.config.clip_ratio_low, self.config.clip_ratio_high)
        low, high = (self.config.clip_ratio if side is None else side for side in given)
        return low, high

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Over the tokens that count."""
        kept = self.mask != 0
        return torch.where(kept, values.float(), 0).sum() / (kept.sum() + 1e-8)

    @property
    def log_ratio(self) -> torch.Tensor:
        """Without gradient."""
        return (self.logp - self.old).detach()


class _Terms(NamedTuple):
    """One of verl's losses as `policy_loss` is told it, and its metrics."""

    objective: Objective
    metrics: dict[str, torch.Tensor]
    given: dict[str, Any] = {}  # what differs from the tokens as they are
    aggregation: str | None = None  # where the loss has its own, whatever the configuration says


def _kl(x: _Tokens, bound: float | None = None) -> torch.Tensor:
    apart = x.log_ratio if bound is None else x.log_ratio.clamp(-bound, bound)
    return x.mean(-apart)


def _reported(clipped, kl, lower=None) -> dict[str, torch.Tensor]:
    lower = torch.zeros_like(kl) if lower is None else lower
    return {"actor/pg_clipfrac": clipped, "actor/ppo_kl": kl, "actor/pg_clipfrac_lower": lower}


def _held(x: _Tokens, most: float = 20.0) -> torch.Tensor:
    """The log-probs, at most so far from the old ones; no gradient where that holds them."""
    apart = x.log_ratio
    return torch.where(apart.abs() <= most, x.logp, x.old + apart.clamp(-most, most))


def _outside(x: _Tokens, ratio: torch.Tensor) -> torch.Tensor:
    """Where the clipped term is the larger one."""
    low, high = x.band
    return ((ratio < 1 - low) & (x.advantages < 0)) | ((ratio > 1 + high) & (x.advantages > 0))


def _clip(x: _Tokens, **more: Any) -> Objective:
    low, high = x.band
    return Objective(loss_type="grpo", epsilon=low, epsilon_high=high, **more)


def _vanilla(x: _Tokens) -> _Terms:
    bound = x.config.get("clip_ratio_c", 3.0)
    ratio = x.log_ratio.clamp(-20, 20).exp()
    low, high = x.band
    # of max(-A·ratio, -A·clipped), with A below 0: the larger of the two ratios
    beyond = (torch.maximum(ratio, ratio.clamp(1 - low, 1 + high)) > bound) & (x.advantages < 0)
    metrics = _reported(x.mean(_outside(x, ratio)), _kl(x, 20.0), x.mean(beyond))
    return _Terms(_clip(x, dual_clip=bound), metrics, {"logp": _held(x)})


def _gspo(x: _Tokens) -> _Terms:
    kept = x.mask != 0
    apart = torch.where(kept, x.log_ratio, 0)
    moved = (apart.sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1)).clamp(max=10.0)
    # the sequence's ratio in value, each token's own log-prob in gradient
    given = {"logp": torch.where(moved < 10.0, x.logp, x.logp.detach()), "old_logp": x.logp.detach() - moved}
    clipped = _outside(x, moved.exp().expand_as(apart))
    return _Terms(_clip(x), _reported(x.mean(clipped), _kl(x)), given)


def _sapo(x: _Tokens) -> _Terms:
    objective = Objective(loss_type="sapo", tau=(x.config.tau_pos, x.config.tau_neg))
    kl = _kl(x, 20.0)
    return _Terms(objective, _reported(torch.zeros_like(kl), kl), {"logp": _held(x)}, "seq-mean-token-mean")


def _gpg(x: _Tokens) -> _Terms:
    return _Terms(Objective(loss_type="reinforce"), {})


def _weighted(x: _Tokens, weight: torch.Tensor, metrics: dict[str, torch.Tensor]) -> _Terms:
    """-weight·A·logp."""
    return _Terms(Objective(loss_type="reinforce"), metrics, {"policy_weights": weight})


def _cispo(x: _Tokens) -> _Terms:
    low, high = x.band
    ratio = x.log_ratio.clamp(-20, 20).exp()
    bounded = ratio.clamp(1 - low, 1 + high)
    return _weighted(x, bounded, _reported(x.mean(ratio != bounded), _kl(x, 20.0)))


def _dppo(x: _Tokens, allowed: torch.Tensor) -> _Terms:
    """allowed: the tokens whose divergence is within the trust region, or that move back into it. arXiv 2602.04879."""
    bound = x.config.get("clip_ratio_c", 20.0)
    ratio, kept = x.log_ratio.clamp(-20, 20).exp(), allowed.float()
    metrics = _reported(x.mean(~allowed), _kl(x, 20.0), x.mean((ratio > bound) * kept))
    return _weighted(x, ratio.clamp(max=bound) * kept, metrics)


def _dppo_tv(x: _Tokens) -> _Terms:
    low, high = x.band
    moved = x.logp.detach().exp() - x.old.exp()
    return _dppo(x, torch.where(x.advantages > 0, moved <= high, moved >= -low))


def _dppo_kl(x: _Tokens) -> _Terms:
    low, high = x.band
    p, q = x.logp.detach().exp(), x.old.exp()
    apart = -q * x.log_ratio + (1 - q) * ((1 - q + 1e-8) / (1 - p + 1e-8)).log()
    up, down = (apart <= high) | (p <= q), (apart <= low) | (p >= q)
    return _dppo(x, torch.where(x.advantages > 0, up, down))


def _clip_cov(x: _Tokens) -> _Terms:
    said, kept = x.config.policy_loss, x.mask != 0
    least, most, share = said.clip_cov_lb, said.clip_cov_ub, said.clip_cov_ratio
    centred = lambda values: values - x.mean(values)
    cov = centred(x.advantages) * centred(x.logp.detach())
    free = kept & ~_outside(x, x.log_ratio.exp()) & (cov < most) & (cov > least)
    places = free.nonzero()
    drawn = places[torch.randperm(len(places))[: max(int(share * kept.sum()), 1)].to(places.device)]
    weight = torch.ones_like(x.logp.detach()).index_put((drawn[:, 0], drawn[:, 1]), x.logp.new_zeros(()))
    metrics = {"actor/pg_clipfrac": x.mean(weight == 0), "actor/ppo_kl": _kl(x)}
    return _Terms(_clip(x), metrics, {"policy_weights": weight})


def _kl_cov(x: _Tokens) -> _Terms:
    said, kept = x.config.policy_loss, x.mask != 0
    paying = torch.zeros_like(x.logp.detach())
    if kept.any():
        cov = covariance(x.logp.detach()[kept], x.advantages[kept])
        paying = paying.masked_scatter(kept, kl_cov(cov, said.kl_cov_ratio).to(paying.dtype))
    objective = Objective(loss_type="grpo", epsilon=NO_BOUND, epsilon_high=NO_BOUND, drift_coef=said.ppo_kl_coef)
    return _Terms(objective, {"actor/ppo_kl": x.mean(x.log_ratio.abs())}, {"drift_weights": paying})


def _geo_mean(x: _Tokens) -> _Terms:
    low, high = x.band
    out = (x.log_ratio < -low) | (x.log_ratio > high)
    metrics = _reported(x.mean(out & (x.advantages > 0)), _kl(x), x.mean(out & (x.advantages < 0)))
    return _Terms(Objective(loss_type="gmpo", epsilon=low, epsilon_high=high), metrics, aggregation="sequences")


def _dro(x: _Tokens) -> _Terms:
    beta = x.config.policy_loss.dro_beta
    if beta is None or not beta > 0:
        raise ValueError(f"dro: policy_loss.dro_beta must be a positive number; got {beta}")
    return _Terms(Objective(loss_type="reinforce", beta=beta, kl="k2"), {"actor/ppo_kl": _kl(x)}, {"ref_logp": x.old})


_TERMS = {
    "vanilla": _vanilla, "dppo_tv": _dppo_tv, "dppo_kl": _dppo_kl, "gspo": _gspo, "sapo": _sapo, "gpg": _gpg,
    "clip_cov": _clip_cov, "kl_cov": _kl_cov, "geo_mean": _geo_mean, "dro": _dro, "cispo": _cispo,
}  # fmt: skip


def _aggregation(mode: str, mask: torch.Tensor, counts: dict[str, Any]) -> tuple[str, Any]:
    """(policy_loss's aggregation, its normalizer). Sequences without tokens are not counted.

    counts: `config.global_batch_info`: of the batch of all processes, whose gradients are averaged afterwards.
    """
    if mode == "sequences":
        return "sequence", len(mask)
    ranks = counts.get("dp_size") or 1
    kept = mask != 0
    if mode in ("token-mean", "token-sum"):
        total = counts.get("batch_num_tokens") if mode == "token-mean" else 1.0
        name, local, said = "token", kept.sum(), "batch_num_tokens"
    elif mode in ("seq-mean-token-sum", "seq-mean-token-sum-norm", "seq-mean-token-mean"):
        total, local, said = counts.get("global_batch_size"), kept.any(1).sum(), "global_batch_size"
        name = "sequence" if mode == "seq-mean-token-mean" else "sequence_sum"
    else:
        raise ValueError(f"Invalid loss_agg_mode: {mode}")
    if total is None:
        if ranks > 1:
            raise ValueError(f"(global) {said} is required when dp_size > 1")
        total = local.clamp(min=1)
    longest = counts.get("loss_scale_factor") or mask.shape[1]
    return name, total / ranks * (longest if mode == "seq-mean-token-sum-norm" else 1)


def _as_verl(name: str) -> Callable[..., tuple[torch.Tensor, dict[str, Any]]]:
    def compute(
        old_log_prob, log_prob, advantages, response_mask, loss_agg_mode="token-mean", config=None,
        rollout_is_weights=None,
    ):  # fmt: skip
        if config is None:
            raise ValueError(f"{name}: config must be the actor's configuration; got None")
        x = _Tokens(old_log_prob, log_prob, advantages, response_mask, config)
        terms = _TERMS[name](x)
        how, normalizer = _aggregation(terms.aggregation or loss_agg_mode, response_mask, config.global_batch_info)
        weights = rollout_is_weights
        if weights is not None and name == "geo_mean":  # one weight for a sequence: the geometric mean
            kept = response_mask != 0
            logs = torch.where(kept, (weights + 1e-10).log(), 0).sum(1) / kept.sum(1).clamp(min=1)
            weights = logs.exp()[:, None].expand_as(log_prob)
        given = {"logp": log_prob, "old_logp": old_log_prob, **terms.given}
        loss, _ = policy_loss(
            given.pop("logp"), advantages, mask=response_mask, weights=weights, normalizer=normalizer,
            objective=terms.objective, aggregation=how, **given,
        )  # fmt: skip
        found = torch.stack([v.detach().float() for v in terms.metrics.values()]).tolist() if terms.metrics else ()
        return loss, dict(zip(terms.metrics, found))

    compute.__name__ = f"compute_policy_loss_{name}"
    compute.__doc__ = f"verl's {name} on `policy_loss`: verl's arguments, (loss, metrics)."
    return compute


def _advantages(mode: str) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    def compute(
        token_level_rewards, response_mask, index, epsilon=1e-6, norm_adv_by_std_in_grpo=True, config=None, **unused
    ):
        places: dict[Any, int] = {}
        ids = [places.setdefault(prompt, len(places)) for prompt in index]
        group = torch.tensor(ids, dtype=torch.long, device=token_level_rewards.device)
        found = group_advantage(
            token_level_rewards.sum(-1), group, num_groups=len(places), epsilon=epsilon,
            mode="no_std" if mode == "grpo" and not norm_adv_by_std_in_grpo else mode, lengths=response_mask.sum(-1),
        ).advantages  # fmt: skip
        spread = found[:, None] * response_mask
        return spread, spread

    compute.__name__ = f"compute_{mode}_outcome_advantage"
    compute.__doc__ = f"verl's {mode} on `group_advantage`: verl's arguments, (advantages, returns), [B, L] each."
    return compute


# verl's functions by the names it knows them by. bypass_mode and what has returns of single tokens stay verl's.
LOSSES = {name: _as_verl(name) for name in _TERMS}
ESTIMATORS = {name: _advantages(name) for name in ("grpo", "rloo", "opo")}
ESTIMATORS |= {f"{name}_vectorized": ESTIMATORS[name] for name in ("grpo", "rloo")}
