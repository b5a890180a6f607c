"""`python -m nsrl.harvest --model M --data D --output F.parquet` keeps a model's shortest right answers to learn
from."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsrl.config import EngineConfig, HarvestConfig, ModelConfig, TrainConfig, command, parse, require_sound
from nsrl.config.prompts import said
from nsrl.errors import UserError
from nsrl.trainer.folder import check_writable, disk_watched, settings_of, write_parquet
from nsrl.userfiles import expanded

if TYPE_CHECKING:
    from nsrl.models.vlm import VLM
    from nsrl.rewards import Verifiers
    from nsrl.rollout.types import Sampler
    from nsrl.trainer.harvest import Field


def main(argv: list[str]) -> int:
    """Sample, keep, translate, write. Returns 0; raises `UserError`, before torch is imported where the arguments or
    the output's place are at fault. Interrupted, it goes on where it was when it is called again."""
    config = parse(HarvestConfig, argv, "python -m nsrl.harvest")
    require_sound(config)
    output = expanded(config.output)
    check_writable(output, "output")
    if output.exists() and (settings_of(output) or {}).get("command") != "harvest":
        raise UserError(f"output would replace {str(output)!r}, which is no harvest; name another file, or move it")
    parts = Path(f"{output}.parts")
    if parts.is_symlink() or (parts.exists() and not parts.is_dir()):
        raise UserError(f"output needs the folder {str(parts)!r} for what is sampled; something else has that name")

    of = None if config.run is None else parse(TrainConfig, ["--config", config.run], "python -m nsrl.harvest")

    from nsrl.trainer import harvest
    from nsrl.trainer.grader import Grader, open_pool
    from nsrl.trainer.metrics import Progress

    begun = _of_its_own(config) if of is None else _of_a_run(config, of)
    field, vlm = begun.field, begun.vlm
    made = {**begun.made(), "samples": config.samples, "batch": config.batch}
    print(f"{len(field.problems)} training problems of {field.name}; {field.held_out} are held out", flush=True)
    made = json.loads(json.dumps(made))  # as it is read again
    with open_pool(begun.engine) as pool, disk_watched(parts):
        grader = Grader(pool, begun.verifiers)
        records: list[harvest.Row] = []
        with Progress("harvest", len(field.problems), every=config.batch) as progress:
            for start in range(0, len(field.problems), config.batch):
                part = parts / f"{start:09}.parquet"
                rows = _sampled(part, made)
                if rows is None:
                    rows = harvest.sample(
                        vlm, begun.sampler, grader, field, start, batch=config.batch, samples=config.samples,
                        temperature=begun.temperature, max_tokens=begun.longest,
                    )  # fmt: skip
                    write_parquet(part, rows, made)
                records += rows
                progress.step(count=min(config.batch, len(field.problems) - start))
        found = harvest.kept(records, field.problems, config.keep, vlm.chat)
        judge = harvest.judge_of(grader, field.problems) if begun.verifiers.said else None
        said_anew = harvest.translated(found, pool, vlm, config.keep, judge) if config.translate else []
        print(harvest.summary(records, found, said_anew), flush=True)
        rows = [row for row in [*found, *said_anew] if row["language"] in (config.languages or [row["language"]])]
        if not rows and not config.allow_empty:
            asked = f" in {', '.join(config.languages)}" if config.languages else ""
            raise UserError(f"no answer of {config.model}{asked} was right, so there is nothing to keep")
        made |= {name: getattr(config, name) for name in ("keep", "translate", "languages")}
        made |= {"sampled": len(records), "right": sum(bool(record["correct"]) for record in records)}
        harvest.write(output, rows, field.problems, made)
    begun.sampler.close()
    _cleared(parts)
    print(f"{len(rows):,} demonstrations: {output}")
    return 0


