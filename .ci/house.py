"""The picture of the house, drawn from the imports: `make house` writes docs/house.svg.

A room is a folder of `nsrl/` or `kernels/`, or the commands, or the types that all share; `csrc/` holds the CUDA of the
kernels. Each stands above every room that it imports (also inside functions; not what only type checkers see), its
width grows with its lines of code, and an arrow goes from it to what it imports
(but to the types, which all import).
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "house.svg"
CUDA = {".cu", ".cuh", ".h", ".cpp"}
WIDTH, GAP, FLOOR, TALL = 960, 24, 92, 46
ASIDE = 130  # floors of few rooms stand aside in turn, so that arrows do not lie on each other


def room_of(path: Path) -> str | None:
    """The room a source file stands in; None for what is in no room (the packages' own __init__)."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "csrc":
        return "csrc"
    if parts[0] == "kernels":
        return "kernels"
    if len(parts) > 2:
        return "commands" if parts[-1] == "__main__.py" else parts[1]
    if parts[1] == "__init__.py":
        return None
    return "types" if parts[1] in ("types.py", "errors.py", "userfiles.py") else "commands"


def sources() -> list[Path]:
    """Every file that is in a room."""
    found = [p for top in ("nsrl", "kernels") for p in (ROOT / top).rglob("*.py") if "__pycache__" not in p.parts]
    found += [p for p in (ROOT / "csrc").rglob("*") if p.suffix in CUDA]
    return sorted(p for p in found if room_of(p) is not None)


def rooms() -> dict[str, int]:
    """Each room with its lines of code."""
    lines: dict[str, int] = {}
    for path in sources():
        name = room_of(path) or ""
        lines[name] = lines.get(name, 0) + len(path.read_text(encoding="utf-8").splitlines())
    return lines


def imported(path: Path) -> set[str]:
    """The rooms that a file imports from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    found = set()
    for name in names:
        top, *rest = name.split(".")
        if top == "nsrl_kernels":
            found.add("kernels")
        elif top == "nsrl" and rest:
            file = ROOT / "nsrl" / f"{rest[0]}.py"
            folder = ROOT / "nsrl" / rest[0] / "__init__.py"
            where = file if file.is_file() else folder if folder.parent.is_dir() else None
            if where is not None:
                found.add(room_of(where) or "")
    return found - {""}


def arrows() -> set[tuple[str, str]]:
    """(room, a room that it imports from)."""
    pairs = {(room_of(p) or "", to) for p in sources() if p.suffix == ".py" for to in imported(p)}
    return {(a, b) for a, b in pairs if a != b} | {("kernels", "csrc")}


def floors(pairs: set[tuple[str, str]], names: list[str]) -> dict[str, int]:
    """The floor of each room: one above the highest that it imports from. Raises ValueError where there is a circle."""
    below = {name: {b for a, b in pairs if a == name} for name in names}
    height: dict[str, int] = {}
    while len(height) < len(names):
        ready = [n for n in names if n not in height and below[n] <= height.keys()]
        if not ready:
            raise ValueError(f"the rooms {', '.join(sorted(n for n in names if n not in height))} import in a circle")
        for name in ready:
            height[name] = 1 + max((height[b] for b in below[name]), default=-1)
    return height


def drawing() -> str:
    """The picture as SVG."""
    lines, pairs = rooms(), arrows()
    height = floors(pairs, sorted(lines))
    top, most = max(height.values()), max(lines.values())
    wide = {name: 100 + 240 * (size / most) ** 0.5 for name, size in lines.items()}
    place: dict[str, tuple[float, float, float]] = {}  # middle, upper edge, lower edge
    for floor in range(top + 1):
        row = sorted((n for n in lines if height[n] == floor), key=lambda n: (-lines[n], n))
        span = sum(wide[n] for n in row) + GAP * (len(row) - 1)
        left = (WIDTH - span) / 2 + (ASIDE if floor % 2 else -ASIDE) * (span < WIDTH / 2)
        base = (top - floor + 1) * FLOOR - 20
        for name in row:
            place[name] = (left + wide[name] / 2, base - TALL, base)
            left += wide[name] + GAP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {(top + 1) * FLOOR}" font-family="sans-serif">',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#64748b"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{(top + 1) * FLOOR}" fill="#ffffff"/>',
    ]
    for a, b in sorted(pair for pair in pairs if pair[1] != "types"):
        (x, _, low), (u, high, _) = place[a], place[b]
        near = height[a] - height[b] == 1
        bend = (high - low) / 2
        out.append(
            f'<path data-from="{escape(a)}" data-to="{escape(b)}" d="M{x:.0f} {low:.0f}C{x:.0f} {low + bend:.0f} '
            f'{u:.0f} {high - bend:.0f} {u:.0f} {high:.0f}" fill="none" stroke="#64748b" stroke-width="1.2" '
            f'opacity="{0.75 if near else 0.3}" marker-end="url(#to)"/>'
        )
    for name, (x, high, low) in sorted(place.items()):
        out += [
            f'<g data-room="{escape(name)}"><rect x="{x - wide[name] / 2:.0f}" y="{high:.0f}" width="{wide[name]:.0f}" '
            f'height="{low - high:.0f}" rx="5" fill="#e0e7ff" stroke="#4338ca"/>',
            f'<text x="{x:.0f}" y="{(high + low) / 2 - 2:.0f}" text-anchor="middle" font-size="14" fill="#1e1b4b">'
            f"{escape(name)}</text>",
            f'<text x="{x:.0f}" y="{(high + low) / 2 + 13:.0f}" text-anchor="middle" font-size="11" fill="#475569">'
            f"{lines[name]:,} lines</text></g>",
        ]
    return "\n".join([*out, "</svg>", ""])


def main() -> int:
    TARGET.write_text(drawing(), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(rooms())} rooms, {len(arrows())} arrows, {sum(rooms().values()):,} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
