"""Which keys can act together. A key that was said and cannot act is refused with the reason, or said to be idle.

Refused: what only a mistake explains. Told in one line, and the run goes on: what belongs to a comparison (a clip with
one update per rollout, a control run with the settings of the other), and what a recipe says while the user's own words
make it idle. Defaults are nobody's words: they are never in the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from nsrl.config.asking import EvalConfig, HarvestConfig, SolveConfig
from nsrl.config.cli import launched
from nsrl.config.draw import KEYS_OF, OF_A_FILE
from nsrl.config.keys import flat, keys
from nsrl.config.schedules import SCHEDULED, widest
from nsrl.config.schema import TrainConfig
from nsrl.config.stages import OF_THE_DEFAULT, never_asked, parse_until, planned_stages, require_fitting
from nsrl.data.modes import OPENING
from nsrl.data.sources import format_of, is_made, made_of, reads_out
from nsrl.engines.external import EMBEDDED
from nsrl.engines.languages import LANGUAGES
from nsrl.errors import UserError
from nsrl.userfiles import expanded
from nsrl_kernels import Objective

Config = TrainConfig | EvalConfig | HarvestConfig | SolveConfig
Why = Callable[[Any], str | None]  # of the configuration in whose RULES it stands

LORA = ("lora.r", "lora.alpha", "lora.dropout", "lora.target_modules")
SUPERVISED = ("warm_start.batch_size", "warm_start.optimizer", "warm_start.learning_rate", "demonstrations.source")
OF_MADE = ("warm_start.languages", "warm_start.wrong")
CLIP = ("epsilon", "epsilon_high", "delta", "importance_sampling_level", "objective.dual_clip")
ONE_UPDATE = {  # with the ratio at 1 they are these
    "cispo": "dapo", "gppo": "dapo", "vespo": "dapo", "gspo": "grpo", "gmpo": "grpo", "sapo": "grpo",
    "luspo": "grpo with objective.aggregation=sequence_sum",
}  # fmt: skip
CONSTANTS = {  # of one loss type each
    "objective.tau": "sapo", "objective.gppo_beta": "gppo", "objective.vespo_k": "vespo",
    "objective.vespo_lambda": "vespo",
}  # fmt: skip
GRPO = (
    "shuffle_rewards", "reward_noise", "reward_funcs", "reward_weights", "rewards", "combine", "scale_rewards",
    "loss_type", *CLIP, "beta", "use_bias_correction_kl", "entropy_coef", "sampler_correction", "num_iterations",
    "mini_batches", *(name for name in keys(TrainConfig) if name.startswith("objective.")),
    "mask_truncated_completions",
    "dynamic_sampling", "prompts_per_step", "num_generations", "logging_steps", "learning_rate", "lr_scheduler_type",
    "warmup_steps", "weight_decay", "adam_beta2", "noise_gate", "eval_steps",
    "completions_steps", "save_best", "parity_check", "contexts", "terms", "shape_funcs", "dead_groups", "members",
    *(name for name in keys(TrainConfig) if name.startswith("draw.")),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What a look at a checkpoint's small files tells: is it the built-in model, does it bring an adapter."""

    small: bool
    adapter: bool

    @classmethod
    def at(cls, name: str) -> Model:
        """The model that `model.name` names, by the small files of its folder."""
        if name == "small":
            return cls(True, False)
        folder = expanded(name)
        folder = folder / "latest" if (folder / "latest").exists() else folder
        own, adapter = folder / "nsrl.json", folder / "adapter_config.json"
        try:
            small = own.is_file() and bool(json.loads(own.read_text()).get("small"))
        except (ValueError, AttributeError):  # damaged: loading it says so
            small = False
        return cls(small, adapter.is_file())


@dataclass(frozen=True)
class Idle:
    """Keys that cannot act when `why` has something to say (the clause behind "because"); told: not refused."""

    keys: tuple[str, ...]
    why: Why
    told: bool = False


def _adapters(c: TrainConfig) -> str | None:
    model = Model.at(c.model.name)
    if model.adapter:
        return "the checkpoint brings an adapter of its own"
    if c.lora.enabled is False:
        return "lora.enabled is false"
    if c.lora.enabled is None and model.small:
        return "the small model learns with all its weights (lora.enabled=true gives it an adapter)"
    return None


