"""One engine for all tests here: starting it takes seconds, and a second one in a process would share its state."""

import pytest


@pytest.fixture(scope="session")
def engine():
    pytest.importorskip("vllm.sampling_params")
    from nsrl.rollout.vllm import VllmSampler
    from tests.rollout import tiny, tiny_tokenizer

    sampler = VllmSampler(
        tiny.build(seed=20),
        tiny_tokenizer.build(),
        tiny_tokenizer.image_processor(),
        max_model_len=512,
        cache_gib=0.25,
        eager=True,
    )
    yield sampler
    sampler.close()
