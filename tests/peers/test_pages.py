"""The lines of docs/in-liger.md, in-accelerate.md and in-verl.md, as they stand (in-trl.md's: test_trl_trainer.py)."""

import copy

import pytest
import torch

from tests.peers.pages import blocks


def small():
    """A model as transformers lays it out, `.model` and `.lm_head`, with its head in fp32."""
    pytest.importorskip("transformers")
    from tests.peers import tiny

    torch.manual_seed(0)
    return tiny.Qwen3ForCausalLM(tiny.Qwen3Config(**tiny.SIZES, vocab_size=60, tie_word_embeddings=False))


def samples():
    """(ids, mask of ids[:, 1:], advantages) of eight rows."""
    rng = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 60, (8, 12), generator=rng)
    return ids, torch.arange(11).expand(8, 11) >= 4, torch.randn(8, generator=rng)


def test_liger():
    rng = torch.Generator().manual_seed(0)
    names = {
        "hidden": torch.randn(3, 7, 16, generator=rng).requires_grad_(),
        "weight": torch.randn(101, 16, generator=rng),
        "ids": torch.randint(0, 101, (3, 7), generator=rng),
        "mask": torch.ones(3, 7),
        "advantages": torch.randn(3, generator=rng),
    }
    names |= {"reference": torch.randn(3, 7, generator=rng) - 6, "old": torch.randn(3, 7, generator=rng) - 6}
    (block,) = blocks("in-liger.md")
    exec(block, names)
    got, metrics = names["hidden"].grad, (names["kl"], names["clipped"])
    liger = pytest.importorskip("liger_kernel.chunked_loss")
    theirs = liger.LigerFusedLinearGRPOLoss(beta=0.04, loss_type="dapo", temperature=1.0, compiled=False)
    hidden = names["hidden"].detach().requires_grad_()
    loss, wanted = theirs(
        hidden, *(names[k] for k in ("weight", "ids", "mask", "advantages")),
        ref_per_token_logps=names["reference"], old_per_token_logps=names["old"],
    )  # fmt: skip
    loss.backward()
    torch.testing.assert_close((names["loss"], got, *metrics), (loss, hidden.grad, *wanted), rtol=1e-4, atol=1e-6)


def moved(before, after):
    """Whether every weight of the model that the loss reaches has changed, and is fp32 still."""
    return all(
        p.dtype == torch.float32 and not torch.equal(p, dict(before.named_parameters())[n])
        for n, p in after.named_parameters()
    )


def test_accelerate():
    state = pytest.importorskip("accelerate.state").AcceleratorState
    state._reset_state(True)  # of another test's Accelerator: a process has one precision
    model, (ids, mask, advantages) = small(), samples()
    before = copy.deepcopy(model)
    code = blocks("in-accelerate.md")[0]
    names = {"model": model, "ids": ids, "mask": mask, "advantages": advantages, "__name__": "page"}
    exec(code, names)
    state._reset_state(True)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = before.model(input_ids=ids).last_hidden_state[:, :-1]
        logits = torch.nn.functional.linear(hidden, before.lm_head.weight)
    want = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    assert names["logp"].dtype == torch.float32 and not names["logp"][~mask].any()
    assert (names["logp"] - want)[mask].abs().max() < 0.05  # the logits of a Linear are rounded to bf16
    assert moved(before, model)


def test_lightning():
    pytest.importorskip("lightning", reason="Lightning is not installed here; `make test-peers` makes an environment")
    model = small()
    before = copy.deepcopy(model)
    names = {"model": model, "samples": list(zip(*samples())), "__name__": "page"}
    exec(blocks("in-accelerate.md")[1], names)
    assert names["trainer"].global_step == 1 and moved(before, model)


def test_verl():
    from tests.peers.verl_oracle import ROOT, core_algos

    if not ROOT.is_dir():
        pytest.skip("verl is not installed here; `make test-peers` makes an environment of it")
    algos = core_algos()
    kept = [dict(table) for table in (algos.POLICY_LOSS_REGISTRY, algos.ADV_ESTIMATOR_REGISTRY)]
    from nsrl_kernels.adapters import verl as adapter

    theirs = adapter.head.linear_cross_entropy
    rng = torch.Generator().manual_seed(0)
    names = {"hidden": torch.randn(2, 5, 8, generator=rng), "weight": torch.randn(33, 8, generator=rng)}
    names["labels"] = torch.randint(0, 33, (2, 5), generator=rng)
    try:
        for block in blocks("in-verl.md"):
            exec(block, names)
        assert algos.get_policy_loss_fn("gspo") is adapter.LOSSES["gspo"]
        assert algos.get_policy_loss_fn("nsrl_gspo") is adapter.LOSSES["gspo"]
        assert algos.get_adv_estimator_fn("grpo") is adapter.ESTIMATORS["grpo"]
        assert adapter.head.linear_cross_entropy is adapter.linear_cross_entropy
        want = (names["hidden"] @ names["weight"].T).log_softmax(-1).gather(-1, names["labels"][..., None]).flatten()
        torch.testing.assert_close(names["log_probs"], want, rtol=1e-5, atol=1e-5)
    finally:
        adapter.head.linear_cross_entropy = theirs
        for table, before in zip((algos.POLICY_LOSS_REGISTRY, algos.ADV_ESTIMATOR_REGISTRY), kept):
            table.clear()
            table.update(before)
