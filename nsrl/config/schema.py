"""Every key there is, with its default, its bound and its text where it stands (`keys.py` reads them).

Names follow TRL where TRL has one. What keys must be to each other stands in `ranges.py`, when a key cannot act in
`acts.py`; tests/test_options.py shows that each one acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from nsrl.config.contexts import TokensConfig
from nsrl.config.draw import DrawConfig
from nsrl.config.keys import INLINED, takes_keys
from nsrl.config.members import MembersConfig
from nsrl.config.objective import ObjectiveConfig
from nsrl.config.prompts import PromptConfig
from nsrl.config.ranges import check
from nsrl.config.rewards import SHARE, PaidConfig
from nsrl.config.schedules import widest
from nsrl.config.stages import planned_stages, typed
from nsrl.config.turns import TurnsConfig
from nsrl.data.modes import DEMONSTRATED
from nsrl.data.sources import FILE, SOURCES, guess_source
from nsrl.engines.external import BACKENDS, EMBEDDED
from nsrl_kernels.options import Bound, OneOf

Given = Mapping[str, str]
"""Where each key that was said came from: "recipe", "run" (the run that is continued), "file" or "line". `parse` sets
it on a config; it is no part of the configuration. A file that repeats a default has not said it."""


ONE_OR_MORE, NONE_OR_MORE, POSITIVE = Bound(least=1), Bound(least=0), Bound(above=0)
SEED = Bound(least=0, most=2**32 - 1)
LEVEL = Bound(least=1, most=9, why="how many there are, the source says")
SOURCE = OneOf(tuple(SOURCES), "data.md", "FILE.py:Class", FILE)
SIGMA = Bound(least=0, most=255, why="a pixel has 256 levels")
PIXELS = Bound(least=1024, why="a visual token is 32 x 32 pixels")
COOLEST = 0.01  # rounding errors of logits are divided by the temperature: below it they decide
TEMPERATURE = Bound(least=COOLEST, most=10, why="near 0 completions are all alike, far above 1 they are noise")
TEMPERATURE_OR_GREEDY = Bound(least=COOLEST, most=10, why="0 is greedy", or_zero=True)
SHARE_OF_OTHERS = Bound(least=0, most=1e6, why="shares are relative to each other")
GROUP = Bound(most=4096, why="a group is sampled and held as one")  # the least of it `ranges.py` says
SAMPLES = Bound(least=1, most=4096, why="the completions of a problem are sampled and held together")
SECONDS = Bound(above=0, most=86_400, why="a day")
RATE = Bound(above=0, most=1, why="AdamW moves every weight by about this much in a step")
REMAX = "remax"  # compared with the greedy completion
OTB = "otb"  # the optimal token baseline, which changes from token to token
# How a group's rewards become advantages: TRL's names, and the modes of `group_advantage` that they are.
SCALES = {
    "group": "grpo", "none": "no_std", "batch": "batch_std", "rloo": "rloo", "opo": "opo", "gpg": "gpg",
    "passk": "grpo_passk", "reinforce++": "reinforce_plus_plus",
    "reinforce++_baseline": "reinforce_plus_plus_baseline", REMAX: "none", OTB: "no_std",
}  # fmt: skip


@dataclass
class ModelConfig:
    """Which model learns."""

    name: str = "small"
    """`small` (built in, no download), a Hub id, a checkpoint folder, or a run folder (its latest checkpoint)."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """what it computes in; auto is float32 on a CPU and for the small model, bfloat16 on a GPU. What learns is
    float32."""

    device: str = "auto"
    """auto takes a GPU when there is one; cpu, cuda or cuda:N."""

    attention: Literal["auto", "flash-attn", "varlen", "flex", "sdpa"] = "auto"
    """auto takes the fastest backend present; a name that is absent is an error."""

    freeze_vision_tower: bool | None = None
    """keep the vision tower as it is; its output is then computed once per image and reused (null: only the small model
    without adapters trains it; false trains it beside adapters too)."""

    min_pixels: Annotated[int | None, ONE_OR_MORE] = None
    """smaller images are enlarged to this many pixels (null: the checkpoint's own)."""

    max_pixels: Annotated[int | None, PIXELS] = None
    """larger images are shrunk to this many pixels (null: the checkpoint's own)."""

    gradient_checkpointing: bool = False
    """recompute activations in the backward pass, for less memory."""

    liger: bool = False
    """use Liger's RMSNorm, SwiGLU and RoPE (a GPU and liger-kernel)."""


@dataclass
class LoraConfig:
    """Adapters (peft). On by default for real checkpoints, off for the small model."""

    enabled: bool | None = None
    """null decides by the model."""

    r: Annotated[int, Bound(least=1, most=1024)] = 16
    """rank."""

    alpha: Annotated[int, Bound(least=1, most=65_536, why="the adapter is scaled by alpha / r")] = 32
    """scale, applied as alpha / r."""

    dropout: Annotated[float, Bound(least=0, below=1)] = 0.05
    """on the adapter's input, in updates alone."""

    target_modules: list[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])
    """names of linear layers of the language model; each must match."""