@dataclass(frozen=True)
class Begun:
    """A model that is open, the problems that it is asked, and how. longest: tokens of a completion, at most; source:
    of its weights, as the user named it; verifiers: who says what is right; how: further settings of what is
    sampled."""

    source: str
    vlm: VLM
    field: Field
    sampler: Sampler
    engine: EngineConfig
    temperature: float
    longest: int
    verifiers: Verifiers
    how: dict[str, Any]

    def made(self) -> dict[str, Any]:
        """What the samples depend on, in JSON."""
        from nsrl.trainer import heldout

        return {
            "command": "harvest",
            **heldout.identity(self.source, self.field.name, self.field.problems),
            "temperature": self.temperature,
            "seed": self.field.seed,
            "held_out": self.field.held_out,
            "max_completion_length": self.longest,
            "dtype": str(next(self.vlm.base.parameters()).dtype).removeprefix("torch."),
            "prompt": asdict(self.vlm.chat),
            "engine": asdict(self.engine),
            **self.how,
        }


def _of_its_own(config: HarvestConfig) -> Begun:
    """As the keys of the command say."""
    from nsrl.models import loading
    from nsrl.rollout.native import NativeSampler
    from nsrl.trainer import harvest, heldout

    chosen = ModelConfig(name=config.model, dtype=config.dtype, device=config.device, max_pixels=config.max_pixels)
    vlm = loading.load(chosen, seed=config.seed or 0)
    loading.ask_as(vlm, config.prompt, said(config.prompt, config.given))
    field = harvest.field_of(config)
    longest = config.max_completion_length or loading.trained_length(Path(config.model)) or 1024
    loading.require_positions(vlm, longest)
    verifiers = heldout.verifiers_of(config)
    verifiers.require(field.problems)
    how = {"max_pixels": config.max_pixels, **verifiers.settings()}
    sampler = NativeSampler(vlm.model)
    return Begun(config.model, vlm, field, sampler, config.engine, config.temperature, longest, verifiers, how)


def _of_a_run(config: HarvestConfig, of: TrainConfig) -> Begun:
    """As the run asks that will learn from this."""
    from nsrl.models import loading
    from nsrl.rewards import Verifiers
    from nsrl.rollout.open import open_sampler
    from nsrl.trainer import harvest

    require_sound(of)
    if of.turns.on:
        raise UserError(
            f"run must be of one turn, since what is harvested has one; got turns.max={of.turns.max} with "
            f"turns.on_length={of.turns.on_length!r}"
        )
    if of.threads:
        import torch

        torch.set_num_threads(of.threads)
    vlm = loading.load(replace(of.model, name=config.model), seed=of.seed, prompt=of.prompt)
    loading.require_positions(vlm, of.max_completion_length)
    vlm.pictures.memory, vlm.pictures.threads = of.data.picture_memory_mb << 20, of.data.picture_threads
    field = harvest.field_of_run(of, config.model, config.size, vlm)
    sampler = open_sampler(of, vlm)
    sampler.sync(vlm.model)
    verifiers = Verifiers(of.paid.verifiers)
    how = {
        "rollout": of.rollout,
        **verifiers.settings(),
        **{name: getattr(of.model, name) for name in ("min_pixels", "max_pixels", "attention")},
    }
    longest = of.max_completion_length
    return Begun(config.model, vlm, field, sampler, of.engine, of.temperature, longest, verifiers, how)


def _cleared(parts: Path) -> None:
    """Remove the parts, and their folder where it holds nothing else."""
    for path in parts.iterdir():
        if re.fullmatch(r"\d{9,}\.parquet|\.[0-9a-f]{16}\.tmp", path.name):
            path.unlink()
    with contextlib.suppress(OSError):  # the user's own files are in it
        parts.rmdir()


def _sampled(part: Path, made: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The records of a part that was sampled before, in just this way; None where there is none."""
    if not part.is_file() or settings_of(part) != made:
        return None
    from pyarrow import parquet

    return parquet.read_table(part).to_pylist()


if __name__ == "__main__":
    command(main)
