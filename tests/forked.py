"""Commands in processes forked from one that has imported everything already: a start costs no seconds."""

import importlib
import multiprocessing
import os
import runpy
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# The commands, and what a run imports late: a second for pandas (pyarrow asks whether a list is one of its series), a
# second for the plots.
PRELOADED = ["nsrl.trainer.run", "nsrl.eval", "nsrl.solve", "nsrl.report", "pandas", "pyarrow.parquet",
"matplotlib.projections",
             "matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"]  # fmt: skip


class Done(NamedTuple):
    returncode: int  # minus the signal's number where one ended it
    stdout: str
    stderr: str


def run(module, *argv, kill=None, timeout=300):
    """`python -m module argv`. kill: (module or class, function, calls, signal): the process sends itself the signal
    inside
    the first call of that function beyond so many."""
    return _together(timeout, [(_command, (module, argv, kill), {})])[0]


def ranks(count, module, *argv, timeout=300):
    """The same command as so many processes, each told its rank as a launcher would; one `Done` for each."""
    return call_ranks(count, _command, module, argv, None, timeout=timeout)


def call_ranks(count, function, *arguments, timeout=300):
    """A function of a module that can be imported, called by so many processes that know their ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return _together(timeout, [(function, arguments, shared | {"RANK": str(rank)}) for rank in range(count)])


def _together(timeout, calls):
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        files = [(Path(folder, f"out{i}"), Path(folder, f"err{i}")) for i in range(len(calls))]
        processes = [forkserver.Process(target=_child, args=(*call, *file)) for call, file in zip(calls, files)]
        for process in processes:
            process.start()
        until = time.monotonic() + timeout
        for process in processes:
            process.join(max(0, until - time.monotonic()))
        late = [i for i, process in enumerate(processes) if process.exitcode is None]
        for i in late:
            processes[i].kill()
        if late:
            raise TimeoutError(f"{calls[0]} took more than {timeout} s: {files[late[0]][1].read_text()[-3000:]}")
        return [
            Done(process.exitcode, out.read_text(), err.read_text()) for process, (out, err) in zip(processes, files)
        ]


def _child(function, arguments, environment, out, err):
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(environment)
    os.environ.pop("COLUMNS", None)
    function(*arguments)


def _command(module, argv, kill):
    sys.argv[1:] = map(str, argv)
    if kill is not None:
        _arm(*kill)
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
