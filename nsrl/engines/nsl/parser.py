"""The grammar of nsl: text to a `Program`, whose statements hold Wolfram expression trees.

Recursive descent with one function per level of binding. Knows nothing of what a program's value is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError, Token, tokens
from nsrl.engines.nsl.words import CONSTANTS, WORDS, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, norm, sym

RELATIONS = {"=": S.Equal, "!=": S.Unequal, "<": S.Less, "<=": S.LessEqual, ">": S.Greater, ">=": S.GreaterEqual}
RELATION_HEADS = frozenset(RELATIONS.values()) | {S.Inequality, S.Element, S.And, S.Or, S.Not}
UPDATES = {"+=": S.AddTo, "-=": S.SubtractFrom, "*=": S.TimesBy, "/=": S.DivideBy}
DOMAINS = {"ℤ": S.Integers, "ℝ": S.Reals, "Z": S.Integers, "R": S.Reals, "N": S.PositiveIntegers, "Q": S.Rationals}
MAX_DEPTH = 100


@dataclass(frozen=True)
class Statement:
    """kind: value, relation, assign, update, define, loop. tree: its Wolfram tree. start, end: offsets in the source."""

    kind: str
    tree: Any
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Program:
    """statements in order; options: the trees after `?`; unit: the words after `→`, or empty."""

    statements: tuple[Statement, ...]
    options: tuple = ()
    unit: Any = None
    source: str = field(default="", compare=False)


def parse(text: str) -> Program:
    """The program of `text`. Raises NslSyntaxError with the place."""
    return _Parser(text).program()


class _Parser:
    def __init__(self, text: str):
        self.text = text
        self.toks = tokens(text)
        self.i = 0
        self.bars = 0
        self.depth = 0
        self.units = any(t.value in ("->", "to") and t.kind in ("op", "key") for t in self.toks)
        self.functions = self._definitions()
        self.variables, self.letters = self._variables()

    # --- what the whole text tells beforehand

    def _definitions(self) -> set[str]:
        """Names f of `f(x)=…` (plain names in the brackets) that are called again, or defined by `:=`."""
        found, calls = set(), {}
        t = self.toks
        for i, tok in enumerate(t[:-1]):
            if tok.kind in ("name", "word") and t[i + 1].value == "(" and not t[i + 1].gap:
                calls[tok.value] = calls.get(tok.value, 0) + 1
                if i and t[i - 1].value != ";":
                    continue
                j = i + 2
                while t[j].kind == "name" and t[j + 1].value == ",":
                    j += 2
                if t[j].kind == "name" and t[j + 1].value == ")" and t[j + 2].value in ("=", ":="):
                    found.add((tok.value, t[j + 2].value))
        return {f for f, eq in found if eq == ":=" or calls[f] > 1}

    def _variables(self) -> tuple[set[str], set[str]]:
        """Names that stand without an opening bracket behind them, and one-letter names among those in relations."""
        alone: set[str] = set()
        t = self.toks
        for i, tok in enumerate(t[:-1]):
            if tok.kind not in ("name", "word") or (tok.kind == "word" and _opens(t[i + 1])):
                continue
            if t[i + 1].value in ("(", "{", "[") and t[i + 1].kind == "op":
                if tok.value.lower() in WORDS or (t[i + 1].value == "(" and not t[i + 1].gap):
                    continue
            alone.add(tok.value)
        letters = {v for v in alone if len(v) == 1 and v.islower()} if any(x.value in RELATIONS for x in t) else set()
        return alone, letters

    # --- helpers

    @property
    def tok(self) -> Token:
        return self.toks[self.i]

    def take(self, value: str) -> bool:
        t = self.toks[self.i]
        if t.value == value and t.kind in ("op", "key"):
            self.i += 1
            return True
        return False

    def need(self, value: str) -> None:
        if not self.take(value):
            self.fail(f"expected {value!r}")

    def fail(self, reason: str, tok: Token | None = None) -> None:
        t = tok or self.tok
        got = "the program ends" if t.kind == "end" else f"got {self.text[t.start : t.end]!r}"
        raise NslSyntaxError(f"{reason}, {got}", t.start, max(t.end, t.start))

    # --- statements

    def program(self) -> Program:
        out: list[Statement] = []
        options: tuple = ()
        unit: Any = None
        while self.tok.kind != "end":
            if self.take(";"):
                continue
            if options or unit is not None:
                self.fail("nothing may follow the options or the unit")
            out += self.statement()
            if self.take("?"):
                options = self.options()
            if self.take("->") or self.take("to"):
                unit = self.unit()
                if self.take("?"):
                    options = self.options()
            if self.tok.kind != "end" and not self.take(";"):
                self.fail("expected an operator or ';'")
        if not out:
            raise NslSyntaxError("the program is empty", 0, len(self.text))
        last = len(out) - 1
        out = [self._point(s) if i < last else s for i, s in enumerate(out)]
        return Program(tuple(out), options, unit, self.text)

    def _point(self, s: Statement) -> Statement:
        """`A(1,2)` as a statement of its own names a point."""
        t = s.tree
        if s.kind == "value" and has_head(t, S.Times) and len(t.args) == 2:
            name, point = t.args
            if type(name) is Symbol and name.name[0].isupper() and is_list(point) and len(point.args) > 1:
                return Statement("relation", mk(S.Equal, name, point), s.start, s.end)
        if s.kind == "value" and has_head(t, S.Binomial) and self.text[s.start : s.start + 2] == "C(":
            return Statement("relation", mk(S.Equal, symbol("C"), lst(t.args)), s.start, s.end)
        return s

    def options(self) -> tuple:
        items = self.list_of(self.relation)
        if len(items) == 1 and is_list(items[0]):
            items = list(items[0].args)
        if not 2 <= len(items) <= 26:
            self.fail("'?' needs 2 to 26 options")
        return tuple(items)

    def unit(self) -> Any:
        return self.sum()

    def list_of(self, item) -> list:
        out = [item()]
        while self.take(","):
            out.append(item())
        return out

    def statement(self) -> list[Statement]:
        start = self.tok.start
        if self.tok.value == "let" and self.toks[self.i + 1].kind in ("name", "word"):
            self.i += 1
        if self.take("while"):
            test = self.relation()
            self.need(":")
            tree = mk(S.While, test, self.body())
            return [self.made("loop", tree, start)]
        if self.take("for"):
            name = self.name()
            self.need("in")
            where = self.range()
            self.need(":")
            tree = mk(S.Do, self.body(), lst([name, *_iterator(where)]))
            return [self.made("loop", tree, start)]
        out = self.simple()
        for key, negate in (("until", True), ("while", False)):
            if self.take(key):
                test = self.relation()
                if len(out) != 1 or out[0].kind == "value":
                    self.fail(f"before {key!r} stands what is repeated, such as x-=3")
                body = _as_action(out[0]).tree
                test = mk(S.Not, test) if negate else test
                # The body comes first and at least once, as in "do … until".
                return [self.made("loop", mk(S.While, mk(S.CompoundExpression, body, test)), start)]
        return out

    def made(self, kind: str, tree: Any, start: int) -> Statement:
        return Statement(kind, tree, start, self.toks[self.i - 1].end)

    def body(self) -> Any:
        """What a loop repeats: one action, or several in brackets."""
        at = self.i
        if self.take("("):
            try:
                actions = [a for s in self.list_of(self.simple_one) for a in s]
                if self.take(")") and all(a.kind != "value" for a in actions):
                    trees = [_as_action(a).tree for a in actions]
                    return trees[0] if len(trees) == 1 else mk(S.CompoundExpression, *trees)
            except NslSyntaxError:
                pass
            self.i = at
        done = [_as_action(s) for s in self.simple()]
        return done[0].tree if len(done) == 1 else mk(S.CompoundExpression, *[d.tree for d in done])

    def simple_one(self) -> list[Statement]:
        return [self.action_or_value()]

    def simple(self) -> list[Statement]:
        start = self.tok.start
        first = self.action_or_value()
        if first.kind in ("assign", "update", "define") or self.tok.value != ",":
            return [first]
        items = [first]
        while self.take(","):
            items.append(self.action_or_value())
        if all(s.kind != "value" for s in items):
            return items  # x+y=5,x-y=1 are two statements
        both = self._together(items, start)
        if both:
            return both
        if any(s.kind != "value" for s in items):
            self.fail("a list mixes values and equations; put ';' between statements")
        return [self.made("value", lst(s.tree for s in items), start)]

    def _together(self, items: list[Statement], start: int) -> list[Statement] | None:
        """`A,B=(0,0),(3,4)`: as many names as values around one `=`."""
        at = [k for k, s in enumerate(items) if has_head(s.tree, S.Equal)]
        if len(at) != 1 or len(items) != 2 * at[0] + 1 or len(items[at[0]].tree.args) != 2:
            return None
        k = at[0]
        left = [s.tree for s in items[:k]] + [items[k].tree.args[0]]
        right = [items[k].tree.args[1]] + [s.tree for s in items[k + 1 :]]
        if not all(type(n) is Symbol for n in left):
            return None
        return [self.made("relation", mk(S.Equal, n, v), start) for n, v in zip(left, right)]

    def action_or_value(self) -> Statement:
        start = self.tok.start
        t = self.toks
        if self.tok.kind in ("name", "word") and self.tok.value in self.functions and t[self.i + 1].value == "(":
            made = self.definition(start)
            if made is not None:
                return made
        if self.tok.kind in ("name", "word") and t[self.i + 1].value in (":=", *UPDATES) and t[self.i + 1].kind == "op":
            target = self.name()
            op = t[self.i].value
            self.i += 1
            value = self.sum_or_range()
            return self.made("assign", mk(S.Set, target, value), start) if op == ":=" else self.made(
                "update", mk(UPDATES[op], target, value), start)  # fmt: skip
        tree = self.relation()
        kind = "relation" if type(tree) is Expr and tree.head in RELATION_HEADS else "value"
        return self.made(kind, tree, start)

    def definition(self, start: int) -> Statement | None:
        """`f(x)=…` or `f(x):=…`; None if what stands here is a use of f."""
        at = self.i
        f = symbol(str(self.tok.value))
        self.i += 2
        names = []
        while self.tok.kind == "name":
            names.append(symbol(self.tok.value))
            self.i += 1
            if not self.take(","):
                break
        if names and self.take(")") and (self.take("=") or self.take(":=")):
            pattern = Expr(f, tuple(mk(S.Pattern, n, mk(S.Blank)) for n in names))
            body = self.relation()
            return self.made("define", mk(S.SetDelayed, pattern, body), start)
        self.i = at
        return None

    def name(self) -> Any:
        if self.tok.kind not in ("name", "word"):
            self.fail("expected a name")
        self.i += 1
        return symbol(str(self.toks[self.i - 1].value))

    # --- expressions, loosest first

    def relation(self) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"brackets are nested more than {MAX_DEPTH} deep")
        out = self.disjunction()
        self.depth -= 1
        return out

    def disjunction(self) -> Any:
        parts = [self.conjunction()]
        while self.take("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else mk(S.Or, *parts)

    def conjunction(self) -> Any:
        parts = [self.negation()]
        while self.take("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else mk(S.And, *parts)

    def negation(self) -> Any:
        if self.take("not") or (self.tok.value == "!" and self.tok.kind == "op" and self.take("!")):
            return mk(S.Not, self.negation())
        return self.comparison()

    def comparison(self) -> Any:
        first = self.sum_or_range()
        items, signs = [first], []
        while self.tok.kind in ("op", "key"):
            v = self.tok.value
            if v in RELATIONS:
                self.i += 1
                signs.append(RELATIONS[v])
                items.append(self.sum_or_range())
            elif v == "in" and not signs:
                self.i += 1
                t = self.tok
                if t.value in DOMAINS and self.toks[self.i + 1].kind in ("end", "op", "key"):
                    self.i += 1
                    return mk(S.Element, first, DOMAINS[t.value])
                where = self.sum_or_range()
                return mk(S.MemberQ, where, first)
            else:
                break
        if not signs:
            return first
        if len(set(signs)) == 1:
            return Expr(signs[0], tuple(items))
        out: list[Any] = [items[0]]
        for s, x in zip(signs, items[1:]):
            out += [s, x]
        return Expr(S.Inequality, tuple(out))

    def sum_or_range(self) -> Any:
        return self.range()

    def range(self) -> Any:
        a = self.sum()
        if self.take(".."):
            b = self.sum()
            if self.take(".."):
                return mk(S.Range, a, self.sum(), b)  # 1..3..9 would be read start..step..end
            return mk(S.Range, a, b)
        return a

    def sum(self) -> Any:
        terms = [self.product()]
        while self.tok.kind == "op" and self.tok.value in ("+", "-"):
            minus = self.tok.value == "-"
            self.i += 1
            term = self.product()
            terms.append(_negative(term) if minus else term)
        return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms))

    def product(self) -> Any:
        out = [self.signed()]

        def fold() -> Any:
            return out[0] if len(out) == 1 else Expr(S.Times, tuple(out))

        while True:
            t = self.tok
            if (t.kind == "op" and t.value == "*") or (t.kind == "key" and t.value == "of"):
                self.i += 1
                out.append(self.signed())
            elif t.kind == "op" and t.value == "/":
                self.i += 1
                below = self.signed()
                out.append(mk(S.Power, below, -1))
            elif t.kind in ("op", "key") and (t.value in ("mod", "div") or t.value == "%"):
                self.i += 1
                head = S.Quotient if t.value == "div" else S.Mod
                out[:] = [mk(head, fold(), self.signed())]
            elif self.joins():
                out.append(self.counting())
            else:
                return fold()

    def joins(self) -> bool:
        """Whether the next token begins a factor that is written without a sign before it."""
        t = self.tok
        if not (_opens(t) or (t.value == "|" and t.kind == "op" and not self.bars)):
            return False
        if t.kind == "num" and self.toks[self.i - 1].kind == "num":
            self.fail("two numbers stand side by side; write * or +")
        return t.kind != "str" or self.fail("a text cannot be multiplied") is not None

    def signed(self) -> Any:
        if self.tok.kind == "op" and self.tok.value in ("-", "+"):
            minus = self.tok.value == "-"
            self.i += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.fail("too many signs")
            x = self.signed()
            self.depth -= 1
            return _negative(x) if minus else x
        return self.counting()

    def counting(self) -> Any:
        """`n choose k`, `n perm k`."""
        a = self.power()
        while self.tok.kind == "key" and self.tok.value in ("choose", "perm"):
            head = S.Binomial if self.tok.value == "choose" else S.FactorialPower
            self.i += 1
            a = mk(head, a, self.power())
        return a

    def power(self) -> Any:
        return self.raised(self.primary())

    def raised(self, base: Any) -> Any:
        """Powers and the signs behind an operand, as often as they come."""
        while True:
            t = self.tok
            if t.kind == "sup":
                self.i += 1
                n = int(t.value) if t.value.lstrip("-").isdigit() else None
                if n is None and t.value != "n":
                    self.fail("this superscript is no number", t)
                base = mk(S.Power, base, symbol("n") if n is None else n)
            elif t.kind != "op":
                return base
            elif t.value == "^":
                self.i += 1
                self.depth += 1
                if self.depth > MAX_DEPTH:
                    self.fail("powers are nested too deep")
                base = mk(S.Power, base, self.exponent())
                self.depth -= 1
            elif t.value == "!" and self.toks[self.i + 1].value != "=":
                self.i += 1
                base = mk(S.Factorial, base)
            elif t.value == "°":
                self.i += 1
                base = mk(S.Times, base, S.Degree)
            elif t.value == "%" and (not _opens(self.toks[self.i + 1]) or self._percent_of()):
                self.i += 1
                base = _percent(base)
            elif t.value == "[" and not t.gap and self.toks[self.i - 1].kind not in ("num", "sup"):
                self.i += 1
                index = self.list_of(self.relation)
                self.need("]")
                base = mk(S.Part, base, *index)
            elif t.value == "." and not t.gap and self.toks[self.i + 1].value in ("x", "y", "z"):
                base = mk(S.Part, base, "xyz".index(self.toks[self.i + 1].value) + 1)
                self.i += 2
            else:
                return base

    def _percent_of(self) -> bool:
        """`20%x`, `15%(a+b)`: a literal before and a name or bracket behind make it percent, not remainder."""
        before, behind = self.toks[self.i - 1], self.toks[self.i + 1]
        return before.kind == "num" and (behind.kind == "name" or behind.value == "(")

    def exponent(self) -> Any:
        if self.tok.kind == "op" and self.tok.value in ("-", "+"):
            minus = self.tok.value == "-"
            self.i += 1
            x = self.exponent()
            return _negative(x) if minus else x
        return self.power()

    def primary(self) -> Any:
        t = self.tok
        if t.kind == "num":
            self.i += 1
            return t.value
        if t.kind == "str":
            self.i += 1
            return t.value
        if t.kind == "word":
            return self.word()
        if t.kind == "key" and t.value == "if" and self.toks[self.i + 1].value == "(":
            self.i += 1
            return self.build("if", self.arguments("(", ")"), t)
        if t.kind == "name":
            return self.named()
        if t.kind == "op":
            if t.value in CONSTANTS:
                self.i += 1
                return getattr(S, CONSTANTS[t.value])
            if t.value == "°":  # alone: the number π/180
                self.i += 1
                return S.Degree
            if t.value == "√":
                self.i += 1
                if self.tok.value == "(" and self.tok.kind == "op":
                    return mk(S.Sqrt, self.primary())
                return mk(S.Sqrt, self.power())
            if t.value == "|":
                return self.absolute()
            if t.value == "(":
                return self.bracketed()
            if t.value in ("{", "["):
                return self.braces("}" if t.value == "{" else "]")
        self.fail("expected a number, a name or '('")
        return None

    def absolute(self) -> Any:
        self.i += 1
        saved, self.bars = self.bars, 1
        inside = self.relation()
        self.bars = saved
        self.need("|")
        return mk(S.Abs, inside)

    def bracketed(self) -> Any:
        """`(x)` is x; `(x, y)` a point, which is a list."""
        self.i += 1
        saved, self.bars = self.bars, 0
        items = self.items(")")
        self.bars = saved
        return items[0] if len(items) == 1 else lst(items)

    def braces(self, closing: str) -> Any:
        self.i += 1
        saved, self.bars = self.bars, 0
        if self.take(closing):
            self.bars = saved
            return lst(())
        items = self.items(closing)
        self.bars = saved
        if len(items) == 1 and type(items[0]) is Expr and items[0].head in (S.Range, S.Table, S.Flatten):
            return items[0]  # {1..5}, {n² for n in 1..5}
        return lst(items)

    def items(self, closing: str) -> list:
        """Comma-separated values up to the closing sign, or one value with `for … in …`."""
        out = [self.relation()]
        if self.tok.kind == "key" and self.tok.value == "for":
            out = [self.comprehension(out[0])]
        while self.take(","):
            out.append(self.relation())
        self.need(closing)
        return out

    def comprehension(self, body: Any) -> Any:
        """`body for n in list if test`, several `for` allowed; the value is a list."""
        loops = []
        while self.take("for"):
            names = self.list_of(self.name)
            self.need("in")
            if len(names) > 1:
                self.fail("one name per 'for'")
            loops.append((names[0], self.range()))
        test = None
        if self.tok.kind == "key" and self.tok.value == "if":
            self.i += 1
            test = self.relation()
        if test is not None and len(loops) == 1:
            n, where = loops[0]
            where = mk(S.Select, where, mk(S.Function, n, test))
            return mk(S.Table, body, lst([n, where]))
        if test is not None:
            body = mk(S.If, test, body, S.Nothing)
        table = Expr(S.Table, (body, *[lst([n, *_iterator(w)]) for n, w in loops]))
        return table if len(loops) == 1 else mk(S.Flatten, table, len(loops) - 1)

    def arguments(self, opening: str, closing: str) -> tuple:
        self.need(opening)
        saved, self.bars = self.bars, 0
        args = () if self.take(closing) else tuple(self.items(closing))
        self.bars = saved
        return args

    def named(self) -> Any:
        t = self.tok
        self.i += 1
        nxt = self.tok
        name = str(t.value)
        if nxt.value == "(" and nxt.kind == "op" and not nxt.gap:
            if name in self.functions:
                return Expr(symbol(name), self.arguments("(", ")"))
            if name.lower() in WORDS and (name not in self.variables or name in ("C", "P")):
                return self.build(name.lower(), self.arguments("(", ")"), t)
            wolfram = symbol(name)
            if len(name) > 2 and wolfram.name != name:  # a builtin by its Wolfram name
                return Expr(sym(name), self.arguments("(", ")"))
            if len(name) > 2 and name.isalpha() and name.islower() and name not in self.variables:
                self.fail(f"{name!r} is no function", t)
        elif nxt.value in ("{", "[") and nxt.kind == "op" and name.lower() in WORDS and name not in self.variables:
            return self.build(name.lower(), (self.braces("}" if nxt.value == "{" else "]"),), t)
        if 2 <= len(name) <= 3 and name.isalpha() and name.islower() and self.letters.issuperset(name):
            return Expr(S.Times, tuple(symbol(c) for c in name))  # xy where x and y are names of their own
        return symbol(name)

    def word(self) -> Any:
        t = self.tok
        name = str(t.value)
        self.i += 1
        nxt = self.tok
        if name in self.functions and nxt.value == "(":
            return Expr(symbol(name), self.arguments("(", ")"))
        sup = None
        if nxt.kind == "sup" and _opens(self.toks[self.i + 1]):
            sup = int(nxt.value)  # sin²x
            self.i += 1
            nxt = self.tok
        out = self.applied(name, t, nxt)
        return out if sup is None else mk(S.Power, out, sup)

    def applied(self, name: str, t: Token, nxt: Token) -> Any:
        if name in ("C", "P"):  # words only as C(n, k); else names
            if nxt.value == "(" and not nxt.gap:
                at = self.i
                args = self.arguments("(", ")")
                if len(args) == 2:
                    return self.build(name, args, t)
                self.i = at
            return symbol(name)
        if nxt.value == "(" and nxt.kind == "op":
            return self.build(name, self.arguments("(", ")"), t)
        word = WORDS[name]
        if (nxt.value in ("{", "[") and nxt.kind == "op") or nxt.kind == "str":
            first = nxt.value if nxt.kind == "str" else self.braces("}" if nxt.value == "{" else "]")
            if nxt.kind == "str":
                self.i += 1
            if word.tail and (_opens(self.tok) and not (self.tok.value == "[" and self.tok.kind == "op")):
                return self.build(name, (first, self.power()), t)
            return self.build(name, (first,), t)
        if not _opens(nxt) and not (nxt.value == "|" and not self.bars):
            return symbol(name)  # a word without an argument is a plain name
        if name == "angle" and nxt.kind == "name":  # angle A is ∠A
            self.i += 1
            return symbol("angle" + str(nxt.value))
        operand = self.power()
        if word.loose:
            factors = [operand]
            while type(factors[0]) in (int, float) and self.tok.kind == "name" and len(self.tok.value) < 3:
                factors.append(self.power())
            if len(factors) > 1:
                operand = Expr(S.Times, tuple(factors))
        return self.build(name, (operand,), t)

    def build(self, name: str, args: tuple, t: Token) -> Any:
        word = WORDS[name]
        if len(args) == 1 and is_list(args[0]) and word.least > 1 and word.least <= len(args[0].args) <= word.most:
            args = args[0].args  # dist{A,B}
        if not word.least <= len(args) <= word.most:
            want = str(word.least) if word.least == word.most else f"{word.least} to {word.most}"
            raise NslSyntaxError(f"{name} takes {want} argument(s), got {len(args)}", t.start, t.end)
        return word.build(args)


def _opens(t: Token) -> bool:
    """Whether a token can begin an operand (signs and bars apart)."""
    if t.kind in ("num", "name", "word", "str"):
        return True
    return t.kind == "op" and t.value in ("(", "{", "[", "√", "π", "∞")


def _negative(x: Any) -> Any:
    if type(x) in (int, float):
        return -x
    if has_head(x, S.Times) and x.args and type(x.args[0]) in (int, float) and x.args[0] > 0:
        return Expr(S.Times, (-x.args[0], *x.args[1:]))
    return mk(S.Times, -1, x)


def _percent(x: Any) -> Any:
    return norm(Fraction(x, 100)) if type(x) is int else mk(S.Times, x, Fraction(1, 100))


def _iterator(where: Any) -> tuple:
    """The rest of {n, …} for Table and Do: {n, a, b} for a range, {n, list} otherwise."""
    if has_head(where, S.Range) and len(where.args) == 2:
        return where.args
    if has_head(where, S.Range) and len(where.args) == 3:
        return where.args
    return (where,)


def _as_action(s: Statement) -> Statement:
    """Inside a loop `x = …` assigns."""
    t = s.tree
    if s.kind == "relation" and has_head(t, S.Equal) and len(t.args) == 2 and type(t.args[0]) is Symbol:
        return Statement("assign", mk(S.Set, *t.args), s.start, s.end)
    return s

