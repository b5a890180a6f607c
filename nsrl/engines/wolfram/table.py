"""How a builtin is written down: a name, its attributes, a handler. One table per file of `builtins/`.

    TABLE: dict[str, Builtin] = {}
    builtin = table(TABLE)

    @builtin("Total", "Protected", operator=None)
    def total(ev, args): ...

A handler gets the evaluator and the already evaluated arguments (raw where a Hold attribute says so) and returns the
value, or None to leave the call as it stands. It may use `ev.eval(tree)`, `ev.call(f, *args)` (= evaluate f[args]),
`ev.message(symbol, tag, text)`, `ev.step(n)` inside loops, and before building anything large
`ev.need_length(n)`, `ev.need_bits(n)`; limits and control flow travel as exceptions (errors.py), everything else that
is raised is a bug. `arity`: an int n, (least, most) with most None for "any": a call with another count is left as it
stands with the message `argx`, `argr`, `argrx` or `argt` the real engine gives. `operator`: "prepend" if f[x][a] means
f[a, x] (Select), "append" if it means f[x, a] (Map). `takes`: kinds of the
arguments (KINDS), by place: a call with others is left as it stands, so that the handler meets no odd argument.
`options`: the option names that the handler reads, or "*" where a rule at the end is no option (CompoundExpression): a
call with any other option is left as it stands, for it may ask for another value (Modulus).

Knows nothing of any particular builtin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, Symbol

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

FLAT, ORDERLESS, ONE_IDENTITY, LISTABLE, HOLD_FIRST, HOLD_REST, HOLD_ALL_COMPLETE = 1, 2, 4, 8, 16, 32, 64
NUMERIC, PROTECTED, CONSTANT, SEQUENCE_HOLD, LOCKED, READ_PROTECTED, N_HOLD_FIRST, N_HOLD_REST = (
    1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14)  # fmt: skip
TEMPORARY = 1 << 15
HOLD_ALL = HOLD_FIRST | HOLD_REST

ATTRIBUTES: dict[str, int] = {
    "Constant": CONSTANT,
    "Flat": FLAT,
    "HoldAll": HOLD_ALL,
    "HoldAllComplete": HOLD_ALL_COMPLETE,
    "HoldFirst": HOLD_FIRST,
    "HoldRest": HOLD_REST,
    "Listable": LISTABLE,
    "Locked": LOCKED,
    "NHoldFirst": N_HOLD_FIRST,
    "NHoldRest": N_HOLD_REST,
    "NHoldAll": N_HOLD_FIRST | N_HOLD_REST,
    "NumericFunction": NUMERIC,
    "OneIdentity": ONE_IDENTITY,
    "Orderless": ORDERLESS,
    "Protected": PROTECTED,
    "ReadProtected": READ_PROTECTED,
    "SequenceHold": SEQUENCE_HOLD,
    "Temporary": TEMPORARY,
}

Handler = Callable[[Any, tuple], Any]


@dataclass(slots=True)
class Builtin:
    """One row of a table."""

    name: str
    attrs: int
    handler: Handler | None  # None: a symbol with attributes only (Pi, Rule)
    least: int = 0
    most: int | None = None
    operator: str | None = None
    data: bool = False  # a call that stays as it stands is a value (Line, NumberForm), not a question without answer
    takes: str = ""
    options: frozenset[str] = frozenset()

    @property
    def answers(self) -> bool:
        """Whether a call that stays as it stands was left without its value."""
        return self.handler is not None and not self.data and not self.attrs & NUMERIC


def flags(names: str) -> int:
    """Attribute names separated by spaces, as one integer. Raises KeyError on an unknown name (a typo in a table)."""
    out = 0
    for n in names.split():
        out |= ATTRIBUTES[n]
    return out


def flag_names(bits: int) -> list[str]:
    """The attributes in `bits`, sorted as Attributes prints them."""
    out = [n for n, b in ATTRIBUTES.items() if bits & b == b]
    if "HoldAll" in out:
        out = [n for n in out if n not in ("HoldFirst", "HoldRest")]
    if "NHoldAll" in out:
        out = [n for n in out if n not in ("NHoldFirst", "NHoldRest")]
    return sorted(out)


def _is(head: str) -> Callable[[Any], bool]:
    return lambda e: type(e) is Expr and type(e.head) is Symbol and e.head.name == head


def _lists(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda e: _list(e) and all(map(of, e.args))


_list, _assoc = _is("List"), _is("Association")
_integer, _string = (lambda e: type(e) is int), (lambda e: type(e) is str)
# What an argument may be. A handler that says `takes="list integer"` meets nothing else in these places.
KINDS: dict[str, Callable[[Any], bool]] = {
    "any": lambda e: True,
    "expr": lambda e: type(e) is Expr and not _is("Complex")(e),
    "scalar": lambda e: not (_list(e) or _assoc(e) or _string(e) or _is("Rule")(e)),
    "list": _list,
    "parted": lambda e: not _is("BoundaryMeshRegion")(e),  # a mesh has no parts
    "group": lambda e: (_list(e) or _assoc(e)) and bool(e.args),
    "assocs": _lists(_assoc),
    "matrix": _lists(_list),
    "string": _string,
    "strings": _lists(_string),
    "sequence": lambda e: _list(e) or _string(e),
    "integer": _integer,
    "positive": lambda e: _integer(e) and e > 0,
    "positives": lambda e: _lists(KINDS["positive"])(e) and bool(e.args),
    "size": lambda e: _list(e) or _integer(e),
    "interval": lambda e: _is("Interval")(e) and all(_list(p) and len(p.args) == 2 for p in e.args),
    "permutation": lambda e: _list(e) and sorted(a for a in e.args if _integer(a)) == list(range(1, len(e.args) + 1)),
    "images": lambda e: KINDS["permutation"](e) or KINDS["cycles"](e),
    "cycles": lambda e: _is("Cycles")(e) and len(e.args) == 1 and _lists(_lists(_integer))(e.args[0]),
    "year": lambda e: _integer(e) or KINDS["date"](e),
    "day": lambda e: _lists(_integer)(e) and bool(e.args),
    "date": lambda e: _string(e) or KINDS["day"](e.args[0] if _is("DateObject")(e) and e.args else e),
}


def checked(handler: Handler, takes: str) -> Handler:
    """handler behind the test of its arguments' kinds."""
    kinds = [KINDS[name.removesuffix("*")] for name in takes.split()]
    rest = kinds[-1] if takes.endswith("*") else None

    def with_test(ev: Evaluator, args: tuple) -> Any:
        for i, a in enumerate(args):
            kind = kinds[i] if i < len(kinds) else rest
            if kind is not None and not kind(a):
                return None
        return handler(ev, args)

    return with_test


