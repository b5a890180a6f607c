"""Which completions a step learns from, and that what it reports is of all it sampled: truncation, dynamic sampling,
entropy.

The reference here is transformers' own padded forward and the formulas written out; TRL's own code is in tests/peers.
"""

import copy
import dataclasses
import itertools
import math

import pytest
import torch

from nsrl.config import TrainConfig, parse
from nsrl.config.acts import require_acting
from nsrl.data.shapes import LANGUAGES, Shapes
from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.models.padded import padded_hidden
from nsrl.models.policy import Policy
from nsrl.rewards import Rewards
from nsrl.rollout.native import NativeSampler
from nsrl.trainer.grader import Grader
from nsrl.trainer.learner import Learner
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.problems import ProblemStream

G, LIMIT = 4, 10


class Spy:
    """A reward that remembers every completion it was asked about."""

    __name__ = "spy"

    def __init__(self, value):
        self.value, self.batches, self.given = value, [], []

    def __call__(self, batch):
        self.batches.append(batch)
        self.given.append(self.value(batch))
        return self.given[-1]

    @property
    def rows(self):
        return [row for values in self.given for row in values]


def spread(batch):
    return [float(ids[0] % 3) + 0.1 * len(ids) for ids in batch.completion_ids]


def learner(pool, start, value=spread, *, budget=4096, lr=1e-3, frozen=None, **options):
    options = {
        "prompts_per_step": 3,
        "num_generations": G,
        "max_completion_length": LIMIT,
        "scale_rewards": "group",
    } | options
    config = TrainConfig(reward_funcs=["spy"], reward_weights=[1.0], **options)
    vlm = copy.copy(start)
    vlm.model = copy.deepcopy(start.model)
    spy = Spy(value)
    optimizer = Optimizer(vlm.model, learning_rate=lr, schedule="linear", warmup=0, total=10, max_grad_norm=1.0)
    runner = Learner(
        config, vlm, Policy(vlm.model), NativeSampler(vlm.model), Grader(pool), Rewards([spy]), optimizer,
        ProblemStream(Shapes(1, 0, 10)), budget, reference=frozen,
    )  # fmt: skip
    return runner, spy


def by_hand(start, frozen, batch, config):
    """Loss, gradient norm, KL and entropy of the step on a padded batch, every completion in its own row."""
    vlm = copy.deepcopy(start.model)
    groups = []
    for rows in batch.groups():
        groups.append(Group(start.encode(batch.problems[rows[0]]), [batch.completion_ids[i] for i in rows]))
    target = torch.tensor([t for g in groups for c in g.completions for t in c])

    def score(network):
        logits = padded_hidden(network, groups) @ network.lm_head.weight.T
        logits[:, start.banned_ids()] = -math.inf
        every = logits.log_softmax(-1)
        entropy = -(every.exp() * every.nan_to_num(neginf=0.0)).sum(-1)
        return every.gather(1, target[:, None])[:, 0], entropy

    logp, entropy = score(vlm)
    sizes = torch.tensor([len(ids) for ids in batch.completion_ids])
    row = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    keep = torch.tensor([not config.mask_truncated_completions or not cut for cut in batch.truncated])[row]
    reward = torch.tensor(spread(batch)).view(-1, G)
    advantage = ((reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)).flatten()[row]
    value, kl = -advantage * (logp - logp.detach()).exp(), torch.zeros_like(logp)
    if config.beta:
        gap = score(frozen)[0].detach() - logp
        kl = gap.exp() - gap - 1
        value = value + config.beta * kl
    value = torch.where(keep, value, 0)
    if config.loss_type == "dr_grpo":
        loss = value.sum() / (len(sizes) * LIMIT)
    elif config.loss_type == "grpo":
        kept = torch.zeros(len(sizes)).index_add(0, row, keep.float()).clamp(min=1)
        loss = (value / kept[row]).sum() / len(sizes)
    else:
        loss = value.sum() / keep.sum()
    loss = loss - config.entropy_coef * entropy[keep].mean()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in vlm.parameters() if p.grad is not None]).norm()
    return {"loss": loss.item(), "grad_norm": norm.item(), "kl": kl[keep].mean().item(),
    "entropy": entropy[keep].mean().item(),
            "tokens": int(keep.sum())}  # fmt: skip


