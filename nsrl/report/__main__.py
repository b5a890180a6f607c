"""`python -m nsrl.report RUN_FOLDER` writes report.html again from the files of a run."""

from __future__ import annotations

import sys
from pathlib import Path

from nsrl.errors import UserError, extras_named, program
from nsrl.report.page import write_report


def main(argv: list[str]) -> int:
    """The command. Exit code 2 for bad input."""
    if len(argv) != 1 or argv[0].startswith("-"):
        asked = argv in (["-h"], ["--help"])
        print(f"usage: {program('report')} RUN_FOLDER", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        with extras_named():
            print(write_report(Path(argv[0])))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
