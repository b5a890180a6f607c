"""Strings: joining, taking, splitting, matching, replacing, case, counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import from_pairs, is_rule
from nsrl.engines.wolfram.expr import FALSE, RULE, TRUE, Expr, S, boolean, is_list, lst, mk
from nsrl.engines.wolfram.parts import take_range
from nsrl.engines.wolfram.printer import output, text
from nsrl.engines.wolfram.strpattern import NoPattern, StringPattern, compile_string
from nsrl.engines.wolfram.subst import replace_all_symbols
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "DigitCharacter LetterCharacter WhitespaceCharacter WordCharacter Whitespace NumberString StartOfString "
"EndOfString "
               "StartOfLine EndOfLine WordBoundary PunctuationCharacter HexadecimalCharacter IgnoreCase")  # fmt: skip
symbols(TABLE, "StringExpression", "Flat OneIdentity Protected")
symbols(TABLE, "RegularExpression")


def _options(args: tuple) -> tuple[tuple, dict[Any, Any]]:
    """Arguments without trailing Name -> value, and those."""
    plain = tuple(
        a for a in args if not (type(a) is Expr and a.head is RULE and a.args[0] in (S.IgnoreCase, S.Overlaps))
    )
    return plain, {a.args[0]: a.args[1] for a in args if a not in plain}


def compiled(ev: Evaluator, p: Any, options: dict[Any, Any], wildcards: bool = False) -> StringPattern | None:
    """The pattern as a regex; None if it is no string pattern."""
    try:
        return compile_string(ev, p, wildcards, options.get(S.IgnoreCase) is TRUE)
    except NoPattern:
        return None


def over_all(name: str, ev: Evaluator, args: tuple) -> Any:
    """Functions of one string also work on a list of them."""
    return lst(ev.call(getattr(S, name), a, *args[1:]) for a in args[0].args)


def _strict(ev: Evaluator, name: str, args: tuple, what: str = "String") -> None:
    ev.message(name, "strse" if name not in ("StringLength", "Characters", "ToUpperCase", "ToLowerCase",
    "StringJoin") else "string",
               f"{what} expected at position 1 in {ev.text(Expr(getattr(S, name), args))}.")  # fmt: skip


def simple(names: str, arity: Any, of: Callable, operator: str | None = None, listable: bool = True) -> None:
    """A builtin whose first argument is a string or a list of strings: of(ev, string, rest) -> value or None."""
    for name in names.split():

        @builtin(name, arity=arity, operator=operator)
        def handler(ev: Evaluator, args: tuple, name: str = name) -> Any:
            if operator and len(args) == 1:
                return None
            if listable and is_list(args[0]):
                if (
                    name in ("StringPadLeft", "StringPadRight")
                    and len(args) == 1
                    and all(type(a) is str for a in args[0].args)
                ):  # to the longest of them
                    args = (args[0], max((len(a) for a in args[0].args), default=0))
                return over_all(name, ev, args)
            if type(args[0]) is not str:
                _strict(ev, name, args)
                return None
            return of(ev, args[0], args[1:])


# -- joining and taking ----------------------------------------------------------------------------------------------
@builtin("StringJoin", "Flat OneIdentity")
def string_join(ev: Evaluator, args: tuple) -> Any:
    out: list[str] = []

    def collect(items: tuple) -> bool:
        for a in items:
            if type(a) is str:
                out.append(a)
            elif is_list(a):
                if not collect(a.args):
                    return False
            else:
                ev.message(
                    "StringJoin",
                    "string",
                    f"String expected at position {items.index(a) + 1} in {'<>'.join(text(x) for x in args)}.",
                )
                return False
        return True

    if not collect(args):
        return None
    ev.need_text(sum(map(len, out)))
    return "".join(out)


simple("StringLength", 1, lambda ev, s, rest: len(s))
simple("Characters", 1, lambda ev, s, rest: (ev.need_length(len(s)), lst(s))[1])
simple("StringReverse", 1, lambda ev, s, rest: s[::-1])
simple("ToUpperCase", 1, lambda ev, s, rest: s.upper())
simple("ToLowerCase", 1, lambda ev, s, rest: s.lower())


def _capitalize(ev: Evaluator, s: str, rest: tuple) -> Any:
    return " ".join(w[:1].upper() + w[1:] for w in (s.split(" ") if rest and rest[0] == "AllWords" else (s,)))


simple("Capitalize", (1, 2), _capitalize)
simple("Decapitalize", 1, lambda ev, s, rest: s[:1].lower() + s[1:])
simple(
    "ToCharacterCode",
    (1, 2),
    lambda ev, s, rest: lst(s.encode("utf-8", "replace") if rest and rest[0] in ("UTF8", "UTF-8") else map(ord, s)),
)


@builtin("FromCharacterCode", arity=1)
def from_character_code(ev: Evaluator, args: tuple) -> Any:
    codes = args[0].args if is_list(args[0]) else (args[0],)
    if codes and all(map(is_list, codes)):
        return lst(ev.call(S.FromCharacterCode, c) for c in codes)
    if not all(type(c) is int and 0 <= c < 0x110000 and not 0xD800 <= c < 0xE000 for c in codes):
        return None
    return "".join(map(chr, codes))


def _string_take(name: str, keep: bool) -> None:
    def of(ev: Evaluator, s: str, rest: tuple) -> Any:
        spec = rest[0]
        if is_list(spec) and spec.args and all(map(is_list, spec.args)):
            each = [of(ev, s, (a,)) for a in spec.args]
            return None if None in each else lst(each)
        chosen = take_range(spec, len(s))
        if chosen is None:
            if type(spec) is int:
                what = f"positions 1 through {spec}" if spec > 0 else f"positions {spec} through -1"
            else:
                ends = [text(a) for a in spec.args] if is_list(spec) else []
                what = f"positions {ends[0]} through {ends[-1]}" if ends else text(spec)
            ev.message(name, "take" if keep else "drop", f'Cannot {"take" if keep else "drop"} {what} in "{s}".')
            return None
        if keep:
            return "".join(s[i] for i in chosen)
        gone = set(chosen)
        return "".join(c for i, c in enumerate(s) if i not in gone)

    simple(name, (1, 2), of)


_string_take("StringTake", True)
_string_take("StringDrop", False)


@builtin("StringPart", arity=2)
def string_part(ev: Evaluator, args: tuple) -> Any:
    s, i = args
    if is_list(i):
        return lst(ev.call(S.StringPart, s, j) for j in i.args)
    return s[i - 1 if i > 0 else i] if type(s) is str and type(i) is int and 0 < abs(i) <= len(s) else None


@builtin("StringInsert", arity=3)
def string_insert(ev: Evaluator, args: tuple) -> Any:
    s, x, at = args
    if is_list(s):
        return over_all("StringInsert", ev, args)
    spots = at.args if is_list(at) else (at,)
    if type(s) is not str or type(x) is not str or not all(type(i) is int and 0 < abs(i) <= len(s) + 1 for i in spots):
        return None
    out = s
    for i in sorted((i - 1 if i > 0 else len(s) + i + 1 for i in spots), reverse=True):
        out = out[:i] + x + out[i:]
    return out


@builtin("StringReplacePart", arity=3, takes="string")
def string_replace_part(ev: Evaluator, args: tuple) -> Any:
    s, x, spec = args
    spans = spec.args if is_list(spec) and spec.args and is_list(spec.args[0]) else (spec,)
    news = x.args if is_list(x) else (x,) * len(spans)
    if not all(is_list(p) and len(p.args) == 2 and all(type(k) is int for k in p.args) for p in spans):
        return None
    if not all(type(new) is str for new in news):
        return None
    for span, new in sorted(zip(spans, news), key=lambda p: -p[0].args[0]):
        i, j = (k - 1 if k > 0 else len(s) + k for k in span.args)
        s = s[:i] + new + s[j + 1 :]
    return s


@builtin("StringRepeat", arity=(2, 3))
def string_repeat(ev: Evaluator, args: tuple) -> Any:
    s, n = args[0], args[1]
    if type(s) is not str or type(n) is not int or n < 0:
        return None
    ev.need_text(len(s) * n)
    return (s * n)[: args[2]] if len(args) > 2 and type(args[2]) is int else s * n


@builtin("StringRiffle", arity=(1, None))
def string_riffle(ev: Evaluator, args: tuple) -> Any:
    items = args[0]
    if not is_list(items):
        return None
    seps = args[1:] or ((" ",) if not any(map(is_list, items.args)) else ("\n", " "))
    left = right = ""
    sep = seps[0]
    if is_list(sep) and len(sep.args) == 3:
        left, sep, right = sep.args
    if type(sep) is not str:
        return None
    inner = seps[1:] or (" ",)
    rows = [ev.call(S.StringRiffle, a, *inner) if is_list(a) else output(a) for a in items.args]
    return left + sep.join(rows) + right if all(type(x) is str for x in (left, right, *rows)) else None


def _string_pad(name: str, left: bool) -> None:
    def of(ev: Evaluator, s: str, rest: tuple) -> Any:
        if not rest:
            return s
        n, pad = rest[0], rest[1] if len(rest) > 1 else " "
        if type(n) is not int or type(pad) is not str or not pad:
            return None
        ev.need_text(n)
        if left:
            fill = (pad * (n // len(pad) + 1))[-(n - len(s)) :] if n > len(s) else ""
            return fill + s if n >= len(s) else s[len(s) - n :]
        return (s + (pad * (n // len(pad) + 1)))[:n]

    simple(name, (1, 3), of)


_string_pad("StringPadLeft", True)
_string_pad("StringPadRight", False)


def _trim(ev: Evaluator, s: str, rest: tuple) -> Any:
    if not rest:
        return s.strip()
    p = compiled(ev, mk(S.StringExpression, S.StartOfString, rest[0]), {})
    q = compiled(ev, mk(S.StringExpression, rest[0], S.EndOfString), {})
    if p is None or q is None:
        return None
    s = p.regex.sub("", s, count=1)
    return q.regex.sub("", s, count=1)


simple("StringTrim", (1, 2), _trim)


def _split(ev: Evaluator, s: str, rest: tuple) -> Any:
    if not rest:
        return lst(s.split())
    most = rest[1] if len(rest) > 1 and type(rest[1]) is int else 0
    sep = rest[0]
    if type(sep) is str and sep == "":
        return lst(s)
    rules = sep.args if is_list(sep) and sep.args and all(map(is_rule, sep.args)) else (sep,) if is_rule(sep) else None
    pattern = Expr(S.Alternatives, tuple([r.args[0] for r in rules])) if rules else sep
    p = compiled(ev, pattern, {})
    if p is None:
        return None
    out: list[Any] = []
    at = 0
    for m, b in p.matches(ev, s):
        if most and len(out) >= most - 1:
            break
        if m.end() == m.start() == 0 or (m.end() == m.start() == len(s)):
            continue
        out.append(s[at : m.start()])
        if rules:
            out.append(_right_side(ev, rules, m.group(), b))
        at = m.end()
    out.append(s[at:])
    if len(rest) > 1 and rest[1] is S.All:
        return lst(out)
    while out and out[0] == "":
        out.pop(0)
    while out and out[-1] == "":
        out.pop()
    return lst(out)


simple("StringSplit", (1, 3), _split)


def _partition(ev: Evaluator, s: str, rest: tuple) -> Any:
    n, d = rest[0], rest[1] if len(rest) > 1 else rest[0]
    up_to = type(n) is Expr and n.head is S.UpTo
    n = n.args[0] if up_to else n
    d = n if d is rest[0] else d
    if type(n) is not int or type(d) is not int or n < 1 or d < 1:
        return None
    return lst(s[i : i + n] for i in range(0, len(s) if up_to else len(s) - n + 1, d))


simple("StringPartition", (1, 3), _partition)


def _rotate(name: str, sign: int) -> None:
    def of(ev: Evaluator, s: str, rest: tuple) -> Any:
        n = rest[0] if rest else 1
        if type(n) is not int:
            return None
        k = sign * n % max(len(s), 1)
        return s[k:] + s[:k]

    simple(name, (1, 2), of)


_rotate("StringRotateLeft", 1)
_rotate("StringRotateRight", -1)


# -- matching --------------------------------------------------------------------------------------------------------
def _matcher(name: str, decide: Callable[[Any, StringPattern, str], bool], wildcards: bool = False) -> None:
    @builtin(name, arity=(1, 3), operator="prepend", options="IgnoreCase")
    def match(ev: Evaluator, args: tuple) -> Any:
        args, options = _options(args)
        if len(args) == 1:
            return None
        if is_list(args[0]):
            return lst(
                ev.call(getattr(S, name), a, args[1], *[mk(RULE, k, v) for k, v in options.items()])
                for a in args[0].args
            )
        if type(args[0]) is not str:
            ev.message(
                name,
                "strse",
                f"String or list of strings expected at position 1 in {ev.text(Expr(getattr(S, name), args))}.",
            )
            return None
        p = compiled(ev, args[1], options, wildcards)
        return None if p is None else boolean(decide(ev, p, args[0]))


def _full(ev: Evaluator, p: StringPattern, s: str) -> bool:
    m = p.regex.fullmatch(s)
    return m is not None and p.holds(ev, p.bindings(m))


_matcher("StringMatchQ", _full, wildcards=True)
_matcher("StringContainsQ", lambda ev, p, s: next(p.matches(ev, s), None) is not None)
_matcher("StringFreeQ", lambda ev, p, s: next(p.matches(ev, s), None) is None)
_matcher("StringStartsQ", lambda ev, p, s: p.regex.match(s) is not None)
_matcher("StringEndsQ", lambda ev, p, s: any(m.end() == len(s) for m, _ in p.matches(ev, s, overlaps=True)))


def _right_side(ev: Evaluator, rules: tuple, matched: str, b: dict) -> Any:
    """The right-hand side of the rule that matched."""
    for r in rules:
        p = compiled(ev, r.args[0], {})
        if p is not None:
            m = p.regex.fullmatch(matched)
            if m is not None:
                rhs = r.args[1]
                if (
                    type(rhs) is str
                    and "$" in rhs
                    and type(r.args[0]) is Expr
                    and r.args[0].head is S.RegularExpression
                ):
                    for i in range(p.regex.groups, 0, -1):
                        rhs = rhs.replace(f"${i}", m.group(i) or "")
                return ev.eval(replace_all_symbols(rhs, p.bindings(m)))
    return matched


def _string_rules(spec: Any) -> tuple | None:
    rules = spec.args if is_list(spec) or (type(spec) is Expr and spec.head is S.Association) else (spec,)
    return rules if all(map(is_rule, rules)) else None


@builtin("StringReplace", arity=(1, 4), operator="prepend", options="IgnoreCase")
def string_replace(ev: Evaluator, args: tuple) -> Any:
    args, options = _options(args)
    if len(args) == 1:
        return None
    if is_list(args[0]):
        return over_all("StringReplace", ev, args)
    s, rules = args[0], _string_rules(args[1])
    if type(s) is not str or rules is None:
        ev.message("StringReplace", "srep" if type(s) is str else "strse",
        f"{ev.text(args[1])} is not a valid string replacement rule."
                   if type(s) is str else f"String or list of strings expected at position 1 in "
                   f"{ev.text(Expr(S.StringReplace, args))}.")  # fmt: skip
        return None
    p = compiled(
        ev,
        Expr(S.Alternatives, tuple([_unnamed(r.args[0]) for r in rules])) if len(rules) > 1 else rules[0].args[0],
        options,
    )
    if p is None:
        return None
    most = args[2] if len(args) > 2 and type(args[2]) is int else 10**9
    out: list[Any] = []
    at = 0
    for n, (m, b) in enumerate(p.matches(ev, s)):
        if n >= most:
            break
        new = _replacement(ev, rules, m, b, options)
        out += [s[at : m.start()], new]
        at = m.end()
    out.append(s[at:])
    out = [x for x in out if x != ""]
    if all(type(x) is str for x in out):
        ev.need_text(sum(map(len, out)))
        return "".join(out)
    return Expr(S.StringExpression, tuple(out))


def _replacement(ev: Evaluator, rules: tuple, m: Any, b: dict, options: dict) -> Any:
    if len(rules) == 1:
        rhs = rules[0].args[1]
        if type(rhs) is str:
            if "$" in rhs:
                for i in range(m.re.groups, 0, -1):
                    rhs = rhs.replace(f"${i}", m.group(i) or "")
            return rhs
        return ev.eval(replace_all_symbols(rhs, b))
    for r in rules:
        q = compiled(ev, r.args[0], options)
        mm = q.regex.fullmatch(m.group()) if q is not None else None
        if q is not None and mm is not None and q.holds(ev, q.bindings(mm)):
            rhs = r.args[1]
            return rhs if type(rhs) is str else ev.eval(replace_all_symbols(rhs, q.bindings(mm)))
    return m.group()


def _unnamed(p: Any) -> Any:
    """A pattern without its names (several rules may use the same ones)."""
    if type(p) is not Expr:
        return p
    if p.head is S.Pattern and len(p.args) == 2:
        return _unnamed(p.args[1])
    if p.head is S.Condition:
        return _unnamed(p.args[0])
    return Expr(p.head, tuple(map(_unnamed, p.args)))


@builtin("StringCases", arity=(1, 4), operator="prepend", options="IgnoreCase Overlaps")
def string_cases(ev: Evaluator, args: tuple) -> Any:
    args, options = _options(args)
    if len(args) == 1:
        return None
    if is_list(args[0]):
        return over_all("StringCases", ev, args)
    s = args[0]
    if type(s) is not str:
        return None
    rules = _string_rules(args[1])
    most = args[2] if len(args) > 2 and type(args[2]) is int else 10**9
    if rules is not None and len(rules) > 1:
        p = compiled(ev, Expr(S.Alternatives, tuple([_unnamed(r.args[0]) for r in rules])), options)
    else:
        p = compiled(ev, rules[0].args[0] if rules else args[1], options)
    if p is None:
        return None
    out = []
    for m, b in p.matches(ev, s, options.get(S.Overlaps) is TRUE):
        if len(out) >= most:
            break
        out.append(m.group() if rules is None else _replacement(ev, rules, m, b, options))
    return lst(out)


@builtin("StringCount", arity=(2, 3), options="IgnoreCase Overlaps")
def string_count(ev: Evaluator, args: tuple) -> Any:
    args, options = _options(args)
    if is_list(args[0]):
        return over_all("StringCount", ev, args)
    p = compiled(ev, args[1], options) if type(args[0]) is str else None
    return None if p is None else sum(1 for _ in p.matches(ev, args[0], options.get(S.Overlaps) is TRUE))


@builtin("StringPosition", arity=(2, 4), options="IgnoreCase Overlaps")
def string_position(ev: Evaluator, args: tuple) -> Any:
    args, options = _options(args)
    p = compiled(ev, args[1], options) if type(args[0]) is str else None
    if p is None:
        return None
    found = p.matches(ev, args[0], options.get(S.Overlaps) is not FALSE)
    spans = [lst((m.start() + 1, m.end())) for m, _ in found if m.end() > m.start()]
    return lst(spans[: args[2]] if len(args) > 2 and type(args[2]) is int else spans)


@builtin("StringDelete", arity=(1, 3), operator="prepend")
def string_delete(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    return ev.call(S.StringReplace, args[0], mk(RULE, args[1], ""))


@builtin("StringExtract", arity=2)
def string_extract(ev: Evaluator, args: tuple) -> Any:
    words = args[0].split() if type(args[0]) is str else []
    i = args[1]
    return words[i - 1 if i > 0 else i] if type(i) is int and 0 < abs(i) <= len(words) else None


@builtin("LetterCounts CharacterCounts WordCounts", arity=1)
def letter_counts(ev: Evaluator, args: tuple) -> Any:
    return _tallied([c for c in args[0] if c.isalpha()]) if type(args[0]) is str else None


def _tallied(items: list[str]) -> Any:
    counts: dict[str, int] = {}
    for c in items:
        counts[c] = counts.get(c, 0) + 1
    return from_pairs(sorted(counts.items(), key=lambda kv: kv[1])[::-1])  # as ReverseSort leaves them: ties turn round


TABLE["CharacterCounts"].handler = lambda ev, args: _tallied(list(args[0])) if type(args[0]) is str else None
TABLE["WordCounts"].handler = lambda ev, args: _tallied(_words(args[0])) if type(args[0]) is str else None


def _words(s: str) -> list[str]:
    import re

    return re.findall(r"[^\W_]+(?:['-][^\W_]+)*", s)


simple("TextWords", 1, lambda ev, s, rest: lst(_words(s)))
simple("WordCount", 1, lambda ev, s, rest: len(_words(s)))
