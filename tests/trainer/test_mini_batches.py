"""Several updates per rollout, and terms that some tokens have: each against an update made by hand."""

import copy
import signal

import forked
import pytest
import torch

from nsrl.config import TrainConfig
from nsrl.config.schema import SCALES
from nsrl.models.pack import pack_metrics
from nsrl.rewards import Rewards
from nsrl.trainer import loss as objective
from nsrl.trainer.advantage import step_advantages
from nsrl.trainer.loop import draw, grpo_step
from nsrl.trainer.metrics import Timer
from nsrl.trainer.mini_batches import before_updates, mini_batches, nll_weights, packed
from nsrl_kernels import group_advantage
from nsrl_kernels.ops.policy_loss.select import clip_cov, covariance, high_entropy, kl_cov
from tests.trainer.test_distributed import assert_same_rows, assert_same_weights, rows, settings
from tests.trainer.test_loop import learner, odd_first_token


def first_of_two(batch):
    """Spread in the first, third, ... group alone; longer completions are not alike in their rewards."""
    return [
        float(i % 2) if row % 2 == 0 else 0.0 for row, rows in enumerate(batch.groups()) for i, _ in enumerate(rows)
    ]


def runner(pool, reward=odd_first_token, **options):
    made = learner(pool, **{"prompts_per_step": 6, "parity_check": False} | options)
    made.rewards = Rewards([reward])
    return made


def gained(made, groups, components):
    lengths = [len(s.logps) for g in groups for s in g.samples]
    sizes = [len(g.samples) for g in groups]
    return step_advantages(components, sizes, len(groups), made.rewards.weights, "none", lengths)


def begun(pool, reward=odd_first_token, **options):
    """(learner, its mini-batches with their micro-batches, advantages of its completions) of a rollout."""
    made = runner(pool, reward, **options)
    groups, scores = draw(made, made.config.prompts_per_step, 1, 0)
    gain = gained(made, groups, scores.components)
    parts = mini_batches(made, groups, gain, {})
    batches = packed(made, parts)
    rows = [row for part in parts for _, rows in part.mine for row in rows]
    return made, parts, batches, gain.advantages[rows].float()


def weights(made):
    return torch.cat([p.detach().flatten() for p in made.vlm.model.parameters()])


def test_groups_are_dealt_out_evenly_and_all_are_counted(pool):
    _, parts, batches, _ = begun(pool, first_of_two, prompts_per_step=8, mini_batches=3)
    _, (one,), *_ = begun(pool, first_of_two, prompts_per_step=8)
    assert [len(part.learning) for part in parts] == [2, 1, 1] and len(one.learning) == 4
    assert sum(part.tokens for part in parts) == one.tokens and sum(part.sequences for part in parts) == 32
    assert sorted(part.sequences for part in parts) == [8, 12, 12]
    learned = [g.problem.id for part in parts for g, _ in part.learning]
    assert sorted(learned) == sorted(g.problem.id for g, _ in one.learning) and len(set(learned)) == 4
    for part in parts:  # their rows and tokens are counted through, each once
        assert sum(len(g.learns) for g, _ in part.mine) == sum(len(b.rows) for b in part.batches)
    assert torch.cat([b.rows for b in batches]).sort().values.tolist() == list(range(16))
    tokens = torch.cat([b.token_rows for b in batches]).sort().values.tolist()
    assert tokens == list(range(sum(len(s.logps) for part in parts for g, _ in part.mine for s in g.samples)))
    assert pack_metrics(batches)["pack/vision_ratio"] > 1


