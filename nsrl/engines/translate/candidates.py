"""nsl texts for a program of another language, shortest first."""

from __future__ import annotations

import string
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl import NslSyntaxError, from_wolfram, parse
from nsrl.engines.nsl.words import KEYWORDS, WORDS, is_user
from nsrl.engines.translate import sympy_source, wolfram_source
from nsrl.engines.translate.straight import Straight, Untranslatable, require_calls, systems, variants
from nsrl.engines.wolfram.builtins import load
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, minus, mk, norm, sym
from nsrl.engines.wolfram.subst import flatten, replace_all_symbols

_READ = {"wolfram": wolfram_source.read, "sympy": sympy_source.read}
_TAKEN = frozenset("eiCPEIDNKO")  # letters that mean something by themselves, in nsl or to its algebra
_LONGEST = 20_000  # characters of a program that is looked at


def candidates(language: str, program: str) -> list[str]:
    """nsl texts that may mean what `program` means, shortest first, each of which parses; [] where there are none.

    language: wolfram or sympy. Names are put in where they stand, systems are written as nsl has them, labels become
    letters. None of them has been run: whoever keeps one has seen that it gives the source's value.
    """
    if len(program) > _LONGEST:
        return []
    load()  # which names are the language's own
    try:
        source = _READ[language](program)
        require_calls(source.tree)
    except (Untranslatable, RecursionError):
        return []
    found: dict[str, None] = {}
    for variant in variants(source):
        found |= dict.fromkeys(_texts(variant))
    return sorted(found, key=len)


def _texts(program: Straight) -> Iterator[str]:
    try:
        solved = systems(program)
    except Untranslatable:
        return
    tree = _idioms(solved.tree)
    for labels in (True, False):
        named = _named(_labels(tree) if labels else tree)
        try:
            text = from_wolfram(named)
            parse(text)
        except (NslSyntaxError, RecursionError):
            continue
        yield text


def _idioms(e: Any) -> Any:
    """Calls as nsl's own words build them, sums and products flat with their numbers in front."""
    if type(e) is not Expr:
        return e
    e = Expr(_idioms(e.head), tuple(map(_idioms, e.args)))
    if has_head(e, S.Triangle) and len(e.args) == 1 and is_list(e.args[0]):
        return mk(S.Polygon, *e.args)
    if has_head(e, S.Subtract) and len(e.args) == 2:
        return _idioms(minus(*e.args))
    if has_head(e, S.Divide) and len(e.args) == 2:
        return _idioms(mk(S.Times, e.args[0], mk(S.Power, e.args[1], -1)))
    if has_head(e, S.Norm) and len(e.args) == 1 and (ends := _difference(e.args[0])) is not None:
        return mk(S.EuclideanDistance, *ends)
    if e.head in (S.Plus, S.Times):
        args = flatten(e.head, e.args)
        if e.head is S.Times:
            args = _factors(args)
        if len(args) == 2 and e.head is S.Times and (mean := _mean(*args)) is not None:
            return mean
        return Expr(e.head, args) if len(args) > 1 else args[0] if args else 1
    if e.head in (S.Increment, S.PreIncrement, S.Decrement, S.PreDecrement) and len(e.args) == 1:
        return mk(S.AddTo if e.head in (S.Increment, S.PreIncrement) else S.SubtractFrom, e.args[0], 1)
    if has_head(e, S.Equal) and len(e.args) == 2 and e.args[0] == 0:
        return mk(S.Equal, e.args[1], 0)
    return e


def _factors(args: tuple) -> tuple:
    """Factors with the numbers in front, no 1 among them, and a sign on the first of them."""
    numbers = [a for a in args if type(a) in (int, float) and a != 1]
    rest = [a for a in args if type(a) not in (int, float)]
    if len(numbers) > 1 and numbers[0] == -1:
        numbers[:2] = [-numbers[1]]
    if not numbers and rest and type(below := _below(rest[0])) is int and below:
        rest[0] = norm(Fraction(1, below))
    return (*numbers, *rest)


def _below(e: Any) -> Any:
    """b of 1/b."""
    return e.args[0] if has_head(e, S.Power) and len(e.args) == 2 and e.args[1] == -1 else None


def _mean(a: Any, b: Any) -> Expr | None:
    """`Total[v]/Length[v]` as what it is."""
    if has_head(b, S.Total):
        a, b = b, a
    length = _below(b)
    if has_head(a, S.Total) and has_head(length, S.Length) and len(a.args) == 1 and a.args == length.args:
        return mk(S.Mean, *a.args)
    return None


def _difference(e: Any) -> tuple[Any, Any] | None:
    """The two points of `p - q`."""
    if has_head(e, S.Plus) and len(e.args) == 2 and has_head(e.args[1], S.Times):
        factors = e.args[1].args
        return (e.args[0], factors[1]) if len(factors) == 2 and factors[0] == -1 else None
    return None


def _strings(e: Any, seen: dict[str, None]) -> None:
    if type(e) is str:
        seen[e] = None
    elif type(e) is Expr:
        for a in (e.head, *e.args):
            _strings(a, seen)


def _names(e: Any, seen: dict[Symbol, None]) -> None:
    if type(e) is Symbol and is_user(e):
        seen[e] = None
    elif type(e) is Expr:
        for a in (e.head, *e.args):
            _names(a, seen)


def _labels(tree: Any) -> Any:
    """Strings, which here are labels of what was seen, as one letter each."""
    strings: dict[str, None] = {}
    _strings(tree, strings)
    if not strings or len(strings) > len(string.ascii_lowercase) // 2:
        return tree
    names: dict[Symbol, None] = {}
    _names(tree, names)
    taken = {n.name for n in names}
    letters: dict[str, Symbol] = {}
    for text in strings:
        letter = _letter(text, taken)
        taken.add(letter)
        letters[text] = sym(letter)

    def put(e: Any) -> Any:
        if type(e) is str:
            return letters[e]
        return Expr(put(e.head), tuple(map(put, e.args))) if type(e) is Expr else e

    return put(tree)


def _named(tree: Any) -> Any:
    """Names as nsl can read them: one letter where a name is longer, is a word, or means something by itself."""
    names: dict[Symbol, None] = {}
    _names(tree, names)
    good = {n for n in names if len(n.name) == 1 and n.name.isalpha() and n.name not in _TAKEN}
    taken = {n.name for n in good}
    renamed: dict[Symbol, Any] = {}
    for name in names:
        if name not in good:
            letter = _letter(name.name, taken)
            taken.add(letter)
            renamed[name] = sym(letter)
    return replace_all_symbols(tree, renamed) if renamed else tree


def _letter(text: str, taken: set[str]) -> str:
    """A letter for a name or label: one of its own where one is free."""
    own = [c for c in text.lower() if c in string.ascii_lowercase]
    for c in [*own, *string.ascii_lowercase]:
        if c not in taken and c not in _TAKEN and c not in WORDS and c not in KEYWORDS:
            return c
    raise Untranslatable("more names than letters")
