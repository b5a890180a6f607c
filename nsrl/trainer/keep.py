"""A run keeps the pictures of problems for its report, beside numbers."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nsrl.engines.result import writable
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem

PIXELS = 768  # longest side of a kept picture
KEPT = 400  # problems of an evaluation whose pictures are kept
PICTURES = "pictures.parquet"  # beside the evaluations of a run: those of its held-out problems


def small_png(images: Sequence[ImageRef]) -> bytes | None:
    """A problem's pictures as one PNG, side by side, at most `PIXELS` on the longest side; None where there is none to
    show."""
    if not images:
        return None
    from PIL import Image

    try:
        pictures = [image.open().copy() for image in images]  # thumbnail() changes a picture in place
    except UserError:
        return None  # the evaluation said so
    for picture in pictures:
        picture.thumbnail((PIXELS, PIXELS))
    if len(pictures) > 1:
        gap = 8
        whole = Image.new("RGB", (sum(p.width + gap for p in pictures) - gap, max(p.height for p in pictures)), "white")
        left = 0
        for picture in pictures:
            whole.paste(picture, (left, 0))
            left += picture.width + gap
        whole.thumbnail((PIXELS, PIXELS))
        pictures = [whole]
    buffer = io.BytesIO()
    pictures[0].save(buffer, format="PNG")
    return buffer.getvalue()


def keep_pictures(folder: Path, problems: Sequence[Problem]) -> None:
    """Pictures of the first held-out problems as eval/pictures.parquet (problem_id, image_png), written once."""
    import pyarrow
    from pyarrow import parquet

    final = folder / "eval" / PICTURES
    wanted = [p for p in problems[:KEPT] if p.images]
    if not wanted:
        return
    if final.exists() and parquet.read_table(final, columns=["problem_id"])[0].to_pylist() == [
        writable(p.id) for p in wanted
    ]:
        return
    rows = [{"problem_id": writable(p.id), "image_png": small_png(p.images)} for p in wanted]
    working = final.with_suffix(".tmp")
    parquet.write_table(pyarrow.Table.from_pylist(rows), working)
    os.replace(working, final)


def with_pictures(records: list[dict[str, Any]], problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """The records with the pictures of these problems, each beside the first of its problem."""
    waiting = {problem.id: problem for problem in problems}
    for row in records:
        problem = waiting.pop(row["problem_id"], None)
        row["image_png"] = small_png(problem.images) if problem is not None else None
    return records
