"""verl's own `core_algos.py`, without what its package imports around it (Ray, workers, hardware).

Its file and the helpers that it needs are executed as they are installed (by run.sh, in a folder of their own, for with
them comes a package called tests); only the classes that it compares its configuration with are given here.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ROOT = Path(sys.prefix) / "verl" / "verl"


class Config(SimpleNamespace):
    """Options by attribute and by `get`, as verl's ActorConfig has them."""

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


class Algorithm(Config):
    """The options of an estimator."""


def core_algos() -> ModuleType:
    """verl/trainer/ppo/core_algos.py of the installed package."""
    for name in ("verl", "verl.utils", "verl.trainer", "verl.trainer.ppo", "verl.workers"):
        package = ModuleType(name)
        package.__path__ = [str(ROOT.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
    for name, given in (
        ("verl.trainer.config", {"AlgoConfig": Algorithm}),
        ("verl.workers.config", {"ActorConfig": Config}),
    ):
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(given)
    groupwise = importlib.import_module("verl.utils.groupwise")
    for name in ("as_torch_index", "group_mean_std"):
        setattr(sys.modules["verl.utils"], name, getattr(groupwise, name))
    return importlib.import_module("verl.trainer.ppo.core_algos")