def table(rows: dict[str, Builtin]) -> Callable[..., Callable[[Handler], Handler]]:
    """The decorator that fills `rows`; names separated by spaces share one handler."""

    def builtin(
        names: str,
        attributes: str = "Protected",
        arity: int | tuple[int, int | None] | None = None,
        operator: str | None = None,
        data: bool = False,
        takes: str = "",
        options: str = "",
    ) -> Callable[[Handler], Handler]:
        least, most = (0, None) if arity is None else (arity, arity) if isinstance(arity, int) else arity
        bits = flags(attributes) | PROTECTED
        reads = frozenset(options.split())
        _DECLARED.update(reads)

        def keep(handler: Handler) -> Handler:
            for name in names.split():
                if name in rows:
                    raise ValueError(f"{name} is defined twice in one table")
                rows[name] = Builtin(name, bits, handler, least, most, operator, data, takes, reads)
            return handler

        return keep

    return builtin


# Options that say how a value is to be found or in which form, not which value it is: no handler needs to read them.
_HOW = frozenset(
    [
        "AccuracyGoal",
        "Cubics",
        "MaxIterations",
        "MaxPoints",
        "MaxRecursion",
        "MaxSteps",
        "Method",
        "MinRecursion",
        "PerformanceGoal",
        "PrecisionGoal",
        "Quartics",
        "TimeConstraint",
    ]
)
_DECLARED: set[str] = set()  # the options that some row reads
_RULES = {"Rule", "RuleDelayed"}


def without_options(row: Builtin, args: tuple) -> tuple | None:
    """args without the options at their end that change no value; None where one is left that the row does not read.

    An option is a rule after the arguments that the row needs, for one of the language's names that is no function.
    """
    needed = max(1, row.least + (row.operator is not None))
    plain, read = list(args), []
    while len(plain) > needed and (name := _option_name(plain[-1])):
        option = plain.pop()
        if name in row.options:
            read.append(option)
        elif name not in _HOW and not (
            name == "WorkingPrecision" and getattr(option.args[1], "name", "") == "MachinePrecision"
        ):
            return None
    return (*plain, *reversed(read))


def _option_name(e: Any) -> str | None:
    if type(e) is not Expr or type(e.head) is not Symbol or e.head.name not in _RULES or len(e.args) != 2:
        return None
    s = e.args[0]
    return s.name if type(s) is Symbol and (s.name in _DECLARED or absent(s)) else None


def symbols(rows: dict[str, Builtin], names: str, attributes: str = "Protected") -> None:
    """Rows for symbols that have attributes and no handler."""
    for name in names.split():
        rows[name] = Builtin(name, flags(attributes) | PROTECTED, None)


@cache
def known_names() -> frozenset[str]:
    """Every name of the language's System context (names.txt), implemented here or not, but C: C[1] is a value."""
    return frozenset((Path(__file__).parent / "names.txt").read_text().split())


def absent(s: Any) -> bool:
    """Whether a symbol is one of the language's own that has no row in any table."""
    return s.builtin is None and s.name in known_names()
