"""The process that asks math-verify, behind the walls of an engine worker (`nsrl.engines.sandbox`).

It imports and warms everything, goes behind the walls, and forks a child for each question: the child has its CPU time
and nothing else, so a question that hangs costs that time and no restart. It dies with the process that started it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable

from nsrl.engines.pool import sandbox

CPU_S = 0.25  # of one question; the heaviest that are answered take 0.1
MEMORY_MB = 1024
_WARM = [
    ("1", "1"), ("\\frac{1}{2}", "0.5"), ("\\sqrt{2}", "\\frac{2}{\\sqrt{2}}"), ("\\{1,2\\}", "\\{2,1\\}"), ("[1,2)",
    "(1,2)"), ("x=5", "5"),
    ("(1,2)", "(1, 2)"), ("\\sum_{k=1}^{3} k", "6"), ("\\int_0^1 x dx", "\\frac{1}{2}"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "(1,2)"),
    ("x<5", "5>x"), ("\\sin^2 x", "1-\\cos^2 x"), ("\\log_2 8", "3"), ("5\\%", "0.05"), ("\\lim_{x \\to 0} x", "0"),
    ("(-\\infty,1)\\cup(2,3)", "x<1"),
    ("\\binom{5}{2}", "10"), ("\\frac{d}{dx} x^2", "2x"), ("\\prod_{k=1}^{3} k", "6"), ("|x|", "x"), ("5!", "120"),
    ("\\pm 1", "1"), ("i", "1"),
]  # fmt: skip


def main() -> None:
    """Entry. Its one argument is the process that should be its parent."""
    sandbox.die_with_parent()
    if os.getppid() != int(sys.argv[1]):
        os._exit(0)
    ask = _loaded()
    user, _apart = sandbox.drop_user(), sandbox.new_namespaces()
    sandbox.die_with_parent()  # another user's process forgets it
    process = os.fork()  # process 1 of the new namespace
    if process:
        _, status = os.waitpid(process, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0x7F)
    sandbox.die_with_parent()
    _serve(ask, user)


def _loaded() -> Callable[[str, str], bool]:
    """math-verify, with all that it imports late: behind the walls no file is read."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    from nsrl.engines.sympy import namespace

    config = [LatexExtractionConfig(), ExprExtractionConfig()]

    def ask(gold: str, text: str) -> bool:
        g, p = (parse(f"${t}$", extraction_config=config, parsing_timeout=None) for t in (gold, text))  # pyright: ignore[reportArgumentType]
        return bool(g and p and verify(g, p, timeout_seconds=None))

    namespace.preload(warm=False)
    for question in _WARM:
        ask(*question)
    return ask


def _serve(ask: Callable[[str, str], bool], user: bool) -> None:
    leaf = sandbox.build_filter("leaf")
    server = sandbox.build_filter("server")
    base = sandbox.address_space()
    layers = {"user": user, "chroot": sandbox.empty_root(), "no_new_privs": sandbox.no_new_privileges()}
    layers["capabilities"] = sandbox.drop_capabilities()
    sandbox.hide_from_debuggers()
    layers["rlimits"] = sandbox.rlimits(files=3, processes=None)
    layers["landlock"] = sandbox.landlock()
    layers["seccomp"] = sandbox.seccomp(server)
    gc.collect()
    gc.freeze()
    _say(json.dumps(layers))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            gc.disable()
            sandbox.die_with_parent()
            sandbox.limit_memory(base + (MEMORY_MB << 20))
            sandbox.limit_cpu(int(CPU_S) + 2)
            sandbox.rlimits(files=3, processes=0)
            signal.setitimer(signal.ITIMER_PROF, CPU_S)  # its signal ends the process, whatever code is running
            sandbox.seccomp(leaf)
            _answer(ask, line)
        _, status = os.waitpid(child, 0)
        _say("late" if os.WIFSIGNALED(status) else "true" if status == 1 << 8 else "false")


def _answer(ask: Callable[[str, str], bool], line: str) -> None:
    """Exit code 1 for yes; everything else, an exception of the library's among it, is no."""
    code = 0
    try:
        code = int(ask(*json.loads(line)))
    finally:
        os._exit(code)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
