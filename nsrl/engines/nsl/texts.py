"""Expressions as nsl text: operators by their binding, lists, and calls by the words of the language."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.expressions import RELATIONS
from nsrl.engines.nsl.units import WOLFRAM_NAMES
from nsrl.engines.nsl.words import AGGREGATES, HEADS, INDEX, THE_ONE, WORDS, plain
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list

_SIGNS = {h: s for s, h in RELATIONS.items()}
_PRETTY = {"!=": "≠", "<=": "≤", ">=": "≥"}
_SUPER = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_VULGAR = {Fraction(1, 2): "½", Fraction(1, 3): "⅓", Fraction(2, 3): "⅔", Fraction(1, 4): "¼", Fraction(3, 4): "¾"}
# Levels of binding: what an operand printed at one level must be put in brackets for.
ANY, RELATION, SUM, PRODUCT, POWER, ATOM = 0, 1, 2, 3, 4, 5


class CallTexts:
    """A call as nsl text: by the language's word for it, else by its Wolfram name."""

    # --- what the writer of operators brings

    at: Callable[[Any, int], str]
    args: Callable[[Any], str]

    def named(self, e: Expr) -> str:
        """The call `e` by its word."""
        h, a = e.head, e.args
        if h == THE_ONE:
            return f"mode({self.args(a[0].args)})"
        if type(h) is not Symbol:
            return f"{self.at(h, ATOM)}({self.args(a)})"
        name = h.name
        if name == "Log" and len(a) == 2:
            return f"log({self.args(a[1:])})" if a[0] == 10 else f"log({self.args(a)})"
        if name in ("Sum", "Product") and len(a) == 2 and is_list(a[1]) and len(a[1].args) == 3:
            word, (k, low, high) = "sum" if name == "Sum" else "prod", a[1].args
            where = f"{self.at(low, SUM)}..{self.at(high, SUM)}"
            return (
                f"{word}({where})"
                if k is INDEX
                else f"{word}({self.at(a[0], RELATION)} for {plain(k.name)} in {where})"
            )
        if name == "N" and len(a) == 1 and has_head(a[0], S.Times):
            rounded = _rounded(e)
            if rounded:
                return f"round({self.args(rounded)})"
        if name in ("Area", "Perimeter") and len(a) == 1:
            inner = a[0]
            if has_head(inner, S.Polygon) and is_list(inner.args[0]):
                return f"{HEADS[name]}{self.at(inner.args[0], ATOM)}"
            if has_head(inner, S.SSSTriangle):
                return f"{HEADS[name]}({self.args(inner.args)})"
        if name == "Apply" and len(a) == 2 and a[0] is S.Times:
            return f"prod({self.args(a[1:])})"
        if name == "Midpoint" and len(a) == 1 and is_list(a[0]) and len(a[0].args) == 2:
            return f"mid({self.args(a[0].args)})"
        if name in ("Count", "StringCount"):
            tail = self.at(a[1], ATOM) if len(a) == 2 else ""
            if tail[:1].isalpha() and has_head(a[0], S.List):
                return f"count{self.at(a[0], ATOM)}{tail}"
            return f"count({self.args(a)})"
        if name == "StringLength":
            return f"count({self.args(a)})"
        if name == "PrimeQ" and len(a) == 1 and WORDS["isprime"].build(a[0].args if has_head(a[0], S.Ramp) else a) == e:
            return f"isprime({self.args(a[0].args if has_head(a[0], S.Ramp) else a)})"
        if name == "Surd":
            return f"root({self.args(a[::-1])})"
        if name == "Integrate" and len(a) == 2:
            return f"int({self.args((a[0], *(a[1].args if is_list(a[1]) else a[1:])))})"
        if name == "SolveValues" and len(a) == 3:
            return f"solve({self.args(a[:2])})"
        word = HEADS.get(name)
        if word is None:
            return f"{plain(name)}({self.args(a)})"
        if name in AGGREGATES and len(a) == 1 and is_list(a[0]) and len(a[0].args) > 1:
            return f"{word}{self.at(a[0], ATOM)}"
        return f"{word}({self.args(a)})"


