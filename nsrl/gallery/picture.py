"""The picture of a row as a small SVG: a line for each arm, a dot for each seed, a bar from before to the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nsrl.gallery.results import MEASURES
from nsrl.gallery.row import FINAL, Row
from nsrl.report.plots import ACCENT, FAINT, INK, SECOND

WIDTH, LINE, TOP, BOTTOM, RIGHT = 640, 22, 26, 40, 56
CHARACTER = 6.6  # of 12 px, about
GREY = "#94a3b8"


def drawn(row: Row, found: Mapping[str, Any]) -> str:
    """A row as SVG. found: its result (`nsrl.gallery.finished.result`)."""
    lines = [
        (on, name, found["arms"][name]["on"][on][row.arms[name].measure], _start(row, found, name, on))
        for on in row.on
        for name in row.arms
    ]
    values = [v for _, _, seeds, start in lines for v in (*seeds, start) if v is not None]
    share = not MEASURES[found["measure"]].ratio
    high = 1.0 if share else max(values, default=1.0)
    begun = all(start is not None for *_, start in lines)  # else bars begin at 0
    low = max(0.0, math.floor(10 * min(values, default=0.0)) / 10 - 0.1) if begun else 0.0
    heads = len(row.on) if len(row.on) > 1 or row.tests else 0
    left = 16 + CHARACTER * max(len(name) for name in row.arms)
    height = TOP + LINE * (len(lines) + heads) + BOTTOM
    place = lambda value: left + (WIDTH - left - RIGHT) * (value - low) / ((high - low) or 1.0)
    title = f"{row.name}: {row.question}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    foot = height - BOTTOM + 4
    for tick in _ticks(low, high):
        shown = f"{100 * tick:.0f}%" if share else f"{tick:g}"
        out.append(f'<path d="M{place(tick):.1f} {TOP - 8}V{foot}" stroke="{FAINT}"/>')
        out.append(_words(place(tick), foot + 14, shown, "#4b5563", "middle"))
    told = f"{MEASURES[found['measure']].title}{'; a bar begins where its runs began' * begun}; a dot is a seed"
    out.append(_words(8, height - 6, told, INK))
    y, said = TOP - 4, ""
    for on, name, seeds, start in lines:
        if heads and on != said:
            y += LINE
            out.append(_words(8, y, f"on {on}", "#4b5563"))
            said = on
        y += LINE
        colour = GREY if name == row.against else ACCENT if name == row.decides else SECOND
        out.append(_words(left - 8, y, name, INK, "end"))
        known = [value for value in seeds if value is not None]
        if not known:
            continue
        mean = sum(known) / len(known)
        first, last = sorted((place(start if begun else 0.0), place(mean)))
        out.append(f'<rect x="{first:.1f}" y="{y - 9}" width="{max(last - first, 1):.1f}" height="9" rx="2" '
                   f'fill="{colour}" fill-opacity="0.35"/>')  # fmt: skip
        out.append(f'<path d="M{place(mean):.1f} {y - 12}v15" stroke="{colour}" stroke-width="2.5"/>')
        out += [f'<circle cx="{place(v):.1f}" cy="{y - 4.5}" r="3.4" fill="{colour}"/>' for v in known]
        out.append(_words(WIDTH - 6, y, f"{100 * mean:.1f}%" if share else f"{mean:.1f}", INK, "end"))
    return "\n".join([*out, "</svg>\n"])


def _start(row: Row, found: Mapping[str, Any], name: str, on: str) -> float | None:
    """Where the bar of an arm begins: at its accuracy before, where that is what is shown."""
    before = [value for value in found["arms"][name]["before"] if value is not None]
    shown = on == FINAL and row.arms[name].measure == "accuracy" and before
    return sum(before) / len(before) if shown else None


def _ticks(low: float, high: float) -> Sequence[float]:
    """Four or five round numbers."""
    span = high - low
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if span / s <= 5), span)
    count = int(span / step + 1e-9)
    first = -(-low // step) * step
    return [first + step * i for i in range(count + 1) if first + step * i <= high + 1e-9]


def _words(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