def _adapter_stays(c: TrainConfig) -> str | None:
    stays = c.lora.enabled is False and Model.at(c.model.name).adapter
    return "the checkpoint is an adapter and goes on learning as one" if stays else None


def _warm_start(c: TrainConfig) -> bool:
    return c.warm_start.steps > 0 if c.warm_start.steps is not None else c.model.name == "small"


def _supervised(c: TrainConfig) -> bool:
    return _warm_start(c) or c.extra_supervised_steps > 0


def _demonstrations(c: TrainConfig) -> str | None:
    if _supervised(c):
        return None
    return "warm_start.steps is 0" + ("" if c.warm_start.steps == 0 else " where model.name is not small")


def _made(c: TrainConfig) -> str | None:
    """Of what says how problems that are made are demonstrated."""
    return _demonstrations(c) or (
        None if is_made(c.teacher.source) else f"the demonstrations are rows of {c.teacher.path or c.teacher.source}"
    )


def _reading(c: TrainConfig) -> str | None:
    if not _warm_start(c):
        return "there is no warm start (warm_start.steps is 0)"
    return _made(c) or (None if reads_out(c.teacher.source) else f"pictures of {c.teacher.source} cannot be read out")


def _evaluates(c: TrainConfig) -> bool:
    """Whether an `until` is of evaluations midway."""
    conditions = (c.warm_start.until, c.warm_start.reading_until) if _warm_start(c) else ()
    return c.evaluates or any("eval/" in text for text in conditions if text is not None)


def _own_rows(c: TrainConfig) -> str | None:
    """Of what says how the demonstrations' rows are read."""
    made = is_made(c.teacher.source)
    return _demonstrations(c) or (f"{c.teacher.source} makes its demonstrations itself" if made else None)


def _own_split(c: TrainConfig) -> str | None:
    return _own_rows(c) or _split(replace(c, data=c.teacher))


def _split(c: TrainConfig) -> str | None:
    if not _splits(c):
        return f"data.source={c.data.source} has no splits"
    single = c.data.path is not None and expanded(c.data.path).is_file()
    return "data.path is a single file" if single else None


def _subset(c: TrainConfig) -> str | None:
    if not _splits(c):
        return f"data.source={c.data.source} has no subsets"
    local = c.data.path is not None and expanded(c.data.path).exists()
    return "data.path is local" if local else None


def _splits(c: TrainConfig) -> bool:
    return not is_made(c.data.source) and format_of(c.data.source).splits


def _level(c: TrainConfig) -> str | None:
    return None if _drawn(c) else f"data.source={c.data.source} without demonstrations of shapes draws none"


def _drawn(c: TrainConfig) -> list[str]:
    """The sources that make problems of this run."""
    used = (c.data.source, *((c.teacher.source,) if _supervised(c) else ()))
    return [source for source in dict.fromkeys(used) if is_made(source)]


def _disturbed(c: TrainConfig) -> str | None:
    if not (drawn := _drawn(c)):
        return f"pictures of data.source={c.data.source} are shown as they are"
    return None if any(made_of(source).pictures for source in drawn) else f"{drawn[0]} has no pictures"


ONE = "with num_iterations=1 and mini_batches=1 the ratio is 1 whenever it is taken"


def _several_updates(c: TrainConfig) -> bool:
    """Whether the ratio of a rollout's later updates can leave 1."""
    return c.num_iterations > 1 or c.mini_batches > 1


def _one_update(c: TrainConfig) -> str | None:
    if _several_updates(c) or c.objective.loss_type == "reinforce":
        return None
    return f"{ONE}, so nothing is ever clipped"


def _one_update_family(c: TrainConfig) -> str | None:
    family, corrected = ONE_UPDATE.get(c.objective.loss_type), c.objective.importance != "none"
    if _several_updates(c) or family is None or (c.objective.loss_type == "vespo" and corrected):
        return None
    return f"{ONE}, which makes it {family}"


