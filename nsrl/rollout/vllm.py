"""vLLM samples in this process, on the trainer's device; weights are handed over in memory after each step.

Token ids in and out; each picture passed once per prompt behind one placeholder; n = G, so the prompt is computed once.
The log-probs asked for are the processed ones: after the bans and the temperature. The engine's own view of every
prompt is compared with ours token by token, which catches a picture it resized.

Tested with vLLM 0.32.0.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nsrl.errors import MissingBackend, UserError
from nsrl.models.family import Family
from nsrl.models.registry import family_of
from nsrl.models.weights import merged_weights
from nsrl.rollout.fingerprint import checksum, policy_checksum
from nsrl.rollout.types import Finish, OnGroup, Request, Sample, SampleStats, SamplingParams, SyncReport

_BAN = -100.0  # vLLM clips logit_bias to ±100; exp(-100) is 0 in fp32 beside any token with mass


def _import_vllm() -> tuple[Any, Any, Any]:
    """vLLM's EngineArgs, LLMEngine and Executor, or MissingBackend."""
    try:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine
        from vllm.v1.executor import Executor
    except ImportError as error:
        raise MissingBackend(
            f"sampler 'vllm' needs vLLM, which cannot be imported here ({error}); install nsrl[vllm], or use 'native'"
        ) from None
    return EngineArgs, LLMEngine, Executor


