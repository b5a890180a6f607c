"""`python -m nsrl.harvest --model M --data D --output F.parquet` keeps a model's shortest right answers to learn
from."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nsrl.config import HarvestConfig, ModelConfig, command, parse, require_sound
from nsrl.config.prompts import said
from nsrl.errors import UserError
from nsrl.trainer.folder import check_writable, disk_watched, settings_of, write_parquet


def main(argv: list[str]) -> int:
    """Sample, keep, translate, write. Returns 0; raises `UserError`, before torch is imported where the arguments or
    the output's place are at fault. Interrupted, it goes on where it was when it is called again."""
    config = parse(HarvestConfig, argv, "python -m nsrl.harvest")
    require_sound(config)
    output = Path(config.output).expanduser()
    check_writable(output, "output")
    if output.exists() and (settings_of(output) or {}).get("command") != "harvest":
        raise UserError(f"output would replace {str(output)!r}, which is no harvest; name another file, or move it")

    from nsrl.models import loading
    from nsrl.trainer import harvest, heldout
    from nsrl.trainer.grader import Grader, open_pool
    from nsrl.trainer.metrics import Progress

    chosen = ModelConfig(name=config.model, dtype=config.dtype, device=config.device, max_pixels=config.max_pixels)
    vlm = loading.load(chosen, seed=config.seed or 0)
    loading.ask_as(vlm, config.prompt, said(config.prompt, config.given))
    field = harvest.field_of(config)
    longest = config.max_completion_length or loading.trained_length(Path(config.model)) or 1024
    loading.require_positions(vlm, longest)
    made = {
        "command": "harvest",
        **heldout.identity(config.model, field.name, field.problems),
        **{name: getattr(config, name) for name in ("samples", "temperature", "batch", "max_pixels")},
        "seed": field.seed,
        "held_out": field.held_out,
        "max_completion_length": longest,
        "dtype": str(next(vlm.base.parameters()).dtype).removeprefix("torch."),
        "prompt": asdict(vlm.chat),
        "engine": asdict(config.engine),
    }
    print(f"{len(field.problems)} training problems of {field.name}; {field.held_out} are held out", flush=True)
    made = json.loads(json.dumps(made))  # as it is read again
    parts = Path(f"{output}.parts")
    with open_pool(config.engine) as pool, disk_watched(parts):
        grader = Grader(pool)
        records: list[harvest.Row] = []
        with Progress("harvest", len(field.problems), every=config.batch) as progress:
            for start in range(0, len(field.problems), config.batch):
                part = parts / f"{start:09}.parquet"
                rows = _sampled(part, made)
                if rows is None:
                    rows = harvest.sample(config, vlm, grader, field, start, longest)
                    write_parquet(part, rows, made)
                records += rows
                progress.step(count=min(config.batch, len(field.problems) - start))
        found = harvest.kept(records, field.problems, config.keep, vlm.chat)
        said_anew = harvest.translated(found, pool, vlm) if config.translate else []
        print(harvest.summary(records, found, said_anew), flush=True)
        rows = [row for row in [*found, *said_anew] if row["language"] in (config.languages or [row["language"]])]
        if not rows:
            asked = f" in {', '.join(config.languages)}" if config.languages else ""
            raise UserError(f"no answer of {config.model}{asked} was right, so there is nothing to keep")
        made |= {name: getattr(config, name) for name in ("keep", "translate", "languages")}
        harvest.write(output, rows, field.problems, made)
    shutil.rmtree(parts)
    print(f"{len(rows):,} demonstrations: {output}")
    return 0


def _sampled(part: Path, made: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The records of a part that was sampled before, in just this way; None where there is none."""
    if not part.is_file() or settings_of(part) != made:
        return None
    from pyarrow import parquet

    return parquet.read_table(part).to_pylist()


if __name__ == "__main__":
    command(main)
