"""All that can be known to be wrong before a model is loaded: keys that cannot act, rewards, packages, processes.

Imports neither torch nor transformers.
"""

from __future__ import annotations

import importlib.util

from nsrl.config.acts import Config, learns_by_adapter, require_acting
from nsrl.config.asking import EvalConfig, HarvestConfig
from nsrl.config.cli import launched
from nsrl.config.contexts import PROMPT
from nsrl.config.draw import require_drawn
from nsrl.config.members import ANSWER, GOLD, MemberConfig
from nsrl.config.schema import EngineConfig, TrainConfig
from nsrl.config.stages import planned_stages
from nsrl.config.turns import OBSERVERS, TurnsConfig
from nsrl.data.sources import is_made, made_of, require_path
from nsrl.data.tables import is_local
from nsrl.engines.external import EMBEDDED, UNSANDBOXED, external
from nsrl.errors import MissingBackend, UserError
from nsrl.userfiles import expanded


def require_sound(config: Config) -> None:
    """Raise `UserError` for what cannot work; print a line for each key that cannot act (on the main process)."""
    notes = notes_on(config)
    if launched()[0] == 0:
        for note in notes:
            print(f"note: {note}", flush=True)


def notes_on(config: Config) -> list[str]:
    """What to tell of keys that cannot act. Raises `UserError` for what cannot work."""
    notes = require_acting(config)
    _files(config)
    _backend(config.engine)
    if not isinstance(config, HarvestConfig):
        require_observer(config.turns)
    if isinstance(config, EvalConfig | HarvestConfig):
        _verifiers(config.verifiers)
    if isinstance(config, TrainConfig):
        for stage in planned_stages(config):
            try:
                _files(stage.config)
                if stage.kind != "evaluate":
                    _data(stage.config)
                    _rewards(stage.config)
                    _tokens(stage.config)
                    _members(stage.config)
            except UserError as error:
                raise UserError(f"stage {stage.name!r}: {error}") from None
        _data(config)
        _rewards(config)
        _tokens(config)
        _members(config)
        _packages(config)
        notes += _one_turn(config)
    return notes


def require_model(name: str) -> None:
    """Raise `UserError` for a model that is a folder by its name, and is not there."""
    local = name.startswith((".", "/", "~")) or name.count("/") != 1
    if name != "small" and local and not expanded(name).is_dir():
        raise UserError(f"model must be `small`, a Hub id or a folder; got {name!r}, which does not exist")


def require_observer(turns: TurnsConfig) -> None:
    """Raise `UserError` for an observer of the user's that is not there, or cannot be called as one is."""
    if turns.observe not in OBSERVERS:
        from nsrl.data.observers import observer

        observer(turns.observe)


def _files(config: Config) -> None:
    """The files of the prompt can be read."""
    _prompt_files(config.prompt.system, config.prompt.examples)


def _prompt_files(system: str | None, examples: str | None, where: str = "") -> None:
    if system is None and examples is None:
        return
    from nsrl.data.chat import examples_text, text_of_file

    if system is not None:
        text_of_file(f"{where}prompt.system", system)
    if examples is not None:
        examples_text(examples)


def _backend(engine: EngineConfig) -> None:
    """Another engine is on this machine, and its programs are taken to run without walls."""
    if engine.backend == EMBEDDED:
        return
    external(engine.backend, engine.command).require_loadable(engine.command)
    if not engine.allow_unsandboxed:
        raise UserError(UNSANDBOXED.format(engine.backend))


def _data(config: TrainConfig) -> None:
    require_path(config.data.source, config.data.path)
    require_drawn(config.draw, config.data, config.paid.named())
    if config.draw.pass_at > config.num_generations:
        raise UserError(f"draw.pass_at must be at most num_generations ({config.num_generations}); got "
                        f"{config.draw.pass_at}")  # fmt: skip
    for source in (config.data.source, config.teacher.source):
        if is_made(source) and config.data.level > (most := made_of(source).levels):  # also of a file of the user
            raise UserError(f"data.level must be at least 1 and at most {most} with {source}; got {config.data.level}")
    if config.demonstrations.source is not None:
        try:
            require_path(config.teacher.source, config.teacher.path)
        except UserError as error:
            raise UserError(f"demonstrations: {error}") from None
    for name, path in (("data.path", config.data.path), ("demonstrations.path", config.demonstrations.path)):
        if path is not None and is_local(path) and not expanded(path).exists():
            raise UserError(f"{name} must exist; got {path!r}")


