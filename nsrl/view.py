"""`python -m nsrl.view RUN [more …] -o FILE` writes one page over completions: filters, search, the same problem in
every arm side by side, run against run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from nsrl.config import command
from nsrl.errors import UserError, program, require_extra
from nsrl.trainer.folder import check_writable
from nsrl.userfiles import expanded

EVERY = 25  # files between two lines of progress


class Parser(argparse.ArgumentParser):
    """One sentence for a wrong argument, as every command says it."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`."""
        raise UserError(f"{message} ({self.prog} --help)")


def page_file(word: str, *kinds: str) -> Path:
    """The file that `-o` names. Raises `UserError` where it is of no such kind or cannot be written."""
    target = expanded(word)
    if target.suffix.lower() not in kinds:
        raise UserError(f"-o must be a file that ends in {' or '.join(kinds)}; got {word!r}")
    check_writable(target, "-o")
    return target


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    from nsrl.report.viewer import MIB, MOST

    top = Parser(
        prog=program("view"),
        description="Write one self-contained HTML page over the completions of runs: evaluations and the training "
        "steps that were kept. It opens without a network in any current browser.",
        epilog=f"Examples: {program('view')} runs/default-0 | {program('view')} runs/a runs/b -o a-b.html | "
        f"{program('view')} experiment/ | {program('view')} result.parquet",
        allow_abbrev=False,
    )
    top.add_argument("path", nargs="+", metavar="PATH", help="a run folder, a folder of runs (an experiment), or a "
                     "parquet file of completions; several stand side by side")  # fmt: skip
    top.add_argument("-o", "--output", metavar="FILE", help="the page (without it: view.html in the first folder, or "
                     "beside the file with its name)")  # fmt: skip
    top.add_argument("--title", metavar="TEXT", help="of the page (without it: the names of the paths)")
    top.add_argument("--most", type=int, default=MOST, metavar="N", help="completions; beyond, kept training steps are "
                     f"left out evenly, evaluations never (default: {MOST})")  # fmt: skip
    top.add_argument("--pictures", type=int, default=MIB, metavar="MIB", help="pictures in MiB; larger ones are shrunk "
                     f"until all fit, 0 leaves them out (default: {MIB})")  # fmt: skip
    return top


def main(argv: list[str]) -> int:
    """Write the page and say what is in it. Returns 0; raises `UserError` for bad input."""
    chosen = parser().parse_args(argv)
    for name, least in (("most", 1), ("pictures", 0)):
        if getattr(chosen, name) < least:
            raise UserError(f"view: --{name} must be at least {least}; got {getattr(chosen, name)}")
    paths = [expanded(path) for path in chosen.path]
    target = page_file(chosen.output, ".html", ".htm") if chosen.output else None

    require_extra()

    from nsrl.report.records import collect
    from nsrl.report.viewer import write_view

    def said(done: int, total: int) -> None:
        if total > EVERY and (done % EVERY == 0 or done == total):
            print(f"read {done}/{total} files", flush=True)

    parts, notes = collect(paths, said)
    target = target or page_file(str(_beside(paths[0])), ".html")
    title = chosen.title or ", ".join(
        dict.fromkeys(path.resolve().name.removesuffix(".parquet") or str(path) for path in paths)
    )
    told = write_view(parts, target, title, notes, chosen.most, chosen.pictures)
    for note in told.notes:
        print(f"note: {note}")
    print(
        f"{told.records} completions of {told.problems} problems, {told.pictures} pictures, "
        f"{told.bytes / 2**20:.1f} MiB: {target}"
    )
    return 0


def _beside(path: Path) -> Path:
    return path / "view.html" if path.is_dir() else path.with_suffix(".html")


if __name__ == "__main__":
    command(main)
