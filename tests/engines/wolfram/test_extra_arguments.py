"""An argument that a builtin does not read leaves the call without a value; those that it reads count."""

import pytest

from nsrl.engines import Status
from nsrl.engines.wolfram import builtins, evaluate

READ = """
Length[FindInstance[x > 0, x, Reals, 3]] | 3
FindInstance[x^2 == 4, x, Reals, 3] | {{x -> -2}, {x -> 2}}
Flatten[{{1, 2}, {3, 4}}, {2}] | {{1, 3}, {2, 4}}
Flatten[{{{1}, {2}}}, {1, 2}] | {{1}, {2}}
Nearest[{1, 5, 9} -> {a, b, c}, 6] | {b}
Nearest[{1 -> a, 5 -> b}, 4] | {b}
Nearest[{1, 5, 9} -> "Index", 6] | {2}
Nearest[{1, 5, 9}, 6, {All, 2}] | {5}
Nearest[{1, 5, 9}, 6, 2] | {5, 9}
IntegerPartitions[6, All, All, 3] | {{6}, {5, 1}, {4, 2}}
AlphabeticSort[{"zebra", "école", "eau"}] | {eau, école, zebra}
""".strip().splitlines()
UNREAD = """
FindInstance[Sin[x] == 0, x, Reals, 3]
Flatten[{{{1, 2}, {3, 4}}}, {2, 1}]
LetterCounts["aba", 2]
RegionMeasure[Disk[], 0]
RegionMeasure[Polygon[{{0, 0}, {1, 0}, {0, 1}}], 1]
Limit[1/x, x -> 0, Direction -> Complexes]
Limit[1/x, x -> 0, 7]
Transpose[{{1, 2}, {3, 4}}, {1, 1}]
ComplexExpand[Abs[z], z]
FreeQ[{{x}}, x, {1}]
PermutationList[Cycles[{{1, 2}}], x]
First[ConvexHullMesh[{{0, 0}, {1, 0}, {0, 1}}]]
ConvexHullMesh[{{0, 0}, {1, 0}, {0, 1}}][[1]]
Length[ConvexHullMesh[{{0, 0}, {1, 0}, {0, 1}}]]
""".strip().splitlines()


@pytest.mark.parametrize("line", READ)
def test_arguments_that_count(line):
    program, _, wanted = line.partition(" | ")
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, wanted)


@pytest.mark.parametrize("program", UNREAD)
def test_arguments_that_are_not_read(program):
    assert evaluate(program).status in (Status.UNEVALUATED, Status.MESSAGE)


# Calls whose last argument is an alternative that need not be looked at: a default, a branch, a limit.
SPARED = set(
    [
        "AllTrue",
        "AnyTrue",
        "NoneTrue",
        "Check",
        "Echo",
        "First",
        "Last",
        "FirstCase",
        "FirstPosition",
        "If",
        "MemoryConstrained",
        "TimeConstrained",
        "Quiet",
        "SelectFirst",
        "Switch",
        "Lookup",
    ]
)


class _Watched(tuple):
    """Arguments that note which of them are looked at."""

    def __new__(cls, args):
        made = super().__new__(cls, args)
        made.seen = set()
        return made

    def __getitem__(self, i):
        places = range(*i.indices(len(self))) if isinstance(i, slice) else [i % len(self)]
        self.seen.update(places)
        return super().__getitem__(i)

    def __iter__(self):
        self.seen.update(range(len(self)))
        return super().__iter__()


def test_no_builtin_answers_without_reading_its_last_argument(monkeypatch):
    """Every tested example of a builtin that takes more arguments than it needs, with one more argument."""
    from nsrl.engines import Limits
    from nsrl.engines.wolfram import printer
    from nsrl.engines.wolfram.expr import Expr, Symbol
    from nsrl.engines.wolfram.parser import parse
    from tests.engines.wolfram.coverage import examples

    rows, unread = builtins.load(), []
    found = examples()

    def watched(name, handler):
        def call(ev, args):
            args = _Watched(args)
            value = handler(ev, args)
            if value is not None and args and len(args) - 1 not in args.seen and "zzz" in tuple.__iter__(args):
                unread.append(name)
            return value

        return call

    def longer(e, name):
        if type(e) is not Expr:
            return e
        args = tuple(longer(a, name) for a in e.args)
        return Expr(e.head, (*args, "zzz") if type(e.head) is Symbol and e.head.name == name else args)

    for name, row in rows.items():
        if row.handler is not None and row.most != row.least and name not in SPARED and found.get(name):
            monkeypatch.setattr(row, "handler", watched(name, row.handler))
            program = "; ".join(printer.text(longer(t, name)) for t in parse(found[name][0]))
            evaluate(program, Limits(cpu_s=0.5))
    assert not unread, sorted(set(unread))