@dataclass
class DataConfig:
    """Where problems come from."""

    source: Annotated[str, SOURCE] = "shapes"
    """the format of a data set, or a source that makes its problems (no download): `shapes` and others, or a class of
    your own, FILE.py:Class (data.md); where only data.path is given it is recognised."""

    path: str | None = None
    """folder, file or Hub id; not for sources that make their problems."""

    split: str = "train"
    """split of a Hub data set or a folder (data.source=hf)."""

    subset: str | None = None
    """configuration of a Hub data set that has several."""

    columns: dict[str, str] = field(default_factory=dict)
    """columns that are called otherwise, by role (question, answer, image, options, category, id):
    data.columns.question=Frage."""

    level: Annotated[int, LEVEL] = 1
    """difficulty of problems that are made, from 1 (shapes: to 3); of the warm start's demonstrations too."""

    noise: Annotated[float, SIGMA] = 0.0
    """standard deviation of noise on each pixel of pictures that are made, in levels of 255 (0: none)."""

    occlusion: Annotated[float, SHARE] = 0.0
    """share of one cell of such a picture that is covered (1: one whole cell cannot be seen)."""

    contrast: Annotated[float, SHARE] = 1.0
    """how far such a picture stands out from its grey (1: as drawn, 0: nothing is seen)."""

    eval_size: Annotated[int, Bound(least=1, why="a run is graded on held-out problems before and after")] = 600
    """held-out problems, at most."""

    max_prompt_length: Annotated[int, ONE_OR_MORE] = 4096
    """longer prompts are dropped with a count (tokens, image tokens included); not of problems that are made."""

    answered: bool = True
    """leave out rows without a gold answer that can be read; false keeps them, for verifiers and rewards that need
    none; not for shapes."""

    picture_memory_mb: Annotated[int, NONE_OR_MORE] = 2048
    """host memory, per process, for pictures that are read ahead or kept for their next use (MiB; the batch in work
    comes on top)."""

    picture_threads: Annotated[int, Bound(least=0, most=256)] = 4
    """threads that read pictures one step ahead (0: each is read when it is needed)."""


@dataclass
class DemonstrationsConfig:
    """What supervised steps learn: what is not said is as in `data`."""

    source: Annotated[str | None, SOURCE] = None
    """the format of a data set whose rows have a completion, a response or messages, or a source that makes them, as
    `shapes` (null: recognised where a path is given, else data.source)."""

    path: str | None = None
    """folder, file or Hub id (null: data.path); held-out problems in it are left out."""

    split: str | None = None
    """split of a Hub data set or a folder (null: data.split, and train of a path of its own)."""

    columns: dict[str, str] = field(default_factory=dict)
    """columns that are called otherwise, by role (completion, response, messages, and those of data.columns):
    demonstrations.columns.completion=Loesung."""

    def beside(self, data: DataConfig) -> DataConfig:
        """The data set of these demonstrations, where `data` is the run's: what is not said here is as it is there."""
        source = self.source or (guess_source(self.path) if self.path is not None else data.source)
        if self.path is None and source == data.source:
            return replace(data, split=self.split or data.split, columns=data.columns | self.columns)
        subset = None if self.path is not None else data.subset
        return replace(
            data, source=source, path=self.path, split=self.split or "train", subset=subset, columns=self.columns
        )


