"""More list functions: sequence patterns, ranks, structured matrices, operator forms, permutations, and Splice-like heads."""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from nsrl.engines.wolfram.assoc import is_assoc, is_rule, pairs, rules_of
from nsrl.engines.wolfram.builtins.lists import elements
from nsrl.engines.wolfram.builtins.sets import unique
from nsrl.engines.wolfram.builtins.sorting import _numeric_compare, order_key
from nsrl.engines.wolfram.evaluator import sub_handler
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, boolean, is_list, lst, mk, same, sym
from nsrl.engines.wolfram.order import KEY
from nsrl.engines.wolfram.parts import positions_spec, take_range
from nsrl.engines.wolfram.pattern import matches
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "Reals Integers Rationals Complexes Booleans Primes Listable Flat Orderless OneIdentity HoldAll HoldFirst HoldRest NumericFunction "
               "Interval InverseFunction Inactive SameTest Overlaps")  # fmt: skip


@builtin("Splice", arity=(1, 2))
def splice(ev: Any, args: tuple) -> Any:
    return Expr(S.Sequence, args[0].args) if is_list(args[0]) else None


# -- operator forms ------------------------------------------------------------------------------------------------
_RELATIONS = {"EqualTo": "Equal", "UnequalTo": "Unequal", "GreaterThan": "Greater", "LessThan": "Less",
              "GreaterEqualThan": "GreaterEqual", "LessEqualThan": "LessEqual", "SameAs": "SameQ"}  # fmt: skip
for _n, _r in _RELATIONS.items():
    symbols(TABLE, _n)

    def _relation(ev: Any, head: Expr, args: tuple, r: str = _r) -> Any:
        return mk(getattr(S, r), args[0], head.args[0]) if len(head.args) == len(args) == 1 else None

    sub_handler(_n)(_relation)
symbols(TABLE, "OperatorApplied CurryApplied")


@sub_handler("OperatorApplied")
def _operator_applied(ev: Any, head: Expr, args: tuple) -> Any:
    """OperatorApplied[f][x][y] = f[y, x]."""
    if len(args) != 1 or not head.args:
        return None
    if len(head.args) == 1:
        return mk(S.OperatorApplied, head.args[0], args[0], S.Null)
    if len(head.args) == 3 and head.args[2] is S.Null:
        return mk(head.args[0], args[0], head.args[1])
    return None


@builtin("Comap", arity=(1, 2))
def comap(ev: Any, args: tuple) -> Any:
    return Expr(args[0].head, tuple([mk(f, args[1]) for f in args[0].args])) if len(args) == 2 else None


@builtin("ComapApply", arity=2)
def comap_apply(ev: Any, args: tuple) -> Any:
    return Expr(args[0].head, tuple([Expr(f, args[1].args) for f in args[0].args]))


@builtin("ApplyTo", "HoldFirst", arity=2)
def apply_to(ev: Any, args: tuple) -> Any:
    return mk(S.Set, args[0], ev.call(args[1], ev.eval(args[0])))


