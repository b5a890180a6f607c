"""What the values of several keys must be to each other; what one may be by itself is said in `schema.py`.

Looks at values alone: no file, no package, no model, so a wrong number ends a command before torch is imported.
"""

from __future__ import annotations

import re
from typing import Any

from nsrl.config.keys import flat, keys
from nsrl.config.members import require_members
from nsrl.config.stages import parse_until
from nsrl.config.turns import check_turns
from nsrl.config.values import check_value
from nsrl.data.modes import require_opening
from nsrl.data.sources import MADE, is_made
from nsrl.errors import UserError, did_you_mean
from nsrl_kernels import LOSSES

SPAN = re.compile(r"[A-Za-z_]\w*")  # a name of one
LANGUAGES = ("direct", "prose", "sympy", "wolfram", "nsl")  # of shapes' demonstrations
# of a data set's columns
ROLES = ("question", "answer", "image", "images", "options", "category", "id", "completion", "response", "messages")
REPORTERS = ("tensorboard", "wandb")
PARTS = ("language", "head", "vision", "merger", "lora")  # of a model, for `train`
CPU_SHARE = 0.8  # of wall_s: the most that cpu_s can be in force (nsrl.engines)
MOST_COMPLETIONS = 1_000_000  # of a step: they are all held at once
MOST_MADE = 100_000  # held-out problems: more would leave few to learn from


def check(config: Any) -> None:
    """Types, bounds, and what belongs together. Raises `UserError`: the key, what was expected, what came."""
    values = flat(config)
    for name, key in keys(type(config)).items():
        check_value(key, values[name])
    _engine(values)
    _spans(values.get("spans", {}))
    if "turns.max" in values:
        check_turns(values)
    if type(config).__name__ == "TrainConfig":
        _train(values)
    source, size = ("data.source", "data.eval_size") if "data.source" in values else ("data", "size")
    made = source in values and (values[source] is None or is_made(values[source]))  # null: the run's own, or shapes
    if made and (values[size] or 0) > MOST_MADE:
        raise UserError(f"{size} must be at most {MOST_MADE:,} with {values[source] or 'shapes'}; got {values[size]}")
    if values.get(source) in MADE:
        _level("data.level" if source == "data.source" else "level", values, values[source])
    if "keep" in values:
        _harvest(values)
    elif (values.get("output") or "").lower().endswith(".parquet"):
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


def _level(name: str, values: dict[str, Any], source: str) -> None:
    if (values[name] or 1) > MADE[source].levels:
        raise UserError(
            f"{name} must be at least 1 and at most {MADE[source].levels} with {source}; got {values[name]}"
        )


def _harvest(values: dict[str, Any]) -> None:
    if not values["output"].lower().endswith(".parquet"):
        raise UserError(f"output must end in .parquet, as a table of rows does; got {values['output']!r}")
    for name in values["languages"]:
        if name not in LANGUAGES:
            raise UserError(
                f"languages must be among {', '.join(LANGUAGES)}; got {name!r}" + did_you_mean(name, LANGUAGES)
            )
    if values["keep"] > values["samples"]:
        raise UserError(
            f"keep must be at most samples ({values['samples']}), or there is nothing to choose from; got "
            f"{values['keep']}"
        )


def _engine(values: dict[str, Any]) -> None:
    cpu, wall = values["engine.cpu_s"], values["engine.wall_s"]
    if cpu > CPU_SHARE * wall:
        raise UserError(
            f"engine.wall_s must be at least {cpu / CPU_SHARE:g}, engine.cpu_s / {CPU_SHARE}, or the limit on CPU time "
            f"is never "
            f"reached; got {wall}"
        )


def _spans(templates: dict[str, str]) -> None:
    for name, template in templates.items():
        if not SPAN.fullmatch(name):
            raise UserError(f"spans: a name must be a word of letters, digits and _, no digit first; got {name!r}")
        before, place, behind = template.partition("{}")
        if not (place and before.strip() and behind.strip()) or "{}" in behind:
            raise UserError(f"spans.{name} must be a text around one {{}}, such as <info>{{}}</info>; got {template!r}")
        if name == "program":
            raise UserError("spans.program is there without being said: the program of a completion; got another one")


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
    alone = values["scale_rewards"] == "remax"
    if values["num_generations"] < (1 if alone else 2):
        why = "" if alone else ", for a group of one has no spread, so nothing is learned"
        raise UserError(f"num_generations must be at least {1 if alone else 2} with scale_rewards="
                        f"{values['scale_rewards']}{why}; got {values['num_generations']}")  # fmt: skip
    require_members(values)
    upper = 1 + (values["epsilon"] if values["epsilon_high"] is None else values["epsilon_high"])
    if values["delta"] is not None and not LOSSES[values["loss_type"]].clipped:
        raise UserError(
            f"delta must be null with loss_type={values['loss_type']}, which has no clipped ratio; got "
            f"{values['delta']}"
        )
    if values["delta"] is not None and values["delta"] <= upper:
        raise UserError(
            f"delta must be above 1 + epsilon_high ({upper}), or the clip acts before it; got {values['delta']}"
        )
    if values["objective.dual_clip"] is not None and not LOSSES[values["loss_type"]].clipped:
        raise UserError(
            f"objective.dual_clip must be null with loss_type={values['loss_type']}, which has no clipped ratio; got "
            f"{values['objective.dual_clip']}"
        )
    if values["loss_type"] == "vespo" and values["sampler_correction"] != "none":
        if values["objective.importance_level"] != "token":
            raise UserError(
                "objective.importance_level must be token with loss_type=vespo, whose weight multiplies the tokens' "
                f"corrections up; got {values['objective.importance_level']}"
            )
    if values["objective.nll_coef"] and values["shuffle_rewards"]:
        raise UserError(
            "objective.nll_coef must be 0 with shuffle_rewards, or the control learns from the very completions that "
            f"are right; got {values['objective.nll_coef']}"
        )
    low, high = values["objective.cov_band"]
    if low >= high:
        raise UserError(f"objective.cov_band must be two numbers, the smaller first; got {[low, high]}")
    if values["mini_batches"] > values["prompts_per_step"]:
        raise UserError(
            f"mini_batches must be at most prompts_per_step ({values['prompts_per_step']}), whose groups go into "
            f"them; got {values['mini_batches']}"
        )
    if values["weight_decay"] * values["learning_rate"] >= 1:
        raise UserError(
            f"weight_decay must be below 1 / learning_rate ({1 / values['learning_rate']:g}), or a step turns every "
            f"weight "
            f"round; got {values['weight_decay']}"
        )
    for name in ("data.columns", "demonstrations.columns"):
        for role in values[name]:
            if role not in ROLES:
                raise UserError(
                    f"{name} must be by role ({', '.join(ROLES)}); got {role!r}" + did_you_mean(role, ROLES)
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
    if values["rewards"] and not any(weights := [entry["weight"] for entry in values["rewards"]]):
        raise UserError(f"rewards must have a weight that is not 0, or nothing is learned; got {weights}")
    _languages(values["warm_start.languages"])
    require_opening(values["prompt.mode"], values["prompt.prefill"])
    for name in ("warm_start.until", "warm_start.reading_until"):
        if values[name] is not None:
            parse_until(values[name], "supervised", name)
    for name in values.get("train") or ():
        if name not in PARTS:
            raise UserError(f"train must name parts ({', '.join(PARTS)}); got {name!r}" + did_you_mean(name, PARTS))
    if values.get("train") == []:
        raise UserError("train must name a part at least (null: all that learn); got none")
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
