"""Attention of a completion's tokens drawn over the pictures: a PNG, a page to walk through, and a table by layer.

Takes numbers and texts alone; `nsrl.attend` brings them. What a model wrote is shown as text, with what cannot be seen
made visible.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsrl.report.problems import clean
from nsrl.report.standalone import packed, page, put
from nsrl.report.table import PARTS

COLOURS = {"program": "#0f766e", "prose": "#a16207", "answer": "#2563eb", "delimiters": "#94a3b8"}
HEIGHT, GAP = 360, 16  # of the drawn pictures, in pixels
SINGLE = 12  # tokens that the PNG shows each by itself
MOST = 20_000_000  # numbers of a page; beyond, it has the mean over layers alone


@dataclass(frozen=True, eq=False)
class Seen:
    """n tokens, v visual tokens. weights: (layers, n, v) of each head's attention or their mean; cells: of each picture
    its visual tokens' (v_i, 4) left, top, right, bottom, as shares; even: (n,) what the pictures would get of a token
    that attends to all it sees alike; chosen: tokens that are drawn; layer: None for the mean over layers."""

    title: str
    question: str
    pictures: Sequence[Any]
    cells: Sequence[np.ndarray]
    tokens: Sequence[str]
    parts: Sequence[str]
    weights: np.ndarray
    even: np.ndarray
    chosen: Sequence[int]
    layer: int | None = None
    head: int | None = None

    @property
    def shown(self) -> np.ndarray:
        """(n, v) of the layer that is drawn, or their mean."""
        return self.weights.mean(0) if self.layer is None else self.weights[self.layer]

    @property
    def which(self) -> str:
        """The layers and heads in words."""
        layer = "mean over layers" if self.layer is None else f"layer {self.layer}"
        return f"{layer}, {'mean over heads' if self.head is None else f'head {self.head}'}"


def masses(seen: Seen) -> dict[str, np.ndarray]:
    """(layers,) attention on the pictures of each part that the completion has, mean over its tokens; of `even` one
    number for each."""
    on = seen.weights.sum(-1)
    found = {}
    for part in PARTS:
        rows = [i for i, of in enumerate(seen.parts) if of == part]
        if rows:
            found[part] = on[:, rows].mean(1)
    return found


def evens(seen: Seen) -> dict[str, float]:
    """What each part's tokens would give the pictures if they attended to all they see alike."""
    return {p: float(np.mean([e for e, of in zip(seen.even, seen.parts) if of == p])) for p in masses(seen)}


def table(seen: Seen) -> str:
    """Attention on the pictures by layer and part, the mean over layers, and the even share."""
    found, even = masses(seen), evens(seen)
    count = {part: sum(of == part for of in seen.parts) for part in found}
    rows = [["layer", *found], ["tokens", *(str(count[part]) for part in found)]]
    rows += [[str(layer), *(f"{m[layer]:.3f}" for m in found.values())] for layer in range(len(seen.weights))]
    rows += [["mean", *(f"{m.mean():.3f}" for m in found.values())], ["even", *(f"{even[p]:.3f}" for p in found)]]
    return _aligned(rows)


def by_token(seen: Seen) -> str:
    """Of each chosen token, in the layers that are drawn: attention on the pictures, and the visual token with the most
    of it, as its picture and the middle of what it sees in shares of it."""
    rows = [["token", "of", "pictures", "most", "picture", "at x", "at y"]]
    places = [(n, *(box[:2] + box[2:]) / 2) for n, cells in enumerate(seen.cells) for box in cells]
    for number in seen.chosen:
        on, best = seen.shown[number], int(seen.shown[number].argmax())
        picture, x, y = places[best]
        name = f"{number} {json.dumps(clean(seen.tokens[number]), ensure_ascii=False)}"
        share, most = f"{on.sum():.3f}", f"{on[best]:.3f}"
        rows.append([name, seen.parts[number], share, most, str(picture), f"{x:.2f}", f"{y:.2f}"])
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(word.rjust(width) for word, width in zip(row, widths)) for row in rows)