@pytest.mark.parametrize("options", [{}, {"lora": True, "dropout": 0.5}], ids=["all weights", "dropout"])
def test_mini_batches_are_updates_by_hand(pool, options):
    """Two mini-batches twice over: each update is of its groups alone, against log-probs from before the first one."""
    options = dict(mini_batches=2, num_iterations=2, loss_type="grpo", epsilon=0.001, epsilon_high=0.002) | options
    made = runner(pool, **options)
    metrics, _ = grpo_step(made, 1)
    by_hand, parts, micro_batches, advantage_R = begun(pool, **options)
    config, policy, banned = by_hand.config, by_hand.policy, by_hand.banned
    sampled_N = torch.tensor([p for part in parts for g, _ in part.mine for s in g.samples for p in s.logps])
    clean_N = objective.without_dropout(policy, micro_batches, len(sampled_N), config, banned,
                                        Timer())  # fmt: skip
    old_N = torch.zeros_like(sampled_N)
    for number, part in enumerate(parts):
        for index, batch in enumerate(part.batches):
            with torch.no_grad():
                name = ("grpo", 1, number, 0, index)
                scored = policy.score(batch, temperature=1.0, banned=banned, dropout=name)
            old_N[batch.token_rows] = scored.logp
    seen = []
    for _ in range(2):
        for number, part in enumerate(parts):
            vector = objective.backward(
                policy, part.batches, advantage_R, old_N, sampled_N, None, float(part.sequences), config, banned,
                Timer(), dropout=("grpo", 1, number), clean_N=clean_N,
            )  # fmt: skip
            seen.append((dict(zip(objective.NAMES, vector.tolist())), float(by_hand.optimizer.step())))
    torch.testing.assert_close(weights(made), weights(by_hand), rtol=0, atol=0)
    assert made.optimizer.steps == by_hand.optimizer.steps == 4
    last = seen[2:]
    assert metrics["loss"] == pytest.approx(sum(m["loss"] for m, _ in last) / 2, abs=1e-7)
    assert metrics["grad_norm"] == pytest.approx(sum(norm for _, norm in last) / 2)
    assert metrics["tokens"] == sum(m["tokens"] for m, _ in last) == len(sampled_N)
    assert metrics["ratio/max"] == max(m["ratio/max"] for m, _ in last) > 1
    assert metrics["clip_ratio/region_mean"] > 0
    first = seen[0][0]
    assert first["ratio/min"] == pytest.approx(1, abs=1e-5) and first["ratio/max"] == pytest.approx(1, abs=1e-5)
    assert seen[1][0]["ratio/max"] > 1 + 1e-4  # the second mini-batch of the first pass is off-policy


def test_one_mini_batch_asks_for_no_further_pass(pool, monkeypatch):
    counts = {}
    for count, options in ((1, {}), (2, {"mini_batches": 2}), (3, {"objective": {"top_entropy": 0.5}})):
        made = runner(pool, **{k: v for k, v in options.items() if k != "objective"})
        if "objective" in options:
            made.config = copy.copy(made.config)
            made.config.objective = made.config.objective.__class__(**options["objective"])
        calls, score = [], made.policy.score
        monkeypatch.setattr(
            made.policy, "score", lambda *a, _s=score, _c=calls, **k: (_c.append(k.get("grad", True)), _s(*a, **k))[1]
        )
        grpo_step(made, 1)
        counts[count] = calls.count(False)
    assert counts[1] == 0 and counts[2] > 0 and counts[3] > 0


def test_a_mini_batch_without_a_live_group_moves_the_schedule_alone(pool):
    made = runner(pool, lambda batch: [float(i % 2) if i < 4 else 0.0 for i in range(len(batch))], mini_batches=3)
    metrics, _ = grpo_step(made, 1)
    assert made.optimizer.steps == 3 and metrics["grad_norm"] > 0
    assert {s["step"].item() for s in made.optimizer.inner.state.values()} == {1.0}  # AdamW's own
    made = runner(pool, lambda batch: [1.0] * len(batch), mini_batches=3, num_iterations=2)
    before = weights(made)
    grpo_step(made, 1)
    assert made.optimizer.steps == 6 and torch.equal(weights(made), before)