def _rewards(config: TrainConfig) -> None:
    """Every reward is found, can be called, and has a weight; every verifier too."""
    from nsrl.rewards import Rewards, captions

    asked = config.paid.asked()
    source = config.data.source
    columns = made_of(source).columns if is_made(source) else None
    Rewards(**asked).require_callable(columns, asked.get("key", "reward_funcs"))
    for spec in asked["specs"]:
        if spec in captions.REWARDS and captions.CAPTION not in config.spans:
            where = f"spans.{captions.CAPTION}"
            raise UserError(f"{where} must be given for the reward {spec}, as <info>{{}}</info>; got none")
    _verifiers(config.paid.verifiers)


def _one_turn(config: TrainConfig) -> list[str]:
    """What to tell of rewards that ask the policy in a run whose completions have several turns."""
    from nsrl.rewards import Rewards

    each = [stage.config for stage in planned_stages(config)] or [config]
    asking = any(Rewards(**one.paid.asked()).asks for one in each)
    if not asking or not config.turns.on:
        return []
    return [f"what rewards ask (ask) is answered in one turn, completions have up to {config.turns.max} (turns.max)"]


def _verifiers(specs: dict[str, str]) -> None:
    from nsrl.rewards import Verifiers

    Verifiers(specs)


def _tokens(config: TrainConfig) -> None:
    """Shape functions and prompts of contexts are found, and no context wants an adapter that is not there."""
    from nsrl.rewards.functions import one_argument, shape_functions

    shape_functions(config.tokens.shape_funcs)
    for name, entry in config.tokens.contexts.items():
        where, prompt = f"contexts.{name}", entry.get(PROMPT)
        if entry.get("adapter") is False and not learns_by_adapter(config):
            raise UserError(
                f"{where}.adapter must be true where a model learns with all its weights (beta has a reference of its "
                f"own; lora.enabled=true gives an adapter); got false"
            )
        if isinstance(prompt, str):
            one_argument(prompt, f"{where}.{PROMPT}")
        elif prompt is not None:
            _prompt_files(prompt.get("system"), prompt.get("examples"), f"{where}.")


def _members(config: TrainConfig) -> None:
    """Functions of members are found, their prompts' files can be read, and the source has what is given or hinted."""
    from nsrl.data.made import generator
    from nsrl.rewards.functions import one_argument

    source = config.data.source
    made = made_of(source) if is_made(source) else None
    if config.grouped.members and config.turns.on:
        raise UserError(
            f"members must be none where completions have several turns (turns.max, turns.on_length), for each member "
            f"is one turn; got {len(config.grouped.members)}"
        )
    if config.scale_rewards == "remax" and config.turns.on:
        raise UserError(
            "scale_rewards must not be remax where completions have several turns (turns.max, turns.on_length), for "
            "the greedy one that they are compared with has one; got remax"
        )
    if config.scale_rewards == "otb" and any("advantage" in said for said in config.grouped.members):
        raise UserError(
            "scale_rewards must not be otb where a member has an advantage of its own, for it is compared with nobody; "
            "got otb"
        )
    for number, said in enumerate(config.grouped.members, 1):
        entry, where = MemberConfig(**said), f"members.{number}"
        for key, spec in (("prompt", entry.prompt), ("given", entry.given)):
            if isinstance(spec, str) and ".py:" in spec:
                one_argument(spec, f"{where}.{key}")
        if isinstance(entry.prompt, dict):
            _prompt_files(entry.prompt.get("system"), entry.prompt.get("examples"), f"{where}.")
        for key, name in (("given", entry.given), ("hint", entry.hint)):
            if made is None or name is None or name == ANSWER or ".py:" in name:
                continue
            if name == GOLD and config.draw.divides:
                raise UserError(f"{where}.{key} must not be gold with draw.kind={config.draw.kind}, which takes "
                                f"problems of several levels or sources; got gold")  # fmt: skip
            if name == GOLD and not generator(source).demonstrates:
                raise UserError(f"{where}.{key} must not be gold with data.source={source}, which demonstrates nothing")
            if name != GOLD and made.columns is not None and name not in made.columns:
                raise UserError(f"{where}.{key} must be gold, answer or one of {', '.join(sorted(made.columns))} with "
                                f"data.source={source}; got {name!r}")  # fmt: skip


def _packages(config: TrainConfig) -> None:
    for name in config.report_to:
        if not _installed(name):
            raise UserError(f"report_to {name} needs the package {name}: pip install 'nsrl[logging]'")
    if config.rollout != "vllm":
        return
    if not _installed("vllm"):
        raise MissingBackend(
            "rollout=vllm needs vLLM, which is not installed here; install nsrl[vllm], or use rollout=native"
        )
    if launched()[1] > 1:
        raise UserError(
            "rollout=vllm runs in one process, because the engine would join the trainers' process group; got "
            f"{launched()[1]} processes (rollout=native works with any number)"
        )


def _installed(package: str) -> bool:
    """Without importing it; a folder that happens to have the name is no package."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None
