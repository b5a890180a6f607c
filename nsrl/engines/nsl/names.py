"""What the whole text tells of its names beforehand: functions, products of letters, constants that stay constants.

One look at the tokens, before any of them is read.
"""

from __future__ import annotations

from typing import Any

from nsrl.engines.nsl.functions import definitions
from nsrl.engines.nsl.lexer import NslSyntaxError, Token
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import WORDS
from nsrl.engines.wolfram.expr import FALSE, TRUE, S

_RELATIONS = frozenset(["=", "!=", "<", "<=", ">", ">="])
_SETTERS = frozenset(["=", ":=", "+=", "-=", "*=", "/="])
_BEFORE, _BEHIND = frozenset([";", ",", "(", "{", "[", ":"]), frozenset([";", ",", ")", "}", "]", "?", "->", *_SETTERS])
# Words about letters: beside them, too, xy is x·y.
_FORMAL = frozenset(
    [
        "diff",
        "int",
        "lim",
        "coef",
        "expand",
        "factor",
        "simp",
        "collect",
        "D",
        "Integrate",
        "Limit",
        "Coefficient",
        "Expand",
        "Factor",
        "Simplify",
        "Collect",
    ]
)
# Names that mean something unless the program sets them.
CONSTANT_NAMES: dict[str, Any] = {
    "pi": S.Pi, "Pi": S.Pi, "inf": S.Infinity, "infinity": S.Infinity, "Infinity": S.Infinity, "oo": S.Infinity,
    "true": TRUE, "True": TRUE, "false": FALSE, "False": FALSE, "e": S.E, "i": S.I,
}  # fmt: skip


def opens(t: Token) -> bool:
    """Whether a token can begin an operand (signs and bars apart)."""
    if t.kind in ("num", "name", "word", "str"):
        return True
    return t.kind == "op" and t.value in ("(", "{", "[", "√", "∛", "∜", "π", "∞")


