"""Wolfram Language programs in, a JSON line each, and what Mathics3 makes of them out; for an interpreter that has it.

Mathics3 is GPL and is never imported by this project: this file is run by its path in an environment of its own, and
imports nothing of the project. Each program runs in a process forked from one that has loaded everything, under the
limits that its line says, and leaves nothing behind.
"""

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import sys
import time

PATIENCE = 10  # times the wall clock, for a program that computes


def loaded():
    """A session with every builtin, and the version."""
    importlib.import_module("mathics.core.load_builtin").import_and_load_builtins()
    session = importlib.import_module("mathics.session").MathicsSession(character_encoding="ASCII")
    return session, importlib.import_module("mathics").__version__


def outcome(session, code):
    """Evaluate the statements of a program: the value of the last as InputForm, messages, printed lines."""
    symbols = importlib.import_module("mathics.core.symbols")
    expression = importlib.import_module("mathics.core.expression").Expression
    strings = importlib.import_module("mathics.core.atoms")
    feeders = importlib.import_module("mathics.core.parser")
    evaluation, said, value = session.evaluation, [], None
    feeder = feeders.MathicsMultiLineFeeder(code, "program")
    while not feeder.empty():
        query = evaluation.parse_feeder(feeder)
        said += evaluation.out
        evaluation.out = []
        if query is None:
            if any(getattr(one, "symbol", None) == "Syntax" for one in said):
                break
            continue
        found = evaluation.evaluate(query, format="unformatted")
        said += found.out
        value = found.result
    text = ""
    if value is not None and value is not symbols.SymbolNull:
        ascii_only = expression(
            symbols.Symbol("System`Rule"), symbols.Symbol("System`CharacterEncoding"), strings.String("ASCII")
        )
        shown = expression(symbols.Symbol("System`ToString"), value, symbols.Symbol("System`InputForm"), ascii_only)
        text = evaluation.evaluate(shown, format="unformatted").result
        text = text.value if isinstance(text, strings.String) else str(text)
    heard = [(one.symbol, one.tag, one.text) for one in said if hasattr(one, "tag")]
    return {"text": text, "messages": heard, "printed": [one.text for one in said if not hasattr(one, "tag")]}


def child(pipe, session, asked):
    """In a process of its own: evaluate under the limits, and write the outcome into the pipe."""
    os.setsid()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    resource.setrlimit(resource.RLIMIT_DATA, (held + (asked["memory_mb"] << 20),) * 2)
    for nothing in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(nothing, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, asked["cpu_s"])  # its signal ends the process
    try:
        answer = dict(outcome(session, asked["program"]), status="ok")
    except MemoryError:
        answer = {"status": "memory"}
    except RecursionError:
        answer = {"status": "timeout"}
    signal.setitimer(signal.ITIMER_PROF, 0)
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(pipe, data) :]


def computed(pid):
    """CPU seconds of a process."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(session, asked):
    """One program: its outcome, or how its process ended."""
    end, (read, write) = time.monotonic() + asked["wall_s"], os.pipe()
    pid = os.fork()
    if pid == 0:
        ended = 1
        try:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            child(write, session, asked)
            ended = 0
        finally:
            os._exit(ended)  # an exception of Mathics3 itself: a crash of this program
    os.close(write)
    data, status, patience = b"", "", PATIENCE * asked["wall_s"]
    while True:
        if not select.select([read], [], [], max(0, end - time.monotonic()))[0]:
            if patience and computed(pid) * PATIENCE >= asked["wall_s"]:  # a busy machine: its CPU time decides
                end, patience = end + patience, 0
                continue
            status = "timeout"
            break
        piece = os.read(read, 1 << 16)
        if not piece:
            break
        data += piece
        if len(data) > 4 * asked["output_bytes"] + (1 << 16):
            status = "memory"
            break
    os.close(read)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):  # it has ended, or has no group of its own yet
            kill(pid, signal.SIGKILL)
    _, how = os.waitpid(pid, 0)
    if status:
        return {"status": status}
    if os.WIFSIGNALED(how) and os.WTERMSIG(how) == signal.SIGPROF:
        return {"status": "timeout"}
    try:
        return json.loads(data)
    except ValueError:
        return {"status": "crash"}


def main():
    """Say the version, then answer line by line until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Mathics3 prints itself is no answer
    session, version = loaded()
    print(json.dumps({"version": version}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(session, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