class Texts(CallTexts):
    """Trees as nsl text, each with its level of binding."""

    def where(self, spec: tuple) -> str:
        """What stands behind `in`: the rest of {n, …} of Table and Do."""
        if len(spec) == 1:
            return self.at(spec[0], SUM)
        if len(spec) == 2:
            low = spec[0].args[0] if has_head(spec[0], S.Ceiling) else spec[0]  # a..b begins at a whole number
            return f"{self.at(low, SUM)}..{self.at(spec[1], SUM)}"
        return f"Range({self.args(spec)})"

    def at(self, e: Any, level: int) -> str:
        """e, in brackets if it binds less tightly than the level."""
        text, own = self.expression(e)
        return text if own >= level else f"({text})"

    def args(self, items: Any) -> str:
        """Values with commas between them."""
        return ",".join(self.at(a, RELATION) for a in items)

    def expression(self, e: Any) -> tuple[str, int]:
        """The text of e and its level of binding."""
        t = type(e)
        if t is int:
            return str(e), ATOM if e >= 0 else SUM
        if t is float:
            text = repr(e) if "e" not in repr(e) else format(e, "f")
            return text, ATOM if e >= 0 else SUM
        if t is Fraction:
            return self.fraction(e)
        if t is str:
            return f'"{e}"', ATOM
        if t is Symbol:
            return {S.Pi: "π", S.Infinity: "∞", S.Degree: "°", S.E: "e", S.I: "i", TRUE: "true", FALSE: "false"}.get(
                e
            ) or plain(e.name), ATOM
        if t is not Expr:
            return str(e), ATOM
        return self.call(e)

    def fraction(self, e: Fraction) -> tuple[str, int]:
        """A fraction as ½, a percentage or a/b, and its level."""
        if e in _VULGAR:
            return _VULGAR[e], ATOM
        if e > 0 and 100 % e.denominator == 0:
            return f"{e.numerator * 100 // e.denominator}%", POWER
        return f"{e.numerator}/{e.denominator}", PRODUCT if e > 0 else SUM

    def call(self, e: Expr) -> tuple[str, int]:
        """The text of an operator, a list or a call, and its level."""
        h, a = e.head, e.args
        n = len(a)
        if h is S.Plus and n > 1:
            return self.sum(a), SUM
        if h is S.Times and n > 1:
            return self.product(a)
        if h is S.Power and n == 2:
            return self.power(*a), POWER
        if h in _SIGNS and n > 1:
            sign = _PRETTY.get(_SIGNS[h], _SIGNS[h])
            return sign.join(self._apart(self.at(x, SUM)) for x in a[:-1]) + sign + self.at(a[-1], SUM), ANY
        if h is S.Inequality:
            out = [
                self._apart(self.at(x, SUM)) if i % 2 == 0 else _PRETTY.get(_SIGNS[x], _SIGNS[x])
                for i, x in enumerate(a)
            ]
            return "".join(out), ANY
        if h in (S.And, S.Or) and n > 1:
            word = " and " if h is S.And else " or "
            return word.join(self.at(x, ATOM) if type(x) is Expr and x.head in (S.And, S.Or) else self.at(x, ANY)
                             for x in a), ANY  # fmt: skip
        if h is S.Not and n == 1:
            return f"not {self.at(a[0], RELATION)}", ANY
        if h is S.Element and n == 2:
            return (
                f"{self.at(a[0], SUM)}∈{ {S.Integers: 'ℤ', S.Reals: 'ℝ', S.PositiveIntegers: 'N'}.get(a[1], 'Q') }",
                ANY,
            )
        if h is S.MemberQ and n == 2:
            return f"{self.at(a[1], SUM)} in {self.at(a[0], SUM)}", ANY
        if (h is S.Mod and n == 2) or (h is S.Quotient and n == 2):
            word = " mod " if h is S.Mod else " div "
            return f"{self.at(a[0], POWER)}{word}{self.at(a[1], POWER)}", SUM
        if h in (S.Binomial, S.FactorialPower) and n == 2:
            word = " choose " if h is S.Binomial else " perm "
            return f"{self.at(a[0], ATOM)}{word}{self.at(a[1], ATOM)}", PRODUCT
        if h is S.Sqrt and n == 1:
            inner = self.at(a[0], ANY)
            return (f"√{inner}" if re.fullmatch(r"\d+|[a-zA-Z]|π", inner) else f"√({inner})"), POWER
        if h in (S.Factorial, S.Factorial2) and n == 1:
            return f"{self.at(a[0], ATOM)}{'!' if h is S.Factorial else '!!'}", POWER
        if h is S.Part and n >= 2:
            of = self.at(a[0], ATOM) if type(a[0]) is Symbol else f"({self.at(a[0], ANY)})"
            return f"{of}[{self.args(a[1:])}]", POWER
        if h is S.Range and n == 2:
            return self.where(a), RELATION
        if h is S.Rule and n == 2:
            return f"{self.at(a[0], SUM)}→{self.at(a[1], SUM)}", RELATION
        if h is S.Quantity and n == 2 and a[1] in WOLFRAM_NAMES:
            return WOLFRAM_NAMES[a[1]], ATOM
        listed = self.list(e)
        if listed is not None:
            return listed, ATOM
        text = self.named(e)
        return text, POWER if text.startswith("count{") and text[
            -1
        ] != "}" else ATOM  # what follows would go to the c of count{…}c

    def _apart(self, left: str) -> str:
        """`n! =120`: without the blank the sign would be ≠."""
        return left + " " if left.endswith("!") else left

    def list(self, e: Expr) -> str | None:
        """Lists and comprehensions."""
        h, a = e.head, e.args
        if h is S.List:
            return f"{{{self.args(a)}}}"
        if h is S.Flatten and len(a) == 2 and has_head(a[0], S.Table) and a[1] == len(a[0].args) - 2:
            h, a = S.Table, a[0].args
        if h is S.Table and len(a) >= 2 and all(is_list(s) for s in a[1:]):
            body, test = a[0], None
            if len(a) > 2 and has_head(body, S.If) and body.args[-1] is S.Nothing:
                test, body = body.args[:2]
            loops = []
            for s in a[1:]:
                name, spec = s.args[0], s.args[1:]
                if (
                    len(a) == 2
                    and len(spec) == 1
                    and has_head(spec[0], S.Select)
                    and has_head(spec[0].args[1], S.Function)
                ):
                    test = spec[0].args[1].args[1]
                    spec = (spec[0].args[0],)
                if len(spec) == 1 and has_head(spec[0], S.Range) and len(spec[0].args) == 2:
                    spec = spec[0].args
                loops.append(f" for {plain(name.name)} in {self.where(spec)}")
            tail = f" if {self.at(test, ANY)}" if test is not None else ""
            return f"{{{self.at(body, RELATION)}{''.join(loops)}{tail}}}"
        return None

    def sum(self, a: tuple) -> str:
        """Terms with + and - between them."""
        out = self.at(a[0], PRODUCT) if not _negative(a[0]) else self.expression(a[0])[0]
        for x in a[1:]:
            positive = _positive(x)
            term = self.at(x if positive is None else positive, PRODUCT)
            out += f"{'+' if positive is None else '-'}{closed(term)}"
        return out

    def product(self, a: tuple) -> tuple[str, int]:
        """Factors with * and / between them, side by side where that reads as one, and their level."""
        rounded = _rounded(Expr(S.Times, a))
        if rounded:
            return f"round({self.args(rounded)})", ATOM
        if len(a) == 2 and a[1] is S.Degree and not _negative(a[0]):
            return f"{self.at(a[0], ATOM)}°", POWER
        if len(a) == 2 and a[0] == -1 and type(a[0]) is int and _positive(Expr(S.Times, a)) is not None:
            return f"-{self.at(a[1], POWER)}", SUM
        first = a[0]
        negative = type(first) in (int, float) and first < 0
        out = self.expression(first)[0] if negative else self.at(first, POWER)
        for i, x in enumerate(a[1:]):
            if has_head(x, S.Power) and x.args[1] == -1 and type(x.args[1]) is int:
                out += f"/{self.at(x.args[0], POWER)}"
                continue
            text = self.at(x, POWER)
            close = i == 0 and type(first) in (int, float) and (text[0] in "(√π" or ((type(x) is Symbol or has_head(
                x, S.Power)) and text[0].isalpha() and not re.match(r"[CP]\d|[eE](?![a-zA-Z])|[xX]\d",
                text)))  # fmt: skip
            out += text if close else f"*{text}"
        return out, SUM if negative else PRODUCT

    def power(self, base: Any, n: Any) -> str:
        """A power: whole exponents stand raised."""
        text = self.at(base, ATOM)
        if type(n) is int and n >= 0:
            return text + str(n).translate(_SUPER)
        if type(n) is int or type(n) is Symbol:
            return f"{text}^{self.expression(n)[0]}"
        return f"{text}^({self.at(n, ANY)})"


