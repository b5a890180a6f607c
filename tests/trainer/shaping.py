"""A small learner whose steps have contexts and shape functions, and dense log-probs without any of our packing."""

import copy
import hashlib
import math
from dataclasses import replace

import torch

from nsrl.config import LoraConfig, ModelConfig, TrainConfig
from nsrl.data.shapes import Shapes
from nsrl.models import loading
from nsrl.models.pack import Group
from nsrl.models.padded import padded_hidden
from nsrl.models.policy import Policy
from nsrl.models.prompt import PromptImage
from nsrl.rewards import Rewards
from nsrl.rollout.native import NativeSampler
from nsrl.trainer.distributed import ALONE
from nsrl.trainer.grader import Grader
from nsrl.trainer.learner import Learner
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.shape import ShapeFunctions

G, LIMIT = 4, 8


SEEN = []  # the batches that `spread` was asked about


def spread(batch):
    """A reward with spread in the groups of some problems and none in those of others."""
    SEEN.append(batch)
    even = [sum(map(ord, p.id)) % 3 > 0 for p in batch.problems]
    return [float(ids[0] % 3) + 0.1 * len(ids) if on else 0.5 for on, ids in zip(even, batch.completion_ids)]


def untrained(lora=False, dropout=0.0):
    """A model with so many end tokens that some of its completions end early."""
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=lora, r=4, dropout=dropout), seed=2)
    vlm.base.generation_config.eos_token_id = [*range(100, 130), vlm.tokenizer.eos_token_id]
    return vlm


def learner(pool, start, *, world=ALONE, budget=4096, lr=1e-3, functions=None, **options):
    """functions: shape functions by name, in place of files."""
    config = TrainConfig(
        reward_funcs=["spread"],
        reward_weights=[1.0],
        **{
            "prompts_per_step": 4,
            "num_generations": G,
            "max_completion_length": LIMIT,
            "scale_rewards": "group",
            "epsilon_high": None,
        }
        | options,
    )
    vlm = copy.copy(start)
    vlm.model = copy.deepcopy(start.model)
    optimizer = Optimizer(
        vlm.model, learning_rate=lr, schedule="constant", warmup=0, total=10, max_grad_norm=1e9, world=world
    )
    shapes = ShapeFunctions(config.shape_funcs)
    if functions:
        shapes.functions, config.shape_funcs = functions, list(functions)
    return Learner(
        config, vlm, Policy(vlm.model), NativeSampler(vlm.model), Grader(pool), Rewards([spread]), optimizer,
        ProblemStream(Shapes(1, 0, 10), 0, vlm, world), budget, world=world, shapes=shapes,
    )  # fmt: skip


def seen_gradients(runner):
    """The gradients of every following update, by parameter name: a list that grows."""
    found, inner = [], runner.optimizer.step

    def step():
        found.append({n: p.grad.clone() for n, p in runner.vlm.model.named_parameters() if p.grad is not None})
        return inner()

    runner.optimizer.step = step
    return found


def dense(vlm, network, groups, paint=None):
    """(logp, entropy) of each completion token, from padded rows and whole logits. paint: (key, patches) to patches."""
    if paint is not None:
        groups = [
            Group(
                replace(
                    g.prompt,
                    images=tuple(
                        PromptImage((i.key, "other"), i.grid, paint(i.key, i.patches)) for i in g.prompt.images
                    ),
                ),
                g.completions,
            )
            for g in groups
        ]
    target = torch.tensor([t for g in groups for c in g.completions for t in c])
    logits = padded_hidden(network, groups) @ network.get_output_embeddings().weight.T
    logits[:, vlm.banned_ids()] = -math.inf
    every = logits.log_softmax(-1)
    entropy = -(every.exp() * every.nan_to_num(neginf=0.0)).sum(-1)
    return every.gather(1, target[:, None])[:, 0], entropy


def drawn_patches(seed, step, key, count, share):
    """Which patches of an image are painted: the draw written out."""
    words = hashlib.blake2b(repr((seed, step, key)).encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(words, "big"))
    return torch.rand(count, generator=generator) < share, generator


def black(seed, step, share):
    def paint(key, patches):
        chosen, _ = drawn_patches(seed, step, key, len(patches), share)
        return torch.where(chosen[:, None], -1.0, patches)

    return paint


def noise(seed, step, share, sigma):
    def paint(key, patches):
        chosen, generator = drawn_patches(seed, step, key, len(patches), share)
        return patches + sigma * chosen[:, None] * torch.randn(patches.shape, generator=generator)

    return paint


def sampled(runner, batches, live=True):
    """The groups of the batches a reward saw, encoded anew: (groups, advantages (R,) by hand); those with spread
    alone, or all."""
    groups, advantages = [], []
    for batch in batches:
        rewards = spread(batch)
        SEEN.pop()
        for rows in batch.groups():
            r = torch.tensor([rewards[i] for i in rows])
            if live and r.max() == r.min():
                continue
            groups.append(
                Group(runner.vlm.encode(batch.problems[rows[0]]), [list(batch.completion_ids[i]) for i in rows])
            )
            advantages.append((r - r.mean()) / (r.std() + 1e-4))
    return groups, torch.cat(advantages)


def per_token(groups, value_R):
    """A value of each completion for each of its tokens."""
    return value_R.repeat_interleave(torch.tensor([len(c) for g in groups for c in g.completions]))
