"""Names, words and calls of nsl: where an argument begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsrl.engines.nsl.checks import Checks
from nsrl.engines.nsl.lexer import Token
from nsrl.engines.nsl.names import opens
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import OTHERWISE, WORDS, plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, mk, sym


class Calls(Checks):
    """Reads names, words and calls: where an argument begins and ends."""

    # --- what the readers of operators bring

    arguments: Callable[..., tuple]
    braces: Callable[[str], Any]
    power: Callable[[], Any]
    joins: Callable[[Token], bool]

    def named(self) -> Any:
        """A name, or the call that it begins."""
        t = self.tok
        self.i += 1
        nxt = self.tok
        name = str(t.value)
        word = name.lower() in WORDS and (name not in self.names.alone or name in ("C", "P"))
        if nxt.value == "(" and nxt.kind == "op" and not nxt.gap:
            if name in self.names.functions:
                return Expr(symbol(name), self.arguments("(", ")"))
            if self.text[t.end - 1] in "'′" and name.rstrip("p") in self.names.functions:
                self.fail("the derivative is diff(f(x),x)", t)
            wolfram = len(name) > 2 and symbol(name).name != name
            if name == "Log" and wolfram:
                self.fail("log(x) is to base 10, ln(x) natural", t)
            if word and name not in OTHERWISE:
                return self.build(name.lower(), self.arguments("(", ")", name.lower() == "lim"), t)
            if wolfram:  # a builtin by its Wolfram name
                self.late = True
                args = tuple([self.argument(a) for a in self.arguments("(", ")", True)])
                head = sym(name)
                if len(args) < max(1, head.builtin.least if head.builtin is not None else 1):
                    self.fail(f"{name} needs more than {len(args)} argument{'s' * (len(args) != 1)}", t)
                return Expr(head, args)
            if len(name) > 2 and name.isalpha() and name.islower() and name not in self.names.alone:
                self.fail(f"{name!r} is no function", t)
        elif nxt.value in ("{", "[") and nxt.kind == "op" and word:
            return self.build(name.lower(), (self.braces("}" if nxt.value == "{" else "]"),), t)
        if nxt.value == "{" and nxt.kind == "op" and not nxt.gap:
            self.fail(f"{name!r} is no function of lists", t)
        constant = self.names.constant(name)
        return (self.chosen(name) or symbol(name)) if constant is None else constant

    def argument(self, a: Any) -> Any:
        """An argument of a call by its Wolfram name; a function's name there is the function: Select(L,EvenQ)."""
        if type(a) is not Symbol or a.builtin is not None or not a.name.endswith("$"):
            return a
        name = plain(a.name)
        return a if len(name) < 3 or name in self.names.defined else sym(name)

    def chosen(self, name: str) -> Any:
        """`nCr`, `nC2`, `nPr` of names that the program sets, as the number that it is; else None."""
        known = self.names.defined
        if (
            len(name) > 2
            and name[1] in "CP"
            and name not in known
            and name[0] in known
            and (name[2:] in known or name[2:].isdigit())
        ):
            return WORDS[name[1]].build((symbol(name[0]), int(name[2:]) if name[2:].isdigit() else symbol(name[2:])))
        return None

    def word(self) -> Any:
        """A word of the language with its arguments."""
        t = self.tok
        name = str(t.value)
        self.i += 1
        nxt, after = self.tok, self.toks[min(self.i + 1, len(self.toks) - 1)]
        if name in self.names.functions and nxt.value == "(":
            return Expr(symbol(name), self.arguments("(", ")"))
        if name in UNITS and self.names.units and nxt.value not in ("(", "{"):
            return symbol(name)  # 20min
        sup = None
        if nxt.kind == "sup" and (opens(after) or name not in self.names.defined):
            sup = int(nxt.value) if nxt.value.isdigit() and len(nxt.value) < 10 else None  # sin²x
            self.i += 1
        elif nxt.value == "^" and WORDS[name].loose and name not in self.names.defined:
            sup = after.value if after.kind == "num" and isinstance(after.value, int) else None  # sin^2 x
            self.i += 2
        if self.toks[self.i] is not nxt and sup is None:
            self.fail(f"write 1/{name}(x) for the reciprocal, a{name}(x) for the inverse", nxt)
        out = self.based(t) if name == "log" else None
        out = self.applied(name, t, self.tok) if out is None else out
        return out if sup is None else mk(S.Power, out, sup)

    def based(self, t: Token) -> Any:
        """`log₂8`, `log_2(8)`, `log2(8)`: the logarithm to base 2; None where no base is written."""
        at, nxt = self.i, self.tok
        marked = nxt.value == "_" and nxt.kind == "op"
        self.i += marked
        base = self.tok
        if base.kind == "end":
            self.i = at
            return None
        self.i += 1
        bracket = self.tok.value == "(" and self.tok.kind == "op" and not self.tok.gap
        if not marked and not (base.kind == "num" and base.start == t.end and bracket):
            self.i = at
            return None
        x = self.arguments("(", ")") if bracket else (self.power(),)
        if len(x) != 1:
            self.fail("one number stands behind the base of a logarithm")
        return mk(S.Log, base.value if base.kind == "num" else symbol(str(base.value)), x[0])

    def applied(self, name: str, t: Token, nxt: Token) -> Any:
        """The call of a word whose argument may stand without brackets."""
        if name in ("C", "P"):  # words only as C(n, k); else names
            if nxt.value == "(" and not nxt.gap:
                at = self.i
                args = self.arguments("(", ")")
                if len(args) == 2:
                    return self.build(name, args, t)
                self.i = at
            return symbol(name)
        if nxt.value == "(" and nxt.kind == "op":
            return self.build(name, self.arguments("(", ")", name == "lim"), t)
        word = WORDS[name]
        if (nxt.value in ("{", "[") and nxt.kind == "op") or nxt.kind == "str":
            first = nxt.value if nxt.kind == "str" else self.braces("}" if nxt.value == "{" else "]")
            if nxt.kind == "str":
                self.i += 1
            if word.tail and (opens(self.tok) and not (self.tok.value == "[" and self.tok.kind == "op")):
                return self.build(name, (first, self.power()), t)
            return self.build(name, (first,), t)
        if not opens(nxt) and not (nxt.value == "|" and not self.bars):
            return self.plain_word(name, t, nxt)
        if name == "angle" and nxt.kind == "name":  # angle A is ∠A
            self.i += 1
            return symbol("angle" + str(nxt.value))
        return self.build(name, (self.unbracketed(name, t),), t)

    def plain_word(self, name: str, t: Token, nxt: Token) -> Any:
        """A word without an argument is a name, which must have a meaning where it is calculated with."""
        before = self.toks[self.i - 2] if self.i > 1 else None
        near = [x.value for x in (before, nxt) if x is not None and x.kind == "op"]
        if not self.names.related and (set(near) & set("+-*/^") or (before is not None and before.kind == "num")):
            self.fail(f"{name} has no argument here; write {name}(…)", t)
        return symbol(name)

    def unbracketed(self, name: str, t: Token) -> Any:
        """The argument of a word without brackets. What could end in two places is refused."""
        word = WORDS[name]
        operand = self.power()
        hint = f"where does the argument of {name} end? write {name}(…)"
        if word.loose:
            factors = [operand]
            while type(factors[0]) in (int, float) and (
                (self.tok.kind == "name" and len(self.tok.value) < 3) or self.tok.value == "π"
            ):
                factors.append(self.power())
            if len(factors) > 1:
                operand = Expr(S.Times, tuple(factors))
            nxt = self.tok  # sin x/2, sin a b; a word ends an argument: sin x cos x
            if (
                (nxt.value == "/" and nxt.kind == "op") or (nxt.kind != "word" and self.joins(nxt))
            ) and not _ends_in_degrees(operand):
                self.fail(hint)
        elif name != "sqrt":
            aggregate = word.most > 1
            simple = type(operand) in (Symbol, int, float, str) or not aggregate
            more = self.tok.value in ("/", "..") or (aggregate and self.tok.value == ",")
            if (self.tok.kind == "op" and more) or self.joins(self.tok) or not simple:
                self.fail(hint)
        return operand


def _ends_in_degrees(e: Any) -> bool:
    return has_head(e, S.Times) and e.args[-1] is S.Degree
