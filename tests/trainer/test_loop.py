"""The GRPO step on real components: what it may skip, what it reports, and that the reference model is one."""

import math
import time

import pytest
import torch

import nsrl_kernels
from nsrl.config import LoraConfig, ModelConfig, TrainConfig
from nsrl.data.shapes import LANGUAGES, Shapes
from nsrl.models import loading
from nsrl.models.policy import Policy
from nsrl.rewards import Rewards
from nsrl.rollout.native import NativeSampler
from nsrl.trainer import loss as objective
from nsrl.trainer.distributed import ALONE
from nsrl.trainer.grader import Grader
from nsrl.trainer.learner import Learner
from nsrl.trainer.loop import grpo_step, sampling
from nsrl.trainer.optim import Optimizer, factor
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.reference import reference
from nsrl.trainer.step_metrics import waiting
from nsrl.trainer.supervised import supervised_step


def learner(pool, *, lora=False, dropout=0.05, budget=4096, **options) -> Learner:
    config = TrainConfig(
        **{
            "prompts_per_step": 3, "num_generations": 4, "max_completion_length": 12,
            "reward_funcs": ["format", "has_code"], "reward_weights": [1.0, 0.5], "epsilon_high": None,
        } | options
    )  # fmt: skip
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=lora, r=4, dropout=dropout), seed=1)
    optimizer = Optimizer(vlm.model, learning_rate=1e-3, schedule="constant", warmup=0, total=10, max_grad_norm=1.0)
    return Learner(
        config, vlm, Policy(vlm.model), NativeSampler(vlm.model), Grader(pool),
        Rewards(config.reward_funcs, config.reward_weights), optimizer,
        ProblemStream(Shapes(1, 0, 10)), budget,
    )  # fmt: skip


def odd_first_token(batch):
    """A reward with spread in every group: random policies earn nothing for being right."""
    return [float(ids[0] % 2) for ids in batch.completion_ids]


def test_step_metrics_and_records(pool):
    runner = learner(pool)
    runner.rewards = Rewards([odd_first_token, "format"], [1.0, 0.5])
    metrics, records = grpo_step(runner, 1)
    assert len(records) == 12 and {r["problem_id"] for r in records} == set(runner.problems.recent)
    for key in ("loss", "grad_norm", "reward", "reward_std", "frac_reward_zero_std", "kl", "entropy", "pass@1",
                "completions/mean_length", "rewards/format/mean", "tokens/program", "tokens/prose",
                "pack/token_ratio", "pack/vision_ratio",
                "sampling/sampling_logp_difference/max", "timing_s/rollout", "timing_s/forward"):  # fmt: skip
        assert key in metrics, key
        assert math.isfinite(metrics[key]), key
    assert metrics["grad_norm"] > 0 and metrics["pack/vision_ratio"] == pytest.approx(4.0)
    assert metrics["sampling/sampling_logp_difference/max"] < 1e-4
    shares = sum(metrics[f"language/{name}"] for name in LANGUAGES)
    assert shares == pytest.approx(1.0)


def test_an_update_hints_at_the_log_probs_it_will_find(pool, monkeypatch):
    """The sampler's in the first pass over a batch, that pass's own in the second."""
    seen, plain = [], nsrl_kernels.linear_logp

    def recorded(*args, **options):
        logp, entropy = plain(*args, **options)
        seen.append((options.get("hint_logp"), logp.detach().clone()))
        return logp, entropy

    monkeypatch.setattr(nsrl_kernels, "linear_logp", recorded)
    runner = learner(pool, num_iterations=2)
    runner.rewards = Rewards([odd_first_token])
    grpo_step(runner, 1)
    (first, found), (second, _) = seen
    assert float((first - found).abs().max()) < 1e-4 and torch.equal(second, found)


def test_no_spread_no_step(pool):
    runner = learner(pool)
    runner.rewards = Rewards([lambda batch: [1.0] * len(batch)])
    before = {k: v.clone() for k, v in runner.vlm.model.state_dict().items()}
    metrics, _ = grpo_step(runner, 1)
    assert metrics["frac_reward_zero_std"] == 1 and metrics["grad_norm"] == 0
    assert all(torch.equal(v, before[k]) for k, v in runner.vlm.model.state_dict().items())


def test_skipping_dead_groups_is_exact(pool):
    """The gradient with and without the groups that have no spread is the same."""

    def first_group_only(batch):
        return [float(i % 2) if i < 4 else 0.0 for i in range(len(batch))]

    gradients = []
    for entropy_coef in (0.0, 1e-30):  # any entropy gradient keeps every group in
        runner = learner(pool, entropy_coef=entropy_coef)
        runner.rewards = Rewards([first_group_only])
        runner.optimizer.step = lambda runner=runner: (
            gradients.append([p.grad.clone() for p in runner.optimizer.parameters]) or torch.zeros(())
        )
        grpo_step(runner, 1)
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_micro_batches_add_up(pool):
    """A small token budget gives the same step as one batch."""
    states = []
    for budget in (4096, 90):
        runner = learner(pool, budget=budget)
        runner.rewards = Rewards([odd_first_token])
        grpo_step(runner, 1)
        states.append(runner.vlm.model.state_dict())
    for name in states[0]:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-3, atol=1e-5)


def test_the_reference_is_the_model_before_the_adapter_learned(pool, tmp_path):
    runner = learner(pool, lora=True, beta=0.05)
    runner.reference, runner.reference_context = reference(
        runner.config, runner.vlm, runner.policy, tmp_path / "reference", ALONE, starting=True
    )
    runner.rewards = Rewards([odd_first_token])
    first, _ = grpo_step(runner, 1)
    second, _ = grpo_step(runner, 2)
    assert abs(first["kl"]) < 1e-7
    assert second["kl"] > 1e-6


