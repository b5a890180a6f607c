"""The block of docs/kernels.md as it stands, in TRL's place; and TRL's head among the benchmark's rivals."""

import re
from pathlib import Path

import pytest
import torch

from bench import contest
from bench.rivals import LOGP
from bench.shapes import SMALL
from tests.models.packing_cases import IMAGE, small_model

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from tests.peers.test_trl_loss import KLS, LIMIT, LOSSES, NO_KL, STEP, G, distance, make, rounding
from tests.peers.trl_oracle import Oracle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"


@pytest.fixture(scope="module")
def block():
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "GRPOTrainer" in c)
    names = {}
    exec(code, names)
    return names["NsrlLoss"]


@pytest.mark.parametrize("pictures", ("text only", "several images"))
@pytest.mark.parametrize("loss", LOSSES)
def test_the_block_of_the_page_is_trls_loss(block, loss, pictures):
    class Ours(Oracle):
        _compute_loss = block._compute_loss

    options, spelled = LOSSES[loss]
    for kl in KLS if loss not in NO_KL else ("no KL",):
        for masked in (False, True) if kl == "KL" else (False,):
            groups, rewards = make(pictures, f"page/{loss}/{kl}")
            shared = {
                "use_bias_correction_kl": False,
                **options,
                **KLS[kl],
                **spelled,
                "mask_truncated_completions": masked,
            }
            outcomes = []
            for kind in (Ours, Oracle):
                side = kind(
                    small_model(), small_model(7) if "beta" in shared else None, image_token=IMAGE,
                    rows=G * len(groups),
                    stop_ids=range(250, 490), num_generations=G, num_iterations=2, max_completion_length=LIMIT,
                    **shared,
                )  # fmt: skip
                inputs, seen = side.inputs(groups, rewards), []
                sgd = torch.optim.SGD(side.model.parameters(), lr=STEP)
                for _ in range(2):
                    seen.append((side.backward(inputs), side.gradients()))
                    sgd.step(), sgd.zero_grad()
                outcomes.append(seen)
            for (got, gradient), (want, wanted) in zip(*outcomes):
                assert got == pytest.approx(want, abs=rounding(loss)), (kl, masked)
                assert distance(gradient, wanted) < 1e-5, (kl, masked)


def test_trls_head_is_timed_among_the_rivals():
    (rival,) = (c for c in LOGP if c.name.startswith("TRL"))
    row = contest.timed(contest.logp_trial(rival, SMALL, "cpu", torch.float32), 2)
    assert "forward_ms" in row and "disagrees" not in row
