"""What values a key may have: its type, its bounds, and what two values must be to each other.

Looks at values alone: no file, no package, no model, so a wrong number ends a command before torch is imported. Every
number of the configuration stands in `BOUNDS`; NaN and infinity are never taken.
"""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from typing import Any, Literal

from nsrl.config.schema import Key, flat, keys, kind_name
from nsrl.errors import UserError, did_you_mean

LANGUAGES = ("direct", "prose", "sympy", "wolfram", "nsl")  # of shapes' demonstrations
ROLES = ("question", "answer", "image", "images", "options", "category", "id")  # of a data set's columns
REPORTERS = ("tensorboard", "wandb")
LARGEST_SEED = 2**32 - 1
CPU_SHARE = 0.8  # of wall_s: the most that cpu_s can be in force (nsrl.engines)
MOST_COMPLETIONS = 1_000_000  # of a step: they are all held at once
LARGEST_INT, LARGEST_FLOAT = 2**31 - 1, 3e38  # what every tensor and every call of the system takes
MOST_SHAPES = 100_000  # held-out pictures: more would leave few to learn from


@dataclass(frozen=True)
class Bound:
    """least <= value <= most, or above < value < below; or_zero: or 0."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    why: str = ""
    or_zero: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return (self.or_zero and value == 0) or (self.least <= value <= self.most and self.above < value < self.below)

    def __str__(self) -> str:
        words = [
            f"{word} {limit:,}" if limit >= 10_000 else f"{word} {limit}"
            for word, limit in (
                ("at least", self.least),
                ("above", self.above),
                ("at most", self.most),
                ("below", self.below),
            )
            if math.isfinite(limit)
        ]
        return ("0, or " if self.or_zero else "") + (" and ".join(words) or "any number")


ANY = Bound()
ONE_OR_MORE, NONE_OR_MORE, POSITIVE, SHARE = Bound(least=1), Bound(least=0), Bound(above=0), Bound(least=0, most=1)
SEED = Bound(least=0, most=LARGEST_SEED)
LEVEL = Bound(least=1, most=3)
PIXELS = Bound(least=1024, why="a visual token is 32 x 32 pixels")
COOLEST = 0.01  # rounding errors of logits are divided by the temperature: below it they decide
TEMPERATURE = Bound(least=COOLEST, most=10, why="near 0 completions are all alike, far above 1 they are noise")
TEMPERATURE_OR_GREEDY = Bound(least=COOLEST, most=10, why="0 is greedy", or_zero=True)
SHARE_OF_OTHERS = Bound(least=0, most=1e6, why="shares are relative to each other")
WEIGHT = Bound(least=-1e6, most=1e6, why="weights are relative to each other")
GROUP = Bound(
    least=2, most=4096, why="a group of one has no spread, so nothing is learned; a group is sampled and held as one"
)
SAMPLES = Bound(least=1, most=4096, why="the completions of a problem are sampled and held together")
SECONDS = Bound(above=0, most=86_400, why="a day")
RATE = Bound(above=0, most=1, why="AdamW moves every weight by about this much in a step")

ENGINE = {
    "engine.workers": Bound(least=1, most=1024),
    "engine.cpu_s": SECONDS,
    "engine.wall_s": SECONDS,
    "engine.memory_mb": Bound(least=16, why="with less, ordinary programs are out of memory"),
}
BOUNDS: dict[str, dict[str, Bound]] = {
    "TrainConfig": {
        "seed": SEED,
        "model.min_pixels": ONE_OR_MORE,
        "model.max_pixels": PIXELS,
        "lora.r": Bound(least=1, most=1024),
        "lora.alpha": Bound(least=1, most=65_536, why="the adapter is scaled by alpha / r"),
        "lora.dropout": Bound(least=0, below=1),
        "data.level": LEVEL,
        "data.eval_size": Bound(least=1, why="a run is graded on held-out problems before and after"),
        "data.max_prompt_length": ONE_OR_MORE,
        "data.picture_memory_mb": NONE_OR_MORE,
        "data.picture_threads": Bound(least=0, most=256),
        "warm_start.steps": NONE_OR_MORE,
        "warm_start.reading_steps": NONE_OR_MORE,
        "warm_start.batch_size": ONE_OR_MORE,
        "warm_start.learning_rate": RATE,
        "warm_start.languages": SHARE_OF_OTHERS,
        "warm_start.wrong": SHARE,
        **ENGINE,
        "max_steps": NONE_OR_MORE,
        "extra_supervised_steps": NONE_OR_MORE,
        "reward_noise": SHARE,
        "prompts_per_step": Bound(least=1, most=65_536, why="a step has that many seeds for its prompts"),
        "num_generations": GROUP,
        "max_completion_length": ONE_OR_MORE,
        "temperature": TEMPERATURE,
        "top_p": Bound(above=0, most=1),
        "top_k": NONE_OR_MORE,
        "reward_weights": WEIGHT,
        "epsilon": NONE_OR_MORE,
        "epsilon_high": NONE_OR_MORE,
        "delta": Bound(above=1),
        "beta": NONE_OR_MORE,
        "entropy_coef": ANY,  # below 0 it is a penalty
        "num_iterations": ONE_OR_MORE,
        "dynamic_sampling": NONE_OR_MORE,
        "vllm.memory_share": Bound(above=0, below=1),
        "vllm.cache_gib": POSITIVE,
        "vllm.max_sequences": ONE_OR_MORE,
        "vllm.max_images": ONE_OR_MORE,
        "token_budget": ONE_OR_MORE,
        "learning_rate": RATE,
        "warmup_steps": NONE_OR_MORE,
        "weight_decay": NONE_OR_MORE,
        "max_grad_norm": Bound(above=0, why="1e9 never clips"),
        "eval_samples": SAMPLES,
        "eval_steps": NONE_OR_MORE,
        "eval_size_midway": ONE_OR_MORE,
        "save_steps": ONE_OR_MORE,
        "save_total_limit": Bound(least=1, why="the newest is always kept; null keeps all"),
        "logging_steps": ONE_OR_MORE,
        "completions_steps": NONE_OR_MORE,
        "threads": Bound(least=1, most=1024),
    },
    "EvalConfig": {
        "size": Bound(least=1, why="null takes all"),
        "seed": SEED,
        "level": LEVEL,
        "samples": SAMPLES,
        "temperature": TEMPERATURE_OR_GREEDY,
        "max_completion_length": ONE_OR_MORE,
        **ENGINE,
        "batch": ONE_OR_MORE,
        "max_pixels": PIXELS,
    },
    "SolveConfig": {
        "max_completion_length": ONE_OR_MORE,
        "temperature": TEMPERATURE_OR_GREEDY,
        "seed": SEED,
        **ENGINE,
    },
}


def check(config: Any) -> None:
    """Types, bounds, and what belongs together. Raises `UserError`: the key, what was expected, what came."""
    values = flat(config)
    bounds = BOUNDS[type(config).__name__]
    for name, key in keys(type(config)).items():
        _check_value(key, values[name], bounds.get(name))
    _engine(values)
    if type(config).__name__ == "TrainConfig":
        _train(values)
    source, size = ("data.source", "data.eval_size") if "data.source" in values else ("data", "size")
    if (
        source in values and values[source] in (None, "shapes") and (values[size] or 0) > MOST_SHAPES
    ):  # null: the run's own, or shapes
        raise UserError(f"{size} must be at most {MOST_SHAPES:,} with shapes; got {values[size]}")
    if (values.get("output") or "").lower().endswith(".parquet"):
        raise UserError(
            f"output must not end in .parquet, because completions go beside it under that name; got "
            f"{values['output']!r}"
        )
    for name in ("model.name", "model"):
        if name in values and not values[name].strip():
            raise UserError(f"{name} must be a run folder, a checkpoint folder, a Hub id or `small`; got none")
    if values.get("question") is not None and not values["question"].strip():
        raise UserError("question must be a text with something in it; got none")
    marks, pictures = (values.get("question") or "").count("<image>"), len(values.get("image") or ())
    if marks > pictures:
        raise UserError(f"question must hold at most one <image> per image given ({pictures}); got {marks}")


def _check_value(key: Key, value: Any, bound: Bound | None) -> None:
    if value is None:
        if not key.optional:
            raise UserError(f"{key.name} must be {kind_name(key.type, key)}; got null" if not key.is_list
                            else f"{key.name} must be a list; got null")  # fmt: skip
        return
    parts = [(key.name, value, key.type)]
    if key.is_list:
        (inner,) = typing.get_args(key.type)
        parts = [(key.name, item, inner) for item in value]
    elif key.is_mapping:
        parts = [(f"{key.name}.{name}", item, typing.get_args(key.type)[1]) for name, item in value.items()]
    for name, item, kind in parts:
        if isinstance(item, str) and "\0" in item:
            raise UserError(f"{name} must be a text without the character NUL; got {item!r}")
        if typing.get_origin(kind) is Literal:
            if item not in key.choices:
                raise UserError(
                    f"{name} must be {kind_name(kind, key)}; got {item!r}" + did_you_mean(str(item), key.choices)
                )
        elif kind in (int, float, bool):
            _check_number(key, name, item, kind, bound)


def _check_number(key: Key, name: str, value: Any, kind: type, bound: Bound | None) -> None:
    numbers = {int: int, float: (int, float), bool: bool}[kind]
    if not isinstance(value, numbers) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{name} must be {kind_name(kind, key)}; got {value!r}")
    if kind is bool:
        return
    if not math.isfinite(value):
        raise UserError(f"{name} must be a finite number; got {value}")
    if bound is not None and not bound.holds(value):
        why = f" ({bound.why})" if bound.why else ""
        raise UserError(f"{name} must be {bound}{' or null' if key.optional else ''}; got {value}{why}")
    most = LARGEST_INT if kind is int else LARGEST_FLOAT
    if abs(value) > most and not (bound is not None and bound.most > most and math.isfinite(bound.most)):
        raise UserError(f"{name} must be between {-most:,} and {most:,}; got {value}")


def _engine(values: dict[str, Any]) -> None:
    cpu, wall = values["engine.cpu_s"], values["engine.wall_s"]
    if cpu > CPU_SHARE * wall:
        raise UserError(
            f"engine.wall_s must be at least {cpu / CPU_SHARE:g}, engine.cpu_s / {CPU_SHARE}, or the limit on CPU time "
            f"is never "
            f"reached; got {wall}"
        )


def _train(values: dict[str, Any]) -> None:
    """What two keys must be to each other."""
    low, high = values["model.min_pixels"], values["model.max_pixels"]
    if low is not None and high is not None and low > high:
        raise UserError(f"model.min_pixels must be at most model.max_pixels ({high}); got {low}")
    if values["top_p"] != 1 or values["top_k"] != 0:
        raise UserError(
            "top_p must be 1 and top_k 0 for training, because the update's softmax covers the whole vocabulary and "
            f"importance weights cannot correct for tokens that are never drawn; got top_p={values['top_p']}, "
            f"top_k={values['top_k']}"
        )
    if values["prompts_per_step"] * values["num_generations"] > MOST_COMPLETIONS:
        raise UserError(
            f"prompts_per_step x num_generations must be at most {MOST_COMPLETIONS:,} completions a step; got "
            f"{values['prompts_per_step']} x {values['num_generations']}"
        )
    upper = 1 + (values["epsilon"] if values["epsilon_high"] is None else values["epsilon_high"])
    if values["delta"] is not None and values["loss_type"] in ("cispo", "sapo", "reinforce"):
        raise UserError(
            f"delta must be null with loss_type={values['loss_type']}, which has no clipped ratio; got "
            f"{values['delta']}"
        )
    if values["delta"] is not None and values["delta"] <= upper:
        raise UserError(
            f"delta must be above 1 + epsilon_high ({upper}), or the clip acts before it; got {values['delta']}"
        )
    if values["weight_decay"] * values["learning_rate"] >= 1:
        raise UserError(
            f"weight_decay must be below 1 / learning_rate ({1 / values['learning_rate']:g}), or a step turns every "
            f"weight "
            f"round; got {values['weight_decay']}"
        )
    for role in values["data.columns"]:
        if role not in ROLES:
            raise UserError(
                f"data.columns must be by role ({', '.join(ROLES)}); got {role!r}" + did_you_mean(role, ROLES)
            )
    if values["loss_type"] == "cispo" and not (values["epsilon_high"] or 0) > 1:
        raise UserError(
            "epsilon_high must be above 1 with loss_type=cispo, where it bounds the ratio itself (5.0 is usual); "
            f"got {values['epsilon_high']}"
        )
    for name in ("reward_funcs", "lora.target_modules"):
        if not values[name]:
            raise UserError(f"{name} must name at least one; got none")
    _rewards(values["reward_funcs"], values["reward_weights"])
    _languages(values["warm_start.languages"])
    for name in values["report_to"]:
        if name not in REPORTERS:
            raise UserError(
                f"report_to must name {' or '.join(REPORTERS)}; got {name!r}" + did_you_mean(name, REPORTERS)
            )


def _rewards(names: list[str], weights: list[float]) -> None:
    if len(names) != len(weights):
        raise UserError(
            f"reward_weights must have one weight per reward function ({len(names)}: {', '.join(names)}); got "
            f"{len(weights)} (give both keys)"
        )
    if not any(weights):
        raise UserError(f"reward_weights must have a weight that is not 0, or nothing is learned; got {weights}")


def _languages(shares: dict[str, float]) -> None:
    for name in shares:
        if name not in LANGUAGES:
            raise UserError(
                f"warm_start.languages must be among {', '.join(LANGUAGES)}; got {name!r}"
                + did_you_mean(name, LANGUAGES)
            )
    if not any(shares.values()):
        raise UserError(f"warm_start.languages must give one language a share above 0; got {shares}")
