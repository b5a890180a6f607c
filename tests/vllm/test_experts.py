"""Experts behind the sampler interface, in a process of their own: a second engine would share the first's state."""

import subprocess
import sys

import pytest

pytest.importorskip(
    "vllm.sampling_params", reason="vLLM is not installed here; `make test-vllm` makes an environment that has it"
)

SCRIPT = """
import torch
from nsrl.models.policy import Policy
from nsrl.rollout.vllm import VllmSampler
from tests.rollout import tiny, tiny_tokenizer
from tests.vllm.test_vllm import gap
kind = "qwen3_vl_moe"
model = tiny.build(seed=20, kind=kind)
engine = VllmSampler(model, tiny_tokenizer.build(kind=kind), tiny_tokenizer.image_processor(), max_model_len=512,
                     cache_gib=0.25, eager=True)
policy, requests = Policy(model), tiny.requests(6, n=4, kind=kind)
for step in range(3):
    print("synced", gap(engine, policy, requests)[0], flush=True)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".experts." in name:
                p.add_(0.05 * torch.randn_like(p))
    print("stale", gap(engine, policy, requests)[0], flush=True)
    engine.sync(model)
"""


def test_a_sync_reaches_the_experts():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [line.split() for line in done.stdout.splitlines() if line.startswith(("synced ", "stale "))]
    assert [word for word, _ in found] == ["synced", "stale"] * 3
    assert all(float(most) < 2e-5 for word, most in found if word == "synced"), found
    assert all(float(most) > 0.05 for word, most in found if word == "stale"), found
