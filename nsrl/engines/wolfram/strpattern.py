"""String patterns as regular expressions: literals, blanks, StringExpression, character classes, RegularExpression.

A pattern becomes one compiled regex plus the names its groups bind and the tests to run afterwards. Source:
documentation of StringExpression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram.expr import LIST, TRUE, Expr, S, Symbol
from nsrl.engines.wolfram.subst import replace_all_symbols

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

_CLASSES: dict[Symbol, str] = {
    S.DigitCharacter: r"\d", S.LetterCharacter: r"[^\W\d_]", S.WhitespaceCharacter: r"\s", S.WordCharacter: r"[^\W_]",
    S.Whitespace: r"\s+", S.NumberString: r"[-+]?(?:\d+\.?\d*|\.\d+)", S.StartOfString: r"\A", S.EndOfString: r"\Z",
    S.StartOfLine: r"(?m:^)", S.EndOfLine: r"(?m:$)", S.WordBoundary: r"\b", S.HexadecimalCharacter: r"[0-9a-fA-F]",
    S.PunctuationCharacter: r"[!-/:-@\[-`{-~]",
}  # fmt: skip


class NoPattern(Exception):
    """The tree is no string pattern this module can read."""


class StringPattern(NamedTuple):
    """regex; names: group name -> symbol; tests: conditions over the bindings."""

    regex: re.Pattern
    names: dict[str, Symbol]
    tests: list[Any]

    def matches(self, ev: Evaluator, text: str, overlaps: bool = False) -> Iterator[tuple[re.Match, dict[Symbol, Any]]]:
        """(match, bindings) from left to right."""
        at = 0
        while at <= len(text):
            ev.step()
            m = self.regex.search(text, at)
            if m is None:
                return
            b = self.bindings(m)
            if self.holds(ev, b):
                yield m, b
                at = m.start() + 1 if overlaps else m.end() if m.end() > m.start() else m.end() + 1
            else:
                at = m.start() + 1

    def bindings(self, m: re.Match) -> dict[Symbol, Any]:
        """What the named parts matched."""
        return {s: m.group(g) or "" for g, s in self.names.items()}

    def holds(self, ev: Evaluator, b: dict[Symbol, Any]) -> bool:
        """Whether the conditions hold."""
        return all(ev.eval(replace_all_symbols(t, b)) is TRUE for t in self.tests)


def compile_string(ev: Evaluator, p: Any, wildcards: bool = False, ignore_case: bool = False) -> StringPattern:
    """The regex of a pattern. Raises NoPattern."""
    names: dict[str, Symbol] = {}
    tests: list[Any] = []
    source = _source(p, names, tests, wildcards)
    try:
        regex = re.compile(source, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
    except (re.error, RecursionError, OverflowError):
        raise NoPattern(str(p)) from None
    return StringPattern(regex, names, tests)


def _wild(s: str) -> str:
    out, i = [], 0
    while i < len(s):
        c = s[i]
        if c == "\\" and i + 1 < len(s):
            out.append(re.escape(s[i + 1]))
            i += 2
            continue
        out.append(".*" if c == "*" else r"[^A-Z]+" if c == "@" else re.escape(c))
        i += 1
    return "".join(out)


def _source(p: Any, names: dict[str, Symbol], tests: list[Any], wild: bool = False) -> str:
    if type(p) is str:
        return _wild(p) if wild else re.escape(p)
    if type(p) is Symbol:
        if p in _CLASSES:
            return _CLASSES[p]
        raise NoPattern(p.name)
    if type(p) is not Expr:
        raise NoPattern(str(p))
    h, args = p.head, p.args
    if h is S.Blank:
        return "."
    if h is S.BlankSequence:
        return ".+"
    if h is S.BlankNullSequence:
        return ".*"
    if h is S.Pattern and len(args) == 2:
        group = f"g_{len(names)}"
        for g, s in names.items():
            if s is args[0]:
                return f"(?P={g})"
        names[group] = args[0]
        return f"(?P<{group}>{_source(args[1], names, tests)})"
    if h is S.StringExpression or h is S.StringJoin:
        return "".join([_source(a, names, tests) for a in args])
    if h is S.Alternatives or h is LIST:
        return "(?:" + "|".join([_source(a, names, tests, wild) for a in args]) + ")"
    if h in (S.Repeated, S.RepeatedNull) and args:
        inner = _source(args[0], names, tests)
        if len(args) == 2:
            spec = args[1].args if type(args[1]) is Expr else (1, args[1])
            low, high = (spec[0], spec[0]) if len(spec) == 1 else spec
            return f"(?:{inner}){{{low},{'' if high is S.Infinity else high}}}"
        return f"(?:{inner}){'+' if h is S.Repeated else '*'}"
    if h is S.Longest and args:
        return _source(args[0], names, tests)
    if h is S.Shortest and args:
        if type(args[0]) is Expr and args[0].head is S.StringExpression:
            return "".join([_lazy(_source(a, names, tests)) for a in args[0].args])
        return _lazy(_source(args[0], names, tests))
    if h is S.Except and args:
        c = args[0]
        if type(c) is str and len(c) == 1:
            return f"[^{re.escape(c)}]"
        return f"(?!{_source(c, names, tests)})" + (_source(args[1], names, tests) if len(args) > 1 else ".")
    if h is S.RegularExpression and len(args) == 1 and type(args[0]) is str:
        return f"(?:{args[0]})"
    if h is S.CharacterRange and len(args) == 2:
        return f"[{re.escape(args[0])}-{re.escape(args[1])}]"
    if h is S.Condition and len(args) == 2:
        tests.append(args[1])
        return _source(args[0], names, tests)
    if h is S.PatternTest and len(args) == 2:
        inner, f = args
        known = {S.DigitQ: r"\d", S.LetterQ: r"[^\W\d_]", S.UpperCaseQ: r"[A-Z]", S.LowerCaseQ: r"[a-z]"}.get(f)
        core = inner.args[1] if type(inner) is Expr and inner.head is S.Pattern else inner
        if known and type(core) is Expr and core.head in (S.Blank, S.BlankSequence, S.BlankNullSequence):
            source = known + {S.Blank: "", S.BlankSequence: "+", S.BlankNullSequence: "*"}[core.head]
            if core is not inner:
                group = f"g_{len(names)}"
                names[group] = inner.args[0]
                return f"(?P<{group}>{source})"
            return source
        if core is inner:
            group = f"g_{len(names)}"
            hidden = Symbol(f"hidden${len(names)}")
            names[group] = hidden
            tests.append(Expr(f, (hidden,)))
            return f"(?P<{group}>{_source(inner, names, tests)})"
        tests.append(Expr(f, (inner.args[0],)))
        return _source(inner, names, tests)
    if h is S.IgnoringInactive and args:
        return _source(args[0], names, tests)
    raise NoPattern(str(p))


def _lazy(source: str) -> str:
    """The quantifier at the end of a part made lazy."""
    if source.endswith(("+)", "*)")):
        return source[:-1] + "?)"
    return source + "?" if source.endswith(("+", "*")) else source