def _one_drift(c: TrainConfig) -> str | None:
    idle = widest(c).objective.kl_cov and not _several_updates(c)
    return f"{ONE}, so no token has moved" if idle else None


def _unused(used: Callable[[Objective], bool]) -> Why:
    """What the loss type has no use for; with one update per rollout no loss type has, which is told elsewhere."""

    def why(c: TrainConfig) -> str | None:
        later = _several_updates(c) or c.objective.loss_type == "reinforce"
        return f"loss_type={c.objective.loss_type} does not use it" if later and not used(c.objective) else None

    return why


def _lower_of_cispo(c: TrainConfig) -> str | None:
    upper_only = _several_updates(c) and c.objective.loss_type == "cispo" and c.objective.epsilon_high is not None
    return "loss_type=cispo has an upper clip only, which epsilon_high sets" if upper_only else None


def _no_grpo(c: TrainConfig) -> str | None:
    if c.extra_supervised_steps:
        return "extra_supervised_steps takes the place of GRPO"
    return "max_steps is 0" if c.max_steps == 0 else None


def _sharded(c: TrainConfig) -> str | None:
    if c.parallel != "fsdp":
        return None
    if launched()[1] == 1:
        return "there is one process (torchrun --nproc-per-node N starts several)"
    if not learns_by_adapter(c):
        return None
    return "it is for full fine-tuning and this model learns by an adapter (lora.enabled=false, or ddp)"


def learns_by_adapter(c: TrainConfig) -> bool:
    """Whether the model of a run will have an adapter."""
    model = Model.at(c.model.name)
    return model.adapter or (c.lora.enabled if c.lora.enabled is not None else not model.small)


def _contexts(c: TrainConfig) -> str | None:
    if c.tokens.shape_funcs:
        return None
    idle = [name for name in c.tokens.contexts if name not in c.tokens.terms]
    return f"no term and no shape function needs contexts.{idle[0]}" if idle else None


def _dead_groups(c: TrainConfig) -> str | None:
    alone = widest(c).objective.advantages_alone and not c.tokens.terms and not c.tokens.shape_funcs
    return "groups without spread have no gradient in this run" if c.tokens.dead_groups == "keep" and alone else None


def _not_drawn_by(name: str) -> Why:
    """Why a key of `draw` has no use."""

    def why(c: TrainConfig) -> str | None:
        if name not in KEYS_OF.get(c.draw.kind, OF_A_FILE):
            return f"draw.kind={c.draw.kind} does not use it"
        if c.draw.kind == "rlcs" and not c.draw.tiers and name in ("by", "weights", "column", "pass_at"):
            return "draw.tiers names none, so no problem is passed over"
        measured = name in ("by", "pass_at", "least", *(["decay"] if c.draw.kind != "rlcs" else []))
        if measured and c.draw.measures and c.draw.column is not None:
            return "draw.column says the pass rates, so none is measured"
        return None

    return why


def _no_system_text(model: str) -> str | None:
    return "the small model's prompts carry no system text" if Model.at(model).small else None


def _no_mode(model: str, prefill: str | None) -> str | None:
    return None if prefill == OPENING else _no_system_text(model)  # which opens the mode's language


def _mode_of_a_run(c: TrainConfig) -> str | None:
    why = _no_mode(c.model.name, c.prompt.prefill)
    return why and (idle := _demonstrations(c)) and f"{why}, and there are no demonstrations ({idle})"


def _languages(c: TrainConfig) -> str | None:
    asked = {name for name, share in c.warm_start.languages.items() if share}
    return None if asked == c.taught.keys() or c.prompt.mode == "any" else f"they follow prompt.mode={c.prompt.mode}"


def _delimiters(model: str, mode: str) -> str | None:
    if mode in ("answer", "cot"):
        return f"prompt.mode={mode} asks for no program"
    return "the small model's tokenizer has the tags as single tokens" if Model.at(model).small else None


def _never(c: TrainConfig, name: str, count: str) -> str | None:
    text, steps = getattr(c.warm_start, name), getattr(c.warm_start, count)
    if text is None:
        return None
    until = parse_until(text, "supervised", name)
    if until.metric.startswith("learned/") and c.teacher.source == "shapes":
        if name == "reading_until" or not any(map(c.taught.get, LANGUAGES)):
            return f"{until.metric} is of programs, and none is taught"
    return None if steps is None else never_asked(until, 0, steps)


