"""Expression trees of Wolfram Language: symbols, compound expressions, and what equality means.

Atoms are plain Python values, so that arithmetic stays native:
`int` (Integer), `fractions.Fraction` with denominator > 1 (Rational), `float` (machine Real), `bignum.BigReal`
(Real of stated precision), `str` (String) and `Symbol`. A complex number is `Expr(Complex, (re, im))`.
Everything else is an `Expr`. True and False are symbols, never Python bools.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Union
from weakref import WeakValueDictionary


class Symbol:
    """A name. Interned by `sym`, so identity is equality; `Module` makes uninterned ones (`x$1`)."""

    __slots__ = ("__weakref__", "attrs", "builtin", "name")

    def __init__(self, name: str):
        self.name = name
        self.attrs = 0  # attribute flags of the system's own definition (see table.py); a context may override them
        self.builtin: Any = None  # table.Builtin, once the tables are loaded

    def __repr__(self) -> str:
        return self.name


class Expr:
    """head[args...]. Immutable by convention; equality is structural and 1 differs from 1.0 (SameQ, not Equal).

    `stamp` and `index` belong to the evaluator: the epoch in which this tree was found to be its own value
    (-1: inert for ever), and a cached key -> position table of an association. `nodes`: how many compound trees stand
    in it, once it was evaluated; a shared one counts each time.
    """

    __slots__ = ("_hash", "args", "head", "index", "nodes", "stamp")

    def __init__(self, head: Any, args: tuple):
        self.head = head
        self.args = args
        self._hash = None
        self.stamp = 0
        self.nodes = 1
        self.index: Any = None

    def __hash__(self) -> int:
        h = self._hash
        if h is None:
            h = hash((self.head, tuple([(float, a) if type(a) is float else a for a in self.args])))
            self._hash = h
        return h

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not Expr or len(self.args) != len(other.args) or hash(self) != hash(other):
            return False
        return _agree(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __len__(self) -> int:
        return len(self.args)

    def __repr__(self) -> str:
        return f"{self.head!r}[{', '.join(map(repr, self.args))}]"


def _agree(a: Expr, b: Expr) -> bool:
    """Equality of trees of one hash and length, each pair of nodes looked at once: shared parts may be huge as
    trees."""
    todo, seen = [(a, b)], set()
    while todo:
        a, b = todo.pop()
        if (id(a), id(b)) in seen:
            continue
        seen.add((id(a), id(b)))
        for x, y in zip((a.head, *a.args), (b.head, *b.args)):
            if x is y:
                continue
            if type(x) is not type(y):
                return False
            if type(x) is not Expr:
                if x != y:
                    return False
            elif len(x.args) != len(y.args) or hash(x) != hash(y):
                return False
            else:
                todo.append((x, y))
    return True


Tree = Union[int, Fraction, float, str, Symbol, Expr]


def same(a: Any, b: Any) -> bool:
    """SameQ on trees: structure and types agree (1 and 1.0 do not)."""
    if a is b:
        return True
    t = type(a)
    return t is type(b) and a == b


def key(a: Any) -> Any:
    """A dictionary key under which `same` trees meet and others do not (Python holds 1 == 1.0; this does not)."""
    return (float, a) if type(a) is float else a


_SYSTEM: dict[str, Symbol] = {}  # held for ever: names the tables and this package use
_USER: WeakValueDictionary[str, Symbol] = WeakValueDictionary()  # a program's names go when its trees go


def sym(name: str) -> Symbol:
    """The symbol of that name."""
    s = _SYSTEM.get(name)
    if s is None:
        s = _USER.get(name)
        if s is None:
            s = _USER[name] = Symbol(name)
    return s


def system(name: str) -> Symbol:
    """The symbol of that name, kept for the life of the process."""
    s = _SYSTEM.get(name)
    if s is None:
        s = _SYSTEM[name] = _USER.pop(name, None) or Symbol(name)
    return s


class _Names:
    """`S.Plus` is the system symbol Plus. (`True`, `False`, `None` cannot be attributes: use TRUE, FALSE, NONE.)"""

    def __getattr__(self, name: str) -> Symbol:
        if name.startswith("__"):
            raise AttributeError(name)
        s = system(name.replace("_", "$") if name.startswith("_") else name)
        setattr(self, name, s)
        return s


S = _Names()
TRUE, FALSE, NULL, NONE = system("True"), system("False"), system("Null"), system("None")
LIST, RULE, FAILED = system("List"), system("Rule"), system("$Failed")
COMPLEX = system("Complex")


def mk(head: Any, *args: Any) -> Expr:
    """head[args...]"""
    return Expr(head, args)


def lst(items: Iterable[Any]) -> Expr:
    """{items...}"""
    return Expr(LIST, tuple(items))


def rule(left: Any, right: Any) -> Expr:
    """left -> right"""
    return Expr(RULE, (left, right))


def boolean(value: bool) -> Symbol:
    """True or False, as a symbol."""
    return TRUE if value else FALSE


def has_head(e: Any, head: Symbol) -> bool:
    """Whether e is head[...]."""
    return type(e) is Expr and e.head is head


def is_list(e: Any) -> bool:
    """Whether e is {...}."""
    return type(e) is Expr and e.head is LIST


def rational(numerator: int, denominator: int) -> int | Fraction:
    """numerator/denominator as an int when it is one. Raises ZeroDivisionError."""
    f = Fraction(numerator, denominator)
    return f.numerator if f.denominator == 1 else f


def norm(x: int | Fraction) -> int | Fraction:
    """A Fraction of denominator 1 becomes an int (arithmetic on Fractions does not do that by itself)."""
    return x.numerator if type(x) is Fraction and x.denominator == 1 else x


def plus(*a: Any) -> Expr:
    """A sum as a tree, not evaluated."""
    return Expr(S.Plus, a)


def times(*a: Any) -> Expr:
    """A product as a tree, not evaluated."""
    return Expr(S.Times, a)


def power(a: Any, n: Any) -> Expr:
    """A power as a tree, not evaluated."""
    return mk(S.Power, a, n)


def minus(a: Any, b: Any) -> Expr:
    """A difference as a tree, not evaluated."""
    return mk(S.Plus, a, mk(S.Times, -1, b))