class VllmSampler:
    """A vLLM engine for the architecture, tokenizer and pictures of a policy; its weights come from the policy itself.

    policy: a model, plain or under peft; tokenizer, image_processor: the run's own (only their configuration is
    written to a temporary folder for the engine; weights never touch the disk);
    memory_share: of the device's memory, for weights and cache together; cache_gib: the cache's size given outright
    (the way to say it on a CPU); max_model_len: prompt + completion; max_images: per prompt; eager: no CUDA graphs.
    Raises MissingBackend without vLLM.
    """

    def __init__(
        self,
        policy: nn.Module,
        tokenizer: Any,
        image_processor: Any,
        *,
        max_model_len: int,
        max_images: int = 4,
        max_sequences: int = 256,
        memory_share: float = 0.35,
        cache_gib: float | None = None,
        eager: bool = False,
        seed: int = 0,
    ):
        if not 0 < memory_share < 1:
            raise UserError(f"rollout memory_share must be between 0 and 1; got {memory_share}")
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            if torch.distributed.get_world_size() > 1:
                raise UserError(
                    "rollout=vllm runs in one process, because the engine would join the trainers' process group; got "
                    f"{torch.distributed.get_world_size()} processes (rollout=native works with any number)"
                )
        EngineArgs, LLMEngine, Executor = _import_vllm()
        self.family = family_of(policy)
        base = self.family.base
        self.image_processor = image_processor
        self.version = 0
        self.stats = SampleStats()
        self._requests = 0
        self._folder = tempfile.TemporaryDirectory(prefix="nsrl-vllm-")
        write_configuration(Path(self._folder.name), self.family, tokenizer, image_processor)
        args = EngineArgs(
            model=self._folder.name,
            load_format=_register_loader(self.family, policy),
            dtype=str(next(base.parameters()).dtype).removeprefix("torch."),
            seed=seed,
            max_model_len=max_model_len,
            max_num_seqs=max_sequences,
            gpu_memory_utilization=memory_share,
            kv_cache_memory_bytes=None if cache_gib is None else int(cache_gib * 2**30),
            enforce_eager=eager,
            enable_prefix_caching=True,  # what shares the prompt between the G samples
            # With a prompt cut in two, vLLM rewinds a seeded request's generator, which CPU generators cannot do.
            enable_chunked_prefill=None if next(base.parameters()).is_cuda else False,
            max_num_batched_tokens=None if next(base.parameters()).is_cuda else max(max_model_len, 8192),
            logprobs_mode="processed_logprobs",
            limit_mm_per_prompt={"image": max_images, "video": 0},
            mm_processor_kwargs=self.family.engine_processor(image_processor),
            generation_config="vllm",  # no sampling defaults from the checkpoint
            disable_log_stats=True,
        )
        config = args.create_engine_config()
        config.parallel_config.distributed_executor_backend = "uni"  # the CPU build would start a process of its own
        self.engine: Any = LLMEngine(config, Executor.get_class(config), log_stats=False, multiprocess_mode=False)
        self.last_sync: SyncReport | None = None
        self.sync(policy)

    def sync(self, policy: nn.Module) -> SyncReport:
        """Reload every weight in place, adapters merged, and drop prefix, picture and encoder caches.

        A tensor that vLLM's loader leaves out is an error, not a warning, and so are parameters inside the engine that
        stay the same when the policy's have changed.
        """
        if self.engine.has_unfinished_requests():
            raise RuntimeError("VllmSampler.sync: called while completions are being sampled")
        start = time.perf_counter()
        handed = {"tensors": 0, "bytes": 0, "all": 0}

        def hand_over() -> Any:
            for name, tensor in self.family.engine_weights(
                merged_weights(policy)
            ):  # one at a time: merging never holds a second model
                handed["tensors"] += 1
                handed["bytes"] += tensor.numel() * tensor.element_size()
                yield name, tensor
            handed["all"] = 1

        before = self._resident()
        self.engine.model_executor.collective_rpc(_reload, args=(hand_over(),))
        if not handed["all"]:
            raise RuntimeError(f"VllmSampler.sync: vLLM took only {handed['tensors']} of the policy's weights")
        self.engine.reset_prefix_cache()
        self.engine.reset_encoder_cache()
        self.engine.reset_mm_cache()
        self.version += 1
        report = SyncReport(
            self.version, handed["tensors"], handed["bytes"], policy_checksum(policy), time.perf_counter() - start
        )
        previous = self.last_sync
        changed = previous is not None and previous.checksum != report.checksum
        if changed and before is not None and before == self._resident():
            raise RuntimeError("VllmSampler.sync: the policy's weights changed, but those inside vLLM did not")
        self.last_sync = report
        return report

    def _resident(self) -> str | None:
        """Checksum of the engine's own parameters; None where it keeps packed copies instead (linears on a CPU)."""
        (own,) = self.engine.model_executor.collective_rpc(_checksum)
        return own

    def sample(
        self, requests: Sequence[Request], params: SamplingParams, on_group: OnGroup | None = None
    ) -> list[list[Sample]]:
        """See `nsrl.rollout.types.Sampler.sample`. Request i's sample g is seeded with vLLM's seed + g.

        vLLM's draws are reproducible for the same batch; unlike the native sampler's they are not promised to be the
        same in another batch.
        """
        start = time.perf_counter()
        self.stats = SampleStats(prompts=len(requests), samples=sum(r.n for r in requests))
        index_of: dict[str, int] = {}
        vocabulary = self.family.vocabulary
        for index, request in enumerate(requests):
            self._requests += 1
            name = f"{self.version}-{self._requests}"
            index_of[name] = index
            self.engine.add_request(name, self._prompt(request), _params(request, params, vocabulary))
            self.stats.prompt_tokens += len(request.prompt.ids)
        groups: list[list[Sample]] = [[] for _ in requests]
        try:
            self._drain(requests, params, on_group, index_of, groups)
        except BaseException:
            self.engine.abort_request(list(index_of))  # or the next call would get this one's completions
            raise
        self.stats.decode_s = time.perf_counter() - start
        return groups

    def _drain(self, requests, params, on_group, index_of, groups) -> None:
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                if not output.finished:
                    continue
                index = index_of[output.request_id]
                _same_prompt(requests[index], output.prompt_token_ids, index)
                samples = [_sample(one, params) for one in sorted(output.outputs, key=lambda o: o.index)]
                groups[index] = samples * (requests[index].n // len(samples))
                self.stats.completion_tokens += sum(len(s.token_ids) for s in groups[index])
                if on_group is not None:
                    on_group(index, groups[index])

    def _prompt(self, request: Request) -> dict[str, Any]:
        prompt = request.prompt
        if not prompt.images:
            return {"prompt_token_ids": list(prompt.ids)}
        pictures = self.family.to_pictures(prompt.images, self.image_processor)
        return {"prompt_token_ids": list(prompt.template_ids), "multi_modal_data": {"image": pictures}}

    def close(self) -> None:
        """Shut the engine down and give its memory back."""
        if self.engine is not None:
            self.engine.engine_core.shutdown()
            self.engine = None
            self._folder.cleanup()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def write_configuration(folder: Path, family: Family, tokenizer: Any, image_processor: Any) -> None:
    """What an engine wants to find beside weights: model, tokenizer and processor configuration."""
    family.config.save_pretrained(folder)
    config = family.engine_config(json.loads((folder / "config.json").read_text()))
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    family.save_processor(folder, tokenizer, image_processor)


def _register_loader(family: Family, policy: nn.Module) -> str:
    """The name of a vLLM load format that reads the policy's weights from memory.

    Not the format "dummy" with a sync behind it: dummy fills every persistent buffer with noise, also those that
    normalise pictures, which no checkpoint holds and no sync repairs. Text then agrees and images do not.
    """
    from vllm.model_executor.model_loader import register_model_loader
    from vllm.model_executor.model_loader.base_loader import BaseModelLoader

    class FromMemory(BaseModelLoader):
        def download_model(self, model_config: Any) -> None:
            """Nothing to fetch."""

        def load_weights(self, model: Any, model_config: Any) -> None:
            model.load_weights(family.engine_weights(merged_weights(policy)))

    register_model_loader("nsrl")(FromMemory)
    return "nsrl"


def _params(request: Request, params: SamplingParams, vocabulary: int) -> Any:
    from vllm import sampling_params  # pyright: ignore

    return sampling_params.SamplingParams(
        n=1 if params.temperature == 0 else request.n,  # vLLM refuses several greedy completions, which are all alike
        seed=request.seed & 0x7FFF_FFFF_FFFF_FFFF,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        max_tokens=min(params.max_tokens, request.max_tokens or params.max_tokens),
        stop_token_ids=list(params.stop_ids),
        **_stop_texts(params),
        ignore_eos=True,  # stop_ids say it all
        logit_bias={i: _BAN for i in params.banned_ids if i < vocabulary} or None,
        logprobs=0,
        output_kind=sampling_params.RequestOutputKind.FINAL_ONLY,
    )


def _stop_texts(params: SamplingParams) -> dict[str, Any]:
    """Texts are found by vLLM, which has to write them for that; without any it writes nothing."""
    if params.stop_texts is None:
        return {"detokenize": False}
    return {
        "detokenize": True,
        "stop": list(params.stop_texts.texts),
        "include_stop_str_in_output": True,
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
    }


def _sample(output: Any, params: SamplingParams) -> Sample:
    """One completion, its stop token included, as the interface promises."""
    ids = list(output.token_ids)
    logps = [step[token].logprob for token, step in zip(ids, output.logprobs)]
    stopped = bool(ids) and (ids[-1] in params.stop_ids or isinstance(output.stop_reason, str))
    return Sample.single(ids, logps, Finish.STOP if stopped else Finish.LENGTH)


def _same_prompt(request: Request, theirs: Sequence[int], index: int) -> None:
    ours = list(request.prompt.ids)
    if list(theirs) == ours:
        return
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    raise UserError(
        f"vLLM expanded prompt {index} to {len(theirs)} tokens and ours has {len(ours)}, different from token {at} on: "
        "the engine resized a picture, or its processor's patch or merge size is not the model's"
    )


def _reload(worker: Any, weights: Any) -> None:
    runner = worker.model_runner
    runner.reload_weights(weights_iterator=weights, is_checkpoint_format=True)
    # A head tied to the embedding is skipped by the reload ("ParallelLMHead: Failed to load weights"). On a GPU it
    # reads the embedding itself; on a CPU it keeps a packed copy of the old weight, and log-probs are off by whole
    # units.
    model = runner.get_model()
    head = model.language_model.lm_head
    if hasattr(head, "quant_method"):
        head.quant_method.process_weights_after_loading(head)
    # Experts on a CPU are packed when they are loaded first; a reload leaves them as they come, to be read as packed.
    for layer in model.modules():
        kernel = getattr(getattr(layer, "quant_method", None), "moe_kernel", None)
        if kernel is not None and next(layer.parameters()).device.type == "cpu":
            kernel.fused_experts.process_weights_after_loading(layer)


def _checksum(worker: Any) -> str | None:
    parameters = dict(worker.model_runner.get_model().named_parameters())
    return checksum(parameters) if all(p.numel() for p in parameters.values()) else None