def _clips(c: TrainConfig) -> str | None:
    """Of schedules that are of clips alone."""
    return _one_update(c) if c.schedules.keys() <= set(CLIP) else None


def _idle_schedules(c: TrainConfig) -> str | None:
    """Why a number that a schedule says has no use."""
    wide = widest(c)
    rules = ((name, rule) for name in c.schedules for rule in TRAIN if name in rule.keys and not rule.told)
    return next((f"of {name} {why}" for name, rule in rules if (why := rule.why(wide))), None)


def _in_grpo(why: Why) -> Why:
    return lambda config: None if _no_grpo(config) else why(config)


def _when(test: Callable[[Any], bool], reason: str) -> Why:
    return lambda config: reason if test(config) else None


TRAIN = (
    Idle(LORA, _adapters),
    Idle(("lora.enabled",), _adapter_stays),
    Idle(
        ("data.path", "data.picture_memory_mb", "data.picture_threads"),
        lambda c: f"data.source={c.data.source} makes its problems itself" if is_made(c.data.source) else None,
    ),
    Idle(
        ("data.answered",),
        lambda c: f"every problem of {c.data.source} has its answer" if is_made(c.data.source) else None,
    ),
    Idle(
        ("reward_funcs", "reward_weights"),
        _when(lambda c: bool(c.paid.rewards), "rewards says what is paid (rewards=[] takes that back)"),
    ),
    Idle(("data.columns",), lambda c: f"{c.data.source} has no columns" if is_made(c.data.source) else None),
    Idle(("data.subset",), _subset),
    Idle(("data.split",), _split),
    Idle(("data.level",), _level),
    Idle(("data.noise", "data.occlusion", "data.contrast"), _disturbed),
    Idle(
        ("data.max_prompt_length",),
        lambda c: (
            f"the prompts of {c.data.source} are never dropped"
            if is_made(c.data.source) and c.rollout == "native"
            else None
        ),
    ),
    Idle(SUPERVISED, _demonstrations),
    Idle(OF_THE_DEFAULT, _when(lambda c: bool(c.stages), "stages say what is done, and for how many steps")),
    *(
        Idle((f"warm_start.{name}",), lambda c, name=name, count=count: _never(c, name, count), told=True)
        for name, count in (("until", "steps"), ("reading_until", "reading_steps"))
    ),
    Idle(("schedules",), lambda c: _no_grpo(c) or _clips(c), told=True),
    Idle(("schedules",), _idle_schedules),
    Idle(("warm_start.until",), lambda c: None if _warm_start(c) else "there is no warm start (warm_start.steps is 0)"),
    *(
        Idle((name,), _when(lambda c, name=name: name in c.schedules, f"schedules.{name} says it for every step"))
        for name in SCHEDULED
    ),
    Idle(
        ("lr_scheduler_type", "warmup_steps"),
        _when(lambda c: "learning_rate" in c.schedules, "schedules.learning_rate says it for every step"),
    ),
    Idle(OF_MADE, _made),
    Idle(("demonstrations.path", "demonstrations.columns"), _own_rows),
    Idle(("demonstrations.split",), _own_split),
    Idle(("warm_start.languages",), _languages),
    Idle(("prompt.mode",), _mode_of_a_run),
    Idle(("prompt.system", "prompt.examples"), lambda c: _no_system_text(c.model.name)),
    Idle(("prompt.delimiters",), lambda c: _delimiters(c.model.name, c.prompt.mode)),
    Idle(("warm_start.reading_steps", "warm_start.reading_until"), _reading),
    Idle(
        tuple(name for name in keys(TrainConfig) if name.startswith("vllm.")),
        _when(lambda c: c.rollout != "vllm", "rollout is native"),
    ),
    Idle(("contexts",), _contexts),
    Idle(("dead_groups",), _dead_groups),
    *(
        Idle((f"draw.{name}",), _not_drawn_by(name))
        for name in dict.fromkeys((*(n for of in KEYS_OF.values() for n in of), *OF_A_FILE))
    ),
    Idle(
        ("save_best",),
        _when(lambda c: c.save_best and c.draw.moves, "the accuracy of problems that draw chooses is none of the run"),
        told=True,
    ),
    Idle(("max_steps",), lambda c: _no_grpo(c) if c.extra_supervised_steps and c.max_steps else None),
    Idle(("parallel",), _sharded),
    Idle(
        ("eval_size_midway",),
        _in_grpo(
            _when(
                lambda c: not c.eval_steps and not _evaluates(c),
                "eval_steps is 0 and no `until` asks, so there is no evaluation midway",
            )
        ),
    ),
    Idle(("eval_size_midway",), lambda c: None if _evaluates(c) else _no_grpo(c), told=True),
    Idle(
        ("importance_sampling_level",),
        _when(
            lambda c: c.objective.loss.sequence_ratio and c.objective.importance_sampling_level == "token",
            "this loss type's ratio is the sequence's",
        ),
    ),
    Idle(("importance_sampling_level",), _unused(lambda o: o.loss_type not in ("reinforce", "vespo"))),
    Idle(("epsilon", "epsilon_high"), _unused(lambda o: o.loss.epsilon)),
    *(
        Idle((name,), lambda c, of=of: None if c.objective.loss_type == of else f"it is a constant of loss_type={of}")
        for name, of in CONSTANTS.items()
    ),
    Idle(("epsilon",), _lower_of_cispo),
    Idle(
        ("use_bias_correction_kl",),
        _when(lambda c: not widest(c).beta and c.objective.kl_times_ratio, "beta is 0, so there is no KL"),
    ),
    Idle(
        ("objective.kl", "objective.kl_log_clamp", "objective.kl_clamp"),
        _when(lambda c: not widest(c).beta, "beta is 0, so there is no KL"),
    ),
    Idle(
        ("objective.importance_level", "objective.importance_cap"),
        _when(lambda c: c.objective.importance == "none", "sampler_correction is none"),
    ),
    Idle(("objective.cov_band",), _when(lambda c: not widest(c).objective.clip_cov, "objective.clip_cov is 0")),
    Idle(("objective.drift_coef",), _when(lambda c: not widest(c).objective.kl_cov, "objective.kl_cov is 0")),
    Idle(GRPO, _no_grpo, told=True),
    Idle(CLIP, _in_grpo(_one_update), told=True),
    Idle(("loss_type",), _in_grpo(_one_update_family), told=True),
    Idle(
        ("dynamic_sampling",),
        _when(
            lambda c: c.dynamic_sampling and c.scale_rewards.startswith("reinforce++"),
            "REINFORCE++ compares with the whole batch, so a group without spread has a gradient too",
        ),
    ),
    Idle(("objective.kl_cov", "objective.drift_coef"), _in_grpo(_one_drift), told=True),
    Idle(
        ("sampler_correction",),
        _in_grpo(
            _when(
                lambda c: c.rollout == "native" and c.objective.importance != "none",
                "the native sampler runs the very weights that learn, so its log-probs differ by rounding alone",
            )
        ),
        told=True,
    ),
    Idle(
        ("eval_steps",),
        _in_grpo(_when(lambda c: c.eval_steps >= c.max_steps, "the run ends before the first such step")),
        told=True,
    ),
    Idle(
        ("warmup_steps",),
        _in_grpo(
            _when(
                lambda c: c.warmup_steps > c.max_steps * c.num_iterations * c.mini_batches,
                "the run ends before it, so the learning rate never reaches its peak",
            )
        ),
        told=True,
    ),
    Idle(
        ("preflight",),
        _when(lambda c: c.preflight and c.parallel == "fsdp", "a sharded model has no preflight"),
        told=True,
    ),
)
TURNS = (  # of a command that asks, turns.max may be the run's own
    Idle(
        ("turns.stop", "turns.observe", "turns.max_observation", "turns.around"),
        _when(lambda c: c.turns.max == 1 and (isinstance(c, TrainConfig) or "turns.max" in c.given), "turns.max is 1"),
    ),
    Idle(
        ("turns.reserve",),
        _when(lambda c: c.turns.on_length is None and isinstance(c, TrainConfig), "turns.on_length is null"),
    ),
)
COMMAND = Idle(
    ("engine.command",), _when(lambda c: c.engine.backend == EMBEDDED, "engine.backend is embedded, which has none")
)
ASKED = (
    Idle(("prompt.mode",), lambda c: _no_mode(c.model, c.prompt.prefill)),
    Idle(("prompt.system", "prompt.examples"), lambda c: _no_system_text(c.model)),
    Idle(("prompt.delimiters",), lambda c: _delimiters(c.model, c.prompt.mode)),
)
LEVELS = Idle(
    ("level",),
    _when(lambda c: c.data is not None and not is_made(c.data), "only made problems (data=shapes) have levels"),
)
ANSWERED = Idle(
    ("answered",),
    lambda c: "the rows are read as the run reads them" if c.data is None
    else f"every problem of {c.data} has its answer" if is_made(c.data) else None,
)  # fmt: skip
EVAL = (
    LEVELS,
    ANSWERED,
    Idle(
        ("noise", "occlusion", "contrast"),
        _when(
            lambda c: c.data is not None and not (is_made(c.data) and made_of(c.data).pictures),
            "only pictures that are made (data=shapes) are disturbed",
        ),
    ),
    *ASKED,
    COMMAND,
)
SAID_BY_A_RUN = (
    "data", "held_out", "verifiers", "answered", "seed", "level", "temperature",
    "max_completion_length", "device", "dtype", "max_pixels",
    *(name for name in keys(HarvestConfig) if name.startswith(("prompt.", "engine."))),
)  # fmt: skip
HARVEST = (
    Idle(SAID_BY_A_RUN, _when(lambda c: c.run is not None, "the file that run names says it")), LEVELS, ANSWERED,
    *ASKED, COMMAND,
)  # fmt: skip
SOLVE = (
    Idle(("seed",), _when(lambda c: c.temperature == 0, "at temperature=0 nothing is drawn"), told=True),
    *ASKED,
    COMMAND,
)
RULES: dict[type, tuple[Idle, ...]] = {
    TrainConfig: (*TRAIN, *TURNS, COMMAND),
    EvalConfig: (*EVAL, *TURNS),
    HarvestConfig: HARVEST,
    SolveConfig: (*SOLVE, *TURNS),
}


