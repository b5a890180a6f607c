"""Between nsl and Wolfram Language: a program as one tree, and trees as nsl text.

`to_wolfram(from_wolfram(t)) == t` for every t that to_wolfram gives.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.expressions import RELATIONS
from nsrl.engines.nsl.parser import Program, parse
from nsrl.engines.nsl.plan import assigned, plan
from nsrl.engines.nsl.statements import UPDATES
from nsrl.engines.nsl.units import WOLFRAM_NAMES, in_wolfram
from nsrl.engines.nsl.words import AGGREGATES, HEADS, INDEX, THE_ONE, WORDS, free_names, plain
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, rule

_SIGNS = {h: s for s, h in RELATIONS.items()}
_PRETTY = {"!=": "≠", "<=": "≤", ">=": "≥"}
_UPDATE_SIGNS = {h: s for s, h in UPDATES.items()}
_SUPER = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_VULGAR = {Fraction(1, 2): "½", Fraction(1, 3): "⅓", Fraction(2, 3): "⅔", Fraction(1, 4): "¼", Fraction(3, 4): "¾"}
# Levels of binding: what an operand printed at one level must be put in brackets for.
_ANY, _RELATION, _SUM, _PRODUCT, _POWER, _ATOM = 0, 1, 2, 3, 4, 5


def to_wolfram(program: str | Program) -> Any:
    """A program as one Wolfram Language tree. Raises NslSyntaxError.

    Equations and what is asked become `asked /. Solve[{…}, {…}, Reals]`, options `Replace[…, {… -> "A"}]`."""
    p = parse(program) if isinstance(program, str) else program
    q = plan(p)
    items = [t for _, t in q.actions]
    target = q.target
    if q.constraints:
        names = list(dict.fromkeys(n for c in q.constraints for n in free_names(c)))
        if target is None and not any(_has_equation(c) for c in q.constraints):
            what = q.constraints[0] if len(q.constraints) == 1 else lst(q.constraints)
            value = mk(S.Reduce, what, lst(names), S.Reals)
        else:
            value = mk(S.Solve, lst(q.constraints), lst(names), S.Reals)
            if target is None and len(names) == 1:
                target = names[0]
            if target is not None:
                value = mk(S.ReplaceAll, target, value)
    else:
        value = target
    if p.unit is not None:
        taken = {t.args[0] for kind, t in q.actions if kind == "set"}
        items = [in_wolfram(t, taken) for t in items]
        value = mk(S.UnitConvert, in_wolfram(value, taken), in_wolfram(p.unit, taken))
    if p.options:
        value = mk(S.Replace, value, lst(rule(o, chr(ord("A") + i)) for i, o in enumerate(p.options)))
    return Expr(S.CompoundExpression, (*items, value)) if items else value


def _has_equation(c: Any) -> bool:
    return has_head(c, S.Equal) or ((has_head(c, S.And) or has_head(c, S.Or)) and any(_has_equation(a) for a in c.args))


def from_wolfram(tree: Any) -> str:
    """A Wolfram Language tree as nsl text. What has no word of its own is written by its Wolfram name."""
    return _Writer().program(tree)


class _Writer:
    def __init__(self) -> None:
        self.set: set | None = set()  # names that have a value

    def program(self, t: Any) -> str:
        if has_head(t, S.CompoundExpression):
            out = []
            for a in t.args[:-1]:
                out.append(self.action(a))
                if self.set is not None:
                    self.set.update(assigned(a))
            return ";".join([*out, self.final(t.args[-1])])
        return self.final(t)

    def final(self, t: Any) -> str:
        if (
            has_head(t, S.Replace)
            and len(t.args) == 2
            and is_list(t.args[1])
            and all(has_head(r, S.Rule) and isinstance(r.args[1], str) for r in t.args[1].args)
        ):
            return f"{self.final(t.args[0])}?{','.join(self.at(r.args[0], _RELATION) for r in t.args[1].args)}"
        if has_head(t, S.UnitConvert) and len(t.args) == 2:
            unit = "%" if t.args[1] == Fraction(1, 100) else self.at(t.args[1], _SUM)
            return f"{self.final(t.args[0])}→{unit}"
        if has_head(t, S.ReplaceAll) and len(t.args) == 2 and has_head(t.args[1], S.Solve):
            return f"{self.final(t.args[1])};{self.at(t.args[0], _RELATION)}"
        if has_head(t, S.Solve) and t.args:
            what = t.args[0].args if is_list(t.args[0]) or has_head(t.args[0], S.And) else (t.args[0],)
            return ";".join(self.at(c, _ANY) for c in what)
        if has_head(t, S.Reduce) and t.args:
            what = t.args[0].args if is_list(t.args[0]) else (t.args[0],)
            return ";".join(self.at(c, _ANY) for c in what)
        if type(t) is Expr and (t.head in (S.Set, S.SetDelayed, S.While, S.Do) or t.head in _UPDATE_SIGNS):
            return self.action(t)
        return self.at(t, _ANY)

    def action(self, t: Any) -> str:
        if has_head(t, S.Set) and len(t.args) == 2:
            name, value = t.args
            again = self.set is not None and (name in self.set) is not (name in free_names(value))
            return f"{self.at(name, _ATOM)}{':=' if again else '='}{self.at(value, _RELATION)}"
        if has_head(t, S.SetDelayed):
            f, body = t.args
            names = ",".join(self.at(p.args[0] if has_head(p, S.Pattern) else p, _ATOM) for p in f.args)
            return f"{plain(f.head.name)}({names}):={self.at(body, _ANY)}"
        if type(t) is Expr and t.head in _UPDATE_SIGNS:
            return f"{self.at(t.args[0], _ATOM)}{_UPDATE_SIGNS[t.head]}{_closed(self.at(t.args[1], _SUM))}"
        if has_head(t, S.While):
            if len(t.args) == 1 and has_head(t.args[0], S.CompoundExpression):
                *body, test = t.args[0].args
                if has_head(test, S.Not):
                    return f"{self.body(body)} until {self.at(test.args[0], _RELATION)}"
                return f"{self.body(body)} while {self.at(test, _RELATION)}"
            test, *body = t.args
            return f"while {self.at(test, _RELATION)}:{self.body(body)}"
        if has_head(t, S.Do) and is_list(t.args[1]):
            return (
                f"for {self.at(t.args[1].args[0], _ATOM)} in {self.where(t.args[1].args[1:])}:{self.body([t.args[0]])}"
            )
        return self.at(t, _ANY)

    def body(self, parts: list[Any]) -> str:
        if len(parts) == 1 and has_head(parts[0], S.CompoundExpression):
            parts = list(parts[0].args)
        saved, self.set = self.set, None  # inside a loop `=` always assigns
        out = [self.action(p) for p in parts]
        self.set = saved
        return out[0] if len(out) == 1 else f"({','.join(out)})"

    def where(self, spec: tuple) -> str:
        if len(spec) == 1:
            return self.at(spec[0], _SUM)
        if len(spec) == 2:
            low = spec[0].args[0] if has_head(spec[0], S.Ceiling) else spec[0]  # a..b begins at a whole number
            return f"{self.at(low, _SUM)}..{self.at(spec[1], _SUM)}"
        return f"Range({self.args(spec)})"

    # --- expressions

    def at(self, e: Any, level: int) -> str:
        """e, in brackets if it binds less tightly than the level."""
        text, own = self.expression(e)
        return text if own >= level else f"({text})"

    def args(self, items: Any) -> str:
        return ",".join(self.at(a, _RELATION) for a in items)

    def expression(self, e: Any) -> tuple[str, int]:
        t = type(e)
        if t is int:
            return str(e), _ATOM if e >= 0 else _SUM
        if t is float:
            text = repr(e) if "e" not in repr(e) else format(e, "f")
            return text, _ATOM if e >= 0 else _SUM
        if t is Fraction:
            return self.fraction(e)
        if t is str:
            return f'"{e}"', _ATOM
        if t is Symbol:
            return {S.Pi: "π", S.Infinity: "∞", S.Degree: "°", S.E: "e", S.I: "i", TRUE: "true", FALSE: "false"}.get(
                e
            ) or plain(e.name), _ATOM
        if t is not Expr:
            return str(e), _ATOM
        return self.call(e)

    def fraction(self, e: Fraction) -> tuple[str, int]:
        if e in _VULGAR:
            return _VULGAR[e], _ATOM
        if e > 0 and 100 % e.denominator == 0:
            return f"{e.numerator * 100 // e.denominator}%", _POWER
        return f"{e.numerator}/{e.denominator}", _PRODUCT if e > 0 else _SUM

    def call(self, e: Expr) -> tuple[str, int]:
        h, a = e.head, e.args
        n = len(a)
        if h is S.Plus and n > 1:
            return self.sum(a), _SUM
        if h is S.Times and n > 1:
            return self.product(a)
        if h is S.Power and n == 2:
            return self.power(*a), _POWER
        if h in _SIGNS and n > 1:
            sign = _PRETTY.get(_SIGNS[h], _SIGNS[h])
            return sign.join(self._apart(self.at(x, _SUM)) for x in a[:-1]) + sign + self.at(a[-1], _SUM), _ANY
        if h is S.Inequality:
            out = [
                self._apart(self.at(x, _SUM)) if i % 2 == 0 else _PRETTY.get(_SIGNS[x], _SIGNS[x])
                for i, x in enumerate(a)
            ]
            return "".join(out), _ANY
        if h in (S.And, S.Or) and n > 1:
            word = " and " if h is S.And else " or "
            return word.join(self.at(x, _ATOM) if type(x) is Expr and x.head in (S.And, S.Or) else self.at(x, _ANY)
                             for x in a), _ANY  # fmt: skip
        if h is S.Not and n == 1:
            return f"not {self.at(a[0], _RELATION)}", _ANY
        if h is S.Element and n == 2:
            return (
                f"{self.at(a[0], _SUM)}∈{ {S.Integers: 'ℤ', S.Reals: 'ℝ', S.PositiveIntegers: 'N'}.get(a[1], 'Q') }",
                _ANY,
            )
        if h is S.MemberQ and n == 2:
            return f"{self.at(a[1], _SUM)} in {self.at(a[0], _SUM)}", _ANY
        if (h is S.Mod and n == 2) or (h is S.Quotient and n == 2):
            word = " mod " if h is S.Mod else " div "
            return f"{self.at(a[0], _POWER)}{word}{self.at(a[1], _POWER)}", _SUM
        if h in (S.Binomial, S.FactorialPower) and n == 2:
            word = " choose " if h is S.Binomial else " perm "
            return f"{self.at(a[0], _ATOM)}{word}{self.at(a[1], _ATOM)}", _PRODUCT
        if h is S.Sqrt and n == 1:
            inner = self.at(a[0], _ANY)
            return (f"√{inner}" if re.fullmatch(r"\d+|[a-zA-Z]|π", inner) else f"√({inner})"), _POWER
        if h in (S.Factorial, S.Factorial2) and n == 1:
            return f"{self.at(a[0], _ATOM)}{'!' if h is S.Factorial else '!!'}", _POWER
        if h is S.Part and n >= 2:
            of = self.at(a[0], _ATOM) if type(a[0]) is Symbol else f"({self.at(a[0], _ANY)})"
            return f"{of}[{self.args(a[1:])}]", _POWER
        if h is S.Range and n == 2:
            return self.where(a), _RELATION
        if h is S.Rule and n == 2:
            return f"{self.at(a[0], _SUM)}→{self.at(a[1], _SUM)}", _RELATION
        if h is S.Quantity and n == 2 and a[1] in WOLFRAM_NAMES:
            return WOLFRAM_NAMES[a[1]], _ATOM
        listed = self.list(e)
        if listed is not None:
            return listed, _ATOM
        text = self.named(e)
        return text, _POWER if text.startswith("count{") and text[
            -1
        ] != "}" else _ATOM  # what follows would go to the c of count{…}c

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
            tail = f" if {self.at(test, _ANY)}" if test is not None else ""
            return f"{{{self.at(body, _RELATION)}{''.join(loops)}{tail}}}"
        return None

    def sum(self, a: tuple) -> str:
        out = self.at(a[0], _PRODUCT) if not _negative(a[0]) else self.expression(a[0])[0]
        for x in a[1:]:
            positive = _positive(x)
            term = self.at(x if positive is None else positive, _PRODUCT)
            out += f"{'+' if positive is None else '-'}{_closed(term)}"
        return out

    def product(self, a: tuple) -> tuple[str, int]:
        rounded = _rounded(Expr(S.Times, a))
        if rounded:
            return f"round({self.args(rounded)})", _ATOM
        if len(a) == 2 and a[1] is S.Degree and not _negative(a[0]):
            return f"{self.at(a[0], _ATOM)}°", _POWER
        if len(a) == 2 and a[0] == -1 and type(a[0]) is int and _positive(Expr(S.Times, a)) is not None:
            return f"-{self.at(a[1], _POWER)}", _SUM
        first = a[0]
        negative = type(first) in (int, float) and first < 0
        out = self.expression(first)[0] if negative else self.at(first, _POWER)
        for i, x in enumerate(a[1:]):
            if has_head(x, S.Power) and x.args[1] == -1 and type(x.args[1]) is int:
                out += f"/{self.at(x.args[0], _POWER)}"
                continue
            text = self.at(x, _POWER)
            close = i == 0 and type(first) in (int, float) and (text[0] in "(√π" or ((type(x) is Symbol or has_head(
                x, S.Power)) and text[0].isalpha() and not re.match(r"[CP]\d|[eE](?![a-zA-Z])|[xX]\d",
                text)))  # fmt: skip
            out += text if close else f"*{text}"
        return out, _SUM if negative else _PRODUCT

    def power(self, base: Any, n: Any) -> str:
        text = self.at(base, _ATOM)
        if type(n) is int and n >= 0:
            return text + str(n).translate(_SUPER)
        if type(n) is int or type(n) is Symbol:
            return f"{text}^{self.expression(n)[0]}"
        return f"{text}^({self.at(n, _ANY)})"

    def named(self, e: Expr) -> str:
        h, a = e.head, e.args
        if h == THE_ONE:
            return f"mode({self.args(a[0].args)})"
        if type(h) is not Symbol:
            return f"{self.at(h, _ATOM)}({self.args(a)})"
        name = h.name
        if name == "Log" and len(a) == 2:
            return f"log({self.args(a[1:])})" if a[0] == 10 else f"log({self.args(a)})"
        if name in ("Sum", "Product") and len(a) == 2 and is_list(a[1]) and len(a[1].args) == 3:
            word, (k, low, high) = "sum" if name == "Sum" else "prod", a[1].args
            where = f"{self.at(low, _SUM)}..{self.at(high, _SUM)}"
            return (
                f"{word}({where})"
                if k is INDEX
                else f"{word}({self.at(a[0], _RELATION)} for {plain(k.name)} in {where})"
            )
        if name == "N" and len(a) == 1 and has_head(a[0], S.Times):
            rounded = _rounded(e)
            if rounded:
                return f"round({self.args(rounded)})"
        if name in ("Area", "Perimeter") and len(a) == 1:
            inner = a[0]
            if has_head(inner, S.Polygon) and is_list(inner.args[0]):
                return f"{HEADS[name]}{self.at(inner.args[0], _ATOM)}"
            if has_head(inner, S.SSSTriangle):
                return f"{HEADS[name]}({self.args(inner.args)})"
        if name == "Apply" and len(a) == 2 and a[0] is S.Times:
            return f"prod({self.args(a[1:])})"
        if name == "Midpoint" and len(a) == 1 and is_list(a[0]) and len(a[0].args) == 2:
            return f"mid({self.args(a[0].args)})"
        if name in ("Count", "StringCount"):
            tail = self.at(a[1], _ATOM) if len(a) == 2 else ""
            if tail[:1].isalpha() and has_head(a[0], S.List):
                return f"count{self.at(a[0], _ATOM)}{tail}"
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
            return f"{word}{self.at(a[0], _ATOM)}"
        return f"{word}({self.args(a)})"


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


def _closed(term: str) -> str:
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
