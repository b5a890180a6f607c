"""The tables of docs/configuration.md, written from the documented fields: `make house` does it beside the picture."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from nsrl.config.asking import EvalConfig, HarvestConfig, SolveConfig  # noqa: E402
from nsrl.config.experiment import ExperimentConfig  # noqa: E402
from nsrl.config.gallery import GalleryConfig  # noqa: E402
from nsrl.config.keys import Key, groups, keys  # noqa: E402
from nsrl.config.schema import TrainConfig  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
MARK = "<!-- from here on written by .ci/configuration.py -->\n"


def _default(key: Key) -> str:
    if key.default is dataclasses.MISSING:
        return "must be given"
    if key.is_mapping:
        return ", ".join(f"{name} {value:g}" for name, value in key.default.items()) or "none"
    if key.is_list and key.default is not None:
        return ", ".join(map(str, key.default)) or "none"
    return "null" if key.default is None else str(key.default).lower() if key.type is bool else str(key.default)


def _row(key: Key) -> str:
    names = f"[{key.page}]({key.page})" if key.page else ", ".join(key.choices)  # a table's names stand on its page
    words = f" ({names})" if names else ""
    text = (key.text.removesuffix(".") + words).replace("|", "\\|")
    return f"| `{key.name}` | {_default(key)} | {text} |"


def _table(chosen: list[Key]) -> list[str]:
    return ["| key | default | |", "|---|---|---|", *map(_row, chosen), ""]


def tables() -> str:
    """Every key of the three commands, by group; the pool's are the same in all of them and stand once."""
    out: list[str] = []
    commands = ((TrainConfig, "train"), (EvalConfig, "eval"), (HarvestConfig, "harvest"), (SolveConfig, "solve"),
                (ExperimentConfig, "experiment"), (GalleryConfig, "gallery"))  # fmt: skip
    for kind, command in commands:
        found = keys(kind)
        out += [f"## `nsrl {command}`", "", *_table([key for name, key in found.items() if "." not in name])]
        for group in groups(kind):
            if kind is not TrainConfig:
                continue
            out += [f"### `{group}.*`", "", *_table([k for n, k in found.items() if n.startswith(f"{group}.")])]
        if kind is ExperimentConfig:
            out += [ExperimentConfig.more, ""]
        elif kind not in (TrainConfig, GalleryConfig):
            out += ["`engine.*` and `prompt.*` as above.", ""]
    return "\n".join(out)


def main() -> int:
    head = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    PAGE.write_text(head + MARK + "\n" + tables(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
