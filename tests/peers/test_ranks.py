"""The adapters in two processes: TRL's trainer under DDP, its head under FSDP2, verl's head over two shards."""

import pytest
import torch
import torch.distributed as dist

if not dist.is_available() or not dist.is_gloo_available():
    pytest.skip("torch.distributed has no gloo here", allow_module_level=True)
pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from tests import forked
from tests.peers import ranks, tiny
from tests.peers.verl_oracle import ROOT


def require(done):
    for each in done:
        assert each.returncode == 0, each.stderr[-4000:]


def test_trl_under_ddp(tmp_path):
    options = {"loss_type": "dapo", "beta": 0.04, "num_iterations": 2, "entropy_coef": 0.01}
    model, out = tiny.folder(tmp_path / "model"), str(tmp_path / "out")
    for adapted in (False, True):
        require(forked.call_ranks(2, ranks.trainer, adapted, model, out, options, timeout=900))
    for rank in range(2):
        (want, logs, weights), (got, logged, ours) = (torch.load(f"{out}-{a}-{rank}.pt") for a in (False, True))
        assert got == pytest.approx(want, abs=1e-6)
        for row, other in zip(logged, logs, strict=True):
            assert row == pytest.approx(other, abs=1e-4, rel=1e-3, nan_ok=True)
        assert all(torch.allclose(ours[name], weights[name], atol=2e-5) for name in weights)


@pytest.mark.parametrize("tied", (True, False))
def test_the_head_under_fsdp2(tmp_path, tied):
    folder = tiny.folder(tmp_path / "model", tie_word_embeddings=tied)
    require(forked.call_ranks(2, ranks.sharded, folder, timeout=600))


def test_verls_head_over_two_shards():
    if not ROOT.is_dir():
        pytest.skip("verl is not installed here; `make test-peers` makes an environment of it")
    require(forked.call_ranks(2, ranks.verl_head, timeout=300))