@builtin("Activate", arity=1)
def activate(ev: Any, args: tuple) -> Any:
    def go(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        head = e.head.args[0] if type(e.head) is Expr and e.head.head is S.Inactive and len(e.head.args) == 1 else go(e.head)
        return Expr(head, tuple(map(go, e.args)))

    return go(args[0])


@builtin("FilterRules", arity=2)
def filter_rules(ev: Any, args: tuple) -> Any:
    wanted = args[1].args if is_list(args[1]) else (args[1],)
    wanted = tuple(w.args[0] if is_rule(w) else w for w in wanted)
    return lst(r for r in args[0].args if any(matches(ev, r.args[0], w) for w in wanted))


@builtin("OptionValue", arity=(1, 3))
def option_value(ev: Any, args: tuple) -> Any:
    if len(args) < 2:
        return None
    name = args[-1]
    if is_list(name):
        return lst(Expr(S.OptionValue, (*args[:-1], n)) for n in name.args)
    meant = {name, sym(name)} if type(name) is str else {name, name.name} if type(name) is Symbol else {name}
    for r in (rules_of(args[1]) or ()) if len(args) == 3 else ():
        if r.args[0] in meant:
            return r.args[1]
    if type(args[0]) is Expr:
        return next((r.args[1] for r in rules_of(args[0]) or () if r.args[0] in meant), name)
    known = ev.options.get(args[0], {})
    return next((known[n] for n in meant if n in known), name)


# -- sequence patterns ---------------------------------------------------------------------------------------------
def _windows(ev: Any, e: Expr, p: Any, overlaps: bool = False) -> list[tuple[int, int, Any]]:
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


@builtin("SequenceCases", arity=(2, 4))
def sequence_cases(ev: Any, args: tuple) -> Any:
    p, rhs = (args[1].args if is_rule(args[1]) else (args[1], None))
    out = []
    for _, _, run in _windows(ev, args[0], p):
        out.append(run if rhs is None else ev.eval(ev._try_rule(ev.matcher(p), run, rhs, {})))
    return lst(out)


@builtin("SequenceCount", arity=(2, 3))
def sequence_count(ev: Any, args: tuple) -> Any:
    return len(_windows(ev, args[0], args[1]))


@builtin("SequencePosition", arity=(2, 4))
def sequence_position(ev: Any, args: tuple) -> Any:
    return lst(lst((a + 1, b)) for a, b, _ in _windows(ev, args[0], args[1], overlaps=True))


@builtin("SequenceReplace", arity=(2, 3))
def sequence_replace(ev: Any, args: tuple) -> Any:
    rules = args[1].args if is_list(args[1]) else (args[1],)
    e = args[0]
    for r in rules:
        out, at = [], 0
        for a, b, run in _windows(ev, e, r.args[0]):
            out += [*e.args[at:a], ev.eval(ev._try_rule(ev.matcher(r.args[0]), run, r.args[1], {}))]
            at = b
        e = lst([*out, *e.args[at:]])
    return e


@builtin("SequenceSplit", arity=(2, 3))
def sequence_split(ev: Any, args: tuple) -> Any:
    e, out, at = args[0], [], 0
    for a, b, _ in _windows(ev, e, args[1]):
        out.append(lst(e.args[at:a]))
        at = b
    out.append(lst(e.args[at:]))
    return lst(x for x in out if x.args)




@builtin("LongestCommonSequence", arity=2)
def longest_common_sequence(ev: Any, args: tuple) -> Any:
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
@builtin("TakeList", arity=2)
def take_list(ev: Any, args: tuple) -> Any:
    items, out = list(args[0].args), []
    for spec in args[1].args:
        chosen = list(range(len(items))) if spec is S.All else take_range(spec, len(items))
        if chosen is None:
            return None
        out.append(Expr(args[0].head, tuple([items[i] for i in chosen])))
        gone = set(chosen)
        items = [x for i, x in enumerate(items) if i not in gone]
    return lst(out)


@builtin("FlattenAt", arity=2)
def flatten_at(ev: Any, args: tuple) -> Any:
    items = list(args[0].args)
    spots = sorted({p[0] - 1 if p[0] > 0 else len(items) + p[0] for p in positions_spec(args[1])}, reverse=True)
    for i in spots:
        items[i : i + 1] = items[i].args
    return Expr(args[0].head, tuple(items))


@builtin("ReplaceAt", arity=3)
def replace_at(ev: Any, args: tuple) -> Any:
    f = mk(S.Function, mk(S.Replace, mk(S.Slot, 1), args[1]))
    return mk(S.MapAt, f, args[0], args[2])


@builtin("DeleteAdjacentDuplicates", arity=(1, 2))
def delete_adjacent(ev: Any, args: tuple) -> Any:
    return lst(r.args[0] for r in ev.call(S.Split, *args).args)


@builtin("DeleteElements", arity=(1, 2), operator="prepend")
def delete_elements(ev: Any, args: tuple) -> Any:
    return Expr(args[0].head, tuple([a for a in args[0].args if not any(same(a, x) for x in args[1].args)])) if len(args) == 2 else None


@builtin("RankedMax RankedMin", arity=2)
def ranked_max(ev: Any, args: tuple) -> Any:
    return _ranked(ev, args, True)


def _ranked(ev: Any, args: tuple, biggest: bool) -> Any:
    items, n = elements(args[0]), args[1]
    k = cmp_to_key(lambda a, b: _numeric_compare(ev, a, b))
    return sorted(items, key=k, reverse=biggest)[n - 1 if n > 0 else n]


TABLE["RankedMin"].handler = lambda ev, args: _ranked(ev, args, False)


@builtin("PositionLargest PositionSmallest", arity=1)
def position_largest(ev: Any, args: tuple) -> Any:
    return _position(ev, args[0], 1)


def _position(ev: Any, e: Expr, want: int) -> Any:
    items = elements(e)
    best = items[0]
    for x in items:
        if _numeric_compare(ev, x, best) == want:
            best = x
    keys = [k for k, _ in pairs(e)] if is_assoc(e) else range(1, len(items) + 1)
    return lst(k for k, x in zip(keys, items) if _numeric_compare(ev, x, best) == 0)


TABLE["PositionSmallest"].handler = lambda ev, args: _position(ev, args[0], -1)


@builtin("OrderingBy", arity=(1, 4), operator="prepend")
def ordering_by(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    items = elements(args[0])
    keys = [KEY(ev.call(args[1], a)) for a in items]
    out = [i + 1 for i in sorted(range(len(items)), key=lambda i: keys[i])]
    n = args[2] if len(args) > 2 and type(args[2]) is int else len(out)
    return lst(out[:n] if n >= 0 else out[n:])


@builtin("SubsetMap", arity=3)
def subset_map(ev: Any, args: tuple) -> Any:
    spots = [p[0] - 1 if p[0] > 0 else len(args[1].args) + p[0] for p in positions_spec(args[2])] if not is_list(args[2]) or is_list(args[2].args[0]) else [i - 1 if i > 0 else len(args[1].args) + i for i in args[2].args]
    new = ev.call(args[0], lst(args[1].args[i] for i in spots))
    items = list(args[1].args)
    for i, x in zip(spots, new.args):
        items[i] = x
    return lst(items)


def _fold_while(name: str, keep: bool) -> None:
    @builtin(name, arity=(3, 5))
    def fold_while(ev: Any, args: tuple) -> Any:
        f, x, items, test = args[:4] if len(args) > 3 else (args[0], args[1].args[0], lst(args[1].args[1:]), args[2])
        out = [x]
        for a in items.args:
            if ev.call(test, out[-1]) is not TRUE:
                break
            out.append(ev.call(f, out[-1], a))
        return lst(out) if keep else out[-1]


_fold_while("FoldWhile", False)
_fold_while("FoldWhileList", True)


@builtin("SequenceFoldList", arity=3)
def sequence_fold_list(ev: Any, args: tuple) -> Any:
    out = list(args[1].args)
    n = len(out)
    for a in args[2].args:
        out.append(ev.call(args[0], *out[-n:], a))
    return lst(out)


# -- filters and padding ---------------------------------------------------------------------------------------------
def _filter(name: str, f: str) -> None:
    @builtin(name, arity=2)
    def moving(ev: Any, args: tuple) -> Any:
        items, r = args[0].args, args[1]
        if type(r) is not int or not is_list(args[0]):
            return None
        return lst(ev.call(getattr(S, f), lst(items[max(0, i - r) : i + r + 1])) for i in range(len(items)))


for _n, _f in (("MaxFilter", "Max"), ("MinFilter", "Min"), ("MeanFilter", "Mean"), ("MedianFilter", "Median")):
    _filter(_n, _f)


@builtin("MovingMedian", arity=2)
def moving_median(ev: Any, args: tuple) -> Any:
    items, r = args[0].args, args[1]
    return lst(ev.call(S.Median, lst(items[i : i + r])) for i in range(len(items) - r + 1))


@builtin("ArrayPad", arity=(2, 3))
def array_pad(ev: Any, args: tuple) -> Any:
    e, spec, x = args[0], args[1], args[2] if len(args) > 2 else 0
    before, after = spec.args if is_list(spec) else (spec, spec)
    if type(before) is not int or type(after) is not int:
        return None
    ev.need_length(before + after + len(e.args))
    if e.args and all(map(is_list, e.args)):
        rows = [ev.call(S.ArrayPad, r, spec, x) for r in e.args]
        blank = lst((x,) * len(rows[0].args))
        return lst([blank] * before + rows + [blank] * after)
    return lst([x] * before + list(e.args) + [x] * after) if before >= 0 and after >= 0 else lst(e.args[-before : len(e.args) + after])


@builtin("CenterArray", arity=(2, 3))
def center_array(ev: Any, args: tuple) -> Any:
    items, n = args[0].args if is_list(args[0]) else (args[0],), args[1]
    pad = args[2] if len(args) > 2 else 0
    if type(n) is not int:
        return None
    left = (n - len(items)) // 2
    return lst([pad] * left + list(items) + [pad] * (n - len(items) - left))


# -- structured matrices ---------------------------------------------------------------------------------------------
@builtin("UnitVector", arity=(1, 2))
def unit_vector(ev: Any, args: tuple) -> Any:
    n, k = args if len(args) == 2 else (2, args[0])
    return lst(int(i == k) for i in range(1, n + 1))


@builtin("HilbertMatrix", arity=1)
def hilbert(ev: Any, args: tuple) -> Any:
    n = args[0]
    ev.need_length(n * n)
    return lst(lst(Fraction(1, i + j - 1) if i + j > 2 else 1 for j in range(1, n + 1)) for i in range(1, n + 1))


@builtin("HankelMatrix", arity=1)
def hankel(ev: Any, args: tuple) -> Any:
    c = args[0].args if is_list(args[0]) else tuple(range(1, args[0] + 1))
    n = len(c)
    ev.need_length(n * n)
    return lst(lst(c[i + j] if i + j < n else 0 for j in range(n)) for i in range(n))


@builtin("ToeplitzMatrix", arity=(1, 2))
def toeplitz(ev: Any, args: tuple) -> Any:
    c = args[0].args if is_list(args[0]) else tuple(range(1, args[0] + 1))
    r = args[1].args if len(args) > 1 else c
    ev.need_length(len(c) * len(r))
    return lst(lst(c[i - j] if i >= j else r[j - i] for j in range(len(r))) for i in range(len(c)))


@builtin("VandermondeMatrix", arity=1)
def vandermonde(ev: Any, args: tuple) -> Any:
    xs = args[0].args
    return lst(lst(1 if k == 0 else mk(S.Power, x, k) for k in range(len(xs))) for x in xs)


@builtin("PauliMatrix", arity=1)
def pauli(ev: Any, args: tuple) -> Any:
    i = mk(S.Complex, 0, 1)
    rows = {0: ((1, 0), (0, 1)), 1: ((0, 1), (1, 0)), 2: ((0, mk(S.Times, -1, i)), (i, 0)), 3: ((1, 0), (0, -1))}
    return lst(map(lst, rows[args[0]]))


@builtin("LeviCivitaTensor", arity=(1, 2))
def levi_civita(ev: Any, args: tuple) -> Any:
    n = args[0]
    ev.need_length(n**n)

    def build(at: tuple) -> Any:
        return _signature(at) if len(at) == n else lst(build((*at, i)) for i in range(n))

    return build(())


def _signature(p: tuple) -> int:
    if len(set(p)) < len(p):
        return 0
    return (-1) ** sum(p[i] > p[j] for i in range(len(p)) for j in range(i + 1, len(p)))


@builtin("Signature", arity=1)
def signature(ev: Any, args: tuple) -> Any:
    items = args[0].args
    ranks = {k: i for i, k in enumerate(sorted(range(len(items)), key=lambda i: KEY(items[i])))}
    if len(unique(ev, items)) < len(items):
        return 0
    return _signature(tuple(ranks[i] for i in range(len(items))))


@builtin("Minors", arity=(1, 2))
def minors(ev: Any, args: tuple) -> Any:
    from itertools import combinations

    m, n = args[0].args, len(args[0].args)
    k = args[1] if len(args) > 1 else n - 1
    rows = list(combinations(range(n), k))
    columns = list(combinations(range(len(m[0].args)), k))
    return lst(lst(ev.call(S.Det, lst(lst(m[i].args[j] for j in c) for i in r)) for c in columns) for r in rows)


@builtin("TensorProduct", arity=2)
def tensor_product(ev: Any, args: tuple) -> Any:
    return ev.call(S.Outer, S.Times, *args)


@builtin("TensorRank", arity=1)
def tensor_rank(ev: Any, args: tuple) -> Any:
    return ev.call(S.ArrayDepth, args[0])


@builtin("Permute", arity=2)
def permute(ev: Any, args: tuple) -> Any:
    e, p = args
    images = _images(p, len(e.args))
    out: list[Any] = list(e.args)
    for i, j in enumerate(images):
        out[j - 1] = e.args[i]
    return Expr(e.head, tuple(out))


def _images(p: Any, n: int) -> list[int]:
    if is_list(p):
        return list(p.args) + list(range(len(p.args) + 1, n + 1))
    out = list(range(1, n + 1))
    for cycle in p.args[0].args:
        c = cycle.args
        for a, b in zip(c, (*c[1:], c[0])):
            out[a - 1] = b
    return out


@builtin("PermutationCycles", arity=(1, 2))
def permutation_cycles(ev: Any, args: tuple) -> Any:
    p, seen, cycles = args[0].args, set(), []
    for i in range(1, len(p) + 1):
        cycle, j = [], i
        while j not in seen:
            seen.add(j)
            cycle.append(j)
            j = p[j - 1]
        if len(cycle) > 1:
            cycles.append(lst(cycle))
    return mk(S.Cycles, lst(cycles))


@builtin("PermutationList", arity=(1, 2))
def permutation_list(ev: Any, args: tuple) -> Any:
    n = max((x for c in args[0].args[0].args for x in c.args), default=0)
    return lst(_images(args[0], args[1] if len(args) > 1 else n))


symbols(TABLE, "Cycles")


@builtin("LinearRecurrence", arity=3)
def linear_recurrence(ev: Any, args: tuple) -> Any:
    kernel, out = args[0].args, list(args[1].args)
    n = args[2].args[-1] if is_list(args[2]) else args[2]
    ev.need_length(n)
    while len(out) < n:
        out.append(ev.call(S.Plus, *[mk(S.Times, c, x) for c, x in zip(kernel, out[::-1])]))
    return lst(out[:n]) if not is_list(args[2]) else out[n - 1] if len(args[2].args) == 1 else lst(out[args[2].args[0] - 1 : n])


# -- intervals -------------------------------------------------------------------------------------------------------
@builtin("IntervalMemberQ", arity=(1, 2))
def interval_member(ev: Any, args: tuple) -> Any:
    e, x = args
    hit = [ev.call(S.LessEqual, p.args[0], x, p.args[1]) for p in e.args]
    return TRUE if TRUE in hit else FALSE if all(h is FALSE for h in hit) else None


@builtin("IntervalUnion IntervalIntersection")
def interval_union(ev: Any, args: tuple) -> Any:
    k = order_key(ev, S.LessEqual)
    spans = sorted((p.args for e in args for p in e.args), key=lambda p: k(p[0]))
    out: list[tuple] = []
    for low, high in spans:
        if out and ev.call(S.LessEqual, low, out[-1][1]) is TRUE:
            out[-1] = (out[-1][0], ev.call(S.Max, out[-1][1], high))
        else:
            out.append((low, high))
    return Expr(S.Interval, tuple(map(lst, out)))


def _interval_intersection(ev: Any, args: tuple) -> Any:
    spans = [e.args[0].args for e in args]
    low, high = ev.call(S.Max, *[a for a, _ in spans]), ev.call(S.Min, *[b for _, b in spans])
    return mk(S.Interval, lst((low, high))) if ev.call(S.LessEqual, low, high) is TRUE else mk(S.Interval)


TABLE["IntervalIntersection"].handler = _interval_intersection


# -- dates: arithmetic on explicit dates only (there is no clock) ------------------------------------------------------
def _date(e: Any) -> Any:
    import datetime

    if type(e) is Expr and e.head is S.DateObject:
        e = e.args[0]
    parts = [int(x) for x in (e.args if is_list(e) else e.split("-"))]
    return datetime.date(*(parts + [1, 1])[:3])


@builtin("DayName", arity=1)
def day_name(ev: Any, args: tuple) -> Any:
    from nsrl.engines.wolfram.expr import sym

    return sym(_date(args[0]).strftime("%A"))


@builtin("LeapYearQ", arity=1)
def leap_year(ev: Any, args: tuple) -> Any:
    y = args[0].args[0] if type(args[0]) is Expr else args[0]
    y = y.args[0] if is_list(y) else y
    return boolean(y % 4 == 0 and (y % 100 != 0 or y % 400 == 0))


@builtin("DayCount", arity=2)
def day_count(ev: Any, args: tuple) -> Any:
    return (_date(args[1]) - _date(args[0])).days


@builtin("DateDifference", arity=(2, 3))
def date_difference(ev: Any, args: tuple) -> Any:
    return mk(S.Quantity, (_date(args[1]) - _date(args[0])).days, "Days")


@builtin("DatePlus", arity=2)
def date_plus(ev: Any, args: tuple) -> Any:
    import datetime

    d = _date(args[0]) + datetime.timedelta(days=args[1])
    out = lst((d.year, d.month, d.day))
    return mk(S.DateObject, out) if not is_list(args[0]) else out