class Late:
    """A device that does what it is given one thing after the other, while the host goes on."""

    def __init__(self):
        self.done = 0.0

    def give(self, function, seconds):
        def launched(*args, **options):
            self.done = max(self.done, time.perf_counter()) + seconds
            return function(*args, **options)

        return launched

    def wait(self):
        time.sleep(max(0.0, self.done - time.perf_counter()))


def test_clocks_stop_when_the_device_has_done_its_work(pool, monkeypatch):
    device = Late()
    monkeypatch.setattr("nsrl.trainer.learner.waiting", lambda name: device.wait)
    runner = learner(pool)
    runner.rewards = Rewards([odd_first_token])
    monkeypatch.setattr(runner.policy, "score", device.give(runner.policy.score, 0.4))
    monkeypatch.setattr(torch.Tensor, "backward", device.give(torch.Tensor.backward, 0.3))
    runner.optimizer.step = device.give(runner.optimizer.step, 0.2)
    start = time.perf_counter()
    metrics, records = grpo_step(runner, 1)
    whole = time.perf_counter() - start
    stages = {key.removeprefix("timing_s/"): value for key, value in metrics.items() if key.startswith("timing_s/")}
    assert stages["forward"] >= 0.4 and stages["backward"] >= 0.3 and stages["optim"] >= 0.2
    assert stages["forward"] < 0.4 + 0.3 or stages["backward"] < 0.3 + 0.2  # none carries what another asked for
    assert 0.9 * whole < sum(stages.values()) <= whole
    assert metrics["perf/tokens_per_s"] == pytest.approx(sum(r["tokens"] for r in records) / whole, rel=0.1)
    assert waiting(torch.device("cpu"))() is None
    assert waiting(torch.device("cuda", 0)).func is torch.cuda.synchronize


def test_dropout_acts_in_the_update_and_the_sampler_is_compared_without(pool):
    """Also with several updates per rollout: the ratio is of one subnetwork, so that nothing learned is a ratio of
    1."""
    results = {}
    for dropout in (0.0, 0.5):
        runner = learner(pool, lora=True, dropout=dropout, num_iterations=2, sampler_correction="truncate")
        for name, p in runner.vlm.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.3, generator=torch.Generator().manual_seed(len(name)))
        runner.rewards = Rewards([odd_first_token])
        for group in runner.optimizer.inner.param_groups:
            group["lr"] = 0.0
        runner.optimizer.schedule.base_lrs = [0.0]
        metrics, records = grpo_step(runner, 1)
        results[dropout] = metrics, [r["completion"] for r in records]
    (plain, texts), (dropped, others) = results[0.0], results[0.5]
    assert texts == others, "the sampler has no dropout"
    assert abs(plain["grad_norm"] / dropped["grad_norm"] - 1) > 1e-2
    for metrics in (plain, dropped):
        assert metrics["sampling/sampling_logp_difference/max"] < 1e-4
        assert metrics["sampling/importance_ratio/mean"] == pytest.approx(1, abs=1e-3)
        assert metrics["ratio/min"] == pytest.approx(1, abs=1e-4) and metrics["ratio/max"] == pytest.approx(1, abs=1e-4)


def test_dropout_of_a_supervised_step_acts_too(pool):
    losses = []
    for dropout in (0.0, 0.9, 0.9):
        runner = learner(pool, lora=True, dropout=dropout)
        for name, p in runner.vlm.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.3, generator=torch.Generator().manual_seed(len(name)))
        stream = Shapes(1, 0, 10).demonstrations({"direct": 1.0})
        losses.append(
            [supervised_step(runner.vlm, runner.policy, runner.optimizer, stream, 4, 4096)["loss"] for _ in "12"]
        )
    assert losses[1] == losses[2]
    assert all(abs(a - b) > 1e-3 for a, b in zip(losses[0], losses[1]))


def test_top_p_is_refused_with_the_reason(pool):
    runner = learner(pool)
    runner.config.top_p = 0.9
    with pytest.raises(Exception, match="top_p must be 1"):
        sampling(runner.config, runner.vlm)


def test_normalizers_are_the_whole_steps():
    assert objective.normalizer(TrainConfig(loss_type="dapo"), 700, 40) == 700
    assert objective.normalizer(TrainConfig(loss_type="grpo"), 700, 40) == 40
    assert objective.normalizer(TrainConfig(loss_type="dr_grpo", max_completion_length=50), 700, 40) == 2000


def test_supervised_steps_learn(pool):
    runner = learner(pool)
    stream = Shapes(1, 0, 10).demonstrations({"direct": 1.0})
    losses = [supervised_step(runner.vlm, runner.policy, runner.optimizer, stream, 8, 4096)["loss"] for _ in range(12)]
    assert losses[-1] < losses[0] - 1


def test_schedules():
    assert [factor(s, "constant", 4, 100, 0.0) for s in (0, 3, 50)] == [0.25, 1.0, 1.0]
    assert factor(100, "linear", 4, 100, 0.05) == pytest.approx(0.05)
    assert factor(52, "cosine", 4, 100, 0.0) == pytest.approx(0.5)
    for schedule in ("constant", "linear", "cosine"):  # a short schedule too rises to the peak and never above it
        assert max(factor(s, schedule, 2, 4, 0.0) for s in range(4)) == factor(1, schedule, 2, 4, 0.0) == 1.0
