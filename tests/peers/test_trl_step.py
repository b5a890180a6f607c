"""A whole `grpo_step`, sampling and all, against TRL's `_generate_and_score_completions` + `_compute_loss` on what it
sampled.

What a step masks, counts and divides by is decided in the loop, so it is the loop that is compared: truncated
completions in or out of the update, the spread of rewards, the entropy bonus and two updates of one rollout.
"""

import copy

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig, TrainConfig
from nsrl.data.shapes import Shapes
from nsrl.data.source import Rows
from nsrl.engines import EnginePool
from nsrl.models import loading
from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.rewards import Rewards
from nsrl.rollout.native import NativeSampler
from nsrl.trainer.grader import Grader
from nsrl.trainer.learner import Learner
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.problems import ProblemStream
from nsrl.types import ImageRef, Problem

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from tests.peers.trl_oracle import Oracle

G, PROMPTS, LIMIT = 4, 3, 8
STOPS = range(100, 130)  # so many end tokens that an untrained model ends about half of its completions
SPELLED = {"gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"}}


@pytest.fixture(scope="module")
def pool():
    with EnginePool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def vlm():
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=1)
    vlm.base.generation_config.eos_token_id = [*STOPS, vlm.tokenizer.eos_token_id]
    return vlm


def problems() -> list[Problem]:
    """Without a picture, with one, with three of unequal sizes."""
    drawn = [next(stream) for stream in [Shapes(1, 3, 0).train(0)] for _ in range(8)]
    pictures = [p.images[0] for p in drawn if p.images]
    big = ImageRef("big", lambda: pictures[0].open().resize((160, 96)))
    return [
        Problem("text", "What is 2 + 3?", "5"),
        Problem("one", "Count them.", "3", (pictures[0],)),
        Problem("three", "Which is the largest?", "2", (pictures[1], big, pictures[2])),
    ]


def compare(pool, vlm, updates=1, **options):
    """One step on both sides, and the share of completions that were cut off."""
    config = TrainConfig(
        prompts_per_step=PROMPTS, num_generations=G, max_completion_length=LIMIT, num_iterations=updates,
        seed=len(str(options)),
        reward_funcs=["odd"], reward_weights=[1.0], **{"scale_rewards": "group", "epsilon": 0.02,
        "epsilon_high": 0.03} | options,
    )  # fmt: skip
    mine = copy.copy(vlm)
    mine.model = copy.deepcopy(vlm.model)
    frozen = copy.deepcopy(vlm.model) if config.beta else None
    if frozen is not None:
        with torch.no_grad():
            for parameter in frozen.parameters():
                parameter += 0.01 * torch.randn(
                    parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())
                )
    seen = []

    def odd(batch):
        """Spread in every group; keeps what was sampled."""
        seen.append(batch)
        return [float(ids[0] % 3) + 0.1 * len(ids) for ids in batch.completion_ids]

    optimizer = Optimizer(mine.model, learning_rate=0.02, schedule="constant", warmup=0, total=9, max_grad_norm=1e9)
    optimizer.inner = torch.optim.SGD(optimizer.parameters, lr=0.02)
    optimizer.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer.inner, lambda _: 1.0)
    gradients, losses, step, names = (
        [],
        [],
        optimizer.step,
        [n for n, p in mine.model.named_parameters() if p.requires_grad],
    )
    optimizer.step = lambda: (
        gradients.append({n: p.grad.clone() for n, p in zip(names, optimizer.parameters)}) or step()
    )
    learner = Learner(
        config, mine, Policy(mine.model), NativeSampler(mine.model), Grader(pool), Rewards([odd]), optimizer,
        ProblemStream(Rows(problems())), 160, reference=None if frozen is None else Policy(frozen),
    )  # fmt: skip
    metrics, _ = grpo_step(learner, 1)

    (batch,) = seen
    groups = []
    for rows in batch.groups():
        problem = batch.problems[rows[0]]
        groups.append(Group(vlm.encode(problem), [batch.completion_ids[i] for i in rows]))
    oracle = Oracle(
        vlm.model, frozen, image_token=vlm.config.image_token_id, stop_ids=vlm.stop_ids(), banned=vlm.banned_ids(),
        rows=PROMPTS * G, num_generations=G, max_completion_length=LIMIT, num_iterations=updates,
        **{"scale_rewards": "group", "epsilon": 0.02, "epsilon_high": 0.03, "use_bias_correction_kl": False}
        | options | SPELLED.get(config.loss_type, {}),
    )  # fmt: skip
    inputs = oracle.inputs(groups, torch.tensor(odd(batch)))
    sgd = torch.optim.SGD(oracle.model.parameters(), lr=0.02)
    for number in range(updates):
        losses.append(oracle.backward(inputs))
        for name, want in oracle.gradients().items():
            worst = (gradients[number][name] - want).norm() / want.norm().clamp(min=1e-6)
            assert worst < 1e-4, (name, float(worst))  # of each tensor by itself; of the whole gradient below
        whole = lambda terms: sum(float(t.double().pow(2).sum()) for t in terms) ** 0.5
        want = oracle.gradients()
        assert whole(gradients[number][n] - want[n] for n in want) < 1e-5 * whole(want.values())
        sgd.step(), sgd.zero_grad()
    assert metrics["loss"] == pytest.approx(losses[-1], abs=1e-6)
    assert metrics["entropy"] == pytest.approx(oracle.metric("entropy"), rel=1e-5)
    if config.beta:
        assert metrics["kl"] == pytest.approx(oracle.metric("kl"), rel=1e-4)
    assert metrics["reward"] == pytest.approx(oracle.metric("reward"))
    assert metrics["rewards/odd/std"] == pytest.approx(oracle.metric("rewards/reward 0/std"))
    return metrics["completions/clipped_ratio"], metrics


@pytest.mark.parametrize("loss_type", ("grpo", "bnpo", "dr_grpo", "dapo", "gspo", "cispo", "sapo"))
def test_truncated_completions(pool, vlm, loss_type):
    """Out of objective, divisor, KL, entropy and means; in the group's mean and spread; masked or not, one update
    and two."""
    bound = {"epsilon_high": 1.03} if loss_type == "cispo" else {}
    tokens = {}
    for masked in (False, True):
        for more in ({}, {"beta": 0.05}, {"entropy_coef": 0.1}, {"updates": 2, "beta": 0.05, "entropy_coef": 0.1}):
            cut, metrics = compare(pool, vlm, loss_type=loss_type, mask_truncated_completions=masked, **bound, **more)
            assert 0 < cut < 1
            tokens[masked] = metrics["tokens"]
    assert tokens[True] < tokens[False]


@pytest.mark.parametrize("scale", ("none", "batch"))
def test_spread(pool, vlm, scale):
    compare(pool, vlm, loss_type="dapo", scale_rewards=scale, mask_truncated_completions=True)
