"""`report.html` of a run folder is one self-contained page, made of what the run wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nsrl.errors import UserError
from nsrl.report.plots import LANGUAGES, plots
from nsrl.report.problems import problem_set
from nsrl.report.table import COLUMNS, cells, status_table, table

PICTURES = "pictures"  # eval/pictures.parquet: problem_id, image_png of the held-out problems
OTHERS = 3  # further evaluations shown, the latest


def write_report(run: Path | str) -> Path:
    """Write `report.html` and `plots/*.png` into a run folder from its metrics, summary, evaluations and completions.

    Everything but one of metrics.jsonl, summary.json and eval/ may be missing, so that it can be written while the run
    goes on. Raises `UserError` for a folder that is no run. Returns the page's path.
    """
    import jinja2

    run = Path(run)
    if not run.is_dir():
        raise UserError(f"report: {str(run)!r} must be a run folder; there is no such folder")
    rows = _metrics(run / "metrics.jsonl")
    summary = _json(run / "summary.json") or {}
    evaluations = {f.stem: e for f in sorted((run / "eval").glob("*.json")) if isinstance(e := _json(f), dict)}
    if not rows and not summary and not evaluations:
        raise UserError(f"report: {str(run)!r} must be a run folder; it holds no metrics.jsonl, summary.json or eval/")
    running = _running(rows, summary)
    if running:  # of a run that goes on behind its end: what it says is of the run before
        summary = {}
    warm = _warm(rows, summary)
    kept = _kept(run / "completions")
    problems, shown = _problems(run / "eval", evaluations, kept, warm)
    drawn = plots(rows, evaluations)
    (run / "plots").mkdir(exist_ok=True)
    for p in drawn:
        (run / "plots" / f"{p.name}.png").write_bytes(p.png)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nsrl.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.loader.get_source(environment, "script.jinja")[0]  # pyright: ignore[reportOptionalMemberAccess]
    page = environment.get_template("report.html.jinja").render(
        title=run.resolve().name,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        running=running,
        cards=_cards(summary, evaluations, warm),
        plots=drawn,
        tables=_tables(run / "eval", evaluations, kept, warm),
        languages=_languages(summary),
        seconds=_seconds(summary),
        problems=problems,
        shown=shown,
        sets=list(dict.fromkeys(p["set"] for p in problems)),
        filters=_filters(problems),
        config=_text(run / "config.yaml"),
        summary=json.dumps(summary, indent=1, ensure_ascii=False),
        colours=LANGUAGES,
        script=script,
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    path = run / "report.html"
    working = path.with_suffix(".html.tmp")
    working.write_text(page, encoding="utf-8", errors="replace")
    os.replace(working, path)
    return path


def point_title(name: str, warm: bool) -> str:
    """What an evaluation is called where people read it. name: its file's; warm: whether supervised steps came
    first."""
    if name.startswith("step_") and name[5:].isdigit():
        return f"at step {int(name[5:])}"
    return {"warm_start": "after the warm start" if warm else "before training", "final": "after training"}.get(
        name, name
    )


# -- reading -------------------------------------------------------------------------------------------------------


def _metrics(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            out.append(row)
    return out


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _records(file: Path) -> list[dict[str, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        return parquet.read_table(file).to_pylist()
    except (ArrowException, OSError):
        return []  # absent, or half-written by a run that was killed


def _kept(folder: Path) -> list[tuple[int, list[dict[str, Any]]]]:
    """(step, completions) of the last step that was kept and of the first, where that is another."""
    files = sorted(folder.glob("step_*.parquet"))
    out: list[tuple[int, list[dict[str, Any]]]] = []
    for order in (reversed(files), files):
        found = next((rows for file in order if (rows := _records(file))), None)
        if found and found[0].get("step") not in [step for step, _ in out]:
            out.append((found[0].get("step", 0), found))
    return out


def _running(rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    """Where a run stands that is not at its end; empty for a finished one."""
    if not rows:
        return ""
    last = rows[-1]
    phase, step = str(last.get("phase", "grpo")), last["step"]
    steps = summary.get("steps")
    if summary and not (isinstance(steps, Mapping) and isinstance(steps.get(phase), int) and step > steps[phase]):
        return ""
    return f"{phase.replace('_', ' ')} step {step}"


def _warm(rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> bool:
    """Whether supervised steps came before the first evaluation."""
    steps = summary.get("steps")
    planned = isinstance(steps, Mapping) and any(steps.get(phase) for phase in ("reading", "warm_start"))
    return planned or any(r.get("phase") in ("reading", "warm_start") for r in rows)


# -- what the page shows -------------------------------------------------------------------------------------------


def _percent(value: Any, interval: Any = None) -> str:
    if not isinstance(value, int | float):
        return "–"
    text = f"{100 * value:.1f}%"
    if isinstance(interval, Sequence) and len(interval) == 2 and all(isinstance(v, int | float) for v in interval):
        text += f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
    return text


def _first(mapping: Mapping[str, Any], *names: str) -> Any:
    return next((mapping[n] for n in names if mapping.get(n) is not None), None)


def _cards(
    summary: Mapping[str, Any], evaluations: Mapping[str, Mapping[str, Any]], warm: bool
) -> list[dict[str, str]]:
    before, after = evaluations.get("warm_start", {}), evaluations.get("final", {})
    start = _first(summary, "accuracy_warm_start") if summary else before.get("accuracy")
    final = _first(summary, "accuracy_final") if summary else after.get("accuracy")
    cards = []
    if isinstance(final, int | float):
        cards.append({
            "label": "accuracy after training", "value": f"{100 * final:.1f}%",
            "note": "95%: " + _span(_first(summary, "accuracy_final_ci95", "ci95_final") or after.get("ci95")),
            "kind": "good",
        })  # fmt: skip
    if isinstance(start, int | float):
        cards.append({
            "label": f"accuracy {point_title('warm_start', warm)}", "value": f"{100 * start:.1f}%",
            "note": "95%: " + _span(_first(summary, "accuracy_warm_start_ci95",
            "ci95_warm_start") or before.get("ci95")), "kind": "",
        })  # fmt: skip
    if isinstance(final, int | float) and isinstance(start, int | float):
        steps = summary.get("steps")
        extra = isinstance(steps, Mapping) and steps.get("extra")
        of = f"of {extra} supervised steps" if extra else "of GRPO"
        cards.append(
            {"label": f"gain {of}", "value": f"{100 * (final - start):+.1f}", "note": "points, sampled", "kind": ""}
        )
    tokens, share = summary.get("mean_output_tokens"), summary.get("language_share")
    if isinstance(tokens, Mapping) and isinstance(tokens.get("after"), int | float):
        was = tokens.get("before")
        note = f"was {was:.1f}" if isinstance(was, int | float) else ""
        cards.append({"label": "mean output tokens", "value": f"{tokens['after']:.1f}", "note": note, "kind": ""})
    if isinstance(share, Mapping) and isinstance(share.get("after"), Mapping) and share["after"]:
        best = max(share["after"], key=lambda n: share["after"][n])
        was = share.get("before", {}).get(best) if isinstance(share.get("before"), Mapping) else None
        cards.append({
            "label": f"answers in {best}", "value": f"{100 * share['after'][best]:.0f}%",
            "note": f"was {100 * was:.0f}%" if isinstance(was, int | float) else "", "kind": "",
        })  # fmt: skip
    seconds = summary.get("seconds")
    if isinstance(seconds, Mapping) and seconds:
        total = sum(v for v in seconds.values() if isinstance(v, int | float))
        cards.append({"label": "seconds", "value": f"{total:.0f}", "note": "all phases", "kind": ""})
    return cards


def _span(interval: Any) -> str:
    if isinstance(interval, Sequence) and len(interval) == 2 and all(isinstance(v, int | float) for v in interval):
        return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
    return "not recorded"


def _tables(
    folder: Path,
    evaluations: Mapping[str, Mapping[str, Any]],
    kept: Sequence[tuple[int, Sequence[Mapping[str, Any]]]],
    warm: bool,
) -> list[dict[str, Any]]:
    """(title, headings, rows) of what is shown by category, and how the programs of each ended."""
    headings = [title for _, title in COLUMNS]
    out = []

    def ended(title: str, records: Sequence[Mapping[str, Any]]) -> None:
        if any(r.get("status") for r in records):
            heads, rows = status_table(records)
            out.append({"title": f"How programs ended {title}, %", "headings": heads, "rows": rows})

    for name in ("final", "warm_start"):
        rows = (evaluations.get(name) or {}).get("table")
        if rows:
            title = point_title(name, warm)
            out.append({"title": f"Held-out problems {title}", "headings": headings, "rows": [cells(r) for r in rows]})
            ended(title, _records(folder / f"{name}.parquet"))
    if not out and kept:
        step, completions = kept[0]
        rows = [cells(r) for r in table(completions)]
        out.append({"title": f"Training completions of step {step}", "headings": headings, "rows": rows})
        ended(f"in step {step}", completions)
    return out


def _problems(
    folder: Path, evaluations: Mapping[str, Any], kept: Sequence[tuple[int, Sequence[Mapping[str, Any]]]], warm: bool
) -> tuple[list[dict[str, Any]], str]:
    """Cards of held-out problems before and after, and of training problems; a sentence that says what they are."""
    midway = sorted(n for n in evaluations if n.startswith("step_"))
    names = ["warm_start", *(["final"] if "final" in evaluations else midway[-1:])]
    columns = [(point_title(n, warm), _records(folder / f"{n}.parquet")) for n in names]
    pictures = {
        str(r.get("problem_id")): r["image_png"] for r in _records(folder / f"{PICTURES}.parquet") if r.get("image_png")
    }
    cards = problem_set("held-out", columns, pictures)
    said = ["Held-out problems are in no training step; those answered wrong at the end come first."] if cards else []
    files = [f for f in folder.glob("*.parquet") if f.stem != PICTURES and f.stem not in evaluations]
    for file in sorted(files, key=lambda f: f.stat().st_mtime)[-OTHERS:]:  # what `nsrl eval` wrote
        cards += problem_set(file.stem, [(file.stem, _records(file))], pictures)
    for step, rows in kept:
        cards += problem_set(f"training, step {step}", [(f"step {step}", rows)], {})
    if kept:
        steps = " and ".join(str(step) for step, _ in reversed(kept))
        said.append(
            f"Training problems are of step {steps}, {'the first and the last' if len(kept) > 1 else 'the only one'} "
            f"whose completions were kept."
        )
    return cards, " ".join(said)


def _filters(problems: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[str]]]:
    """(name, label, values) of what can be chosen."""
    columns = [c for p in problems for c in p["columns"]]
    attempts = [a for c in columns for a in c["attempts"]]
    values = lambda key: sorted({a[key] for a in attempts if a[key]})
    return [
        ("point", "When", list(dict.fromkeys(c["title"] for c in columns))),
        ("verdict", "Verdict", values("verdict")), ("language", "Language", values("language")),
        ("status", "Engine", values("status")), ("category", "Category",
        sorted({p["category"] for p in problems if p["category"]})),
    ]  # fmt: skip


def _languages(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    share, tokens = summary.get("language_share") or {}, summary.get("tokens_by_language") or {}
    if not isinstance(share, Mapping) or not isinstance(share.get("after"), Mapping):
        return []
    names = sorted(share["after"], key=lambda n: -share["after"][n])
    rows = []
    for n in names:
        before = (share.get("before") or {}).get(n)
        mean = tokens.get(n)
        rows.append({
            "name": n, "before": _percent(before), "after": _percent(share["after"][n]),
            "width_before": 100 * (before or 0),
            "width_after": 100 * share["after"][n], "tokens": f"{mean:.1f}" if isinstance(mean, int | float) else "–",
            "colour": LANGUAGES.get(n, "#64748b"),
        })  # fmt: skip
    return rows


def _seconds(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    seconds = {k: v for k, v in (summary.get("seconds") or {}).items() if isinstance(v, int | float)}
    total = sum(seconds.values())
    return [
        {"name": k.replace("_", " "), "value": f"{v:.1f}", "width": 100 * v / total if total else 0}
        for k, v in seconds.items()
    ]