def _rounded(e: Any) -> tuple | None:
    """The arguments of `round` where e is what it stands for."""
    product = e.args[0] if has_head(e, S.N) else e
    sign = product.args[0]
    if not (has_head(sign, S.Sign) and has_head(sign.args[0], S.Rationalize)):
        return None
    x, last = sign.args[0].args[0], product.args[-1]
    scaled = has_head(last, S.Power) and has_head(last.args[0], S.Power)
    args = (x, last.args[0].args[1]) if scaled else (x,)
    return args if WORDS["round"].build(args) == e else None


def closed(term: str) -> str:
    """x+(20%): a percentage that is added, and not one of what stands before, stands in brackets."""
    return f"({term})" if term.endswith("%") else term


def _negative(x: Any) -> bool:
    if type(x) in (int, float):
        return x < 0
    return has_head(x, S.Times) and type(x.args[0]) in (int, float) and x.args[0] < 0


def _positive(x: Any) -> Any:
    """y where the parser reads `-y` as x, or None."""
    if type(x) in (int, float) and x < 0:
        return -x
    if has_head(x, S.Times) and len(x.args) > 1 and type(x.args[0]) in (int, float) and x.args[0] < 0:
        first, rest = -x.args[0], x.args[1:]
        if x.args[0] == -1 and type(x.args[0]) is int:
            if len(rest) == 1:
                y = rest[0]
                starts = has_head(y, S.Times) and type(y.args[0]) in (int, float)
                return None if type(y) in (int, float) or (starts and y.args[0] > 0) else y
            return None
        return Expr(S.Times, (first, *rest))
    return None
