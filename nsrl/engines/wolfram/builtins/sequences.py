"""More list functions: sequence patterns, ranks, structured matrices, operator forms, permutations, and Splice-like
heads."""

from __future__ import annotations

from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc, is_rule, pairs, rules_of
from nsrl.engines.wolfram.builtins.lists import elements
from nsrl.engines.wolfram.builtins.sorting import numeric_compare
from nsrl.engines.wolfram.expr import TRUE, Expr, S, is_list, lst, mk, same
from nsrl.engines.wolfram.order import KEY
from nsrl.engines.wolfram.parts import positions_spec, take_range
from nsrl.engines.wolfram.pattern import matches
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "Reals Integers Rationals Complexes Booleans Primes Listable Flat Orderless OneIdentity HoldAll "
"HoldFirst HoldRest NumericFunction "
               "Interval InverseFunction Inactive SameTest Overlaps")  # fmt: skip


@builtin("Splice", arity=1)
def splice(ev: Evaluator, args: tuple) -> Any:
    return Expr(S.Sequence, args[0].args) if is_list(args[0]) else None


# -- sequence patterns ---------------------------------------------------------------------------------------------
def _windows(ev: Evaluator, e: Expr, p: Any, overlaps: bool = False) -> list[tuple[int, int, Any]]:
    """(start, end, what stood there) of runs that match a list pattern, from the left, longest first."""
    items, out, at = e.args, [], 0
    while at < len(items):
        hit = 0
        for end in range(len(items), at, -1):
            ev.step()
            if matches(ev, lst(items[at:end]), p):
                hit = end
                break
        if hit:
            out.append((at, hit, lst(items[at:hit])))
        at = hit if hit and not overlaps else at + 1
    return out


@builtin("SequenceCases", arity=(2, 4), takes="list")
def sequence_cases(ev: Evaluator, args: tuple) -> Any:
    p, rhs = args[1].args if is_rule(args[1]) else (args[1], None)
    out = []
    for _, _, run in _windows(ev, args[0], p):
        out.append(run if rhs is None else ev.eval(ev._try_rule(ev.matcher(p), run, rhs, {})))
    return lst(out)


@builtin("SequenceCount", arity=(2, 3), takes="list")
def sequence_count(ev: Evaluator, args: tuple) -> Any:
    return len(_windows(ev, args[0], args[1]))


@builtin("SequencePosition", arity=(2, 4), takes="list")
def sequence_position(ev: Evaluator, args: tuple) -> Any:
    return lst(lst((a + 1, b)) for a, b, _ in _windows(ev, args[0], args[1], overlaps=True))


@builtin("SequenceReplace", arity=(2, 3), takes="list")
def sequence_replace(ev: Evaluator, args: tuple) -> Any:
    rules, e = rules_of(args[1]), args[0]
    if rules is None:
        return None
    for r in rules:
        out, at = [], 0
        for a, b, run in _windows(ev, e, r.args[0]):
            out += [*e.args[at:a], ev.eval(ev._try_rule(ev.matcher(r.args[0]), run, r.args[1], {}))]
            at = b
        e = lst([*out, *e.args[at:]])
    return e


@builtin("SequenceSplit", arity=(2, 3), takes="list")
def sequence_split(ev: Evaluator, args: tuple) -> Any:
    e, out, at = args[0], [], 0
    for a, b, _ in _windows(ev, e, args[1]):
        out.append(lst(e.args[at:a]))
        at = b
    out.append(lst(e.args[at:]))
    return lst(x for x in out if x.args)