@pytest.mark.parametrize("masked", (False, True))
@pytest.mark.parametrize("loss_type", ("grpo", "bnpo", "dr_grpo", "dapo"))
def test_truncated_completions_are_in_nothing_of_the_update(pool, start, loss_type, masked):
    """Not in objective, divisor, KL, entropy or means; they are in their group's mean. In one micro-batch or in
    several."""
    torch.manual_seed(3)
    frozen = copy.deepcopy(start.model)
    with torch.no_grad():
        for parameter in frozen.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    for budget, options in ((4096, {}), (60, {"beta": 0.05, "entropy_coef": 0.1}), (60, {"entropy_coef": 0.1})):
        options |= {"loss_type": loss_type, "mask_truncated_completions": masked}
        runner, spy = learner(pool, start, budget=budget, frozen=Policy(frozen), **options)
        metrics, records = grpo_step(runner, 1)
        (batch,) = spy.batches
        assert 0 < sum(batch.truncated) < len(batch)
        for name, want in by_hand(start, frozen, batch, runner.config).items():
            assert metrics[name] == pytest.approx(want, rel=2e-4, abs=2e-6), (name, options)
        assert metrics["completions/clipped_ratio"] == sum(batch.truncated) / len(batch)
        assert any(r["advantage"] != 0 for r in records if r["finish"] == "length")


def test_a_step_of_truncated_completions_alone_learns_nothing(pool, start):
    """Not even what Adam's momentum would do; no number is missing, and the schedule goes on."""
    runner, _ = learner(
        pool, start, mask_truncated_completions=True, beta=0.05, frozen=Policy(copy.deepcopy(start.model))
    )
    grpo_step(runner, 1)
    before = copy.deepcopy(runner.vlm.model.state_dict())
    runner.vlm.base.generation_config.eos_token_id = runner.vlm.tokenizer.eos_token_id  # hardly drawn
    runner.config.max_completion_length = 3
    metrics, records = grpo_step(runner, 2)
    assert {r["finish"] for r in records} == {"length"} and metrics["frac_reward_zero_std"] < 1
    assert all(torch.equal(value, before[name]) for name, value in runner.vlm.model.state_dict().items())
    assert metrics["loss"] == metrics["grad_norm"] == 0 and metrics["completions/mean_terminated_length"] == 0
    assert all(math.isfinite(value) for value in metrics.values())
    assert runner.optimizer.learning_rate < metrics["learning_rate"]
    runner.vlm.base.generation_config.eos_token_id = start.base.generation_config.eos_token_id
    runner.config.max_completion_length = LIMIT
    assert grpo_step(runner, 3)[0]["grad_norm"] > 0


