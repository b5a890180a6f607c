"""Configuration: dataclasses are the one source of truth, recipes are YAML, the command line overrides.

`parse(TrainConfig, argv)` accepts `--key value`, bare `key=value`, bare boolean flags, `recipe=NAME` and `--config FILE`
(later wins), and answers an unknown key with the nearest one. Names follow TRL where TRL has one. Knows nothing of
models: only this file knows jsonargparse.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from jsonargparse import ArgumentParser, Namespace

from nsrl.errors import UserError

RECIPES = Path(__file__).parent / "recipes"


@dataclass
class ModelConfig:
    """Which model learns.

    Args:
        name: `small` (built in, no download), a Hub id, a checkpoint folder, or a run folder (its latest checkpoint).
        dtype: weights; auto is float32 on a CPU and for the small model, bfloat16 on a GPU.
        device: auto takes a GPU when there is one.
        attention: auto takes the fastest backend present; a name that is absent is an error.
        freeze_vision_tower: keep the vision tower as it is; its output is then computed once per image and reused.
        min_pixels: smaller images are enlarged to this many pixels (null: the checkpoint's own).
        max_pixels: larger images are shrunk to this many pixels (null: the checkpoint's own).
        gradient_checkpointing: recompute activations in the backward pass, for less memory.
        liger: use Liger's RMSNorm, SwiGLU and RoPE where liger-kernel is installed.
    """

    name: str = "small"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    attention: str = "auto"
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
        dropout: on the adapter's input.
        target_modules: names of linear layers of the language model.
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
        source: `shapes` (procedural, no download), `mathvision`, `virl39k`, or `hf` (Hub id, json, jsonl, parquet, folder).
        path: folder, file or Hub id; not for shapes.
        split: split of a Hub data set.
        level: difficulty of shapes, 1 to 3.
        eval_size: held-out problems.
        max_prompt_length: longer prompts are dropped with a count (tokens, image tokens included).
    """

    source: str = "shapes"
    path: str | None = None
    split: str = "train"
    level: int = 1
    eval_size: int = 600
    max_prompt_length: int = 4096


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
        cpu_s: CPU seconds a program may take.
        wall_s: seconds after which its worker is killed.
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
        recipe: a file of nsrl/recipes by name, read before everything else: default, paper.
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
        top_p: nucleus sampling (1: off).
        top_k: top-k sampling (0: off).
        reward_funcs: names of nsrl.rewards or file.py:function.
        reward_weights: one per reward function.
        scale_rewards: how a group's rewards become advantages.
        loss_type: how tokens are clipped and averaged.
        importance_sampling_level: ratio per token or per sequence.
        epsilon: lower clip.
        epsilon_high: upper clip (null: as epsilon).
        delta: upper bound on the ratio of a token with a negative advantage (null: none).
        beta: weight of the KL to the reference model.
        entropy_coef: weight of an entropy bonus.
        sampler_correction: importance correction between sampler and trainer.
        num_iterations: optimiser steps per rollout batch.
        mask_truncated_completions: leave completions without an end out of the loss.
        dynamic_sampling: draw further problems while groups have zero spread, up to this many times (0: off).
        rollout: which sampler.
        parallel: under torchrun: ddp (every rank has the whole model), fsdp (FSDP2, full fine-tuning only), or auto: fsdp
            where all of a checkpoint's weights learn, ddp for adapters and the small model.
        vllm: of rollout=vllm.
        token_budget: tokens per micro-batch (null: chosen from memory).
        learning_rate: peak of GRPO.
        lr_scheduler_type: after the warm-up.
        warmup_steps: linear, from 0.
        weight_decay: AdamW.
        max_grad_norm: clip.
        eval_samples: samples per held-out problem (mean@n, pass@n).
        eval_steps: evaluate every so many steps besides start and end (0: off).
        eval_size_midway: problems of such an evaluation.
        save_steps: checkpoint every so many steps, supervised ones too.
        save_total_limit: checkpoints kept.
        logging_steps: print a line every so many steps (metrics.jsonl has every step).
        completions_steps: keep all completions of every so many steps, for the report.
        report_to: further sinks: tensorboard, wandb.
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

    def __post_init__(self) -> None:
        check = _Checks()
        check.at_least("num_generations", self.num_generations, 2, "a group of one has no spread, so nothing is learned")
        check.at_least("prompts_per_step", self.prompts_per_step, 1)
        check.at_least("max_completion_length", self.max_completion_length, 1)
        check.at_least("max_steps", self.max_steps, 0)
        check.at_least("num_iterations", self.num_iterations, 1)
        check.at_least("eval_samples", self.eval_samples, 1)
        check.at_least("save_steps", self.save_steps, 1)
        check.above("temperature", self.temperature, 0)
        check.above("learning_rate", self.learning_rate, 0)
        if len(self.reward_funcs) != len(self.reward_weights):
            raise UserError(
                f"reward_weights must have one weight per reward function ({len(self.reward_funcs)}); "
                f"got {len(self.reward_weights)}"
            )


class _Checks:
    def at_least(self, name: str, value: float, least: float, why: str = "") -> None:
        if value < least:
            raise UserError(f"{name} must be at least {least}; got {value}" + (f" ({why})" if why else ""))

    def above(self, name: str, value: float, bound: float) -> None:
        if not value > bound:
            raise UserError(f"{name} must be above {bound}; got {value}")


@dataclass
class EvalConfig:
    """Evaluate a model: the table by category, accuracy of samples and greedy, pass@k.

    Args:
        model: a run folder, a checkpoint folder, a Hub id, or `small` (untrained).
        data: a data set in `source:path` form, or a source alone (shapes), or a path whose format is recognised.
        size: at most so many problems (null: all; shapes: 600).
        seed: of the samples (and of shapes).
        level: difficulty of shapes.
        samples: samples per problem at the temperature.
        temperature: of the samples.
        max_completion_length: tokens (null: as the run was trained, else 1024).
        output: write the table as JSON here.
        engine: the pool that runs programs.
        batch: problems sampled at once.
        device: auto takes a GPU when there is one.
        dtype: of the weights.
        max_pixels: larger images are shrunk to this many pixels (null: the checkpoint's own).
    """

    model: str = "small"
    data: str = "shapes"
    size: int | None = None
    seed: int = 0
    level: int = 1
    samples: int = 4
    temperature: float = 1.0
    max_completion_length: int | None = None
    output: str | None = None
    engine: EngineConfig = field(default_factory=EngineConfig)
    batch: int = 64
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    max_pixels: int | None = None


@dataclass
class SolveConfig:
    """Ask a model one question: prints its program, the engine's value, and the time.

    Args:
        model: a run folder, a checkpoint folder or a Hub id.
        question: the question.
        image: image files, none to several.
        max_completion_length: tokens.
        temperature: 0 is greedy.
        seed: of sampling.
        engine: the pool that runs programs.
        device: auto takes a GPU when there is one.
    """

    model: str
    question: str
    image: list[str] = field(default_factory=list)
    max_completion_length: int | None = None
    temperature: float = 0.0
    seed: int = 0
    engine: EngineConfig = field(default_factory=EngineConfig)
    device: str = "auto"


Config = TypeVar("Config", TrainConfig, EvalConfig, SolveConfig)


def parse(kind: type[Config], argv: list[str], program: str) -> Config:
    """Build a config from a command line. Raises `UserError` for bad input; prints and exits for --help, --print_config."""
    parser = ArgumentParser(
        prog=program, description=(kind.__doc__ or "").split("\n\n")[0], exit_on_error=False, default_env=False
    )
    parser.add_argument("--config", action="config", help="YAML file, read after the recipe; may be given again.")
    parser.add_class_arguments(kind, as_group=False, fail_untyped=True)
    flags, recipe = _spell_out(kind, argv)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            namespace = parser.parse_args(flags)
    except UserError:
        raise
    except Exception as error:  # jsonargparse raises argparse's and its own; both carry one readable sentence
        raise UserError(_readable(error, kind)) from None
    namespace.pop("config", None)
    plain = namespace.as_dict() if isinstance(namespace, Namespace) else dict(namespace)
    if recipe is not None:
        plain["recipe"] = recipe
    return build(kind, plain)


def build(kind: type[Any], plain: dict[str, Any]) -> Any:
    """Nested dictionaries to nested dataclasses."""
    values = {}
    for f in dataclasses.fields(kind):
        if f.name not in plain:
            continue
        value = plain[f.name]
        nested = f.default_factory if isinstance(f.default_factory, type) else None
        if isinstance(value, dict) and nested is not None and dataclasses.is_dataclass(nested):
            value = build(nested, value)
        values[f.name] = value
    return kind(**values)


def to_yaml(config: Any) -> str:
    """The resolved configuration, as it is written into a run folder."""
    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)


def from_yaml(kind: type[Config], text: str) -> Config:
    """The inverse of `to_yaml`; keys this version does not know are left out."""
    return build(kind, yaml.safe_load(text))


def run_path(config: TrainConfig) -> Path:
    """The run folder of a configuration."""
    return Path(config.output_dir or f"runs/{config.recipe}-{config.seed}").expanduser()


def launched() -> tuple[int, int]:
    """(rank, number of processes) a launcher such as torchrun gave this process; (0, 1) without one."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def known_keys(kind: type[Any], before: str = "") -> list[str]:
    """Every dotted key, nested ones too."""
    keys = []
    for f in dataclasses.fields(kind):
        keys.append(before + f.name)
        nested = f.default_factory if isinstance(f.default_factory, type) else None
        if nested is not None and dataclasses.is_dataclass(nested):
            keys += known_keys(nested, before + f.name + ".")
    return keys


def _spell_out(kind: type[Any], argv: list[str]) -> tuple[list[str], str | None]:
    """Turn `key=value` and bare flags into what argparse knows, and put the recipe's file first."""
    keys = set(known_keys(kind))
    flags: list[str] = []
    recipe: str | None = None
    booleans = {f.name for f in dataclasses.fields(kind) if f.type in ("bool", bool)}
    lists = {f.name for f in dataclasses.fields(kind) if str(f.type).startswith("list[str]")}
    given: dict[str, list[str]] = {}  # plain words for lists: `--image a.png --image b.png`
    taken = False  # the word is the value of the option before it
    for position, word in enumerate(argv):
        if taken:
            if flags[-1].lstrip("-") in lists and not word.startswith("["):
                given.setdefault(flags.pop().lstrip("-"), []).append(word)
            else:
                flags.append(word)
            taken = False
            continue
        name, equals, value = word.partition("=")
        bare = name.lstrip("-").replace("-", "_") if not name.startswith("--config") else "config"
        if bare in ("help", "h", "print_config") or bare.startswith("print_config"):
            flags.append(word if word.startswith("-") else "--" + word)
            continue
        if bare == "config":
            flags.append(word if word.startswith("--") else "--" + word)
            taken = not equals
            continue
        root = bare.split(".")[0] if bare.startswith(("warm_start.languages.", "reward_weights")) else bare
        if bare not in keys and root not in keys:
            raise UserError(unknown_key(bare, keys))
        if bare in booleans and not equals:
            following = argv[position + 1].lower() if position + 1 < len(argv) else ""
            if following in ("true", "false"):
                flags.append(f"--{bare}")
                taken = True
            else:
                flags.append(f"--{bare}=true")
            continue
        if not equals:
            if not word.startswith("-"):
                raise UserError(f"arguments are written key=value or --key value; got {word!r}")
            if position + 1 >= len(argv):
                raise UserError(f"{bare} needs a value; got none")
            flags.append(f"--{bare}")
            taken = True
            continue
        if bare in lists and not value.startswith("["):
            given.setdefault(bare, []).append(value)
            continue
        flags.append(f"--{bare}={value}")
    flags += [f"--{name}={json.dumps(words)}" for name, words in given.items()]
    for position, flag in enumerate(flags):
        if flag == "--recipe":
            recipe = flags[position + 1]
        elif flag.startswith("--recipe="):
            recipe = flag.partition("=")[2]
    if recipe is not None and recipe != "default":
        flags = ["--config", str(recipe_file(recipe)), *flags]
    return flags, recipe


def recipe_file(name: str) -> Path:
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in RECIPES.glob("*.yaml"))
        raise UserError(f"recipe must be one of {', '.join(names)}; got {name!r}" + _near(name, names))
    return path


def unknown_key(key: str, keys: set[str] | list[str]) -> str:
    last = {k.rsplit(".", 1)[-1]: k for k in keys}
    near = difflib.get_close_matches(key, list(keys), 1, 0.6) or [
        last[m] for m in difflib.get_close_matches(key.rsplit(".", 1)[-1], list(last), 1, 0.6)
    ]
    return f"unknown configuration key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "; --help lists them all")


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _readable(error: Exception, kind: type[Any]) -> str:
    text = str(error)
    match = re.search(r"[Kk]ey '?\"?([\w.]+)'?\"? is not expected", text) or re.search(r"Unrecognized arguments: --([\w.]+)", text)
    if match:
        return unknown_key(match.group(1), known_keys(kind))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:400]


def command(main: Any) -> None:
    """Run a command's main(argv): a `UserError` is one sentence and exit code 2, Ctrl-C exit code 130."""
    try:
        code = main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted; `--resume` continues from the latest checkpoint", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code)