@builtin("LongestCommonSequence", arity=2, takes="sequence sequence")
def longest_common_sequence(ev: Evaluator, args: tuple) -> Any:
    a, b = args
    x, y = (v if type(v) is str else v.args for v in args)
    ev.step(len(x) * len(y) // 8)
    ev.need_length(len(x) * len(y))
    best = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i in range(len(x) - 1, -1, -1):
        for j in range(len(y) - 1, -1, -1):
            best[i][j] = best[i + 1][j + 1] + 1 if same(x[i], y[j]) else max(best[i + 1][j], best[i][j + 1])
    i = j = 0
    out = []
    while i < len(x) and j < len(y):
        if same(x[i], y[j]):
            out.append(x[i])
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return "".join(out) if type(a) is str and type(b) is str else lst(out)


# -- picking and placing ---------------------------------------------------------------------------------------------
@builtin("TakeList", arity=2, takes="expr list")
def take_list(ev: Evaluator, args: tuple) -> Any:
    items, out = list(args[0].args), []
    for spec in args[1].args:
        chosen = list(range(len(items))) if spec is S.All else take_range(spec, len(items))
        if chosen is None:
            return None
        out.append(Expr(args[0].head, tuple([items[i] for i in chosen])))
        gone = set(chosen)
        items = [x for i, x in enumerate(items) if i not in gone]
    return lst(out)


@builtin("FlattenAt", arity=2, takes="expr")
def flatten_at(ev: Evaluator, args: tuple) -> Any:
    items = list(args[0].args)
    if not all(len(p) == 1 and type(p[0]) is int and 0 < abs(p[0]) <= len(items) for p in positions_spec(args[1])):
        return None
    spots = sorted({p[0] - 1 if p[0] > 0 else len(items) + p[0] for p in positions_spec(args[1])}, reverse=True)
    for i in spots:
        items[i : i + 1] = items[i].args if type(items[i]) is Expr else (items[i],)
    return Expr(args[0].head, tuple(items))


@builtin("ReplaceAt", arity=3)
def replace_at(ev: Evaluator, args: tuple) -> Any:
    f = mk(S.Function, mk(S.Replace, mk(S.Slot, 1), args[1]))
    return mk(S.MapAt, f, args[0], args[2])


@builtin("DeleteAdjacentDuplicates", arity=(1, 2), takes="list")
def delete_adjacent(ev: Evaluator, args: tuple) -> Any:
    return lst(r.args[0] for r in ev.call(S.Split, *args).args)


@builtin("DeleteElements", arity=(1, 2), operator="prepend")
def delete_elements(ev: Evaluator, args: tuple) -> Any:
    if len(args) != 2 or type(args[0]) is not Expr or not is_list(args[1]):
        return None
    return Expr(args[0].head, tuple([a for a in args[0].args if not any(same(a, x) for x in args[1].args)]))


@builtin("RankedMax RankedMin", arity=2, takes="group integer")
def ranked_max(ev: Evaluator, args: tuple) -> Any:
    return _ranked(ev, args, True)


def _ranked(ev: Evaluator, args: tuple, biggest: bool) -> Any:
    items, n = elements(args[0]), args[1]
    k = cmp_to_key(lambda a, b: numeric_compare(ev, a, b))
    return sorted(items, key=k, reverse=biggest)[n - 1 if n > 0 else n]


TABLE["RankedMin"].handler = lambda ev, args: _ranked(ev, args, False)


@builtin("PositionLargest PositionSmallest", arity=1, takes="group")
def position_largest(ev: Evaluator, args: tuple) -> Any:
    return _position(ev, args[0], 1)


def _position(ev: Evaluator, e: Expr, want: int) -> Any:
    items = elements(e)
    best = items[0]
    for x in items:
        if numeric_compare(ev, x, best) == want:
            best = x
    keys = [k for k, _ in pairs(e)] if is_assoc(e) else range(1, len(items) + 1)
    return lst(k for k, x in zip(keys, items) if numeric_compare(ev, x, best) == 0)


TABLE["PositionSmallest"].handler = lambda ev, args: _position(ev, args[0], -1)


@builtin("OrderingBy", arity=(1, 4), operator="prepend", takes="group")
def ordering_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    items = elements(args[0])
    keys = [KEY(ev.call(args[1], a)) for a in items]
    out = [i + 1 for i in sorted(range(len(items)), key=lambda i: keys[i])]
    n = args[2] if len(args) > 2 and type(args[2]) is int else len(out)
    return lst(out[:n] if n >= 0 else out[n:])


@builtin("SubsetMap", arity=3, takes="any list")
def subset_map(ev: Evaluator, args: tuple) -> Any:
    flat = is_list(args[2]) and not is_list(args[2].args[0])
    places = args[2].args if flat else [p[0] for p in positions_spec(args[2])]
    if not all(type(i) is int and 0 < abs(i) <= len(args[1].args) for i in places):
        return None
    spots = [i - 1 if i > 0 else len(args[1].args) + i for i in places]
    new = ev.call(args[0], lst(args[1].args[i] for i in spots))
    items = list(args[1].args)
    for i, x in zip(spots, new.args):
        items[i] = x
    return lst(items)


def _fold_while(name: str, keep: bool) -> None:
    @builtin(name, arity=(3, 5))
    def fold_while(ev: Evaluator, args: tuple) -> Any:
        if len(args) == 3 and not (is_list(args[1]) and args[1].args):
            return None
        f, x, items, test = args[:4] if len(args) > 3 else (args[0], args[1].args[0], lst(args[1].args[1:]), args[2])
        if not is_list(items):
            return None
        out = [x]
        for a in items.args:
            if ev.call(test, out[-1]) is not TRUE:
                break
            out.append(ev.call(f, out[-1], a))
        return lst(out) if keep else out[-1]


_fold_while("FoldWhile", False)
_fold_while("FoldWhileList", True)


@builtin("SequenceFoldList", arity=3, takes="any list list")
def sequence_fold_list(ev: Evaluator, args: tuple) -> Any:
    out = list(args[1].args)
    n = len(out)
    for a in args[2].args:
        out.append(ev.call(args[0], *out[-n:], a))
    return lst(out)


# -- filters and padding ---------------------------------------------------------------------------------------------
def _filter(name: str, f: str) -> None:
    @builtin(name, arity=2, takes="list integer")
    def moving(ev: Evaluator, args: tuple) -> Any:
        items, r = args[0].args, args[1]
        if type(r) is not int or not is_list(args[0]):
            return None
        head = getattr(S, f)
        if not any(map(is_list, items)):
            return lst(ev.call(head, lst(items[max(0, i - r) : i + r + 1])) for i in range(len(items)))
        if not all(
            is_list(row) and len(row.args) == len(items[0].args) and not any(map(is_list, row.args)) for row in items
        ):
            return None

        def window(i: int, j: int) -> Any:
            rows = items[max(0, i - r) : i + r + 1]
            return ev.call(head, lst(x for row in rows for x in row.args[max(0, j - r) : j + r + 1]))

        ev.step(len(items) * len(items[0].args))
        return lst(lst(window(i, j) for j in range(len(items[0].args))) for i in range(len(items)))


for _n, _f in (("MaxFilter", "Max"), ("MinFilter", "Min"), ("MeanFilter", "Mean"), ("MedianFilter", "Median")):
    _filter(_n, _f)


@builtin("MovingMedian", arity=2, takes="list positive")
def moving_median(ev: Evaluator, args: tuple) -> Any:
    items, r = args[0].args, args[1]
    return lst(ev.call(S.Median, lst(items[i : i + r])) for i in range(len(items) - r + 1))


@builtin("ArrayPad", arity=(2, 3), takes="expr")
def array_pad(ev: Evaluator, args: tuple) -> Any:
    e, spec, x = args[0], args[1], args[2] if len(args) > 2 else 0
    before, after = spec.args if is_list(spec) else (spec, spec)
    if type(before) is not int or type(after) is not int:
        return None
    ev.need_length(before + after + len(e.args))
    if e.args and all(map(is_list, e.args)):
        rows = [ev.call(S.ArrayPad, r, spec, x) for r in e.args]
        blank = lst((x,) * len(rows[0].args))
        return lst([blank] * before + rows + [blank] * after)
    return (
        lst([x] * before + list(e.args) + [x] * after)
        if before >= 0 and after >= 0
        else lst(e.args[-before : len(e.args) + after])
    )


@builtin("CenterArray", arity=(2, 3))
def center_array(ev: Evaluator, args: tuple) -> Any:
    items, n = args[0].args if is_list(args[0]) else (args[0],), args[1]
    pad = args[2] if len(args) > 2 else 0
    if type(n) is not int:
        return None
    left = (n - len(items)) // 2
    return lst([pad] * left + list(items) + [pad] * (n - len(items) - left))


@builtin("LinearRecurrence", arity=3, takes="list list")
def linear_recurrence(ev: Evaluator, args: tuple) -> Any:
    kernel, out = args[0].args, list(args[1].args)
    n = args[2].args[-1] if is_list(args[2]) and args[2].args else args[2]
    if type(n) is not int or n < 0 or len(kernel) > len(out) or (is_list(args[2]) and type(args[2].args[0]) is not int):
        return None
    ev.need_length(n)
    while len(out) < n:
        out.append(ev.call(S.Plus, *[mk(S.Times, c, x) for c, x in zip(kernel, out[::-1])]))
    return (
        lst(out[:n])
        if not is_list(args[2])
        else out[n - 1]
        if len(args[2].args) == 1
        else lst(out[args[2].args[0] - 1 : n])
    )


@builtin("CellularAutomaton", arity=3)
def cellular_automaton(ev: Evaluator, args: tuple) -> Any:
    """Elementary rules (an integer code) on a cyclic list of cells, or on {cells, 0} with room grown for every step."""
    code, start, steps = args
    if type(code) is not int or not 0 <= code < 256 or type(steps) is not int or steps < 0 or not is_list(start):
        return None
    cells = list(start.args)
    if len(cells) == 2 and is_list(cells[0]) and cells[1] == 0:
        ev.need_length((2 * steps + len(cells[0].args)) * (steps + 1))
        cells = [0] * steps + list(cells[0].args) + [0] * steps
    if not cells or any(c not in (0, 1) for c in cells):
        return None
    ev.need_length(len(cells) * (steps + 1))
    rows = [cells]
    for _ in range(steps):
        ev.step(len(cells))
        old, n = rows[-1], len(cells)
        rows.append([code >> (4 * old[i - 1] + 2 * old[i] + old[(i + 1) % n]) & 1 for i in range(n)])
    return lst(map(lst, rows))