@dataclass
class WarmStartConfig:
    """Supervised steps before GRPO: on mixed demonstrations of shapes (or another source that makes them), or on rows
    with a completion (`demonstrations`). The small model has no other schooling."""

    steps: Annotated[int | None, NONE_OR_MORE] = None
    """on demonstrations; null is 0 for a real checkpoint, and for the small model at most 800, until it knows the
    programs (300 where it is shown none; 600 with adamw)."""

    reading_steps: Annotated[int, NONE_OR_MORE] = 250
    """before them, on pictures merely read out (only where there is a warm start on a source with such
    readings, as shapes)."""

    batch_size: Annotated[int, ONE_OR_MORE] = 32
    """demonstrations per step."""

    optimizer: Annotated[str | None, OneOf(("adamw", "muon"))] = None
    """of supervised steps: adamw, or muon for linear layers (at 7 times the rate) and adamw for what is left (null:
    muon for the small model, adamw for a checkpoint)."""

    learning_rate: Annotated[float, RATE] = 3e-3
    """peak; 30 steps up, then linearly down to 5%."""

    until: str | None = None
    """METRIC <= NUMBER or METRIC >= NUMBER that ends the steps on demonstrations before their count does, as in
    `stages` (null: the count alone, but `learned/worst >= 0.9` for the small model where steps is null too)."""

    reading_until: str | None = None
    """the same of the steps on pictures read out."""

    languages: Annotated[dict[str, float], SHARE_OF_OTHERS] = field(
        default_factory=lambda: {"direct": 1.0, "prose": 1.0, "sympy": 1.0, "wolfram": 1.0, "nsl": 1.0}
    )
    """relative share of each language."""

    wrong: Annotated[float, SHARE] = 0.2
    """share of demonstrations of a misread picture, as from an imperfect teacher."""


@dataclass
class EngineConfig:
    """The pool that runs programs."""

    backend: Annotated[str, OneOf(BACKENDS, "engines.md")] = EMBEDDED
    """what runs Wolfram programs: embedded (ours), or an engine of others on this machine: wolframscript, mathics,
    woxi. nsl and SymPy are always embedded. Others have no kernel sandbox, so they need allow_unsandboxed=true."""

    command: str | None = None
    """of another backend: its command, or for mathics the Python that has Mathics3 (null: what PATH has)."""

    workers: Annotated[int, Bound(least=1, most=1024)] = 2
    """processes."""

    cpu_s: Annotated[float, SECONDS] = 1.0
    """CPU seconds a program may take, and at most 0.8 of wall_s."""

    wall_s: Annotated[float, SECONDS] = 3.0
    """seconds after which a program that waits is killed; one that a busy machine holds up gets ten times as long."""

    memory_mb: Annotated[int, Bound(least=16, why="with less, ordinary programs are out of memory")] = 512
    """address space of a worker."""

    allow_unsandboxed: bool = False
    """run even where neither seccomp nor namespaces are available."""


@dataclass
class VllmConfig:
    """The vLLM sampler, in the trainer's process and on its device."""

    memory_share: Annotated[float, Bound(above=0, below=1)] = 0.35
    """of the device's memory, for its weights and cache together."""

    cache_gib: Annotated[float | None, POSITIVE] = None
    """its key/value cache in GiB, given outright (null: what memory_share leaves; needed on a CPU)."""

    max_sequences: Annotated[int, ONE_OR_MORE] = 256
    """completions computed together."""

    max_images: Annotated[int, ONE_OR_MORE] = 4
    """per prompt, at most."""

    eager: bool = False
    """no CUDA graphs (slower, starts sooner)."""


