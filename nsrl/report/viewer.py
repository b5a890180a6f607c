"""`nsrl view` is one self-contained page over thousands of completions: filters, search, the same problem in every arm.

The records stand in it as columns with dictionaries, compressed; a problem's words and its picture are there once
however many completions show them. What models and data sets wrote is hostile input: the page makes elements of it by
`textContent` alone, and its content security policy lets nothing run but its own script.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nsrl.report.plots import LANGUAGES
from nsrl.report.problems import clean
from nsrl.report.records import Part
from nsrl.report.standalone import packed, page, put

MOST = 50_000  # records of a page; beyond, training steps are left out evenly
MIB = 32  # of pictures
SIDES = (768, 512, 320, 192)  # longest side of a picture, tried in turn until all fit
_OF_PROBLEM = ("problem_id", "category", "question", "options", "answer")
_PLACED = {*_OF_PROBLEM, "image_png", "arm", "step", "seed"}  # columns that have a place of their own


@dataclass
class Told:
    """What was written: counts, and a sentence for each thing left out."""

    records: int
    problems: int
    pictures: int
    bytes: int
    notes: list[str] = field(default_factory=list)


def write_view(
    parts: Sequence[Part], target: Path, title: str, notes: Sequence[str] = (), most: int = MOST, mib: int = MIB
) -> Told:
    """Write the page of these parts. most: records; mib: of pictures, in MiB. Returns what is in it."""
    kept, said = thinned(parts, most)
    data, pictures = pack(kept)
    urls, short = shrunk(pictures, mib * 2**20)
    said = [*notes, *said, *short]
    data |= {"title": title, "notes": said, "colours": LANGUAGES, "made": datetime.now(UTC).strftime("%Y-%m-%d")}
    text = page(
        "viewer.html.jinja",
        ["viewer_detail.js", "viewer.js"],
        title=title,
        data=packed(json.dumps(data, separators=(",", ":")).encode()),
        pictures="\n".join(urls),
    )
    put(target, text.encode("utf-8", "replace"))
    shown = sum(url != "" for url in urls)
    return Told(len(data["set"]), len(data["problems"]["problem_id"]), shown, target.stat().st_size, said)


def thinned(parts: Sequence[Part], most: int) -> tuple[list[Part], list[str]]:
    """The parts that fit: every evaluation, and of the kept training steps the first, the last and others evenly."""
    steps = [part for part in parts if part.training]
    evaluations = sum(len(part.rows) for part in parts if not part.training)
    kept, left = steps, 1
    while len(kept) > 2 and evaluations + sum(len(part.rows) for part in kept) > most:
        left += 1
        kept = [p for i, p in enumerate(steps) if i % left == 0 or i == len(steps) - 1]
        if left > len(steps):
            break
    chosen = {id(part) for part in kept}
    notes = [f"{len(steps) - len(kept)} of {len(steps)} training steps are left out"] if len(kept) < len(steps) else []
    return [part for part in parts if not part.training or id(part) in chosen], notes


def pack(parts: Sequence[Part]) -> tuple[dict[str, Any], list[bytes]]:
    """The page's data, JSON-able, and the pictures its `picture` column numbers.

    sets: [arm, point] each; set, problem: of every record, as numbers; problems: columns of `_OF_PROBLEM` and picture
    (-1: none); columns: everything else a record has, as `packed_column` gives it.
    """
    rows, sets, set_of, step, seed = [], {}, [], [], []
    for part in parts:
        for row in part.rows:
            arm = str(row.get("arm") or part.arm)
            rows.append(row)
            set_of.append(sets.setdefault((arm, part.point), len(sets)))
            step.append(row.get("step") if isinstance(row.get("step"), int) else part.step)
            seed.append(row.get("seed") if isinstance(row.get("seed"), int) else part.seed)
    numbers, first, pictures, picture_of = _identified(parts)
    names = dict.fromkeys(name for row in rows for name in row if name not in _PLACED)
    columns = [column for name in names if (column := packed_column(name, [row.get(name) for row in rows]))]
    columns += [column for name, own in (("step", step), ("seed", seed)) if (column := packed_column(name, own))]
    words = {name: [clean(row[name]) if row.get(name) is not None else None for row in first] for name in _OF_PROBLEM}
    return {
        "sets": [[clean(name) for name in names] for names in sets],
        "set": set_of,
        "problem": numbers,
        "problems": {**words, "picture": picture_of},
        "columns": columns,
    }, pictures


def packed_column(name: str, values: Sequence[Any]) -> dict[str, Any] | None:
    """A column as numbers (flags are 0 and 1, what is not finite is null) or as a dictionary and codes (-1: null);
    None where there is nothing in it."""
    known = [v for v in values if v is not None]
    if not known:
        return None
    name = clean(name)
    if all(isinstance(v, int | float) for v in known):
        kind = "flag" if all(isinstance(v, bool) for v in known) else "number"
        return {"name": name, "kind": kind, "values": [_number(v) for v in values]}
    codes: dict[str, int] = {}
    text = lambda v: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str)
    found = [-1 if v is None else codes.setdefault(text(v), len(codes)) for v in values]
    return {"name": name, "kind": "text", "words": [clean(word) for word in codes], "codes": found}


def shrunk(pictures: Sequence[bytes], most: int) -> tuple[list[str], list[str]]:
    """Data URLs of the pictures in at most `most` bytes together, smaller ones where they are many; and what is to be
    said of it. An empty text stands for what is no picture or found no room."""
    for side in SIDES:
        urls, taken, missing = [], 0, 0
        for picture in pictures:
            url = _url(picture, side)
            fits = taken + len(url) <= most
            if not fits and side != SIDES[-1]:
                break
            taken += len(url) if fits else 0
            missing += not fits
            urls.append(url if fits else "")
        if len(urls) == len(pictures):
            notes = [f"pictures are at most {side} pixels wide and high, to fit {most / 2**20:.0f} MiB"]
            notes += (
                [f"{missing} of {len(pictures)} pictures found no room in {most / 2**20:.0f} MiB"] if missing else []
            )
            return urls, notes if side != SIDES[0] or missing else []
    return [], []


def _identified(parts: Sequence[Part]) -> tuple[list[int], list[dict[str, Any]], list[bytes], list[int]]:
    """Which problem each record is of: (number of each record, a record of each problem, pictures, picture of each).

    The same problem has the same id, words and gold answer, and the same picture; where none is known, the same
    fingerprint in the runs' own files. Without either it is taken for the only one with these words, if there is one.
    """
    pictures: dict[bytes, int] = {}
    keys: list[tuple[tuple[Any, ...], str, dict[str, Any]]] = []
    variants: dict[tuple[Any, ...], list[str]] = {}
    image_of: dict[str, int] = {}
    for part in parts:
        seen: dict[str, str] = {}  # problem id: its picture's digest, in this file
        for row in part.rows:
            if isinstance(row.get("image_png"), bytes):
                digest = hashlib.sha256(row["image_png"]).hexdigest()
                seen[str(row["problem_id"])] = digest
                image_of[digest] = pictures.setdefault(row["image_png"], len(pictures))
        for row in part.rows:
            problem = str(row["problem_id"])
            words = tuple(row.get(name) for name in _OF_PROBLEM if name != "category")
            variant = seen.get(problem) or part.fingerprints.get(problem, "")
            if variant and variant not in variants.setdefault(words, []):
                variants[words].append(variant)
            keys.append((words, variant, row))
    numbers: dict[tuple[Any, ...], int] = {}
    first: list[dict[str, Any]] = []
    found, picture_of = [], []
    for words, variant, row in keys:
        known = variants.get(words, [])
        key = (words, variant or (known[0] if len(known) == 1 else ""))
        if key not in numbers:
            numbers[key] = len(numbers)
            first.append(row)
            picture_of.append(image_of.get(key[1], -1))
        found.append(numbers[key])
    return found, first, list(pictures), picture_of


def _number(value: float | None) -> float | int | None:
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.6g}")


def _url(picture: bytes, side: int) -> str:
    """A picture as a data URL, no side longer than `side`; empty where the bytes are no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as image:
            kind = f"image/{(image.format or '').lower()}"
            if max(image.size) > side or len(picture) > 2**16 or kind not in ("image/png", "image/jpeg"):
                image = image.convert("RGB")
                image.thumbnail((side, side))
                drawn = {kind: io.BytesIO() for kind in ("image/png", "image/jpeg")}
                for kind, out in drawn.items():
                    image.save(out, kind[6:], quality=88, optimize=True)
                kind = min(drawn, key=lambda name: drawn[name].tell())  # a drawing is smaller as PNG, a photo as JPEG
                picture = drawn[kind].getvalue()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return ""
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"