class Names:
    """units: a `→ unit` stands outside of brackets; functions: names f of `f(x)=…`; alone: names that no opening
    bracket follows; defined: names that a statement, a loop or a function's head sets. Raises NslSyntaxError."""

    def __init__(self, text: str, toks: list[Token]):
        self.toks = toks
        names = {t.value for t in toks if t.kind in ("name", "word")}
        signs = {t.value for t in toks if t.kind in ("op", "key")}
        self.units = not signs.isdisjoint(("->", "to")) and _converts(toks)
        self.related = not signs.isdisjoint(_RELATIONS)
        self.formal = any(t.kind in ("name", "word") and t.value in _FORMAL for t in toks)
        self.bound = self.related or self.formal or "in" in signs or ":=" in signs  # some name stands for numbers
        self.functions: set[Any] = set()
        self.alone: set[Any] = set()
        self.defined: set[Any] = set()
        self.counters: set[Any] = set()  # those of `for k in`
        self.points: set[Any] = set()
        self.bare: set[Any] = set()
        self.taken: set[str] = set()
        self.unclear: set[str] = set()  # those of `taken` that only an equation makes a name
        if names:
            if "(" in signs and not signs.isdisjoint(("=", ":=")):
                self.functions = definitions(toks)
            self._places()
            letters = "".join(names)
            self.taken = {
                c
                for c in ("e", "i")
                if c in letters and self._is_name(c, {n for n in names if n == c or self._splits(n, c)})
            }
            _refuse_lookalikes(text, toks, self.related)

    def constant(self, name: str) -> Any:
        """What a constant's name stands for, or None where it is a plain name."""
        return None if name in self.defined or name in self.taken else CONSTANT_NAMES.get(name)

    def letters(self, t: Token) -> str | None:
        """The letters whose product the name `t` is (`xy`, `mc`, `nRT`), or None where it is one name."""
        name = str(t.value)
        if not (self.bound and 2 <= len(name) <= 4 and name.isalpha()) or (self.units and name in UNITS):
            return None
        if not self.alone.issuperset(name):
            one = len(name) == 2 and name.islower() and (self.formal or not (name in self.bare or name in UNITS))
            if one and (name[0] in self.alone) != (name[1] in self.alone):
                return name
            if self.formal and name.islower() and name not in self.defined and not self.alone.isdisjoint(name):
                raise NslSyntaxError(f"{name} is one name or {'*'.join(name)}; write the product", t.start, t.end)
            return None
        if len(name) > 2 and len(set(name)) < len(name):
            return None
        if not name.isupper():
            if name in self.defined and self.defined.issuperset(name):
                raise NslSyntaxError(
                    f"{name} is read as {'*'.join(name)}, which has a value; name it otherwise", t.start, t.end
                )
            return name
        point = self.points.issuperset(name)
        if name in self.defined and (point or not self.defined.issuperset(name)):
            return None
        what = f"dist({name[0]},{name[1]})" if point and len(name) == 2 else "*".join(name)
        raise NslSyntaxError(f"{name} is one name; for what its letters mean write {what}", t.start, t.end)

    # --- one look at the tokens each

    def _places(self) -> None:
        t = self.toks
        for i, tok in enumerate(t):
            if tok.kind not in ("name", "word"):
                continue
            before, behind = t[i - 1] if i else None, t[i + 1]
            starts = before is None or (before.kind == "op" and before.value in _BEFORE) or before.value == "let"
            if (starts and behind.value in _SETTERS and behind.kind == "op") or (
                before is not None and before.value == "for"
            ):
                self.defined.add(tok.value)
                if before is not None and before.value == "for":
                    self.counters.add(tok.value)
                if behind.value in ("=", ":=") and t[i + 2].value == "(" and _tuple(t, i + 2):
                    self.points.add(tok.value)
            if starts and (behind.kind == "end" or (behind.kind == "op" and behind.value in _BEHIND)):
                self.bare.add(tok.value)
            if tok.kind == "word" and opens(behind):
                continue
            if behind.kind == "op" and behind.value in ("(", "{", "["):
                if (behind.value == "(" and before is None) or (before is not None and before.value == ";"):
                    if _tuple(t, i + 1):
                        self.points.add(tok.value)  # A(1,2)
                if str(tok.value).lower() in WORDS or (behind.value == "(" and not behind.gap):
                    continue
            self.alone.add(tok.value)
        if self.functions:  # the names in the brackets of f(x)=…
            heads = (i for i, tok in enumerate(t) if tok.kind in ("name", "word") and tok.value in self.functions)
            self.defined |= {t[i + 2].value for i in heads if t[i + 1].value == "("}

    def _splits(self, name: str, c: str) -> bool:
        """Whether `name` could be a product with the letter c in it: bi, ert."""
        return (
            self.bound and 1 < len(name) < 5 and c in name and name.isalpha() and name.islower() and name not in UNITS
        )

    def _is_name(self, c: str, among: set[Any]) -> bool:
        """Whether `e` (or `i`) is a name of the program: set, asked for, a mark, or in an equation otherwise than as
        e^… and ln e. In a definition `name = …` it is the constant where nothing else is an equation."""
        if not among:
            return False
        if c in self.defined or c in self.functions:
            return True
        t, start, by_equation = self.toks, 0, False
        bounds = _bounds(t) if c == "e" else ()
        for stop, end in enumerate(t):
            if end.value not in (";", "?") and end.kind != "end":
                continue
            related = any((x.value in _RELATIONS or x.value in _SETTERS) and x.kind == "op" for x in t[start:stop])
            for k in range(start, stop):
                if t[k].value != c or t[k].kind != "name":
                    product = related and t[k].kind == "name" and t[k].value in among and self.letters(t[k])
                    by_equation = by_equation or bool(product)
                    continue
                before, behind = t[k - 1] if k else None, t[k + 1]
                counted = before is not None and (before.kind == "str" or before.value == "}")  # count{…}e
                if k in bounds:
                    continue
                first = before is None or before.value in ("{", "[", "(", ",", ";", "?")
                listed = first and (behind.kind == "end" or behind.value in (",", "}", "]", ")", ";", "?", "->"))
                wrapped = k == start or (before is not None and before.value == "(")
                alone = wrapped and behind.value != ","  # (e), or a statement of its own
                if counted or (listed and not alone) or behind.value == "in":
                    return True
                if k == start and k + 1 == stop and self.related:
                    return True
                if not related or (c == "e" and (behind.value == "^" or behind.kind == "sup")):
                    continue
                log = t[k - 2] if k > 1 and before is not None and before.value == "(" else before
                by_equation = by_equation or c != "e" or log is None or log.value not in ("ln", "log")
            start = stop + 1
        if by_equation and not self._only_defines():
            self.unclear.add(c)
            return True
        return False

    def _only_defines(self) -> bool:
        """Whether every relation sign stands in a definition `name = …` or `f(x) = …`, each of a name of its own."""
        t, names, start = self.toks, [], 0
        for k, x in enumerate(t):
            if x.value == ";" or x.value == "let":
                start = k + 1
            elif x.kind == "op" and (x.value in _RELATIONS or x.value in _SETTERS):
                head = t[start].value
                if (
                    x.value not in ("=", ":=")
                    or not (k == start + 1 or head in self.functions)
                    or t[start].kind not in ("name", "word")
                ):
                    return False
                names.append(head)
        return len(names) == len(set(names))