@takes_keys
@dataclass
class TrainConfig:
    """Train a vision-language model with GRPO to think in short programs."""

    recipe: str = "default"
    """a name (`nsrl recipes`; default, paper), a YAML file, or a folder with recipe.yaml; several by +; read first."""

    output_dir: str | None = None
    """the run folder (null: runs/<recipe>-<seed>)."""

    resume: bool = False
    """continue the run in output_dir from its latest checkpoint."""

    resume_from_checkpoint: str | None = None
    """continue from this checkpoint instead of the latest."""

    seed: Annotated[int, SEED] = 0
    """of everything random."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """which model learns."""

    lora: LoraConfig = field(default_factory=LoraConfig)
    """adapters."""

    data: DataConfig = field(default_factory=DataConfig)
    """where problems come from."""

    prompt: PromptConfig = field(default_factory=PromptConfig)
    """how problems are put to the model."""

    spans: dict[str, str] = field(default_factory=dict)
    """named stretches of a completion, by what stands around them: {caption: "<info>{}</info>"}; for rewards of your
    own (`batch.span`), and columns of what is kept."""

    demonstrations: DemonstrationsConfig = field(default_factory=DemonstrationsConfig)
    """what supervised steps learn."""

    warm_start: WarmStartConfig = field(default_factory=WarmStartConfig)
    """supervised steps before GRPO."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    """the pool that runs programs."""

    turns: TurnsConfig = field(default_factory=TurnsConfig)
    """completions of several turns."""

    max_steps: Annotated[int, NONE_OR_MORE] = 180
    """optimiser steps of GRPO."""

    stages: list[dict[str, Any]] = field(default_factory=list)
    """what is done one after the other, instead of warm start and GRPO: a list of {name, kind: supervised, grpo or
    evaluate, steps or until, …any other key as it is in that stage} (runs.md)."""

    schedules: dict[str, str] = field(default_factory=dict)
    """numbers that change over the steps of GRPO or of its stage, by key: `linear A B`, `cosine A B`, `A until STEP
    then B` (runs.md)."""

    extra_supervised_steps: Annotated[int, NONE_OR_MORE] = 0
    """control run: after the warm start, this many more supervised steps in place of GRPO."""

    paid: PaidConfig = field(default_factory=PaidConfig, metadata=INLINED)
    """what is right, and what a completion is paid; its keys have no prefix."""

    prompts_per_step: Annotated[int, Bound(least=1, most=65_536, why="a step has that many seeds for its prompts")] = 32
    """problems per optimiser step."""

    num_generations: Annotated[int, GROUP] = 10
    """G, completions per problem; 1 with scale_rewards=remax alone, which compares with a greedy one."""

    max_completion_length: Annotated[int, ONE_OR_MORE] = 64
    """tokens."""

    temperature: Annotated[float, TEMPERATURE] = 1.0
    """of sampling, and of the log-probs."""

    top_p: Annotated[float, Bound(above=0, most=1)] = 1.0
    """nucleus sampling; 1 (off) is all that training can take."""

    top_k: Annotated[int, NONE_OR_MORE] = 0
    """top-k sampling; 0 (off) is all that training can take."""

    scale_rewards: Annotated[str, OneOf(tuple(SCALES))] = "none"
    """how a group's rewards become advantages (trainer.md)."""

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig, metadata=INLINED)
    """what is minimised; what has been a key for long has no prefix."""

    mini_batches: Annotated[int, ONE_OR_MORE] = 1
    """parts of a rollout's groups, each an optimiser step of its own (trainer.md)."""

    tokens: TokensConfig = field(default_factory=TokensConfig, metadata=INLINED)
    """what single tokens count; its keys have no prefix."""

    grouped: MembersConfig = field(default_factory=MembersConfig, metadata=INLINED)
    """what a group is made of; its key has no prefix."""

    num_iterations: Annotated[int, ONE_OR_MORE] = 1
    """passes over a rollout's groups; each takes an optimiser step for every part of them."""

    mask_truncated_completions: bool = False
    """leave completions without an end out of the update; they still count in their group's mean reward."""

    draw: DrawConfig = field(default_factory=DrawConfig)
    """which problems a step takes, and which of their groups it learns from."""

    dynamic_sampling: Annotated[int, NONE_OR_MORE] = 0
    """draw further problems while groups have zero spread, up to this many times (0: off)."""

    rollout: Literal["native", "vllm"] = "native"
    """which sampler."""

    parallel: Literal["auto", "ddp", "fsdp"] = "auto"
    """under torchrun: ddp (every rank has the whole model), fsdp (FSDP2, full fine-tuning only), or auto: fsdp where
    all of a checkpoint's weights learn, ddp for adapters and the small model."""

    vllm: VllmConfig = field(default_factory=VllmConfig)
    """of rollout=vllm."""

    train: list[str] | None = None
    """which parts learn, of those that do in this run: language, head, vision, merger, lora (null: all of them)."""

    token_budget: Annotated[int | None, ONE_OR_MORE] = None
    """tokens per micro-batch (null: chosen from memory)."""

    learning_rate: Annotated[float, RATE] = 3e-4
    """peak of GRPO."""

    lr_scheduler_type: Literal["constant", "linear", "cosine"] = "constant"
    """after the warm-up."""

    warmup_steps: Annotated[int, NONE_OR_MORE] = 5
    """linear, from 0."""

    weight_decay: Annotated[float, NONE_OR_MORE] = 0.0
    """AdamW."""

    adam_beta2: Annotated[float, Bound(least=0, below=1)] = 0.95
    """how much of its mean of squared gradients AdamW keeps in a step of GRPO."""

    noise_gate: Annotated[float | None, NONE_OR_MORE] = None
    """steps of GRPO are scaled by min(1, noise_gate · what gradients of different steps have in common), at least by a
    tenth (trainer.md; 0: whole steps; null: 5 for the small model and what learned from it, else 0)."""

    max_grad_norm: Annotated[float, Bound(above=0, why="1e9 never clips")] = 1.0
    """gradients are scaled down to this norm; 1e9 never clips."""

    eval_samples: Annotated[int, SAMPLES] = 4
    """samples per held-out problem (mean@n, pass@n)."""

    eval_steps: Annotated[int, NONE_OR_MORE] = 0
    """evaluate every so many steps besides start and end (0: off)."""

    eval_size_midway: Annotated[int, ONE_OR_MORE] = 100
    """problems of such an evaluation, at most."""

    save_steps: Annotated[int, ONE_OR_MORE] = 50
    """checkpoint every so many steps, supervised ones too."""

    save_total_limit: Annotated[int | None, Bound(least=1, why="the newest is always kept; null keeps all")] = 3
    """checkpoints kept (null: all)."""

    save_best: bool = True
    """keep the checkpoint of GRPO with the best running accuracy (mean over categories) as well."""

    logging_steps: Annotated[int, ONE_OR_MORE] = 10
    """print a line every so many steps (metrics.jsonl has every step)."""

    completions_steps: Annotated[int, NONE_OR_MORE] = 10
    """keep all completions of every so many steps, for the report (0: never)."""

    report_to: list[str] = field(default_factory=list)
    """further sinks: tensorboard, wandb (none: only metrics.jsonl)."""

    parity_check: bool = True
    """compare sampler and trainer before the first step, and in every step before its update."""

    preflight: bool = True
    """try the worst step of the data set first, and choose token_budget by what it takes."""

    threads: Annotated[int | None, Bound(least=1, most=1024)] = None
    """CPU threads of torch (null: torch's own)."""

    given: ClassVar[Given] = {}
    evaluates: ClassVar[bool] = False  # of a stage: whether its `until` is of evaluations midway; no key

    def __post_init__(self) -> None:
        self.stages = typed(type(self), self.stages)
        check(self)
        check(widest(self))
        planned_stages(self)

    @property
    def taught(self) -> dict[str, float]:
        """Relative share of each language in demonstrations of shapes: those of the mode, where one is asked for."""
        return self.warm_start.languages if self.prompt.mode == "any" else {DEMONSTRATED[self.prompt.mode]: 1.0}

    @property
    def teacher(self) -> DataConfig:
        """The data set that supervised steps learn from: `demonstrations`, and what that leaves open from `data`."""
        return self.demonstrations.beside(self.data)
