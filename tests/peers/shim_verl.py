"""A plugin of pytest: verl's own tests find the adapter's losses and estimators where they look for verl's.

PYTHONPATH=kernels:tests/peers python -m pytest -p shim_verl tests/trainer/ppo/test_core_algos_on_cpu.py
"""

import inspect
import sys
from types import ModuleType

from verl_oracle import Config, core_algos


def pytest_configure(config):
    """Before any test is imported: its functions are found by their names."""
    theirs = core_algos()
    from nsrl_kernels.adapters import verl as adapter

    adapter.install()
    places = {name: found for name, found in vars(theirs).items() if inspect.isfunction(found)}
    for function in {**adapter.LOSSES, **adapter.ESTIMATORS}.values():
        if function.__name__ in places:
            setattr(theirs, function.__name__, function)
    given = ModuleType("verl.workers.config.actor")
    given.ActorConfig = given.PolicyLossConfig = type("Options", (Config,), {"global_batch_info": {}})
    sys.modules[given.__name__] = given