def _converts(toks: list[Token]) -> bool:
    depth = 0
    for t in toks:
        if t.kind == "op" and t.value in ("(", "{", "["):
            depth += 1
        elif t.kind == "op" and t.value in (")", "}", "]"):
            depth -= 1
        elif t.value in ("->", "to") and t.kind in ("op", "key") and depth <= 0:
            return True
    return False


def _tuple(toks: list[Token], at: int) -> bool:
    """Whether the bracket that opens at `at` holds a comma of its own within the next tokens."""
    depth = 0
    for t in toks[at : at + 40]:
        if t.kind == "op" and t.value in ("(", "{", "["):
            depth += 1
        elif t.kind == "op" and t.value in (")", "}", "]"):
            depth -= 1
            if not depth:
                return False
        elif t.value == "," and depth == 1:
            return True
    return False


def _bounds(toks: list[Token]) -> set[int]:
    """The places in the bounds of int(f,x,a,b), and in the number that num and round take."""
    found: set[int] = set()
    inside: list[list] = []  # the open brackets: [the word before, commas so far]
    for k, t in enumerate(toks):
        if t.kind != "op":
            word, commas = inside[-1] if inside else (None, 0)
            if (word == "int" and commas > 1) or (word in ("num", "round") and not commas):
                found.add(k)
        elif t.value in ("(", "{", "["):
            inside.append([toks[k - 1].value if k and t.value == "(" else None, 0])
        elif t.value in (")", "}", "]"):
            del inside[-1:]
        elif t.value == "," and inside:
            inside[-1][1] += 1
    return found


def _refuse_lookalikes(text: str, toks: list[Token], related: bool) -> None:
    """Refuse what could be read in two ways: 5C2 beside a name C2, 1e1 beside a name e1, 2x3."""
    t = toks
    written = {
        x.value for k, x in enumerate(t) if x.kind == "name" and not (k and t[k - 1].kind == "num" and not x.gap)
    }
    for k, x in enumerate(t):
        if x.kind == "key" and x.value in ("choose", "perm") and x.end - x.start == 1:
            name = f"{'C' if x.value == 'choose' else 'P'}{t[k + 1].value}"
            if name in written:
                raise NslSyntaxError(f"{name} is a name here; write *{name} or choose", x.start, x.end)
        if x.kind == "num" and text[x.start : x.end].lower().partition("e")[1] and "e" + text[x.end - 1] in written:
            raise NslSyntaxError("a name e1 and a number 1e1; name it otherwise", x.start, x.end)
        if x.kind != "name" or not k or t[k - 1].kind != "num":
            continue
        lone = x.value in ("x", "X") and t[k + 1].kind == "num"
        glued = str(x.value)[0] in "xX" and str(x.value)[1:].isdigit() and not x.gap and x.value not in written
        if lone or (glued and not related):
            raise NslSyntaxError("between numbers x is no sign; write * for times", x.start, x.end)
