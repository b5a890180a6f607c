"""`python -m nsrl.eval --model RUN_OR_CHECKPOINT --data SOURCE:PATH` prints the table by category, and pass@k."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from nsrl.config import EvalConfig, ModelConfig, command, parse, require_sound
from nsrl.config.prompts import said
from nsrl.config.sound import require_observer
from nsrl.errors import UserError
from nsrl.trainer.folder import CONFIG, check_writable, disk_watched, settings_of, write, write_parquet
from nsrl.userfiles import expanded

BEGINS = b'{\n "accuracy": '  # every result of this command


def main(argv: list[str]) -> int:
    """Evaluate a model, print the table and write what was asked for. Returns 0; raises `UserError`, before torch is
    imported where the arguments or the output's place are at fault."""
    config = parse(EvalConfig, argv, "python -m nsrl.eval")
    require_sound(config)

    _require_data(config.data)
    output = expanded(config.output) if config.output else None
    if output is not None:
        check_writable(output, "output")
        check_writable(output.with_suffix(".parquet"), "output")
        _require_ours(output)

    from nsrl.data.chat import Chat
    from nsrl.models import loading
    from nsrl.report.compare import at_k_text
    from nsrl.report.statistics import at_k, powers
    from nsrl.report.table import (  # torch is only imported once the result has a place
        accuracy_text,
        group_tables,
        print_table,
        table,
    )
    from nsrl.rollout.native import NativeSampler
    from nsrl.trainer import evaluation, heldout
    from nsrl.trainer.grader import Grader, open_pool
    from nsrl.trainer.keep import KEPT, PICTURES, with_pictures
    from nsrl.trainer.metrics import Progress
    from nsrl.trainer.talk import talk_of

    runs = heldout.lineage(config.model)
    turns = config.turns.over(runs[0].config.turns if runs else None, config.given)
    require_observer(turns)
    seed = (
        config.seed if config.seed is not None else runs[0].config.seed + 1 if runs else 0
    )  # the run's own evaluations'
    chosen = ModelConfig(name=config.model, dtype=config.dtype, device=config.device, max_pixels=config.max_pixels)
    vlm = loading.load(chosen, seed=seed)
    loading.ask_as(vlm, config.prompt, said(config.prompt, config.given))
    problems, name, notes = heldout.choose(config, vlm)
    for note in notes:
        print(note, flush=True)
    verifiers = heldout.verifiers_of(config)
    verifiers.require(problems)
    longest = config.max_completion_length or loading.trained_length(Path(config.model)) or 1024
    loading.require_positions(vlm, longest)
    talk = talk_of(vlm, turns)
    dtype = str(next(vlm.base.parameters()).dtype).removeprefix("torch.")
    own = ({"prompt": asdict(vlm.chat)} if vlm.chat != Chat() else {}) | verifiers.settings()
    own |= {"turns": asdict(talk.config)} if talk is not None else {}
    made = heldout.settings(config, name, problems, seed=seed, max_completion_length=longest, dtype=dtype, **own)
    records = output.with_suffix(".parquet") if output else heldout.place(config.model, name, made)
    with open_pool(config.engine) as pool, Progress("evaluate", len(problems), every=config.batch) as progress:
        result = evaluation.evaluate(
            vlm,
            NativeSampler(vlm.model),
            Grader(pool, verifiers),
            problems,
            samples=config.samples,
            temperature=config.temperature,
            max_tokens=longest,
            seed=seed,
            batch=config.batch,
            progress=lambda count: progress.step(count=count),
            spans=config.spans,
            talk=talk,
        )
    print_table(result.records, title=f"{config.model} on {name}")
    groups = group_tables(result.records)
    tables = {"table": table(result.records)} | ({"groups": groups} if groups else {})
    for by, rows in groups.items():
        shown = (f"{row['category']} {accuracy_text(row['accuracy'])} of {row['count']}" for row in rows)
        print(f"by {by}: {'; '.join(shown)}")
    samples = config.samples if config.temperature else 1
    numbers = result.numbers() | {"at_k": at_k(result.records, powers(samples))}
    print(f"mean@{samples} {accuracy_text(result.accuracy, result.ci95)}   ", end="")
    print(f"pass@{samples} {accuracy_text(result.pass_at_n)}   greedy {accuracy_text(result.greedy_accuracy)}")
    if samples > 1:
        print(at_k_text(result.records))
    if not config.temperature:
        print("temperature 0: every sample is the greedy answer, so one was taken")
    if not (heldout.is_own(config) and (records.parent / PICTURES).is_file()):  # else the run has kept them
        with_pictures(result.records, problems[:KEPT])
    with disk_watched(Path(), "the table above is all there is"):
        if output:
            write(output, json.dumps(numbers | tables | {"settings": made}, indent=1) + "\n")
        write_parquet(records, result.records, made)
        print(f"completions: {f'{records.name}, beside it' if output else records}")
    return 0


def _require_data(data: str | None) -> None:
    """Raise `UserError` where the data set is a run folder."""
    if data is None:
        return
    folder = expanded(data.partition(":")[2] or data)
    if (folder / CONFIG).is_file() and ((folder / "latest").exists() or (folder / "metrics.jsonl").is_file()):
        raise UserError(
            f"data must be a data set; {str(folder)!r} is a run folder (model={folder} evaluates it on its own "
            f"held-out problems)"
        )


def _require_ours(output: Path) -> None:
    """Raise `UserError` where a table of problems or another file of the user's stands in the place of a result."""

    def begins(file: Path) -> bool:
        with file.open("rb") as opened:
            return opened.read(len(BEGINS)) == BEGINS

    for file, is_ours in (
        (output, begins),
        (output.with_suffix(".parquet"), lambda table: settings_of(table) is not None),
    ):
        if file.is_file() and file.stat().st_size and not is_ours(file):
            raise UserError(
                f"output would replace {str(file)!r}, which is no result of an evaluation; name another file, or move "
                f"that one"
            )


if __name__ == "__main__":
    command(main)