def test_right_completions_are_learned_by_themselves(pool):
    """nll_coef is the gradient of c times the mean -log-prob of right completions' tokens, dead groups' too."""

    def right_ones(batch):
        for i in range(len(batch)):
            batch.correct[i] = i % 3 == 0
        return [1.0] * len(batch)  # no group has spread: what is learned is that term

    for loss_type in ("grpo", "dapo", "dr_grpo"):
        config = TrainConfig(loss_type=loss_type, parity_check=False, max_completion_length=12, num_generations=4,
                             prompts_per_step=3, reward_funcs=["format"], reward_weights=[1.0])  # fmt: skip
        config.objective = config.objective.__class__(loss_type=loss_type, nll_coef=0.3)
        made, parts, batches, advantage_R = _with(pool, config, lambda i: i % 3 == 0)
        assert (advantage_R == 0).all() and parts[0].right > 0
        weights_N = {"nll_weights": nll_weights(made, parts)}
        objective.backward(
            made.policy, batches, advantage_R, None, None, None, objective.normalizer(config, parts[0].tokens, 12),
            config, made.banned, Timer(), weights_N=weights_N,
        )  # fmt: skip
        got = torch.cat([p.grad.flatten() for p in made.optimizer.weights if p.grad is not None])
        made.vlm.model.zero_grad(set_to_none=True)
        right_R = torch.tensor([g.correct[i] is True for part in parts for g, _ in part.mine for i in g.learns])
        length_R = torch.tensor([len(g.samples[i].logps) for part in parts for g, _ in part.mine for i in g.learns])
        right_N = right_R.repeat_interleave(length_R)
        loss = 0.0
        for batch in batches:
            logp = made.policy.score(batch, temperature=1.0, banned=made.banned).logp
            loss = loss - 0.3 * logp[right_N[batch.token_rows]].sum() / right_N.sum()
        loss.backward()
        want = torch.cat([p.grad.flatten() for p in made.optimizer.weights if p.grad is not None])
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-7)


def _with(pool, config, right):
    made = runner(pool, lambda batch: [1.0] * len(batch))
    made.config = config
    groups, scores = draw(made, config.prompts_per_step, 1, 0)
    numbers = iter(range(10**6))
    for group in groups:
        group.correct = [right(next(numbers)) for _ in group.samples]
    gain = gained(made, groups, scores.components)
    parts = mini_batches(made, groups, gain, {})
    batches = packed(made, parts)
    return made, parts, batches, torch.zeros(sum(len(rows) for part in parts for _, rows in part.mine))


# -- tokens that are treated apart -------------------------------------------------------------------------------------


def test_tokens_are_chosen_as_their_definitions_say():
    rng = torch.Generator().manual_seed(3)
    logp, advantage, entropy, draw_N = (torch.randn(101, generator=rng, dtype=torch.float64) for _ in range(4))
    for share in (0.2, 0.37, 1.0):
        assert torch.equal(high_entropy(entropy, share), entropy >= torch.quantile(entropy, 1 - share))
    together = covariance(logp, advantage)
    assert float(together.mean()) == pytest.approx(float(torch.cov(torch.stack([logp, advantage]), correction=0)[0, 1]))
    top = kl_cov(together, 0.1)
    assert (
        int(top.sum()) == 10 and together[top].min() > together[~top].max() and int(kl_cov(together, 1e-4).sum()) == 1
    )
    inside = (together > 0.2) & (together < 1.5)
    some = clip_cov(together, 0.05, (0.2, 1.5), draw_N)
    assert int(some.sum()) == 5 and not (some & ~inside).any() and draw_N[some].max() < draw_N[inside & ~some].min()
    assert torch.equal(clip_cov(together, 0.9, (0.2, 1.5), draw_N), inside)
    assert not clip_cov(together, 0.05, (90.0, 91.0), draw_N).any()
    assert len(high_entropy(entropy[:0], 0.2)) == len(clip_cov(together[:0], 0.2, (0, 1), draw_N[:0])) == 0


def test_chosen_tokens_of_a_mini_batch_whatever_its_micro_batches(pool):
    """The choice is of the whole mini-batch, by the policy before the first update, and drawn by seed and step."""
    found = []
    for budget in (4096, 90):
        made, parts, _, advantage_R = begun(pool, mini_batches=2, budget=budget)
        made.config.objective = made.config.objective.__class__(
            top_entropy=0.3, clip_cov=0.1, cov_band=(0.0, 9.0), kl_cov=0.05
        )
        _, weights_N = before_updates(made, parts, advantage_R, objective.AS_IT_IS, _count(parts), 1)
        assert weights_N.keys() == {"policy_weights", "drift_weights"}
        lengths = [sum(len(s.logps) for g, _ in part.mine for s in g.samples) for part in parts]
        for kept, paying, n in zip(*(weights_N[name].split(lengths) for name in weights_N), lengths):
            low, high = sorted((float(kept.sum()), float(paying.sum())))
            assert low == max(1, int(0.05 * n)) and 0.2 * n - 1 <= high <= 0.3 * n + 1
        found.append({(number, row): values for number, row, values in _by_row(parts, weights_N)})
    assert found[0].keys() == found[1].keys() and all(found[0][key] == found[1][key] for key in found[0])


