"""Which completions a run, an experiment or a file holds, under which names: arm and point of the run.

An arm is a run, or the runs ARM/seed-0, ARM/seed-1, … of an experiment, or the `arm` that a record names itself; a
point is an evaluation of it: before GRPO, midway, after, another one by its file's name, or the completions it was
trained on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsrl.data.chat import options_text
from nsrl.errors import UserError
from nsrl.userfiles import expanded

TRAINING, LONE = "training", "evaluation"  # points: of completions/, and of a file that stands in no run
_NAMED = {"warm_start": "before", "final": "after"}
_LAST = 10**9  # beyond every step
_CONTEXT = -2  # order of what is before an arm's own runs
EXPERIMENT = "experiment.yaml"  # in the folder of an experiment: what it is of
_ARM = re.compile(r"[^/]+/(seed|context)-\d+/(eval|completions)")
NEEDED = {"problem_id", "completion"}  # columns without which a table has no completions to show
Progress = Callable[[int, int], None]  # files done, of how many


@dataclass
class Part:
    """The records of one file. rows: one dictionary per completion, `image_png` (bytes) among them where one was kept;
    step, seed: of the run, where the name says it; fingerprints: of each problem's content, where the run wrote
    them."""

    path: Path
    arm: str
    point: str
    order: int  # of the points of an arm
    step: int | None
    seed: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)
    fingerprints: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def training(self) -> bool:
        """Whether these are completions the run was trained on."""
        return self.point == TRAINING


def collect(paths: Sequence[str | Path], progress: Progress = lambda done, total: None) -> tuple[list[Part], list[str]]:
    """Every part of the runs, experiments (folders of runs) and parquet files, in order of arm and point; and notes on
    what was passed over. Raises `UserError` where a path holds no completions."""
    found = [part for path in paths for part in _parts(expanded(path))]
    found = list({part.path.resolve(): part for part in found}.values())
    _tell_apart(found)
    pictures: dict[Path, dict[str, bytes]] = {}
    notes, parts = [], []
    for number, part in enumerate(found, 1):
        try:
            part.rows = read(part.path)
        except UserError as error:
            if any(part.path == expanded(path) for path in paths):
                raise
            notes.append(str(error))  # half-written by a run that was killed, or another table of the user's
            continue
        finally:
            progress(number, len(found))
        _complete(part, pictures)
        parts.append(part)
    _same_data(parts, pictures)
    if not any(part.rows for part in parts):
        raise UserError(f"view: no completions in {', '.join(repr(str(p)) for p in paths)}; {notes[0]}" if notes else
                        f"view: no completions in {', '.join(repr(str(p)) for p in paths)}: every table in it is "
                        f"empty")  # fmt: skip
    return sorted(parts, key=lambda part: (part.arm, part.order, part.seed or 0, part.path.name)), notes


def read(file: Path) -> list[dict[str, Any]]:
    """The rows of a parquet file of completions. Raises `UserError` for a file of another kind."""
    from pyarrow import ArrowException, parquet

    try:
        names = set(parquet.read_schema(file).names)
        if missing := NEEDED - names:
            raise UserError(f"view: {str(file)!r} must be a parquet file of completions; it has no column "
                            f"{' or '.join(sorted(missing))}")  # fmt: skip
        return [_as_evaluated(row) for row in parquet.read_table(file).to_pylist()]
    except (ArrowException, OSError) as error:
        why = str(error).splitlines()[0][:120] if isinstance(error, ArrowException) else error.strerror
        raise UserError(f"view: {str(file)!r} must be a parquet file of completions; {why}") from None


def _as_evaluated(row: dict[str, Any]) -> dict[str, Any]:
    """A row with options and picture as an evaluation writes them; harvests and data sets have lists of both."""
    if isinstance(options := row.get("options"), list):
        row["options"] = options_text(tuple(map(str, options)))
    if isinstance(images := row.get("images"), list):
        del row["images"]
        first = images[0] if images else None
        picture = first.get("bytes") if isinstance(first, dict) else first
        if isinstance(picture, bytes):
            row.setdefault("image_png", picture)
    return row


def _parts(path: Path) -> list[Part]:
    """The files of completions at one place, not yet read."""
    if path.is_file():
        return [_part(path, None)]
    if not path.is_dir():
        raise UserError(f"view: {str(path)!r} must be a run folder, a folder of runs or a parquet file; there is none")
    files = [f for f in sorted(path.rglob("*.parquet")) if f.stem != "pictures" and f.parent.name != "later"]
    if (path / EXPERIMENT).is_file():  # its arms alone, not what they were made from
        files = [f for f in files if _ARM.fullmatch(f.relative_to(path).parent.as_posix())]
    if not files:
        raise UserError(
            f"view: {str(path)!r} must be a run folder, a folder of runs or a parquet file; it holds no completions "
            f"(eval/*.parquet or completions/*.parquet)"
        )
    return [_part(file, path) for file in files]


def _part(file: Path, given: Path | None) -> Part:
    """How a file is called. given: the folder that was asked for; None where the file itself was."""
    stem, room = file.stem, file.parent.name
    if room not in ("eval", "completions"):
        name = file.relative_to(given).with_suffix("").as_posix() if given is not None else stem
        return Part(file, name, LONE, _LAST, None)
    run = file.parent.parent
    arm = run.resolve().name
    if given is not None and given in run.parents:
        arm = run.relative_to(given).as_posix()
    step = int(stem[5:]) if re.fullmatch(r"step_\d+", stem) else None
    several = re.fullmatch(r"(.+)/(seed|context)[-_]?(\d+)", arm)  # of an experiment: an arm is all of its seeds
    arm, seed = (several[1], int(several[3])) if several else (arm, None)
    if room == "completions":
        return Part(file, arm, TRAINING, _LAST + 2, step, seed)
    if several and several[2] == "context":  # asked with examples, before anything is learned
        return Part(file, arm, "context" if stem in _NAMED else f"context, {stem}", _CONTEXT, 0, seed)
    point = _NAMED.get(stem) or (f"step {step}" if step is not None else stem)
    order = {"before": -1, "after": _LAST}.get(point, step if step is not None else _LAST + 1)
    return Part(file, arm, point, order, 0 if point == "before" else step, seed)


def _tell_apart(parts: Sequence[Part]) -> None:
    """Where two runs or files have one name, that of the folder around stands before it."""
    home = lambda part: part.path.resolve().parents[1] if part.point != LONE else part.path.resolve()
    name = lambda part: (part.arm, part.seed, part.order == _CONTEXT)  # an arm in its context is a run of its own
    for depth in range(2, 40):
        often = Counter(name for name, _ in {(name(part), home(part)) for part in parts})
        twice = [part for part in parts if often[name(part)] > 1]
        if not twice:
            return
        for part in twice:
            part.arm = "/".join(home(part).with_suffix("").parts[-depth:])


def _complete(part: Part, pictures: dict[Path, dict[str, bytes]]) -> None:
    """What stands beside a file: the step and the problems' fingerprints of an evaluation, the pictures of a run."""
    if part.path.parent.name != "eval":
        return
    home = part.path.parent
    if home not in pictures:
        kept = home / "pictures.parquet"
        pictures[home] = {r["problem_id"]: r["image_png"] for r in _optional(kept) if r.get("image_png")}
    try:
        of = json.loads(part.path.with_suffix(".json").read_text(encoding="utf-8")).get("of")
    except (OSError, ValueError, AttributeError):
        return
    if not isinstance(of, dict):
        return
    if part.point == "after" and of.get("phase") == "grpo" and isinstance(of.get("step"), int):
        part.step = of["step"]
    ids = list(dict.fromkeys(str(row["problem_id"]) for row in part.rows))
    said = str(of.get("problems", ""))
    if len(said) == 8 * len(ids):  # else a problem could not be shown, and which is not known
        part.fingerprints = {problem: said[8 * i : 8 * i + 8] for i, problem in enumerate(ids)}


def _same_data(parts: Sequence[Part], pictures: dict[Path, dict[str, bytes]]) -> None:
    """Pictures to the evaluations of a run that are on its own held-out problems: ids of other data may be alike."""
    content = lambda row: (row.get("question"), row.get("options"), row.get("answer"))
    for home, kept in pictures.items():
        here = [part for part in parts if part.path.parent == home]
        own = {str(r["problem_id"]): content(r) for p in here if p.order <= _LAST for r in p.rows}
        for part in here:
            if all(own.get(str(row["problem_id"])) == content(row) for row in part.rows):
                seen: set[str] = set()
                for row in part.rows:
                    problem = str(row["problem_id"])
                    if problem in kept and problem not in seen:
                        row.setdefault("image_png", kept[problem])
                    seen.add(problem)


def _optional(file: Path) -> list[dict[str, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        return parquet.read_table(file).to_pylist()
    except (ArrowException, OSError):
        return []
