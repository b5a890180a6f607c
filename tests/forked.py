"""Commands in processes forked from one that has imported everything already: a start costs no seconds."""

import importlib
import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    returncode: int  # minus the signal's number where one ended it
    stdout: str
    stderr: str


def run(module, *argv, kill=None, timeout=300):
    """`python -m module argv`. kill: (module or class, function, calls, signal): the process sends itself the signal inside
    the first call of that function beyond so many."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["nsrl.trainer.run", "nsrl.eval", "nsrl.solve"])
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = forkserver.Process(target=_child, args=(module, argv, kill, out, err))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{argv} took more than {timeout} s: {err.read_text()[-3000:]}")
        return Done(process.exitcode, out.read_text(), err.read_text())


def _child(module, argv, kill, out, err):
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.argv[1:] = map(str, argv)
    if kill is not None:
        _arm(*kill)
    os.environ.pop("COLUMNS", None)
    sys.modules.pop(module, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _arm(where, name, calls, number):
    try:
        holder = importlib.import_module(where)
    except ImportError:
        module, _, attribute = where.rpartition(".")
        holder = getattr(importlib.import_module(module), attribute)
    inner, count = getattr(holder, name), [0]

    def killed(*args, **options):
        count[0] += 1
        if count[0] > calls:
            os.kill(os.getpid(), number)
        return inner(*args, **options)

    setattr(holder, name, killed)
