"""Samplers on the default run's prompts: the native one, transformers' generate with every prompt repeated G times,
vLLM.

    pytest bench/test_rollout.py --benchmark-only      each sampler's seconds and tokens/s
    pytest bench/test_rollout.py -k ratio -s           native against generate, interleaved in one run

The small model has random weights; tokens are counted up to and with the stop. vLLM is measured where it is installed
(the environment of `make test-vllm`).
"""

import statistics
import time

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from nsrl.config import LoraConfig, ModelConfig, TrainConfig  # noqa: E402
from nsrl.data.shapes import Shapes  # noqa: E402
from nsrl.models import loading  # noqa: E402
from nsrl.rollout.native import NativeSampler  # noqa: E402
from nsrl.rollout.types import Request, SamplingParams  # noqa: E402
from nsrl.trainer.problems import ProblemStream  # noqa: E402

DEFAULTS = TrainConfig()
PROMPTS, G, TOKENS = DEFAULTS.prompts_per_step, DEFAULTS.num_generations, 40


@pytest.fixture(scope="module")
def vlm():
    return loading.load(ModelConfig(), LoraConfig())


@pytest.fixture(scope="module")
def encoded(vlm):
    problems = ProblemStream(Shapes(DEFAULTS.data.level, 0)).take(PROMPTS)
    return [vlm.encode(p) for p in problems]


def params(vlm):
    return SamplingParams(
        max_tokens=TOKENS, stop_ids=tuple(vlm.stop_ids()), banned_ids=tuple(vlm.banned_ids()), temperature=1.0
    )


def through(sampler, encoded, vlm):
    """A call that samples all prompts once and returns the number of tokens drawn."""
    requests = [Request(e, G, i, i) for i, e in enumerate(encoded)]

    def run():
        groups = sampler.sample(requests, params(vlm))
        return sum(len(s.token_ids) for group in groups for s in group)

    return run


def through_generate(encoded, vlm):
    """transformers' generate: left-padded, every prompt and picture G times, as trainers built on it do."""
    width = max(len(e.ids) for e in encoded)
    pad = vlm.tokenizer.pad_token_id
    rows = [e for e in encoded for _ in range(G)]
    ids = torch.tensor([[pad] * (width - len(e.ids)) + e.ids for e in rows])
    mask = torch.tensor([[0] * (width - len(e.ids)) + [1] * len(e.ids) for e in rows])
    inputs = dict(
        input_ids=ids,
        attention_mask=mask,
        mm_token_type_ids=(ids == vlm.config.image_token_id).int(),
        pixel_values=torch.cat([image.pixels for e in rows for image in e.images]),
        image_grid_thw=torch.tensor([image.grid for e in rows for image in e.images]),
    )
    stop = torch.tensor(vlm.stop_ids())

    def run():
        with torch.inference_mode():
            out = vlm.base.generate(
                **inputs,
                max_new_tokens=TOKENS,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                eos_token_id=vlm.stop_ids(),
                pad_token_id=pad,
                suppress_tokens=[i for i in vlm.banned_ids() if i < vlm.config.text_config.vocab_size],
            )[:, width:]
        ended = torch.isin(out, stop).int().cumsum(1)
        return int(((ended == 0) | ((ended == 1) & torch.isin(out, stop))).sum())

    return run


def record(benchmark, run):
    tokens = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["tokens"] = tokens
    benchmark.extra_info["tokens_per_s"] = round(tokens / benchmark.stats.stats.median)


@pytest.mark.benchmark(group="rollout")
def test_native(benchmark, vlm, encoded):
    record(benchmark, through(NativeSampler(vlm.model), encoded, vlm))


@pytest.mark.benchmark(group="rollout")
def test_transformers_generate(benchmark, vlm, encoded):
    record(benchmark, through_generate(encoded, vlm))


@pytest.mark.benchmark(group="rollout")
def test_vllm(benchmark, vlm, encoded):
    pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed here")
    from nsrl.rollout.vllm import VllmSampler

    sampler = VllmSampler(
        vlm.model,
        vlm.tokenizer,
        vlm.image_processor,
        max_model_len=512,
        max_sequences=PROMPTS * G,
        cache_gib=1.0,
        eager=True,
    )
    try:
        record(benchmark, through(sampler, encoded, vlm))
    finally:
        sampler.close()


def test_ratio_to_generate(vlm, encoded):
    """At least 2× the tokens per second, medians of rounds that alternate, so that a busy machine slows both."""
    native, theirs = through(NativeSampler(vlm.model), encoded, vlm), through_generate(encoded, vlm)
    rates = {native: [], theirs: []}
    for run in (native, theirs):
        run()
    for _ in range(5):
        for run, seen in rates.items():
            start = time.perf_counter()
            tokens = run()
            seen.append(tokens / (time.perf_counter() - start))
    ours, others = (statistics.median(rates[run]) for run in (native, theirs))
    print(f"\nnative {ours:,.0f} tokens/s, transformers generate {others:,.0f} tokens/s: {ours / others:.2f}x")
    assert ours >= 2 * others