def require_acting(config: Config) -> list[str]:
    """What to tell of keys that are idle. Raises `UserError` for one that the user said and that cannot act.

    Where a run is continued, its own keys are its own affair.
    """
    stages = planned_stages(config) if isinstance(config, TrainConfig) else []
    notes = require_fitting(stages) if "stages" in config.given else []
    for stage in stages:
        try:
            notes += [f"stage {stage.name!r}: {note}" for note in require_acting(stage.config)]
        except UserError as error:
            raise UserError(f"stage {stage.name!r}: {error}") from None
    values = flat(config)
    for rule, said, why in idle(config):
        own = [name for name in said if config.given[name] != "recipe"]
        if own and not rule.told:
            raise UserError(
                f"{own[0]} cannot act here, because {why}; got {own[0]}={_shown(values[own[0]])} (leave it out)"
            )
        names = own if rule.told else said
        if names:
            shown = names if len(names) > 4 else [f"{name}={_shown(values[name])}" for name in names]
            notes.append(f"{', '.join(shown)} cannot act in this run: {why}")
    return notes


def idle(config: Config) -> Iterator[tuple[Idle, list[str], str]]:
    """(rule, keys that were said, why they cannot act) for each rule of which that is so; of stages, in all of them."""
    stages = planned_stages(config) if isinstance(config, TrainConfig) else []
    learning = [stage.config for stage in stages if stage.kind != "evaluate"]
    for rule in RULES[type(config)]:
        said = [name for name in rule.keys if config.given.get(name) in ("line", "file", "recipe")]
        each = learning if learning and rule.keys != OF_THE_DEFAULT else [config]
        reasons = [rule.why(one) for one in each] if said else [None]
        if (why := reasons[0]) is not None and None not in reasons:  # a key of the run acts where it does in one stage
            yield rule, said, why


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
