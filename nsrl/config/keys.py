"""Every key there is: dataclasses are the one source of truth, their docstrings the text of --help.

Names follow TRL where TRL has one. A new key also needs its line in `ranges.py` (numbers), in `acts.py` where it cannot
always act, and in tests/test_options.py, which shows that it acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from nsrl.config.ranges import check

Given = Mapping[str, str]
"""Where each key that was said came from: "recipe", "run" (the run that is continued), "file" or "line". `parse` sets
it on a config; it is no part of the configuration. A file that repeats a default has not said it."""


@dataclass
class ModelConfig:
    """Which model learns.

    Args:
        name: `small` (built in, no download), a Hub id, a checkpoint folder, or a run folder (its latest checkpoint).
        dtype: what it computes in; auto is float32 on a CPU and for the small model, bfloat16 on a GPU. What learns is
            float32.
        device: auto takes a GPU when there is one; cpu, cuda or cuda:N.
        attention: auto takes the fastest backend present; a name that is absent is an error.
        freeze_vision_tower: keep the vision tower as it is; its output is then computed once per image and reused
            (null: only the small model without adapters trains it; false trains it beside adapters too).
        min_pixels: smaller images are enlarged to this many pixels (null: the checkpoint's own).
        max_pixels: larger images are shrunk to this many pixels (null: the checkpoint's own).
        gradient_checkpointing: recompute activations in the backward pass, for less memory.
        liger: use Liger's RMSNorm, SwiGLU and RoPE (a GPU and liger-kernel).
    """

    name: str = "small"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    attention: Literal["auto", "flash-attn", "varlen", "flex", "sdpa"] = "auto"
    freeze_vision_tower: bool | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    gradient_checkpointing: bool = False
    liger: bool = False


@dataclass
class LoraConfig:
    """Adapters (peft). On by default for real checkpoints, off for the small model.

    Args:
        enabled: null decides by the model.
        r: rank.
        alpha: scale, applied as alpha / r.
        dropout: on the adapter's input, in updates alone.
        target_modules: names of linear layers of the language model; each must match.
    """

    enabled: bool | None = None
    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: list[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])


@dataclass
class DataConfig:
    """Where problems come from.

    Args:
        source: `shapes` (procedural, no download), `mathvision`, `virl39k`, or `hf` (Hub id, json, jsonl, csv, parquet,
            folder); where only data.path is given it is recognised.
        path: folder, file or Hub id; not for shapes.
        split: split of a Hub data set or a folder (data.source=hf).
        subset: configuration of a Hub data set that has several.
        columns: columns that are called otherwise, by role (question, answer, image, options, category, id):
            data.columns.question=Frage.
        level: difficulty of shapes, 1 to 3; of the warm start's demonstrations too.
        eval_size: held-out problems, at most.
        max_prompt_length: longer prompts are dropped with a count (tokens, image tokens included); not for shapes.
        picture_memory_mb: host memory, per process, for pictures that are read ahead or kept for their next use (MiB;
            the batch in work comes on top).
        picture_threads: threads that read pictures one step ahead (0: each is read when it is needed).
    """

    source: Literal["shapes", "mathvision", "virl39k", "hf"] = "shapes"
    path: str | None = None
    split: str = "train"
    subset: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    level: int = 1
    eval_size: int = 600
    max_prompt_length: int = 4096
    picture_memory_mb: int = 2048
    picture_threads: int = 4


@dataclass
class WarmStartConfig:
    """Supervised steps on mixed demonstrations of shapes, before GRPO. The small model has no other schooling.

    Args:
        steps: on demonstrations; null is 600 for the small model and 0 for a real checkpoint.
        reading_steps: before them, on pictures merely read out (only where there is a warm start at all).
        batch_size: demonstrations per step.
        learning_rate: peak; 30 steps up, then linearly down to 5%.
        languages: relative share of each language.
        wrong: share of demonstrations of a misread picture, as from an imperfect teacher.
    """

    steps: int | None = None
    reading_steps: int = 400
    batch_size: int = 32
    learning_rate: float = 3e-3
    languages: dict[str, float] = field(
        default_factory=lambda: {"direct": 1.0, "prose": 1.0, "sympy": 1.0, "wolfram": 1.0, "nsl": 1.0}
    )
    wrong: float = 0.2


@dataclass
class EngineConfig:
    """The pool that runs programs.

    Args:
        workers: processes.
        cpu_s: CPU seconds a program may take, and at most 0.8 of wall_s.
        wall_s: seconds after which a program that waits is killed; one that a busy machine holds up gets ten times as
            long.
        memory_mb: address space of a worker.
        allow_unsandboxed: run even where neither seccomp nor namespaces are available.
    """

    workers: int = 2
    cpu_s: float = 1.0
    wall_s: float = 3.0
    memory_mb: int = 512
    allow_unsandboxed: bool = False


@dataclass
class VllmConfig:
    """The vLLM sampler, in the trainer's process and on its device.

    Args:
        memory_share: of the device's memory, for its weights and cache together.
        cache_gib: its key/value cache in GiB, given outright (null: what memory_share leaves; needed on a CPU).
        max_sequences: completions computed together.
        max_images: per prompt, at most.
        eager: no CUDA graphs (slower, starts sooner).
    """

    memory_share: float = 0.35
    cache_gib: float | None = None
    max_sequences: int = 256
    max_images: int = 4
    eager: bool = False


@dataclass
class TrainConfig:
    """Train a vision-language model with GRPO to think in short programs.

    Args:
        recipe: default, paper (files of nsrl/recipes), or a YAML file of your own; read before everything else.
        output_dir: the run folder (null: runs/<recipe>-<seed>).
        resume: continue the run in output_dir from its latest checkpoint.
        resume_from_checkpoint: continue from this checkpoint instead of the latest.
        seed: of everything random.
        model: which model learns.
        lora: adapters.
        data: where problems come from.
        warm_start: supervised steps before GRPO.
        engine: the pool that runs programs.
        max_steps: optimiser steps of GRPO.
        extra_supervised_steps: control run: after the warm start, this many more supervised steps in place of GRPO.
        shuffle_rewards: control run: rewards are permuted within each group before advantages.
        reward_noise: robustness check: this share of right/wrong verdicts is turned round, 0 to 1.
        prompts_per_step: problems per optimiser step.
        num_generations: G, completions per problem.
        max_completion_length: tokens.
        temperature: of sampling, and of the log-probs.
        top_p: nucleus sampling; 1 (off) is all that training can take.
        top_k: top-k sampling; 0 (off) is all that training can take.
        reward_funcs: names of nsrl.rewards or file.py:function.
        reward_weights: one per reward function.
        scale_rewards: how a group's rewards become advantages.
        loss_type: how tokens are clipped and averaged.
        importance_sampling_level: ratio per token or per sequence.
        epsilon: lower clip; it and what follows down to delta act from the second update of a rollout (num_iterations).
        epsilon_high: upper clip (null: as epsilon); with loss_type=cispo, as in TRL, the bound on the ratio itself,
            above 1.
        delta: upper bound on the ratio of a token with a negative advantage, above 1 + epsilon_high (null: none).
        beta: weight of the KL to the reference model.
        use_bias_correction_kl: multiply that KL by the importance ratio (TRL's key; TRL's default is true).
        entropy_coef: weight of an entropy bonus, the mean over tokens.
        sampler_correction: importance correction between sampler and trainer.
        num_iterations: optimiser steps per rollout batch.
        mask_truncated_completions: leave completions without an end out of the update; they still count in their
            group's mean reward.
        dynamic_sampling: draw further problems while groups have zero spread, up to this many times (0: off).
        rollout: which sampler.
        parallel: under torchrun: ddp (every rank has the whole model), fsdp (FSDP2, full fine-tuning only), or auto:
            fsdp where all of a checkpoint's weights learn, ddp for adapters and the small model.
        vllm: of rollout=vllm.
        token_budget: tokens per micro-batch (null: chosen from memory).
        learning_rate: peak of GRPO.
        lr_scheduler_type: after the warm-up.
        warmup_steps: linear, from 0.
        weight_decay: AdamW.
        max_grad_norm: gradients are scaled down to this norm; 1e9 never clips.
        eval_samples: samples per held-out problem (mean@n, pass@n).
        eval_steps: evaluate every so many steps besides start and end (0: off).
        eval_size_midway: problems of such an evaluation, at most.
        save_steps: checkpoint every so many steps, supervised ones too.
        save_total_limit: checkpoints kept (null: all).
        logging_steps: print a line every so many steps (metrics.jsonl has every step).
        completions_steps: keep all completions of every so many steps, for the report (0: never).
        report_to: further sinks: tensorboard, wandb (none: only metrics.jsonl).
        parity_check: compare sampler and trainer before the first step, and in every step before its update.
        preflight: try the worst step of the data set first, and choose token_budget by what it takes.
        threads: CPU threads of torch (null: torch's own).
    """

    recipe: str = "default"
    output_dir: str | None = None
    resume: bool = False
    resume_from_checkpoint: str | None = None
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    data: DataConfig = field(default_factory=DataConfig)
    warm_start: WarmStartConfig = field(default_factory=WarmStartConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    max_steps: int = 120
    extra_supervised_steps: int = 0
    shuffle_rewards: bool = False
    reward_noise: float = 0.0
    prompts_per_step: int = 32
    num_generations: int = 10
    max_completion_length: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    reward_funcs: list[str] = field(default_factory=lambda: ["correct", "executes", "short"])
    reward_weights: list[float] = field(default_factory=lambda: [1.0, 0.1, 0.3])
    scale_rewards: Literal["group", "none", "batch", "rloo"] = "none"
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo", "gspo", "cispo", "gppo", "sapo", "reinforce"] = "dapo"
    importance_sampling_level: Literal["token", "sequence"] = "token"
    epsilon: float = 0.2
    epsilon_high: float | None = 0.28
    delta: float | None = None
    beta: float = 0.0
    use_bias_correction_kl: bool = False
    entropy_coef: float = 0.0
    sampler_correction: Literal["none", "truncate", "mask"] = "none"
    num_iterations: int = 1
    mask_truncated_completions: bool = False
    dynamic_sampling: int = 0
    rollout: Literal["native", "vllm"] = "native"
    parallel: Literal["auto", "ddp", "fsdp"] = "auto"
    vllm: VllmConfig = field(default_factory=VllmConfig)
    token_budget: int | None = None
    learning_rate: float = 3e-4
    lr_scheduler_type: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 5
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    eval_samples: int = 4
    eval_steps: int = 0
    eval_size_midway: int = 100
    save_steps: int = 100
    save_total_limit: int | None = 3
    logging_steps: int = 10
    completions_steps: int = 10
    report_to: list[str] = field(default_factory=list)
    parity_check: bool = True
    preflight: bool = True
    threads: int | None = None

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        check(self)


@dataclass
class EvalConfig:
    """Evaluate a model: the table by category, accuracy of samples and greedy, pass@k.

    Args:
        model: a run folder, a checkpoint folder, a Hub id, or `small` (untrained).
        data: a data set in `source:path` form, or a source alone (shapes), or a path whose format is recognised (null:
            the held-out problems of the run that the model is of, else shapes). What the run was trained on is left
            out.
        size: at most so many problems (null: all; shapes: the run's held-out problems, else 600).
        seed: of the samples and of shapes (null: the run's own, else 0).
        level: difficulty of shapes (null: the run's own, else 1).
        samples: samples per problem at the temperature.
        temperature: of the samples (0: greedy alone).
        max_completion_length: tokens (null: as the run was trained, else 1024).
        output: write the table as JSON here, and every completion as parquet beside it (null: the completions go into
            the run's eval/).
        engine: the pool that runs programs.
        batch: problems sampled at once.
        device: auto takes a GPU when there is one.
        dtype: of the weights.
        max_pixels: larger images are shrunk to this many pixels (null: the checkpoint's own).
    """

    model: str = "small"
    data: str | None = None
    size: int | None = None
    seed: int | None = None
    level: int | None = None
    samples: int = 4
    temperature: float = 1.0
    max_completion_length: int | None = None
    output: str | None = None
    engine: EngineConfig = field(default_factory=EngineConfig)
    batch: int = 64
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    max_pixels: int | None = None

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        check(self)


@dataclass
class SolveConfig:
    """Ask a model one question: prints its program, the engine's value, and the time.

    Args:
        model: a run folder, a checkpoint folder or a Hub id.
        question: the question.
        image: image files, none to several.
        problem: in place of both, a held-out problem of the run: its number, or its id as in the report.
        max_completion_length: tokens.
        temperature: 0 is greedy.
        seed: of sampling (at temperature 0 nothing is drawn).
        engine: the pool that runs programs.
        device: auto takes a GPU when there is one.
    """

    model: str
    question: str | None = None
    image: list[str] = field(default_factory=list)
    problem: str | None = None
    max_completion_length: int | None = None
    temperature: float = 0.0
    seed: int = 0
    engine: EngineConfig = field(default_factory=EngineConfig)
    device: str = "auto"

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        check(self)
