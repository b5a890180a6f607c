"""Every source file and the first sentence of what it says about itself: `make tree`."""

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = {".py", ".cu", ".cuh", ".h", ".cpp", ".yaml", ".jinja", ".js", ".css", ".sh"}


def sources() -> list[Path]:
    """Tracked source files; in an unpacked sdist, every one that is there."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    names = done.stdout.splitlines() if done.returncode == 0 else None
    if names is None:
        names = [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if "__pycache__" not in p.parts]
    found = (Path(n) for n in names if Path(n).suffix in KINDS and (ROOT / n).stat().st_size)
    return sorted(found, key=lambda p: (p.parent.parts, p.name))


def about(path: Path) -> str:
    """The first sentence of a docstring or of the comment on top, or a recipe's method; empty where there is none."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    else:
        if named := re.match(r"about:(?:\n  | \{)method: \"?(.+?)\"?(?:\n|, )", text):  # a recipe
            return f"the recipe of {named[1]}"
        top = re.match(r"(?:#!.*\n)?((?:\s*(?://|#|\{#|/\*).*\n)+)", text)
        text = (
            "\n".join(re.sub(r"^\s*(//|#|\{#-?|/\*)\s?|(-?#\}|\*/)\s*$", "", line) for line in top[1].splitlines())
            if top
            else ""
        )
    line = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[^.])\.(?:\s|$)", line)[0]


def main() -> int:
    folder = None
    for path in sources():
        if path.parent != folder:
            folder = path.parent
            print(f"{folder}/" if folder.parts else "./")
        print(f"    {path.name:26}{textwrap.shorten(about(path), 100, placeholder=' …')}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
