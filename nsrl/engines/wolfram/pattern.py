"""Pattern matching: patterns are compiled to closures once, then matched by continuation with backtracking.

A matcher is `m(ev, e, b, k) -> bool`: it matches e, adds to the bindings b (an ordered dict used as a trail), and
asks the continuation k(b); where k refuses, it tries the next way and leaves b as it found it. Patterns without
choice also have a plain form `s(ev, e, b) -> bool` (bindings of a failed s are the caller's to undo).
Knows of the evaluator only `eval`, `attributes` and `step`. Source: documentation of patterns, of Flat and Orderless.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram.bignum import BigReal
from nsrl.engines.wolfram.expr import LIST, RULE, Expr, S, Symbol, mk, same, sym
from nsrl.engines.wolfram.subst import replace_all_symbols
from nsrl.engines.wolfram.table import FLAT, ONE_IDENTITY, ORDERLESS

if TYPE_CHECKING:
    from nsrl.engines.wolfram.definitions import Definitions

Bindings = dict[Symbol, Any]
_SEQUENCE = S.Sequence
_ATOM_HEADS = {int: S.Integer, float: S.Real, Fraction: S.Rational, str: S.String, Symbol: S.Symbol, BigReal: S.Real}
_CONSTRUCTS = {
    S.Blank, S.BlankSequence, S.BlankNullSequence, S.Pattern, S.Condition, S.PatternTest, S.Alternatives, S.Except,
    S.HoldPattern, S.Verbatim, S.Optional, S.Repeated, S.RepeatedNull, S.Longest, S.Shortest, S.OptionsPattern,
    S.PatternSequence, S.KeyValuePattern, S.OrderlessPatternSequence,
}  # fmt: skip
_DEFAULTS = {S.Plus: 0, S.Times: 1, S.Power: 1}


def head_of(e: Any) -> Any:
    """Head[e]"""
    return e.head if type(e) is Expr else _ATOM_HEADS[type(e)]


def has_pattern(p: Any) -> bool:
    """Whether p contains any pattern construct."""
    if type(p) is not Expr:
        return False
    return p.head in _CONSTRUCTS or has_pattern(p.head) or any(map(has_pattern, p.args))


def variables(p: Any) -> set[Symbol]:
    """The names a pattern binds."""
    if type(p) is not Expr:
        return set()
    out: set[Symbol] = {p.args[0]} if p.head is S.Pattern and p.args and type(p.args[0]) is Symbol else set()
    for a in (p.head, *p.args):
        out |= variables(a)
    return out


class Item(NamedTuple):
    """One position of an argument sequence. least/most: how many elements; whole: matches them as a tuple."""

    least: int
    most: int | None
    m: Any  # for single elements; None where only `whole` matches
    s: Any  # its plain form, or None
    whole: Any  # whole(ev, elements, b, k), where least != 1 or most != 1
    shortest: bool = True
    default: Any = None  # Optional: the matcher of the default binding


def undo(b: Bindings, mark: int) -> None:
    """Forget bindings made since the mark (a dict is a trail in insertion order)."""
    while len(b) > mark:
        b.popitem()


def _lift(s: Callable) -> Callable:
    def m(ev: Definitions, e: Any, b: Bindings, k: Callable) -> bool:
        mark = len(b)
        if s(ev, e, b) and k(b):
            return True
        undo(b, mark)
        return False

    return m


def _yes(b: Bindings) -> bool:
    return True


def compile_pattern(p: Any, ev: Definitions) -> tuple[Callable, Callable | None]:
    """(m, s) of one pattern."""
    if type(p) is not Expr or not has_pattern(p):
        if type(p) in (Symbol, Expr):
            literal = lambda ev, e, b: e is p or e == p
        else:
            literal = lambda ev, e, b: same(e, p)
        return _lift(literal), literal
    head = p.head
    maker = _MAKERS.get(head) if type(head) is Symbol else None
    if maker is not None:
        made = maker(p, ev)
        if made is not None:
            m, s = made
            return (_lift(s) if m is None else m), s
    return _compound(p, ev)


# -- single patterns ---------------------------------------------------------------------------------------------
def _blank(p: Expr, ev: Definitions) -> Any:
    if not p.args:
        return None, lambda ev, e, b: True
    want = p.args[0]
    if want is S.Integer:
        return None, lambda ev, e, b: type(e) is int
    if want is S.Symbol:
        return None, lambda ev, e, b: type(e) is Symbol
    if want is S.List:
        return None, lambda ev, e, b: type(e) is Expr and e.head is LIST
    return None, lambda ev, e, b: same(head_of(e), want)


def _pattern(p: Expr, ev: Definitions) -> tuple | None:
    if len(p.args) != 2 or type(p.args[0]) is not Symbol:
        return None
    name, (m, s) = p.args[0], compile_pattern(p.args[1], ev)
    if s is not None:

        def bind_simple(ev: Definitions, e: Any, b: Bindings) -> bool:
            old = b.get(name)
            if old is not None:
                return same(old, e)
            if s(ev, e, b):
                b[name] = e
                return True
            return False

        return None, bind_simple

    def bind_any(ev: Definitions, e: Any, b: Bindings, k: Callable) -> bool:
        def then(b: Bindings) -> bool:
            old = b.get(name)
            if old is not None:
                return same(old, e) and k(b)
            mark = len(b)
            b[name] = e
            if k(b):
                return True
            undo(b, mark)
            return False

        return m(ev, e, b, then)

    return bind_any, None


def _condition(p: Expr, ev: Definitions) -> tuple | None:
    if len(p.args) != 2:
        return None
    (m, s), test = compile_pattern(p.args[0], ev), p.args[1]
    if s is not None:
        return None, lambda ev, e, b: s(ev, e, b) and ev.holds(replace_all_symbols(test, b))
    return (lambda ev, e, b, k: m(ev, e, b, lambda b: ev.holds(replace_all_symbols(test, b)) and k(b))), None


def _pattern_test(p: Expr, ev: Definitions) -> tuple | None:
    if len(p.args) != 2:
        return None
    (m, s), f = compile_pattern(p.args[0], ev), p.args[1]
    if s is not None:
        return None, lambda ev, e, b: s(ev, e, b) and ev.holds(Expr(f, (e,)))
    return (lambda ev, e, b, k: m(ev, e, b, lambda b: ev.holds(Expr(f, (e,))) and k(b))), None


def _alternatives(p: Expr, ev: Definitions) -> tuple:
    made = [compile_pattern(a, ev) for a in p.args]
    ms = [m for m, _ in made]
    if all(s is not None for _, s in made) and not variables(p):
        ss = [s for _, s in made if s is not None]
        return None, lambda ev, e, b: any(s(ev, e, b) for s in ss)
    return (lambda ev, e, b, k: any(m(ev, e, b, k) for m in ms)), None


def _except(p: Expr, ev: Definitions) -> tuple | None:
    if len(p.args) not in (1, 2):
        return None
    m, _ = compile_pattern(p.args[0], ev)
    if len(p.args) == 1:
        return None, lambda ev, e, b: not m(ev, e, dict(b), _yes)
    m2, _ = compile_pattern(p.args[1], ev)
    return (lambda ev, e, b, k: not m(ev, e, dict(b), _yes) and m2(ev, e, b, k)), None


def _through(p: Expr, ev: Definitions) -> tuple | None:
    return compile_pattern(p.args[0], ev) if p.args else None


def _verbatim(p: Expr, ev: Definitions) -> tuple | None:
    if len(p.args) != 1:
        return None
    want = p.args[0]
    return None, lambda ev, e, b: same(e, want)


def _key_values(p: Expr, ev: Definitions) -> tuple | None:
    if len(p.args) != 1:
        return None
    spec = p.args[0]
    wanted = spec.args if type(spec) is Expr and spec.head is LIST else (spec,)
    ms = [compile_pattern(w, ev)[0] for w in wanted]

    def match(ev: Definitions, e: Any, b: Bindings, k: Callable) -> bool:
        if type(e) is not Expr or e.head not in (LIST, S.Association):
            return False

        def step(i: int, b: Bindings) -> bool:
            if i == len(ms):
                return k(b)
            return any(ms[i](ev, r, b, lambda b: step(i + 1, b)) for r in e.args)

        return step(0, b)

    return match, None


_MAKERS: dict[Symbol, Callable] = {
    S.Blank: _blank, S.BlankSequence: _blank, S.BlankNullSequence: _blank, S.Pattern: _pattern,
    S.Condition: _condition, S.PatternTest: _pattern_test, S.Alternatives: _alternatives, S.Except: _except,
    S.HoldPattern: _through, S.Optional: _through, S.Longest: _through, S.Shortest: _through, S.Repeated: _through,
    S.RepeatedNull: _through, S.Verbatim: _verbatim, S.KeyValuePattern: _key_values, S.PatternSequence: _through,
}  # fmt: skip


# -- argument sequences ------------------------------------------------------------------------------------------
def _item(p: Any, ev: Definitions, head: Any) -> Item:
    """The position an argument pattern makes."""
    if type(p) is not Expr:
        return Item(1, 1, *compile_pattern(p, ev), None)
    h = p.head
    if h in (S.BlankSequence, S.BlankNullSequence):
        _, s = _blank(p, ev)
        if not p.args:
            whole = lambda ev, es, b, k: k(b)
        else:
            whole = lambda ev, es, b, k: all(s(ev, e, b) for e in es) and k(b)
        return Item(1 if h is S.BlankSequence else 0, None, _lift(s), None, whole)
    if h in (S.Repeated, S.RepeatedNull) and p.args:
        return _repeated(p, ev)
    if h is S.PatternSequence:
        inner = sequence(p.args, ev, head)
        return Item(inner.least, inner.most, inner.m, None, inner.whole)
    if h is S.OptionsPattern:
        known = p.args[0] if p.args else None

        def options(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
            if not all(_is_option(ev, e, b) for e in es):
                return False
            mark = len(b)
            b[S.OptionsPattern] = Expr(S.List, (known if known is not None else S.Automatic, Expr(S.List, es)))
            if k(b):
                return True
            undo(b, mark)
            return False

        return Item(0, None, _lift(_is_option), None, options)
    if h is S.Pattern and len(p.args) == 2 and type(p.args[0]) is Symbol:
        inner = _item(p.args[1], ev, head)
        if inner.whole is None:
            return Item(1, 1, *compile_pattern(p, ev), None)
        return inner._replace(
            m=compile_pattern(p, ev)[0], s=None, whole=_named(p.args[0], inner.whole, inner.default is not None)
        )
    if h is S.Optional and p.args:
        bare, *rest = p.args
        default = rest[0] if rest else _DEFAULTS.get(head)
        m, _ = compile_pattern(bare, ev)
        if default is None and not rest:
            return Item(1, 1, m, None, None)
        bind_default = _lift(_default_binder(bare, default))

        def whole(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
            return m(ev, es[0], b, k) if es else bind_default(ev, default, b, k)

        return Item(0, 1, m, None, whole, shortest=False, default=default)
    if h in (S.Longest, S.Shortest, S.HoldPattern) and p.args:
        inner = _item(p.args[0], ev, head)
        return inner._replace(shortest=h is not S.Longest)
    if h is S.Condition and len(p.args) == 2:
        inner = _item(p.args[0], ev, head)
        if inner.whole is not None:
            test, w = p.args[1], inner.whole
            cond = lambda ev, es, b, k: w(ev, es, b, lambda b: ev.holds(replace_all_symbols(test, b)) and k(b))
            return inner._replace(whole=cond)
    if h is S.PatternTest and len(p.args) == 2:
        inner = _item(p.args[0], ev, head)
        if inner.whole is not None:
            f, w = p.args[1], inner.whole
            tested = lambda ev, es, b, k: all(ev.holds(Expr(f, (e,))) for e in es) and w(ev, es, b, k)
            return inner._replace(whole=tested)
    if h is S.Alternatives:
        items = [_item(a, ev, head) for a in p.args]
        if any(i.whole is not None for i in items):
            least = min(i.least for i in items)
            most = None if any(i.most is None for i in items) else max(i.most or 0 for i in items)
            wholes = [i.whole or _single_whole(i.m) for i in items]
            return Item(least, most, items[0].m, None, lambda ev, es, b, k: any(w(ev, es, b, k) for w in wholes))
    return Item(1, 1, *compile_pattern(p, ev), None)


def _single_whole(m: Callable) -> Callable:
    return lambda ev, es, b, k: len(es) == 1 and m(ev, es[0], b, k)


def _default_binder(p: Any, default: Any) -> Callable:
    names = [p.args[0]] if type(p) is Expr and p.head is S.Pattern else []

    def s(ev: Definitions, e: Any, b: Bindings) -> bool:
        for n in names:
            old = b.get(n)
            if old is not None and not same(old, default):
                return False
            b[n] = default
        return True

    return s


def _is_option(ev: Definitions, e: Any, b: Bindings) -> bool:
    return type(e) is Expr and (
        e.head in (RULE, S.RuleDelayed) or (e.head is LIST and all(_is_option(ev, a, b) for a in e.args))
    )


def _repeated(p: Expr, ev: Definitions) -> Item:
    m, _ = compile_pattern(p.args[0], ev)
    least, most = (1 if p.head is S.Repeated else 0), None
    if len(p.args) == 2:
        spec = p.args[1]
        bounds = spec.args if type(spec) is Expr and spec.head is LIST else (spec,)
        if len(bounds) == 1:
            least, most = (bounds[0], bounds[0]) if spec is not bounds[0] else (least, bounds[0])
        elif len(bounds) == 2:
            least, most = bounds
        least, most = (least if type(least) is int else 0), (most if type(most) is int else None)

    def whole(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
        mark = len(b)
        # each element is matched once, without going back into an earlier one: linear, and deep sequences stay flat
        if all(m(ev, e, b, _yes) for e in es) and k(b):
            return True
        undo(b, mark)
        return False

    return Item(least, most, m, None, whole)


def _named(name: Symbol, inner: Callable, optional: bool) -> Callable:
    def whole(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
        value = es[0] if optional and len(es) == 1 else Expr(_SEQUENCE, es)

        def then(b: Bindings) -> bool:
            old = b.get(name)
            if old is not None:
                return same(old, value) and k(b)
            mark = len(b)
            b[name] = value
            if k(b):
                return True
            undo(b, mark)
            return False

        return inner(ev, es, b, then)

    return whole


def sequence(patterns: tuple, ev: Definitions, head: Any) -> Item:
    """Matches a tuple of elements in order."""
    items = [_item(p, ev, head) for p in patterns]
    n = len(items)
    least = sum(i.least for i in items)
    most = None if any(i.most is None for i in items) else sum(i.most or 0 for i in items)
    if all(i.s is not None for i in items):
        simple = [i.s for i in items]

        def all_simple(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
            if len(es) != n:
                return False
            mark = len(b)
            for s, e in zip(simple, es):
                if not s(ev, e, b):
                    undo(b, mark)
                    return False
            if k(b):
                return True
            undo(b, mark)
            return False

        return Item(n, n, None, None, all_simple)
    after_least = [0] * (n + 1)
    after_most: list[int | None] = [0] * (n + 1)
    for j in range(n - 1, -1, -1):
        after_least[j] = after_least[j + 1] + items[j].least
        a, c = after_most[j + 1], items[j].most
        after_most[j] = None if a is None or c is None else a + c

    def whole(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
        size = len(es)

        def step(j: int, at: int, b: Bindings) -> bool:
            if j == n:
                return at == size and k(b)
            item = items[j]
            left = size - at
            if left < after_least[j]:
                return False
            if item.whole is None:
                return item.m(ev, es[at], b, lambda b: step(j + 1, at + 1, b))
            top = left - after_least[j + 1]
            if item.most is not None and item.most < top:
                top = item.most
            low = item.least
            rest = after_most[j + 1]
            if rest is not None and left - rest > low:
                low = left - rest
            counts = range(low, top + 1) if item.shortest else range(top, low - 1, -1)
            for c in counts:
                ev.step(1)
                if item.whole(ev, es[at : at + c], b, lambda b, c=c: step(j + 1, at + c, b)):
                    return True
            return False

        return step(0, 0, b)

    return Item(least, most, None, None, whole)


def unordered(patterns: tuple, ev: Definitions, head: Any, flat: bool) -> Callable:
    """Matches a tuple of elements in any order (Orderless); with `flat`, a blank may take several."""
    literal = [p for p in patterns if not has_pattern(p)]
    rest = [(_item(p, ev, head), p) for p in patterns if has_pattern(p)]
    rest.sort(key=lambda ip: (ip[0].whole is not None, ip[0].default is not None, _looseness(ip[1])))
    items = [i for i, _ in rest]
    n = len(items)

    def whole(ev: Definitions, es: tuple, b: Bindings, k: Callable) -> bool:
        pool = list(es)
        for p in literal:
            for i, e in enumerate(pool):
                if same(e, p):
                    del pool[i]
                    break
            else:
                return False

        def step(j: int, pool: list[Any], b: Bindings) -> bool:
            ev.step(1)
            if j == n:
                return not pool and k(b)
            item = items[j]
            if item.whole is not None and item.most is None:
                if j == n - 1:
                    return len(pool) >= item.least and item.whole(ev, tuple(pool), b, k)
                for c in range(item.least, len(pool) + 1):
                    if item.whole(ev, tuple(pool[:c]), b, lambda b, c=c: step(j + 1, pool[c:], b)):
                        return True
                return False
            if flat and j == n - 1 and len(pool) > 1:
                return item.m(ev, Expr(head, tuple(pool)), b, k)
            for i, e in enumerate(pool):
                if item.m(ev, e, b, lambda b, i=i: step(j + 1, pool[:i] + pool[i + 1 :], b)):
                    return True
            if item.whole is not None and item.least == 0:
                return item.whole(ev, (), b, lambda b: step(j + 1, pool, b))
            return False

        return step(0, pool, b)

    return whole


def _looseness(p: Any) -> int:
    """0 for patterns that say much, 2 for bare blanks: the strict ones choose first."""
    if type(p) is Expr and p.head is S.Pattern and len(p.args) == 2:
        p = p.args[1]
    if type(p) is Expr and p.head in (S.Blank, S.BlankSequence, S.BlankNullSequence):
        return 1 if p.args else 2
    return 1 if type(p) is Expr and p.head is S.Optional else 0


def _compound(p: Expr, ev: Definitions) -> tuple[Callable, Callable | None]:
    head, patterns = p.head, p.args
    attrs = ev.attributes(head) if type(head) is Symbol else 0
    head_m = None if type(head) is Symbol else compile_pattern(head, ev)[0]
    flat = bool(attrs & FLAT)
    if attrs & ORDERLESS:
        whole = unordered(patterns, ev, head, flat)
        lowest, highest = 0, None
    else:
        seq = sequence(patterns, ev, head)
        whole, lowest, highest = seq.whole, seq.least, seq.most
    single_ok = bool(attrs & ONE_IDENTITY or head is S.Power) and any(
        type(q) is Expr and q.head is S.Optional for q in patterns
    )

    def match(ev: Definitions, e: Any, b: Bindings, k: Callable) -> bool:
        if type(e) is Expr:
            n = len(e.args)
            if head_m is not None:
                return head_m(ev, e.head, b, lambda b: whole(ev, e.args, b, k))
            if (e.head is head or e.head == head) and n >= lowest and (highest is None or n <= highest or flat):
                if whole(ev, e.args, b, k):
                    return True
        if single_ok and not (type(e) is Expr and e.head is head):
            return whole(ev, (e,), b, k)
        return False

    if head_m is None and not attrs & ORDERLESS and not single_ok:
        items = [_item(q, ev, head) for q in patterns]
        if all(i.s is not None for i in items):
            simple, count = [i.s for i in items], len(items)

            def plain(ev: Definitions, e: Any, b: Bindings) -> bool:
                if type(e) is not Expr or (e.head is not head and e.head != head) or len(e.args) != count:
                    return False
                return all(s(ev, a, b) for s, a in zip(simple, e.args))

            return _lift(plain), plain
    return match, None


def matches(ev: Definitions, e: Any, p: Any) -> bool:
    """MatchQ[e, p]"""
    return ev.matcher(p)(ev, e, {}, _yes)


def match(ev: Definitions, e: Any, p: Any) -> Bindings | None:
    """The bindings of the first way in which e matches p, or None."""
    b: Bindings = {}
    return b if ev.matcher(p)(ev, e, b, _yes) else None


def with_rest(p: Expr) -> Expr:
    """p[args..., rest___]: what a rule on a Flat head is tried against when it does not match the whole."""
    return Expr(p.head, (*p.args, mk(S.Pattern, sym("rest$$"), mk(S.BlankNullSequence))))


def specificity(p: Any, conditional: bool = False) -> tuple:
    """A sort key: more specific patterns come first, as the kernel orders definitions."""
    if type(p) is not Expr:
        return (0,)
    h = p.head
    if h is S.HoldPattern and len(p.args) == 1:
        return specificity(p.args[0], conditional)
    if h is S.Condition and len(p.args) == 2:
        return specificity(p.args[0], True)
    if h is S.Pattern and len(p.args) == 2:
        return specificity(p.args[1], conditional)
    bonus = 0 if conditional else 1
    if h is S.Blank:
        return (3 if p.args else 4, bonus)
    if h is S.BlankSequence:
        return (5 if p.args else 6, bonus)
    if h is S.BlankNullSequence:
        return (7 if p.args else 8, bonus)
    if h is S.PatternTest and p.args:
        inner = specificity(p.args[0])
        return (inner[0] - 0.5, bonus)
    if h is S.Optional and p.args:
        return (4.5, bonus)
    if h is S.Alternatives:
        return (2, bonus)
    if not has_pattern(p):
        return (0,)
    return (1, tuple(specificity(a) for a in p.args), bonus)