def _count(parts):
    return sum(len(g.samples[i].logps) for part in parts for g, _ in part.mine for i in g.learns)


def _by_row(parts, weights_N):
    first = 0
    for number, part in enumerate(parts):
        for group, numbers in part.mine:
            for i, row in zip(group.learns, numbers):
                last = first + len(group.samples[i].logps)
                yield number, row, [weights_N[name][first:last].tolist() for name in sorted(weights_N)]
                first = last


def test_estimators_that_weight_by_tokens_get_the_updates_lengths():
    """In one round, and of the update's groups alone where rounds of dynamic sampling replaced some."""
    rng = torch.Generator().manual_seed(6)
    reward, lengths = torch.randn(16, 1, generator=rng, dtype=torch.float64), torch.randint(1, 30, (16,), generator=rng)
    reward[4:8] = 0.5  # dead, and replaced by the last group
    for name in ("opo", "reinforce++_baseline"):
        whole = group_advantage(reward, 4, mode=SCALES[name], lengths=lengths)
        got = step_advantages(reward, [4] * 4, 4, [1.0], name, lengths.tolist())
        assert torch.equal(got.advantages, whole.advantages)
    kept = [*range(4), *range(8, 16)]
    want = group_advantage(reward[kept], 4, mode="opo", lengths=lengths[kept]).advantages
    got = step_advantages(reward, [4] * 4, 1, [1.0], "opo", lengths.tolist())
    assert torch.equal(got.advantages[kept], want) and (got.advantages[4:8] == 0).all()


# -- whole runs --------------------------------------------------------------------------------------------------------

EVERYTHING = [
    "mini_batches=2", "num_iterations=2", "objective.nll_coef=0.1", "objective.top_entropy=0.8",
    "objective.clip_cov=0.05", "objective.cov_band=[0,9]", "objective.kl_cov=0.05", "noise_gate=2", "max_steps=4",
    "save_steps=2", "prompts_per_step=5", "lr_scheduler_type=linear", "warmup_steps=3", "epsilon=0.01",
]  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    done = forked.run("nsrl.train", *settings(folder), *EVERYTHING, f"output_dir={folder}/run")
    assert done.returncode == 0, done.stderr[-3000:]
    steps = [row for row in rows(folder / "run") if row["phase"] == "grpo"]
    assert [row["learning_rate"] for row in steps[:3]] == pytest.approx(
        [3e-4, 3e-4 * (1 - 4 / 13), 3e-4 * (1 - 8 / 13)]
    )
    assert any(row["clip_ratio/region_mean"] > 0 for row in steps)
    return folder / "run"


def test_a_resumed_run_is_the_same_bit_for_bit(one, tmp_path):
    first = forked.run("nsrl.train", *settings(tmp_path), *EVERYTHING, f"output_dir={tmp_path}/run", "max_steps=4",
                       kill=("nsrl.trainer.loop.objective", "backward", 11, signal.SIGKILL))  # fmt: skip
    assert first.returncode == -9, first.stderr[-3000:]
    again = forked.run("nsrl.train", f"output_dir={tmp_path}/run", "--resume")
    assert again.returncode == 0 and "resumed from checkpoint-2" in again.stdout, again.stderr[-3000:]
    assert rows(tmp_path / "run") == rows(one)
    ends = [(folder / "latest" / "model.safetensors").read_bytes() for folder in (tmp_path / "run", one)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.long)])
def test_two_ranks_are_one(one, tmp_path, parallel):
    done = forked.ranks(2, "nsrl.train", *settings(tmp_path), *EVERYTHING, f"output_dir={tmp_path}/run",
                        f"parallel={parallel}")  # fmt: skip
    assert [rank.returncode for rank in done] == [0, 0], [rank.stderr[-3000:] for rank in done]
    assert_same_rows(rows(tmp_path / "run"), rows(one))
    assert_same_weights(tmp_path / "run" / "latest", one / "latest")
