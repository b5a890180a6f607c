"""The builtin tables, merged explicitly. A name defined in two tables is a mistake and raises at load."""

from __future__ import annotations

from importlib import import_module

from nsrl.engines.wolfram.expr import system
from nsrl.engines.wolfram.judged import guard
from nsrl.engines.wolfram.table import Builtin, checked, known_names

SUBJECTS = (
    "algebra", "approximation", "arithmetic", "arrange", "associations", "booleans", "calculus", "choosing",
    "continued", "control", "core", "dates", "derivatives", "differential", "digits", "distributions", "eigen",
    "elementary", "encoding", "extrema", "forms", "functional", "geometry", "graphs", "integers", "integrals",
    "intervals", "letters", "linalg", "linearprogram", "lists", "logic", "matrices", "membership", "names",
    "nintegrate", "operators", "permutations", "polynomials", "powers", "primes", "recurrences", "reduce",
    "regions", "replacing", "rewriting", "rootfinding", "rounding", "sequences", "series", "sets", "simplify",
    "solve", "sorting", "stats", "strings", "sums", "transforms", "triangles", "trig", "units",
)  # fmt: skip
_loaded: dict[str, Builtin] = {}


def tables() -> dict[str, dict[str, Builtin]]:
    """Subject -> rows. Imported here: the tables import the evaluator's helpers, and the evaluator loads the tables."""
    return {subject: import_module(f"{__name__}.{subject}").TABLE for subject in SUBJECTS}


def load() -> dict[str, Builtin]:
    """All rows by name, attached to their symbols. Cheap after the first call."""
    if not _loaded:
        from nsrl.engines.wolfram.builtins import defined  # needs the parser, which needs nothing of the tables

        merged: dict[str, Builtin] = {}
        for where, rows in tables().items():
            twice = merged.keys() & rows.keys()
            if twice:
                raise ValueError(f"builtins.{where} redefines {sorted(twice)}")
            merged.update(rows)
        for row in merged.values():
            if row.takes:
                row.handler = checked(row.handler, row.takes)
        defined.attach(merged)
        guard(merged)
        for name, row in merged.items():
            s = system(name)
            s.builtin, s.attrs = row, row.attrs
        known_names()  # a worker reads no file once its walls stand
        _loaded.update(merged)
    return _loaded
