"""`python -m nsrl.report RUN_FOLDER` writes report.html again; `compare A B` sets two evaluations against each
other."""

from __future__ import annotations

import sys
from pathlib import Path

from nsrl.errors import UserError, extras_named, program
from nsrl.report.compare import print_comparison
from nsrl.report.page import write_report

USAGE = """usage: {0} RUN_FOLDER    writes report.html and plots of a run again
       {0} compare A B   differences on the problems that both have, with 95% intervals
A and B: run folders, records of evaluations (eval/NAME.parquet), or folders with such a file; several by comma are
seeds"""


def main(argv: list[str]) -> int:
    """The command. Exit code 2 for bad input."""
    asked = argv[-1:] in (["-h"], ["--help"])
    compares = argv[:1] == ["compare"] and len(argv) == 3 and not asked
    if not compares and (len(argv) != 1 or argv[0].startswith("-") or argv == ["compare"]):
        print(USAGE.format(program("report")), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        with extras_named():
            if compares:
                print_comparison(argv[1:])
            else:
                print(write_report(Path(argv[0])))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
