"""The adapter's head and `_compute_loss` against TRL's own on left-padded batches: loss, gradient, every metric.

Every loss with ratios of tokens and of sequences; KL with and without its correction; corrections for another sampler;
what is left out of the policy term. And TRL's head among the benchmark's rivals.
"""

import pytest
import torch

from bench import contest
from bench.rivals import LOGP
from bench.shapes import SMALL
from tests.models.packing_cases import IMAGE, small_model

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from nsrl_kernels.adapters.trl import FusedGRPO, put_head
from tests.peers.test_trl_loss import LIMIT, STEP, G, distance, make, model, rounding
from tests.peers.trl_oracle import Oracle

# bands so narrow that the second update is clipped
LOSSES = {
    "grpo": {"epsilon": 0.02, "epsilon_high": 0.03},
    "bnpo": {"epsilon": 0.02, "epsilon_high": 0.03},
    "dr_grpo": {"epsilon": 0.02, "epsilon_high": 0.03},
    "dapo": {"epsilon": 0.02, "epsilon_high": 0.03},
    "luspo": {"epsilon": 0.02, "epsilon_high": 0.03},
    "cispo": {"epsilon_high": 1.03},
    "sapo": {},
    "vespo": {},
}
KLS = {"no KL": {}, "KL": {"beta": 0.05, "use_bias_correction_kl": False}, "KL by default": {"beta": 0.05}}
MORE = {
    "cispo's bound as TRL has it": {"loss_type": "cispo"},
    "delta": {"loss_type": "dapo", "delta": 1.02},
    "high entropy": {"loss_type": "grpo", "top_entropy_quantile": 0.3, "beta": 0.05},
    "high entropy and a bonus": {"loss_type": "dapo", "top_entropy_quantile": 0.3, "entropy_coef": 0.1},
    "off-policy sequences": {"loss_type": "bnpo", "off_policy_mask_threshold": 0.0},
    "two micro-batches": {"loss_type": "bnpo", "entropy_coef": 0.1, "parts": 2},
    "two micro-batches of tokens": {"loss_type": "dapo", "parts": 2, "steps_per_generation": 4},
    "adaptive entropy": {"loss_type": "dapo", "use_adaptive_entropy": True, "entropy_target": 1.0},
    "no adaptive entropy": {"loss_type": "grpo", "use_adaptive_entropy": True, "entropy_target": 9.0},
    "temperature": {"loss_type": "dapo", "temperature": 0.6},
    "truncated out": {"loss_type": "dr_grpo", "mask_truncated_completions": True, "beta": 0.05},
}
SAMPLERS = ("sequence_mask", "sequence_truncate", "token_mask", "token_truncate")


def base(learner):
    return learner.get_base_model() if hasattr(learner, "get_base_model") else learner


class Ours(FusedGRPO, Oracle):
    """What the adapter's __init__ does where TRL's own is left out."""

    def __init__(self, learner, reference=None, **options):
        super().__init__(learner, reference, **options)
        put_head(base(self.model), self.temperature, entropy_gradient=lambda: self._entropy_bonus_enabled)
        if self.ref_model is not None:
            put_head(base(self.ref_model), self.temperature)


def outcome(kind, pictures, seed, sampler, learner, parts=1, edit=lambda inputs: None, **options):
    """(loss, gradient) of two updates, and all that was logged."""
    groups, rewards = make(pictures, seed)
    frozen = small_model(7) if "beta" in options and not hasattr(learner, "peft_config") else None
    if sampler:
        options = {"use_vllm": True, "vllm_importance_sampling_mode": sampler, **options}
    side = kind(
        learner, frozen, image_token=IMAGE, rows=G * len(groups), stop_ids=range(250, 490), num_generations=G,
        num_iterations=2, max_completion_length=LIMIT, **options,
    )  # fmt: skip
    side.current_gradient_accumulation_steps = parts
    if side.use_adaptive_entropy:
        side._entropy_bonus_enabled, side._entropy_window_stats = True, None
        side._last_world_entropy = side.entropy_coef = 0.5
    inputs, seen = side.inputs(groups, rewards, near(side, groups, rewards)), []
    edit(inputs)
    sgd = torch.optim.SGD([p for p in side.model.parameters() if p.requires_grad], lr=STEP)
    for _ in range(2):
        seen.append((side.backward(inputs), side.gradients()))
        sgd.step(), sgd.zero_grad()
    return seen, dict(side._metrics["train"])


