"""The run folder: what is in it and where. Knows nothing of models or steps."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from nsrl.config import TrainConfig, run_path, to_yaml
from nsrl.errors import UserError

PACKAGES = ("torch", "triton", "transformers", "peft", "tokenizers", "sympy", "numpy", "pillow", "vllm", "liger-kernel")


class RunFolder:
    """`output_dir`: config.yaml, metrics.jsonl, completions/, eval/, checkpoint-*/, latest, summary.json, report.html."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = True  # False on all ranks but the main one

    @classmethod
    def create(cls, config: TrainConfig) -> RunFolder:
        """A new run's folder, or an existing one's with `resume`. Raises `UserError` where it cannot be written."""
        path = run_path(config)
        begun = (path / "config.yaml").exists()
        resuming = config.resume or config.resume_from_checkpoint is not None
        if begun and not resuming:
            raise UserError(f"output_dir {str(path)!r} already holds a run; continue it with --resume or name another folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / ".writable"
            probe.touch()
            probe.unlink()
            for name in ("completions", "eval"):
                (path / name).mkdir(exist_ok=True)
            if not begun:
                write(path / "config.yaml", to_yaml(config) + _versions_yaml())
        except OSError as error:
            raise UserError(f"output_dir must be a folder that can be written; {str(path)!r}: {error.strerror}") from None
        return cls(path)

    def write_json(self, name: str, value: Any) -> None:
        if self.writes:
            write(self.path / name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any | None:
        path = self.path / name
        return json.loads(path.read_text()) if path.exists() else None

    def write_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        """All completions of a step, as parquet."""
        if not self.writes:
            return
        import pyarrow
        from pyarrow import parquet

        final = self.path / "completions" / f"step_{step:06d}.parquet"
        working = final.with_suffix(".tmp")
        parquet.write_table(pyarrow.Table.from_pylist([{"step": step, **row} for row in rows]), working)
        os.replace(working, final)


def write(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    working = path.with_name(path.name + ".tmp")
    working.write_text(text, encoding="utf-8")
    os.replace(working, path)


def versions() -> dict[str, str]:
    """What the run runs on: Python, packages, the commit of the source tree when it is one."""
    found = {"python": platform.python_version(), "nsrl": _version("nsrl") or "source"}
    found |= {name: version for name in PACKAGES if (version := _version(name))}
    if shutil.which("git"):
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
        git = subprocess.run(command, capture_output=True, text=True)
        if git.returncode == 0:
            found["commit"] = git.stdout.strip()
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions_yaml() -> str:
    return "# written before the first step, with:\n" + "".join(f"#   {k}: {v}\n" for k, v in versions().items())
