"""What each of two processes does in the tests of the adapters under DDP, FSDP2 and tensor parallelism (gloo)."""

import os

import torch
import torch.distributed as dist
from transformers import AutoModelForCausalLM


def trainer(adapted: bool, model: str, out: str, options: dict) -> None:
    """Three steps of TRL's trainer under DDP; rank 0 saves losses and weights."""
    os.environ["LOCAL_RANK"] = os.environ["RANK"]
    from tests.peers import test_trl_trainer as steps

    kind = steps.GRPOTrainer if adapted else steps.trl.GRPOTrainer
    losses, logs, weights = steps.run(kind, model, f"{out}-{adapted}", 3, **options)
    assert dist.get_world_size() == 2
    torch.save((losses, logs, weights), f"{out}-{adapted}-{dist.get_rank()}.pt")


def batch(rank: int):
    """(ids, labels) of this rank's two rows, of unequal lengths."""
    rng = torch.Generator().manual_seed(rank)
    ids = torch.randint(2, 40, (2, 12), generator=rng)
    labels = ids.clone()
    labels[:, :4], labels[1, 9 - rank :] = -100, -100
    return ids, labels


def score(model, rank: int) -> torch.Tensor:
    """A sum of log-probs and entropies by the fused head."""
    ids, labels = batch(rank)
    out = model(input_ids=ids, labels=labels, fused_lm_head=True)
    return out.log_probs.sum() + 0.3 * out.entropy.sum()


def sharded(folder: str) -> None:
    """FSDP2 over both ranks, the head in the root's share: the mean gradient of what each scores, as of one model."""
    from torch.distributed.fsdp import fully_shard

    from nsrl_kernels.adapters.trl import put_head

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    whole, parted = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
    for model in (whole, parted):
        put_head(model, entropy_gradient=lambda: True)
    for layer in parted.model.layers:
        fully_shard(layer)
    fully_shard(parted)
    score(parted, rank).backward()
    (sum(score(whole, other) for other in range(2)) / 2).backward()
    for (name, got), (_, want) in zip(parted.named_parameters(), whole.named_parameters()):
        torch.testing.assert_close(got.grad.full_tensor(), want.grad, rtol=1e-4, atol=1e-5, msg=name)
    dist.destroy_process_group()


def verl_head() -> None:
    """verl's head over two shards: log-probs and entropies of the whole, shares of its ∂hidden, rows of its ∂weight."""
    from tests.peers.verl_oracle import core_algos

    core_algos()
    from nsrl_kernels.adapters.verl import linear_cross_entropy

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, rows = dist.get_rank(), 60
    rng = torch.Generator().manual_seed(1)
    hidden, weight = torch.randn(1, 11, 16, generator=rng), torch.randn(2 * rows, 16, generator=rng)
    labels, g = torch.randint(0, 2 * rows, (1, 11), generator=rng), torch.randn(11, generator=rng)

    def run(weight, group):
        x, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        logp, entropy = linear_cross_entropy(x, w, labels, 0.9, "none", group)
        ((logp * g).sum() + 0.3 * entropy.sum()).backward()
        return logp.detach(), entropy.detach(), x.grad, w.grad

    logp, entropy, d_hidden, d_weight = run(weight[rank * rows :][:rows], dist.group.WORLD)
    want, wanted, whole, of_all = run(weight, None)
    dist.all_reduce(d_hidden)  # as the layer before does
    torch.testing.assert_close((logp, entropy, d_hidden), (want, wanted, whole), rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(d_weight, of_all[rank * rows :][:rows], rtol=2e-5, atol=2e-5)
    dist.destroy_process_group()
