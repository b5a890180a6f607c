"""LaTeX of a question becomes drawn formulas, everything else escaped text. Formulas that cannot be drawn are marked as
source.

For the words of data sets, which are short; what a model wrote is shown as it is.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache

LONGEST = 400  # characters of a formula that is drawn
DEEPEST = 12  # braces within braces
_SIZE = 100.0  # of the font, in the units of the drawing
# As in Pandoc: no space inside the dollars and no digit behind them, so that prices stay prices.
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$(?! )([^$]+?)(?<! )\$(?!\d)", re.DOTALL)
_CODES = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}  # of matplotlib's paths, in SVG's letters


def markup(text: str) -> str:
    """HTML of a text: escaped, its formulas ($…$, $$…$$, \\(…\\), \\[…\\]) drawn or marked.

    A text that is one bare formula (a gold answer such as `\\frac{1}{2}`) is drawn as such.
    """
    if (
        "$" not in text
        and re.fullmatch(r"[^\s]*\\[a-zA-Z]+\s*[{\d].*", text)
        and "\\(" not in text
        and "\\[" not in text
    ):
        return formula(text)
    out, at = [], 0
    for match in _FORMULA.finditer(text):
        out += [
            html.escape(text[at : match.start()]),
            formula(next(g for g in match.groups() if g is not None).strip()),
        ]
        at = match.end()
    return "".join([*out, html.escape(text[at:])])


@lru_cache(maxsize=2048)
def formula(source: str) -> str:
    """One formula as inline SVG in the text's colour; `<code>` of its source where it cannot be drawn."""
    escaped = html.escape(source)
    drawn = _outline(source)
    if drawn is None:
        return f'<code class="tex" title="LaTeX source">{escaped}</code>'
    path, (left, bottom, right, top) = drawn
    pad = 4
    width, height = right - left + 2 * pad, top - bottom + 2 * pad
    return (
        f'<svg class="tex" role="img" aria-label="{escaped}" viewBox="{left - pad:.0f} {-top - pad:.0f} {width:.0f} '
        f'{height:.0f}" '
        f'style="height:{height / _SIZE:.2f}em;vertical-align:{(bottom - pad) / _SIZE:.2f}em"><title>{escaped}</title>'
        f'<path d="{path}"/></svg>'
    )


def _outline(source: str) -> tuple[str, tuple[float, float, float, float]] | None:
    """SVG path of a formula, y downwards, and its (left, bottom, right, top); None where matplotlib cannot draw it."""
    if not source or len(source) > LONGEST or "$" in source or max(source) > "\u2fff" or _depth(source) > DEEPEST:
        return None
    from matplotlib.textpath import TextPath

    plain = re.sub(r"\\[dt]frac\b", r"\\frac", " ".join(source.split()))
    try:
        path = TextPath((0, 0), f"${plain}$", size=_SIZE)
    except ValueError:  # what mathtext raises for all it does not know
        return None
    if not len(path.vertices):
        return None
    words = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        pairs = [] if code == 79 else [f"{x:.0f} {-y:.0f}" for x, y in zip(points[::2], points[1::2])]
        words.append(_CODES[int(code)] + " ".join(pairs))
    box = path.get_extents()
    return "".join(words), (box.x0, box.y0, box.x1, box.y1)


def _depth(source: str) -> int:
    deepest = depth = 0
    for sign in source:
        depth += (sign == "{") - (sign == "}")
        deepest = max(deepest, depth)
    return deepest