def near(side, groups, rewards):
    """Log-probs of a sampler that is near the policy, for each completion; None without one."""
    if not side.use_vllm:
        return None
    side.use_vllm = False
    inputs = side.inputs(groups, rewards)
    side.use_vllm = True
    side._metrics["train"].clear()
    own = inputs["old_per_token_logps"]
    rng = torch.Generator().manual_seed(9)
    own = own + 0.2 * torch.randn(own.shape, generator=rng)
    return [row[mask.bool()].tolist() for row, mask in zip(own, inputs["completion_mask"])]


def require_same(loss_type, pictures="text only", learner=small_model, sampler=None, tolerance=1e-5, **options):
    seed = f"adapter/{loss_type}/{pictures}/{sorted(map(str, options))}"
    options = {"loss_type": loss_type, **LOSSES.get(loss_type, {}), **options}
    got, logged = outcome(Ours, pictures, seed, sampler, learner(), **options)
    want, wanted = outcome(Oracle, pictures, seed, sampler, learner(), **options)
    for (loss, gradient), (their_loss, theirs) in zip(got, want):
        assert loss == pytest.approx(their_loss, abs=rounding(loss_type), rel=1e-6)
        assert distance(gradient, theirs) < tolerance
    assert set(logged) == set(wanted)
    for name, values in wanted.items():
        assert logged[name] == pytest.approx(values, rel=2e-5, abs=2e-6, nan_ok=True), name
    return wanted


@pytest.mark.parametrize("level", ("token", "sequence"))
@pytest.mark.parametrize("loss_type", LOSSES)
def test_every_loss(loss_type, level):
    clipped = 0.0
    for kl in KLS.values():
        logged = require_same(loss_type, importance_sampling_level=level, **kl)
        clipped += sum(logged.get("clip_ratio/region_mean", [1.0]))
    assert clipped > 0 or level == "sequence", "the band was not tried"


@pytest.mark.parametrize("case", MORE)
def test_every_option(case):
    require_same(**{"sampler": None, **MORE[case]})


@pytest.mark.parametrize("loss_type", ("dapo", "vespo", "sapo", "cispo"))
@pytest.mark.parametrize("mode", SAMPLERS)
def test_the_correction_for_another_sampler(mode, loss_type):
    for bounds in ({"vllm_importance_sampling_clip_max": 1.2}, {"vllm_importance_sampling_clip_min": 0.9}):
        require_same(loss_type, sampler=mode, beta=0.05, **bounds)


def test_advantages_of_tokens_and_what_tools_said():
    def edit(inputs):
        rng = torch.Generator().manual_seed(2)
        inputs["advantages"] = torch.randn(inputs["completion_ids"].shape, generator=rng)
        inputs["tool_mask"] = (torch.rand(inputs["completion_ids"].shape, generator=rng) < 0.7).long()

    for loss_type in LOSSES:
        require_same(loss_type, edit=edit, beta=0.05)


@pytest.mark.parametrize("pictures", ("one image", "several images", "images and text"))
def test_pictures(pictures):
    require_same("dapo", pictures, beta=0.05)


def test_an_adapter():
    require_same("dapo", learner=lambda: model("lora"), beta=0.05)


def test_trls_head_is_timed_among_the_rivals():
    (rival,) = (c for c in LOGP if c.name.startswith("TRL"))
    row = contest.timed(contest.logp_trial(rival, SMALL, "cpu", torch.float32), 2)
    assert "forward_ms" in row and "disagrees" not in row
