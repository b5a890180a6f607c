"""Liger's own GRPO loss (its chunked torch definition, head included) against `linear_logp` + `policy_loss`."""

import pytest
import torch

from nsrl_kernels import linear_logp, policy_loss

pytest.importorskip(
    "liger_kernel", reason="Liger is not installed here; `make test-peers` makes an environment that has it"
)
from liger_kernel.chunked_loss.grpo_loss import LigerFusedLinearGRPOLoss

R, L, H, V = 5, 9, 24, 211
LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "gspo", "cispo", "sapo")
OPTIONS = {
    "plain": {},
    "KL": {"beta": 0.05},
    "KL times ratio": {"beta": 0.05, "use_bias_correction_kl": True},
    "temperature": {"temperature": 0.7},
    "delta": {"delta": 1.1},
    "sampler, tokens": {"importance": "truncate"},
    "sampler, masked tokens": {"importance": "mask"},
    "sampler, sequences": {"importance": "truncate", "importance_level": "sequence"},
    "sampler, masked sequences": {"importance": "mask", "importance_level": "sequence"},
}
CAP = 1.5


def inputs(seed):
    torch.manual_seed(seed)
    x = {"hidden": torch.randn(R, L, H), "weight": torch.randn(V, H) * 0.3, "ids": torch.randint(0, V, (R, L))}
    x["mask"] = torch.arange(L) < torch.tensor([L, 1, 4, 0, 6])[:, None]  # one completion without a token
    logp = (x["hidden"] @ x["weight"].T).log_softmax(-1).gather(-1, x["ids"][..., None])[..., 0]
    near = lambda scale: logp + scale * torch.randn(R, L)
    return x | {"old": near(0.2), "ref": near(0.4), "sampler": near(0.4), "advantages": torch.randn(R)}


@pytest.mark.parametrize("loss_type", LOSSES)
def test_loss_and_both_gradients(loss_type):
    for number, (name, options) in enumerate(OPTIONS.items()):
        if name == "delta" and loss_type in ("cispo", "sapo"):
            continue
        x = inputs(number)
        beta, temperature = options.get("beta", 0.0), options.get("temperature", 1.0)
        importance, level = options.get("importance"), options.get("importance_level", "token")
        ratio = None
        if importance:
            gap = (x["old"] - x["sampler"]) * x["mask"]
            ratio = (gap if level == "token" else gap.sum(1, keepdim=True)).exp()
            ratio = ratio.clamp(max=CAP) if importance == "truncate" else ratio * (ratio <= CAP)
            ratio = ratio.expand(R, L)
        theirs = LigerFusedLinearGRPOLoss(
            beta=beta, compiled=False, use_ref_model=bool(beta), chunk_size=2, epsilon_low=0.1,
            epsilon_high=1.15 if loss_type == "cispo" else 0.15, loss_type="grpo" if loss_type == "gspo" else loss_type,
            importance_sampling_level="sequence" if loss_type == "gspo" else "token", max_completion_length=L,
            temperature=temperature, delta=options.get("delta"),
            use_bias_correction_kl=options.get("use_bias_correction_kl", False),
        )  # fmt: skip
        hidden, weight = x["hidden"].clone().requires_grad_(), x["weight"].clone().requires_grad_()
        want, _ = theirs(
            hidden, weight, x["ids"], x["mask"].float(), x["advantages"],
            ref_per_token_logps=x["ref"] if beta else None,
            old_per_token_logps=x["old"], vllm_is_ratio=ratio,
        )  # fmt: skip
        want.backward()
        own, head = x["hidden"].clone().requires_grad_(), x["weight"].clone().requires_grad_()
        keep, flat = x["mask"], lambda name, x=x: x[name][x["mask"]]
        logp, _ = linear_logp(own[keep], head, flat("ids"), temperature=temperature)
        got, _ = policy_loss(
            logp, x["advantages"], cu_seqlens=torch.nn.functional.pad(keep.sum(1).cumsum(0), (1, 0)),
            old_logp=flat("old"),
            ref_logp=flat("ref"), sampler_logp=flat("sampler"), loss_type=loss_type, epsilon=0.1, epsilon_high=0.15,
            delta=options.get("delta"), beta=beta, kl_times_ratio=options.get("use_bias_correction_kl", False),
            importance=importance or "none", importance_level=level, importance_cap=CAP, max_length=L,
        )  # fmt: skip
        got.backward()
        assert got.item() == pytest.approx(want.item(), abs=1e-6), name
        for mine, their in ((own.grad, hidden.grad), (head.grad, weight.grad)):
            assert (mine - their).norm() <= 1e-5 * their.norm(), name
