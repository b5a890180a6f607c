"""Totals and differences of lists, random numbers from a fixed seed, and small numeric list functions."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc, is_rule, pairs
from nsrl.engines.wolfram.builtins.lists import elements
from nsrl.engines.wolfram.expr import NULL, Expr, S, boolean, has_head, is_list, lst, mk, rule
from nsrl.engines.wolfram.numbers import is_real, to_float
from nsrl.engines.wolfram.parts import level_range
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "Nothing UpTo DateObject RGBColor Congruent Row Column Grid Text Style Panel Framed Labeled Tooltip "
               "Failure StringForm NumberForm DecimalForm PercentForm BaseForm ScientificForm EngineeringForm "
               "AccountingForm PaddedForm MatrixForm TableForm TreeForm")  # fmt: skip


@builtin("Total", arity=(1, 3))
def total(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        ev.message("Total", "normal", f"Nonatomic expression expected at position 1 in {ev.text(Expr(S.Total, args))}.")
        return None
    if len(args) == 1:
        return Expr(S.Plus, items)
    spec = args[1]
    depth = 10**6 if spec is S.Infinity else spec if type(spec) is int else None
    if depth is not None:

        def flat(e: Any, left: int) -> list[Any]:
            return [x for a in e.args for x in flat(a, left - 1)] if is_list(e) and left > 0 else [e]

        if depth > 10**5:
            return Expr(S.Plus, tuple(flat(args[0], depth)))
        out = args[0]
        for _ in range(depth):
            out = ev.eval(Expr(S.Plus, elements(out) or ()))
        return out
    levels = level_range(spec)
    if levels == (2, 2):
        return lst(ev.call(S.Total, a) for a in items)
    return None


@builtin("Differences", arity=(1, 3))
def differences(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    n = args[1] if len(args) > 1 and type(args[1]) is int else 1
    step = args[2] if len(args) > 2 and type(args[2]) is int else 1
    for _ in range(n):
        ev.step(len(items))
        items = tuple([ev.call(S.Plus, b, mk(S.Times, -1, a)) for a, b in zip(items, items[step:])])
    return lst(items)


@builtin("Ratios", arity=(1, 2))
def ratios(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    for _ in range(args[1] if len(args) > 1 and type(args[1]) is int else 1):
        items = tuple([ev.call(S.Times, b, mk(S.Power, a, -1)) for a, b in pairwise(items)])
    return lst(items)


@builtin("MovingMap", arity=3)
def moving_map(ev: Evaluator, args: tuple) -> Any:
    f, e, n = args[:3]
    if not is_list(e) or type(n) is not int:
        return None
    return lst(ev.call(f, lst(e.args[i : i + n + 1])) for i in range(len(e.args) - n))


@builtin("BlockMap", arity=(3, 4))
def block_map(ev: Evaluator, args: tuple) -> Any:
    blocks = ev.call(S.Partition, args[1], *args[2:])
    return lst(ev.call(args[0], b) for b in blocks.args) if is_list(blocks) else None


@builtin("ListConvolve ListCorrelate", arity=2)
def list_convolve(ev: Evaluator, args: tuple) -> Any:
    return _correlate(ev, args[0].args[::-1], args[1].args) if is_list(args[0]) and is_list(args[1]) else None


def _correlate(ev: Evaluator, k: tuple, e: tuple) -> Any:
    n = len(k)
    ev.step(n * len(e) // 4)
    return lst(ev.call(S.Plus, *[mk(S.Times, a, b) for a, b in zip(k, e[i : i + n])]) for i in range(len(e) - n + 1))


TABLE["ListCorrelate"].handler = lambda ev, args: (
    _correlate(ev, args[0].args, args[1].args) if is_list(args[0]) and is_list(args[1]) else None
)


@builtin("Dimensions", arity=(1, 2))
def dimensions(ev: Evaluator, args: tuple) -> Any:
    out: list[int] = []
    e = args[0]
    most = args[1] if len(args) > 1 and type(args[1]) is int else 10**6
    if is_assoc(e):
        e = lst(v for _, v in pairs(e))
        out_first = len(e.args)
        return lst((out_first,))
    level = [e]
    while level and all(type(x) is Expr and x.head is e.head for x in level) and len(out) < most:
        sizes = {len(x.args) for x in level}
        if len(sizes) != 1:
            break
        out.append(sizes.pop())
        level = [a for x in level for a in x.args]
        if not level:
            break
    return lst(out)


@builtin("ArrayDepth", arity=1)
def array_depth(ev: Evaluator, args: tuple) -> Any:
    return len(dimensions(ev, args).args)


@builtin("ArrayQ", arity=(1, 3))
def array_q(ev: Evaluator, args: tuple) -> Any:
    def rectangular(e: Any) -> tuple | None:
        if not is_list(e):
            return ()
        shapes = {rectangular(a) for a in e.args}
        return None if len(shapes) > 1 or None in shapes else (len(e.args), *(shapes.pop() if shapes else ()))

    shape = rectangular(args[0]) if is_list(args[0]) else None
    if not shape:
        return boolean(False)
    return boolean(len(args) == 1 or type(args[1]) is not int or len(shape) == args[1])


@builtin("ArrayReshape", arity=(2, 3))
def array_reshape(ev: Evaluator, args: tuple) -> Any:
    flat = list(ev.call(S.Flatten, args[0]).args) if is_list(args[0]) else []
    dims = args[1].args if is_list(args[1]) else ()
    size = 1
    for d in dims:
        if type(d) is not int:
            return None
        size *= d
        ev.need_length(size)
    pad = args[2] if len(args) > 2 else 0
    items: list[Any] = (flat + [pad] * size)[:size]
    for d in reversed(dims[1:]):
        items = [lst(items[i : i + d]) for i in range(0, len(items), d)]
    return lst(items)


@builtin("ArrayFlatten", arity=1, takes="matrix")
def array_flatten(ev: Evaluator, args: tuple) -> Any:
    rows = []
    for r in args[0].args if is_list(args[0]) else ():
        blocks = [b for b in r.args if is_list(b)]
        for i in range(len(blocks[0].args)):
            rows.append(lst(x for b in r.args for x in (b.args[i].args if is_list(b) else ())))
    return lst(rows)


@builtin("UpperTriangularize LowerTriangularize", arity=(1, 2), takes="matrix")
def upper(ev: Evaluator, args: tuple) -> Any:
    return _triangle(args, lambda i, j, k: j - i >= k)


def _triangle(args: tuple, keep: Any) -> Any:
    k = args[1] if len(args) > 1 else 0
    if type(k) is not int:
        return None
    return lst(lst(x if keep(i, j, k) else 0 for j, x in enumerate(r.args)) for i, r in enumerate(args[0].args))


TABLE["LowerTriangularize"].handler = lambda ev, args: _triangle(args, lambda i, j, k: j - i <= k)


@builtin("CoordinateBounds", arity=1, takes="matrix")
def coordinate_bounds(ev: Evaluator, args: tuple) -> Any:
    return lst(ev.call(S.MinMax, lst(c)) for c in zip(*[p.args for p in args[0].args])) if is_list(args[0]) else None


@builtin("Subdivide", arity=(1, 3))
def subdivide(ev: Evaluator, args: tuple) -> Any:
    low, high, n = (0, 1, args[0]) if len(args) == 1 else (0, *args) if len(args) == 2 else args
    if type(n) is not int or n < 1:
        return None
    ev.need_length(n + 1)
    width = ev.call(S.Subtract, high, low)
    return lst(ev.eval(mk(S.Plus, low, mk(S.Times, Fraction(k, n) if k % n else k // n, width))) for k in range(n + 1))


@builtin("PowerRange", arity=(2, 3))
def power_range(ev: Evaluator, args: tuple) -> Any:
    low, high, r = (1, args[0], 10) if len(args) == 1 else (args[0], args[1], args[2] if len(args) > 2 else 10)
    if not all(map(is_real, (low, high, r))) or to_float(r) <= 0 or r == 1 or to_float(low) <= 0:
        return None
    out, up = [], to_float(r) > 1
    while (to_float(low) <= to_float(high) * (1 + 1e-12)) if up else (to_float(low) >= to_float(high) * (1 - 1e-12)):
        out.append(low)
        ev.step()
        low = ev.call(S.Times, low, r)
    return lst(out)


@builtin("Nearest", arity=(2, 3))
def nearest(ev: Evaluator, args: tuple) -> Any:
    data, x, labels = args[0], args[1], None
    if is_list(data) and data.args and all(has_head(r, S.Rule) and len(r.args) == 2 for r in data.args):
        data = rule(lst(r.args[0] for r in data.args), lst(r.args[1] for r in data.args))
    if has_head(data, S.Rule) and len(data.args) == 2:
        data, labels = data.args
    items = elements(data)
    if items is None:
        return None
    if labels in ("Index", S.Automatic):
        shown: Any = range(1, len(items) + 1)
    else:
        shown = items if labels in (None, "Element") else labels.args if is_list(labels) else ()
    if len(shown) != len(items):
        return None

    def distance(a: Any) -> Any:
        d = ev.call(S.Norm, ev.call(S.Subtract, a, x)) if is_list(a) else ev.call(S.Abs, ev.call(S.Subtract, a, x))
        d = ev.call(S.N, d)
        return to_float(d) if is_real(d) else None

    ds = [distance(a) for a in items]
    if None in ds:
        return None
    if len(args) == 2:
        best = min(ds, default=0)
        return lst(a for a, d in zip(shown, ds) if d == best)
    n, radius = args[2].args if is_list(args[2]) and len(args[2].args) == 2 else (args[2], math.inf)
    if n is S.All:
        n = len(items)
    if radius != math.inf:
        radius = to_float(radius) if is_real(radius) else None
    if type(n) is not int or n < 0 or radius is None:
        return None
    near = sorted((i for i in range(len(items)) if ds[i] <= radius), key=lambda i: ds[i])
    return lst(shown[i] for i in near[:n])


@builtin("BinCounts", arity=(1, 2))
def bin_counts(ev: Evaluator, args: tuple) -> Any:
    spec = args[1].args if len(args) > 1 and is_list(args[1]) else ()
    items = elements(args[0])
    if items is None or len(spec) != 3 or not all(is_real(a) for a in (*spec, *items)):
        return None
    low, high, d = map(to_float, spec)
    n = max(round((high - low) / d), 0)
    ev.need_length(n)
    out = [0] * n
    for a in items:
        i = int((to_float(a) - low) // d)
        if 0 <= i < n:
            out[i] += 1
    return lst(out)


# -- chance: one generator per program, seeded, so that results repeat -------------------------------------------------
def _rng(ev: Evaluator) -> random.Random:
    if ev.random is None:
        ev.random = random.Random(1)
    return ev.random


@builtin("SeedRandom", arity=(0, 2))
def seed_random(ev: Evaluator, args: tuple) -> Any:
    ev.random = random.Random(args[0] if args and type(args[0]) is int else 1)
    return NULL


def _repeat(ev: Evaluator, one: Any, shape: Any) -> Any:
    dims = shape.args if is_list(shape) else (shape,)
    size = 1
    for d in dims:
        if type(d) is not int or d < 0:
            return None
        size *= d
        ev.need_length(size)

    def build(i: int) -> Any:
        return one() if i == len(dims) else lst(build(i + 1) for _ in range(dims[i]))

    return build(0)


@builtin("RandomInteger", arity=(0, 2))
def random_integer(ev: Evaluator, args: tuple) -> Any:
    low, high = (0, 1) if not args else args[0].args if is_list(args[0]) else (0, args[0])
    if type(low) is not int or type(high) is not int:
        return None
    one = lambda: _rng(ev).randint(min(low, high), max(low, high))
    return one() if len(args) < 2 else _repeat(ev, one, args[1])


@builtin("RandomReal", arity=(0, 3))
def random_real(ev: Evaluator, args: tuple) -> Any:
    low, high = (0.0, 1.0) if not args else args[0].args if is_list(args[0]) else (0.0, args[0])
    if not is_real(low) or not is_real(high):
        return None
    one = lambda: _rng(ev).uniform(to_float(low), to_float(high))
    return one() if len(args) < 2 else _repeat(ev, one, args[1])


@builtin("RandomChoice", arity=(1, 2))
def random_choice(ev: Evaluator, args: tuple) -> Any:
    weights = None
    e = args[0]
    if type(e) is Expr and e.head is S.Rule:
        weights, e = [to_float(w) for w in e.args[0].args] if is_list(e.args[0]) else [], e.args[1]
    items = elements(e) if type(e) is Expr else None
    if not items or (weights is not None and len(weights) != len(items)):
        return None
    one = lambda: _rng(ev).choices(items, weights)[0]
    return one() if len(args) < 2 else _repeat(ev, one, args[1])


@builtin("RandomSample", arity=(1, 2))
def random_sample(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    n = args[1] if len(args) > 1 else len(items)
    if type(n) is Expr and n.head is S.UpTo:
        n = min(n.args[0], len(items))
    return lst(_rng(ev).sample(items, n)) if type(n) is int and n <= len(items) else None


@builtin("SparseArray", arity=(1, 3))
def sparse_array(ev: Evaluator, args: tuple) -> Any:
    """SparseArray[rules, dims] as the dense array it stands for."""
    if len(args) == 1 and is_list(args[0]) and args[0].args and all(is_rule(r) for r in args[0].args):
        places = [r.args[0].args if is_list(r.args[0]) else (r.args[0],) for r in args[0].args]
        return Expr(S.SparseArray, (args[0], lst(max(column) for column in zip(*places, strict=True))))
    if len(args) < 2 or not is_list(args[0]):
        return args[0] if is_list(args[0]) and args[0].args and is_list(args[0].args[0]) else None
    dims = args[1].args if is_list(args[1]) else (args[1],)
    if not all(type(d) is int for d in dims):
        return None
    out = ev.call(S.ConstantArray, args[2] if len(args) > 2 else 0, lst(dims))
    return ev.call(S.ReplacePart, out, args[0])