def fickle(batch):
    """Spread in some groups only, and another answer whenever it is asked: a grader with a temperature, or one
    with memory."""
    state = batch.state.setdefault("asked", [])
    state.append(len(batch))
    return [
        float(i % 2) * (sum(map(len, batch.completion_ids[4 * (i // 4) : 4 * (i // 4) + 4])) % 3 == 0) + len(state)
        for i in range(len(batch))
    ]


@pytest.mark.parametrize("scale", ("none", "batch"))
def test_dynamic_sampling_counts_all_it_sampled_and_asks_once(pool, start, scale):
    runner, spy = learner(pool, start, fickle, prompts_per_step=4, dynamic_sampling=3, scale_rewards=scale)
    metrics, records = grpo_step(runner, 1)
    rounds = [len(batch.group_sizes) for batch in spy.batches]
    assert len(rounds) > 1 and metrics["dynamic_sampling/rounds"] == len(rounds) - 1
    assert metrics["dynamic_sampling/groups"] == sum(rounds[1:])
    live = [[len(set(values[i : i + G])) > 1 for i in range(0, len(values), G)] for values in spy.given]
    for drawn, following in zip(range(1, len(rounds)), rounds[1:]):
        assert following == 4 - sum(
            map(sum, live[:drawn])
        )  # as many as were missing, and nothing is drawn or asked twice

    rows, count = spy.rows, len(spy.rows)
    assert len(records) == count == G * sum(rounds) == G * len({r["problem_id"] for r in records})
    assert [r["reward"] for r in records] == pytest.approx(rows)
    assert metrics["reward"] == pytest.approx(sum(rows) / count)
    assert metrics["rewards/spy/std"] == pytest.approx(torch.tensor(rows).std().item(), rel=1e-6)
    every = [on for part in live for on in part]
    assert metrics["frac_reward_zero_std"] == pytest.approx(1 - sum(every) / len(every))
    lengths = [len(ids) for batch in spy.batches for ids in batch.completion_ids]
    assert metrics["completions/mean_length"] == pytest.approx(sum(lengths) / count)
    assert (metrics["completions/min_length"], metrics["completions/max_length"]) == (min(lengths), max(lengths))
    cut = [c for batch in spy.batches for c in batch.truncated]
    assert metrics["completions/clipped_ratio"] == pytest.approx(sum(cut) / count)
    assert metrics["num_tokens"] == sum(lengths) + sum(r["prompt_tokens"] for r in records)
    assert sum(metrics[f"language/{name}"] for name in LANGUAGES) == pytest.approx(1)
    seconds = sum(v for k, v in metrics.items() if k.startswith("timing_s/"))
    assert metrics["perf/tokens_per_s"] * seconds >= 0.9 * sum(lengths)

    # the update: live groups of every round and the last round's others; its batch gives scale_rewards=batch its spread
    starts = itertools.accumulate([0, *rounds[:-1]])
    update = [g for first, part, last in zip(starts, live, [False] * (len(rounds) - 1) + [True])
              for g, on in enumerate(part, first) if on or last]  # fmt: skip
    assert len(update) == 4
    reward = torch.tensor(rows, dtype=torch.float64).view(-1, G)
    want = torch.zeros_like(reward)
    want[update] = reward[update] - reward[update].mean(1, keepdim=True)
    if scale == "batch":
        want /= reward[update].std() + 1e-4
    assert [r["advantage"] for r in records] == pytest.approx(want.flatten().tolist(), abs=1e-6)
    assert metrics["tokens"] == sum(lengths[i] for i in range(count) if every[i // G])


class Scorer(Grader):
    """The grader, with verdicts that differ between groups (an untrained model is never right); remembers all of
    them."""

    def __init__(self, pool):
        super().__init__(pool)
        self.verdicts = []

    def collect(self, pending):
        right = [(n + len(self.verdicts)) % 3 == 0 and len(self.verdicts) % 4 < 3 for n in range(len(pending))]
        self.verdicts.append(right)
        return [dataclasses.replace(j, correct=c) for j, c in zip(super().collect(pending), right)]


def test_dynamic_sampling_does_not_choose_the_accuracy(pool, start):
    """Groups that all samples solve, or none, are drawn again for the update; they still count in what was measured."""
    verdict = lambda batch: [float(c) for c in batch.correct]
    runner, spy = learner(pool, start, verdict, prompts_per_step=4, dynamic_sampling=2)
    runner.grader = Scorer(pool)
    metrics, records = grpo_step(runner, 1)
    every = runner.grader.verdicts
    assert len(spy.batches) > 1 and len(every) > 4
    flat = [c for right in every for c in right]
    assert metrics["pass@1"] == pytest.approx(sum(flat) / len(flat))
    assert metrics["pass@k"] == pytest.approx(sum(map(any, every)) / len(every))
    assert [r["correct"] for r in records] == flat


@pytest.mark.parametrize("loss_type", ("grpo", "dr_grpo", "dapo", "gspo", "cispo", "sapo", "gppo", "reinforce"))
def test_the_entropy_bonus_is_a_token_mean(pool, start, loss_type):
    """Whatever the loss divides its policy term by, and however the step is split into micro-batches."""
    bound = {"epsilon_high": 5.0} if loss_type == "cispo" else {}
    seen = []
    for budget in (4096, 60):
        runner, _ = learner(pool, start, budget=budget, loss_type=loss_type, entropy_coef=0.3, **bound)
        metrics, _ = grpo_step(runner, 1)
        assert metrics["loss"] == pytest.approx(metrics["policy_loss"] - 0.3 * metrics["entropy"], rel=1e-5)
        seen.append(metrics)
    for name in ("loss", "grad_norm", "entropy"):
        assert seen[0][name] == pytest.approx(seen[1][name], rel=1e-4), name


def test_cispo_has_trls_bound():
    high = lambda **keys: TrainConfig(**keys).objective.handed_on().epsilon_high
    assert high(loss_type="cispo", epsilon_high=5.0) == 4.0  # the op caps at 1 + this
    assert high(epsilon_high=0.28) == 0.28
    for bound in (0.28, 1.0, None):
        with pytest.raises(
            UserError, match="epsilon_high must be above 1 with loss_type=cispo, where it bounds the ratio itself"
        ):
            TrainConfig(loss_type="cispo", epsilon_high=bound)
    with pytest.raises(UserError, match="use_bias_correction_kl cannot act here, because beta is 0"):
        require_acting(parse(TrainConfig, ["use_bias_correction_kl=true"], "train"))


def test_kl_times_ratio_has_its_own_gradient(pool, start):
    """With the ratio at 1 the value is the same and the gradient is not: KL + KL·∂logp."""
    torch.manual_seed(4)
    frozen = copy.deepcopy(start.model)
    with torch.no_grad():
        for parameter in frozen.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    seen = []
    for times in (False, True):
        runner, _ = learner(pool, start, beta=100.0, use_bias_correction_kl=times, frozen=Policy(frozen))
        seen.append(grpo_step(runner, 1)[0])
    assert seen[0]["loss"] == pytest.approx(seen[1]["loss"], rel=1e-5)
    assert abs(seen[0]["grad_norm"] / seen[1]["grad_norm"] - 1) > 1e-3


def test_losses_that_do_not_clip_report_no_clip_share(pool, start):
    for loss_type, extra in (("sapo", set()), ("cispo", {"cispo_clip_ratio"}), ("dapo", None)):
        bound = {"epsilon_high": 5.0} if loss_type == "cispo" else {}
        metrics, _ = grpo_step(learner(pool, start, loss_type=loss_type, **bound)[0], 1)
        found = {name for name in metrics if "clip_ratio" in name and not name.startswith("completions/")}
        assert found == (
            extra if extra is not None else {f"clip_ratio/{side}_mean" for side in ("low", "high", "region")}
        )
