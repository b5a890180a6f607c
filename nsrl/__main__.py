"""The command `nsrl` (`python -m nsrl` without installing) hands its arguments to the module nsrl.NAME.

Stdlib only, until a command is chosen: the list, the version and a wrong name need nothing but nsrl itself.
"""

from __future__ import annotations

import sys
from importlib import import_module

from nsrl import __version__
from nsrl.config import command
from nsrl.errors import did_you_mean

# name: module with a main(arguments) that returns an exit code, and what it does
COMMANDS = {
    "train": ("nsrl.train", "train a model: warm start, GRPO, evaluation before and after, report"),
    "eval": ("nsrl.eval", "evaluate a run, a checkpoint or a Hub id: the table by category, pass@k"),
    "experiment": ("nsrl.experiment", "which language should it think in: arms, cold start, GRPO, one table"),
    "gallery": ("nsrl.gallery.__main__", "which published methods matter on the small model: arms, seeds, one page"),
    "harvest": ("nsrl.harvest", "keep a model's shortest right answers as demonstrations, and say them in nsl"),
    "solve": ("nsrl.solve", "ask a model one question about pictures: its program and the engine's value"),
    "check": ("nsrl.check", "is this run sound: does the worst step fit, do sampler and trainer agree"),
    "engines": ("nsrl.engines.__main__", "run programs; count their tokens; which engines are here"),
    "rewards": ("nsrl.rewards.__main__", "the answer check: one verdict, or its agreement with labels"),
    "data": ("nsrl.data.__main__", "how many problems a made source has at each level; draw one of each"),
    "recipes": ("nsrl.recipes.__main__", "published methods as recipes: which there are, and what is known of each"),
    "report": ("nsrl.report.__main__", "write report.html of a run folder again; compare two evaluations"),
    "attend": ("nsrl.attend", "where a model looks as it writes: attention drawn over the pictures"),
    "view": ("nsrl.view", "one page over completions: filter, search, runs side by side"),
}


def overview() -> str:
    """What `nsrl` prints without a command: how it is called, and a line for each command."""
    lines = [f"  {name:11}{what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join([
        "usage: nsrl COMMAND [argument ...]", "", *lines, "",
        "nsrl COMMAND --help says what it takes; python -m nsrl.COMMAND is the same. nsrl --version prints the "
        "version.",
    ])  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns 0 after the list or the version, 2 for a wrong name; a command ends with its own exit
    code."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] in ([], ["help"], ["-h"], ["--help"]):
        words = [*words[1:2], "--help"] if words[:1] == ["help"] and words[1:] else []
        if not words:
            print(overview())
            return 0
    name, *rest = words
    if name in ("--version", "-V", "version"):
        print(f"nsrl {__version__}")
        return 0
    if name not in COMMANDS:
        advice = did_you_mean(name, COMMANDS, 0.5) or f"; the commands are {', '.join(COMMANDS)}"
        print(f"error: nsrl has no command {name!r}{advice}", file=sys.stderr)
        return 2
    sys.argv = [f"nsrl {name}", *rest]
    command(lambda arguments: import_module(COMMANDS[name][0]).main(arguments))
    return 0  # `command` ends the process itself


if __name__ == "__main__":
    sys.exit(main())
