"""Letters: predicates, order, distances and common parts of strings, alphabets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, boolean, is_list, lst
from nsrl.engines.wolfram.order import text_key
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


# -- predicates and comparison -----------------------------------------------------------------------------------------
def _string_predicate(name: str, test: Callable[[str], bool]) -> None:
    @builtin(name, "Listable", arity=1)
    def predicate(ev: Evaluator, args: tuple) -> Any:
        return boolean(type(args[0]) is str and test(args[0]))


_string_predicate("DigitQ", lambda s: all(c.isdigit() for c in s))
_string_predicate("LetterQ", lambda s: all(c.isalpha() for c in s))
_string_predicate("UpperCaseQ", lambda s: all(c.isupper() for c in s))
_string_predicate("LowerCaseQ", lambda s: all(c.islower() for c in s))


@builtin("PalindromeQ", arity=1)
def palindrome_q(ev: Evaluator, args: tuple) -> Any:
    a = args[0]
    if type(a) is str:
        return boolean(a == a[::-1])
    if type(a) is int:
        from nsrl.engines.wolfram.printer import int_text

        s = int_text(abs(a))
        return boolean(s == s[::-1])
    return boolean(a.args == a.args[::-1]) if is_list(a) else None


@builtin("AlphabeticOrder", arity=2, takes="string string")
def alphabetic_order(ev: Evaluator, args: tuple) -> Any:
    a, b = (text_key(x) for x in args)
    return 0 if args[0] == args[1] else 1 if a < b else -1


@builtin("AlphabeticSort", arity=1, takes="strings")
def alphabetic_sort(ev: Evaluator, args: tuple) -> Any:
    return Expr(args[0].head, tuple(sorted(args[0].args, key=text_key))) if is_list(args[0]) else None


@builtin("EditDistance", arity=2)
def edit_distance(ev: Evaluator, args: tuple) -> Any:
    return _edits(ev, args, False)


@builtin("DamerauLevenshteinDistance", arity=2)
def damerau_levenshtein(ev: Evaluator, args: tuple) -> Any:
    return _edits(ev, args, True)


def _edits(ev: Evaluator, args: tuple, swaps: bool) -> Any:
    """The fewest insertions, deletions, substitutions (and swaps of neighbours) that turn one into the other."""
    a, b = (x if type(x) is str else x.args if is_list(x) else None for x in args)
    if a is None or b is None:
        return None
    above, row = [], list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        ev.step(1 + len(b) // 8)
        last, above, row = above, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
            if swaps and i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]


def _common(a: Any, b: Any) -> tuple[int, int]:
    """(end in a, length) of the longest common run."""
    best = (0, 0)
    row = [0] * (len(b) + 1)
    for i, x in enumerate(a, 1):
        last = 0
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], (last + 1 if x == y else 0)
            if row[j] > best[1]:
                best = (i, row[j])
    return best


@builtin("LongestCommonSubsequence", arity=2, takes="sequence sequence")
def longest_common(ev: Evaluator, args: tuple) -> Any:
    a, b = args
    if type(a) is not type(b):
        return None
    seq_a, seq_b = (x if type(x) is str else x.args for x in args)
    ev.step(len(seq_a) * len(seq_b) // 16)
    end, n = _common(seq_a, seq_b)
    return a[end - n : end] if type(a) is str else Expr(a.head, a.args[end - n : end])


@builtin("CharacterRange", arity=2)
def character_range(ev: Evaluator, args: tuple) -> Any:
    a, b = (ord(x) if type(x) is str and len(x) == 1 else x for x in args)
    if type(a) is not int or type(b) is not int:
        return None
    return lst(chr(c) for c in range(a, b + 1) if not 0xD800 <= c < 0xE000)


@builtin("Alphabet", arity=(0, 1))
def alphabet(ev: Evaluator, args: tuple) -> Any:
    greek = "αβγδεζηθικλμνξοπρστυφχψω"
    return (
        lst("abcdefghijklmnopqrstuvwxyz")
        if not args or args[0] == "English"
        else lst(greek)
        if args[0] == "Greek"
        else None
    )


@builtin("LetterNumber", "Listable", arity=(1, 2))
def letter_number(ev: Evaluator, args: tuple) -> Any:
    c = args[0].lower() if type(args[0]) is str else ""
    return ord(c) - 96 if len(c) == 1 and "a" <= c <= "z" else 0 if len(c) == 1 else None


@builtin("FromLetterNumber", "Listable", arity=1)
def from_letter_number(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    return chr(96 + n) if type(n) is int and 1 <= n <= 26 else chr(123 + n) if type(n) is int and -26 <= n < 0 else None
