"""`report.html` of a run folder: one self-contained page. Reads what the run wrote; knows nothing of models or steps."""

from __future__ import annotations

import base64
import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nsrl.errors import UserError
from nsrl.report.plots import LANGUAGES, plots
from nsrl.report.table import COLUMNS, cells, table

SAMPLES = 12  # problems shown
_PROGRAM_LIMIT = 1500  # characters of a completion shown


def write_report(run: Path | str) -> Path:
    """Write `report.html` and `plots/*.png` into a run folder from its metrics, summary, evaluations and completions.

    Everything but one of metrics.jsonl, summary.json and eval/ may be missing. Raises `UserError` for a folder that is
    no run. Returns the page's path.
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
    completions = _completions(run / "completions")
    drawn = plots(rows, evaluations)
    (run / "plots").mkdir(exist_ok=True)
    for p in drawn:
        (run / "plots" / f"{p.name}.png").write_bytes(p.png)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nsrl.report", "."), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(
        title=run.resolve().name,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cards=_cards(summary, evaluations),
        plots=drawn,
        tables=_tables(evaluations, completions),
        headings=[title for _, title in COLUMNS],
        languages=_languages(summary),
        seconds=_seconds(summary),
        samples=_samples(completions),
        config=_text(run / "config.yaml"),
        summary=json.dumps(summary, indent=1, ensure_ascii=False),
        colours=LANGUAGES,
    )
    path = run / "report.html"
    working = path.with_suffix(".html.tmp")
    working.write_text(page, encoding="utf-8")
    os.replace(working, path)
    return path


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


def _completions(folder: Path) -> list[dict[str, Any]]:
    """The completions of the last step that was kept."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        return []
    from pyarrow import ArrowException, parquet

    for file in reversed(files):
        try:
            return parquet.read_table(file).to_pylist()
        except (ArrowException, OSError):
            continue  # half-written by a run that was killed
    return []


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


def _cards(summary: Mapping[str, Any], evaluations: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    before, after = evaluations.get("warm_start", {}), evaluations.get("final", {})
    start = _first(summary, "accuracy_warm_start") if summary else before.get("accuracy")
    final = _first(summary, "accuracy_final") if summary else after.get("accuracy")
    cards = []
    if isinstance(final, int | float):
        cards.append({
            "label": "accuracy after training", "value": f"{100 * final:.1f}%",
            "note": "95%: " + _span(_first(summary, "accuracy_final_ci95", "ci95_final") or after.get("ci95")), "kind": "good",
        })  # fmt: skip
    if isinstance(start, int | float):
        cards.append({
            "label": "accuracy after the warm start", "value": f"{100 * start:.1f}%",
            "note": "95%: " + _span(_first(summary, "accuracy_warm_start_ci95", "ci95_warm_start") or before.get("ci95")), "kind": "",
        })  # fmt: skip
    if isinstance(final, int | float) and isinstance(start, int | float):
        cards.append({"label": "gain of GRPO", "value": f"{100 * (final - start):+.1f}", "note": "points, sampled at temperature 1", "kind": ""})
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


def _tables(evaluations: Mapping[str, Mapping[str, Any]], completions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = {"final": "After training", "warm_start": "After the warm start, before any reward"}
    out = []
    for name, title in names.items():
        rows = (evaluations.get(name) or {}).get("table")
        if rows:
            out.append({"title": f"{title}: held-out problems", "rows": [cells(r) for r in rows]})
    if not out and completions:
        out.append({"title": f"Training completions of step {completions[0].get('step', '?')}", "rows": [cells(r) for r in table(completions)]})
    return out


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
            "name": n, "before": _percent(before), "after": _percent(share["after"][n]), "width_before": 100 * (before or 0),
            "width_after": 100 * share["after"][n], "tokens": f"{mean:.1f}" if isinstance(mean, int | float) else "–",
            "colour": LANGUAGES.get(n, "#64748b"),
        })  # fmt: skip
    return rows


def _seconds(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    seconds = {k: v for k, v in (summary.get("seconds") or {}).items() if isinstance(v, int | float)}
    total = sum(seconds.values())
    return [{"name": k.replace("_", " "), "value": f"{v:.1f}", "width": 100 * v / total if total else 0} for k, v in seconds.items()]


def _samples(completions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One completion each of some problems: categories in turn, right and wrong ones both."""
    by_category: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    seen: set[Any] = set()
    wanted_right = True
    for r in sorted(completions, key=lambda r: (not r.get("image_png"), str(r.get("problem_id")), not r.get("correct"))):
        if r.get("problem_id") in seen:
            continue
        group = [c for c in completions if c.get("problem_id") == r.get("problem_id")]
        mixed = [c for c in group if bool(c.get("correct")) == wanted_right]
        by_category[str(r.get("category") or "")].append((mixed or group)[0])
        seen.add(r.get("problem_id"))
        if len({bool(c.get("correct")) for c in group}) == 2:
            wanted_right = not wanted_right
    chosen: list[Mapping[str, Any]] = []
    while len(chosen) < SAMPLES and any(by_category.values()):
        for name in sorted(by_category):
            if by_category[name] and len(chosen) < SAMPLES:
                chosen.append(by_category[name].pop(0))
    return [_sample(r, [c for c in completions if c.get("problem_id") == r.get("problem_id")]) for r in chosen]


def _sample(r: Mapping[str, Any], group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    picture = r.get("image_png")
    right = [c.get("correct") for c in group if c.get("correct") is not None]
    language = str(r.get("language") or "")
    program = str(r.get("program") or "")
    reward = r.get("reward")
    return {
        "category": str(r.get("category") or ""),
        "question": str(r.get("question") or "").replace("<image>", " ").strip(),
        "gold": str(r.get("answer") or "–"),
        "image": "data:image/png;base64," + base64.b64encode(picture).decode() if picture else "",
        "language": language,
        "colour": LANGUAGES.get(language, "#64748b"),
        "program": (program or str(r.get("completion") or ""))[:_PROGRAM_LIMIT],
        "is_program": bool(program),
        "value": str(r.get("value_text") or "") or "(no value)",
        "status": str(r.get("status") or ("" if program else "no program")),
        "correct": r.get("correct"),
        "reward": f"{reward:.2f}" if isinstance(reward, int | float) and math.isfinite(reward) else "–",
        "tokens": r.get("tokens"),
        "group": f"{sum(map(bool, right))} of {len(right)} right" if len(right) > 1 else "",
    }