def fine(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest of the cells (f, 4), and how each visual token's attention is spread over them (v, f): what sees a
    larger cell (an overview) gives to all small ones in it alike."""
    area = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
    small = cells[area <= area.min() * 1.01]
    x, y = (small[:, 0] + small[:, 2]) / 2, (small[:, 1] + small[:, 3]) / 2
    left, top, right, bottom = cells.T[:, :, None]
    inside = ((left < x) & (x < right) & (top < y) & (y < bottom)).astype(np.float32)
    return small, inside / inside.sum(1, keepdims=True)


def write_png(seen: Seen, target: Path) -> None:
    """The mean over the chosen tokens and the first `SINGLE` of them, each over the pictures, and the parts by
    layer."""
    import matplotlib
    from matplotlib.figure import Figure

    maps = _spread(seen, seen.shown[list(seen.chosen)])
    count = min(SINGLE, len(seen.chosen)) if len(seen.chosen) > 1 else 0
    across = min(6, count) or 1
    base, _ = _canvas(seen, maps[:1])
    below = -(-count // across)
    shape = base.shape[0] / base.shape[1]
    tall = 12 / across * shape + 0.36
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(12, 3.4 + below * tall), dpi=100, layout="constrained", facecolor="white")
        top, *rest = figure.subfigures(2 if below else 1, 1, height_ratios=[3.4, below * tall] if below else None,
                                       squeeze=False).flatten()  # fmt: skip
        left, right = top.subplots(1, 2, width_ratios=[1.15, 1])
        shown = _overlay(left, seen, maps.mean(0)[None])
        words = "".join(seen.tokens[i] for i in seen.chosen)
        left.set_title(_short(words, 54), fontfamily="DejaVu Sans Mono", fontsize=10, parse_math=False)
        left.set_xlabel(f"mean over {len(seen.chosen)} tokens, {seen.which}", color="#5d6779")
        top.colorbar(shown, ax=left, shrink=0.8, label="attention on a visual token")
        _by_layer(right, seen)
        if below:
            grid = rest[0].subplots(below, across, squeeze=False).flatten()
            peak = float(maps[:count].max())
            for axis in grid[count:]:
                axis.axis("off")
            for axis, row, number in zip(grid, maps, seen.chosen):
                _overlay(axis, seen, row[None], peak)
                axis.set_title(f"{_short(seen.tokens[number], 22)}", fontfamily="DejaVu Sans Mono", fontsize=10,
                               color=COLOURS[seen.parts[number]], parse_math=False)  # fmt: skip
        top.suptitle(_short(seen.question, 110), fontsize=11, x=0.01, ha="left", parse_math=False)
        out = io.BytesIO()
        figure.savefig(out, format="png")
    put(target, out.getvalue())


def write_page(seen: Seen, target: Path) -> None:
    """A page: a token under the pointer shows its own map, in any layer."""
    weights = seen.weights if seen.weights.size <= MOST else seen.weights.mean(0, keepdims=True)
    maps = np.stack([_spread(seen, layer) for layer in weights])
    top = np.maximum(maps.max(-1, keepdims=True), 1e-12)
    numbers = np.round(maps / top * 65535).astype("<u2").tobytes()
    data = {
        "title": clean(seen.title), "question": clean(seen.question),
        "which": "one head" if seen.head is not None else "",
        "pictures": [{"url": _url(p), "width": p.width, "height": p.height, "cells": np.round(fine(c)[0], 5).tolist()}
                     for p, c in zip(seen.pictures, seen.cells)],
        "tokens": [clean(t) for t in seen.tokens], "parts": list(seen.parts), "chosen": list(map(int, seen.chosen)),
        "layers": len(weights), "layer": seen.layer if len(weights) > 1 else None, "colours": COLOURS,
        "mass": {p: [round(float(v), 4) for v in m] for p, m in masses(seen).items()}, "even": evens(seen),
        "on": np.round(weights.sum(-1), 4).tolist(), "top": np.round(top[..., 0], 7).tolist(),
        "shape": list(maps.shape), "left_out": len(weights) != len(seen.weights),
    }  # fmt: skip
    text = page(
        "attention.html.jinja",
        ["attention.js"],
        title=data["title"],
        data=packed(json.dumps(data, separators=(",", ":")).encode()),
        weights=packed(numbers),
    )
    put(target, text.encode("utf-8", "replace"))


# -- parts -----------------------------------------------------------------------------------------------------------


def _spread(seen: Seen, weights: np.ndarray) -> np.ndarray:
    """(n, f) on the small cells of all pictures of weights (n, v)."""
    out, at = [], 0
    for cells in seen.cells:
        out.append(weights[:, at : at + len(cells)] @ fine(cells)[1])
        at += len(cells)
    return np.concatenate(out, 1)


def _canvas(seen: Seen, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pictures side by side, grey, (H, W) in 0..1, and the maps (n, f) laid over them, NaN where there is none."""
    drawn = [p.convert("L") for p in seen.pictures]
    sizes = [(max(1, round(HEIGHT * p.width / p.height)), HEIGHT) for p in drawn]
    width = sum(w + GAP for w, _ in sizes) - GAP
    base, heat = np.ones((HEIGHT, width)), np.full((len(maps), HEIGHT, width), np.nan)
    left = at = 0
    for picture, (w, h), cells in zip(drawn, sizes, seen.cells):
        base[:, left : left + w] = np.asarray(picture.resize((w, h))) / 255
        small = fine(cells)[0]
        for box in np.round(small * [w, h, w, h]).astype(int):
            heat[:, box[1] : box[3], left + box[0] : left + box[2]] = maps[:, at, None, None]
            at += 1
        left += w + GAP
    return base, heat


def _overlay(axis: Any, seen: Seen, maps: np.ndarray, peak: float | None = None) -> Any:
    base, heat = _canvas(seen, maps)
    axis.imshow(base, cmap="gray", vmin=-0.4, vmax=1.0)
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)
    return axis.imshow(heat[0], cmap="magma", alpha=0.68, vmin=0, vmax=peak or float(np.nanmax(heat)))


def _by_layer(axis: Any, seen: Seen) -> None:
    """Attention on the pictures by layer, a line for each part; dashed: the even share."""
    even = evens(seen)
    for part, values in masses(seen).items():
        count = sum(of == part for of in seen.parts)
        axis.plot(
            values,
            "o-",
            color=COLOURS[part],
            ms=4,
            label=f"{part} ({count} token{'s' * (count > 1)}): {values.mean():.3f}",
        )
        axis.axhline(even[part], color=COLOURS[part], ls=":", lw=1)
    axis.set(xlabel="layer", title="attention on the pictures (dotted: even)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)


def _short(text: str, most: int) -> str:
    text = clean(text).replace("\n", "⏎")
    return text if len(text) <= most else text[: most - 1] + "…"


def _url(picture: Any) -> str:
    picture = picture.convert("RGB")
    picture.thumbnail((1024, 1024))
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
